package io.litefs.config;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Each problem is reported with file, line, key, what is wrong and what is allowed. */
class ConfigProblemsTest {

  private static List<String> problems(String text) {
    return problems(text, Map.of());
  }

  private static List<String> problems(String text, Map<String, String> env) {
    ConfigException e =
        catchThrowableOfType(
            ConfigException.class, () -> ConfigLoader.parse(text, "litefs.yml", true, env));
    assertThat(e).as("an error for: %s", text).isNotNull();
    assertThat(e).hasMessage(String.join("\n", e.problems()));
    return e.problems();
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        // unknown keys
        "fuze: {}                     | litefs.yml:1: fuze: unknown key; did you mean fuse?",
        "data: {retenton: 1m}         | litefs.yml:1: data.retenton: unknown key; did you mean retention?",
        "proxy: {maxLag: 1s}          | litefs.yml:1: proxy.maxLag: unknown key; did you mean max-lag?",
        "log: {colour: true}          | litefs.yml:1: log.colour: unknown key; allowed here: format, timestamp, debug",
        "exec: [{cmd: a, when: b}]    | litefs.yml:1: exec.when: unknown key; allowed here: cmd, if-candidate",
        "lease: {type: static, consul: {urls: a}} | litefs.yml:1: lease.consul.urls: unknown key; did you mean url?",
        // wrong types
        "fuse: 7                      | litefs.yml:1: fuse: is '7'; a section with keys is allowed",
        "fuse: [a]                    | litefs.yml:1: fuse: is a list; a section with keys is allowed",
        "[a]                          | litefs.yml:1: is a list; a section with keys is allowed",
        "fuse: {[a]: b}               | litefs.yml:1: fuse.?: a key is a list",
        "fuse: {debug: maybe}         | litefs.yml:1: fuse.debug: is 'maybe'; allowed: true, false",
        "fuse: {debug: 1}             | litefs.yml:1: fuse.debug: is '1'; allowed: true, false",
        "fuse: {debug: 'true'}        | litefs.yml:1: fuse.debug: is 'true'; allowed: true, false, without quotes",
        "fuse: {debug: [true]}        | litefs.yml:1: fuse.debug: is a list; allowed: true, false",
        "fuse: {dir: [a]}             | litefs.yml:1: fuse.dir: is a list; a path is allowed",
        "fuse: {dir: {a: b}}          | litefs.yml:1: fuse.dir: is a section with keys; a path is allowed",
        "log: {format: []}            | litefs.yml:1: log.format: is a list; a string is allowed",
        "data: {retention: [1m]}      | litefs.yml:1: data.retention: is a list; a duration is allowed",
        "proxy: {passthrough: '*.png'}| litefs.yml:1: proxy.passthrough: is '*.png'; a list is allowed, as in [\"a\", \"b\"]",
        "proxy: {passthrough: [[a]]}  | litefs.yml:1: proxy.passthrough: has a list in it; strings are allowed",
        "proxy: {passthrough: ['']}   | litefs.yml:1: proxy.passthrough: has empty in it; strings are allowed",
        "exec: [[a]]                  | litefs.yml:1: exec: has a list in it; commands, or cmd: with if-candidate:, are allowed",
        "exec: [{if-candidate: true}] | litefs.yml:1: exec.cmd: is missing; each command needs one",
        // bad values
        "data: {retention: 10}        | litefs.yml:1: data.retention: '10' has no unit; write for example 10m, 1h30m or 500ms (units ns, us, ms, s, m, h)",
        "data: {retention: soon}      | litefs.yml:1: data.retention: 'soon' is no duration; write for example 10m, 1h30m or 500ms (units ns, us, ms, s, m, h)",
        "data: {retention: -1m}       | litefs.yml:1: data.retention: '-1m' is negative; 0 or more is allowed",
        "data: {retention-monitor-interval: 0s} | litefs.yml:1: data.retention-monitor-interval: is 0; more than 0 is allowed",
        "data: {durability: never}    | litefs.yml:1: data.durability: 'never' is not known; allowed: application, always",
        "data: {retention-size: big}  | litefs.yml:1: data.retention-size: 'big' is no size; write for example 500MB or 2GiB (units B, KB, MB, GB, TB, KiB, MiB, GiB, TiB)",
        "tracing: {max-size: 0}       | litefs.yml:1: tracing.max-size: is 0; more than 0 is allowed",
        "tracing: {max-count: -1}     | litefs.yml:1: tracing.max-count: '-1' is not allowed; write a whole number, 0 or more",
        "http: {addr: 20202}          | litefs.yml:1: http.addr: '20202': has no port; write host:port or :port",
        "http: {addr: ':http'}        | litefs.yml:1: http.addr: ':http': the port 'http' is not a number from 0 to 65535",
        "log: {format: xml}           | litefs.yml:1: log.format: 'xml' is not known; allowed: text, json",
        "backup: {type: s3, path: /b} | litefs.yml:1: backup.type: 's3' is not known; allowed: file",
        "backup: {type: file}         | litefs.yml:1: backup.path: is missing; give the directory for the backup",
        "backup: {path: /b}           | litefs.yml:1: backup.type: is missing; allowed: file",
        // rules between keys
        "data: {dir: /litefs/data}    | litefs.yml:1: data.dir: /litefs/data is inside the mount point /litefs (fuse.dir); choose a place outside",
        "tracing: {path: /litefs/t}   | litefs.yml:1: tracing.path: /litefs/t is inside the mount point /litefs (fuse.dir); choose a place outside",
        "proxy: {addr: ':1', db: a}   | litefs.yml:1: proxy.target: is missing; give the application's address, or remove proxy.addr to have no proxy",
        "proxy: {addr: ':1', target: ':2'} | litefs.yml:1: proxy.db: is missing; give the name of the application's database",
        "proxy: {addr: ':1', target: ':2', db: a/b} | litefs.yml:1: proxy.db: 'a/b' is no database; write the name of the file in the mount, without a directory",
        "proxy: {addr: ':20202', target: ':2', db: a} | litefs.yml:1: proxy.addr: is the same as http.addr; they need different ports",
        "proxy: {forward: maybe}      | litefs.yml:1: proxy.forward: 'maybe' is not known; allowed: auto, replay, proxy, off",
        "lease: {candidate: true}     | litefs.yml:1: lease.type: is missing; allowed: consul, static",
        "lease: {type: raft}          | litefs.yml:1: lease.type: 'raft' is not known; allowed: consul, static",
        "lease: {type: static, candidate: false} | litefs.yml:1: lease.advertise-url: is missing; a replica with a static lease needs the primary's, as in http://primary:20202",
        "lease: {type: static, advertise-url: 'node:20202'} | litefs.yml:1: lease.advertise-url: 'node:20202' is no URL of a server; write for example http://host:20202",
        "lease: {type: static, advertise-url: 'http://a b'} | litefs.yml:1: lease.advertise-url: 'http://a b' is no URL: Illegal character in authority",
        "lease: {type: static, candidate: false, advertise-url: 'https://p:20202'} | litefs.yml:1: lease.advertise-url: 'https://p:20202' is of no use to other nodes; write it as http://HOST:PORT",
        "lease: {type: consul, advertise-url: 'https://db1:20202', consul: {url: 'http://c', key: a}} | litefs.yml:1: lease.advertise-url: 'https://db1:20202' is of no use to other nodes; write it as http://HOST:PORT",
        "lease: {type: consul, hostname: db_1, consul: {url: 'http://c', key: a}} | litefs.yml:1: lease.hostname: 'db_1' is no name for a URL (letters, digits, '-' and '.' are allowed); set lease.advertise-url",
        "lease: {type: consul, hostname: 'db 1', consul: {url: 'http://c', key: a}} | litefs.yml:1: lease.hostname: 'db 1' is no name for a URL (letters, digits, '-' and '.' are allowed); set lease.advertise-url",
        "{proxy: {addr: ':1', target: ':2', db: a}, lease: {type: static, hostname: db_1}} | litefs.yml:1: lease.hostname: 'db_1' is no name for a URL (letters, digits, '-' and '.' are allowed); set lease.advertise-url",
        "lease: {type: static, databases: [a]} | litefs.yml:1: lease.databases: is only allowed with candidate: false; a candidate needs all databases",
        "lease: {type: static, on-timeout: panic} | litefs.yml:1: lease.on-timeout: 'panic' is not known; allowed: continue, fail",
        "lease: {type: consul, consul: {key: a}} | litefs.yml:1: lease.consul.url: is missing; give Consul's address, as in http://127.0.0.1:8500",
        "lease: {type: consul, consul: {url: 'http://c:8500'}} | litefs.yml:1: lease.consul.key: is missing; give a key of its own to each cluster, as in myapp/primary",
        "lease: {type: consul, consul: {url: 'http://c', key: a, ttl: 900ms}} | litefs.yml:1: lease.consul.ttl: is out of range; allowed are 1s to 24h, and at least Consul's session_ttl_min",
        "lease: {type: consul, consul: {url: 'http://c', key: a, lock-delay: 2m}} | litefs.yml:1: lease.consul.lock-delay: is out of range; Consul allows 0 to 60s",
      })
  void namesTheKeyAndWhatIsAllowed(String text, String expected) {
    assertThat(problems(text)).containsExactly(expected);
  }

  @Test
  void namesTheLineOfEachProblemInOrder() {
    assertThat(
            problems(
                """
                # a comment
                log:
                  format: xml
                fuse:
                  dir: /litefs
                  dir: /other

                data:
                  durability: none
                  retention: 5 minutes
                """))
        .satisfiesExactly(
            first -> assertThat(first).startsWith("litefs.yml:3: log.format: "),
            second ->
                assertThat(second)
                    .isEqualTo("litefs.yml:6: fuse.dir: is here twice; keep one of them"),
            third -> assertThat(third).startsWith("litefs.yml:9: data.durability: "),
            fourth -> assertThat(fourth).startsWith("litefs.yml:10: data.retention: "));
  }

  @Test
  void countsLinesInTheFileNotInTheExpandedText() {
    assertThat(problems("exec: '$MANY'\nlog:\n  format: xml\n", Map.of("MANY", "a\n\n\nb")))
        .singleElement()
        .asString()
        .startsWith("litefs.yml:3: log.format: ");
  }

  @Test
  void namesTheLineOfASyntaxError() {
    assertThat(problems("fuse:\n  dir: /a\n bad: x\n"))
        .singleElement()
        .asString()
        .startsWith("litefs.yml:3: is not valid YAML: ");
    assertThat(problems("a: b\n\tc: d\n"))
        .singleElement()
        .asString()
        .startsWith("litefs.yml:2: is not valid YAML: ");
    assertThat(problems("a: b\n\u0001\n"))
        .containsExactly("litefs.yml:2: has the character U+0001, which YAML forbids");
    assertThat(problems("a: b\n---\nc: d\n"))
        .singleElement()
        .asString()
        .contains("is not valid YAML: ");
  }

  @Test
  void refusesAnAliasThatContainsItselfWithoutFollowingIt() {
    assertThat(problems("exec: &a [*a]"))
        .containsExactly(
            "litefs.yml:1: exec: has a list in it; commands, or cmd: with if-candidate:, are allowed");
  }
}
