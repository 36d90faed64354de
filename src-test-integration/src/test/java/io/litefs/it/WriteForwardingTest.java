package io.litefs.it;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.litefs.it.sqlite.Driver;
import io.litefs.it.sqlite.Session;
import io.litefs.it.sqlite.SqliteError;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The halt lock: a replica writes for a while, and nothing diverges whatever breaks meanwhile. */
class WriteForwardingTest {

  private static final Duration LIMIT = Duration.ofSeconds(60);

  @RegisterExtension static final Nodes NODES = Nodes.of(3);

  private static String url(Node node) {
    return "http://127.0.0.1:" + node.port();
  }

  private static void create(Node primary, String db, JournalMode mode) {
    Commands.run(
            "sqlite3",
            primary.db(db).toString(),
            mode.pragma() + ";" + Sql.CREATE + ";" + Sql.insert(100, 300))
        .orThrow();
  }

  /** A halt lock that a replica holds for as long as this is open. */
  private static final class Hold implements AutoCloseable {
    private final InputStream body;
    private final Node node;
    private final String id;

    Hold(Node node, String db) {
      this.node = node;
      HttpResponse<InputStream> response = node.http().openPost("/litefs/hold?name=" + db);
      body = response.body();
      String line = line();
      assertThat(response.statusCode()).as(line).isEqualTo(200);
      id = line.replaceAll("\\D", "");
    }

    /** The next line of the answer; empty at its end. */
    String line() {
      try {
        StringBuilder line = new StringBuilder();
        for (int b = body.read(); b >= 0 && b != '\n'; b = body.read()) {
          line.append((char) b);
        }
        return line.toString();
      } catch (IOException e) {
        return "";
      }
    }

    @Override
    public void close() throws IOException {
      if (node.isRunning()) {
        node.http().call("DELETE", "/litefs/hold?id=" + id);
      }
      body.close();
    }
  }

  @ParameterizedTest
  @EnumSource(JournalMode.class)
  void aReplicaWritesWhileItHoldsTheLock(JournalMode mode) throws Exception {
    String db = "written-" + mode;
    create(NODES.primary(), db, mode);
    Position before = NODES.cluster().assertIdentical(db);
    try (Session reader = Driver.SHELL.open(NODES.primary().db(db));
        Hold hold = new Hold(NODES.replica(), db)) {
      try (Session writer = Driver.SHELL.open(NODES.replica().db(db))) {
        for (int i = 0; i < 20; i++) {
          writer.run("INSERT INTO t(a) VALUES (" + i + ")");
          // Not "soon": the primary has it before the writer is told.
          assertThat(reader.value("SELECT count(*) FROM t")).isEqualTo(Integer.toString(101 + i));
        }
        writer.runAll("BEGIN", "DELETE FROM t", "ROLLBACK");
        writer.run("VACUUM");
        writer.run("UPDATE t SET a = a + 1 WHERE id > 50");
      }
      assertThat(NODES.replica().pos(db)).isEqualTo(NODES.primary().pos(db));
      assertThat(NODES.primary().pos(db).txid()).isGreaterThanOrEqualTo(before.txid() + 21);
    }
    NODES.cluster().assertIdentical(db);
    assertThat(
            Commands.run("sqlite3", NODES.replica().db(db).toString(), "INSERT INTO t(a) VALUES(1)")
                .output())
        .contains("readonly");
    Commands.run("sqlite3", NODES.primary().db(db).toString(), "INSERT INTO t(a) VALUES (1)")
        .orThrow();
    NODES.cluster().assertIdentical(db);
  }

  @ParameterizedTest
  @EnumSource(JournalMode.class)
  void thePrimarysOwnWritersWaitAndItsReadersDoNot(JournalMode mode) throws Exception {
    String db = "halted-" + mode;
    create(NODES.primary(), db, mode);
    NODES.cluster().sync(db);
    try (Hold hold = new Hold(NODES.replica(), db);
        Session other = Driver.SHELL.open(NODES.primary().db(db))) {
      other.run(".timeout 0");
      assertThat(other.value("SELECT count(*) FROM t")).isEqualTo("100");
      assertThatThrownBy(() -> other.run("INSERT INTO t(a) VALUES (1)"))
          .isInstanceOf(SqliteError.class)
          .hasMessageContaining("locked");
      for (String script :
          List.of("rm '" + NODES.primary().db(db) + "'", ": > '" + NODES.primary().db(db) + "'")) {
        assertThat(Commands.shell(script).exitCode()).as(script).isNotZero();
      }
    }
    Commands.run("sqlite3", NODES.primary().db(db).toString(), "INSERT INTO t(a) VALUES (1)")
        .orThrow();
    NODES.cluster().assertIdentical(db);
  }

  @Test
  void theApiGivesRenewsAndTakesBackTheLock(@TempDir Path dir) throws Exception {
    create(NODES.primary(), "api", JournalMode.WAL);
    Position pos = NODES.cluster().sync("api");
    Http primary = NODES.primary().http();
    HttpResponse<String> grant = primary.call("POST", "/halt?name=api&id=7");
    assertThat(grant.statusCode()).as(grant.body()).isEqualTo(200);
    assertThat(grant.body())
        .matches(
            "\\{\"id\":7,\"pos\":\\{\"TXID\":\"%s\",\"PostApplyChecksum\":\"%s\"\\},"
                    .formatted(pos.toString().substring(0, 16), pos.toString().substring(17))
                + "\"expires\":\"[-0-9]{10}T[:0-9]{8}(\\.\\d+)?Z\"\\}\\n");
    assertThat(primary.call("POST", "/halt?name=api&id=7").statusCode()).isEqualTo(200);
    Path junk = Files.write(dir.resolve("junk"), "junk".repeat(100).getBytes());
    assertThat(primary.post("/tx?name=api&lockID=7", junk).statusCode()).isEqualTo(400);
    Path foreign = dir.resolve("foreign.ltx");
    Files.copy(
        NODES.primary().backing("api", "ltx").resolve(NODES.primary().ltxFiles("api").get(0)),
        foreign);
    // In the log already: accepted again. Without the lock, nothing else is.
    assertThat(primary.post("/tx?name=api&lockID=8", foreign).statusCode()).isEqualTo(200);
    assertThat(primary.call("DELETE", "/halt?name=api&id=8").statusCode()).isEqualTo(200);
    assertThat(
            Commands.shell(
                    "sqlite3 -cmd '.timeout 0' '"
                        + NODES.primary().db("api")
                        + "' 'INSERT INTO t(a) VALUES (1)'")
                .output())
        .contains("locked");
    assertThat(NODES.replica().http().openPost("/litefs/hold?name=api").statusCode())
        .isEqualTo(409);
    assertThat(primary.call("DELETE", "/halt?name=api&id=7").statusCode()).isEqualTo(200);
    Commands.run("sqlite3", NODES.primary().db("api").toString(), "INSERT INTO t(a) VALUES (1)")
        .orThrow();
    assertThat(primary.call("POST", "/halt?name=absent&id=7").statusCode()).isEqualTo(404);
    assertThat(primary.call("POST", "/halt?name=api&id=x").statusCode()).isEqualTo(400);
    assertThat(primary.call("POST", "/halt?name=api").statusCode()).isEqualTo(400);
    assertThat(primary.call("GET", "/halt?name=api&id=7").statusCode()).isEqualTo(405);
    assertThat(NODES.replica().http().call("POST", "/halt?name=api&id=7").statusCode())
        .isEqualTo(503);
    NODES.cluster().assertIdentical("api");
  }

  @ParameterizedTest
  @EnumSource(
      value = JournalMode.class,
      names = {"DELETE", "WAL"})
  void runHoldsTheLockForACommand(JournalMode mode) throws Exception {
    String db = "run-" + mode;
    create(NODES.primary(), db, mode);
    NODES.cluster().sync(db);
    String file = NODES.replica().db(db).toString();
    Commands.Result written =
        run(NODES.replica(), "-with-halt-lock-on", db, "--", "sqlite3", file, Sql.insert(50, 100));
    assertThat(written.exitCode()).as(written.output()).isZero();
    assertThat(NODES.replica().pos(db)).isEqualTo(NODES.primary().pos(db));
    assertThat(
            run(NODES.replica(), "-with-halt-lock-on", db, "--", "sh", "-c", "exit 7").exitCode())
        .isEqualTo(7);
    assertThat(
            run(NODES.replica(), "-with-halt-lock-on", db, "--", "sh", "-c", "kill -9 $$")
                .exitCode())
        .isEqualTo(137);
    // On the primary there is nothing to take.
    Commands.Result there =
        run(
            NODES.primary(),
            "-with-halt-lock-on",
            db,
            "--",
            "sqlite3",
            NODES.primary().db(db).toString(),
            "INSERT INTO t(a) VALUES (1)");
    assertThat(there.exitCode()).as(there.output()).isZero();
    NODES.cluster().assertIdentical(db);
  }

  @Test
  void runSaysWhyItDoesNotRun() {
    assertThat(run(NODES.replica(), "--", "/no/such/command").exitCode()).isEqualTo(127);
    assertThat(run(NODES.replica(), "-if-candidate", "--", "false").exitCode()).isZero();
    assertThat(run(NODES.primary(), "-if-candidate", "--", "false").exitCode()).isEqualTo(1);
    assertThat(run(NODES.replica()).exitCode()).isEqualTo(2);
    Commands.Result absent = run(NODES.replica(), "-with-halt-lock-on", "absent", "--", "true");
    assertThat(absent.exitCode()).isEqualTo(1);
    assertThat(absent.output().strip()).contains("absent").doesNotContain("\n");
  }

  @Test
  void runPassesSignalsOnAndGivesTheLockBack() throws Exception {
    create(NODES.primary(), "signals", JournalMode.WAL);
    NODES.cluster().sync("signals");
    List<String> command = new ArrayList<>(Node.launcher());
    command.addAll(
        List.of("run", "-url", url(NODES.replica()), "-with-halt-lock-on", "signals", "--"));
    command.addAll(
        List.of("sh", "-c", "trap 'exit 9' TERM; echo ready; while :; do sleep 0.05; done"));
    ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
    builder.environment().putAll(Node.launcherEnvironment());
    Process process = builder.start();
    Reaper.process(process.pid());
    assertThat(process.inputReader().readLine()).isEqualTo("ready");
    process.destroy();
    assertThat(process.waitFor(30, TimeUnit.SECONDS)).isTrue();
    assertThat(process.exitValue()).isEqualTo(9);
    Reaper.processGone(process.pid());
    new Hold(NODES.replica(), "signals").close();
  }

  private static Commands.Result run(Node node, String... arguments) {
    List<String> all = new ArrayList<>(List.of("run", "-url", url(node)));
    all.addAll(List.of(arguments));
    return Node.litefs(LIMIT, all.toArray(new String[0]));
  }

  @ParameterizedTest
  @EnumSource(JournalMode.class)
  void aHolderThatIsKilledInATransactionLeavesNothing(JournalMode mode) throws Exception {
    String db = "killed-" + mode;
    create(NODES.primary(), db, mode);
    NODES.cluster().sync(db);
    Hold hold = new Hold(NODES.replica(), db);
    Session writer = Driver.SHELL.open(NODES.replica().db(db));
    writer.runAll(
        "PRAGMA cache_size = 2",
        "INSERT INTO t(a) VALUES (1)",
        "DELETE FROM t WHERE id % 2",
        "BEGIN",
        "UPDATE t SET a = -1",
        Sql.insert(500, 500));
    Position committed = NODES.primary().pos(db);
    writer.kill();
    hold.close();
    // The lock is free at once, and what was not committed is gone.
    Commands.run("sqlite3", NODES.primary().db(db).toString(), "INSERT INTO t(a) VALUES (2)")
        .orThrow();
    assertThat(NODES.cluster().assertIdentical(db).txid()).isEqualTo(committed.txid() + 1);
  }

  @ParameterizedTest
  @EnumSource(JournalMode.class)
  void aTransactionThatIsOpenWhenTheLockIsLostFailsAndIsUndone(JournalMode mode) throws Exception {
    String db = "lost-" + mode;
    create(NODES.primary(), db, mode);
    NODES.cluster().sync(db);
    Hold hold = new Hold(NODES.replica(), db);
    try (Session writer = Driver.SHELL.open(NODES.replica().db(db))) {
      writer.runAll(
          "PRAGMA cache_size = 2",
          "DELETE FROM t WHERE id % 2",
          "BEGIN",
          "UPDATE t SET a = -1",
          Sql.insert(500, 500));
      hold.close();
      // These wait on the replica until the transaction is over, and are not lost.
      for (int i = 0; i < 3; i++) {
        Commands.run("sqlite3", NODES.primary().db(db).toString(), "INSERT INTO t(a) VALUES (5)")
            .orThrow();
      }
      assertThatThrownBy(() -> writer.run("COMMIT")).isInstanceOf(SqliteError.class);
    }
    Commands.run("sqlite3", NODES.primary().db(db).toString(), "INSERT INTO t(a) VALUES (2)")
        .orThrow();
    NODES.cluster().assertIdentical(db);
    assertThat(
            Commands.run(
                    "sqlite3",
                    NODES.replica().db(db).toString(),
                    "SELECT count(*) FROM t WHERE a=-1")
                .output())
        .isEqualTo("0\n");
    try (Hold again = new Hold(NODES.replica(), db)) {
      Commands.run("sqlite3", NODES.replica().db(db).toString(), "INSERT INTO t(a) VALUES (3)")
          .orThrow();
    }
    NODES.cluster().assertIdentical(db);
  }

  /** Answers that get lost on their way to the replica, and what follows from that. */
  @ParameterizedTest
  @EnumSource(JournalMode.class)
  void anAnswerThatIsLostIsAskedForAgain(JournalMode mode) throws Exception {
    String db = "cut-" + mode;
    create(NODES.primary(), db, mode);
    try (Cutter cutter = new Cutter(NODES.primary().port());
        Node replica = Node.started("cut-replica", NodeConfig.replicaOf(cutter.port()))) {
      replica.awaitPos(db, NODES.primary().pos(db));
      try (Hold hold = new Hold(replica, db);
          Session writer = Driver.SHELL.open(replica.db(db))) {
        writer.run("INSERT INTO t(a) VALUES (1)");
        Position before = NODES.primary().pos(db);
        cutter.swallowAnswers(3);
        writer.run("INSERT INTO t(a) VALUES (2)");
        assertThat(NODES.primary().pos(db).txid()).isEqualTo(before.txid() + 1);
        assertThat(replica.pos(db)).isEqualTo(NODES.primary().pos(db));
        writer.run("INSERT INTO t(a) VALUES (3)");
        assertThat(replica.pos(db)).isEqualTo(NODES.primary().pos(db));
      }
      Commands.run("sqlite3", NODES.primary().db(db).toString(), "INSERT INTO t(a) VALUES (4)")
          .orThrow();
      replica.awaitPos(db, NODES.primary().pos(db));
      NODES.primary().export(db).assertSameBytes(replica.export(db));
    }
  }

  /** Forwards connections, and can drop what the server answers to a transaction. */
  private static final class Cutter implements AutoCloseable {
    private final ServerSocket server = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
    private final int target;
    private final List<Socket> sockets = new CopyOnWriteArrayList<>();
    private int swallow;

    Cutter(int target) throws IOException {
      this.target = target;
      thread(this::accept);
    }

    int port() {
      return server.getLocalPort();
    }

    /**
     * Cuts the next {@code count} connections with a transaction before the answer gets through.
     */
    synchronized void swallowAnswers(int count) {
      swallow = count;
    }

    private synchronized boolean swallows() {
      return swallow > 0 && swallow-- > 0;
    }

    private static void thread(Runnable work) {
      Thread thread = new Thread(work, "cutter");
      thread.setDaemon(true);
      thread.start();
    }

    private void accept() {
      while (!server.isClosed()) {
        try {
          Socket client = server.accept();
          Socket up = new Socket(InetAddress.getLoopbackAddress(), target);
          sockets.addAll(List.of(client, up));
          boolean[] cut = new boolean[1];
          thread(() -> pump(client, up, cut, true));
          thread(() -> pump(up, client, cut, false));
        } catch (IOException e) {
          return;
        }
      }
    }

    private void pump(Socket from, Socket to, boolean[] cut, boolean request) {
      byte[] buffer = new byte[65536];
      try (from;
          to) {
        for (int n = from.getInputStream().read(buffer);
            n > 0;
            n = from.getInputStream().read(buffer)) {
          String text =
              new String(buffer, 0, Math.min(n, 20), java.nio.charset.StandardCharsets.ISO_8859_1);
          synchronized (cut) {
            if (request && text.startsWith("POST /tx")) {
              cut[0] = swallows();
            } else if (!request && cut[0]) {
              return; // The primary has answered; nobody will hear.
            }
          }
          to.getOutputStream().write(buffer, 0, n);
          to.getOutputStream().flush();
        }
      } catch (IOException e) {
        // Closed by the other direction, or at the end.
      }
    }

    @Override
    public void close() throws IOException {
      server.close();
      for (Socket socket : sockets) {
        socket.close();
      }
    }
  }

  @Test
  void aNodeThatIsKilledWhileItHoldsOrGivesTheLockIsConsistentAfterwards() throws Exception {
    List<String> databases = List.of("dead-DELETE", "dead-WAL");
    try (Cluster cluster = Cluster.start(2)) {
      create(cluster.primary(), databases.get(0), JournalMode.DELETE);
      create(cluster.primary(), databases.get(1), JournalMode.WAL);
      // The holder dies in a transaction, with some committed before.
      List<Session> writers = writeUnderLock(cluster, databases, -1);
      List<Position> committed = databases.stream().map(cluster.primary()::pos).toList();
      cluster.replica().kill();
      writers.forEach(Session::kill);
      cluster.replica().start();
      for (int i = 0; i < databases.size(); i++) {
        String db = databases.get(i);
        assertThat(cluster.assertIdentical(db)).isEqualTo(committed.get(i));
      }
      // Nobody has given these locks back.
      databases.forEach(db -> awaitLock(cluster.primary(), db));

      // The primary dies: it does not remember the lock, and the transaction fails.
      writers = writeUnderLock(cluster, databases, -2);
      committed = databases.stream().map(cluster.primary()::pos).toList();
      cluster.primary().kill();
      cluster.primary().start();
      for (Session writer : writers) {
        assertThatThrownBy(() -> writer.run("COMMIT")).isInstanceOf(SqliteError.class);
        writer.close();
      }
      for (int i = 0; i < databases.size(); i++) {
        String db = databases.get(i);
        Commands.run("sqlite3", cluster.primary().db(db).toString(), "INSERT INTO t(a) VALUES (3)")
            .orThrow();
        assertThat(cluster.assertIdentical(db).txid()).isEqualTo(committed.get(i).txid() + 1);
      }
    }
  }

  /** Commits a transaction on the replica and leaves another one open, with pages written. */
  private static List<Session> writeUnderLock(Cluster cluster, List<String> databases, int a) {
    List<Session> writers = new ArrayList<>();
    for (String db : databases) {
      cluster.sync(db);
      new Hold(cluster.replica(), db);
      Session writer = Driver.SHELL.open(cluster.replica().db(db));
      writer.runAll("PRAGMA cache_size = 2", "DELETE FROM t WHERE id % 7 = 0", "BEGIN");
      writer.runAll("UPDATE t SET a = " + a, Sql.insert(500, 500));
      writers.add(writer);
    }
    return writers;
  }

  /** The lock of a dead holder expires by itself. */
  private static void awaitLock(Node primary, String db) {
    String query = "/halt?name=" + db + "&id=5";
    Await.until(
        "the lock on " + db + " expires",
        () -> primary.http().call("POST", query).statusCode() == 200);
    primary.http().call("DELETE", query);
  }
}
