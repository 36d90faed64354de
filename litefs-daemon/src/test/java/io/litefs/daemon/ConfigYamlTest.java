package io.litefs.daemon;

import static org.assertj.core.api.Assertions.assertThat;

import io.litefs.config.ConfigLoader;
import io.litefs.config.LitefsConfig;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ConfigYamlTest {

  @TempDir Path dir;

  private LitefsConfig load(String yaml) throws Exception {
    return ConfigLoader.load(Files.writeString(dir.resolve("litefs.yml"), yaml), true, Map.of());
  }

  @Test
  void whatIsShownMeansTheSame() throws Exception {
    LitefsConfig config =
        load(
            """
            exec:
              - cmd: 'sh -c "echo $$HOME"'
                if-candidate: true
              - cmd: ./app
            skip-sync: true
            fuse: {dir: /mnt/a b, allow-other: true}
            data: {dir: /data, retention: 1h30m, retention-size: 5MiB, durability: always}
            http: {addr: '127.0.0.1:0', snapshot-timeout: 1500us}
            lease:
              type: consul
              hostname: n1
              advertise-url: http://n1:20202
              candidate: false
              databases: [a.db, b.db]
              consul: {url: 'http://c:8500/x', key: app/primary, ttl: 11s}
            proxy:
              addr: ':8080'
              target: localhost:8081
              db: [a.db, b.db]
              passthrough: ['*.png']
              forward: proxy
            backup: {type: file, path: /backup}
            log: {format: json, debug: true}
            tracing: {path: /var/log/trace, max-size: 10, max-count: 3}
            """);
    assertThat(load(ConfigYaml.of(config))).isEqualTo(config);
  }

  @Test
  void soDoTheDefaults() throws Exception {
    LitefsConfig defaults = load("lease: {type: static, hostname: n1}");
    String shown = ConfigYaml.of(defaults);
    assertThat(load(shown)).isEqualTo(defaults);
    assertThat(shown).contains("retention: 10m", "dir: \"/litefs\"", "candidate: true");
  }

  @Test
  void durationsAreWrittenAsGoDoes() {
    assertThat(ConfigYaml.duration(Duration.ofMinutes(90))).isEqualTo("1h30m");
    assertThat(ConfigYaml.duration(Duration.ofMillis(1500))).isEqualTo("1s500ms");
    assertThat(ConfigYaml.duration(Duration.ofNanos(1_001))).isEqualTo("1us1ns");
    assertThat(ConfigYaml.duration(Duration.ZERO)).isEqualTo("0s");
  }
}
