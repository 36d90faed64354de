package io.litefs.config;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ConfigLoaderTest {
  @TempDir Path dir;

  private static LitefsConfig parse(String text) throws ConfigException {
    return ConfigLoader.parse(text, "litefs.yml", true, Map.of("REGION", "lhr", "MAIN", "lhr"));
  }

  @Test
  void hasTheDocumentedDefaultsWithoutAFile() throws IOException {
    String host = Files.readString(Path.of("/proc/sys/kernel/hostname")).strip();
    assertThat(LitefsConfig.defaults())
        .isEqualTo(
            new LitefsConfig(
                List.of(),
                true,
                false,
                false,
                new FuseConfig(Path.of("/litefs"), false, false),
                new DataConfig(
                    Path.of("/var/lib/litefs"),
                    true,
                    Duration.ofMinutes(10),
                    Duration.ofMinutes(1),
                    Durability.APPLICATION,
                    0,
                    1L << 30,
                    1L << 30),
                new HttpConfig(new HostPort("", 20202), Duration.ofMinutes(10)),
                new ProxyConfig(
                    Optional.empty(),
                    Optional.empty(),
                    List.of(),
                    Duration.ofSeconds(10),
                    false,
                    List.of(),
                    List.of(),
                    Duration.ofSeconds(5),
                    Duration.ZERO,
                    Duration.ofSeconds(10),
                    Duration.ZERO,
                    Duration.ofSeconds(30),
                    ProxyConfig.Forward.AUTO,
                    Optional.empty()),
                new LeaseConfig(
                    LeaseConfig.Type.STATIC,
                    host,
                    URI.create("http://" + host + ":20202"),
                    true,
                    false,
                    Duration.ofSeconds(1),
                    Duration.ofSeconds(10),
                    List.of(),
                    new ConsulConfig(
                        Optional.empty(), "", Duration.ofSeconds(10), Duration.ofSeconds(1)),
                    0,
                    Duration.ofSeconds(5),
                    LeaseConfig.OnTimeout.CONTINUE),
                new BackupConfig(Optional.empty()),
                new LogConfig(LogConfig.Format.TEXT, true, false),
                new TracingConfig(true, Optional.empty(), 64L << 20, 8, true)));
  }

  @Test
  void treatsAnEmptyFileAsNone() throws ConfigException {
    assertThat(parse("")).isEqualTo(LitefsConfig.defaults());
    assertThat(parse("# nothing here\n")).isEqualTo(LitefsConfig.defaults());
    assertThat(parse("fuse:\ndata:\n")).isEqualTo(LitefsConfig.defaults());
  }

  @Test
  void mountsWithDataBesideTheDirectoryWithoutAFile() {
    LitefsConfig config = LitefsConfig.defaultsFor(Path.of("/srv/app/db/"));
    assertThat(config.fuse().dir()).isEqualTo(Path.of("/srv/app/db"));
    assertThat(config.data().dir()).isEqualTo(Path.of("/srv/app/db.litefs"));
    assertThat(config.lease().candidate()).isTrue();
  }

  @Test
  void cannotMountOnTheRootDirectory() {
    assertThatThrownBy(() -> LitefsConfig.defaultsFor(Path.of("/")))
        .isInstanceOf(IllegalArgumentException.class);
  }

  @Test
  void readsEveryKey() throws ConfigException {
    LitefsConfig config =
        parse(
            """
            exec:
              - cmd: "migrate --all"
                if-candidate: true
              - cmd: app -addr :8080
            exit-on-error: false
            skip-sync: true
            strict-verify: true
            fuse: {dir: /mnt/db, allow-other: true, debug: true}
            data:
              dir: /data
              compress: false
              retention: 1h30m
              retention-monitor-interval: 500ms
              durability: always
              retention-size: 2GiB
              diverged-size: 3MB
              replica-wal-limit: 500MB
            http: {addr: "127.0.0.1:9", snapshot-timeout: 1m}
            proxy:
              addr: :8080
              target: localhost:8081
              db: [app.db, jobs.db]
              max-lag: 3s
              debug: true
              passthrough: ["*.png", "/debug/*"]
              always-forward: [/login]
              primary-redirect-timeout: 1s
              read-timeout: 2s
              read-header-timeout: 3s
              write-timeout: 4s
              idle-timeout: 5s
              forward: replay
              advertise-url: http://node1:8000
            lease:
              type: consul
              hostname: node1
              advertise-url: http://node1:443/
              candidate: false
              promote: true
              reconnect-delay: 2s
              demote-delay: 3s
              databases: [app.db]
              sync-replicas: 2
              sync-timeout: 4s
              on-timeout: fail
              consul: {url: "http://consul:8500/prefix", key: app/primary, ttl: 15s, lock-delay: 0}
            backup: {type: file, path: /backup}
            log: {format: json, timestamp: false, debug: true}
            tracing: {enabled: false, path: /var/log/t.log, max-size: 1, max-count: 0, compress: false}
            """);
    assertThat(config)
        .isEqualTo(
            new LitefsConfig(
                List.of(
                    new ExecCommand("migrate --all", true),
                    new ExecCommand("app -addr :8080", false)),
                false,
                true,
                true,
                new FuseConfig(Path.of("/mnt/db"), true, true),
                new DataConfig(
                    Path.of("/data"),
                    false,
                    Duration.ofMinutes(90),
                    Duration.ofMillis(500),
                    Durability.ALWAYS,
                    2L << 30,
                    3_000_000,
                    500_000_000),
                new HttpConfig(new HostPort("127.0.0.1", 9), Duration.ofMinutes(1)),
                new ProxyConfig(
                    Optional.of(new HostPort("", 8080)),
                    Optional.of(new HostPort("localhost", 8081)),
                    List.of("app.db", "jobs.db"),
                    Duration.ofSeconds(3),
                    true,
                    List.of("*.png", "/debug/*"),
                    List.of("/login"),
                    Duration.ofSeconds(1),
                    Duration.ofSeconds(2),
                    Duration.ofSeconds(3),
                    Duration.ofSeconds(4),
                    Duration.ofSeconds(5),
                    ProxyConfig.Forward.REPLAY,
                    Optional.of(URI.create("http://node1:8000"))),
                new LeaseConfig(
                    LeaseConfig.Type.CONSUL,
                    "node1",
                    URI.create("http://node1:443"),
                    false,
                    true,
                    Duration.ofSeconds(2),
                    Duration.ofSeconds(3),
                    List.of("app.db"),
                    new ConsulConfig(
                        Optional.of(URI.create("http://consul:8500/prefix")),
                        "app/primary",
                        Duration.ofSeconds(15),
                        Duration.ZERO),
                    2,
                    Duration.ofSeconds(4),
                    LeaseConfig.OnTimeout.FAIL),
                new BackupConfig(Optional.of(Path.of("/backup"))),
                new LogConfig(LogConfig.Format.JSON, false, true),
                new TracingConfig(
                    false, Optional.of(Path.of("/var/log/t.log")), 1 << 20, 0, false)));
  }

  @Test
  void readsExecAsOneString() throws ConfigException {
    assertThat(parse("exec: myapp -addr :8080").exec())
        .containsExactly(new ExecCommand("myapp -addr :8080", false));
    assertThat(parse("exec: \"\"").exec()).isEmpty();
  }

  @Test
  void readsOneProxyDatabaseAsAString() throws ConfigException {
    assertThat(parse("proxy: {addr: \":1\", target: \":2\", db: app.db}").proxy().databases())
        .containsExactly("app.db");
  }

  @Test
  void expandsVariablesBeforeParsing() throws ConfigException {
    String text = "lease:\n  type: static\n  hostname: $REGION-1\n  candidate: ${REGION == MAIN}\n";
    assertThat(parse(text).lease().candidate()).isTrue();
    assertThat(parse(text).lease().hostname()).isEqualTo("lhr-1");
  }

  @Test
  void leavesVariablesAloneWhenToldTo() throws ConfigException {
    LitefsConfig config =
        ConfigLoader.parse("exec: run $HOME ${X:-y}", "litefs.yml", false, Map.of("HOME", "/root"));
    assertThat(config.exec()).containsExactly(new ExecCommand("run $HOME ${X:-y}", false));
  }

  @Test
  void takesTheSnapshotTimeoutFromTheRetention() throws ConfigException {
    assertThat(parse("data: {retention: 3m}").http().snapshotTimeout())
        .isEqualTo(Duration.ofMinutes(3));
    assertThat(
            parse("{data: {retention: 3m}, http: {snapshot-timeout: 0}}").http().snapshotTimeout())
        .isEqualTo(Duration.ofMinutes(3));
  }

  @Test
  void takesThePrimarysNameFromItsUrlOnAStaticReplica() throws ConfigException {
    LeaseConfig lease =
        parse("lease: {type: static, candidate: false, advertise-url: \"http://db1:20202\"}")
            .lease();
    assertThat(lease.hostname()).isEqualTo("db1");
    assertThat(lease.advertiseUrl()).isEqualTo(URI.create("http://db1:20202"));
  }

  @Test
  void makesTheAdvertisedUrlFromHostnameAndPort() throws ConfigException {
    assertThat(
            parse("{http: {addr: \":9\"}, lease: {type: static, hostname: db1}}")
                .lease()
                .advertiseUrl())
        .isEqualTo(URI.create("http://db1:9"));
  }

  @Test
  void takesAnyNameOfANodeThatNobodyAsksOrThatSaysWhereItIs() throws ConfigException {
    assertThat(parse("lease: {type: static, hostname: db_1}").lease().hostname()).isEqualTo("db_1");
    assertThat(parse("lease: {type: static, hostname: \"db 1\"}").lease().hostname())
        .isEqualTo("db 1");
    LeaseConfig elected =
        parse(
                "lease: {type: consul, hostname: db_1, advertise-url: \"http://10.0.0.1:20202\","
                    + " consul: {url: \"http://c\", key: a}}")
            .lease();
    assertThat(elected.hostname()).isEqualTo("db_1");
    assertThat(elected.advertiseUrl()).isEqualTo(URI.create("http://10.0.0.1:20202"));
  }

  @Test
  void letsAnEmptyTargetSwitchTheProxyOff() throws ConfigException {
    assertThat(parse("proxy: {addr: \":8080\", target: \"\", db: a}").proxy().enabled()).isFalse();
  }

  @Test
  void findsTheFirstFileOfTheSearchPath() throws IOException {
    Path first = Files.createDirectory(dir.resolve("first"));
    Path second = Files.createDirectory(dir.resolve("second"));
    assertThat(ConfigLoader.firstIn(List.of(first, second))).isEmpty();
    Files.createFile(second.resolve("litefs.yml"));
    assertThat(ConfigLoader.firstIn(List.of(first, second))).contains(second.resolve("litefs.yml"));
    Files.createFile(first.resolve("litefs.yml"));
    assertThat(ConfigLoader.firstIn(List.of(first, second))).contains(first.resolve("litefs.yml"));
  }

  @Test
  void searchesTheHomeDirectoryOfTheEnvironment() throws IOException {
    Files.createFile(dir.resolve("litefs.yml"));
    assertThat(ConfigLoader.search(Map.of("HOME", dir.toString())))
        .contains(dir.resolve("litefs.yml"));
  }

  @Test
  void loadsAFile() throws Exception {
    Path file = Files.writeString(dir.resolve("my.yml"), "fuse: {dir: $WHERE}");
    assertThat(ConfigLoader.load(file, true, Map.of("WHERE", "/here")).fuse().dir())
        .isEqualTo(Path.of("/here"));
  }

  @Test
  void saysWhichFileCannotBeRead() throws IOException {
    assertThatExceptionOfType(ConfigException.class)
        .isThrownBy(() -> ConfigLoader.load(dir.resolve("no.yml"), true, Map.of()))
        .withMessage(dir.resolve("no.yml") + ": there is no such configuration file");
    assertThatExceptionOfType(ConfigException.class)
        .isThrownBy(() -> ConfigLoader.load(dir, true, Map.of()))
        .withMessageStartingWith(dir + ": cannot be read");
    Path binary = Files.write(dir.resolve("binary.yml"), new byte[] {(byte) 0xff, (byte) 0xfe, 0});
    assertThatExceptionOfType(ConfigException.class)
        .isThrownBy(() -> ConfigLoader.load(binary, true, Map.of()))
        .withMessage(binary + ": is not UTF-8 text");
  }
}
