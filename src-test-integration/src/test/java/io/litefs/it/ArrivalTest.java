package io.litefs.it;

import static org.assertj.core.api.Assertions.assertThat;

import io.litefs.it.sqlite.Driver;
import io.litefs.it.sqlite.Session;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Databases that arrive by plain file operations, and files that are no databases. */
class ArrivalTest {

  @RegisterExtension static final Nodes NODES = Nodes.of(2);

  @TempDir private static Path dir;

  @BeforeAll
  static void makeDatabases() {
    make("plain.db", "PRAGMA page_size = 4096", 2000, 500);
    make("wal.db", "PRAGMA journal_mode = WAL", 300, 300);
    make("small-pages.db", "PRAGMA page_size = 512", 300, 300);
    make("large-pages.db", "PRAGMA page_size = 65536", 300, 300);
    make("large.db", "PRAGMA page_size = 4096", 20_000, 1000);
  }

  private static void make(String name, String pragma, int rows, int bytes) {
    Commands.run(
            "sqlite3",
            dir.resolve(name).toString(),
            pragma + ";" + Sql.CREATE + ";" + Sql.insert(rows, bytes))
        .orThrow();
  }

  /** Shell script per way of arriving: $1 is the source, $2 the file in the mount. */
  static Stream<String> ways() {
    return Stream.of(
        "cp \"$1\" \"$2\"",
        "cat \"$1\" > \"$2\"",
        "dd if=\"$1\" of=\"$2\" bs=1000 status=none",
        "dd if=\"$1\" of=\"$2\" bs=1M conv=fsync status=none",
        "rsync \"$1\" \"$2\"",
        "rsync --inplace \"$1\" \"$2\"",
        "cp \"$1\" \"$2.tmp\" && mv \"$2.tmp\" \"$2\"",
        "sqlite3 \"$1\" \".backup '$2'\"",
        "sqlite3 \"$2\" \".restore '$1'\"",
        "rm -f \"$2\"; sqlite3 \"$1\" \"VACUUM INTO '$2'\"",
        "python3 -c 'import shutil, sys; shutil.copyfile(sys.argv[1], sys.argv[2])' \"$1\" \"$2\"");
  }

  private static Commands.Result bring(String way, Path from, Path to) {
    return Commands.run(
        Await.LONG,
        java.util.Map.of(),
        List.of("sh", "-ec", way, "sh", from.toString(), to.toString()));
  }

  @ParameterizedTest
  @MethodSource("ways")
  void aDatabaseArrivesAndReplacesAnother(String way) throws Exception {
    assertThat(!way.startsWith("rsync") || Commands.installed("rsync"))
        .as("rsync is installed")
        .isTrue();
    String db = "arrived-" + Integer.toHexString(way.hashCode()) + ".db";
    // SQLite's backup cannot change the page size of a database in WAL mode; files can.
    List<String> sources =
        way.contains(".backup") || way.contains(".restore")
            ? List.of("plain.db", "small-pages.db", "large-pages.db", "plain.db", "wal.db")
            : List.of("plain.db", "small-pages.db", "wal.db", "large-pages.db", "plain.db");
    for (String source : sources) {
      assertThat(bring(way, dir.resolve(source), NODES.primary().db(db)).orThrow().output())
          .isEmpty();
      NODES.cluster().assertIdentical(db);
      assertThat(count(NODES.replica().db(db))).as(source).isEqualTo(count(dir.resolve(source)));
      Commands.run("sqlite3", NODES.primary().db(db).toString(), "INSERT INTO t(a) VALUES (-1)")
          .orThrow();
      NODES.cluster().assertIdentical(db);
      assertThat(count(NODES.replica().db(db))).isEqualTo(count(dir.resolve(source)) + 1);
    }
  }

  private static int count(Path db) {
    return Integer.parseInt(
        Commands.run("sqlite3", db.toString(), "SELECT count(*) FROM t")
            .orThrow()
            .output()
            .strip());
  }

  @Test
  void aCopiedDatabaseIsOneTransactionWithTheSameBytes() throws Exception {
    Commands.run(
            "cp", dir.resolve("large.db").toString(), NODES.primary().db("copied.db").toString())
        .orThrow();
    assertThat(NODES.primary().pos("copied.db").txid()).isEqualTo(1);
    new DatabaseImage(dir.resolve("large.db"))
        .assertSameBytes(new DatabaseImage(NODES.primary().db("copied.db")));
    NODES.cluster().sync("copied.db");
    new DatabaseImage(dir.resolve("large.db"))
        .assertSameBytes(new DatabaseImage(NODES.replica().db("copied.db")));
  }

  @Test
  void anOpenConnectionSeesTheDatabaseThatReplacedItsOwn() {
    for (Node reader : NODES.cluster().nodes()) {
      String db = "replaced-at-" + (reader == NODES.primary() ? "primary" : "replica");
      Commands.run(
              "cp", dir.resolve("small-pages.db").toString(), NODES.primary().db(db).toString())
          .orThrow();
      NODES.cluster().sync(db);
      try (Session session = Driver.SHELL.open(reader.db(db))) {
        assertThat(session.value("SELECT count(*) FROM t")).isEqualTo("300");
        Commands.run(
                "sqlite3",
                dir.resolve("plain.db").toString(),
                ".backup '" + NODES.primary().db(db) + "'")
            .orThrow();
        NODES.cluster().sync(db);
        assertThat(session.value("SELECT count(*) FROM t")).isEqualTo("2000");
        assertThat(session.value("PRAGMA integrity_check")).isEqualTo("ok");
      }
    }
  }

  @Test
  void aFileThatIsNoDatabaseIsRefusedWithAnInputOutputErrorAndALogLine() throws Exception {
    Path junk = Files.writeString(dir.resolve("junk"), "This is no database.\n".repeat(1000));
    Commands.Result result =
        Commands.run("cp", junk.toString(), NODES.primary().db("junk.db").toString());
    assertThat(result.exitCode()).isNotZero();
    assertThat(result.output()).contains("Input/output error");
    assertThat(NODES.primary().log()).contains("junk.db");
    assertNothingIsBroken("after-junk.db");
    Commands.run("rm", "-f", NODES.primary().db("junk.db").toString()).orThrow();
    assertThat(NODES.primary().db("junk.db")).doesNotExist();
  }

  static Stream<Arguments> refusedFiles() {
    return Stream.of("junk", "truncated", "header-only", "not-whole-pages", "wrong-page-size")
        .flatMap(
            kind ->
                Stream.of(
                        "cp \"$1\" \"$2\"",
                        "cat \"$1\" > \"$2\"",
                        "dd if=\"$1\" of=\"$2\" bs=1000 conv=notrunc status=none")
                    // Without truncation the end of the previous file stays, and these are the
                    // previous database again.
                    .filter(
                        way ->
                            !way.contains("notrunc")
                                || !List.of("truncated", "header-only", "not-whole-pages")
                                    .contains(kind))
                    .map(way -> Arguments.of(kind, way)));
  }

  @ParameterizedTest
  @MethodSource("refusedFiles")
  void aRefusedFileLeavesThePreviousDatabaseUntouched(String kind, String way) throws Exception {
    String db = "kept-" + kind + "-" + way.substring(0, 3).strip();
    Commands.run("cp", dir.resolve("plain.db").toString(), NODES.primary().db(db).toString())
        .orThrow();
    Position before = NODES.cluster().assertIdentical(db);

    byte[] bytes = Files.readAllBytes(dir.resolve("plain.db"));
    switch (kind) {
      case "junk" -> bytes = "junk".repeat(5000).getBytes();
      case "truncated" -> bytes = java.util.Arrays.copyOf(bytes, bytes.length / 8192 * 4096);
      case "header-only" -> bytes = java.util.Arrays.copyOf(bytes, 100);
      case "not-whole-pages" -> bytes = java.util.Arrays.copyOf(bytes, bytes.length - 1000);
      default -> bytes[16] = 3;
    }
    Path bad = Files.write(dir.resolve("bad-" + kind), bytes);
    Commands.Result result = bring(way, bad, NODES.primary().db(db));
    assertThat(result.exitCode()).isNotZero();
    assertThat(result.output()).contains("Input/output error");

    assertThat(NODES.cluster().assertIdentical(db)).isEqualTo(before);
    assertThat(count(NODES.primary().db(db))).isEqualTo(2000);
    Commands.run("sqlite3", NODES.primary().db(db).toString(), "DELETE FROM t WHERE a > 5")
        .orThrow();
    NODES.cluster().assertIdentical(db);
  }

  @Test
  void directoriesLinksAndSpecialFilesAreRefusedAndBreakNothing() throws IOException {
    String mount = NODES.primary().mount().toString();
    for (String script :
        List.of(
            "mkdir '" + mount + "/directory'",
            "ln -s /etc/passwd '" + mount + "/symlink'",
            "mkfifo '" + mount + "/fifo'",
            "ln '" + mount + "/linked.db' '" + mount + "/link.db'")) {
      Commands.run("cp", dir.resolve("wal.db").toString(), mount + "/linked.db").orThrow();
      Commands.Result result = Commands.shell(script);
      assertThat(result.exitCode()).as(script).isNotZero();
      assertThat(result.output()).as(script).contains("not permitted");
    }
    assertNothingIsBroken("after-directories.db");
  }

  private static void assertNothingIsBroken(String db) {
    Commands.run(
            "sqlite3", NODES.primary().db(db).toString(), Sql.CREATE + ";" + Sql.insert(10, 10))
        .orThrow();
    NODES.cluster().assertIdentical(db);
  }
}
