package io.litefs.it;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;

/** {@code doctor}, {@code ltx} and {@code config}, and the files of {@code docs/monitoring}. */
class OperatorCommandsTest {

  private static final Duration LIMIT = Duration.ofSeconds(30);
  private static final Path DOCS = Path.of(Node.launcher().get(0)).resolveSibling("docs");

  @RegisterExtension static final Nodes NODES = Nodes.of(2);

  private static Commands.Result litefs(String... arguments) {
    return Node.litefs(LIMIT, arguments);
  }

  private static void write(String db, String sql) {
    Commands.run("sqlite3", NODES.primary().db(db).toString(), sql).orThrow();
  }

  @Test
  void ltxFilesAreListedVerifiedCompactedAndApplied(@TempDir Path dir) throws Exception {
    write("l.db", Sql.CREATE + ";" + Sql.insert(100, 100));
    write("l.db", Sql.insert(50, 300) + "; DELETE FROM t WHERE id % 2 = 0; VACUUM");
    Position pos = NODES.cluster().sync("l.db");
    String ltx = NODES.primary().backing("l.db", "ltx").toString();
    List<String> files = NODES.primary().ltxFiles("l.db");
    assertThat(files).hasSizeGreaterThan(3);

    Commands.Result listed = litefs("ltx", "list", ltx).orThrow();
    assertThat(listed.output().lines()).hasSize(files.size() + 1);
    assertThat(listed.output()).contains("snapshot", files.get(files.size() - 1));
    assertThat(litefs("ltx", "verify", ltx).orThrow().output())
        .contains("sound: " + files.size() + " files", pos.toString());
    assertThat(litefs("ltx", "dump", ltx + "/" + files.get(0)).orThrow().output())
        .contains("none: a snapshot", "page size   4096", "post-apply");

    Path one = dir.resolve("one.ltx");
    litefs("ltx", "compact", "-o", one.toString(), ltx).orThrow();
    Path whole = dir.resolve("whole.db");
    Path steps = dir.resolve("steps.db");
    litefs("ltx", "apply", whole.toString(), one.toString()).orThrow();
    litefs("ltx", "apply", steps.toString(), ltx).orThrow();
    DatabaseImage expected = NODES.primary().export("l.db");
    expected.assertSameBytes(new DatabaseImage(whole));
    expected.assertSameBytes(new DatabaseImage(steps));

    // Files of a history that the database does not have change nothing.
    Commands.Result wrong = litefs("ltx", "apply", whole.toString(), ltx + "/" + files.get(1));
    assertThat(wrong.exitCode()).isEqualTo(1);
    assertThat(wrong.output()).contains("follows a database with checksum");
    expected.assertSameBytes(new DatabaseImage(whole));
    expected.delete();

    byte[] bytes = Files.readAllBytes(one);
    bytes[bytes.length / 2] ^= 1;
    Files.write(one, bytes);
    Path empty = Files.createDirectory(dir.resolve("empty"));
    for (String command : new String[] {"list", "verify"}) {
      Commands.Result none = litefs("ltx", command, empty.toString());
      assertThat(none.exitCode()).as(none.output()).isEqualTo(2);
      assertThat(none.output()).contains("no LTX file in " + empty, "ltx");
    }
    Commands.Result damaged = litefs("ltx", "verify", one.toString());
    assertThat(damaged.exitCode()).isEqualTo(1);
    assertThat(damaged.output().strip()).doesNotContain("\n").contains(one.toString());
  }

  @Test
  void theDoctorFindsNothingMissingHereAndNamesADeadPrimary(@TempDir Path dir) throws Exception {
    Commands.Result well =
        litefs("doctor", "-config", NODES.replica().home().resolve("litefs.yml").toString());
    assertThat(well.exitCode()).as(well.output()).isZero();
    assertThat(well.output())
        .contains("/dev/fuse", "is used by a running litefs", "answers", "clock", "sqlite3");

    Path config = dir.resolve("litefs.yml");
    int port = Ports.free();
    Files.writeString(
        config,
        """
        fuse: {dir: %s/mount}
        data: {dir: %s/data}
        http: {addr: '127.0.0.1:%d'}
        lease: {type: static, candidate: false, advertise-url: 'http://127.0.0.1:%d'}
        """
            .formatted(dir, dir, NODES.primary().port(), port));
    Commands.Result ill = litefs("doctor", "-config", config.toString(), "-json");
    assertThat(ill.exitCode()).isEqualTo(1);
    Set<String> failed = new HashSet<>();
    for (JsonNode finding : new ObjectMapper().readTree(ill.output())) {
      if (finding.path("level").asText().equals("fail")) {
        failed.add(finding.path("what").asText());
        assertThat(finding.path("remedy").asText()).isNotEmpty();
      }
    }
    assertThat(failed).containsExactlyInAnyOrder("primary", "http.addr");
    assertThat(dir.resolve("data")).doesNotExist();
  }

  @Test
  void aConfigurationIsCheckedAndShown(@TempDir Path dir) throws Exception {
    Path config = Files.writeString(dir.resolve("litefs.yml"), "data: {dir: '${HOME}x'}\n");
    assertThat(litefs("config", "check", "-config", config.toString()).orThrow().output())
        .contains("is right");
    Commands.Result shown = litefs("config", "show", "-config", config.toString()).orThrow();
    assertThat(shown.output()).contains("retention: 10m", System.getenv("HOME") + "x");
    Files.writeString(config, "data: {dri: /x}\n");
    Commands.Result wrong = litefs("config", "check", "-config", config.toString());
    assertThat(wrong.exitCode()).isEqualTo(2);
    assertThat(wrong.output()).contains("litefs.yml:1: data.dri: unknown key");
  }

  @Test
  void alertsDashboardAndDocsSpeakOfMetricsThatExist() throws Exception {
    write("m.db", Sql.CREATE);
    NODES.cluster().sync("m.db");
    Set<String> known = new HashSet<>(Set.of("litefs_is_primary"));
    for (Node node : NODES.cluster().nodes()) {
      Matcher types =
          Pattern.compile("(?m)^# TYPE (\\S+) (\\S+)$").matcher(node.http().get("/metrics").body());
      while (types.find()) {
        known.add(types.group(1));
        if (types.group(2).equals("histogram")) {
          known.addAll(
              List.of(
                  types.group(1) + "_bucket", types.group(1) + "_sum", types.group(1) + "_count"));
        }
      }
    }
    for (String file :
        List.of("monitoring/alerts.yml", "monitoring/grafana.json", "monitoring.md")) {
      String text = Files.readString(DOCS.resolve(file));
      Matcher names = Pattern.compile("\\b(?:litefs|process|jvm)_[a-z_]+[a-z]\\b").matcher(text);
      Set<String> named = new HashSet<>();
      while (names.find()) {
        named.add(names.group());
      }
      assertThat(named).isNotEmpty();
      assertThat(known).as(file).containsAll(named);
    }
    JsonNode dashboard =
        new ObjectMapper().readTree(DOCS.resolve("monitoring/grafana.json").toFile());
    Set<Integer> ids = new HashSet<>();
    for (JsonNode panel : dashboard.path("panels")) {
      assertThat(ids.add(panel.path("id").asInt())).as("one id each").isTrue();
      assertThat(panel.path("targets")).isNotEmpty();
    }
    assertThat(ids).hasSizeGreaterThan(15);
  }

  @Test
  void distributionsCountWhatHappens() {
    write("d.db", "PRAGMA journal_mode = WAL;" + Sql.CREATE);
    NODES.cluster().sync("d.db");
    Metrics before = NODES.primary().metrics();
    Metrics there = NODES.replica().metrics();
    for (int i = 0; i < 10; i++) {
      write("d.db", Sql.insert(1, 10));
    }
    NODES.cluster().sync("d.db");
    Metrics after = NODES.primary().metrics();
    for (String name : List.of("litefs_commit_seconds_count", "litefs_ltx_size_bytes_count")) {
      assertThat(after.get(name) - before.get(name)).as(name).isEqualTo(10);
    }
    assertThat(after.get("litefs_http_stream_sent_bytes"))
        .isGreaterThan(before.get("litefs_http_stream_sent_bytes"));
    Metrics replica = NODES.replica().metrics();
    for (String name : List.of("litefs_visible_seconds_count", "litefs_apply_seconds_count")) {
      Await.until(name, () -> NODES.replica().metrics().get(name) - there.get(name) == 10);
    }
    assertThat(replica.get("litefs_http_stream_received_bytes"))
        .isGreaterThan(there.get("litefs_http_stream_received_bytes"));
    assertThat(replica.get("process_resident_memory_bytes")).isGreaterThan(10e6);
  }
}
