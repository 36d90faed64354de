package io.litefs.it;

import static org.assertj.core.api.Assertions.assertThat;

import io.litefs.it.net.FakePrimary;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * A replica whose primary breaks off or sends what it must not: nothing is applied, nothing is
 * lost, and the next stream mends it.
 */
class BrokenStreamTest {

  private static final String DB = "s.db";

  private static Node real;
  private static List<byte[]> files;
  private static DatabaseImage expected;
  private static Position position;

  @BeforeAll
  static void recordTransactions() throws IOException {
    real = Node.started("real", NodeConfig.primary());
    for (String sql : List.of(Sql.CREATE, Sql.insert(20, 500), "UPDATE t SET a = 2 * a")) {
      Commands.run("sqlite3", real.db(DB).toString(), sql).orThrow();
    }
    expected = real.export(DB);
    position = real.pos(DB);
    real.stop();
    files =
        real.ltxFiles(DB).stream()
            .map(name -> read(real.backing(DB, "ltx").resolve(name)))
            .toList();
    assertThat(files).hasSize(3);
  }

  private static byte[] read(Path file) {
    try {
      return Files.readAllBytes(file);
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }

  @AfterAll
  static void remove() {
    real.close();
  }

  private static byte[] flipped(byte[] file, int at) {
    byte[] changed = file.clone();
    changed[at] ^= 0x10;
    return changed;
  }

  private record Break(String what, FakePrimary.Script script) {
    @Override
    public String toString() {
      return what;
    }
  }

  /** How the stream breaks after the first transaction has arrived whole. */
  static Stream<Break> breaks() {
    byte[] first = FakePrimary.ltxFrame(DB, files.get(0));
    byte[] second = files.get(1);
    return Stream.of(
        new Break(
            "half a file, then the connection drops",
            (n, r) ->
                r.begin()
                    .send(first)
                    .send(FakePrimary.ltxFrame(DB, second, second.length / 2, false))
                    .hangUp()),
        new Break(
            "half a file, then the stream ends",
            (n, r) ->
                r.begin()
                    .send(first)
                    .send(FakePrimary.ltxFrame(DB, second, second.length / 2, false))
                    .end()),
        new Break(
            "half a file that claims to be whole",
            (n, r) ->
                r.begin()
                    .send(first)
                    .send(FakePrimary.ltxFrame(DB, second, second.length / 2, true))
                    .end()),
        new Break(
            "all but the last byte",
            (n, r) ->
                r.begin()
                    .send(first)
                    .send(FakePrimary.ltxFrame(DB, second, second.length - 1, true))
                    .end()),
        new Break(
            "no file at all",
            (n, r) -> r.begin().send(first).send(FakePrimary.ltxFrame(DB, second, 0, true)).end()),
        new Break(
            "a bit of a page turned over",
            (n, r) ->
                r.begin().send(first).send(FakePrimary.ltxFrame(DB, flipped(second, 200))).end()),
        new Break(
            "a bit of the header turned over",
            (n, r) ->
                r.begin().send(first).send(FakePrimary.ltxFrame(DB, flipped(second, 45))).end()),
        new Break(
            "a bit of the trailer turned over",
            (n, r) ->
                r.begin()
                    .send(first)
                    .send(FakePrimary.ltxFrame(DB, flipped(second, second.length - 9)))
                    .end()),
        new Break(
            "bytes after the trailer",
            (n, r) ->
                r.begin()
                    .send(first)
                    .send(FakePrimary.ltxFrame(DB, Arrays.copyOf(second, second.length + 5)))
                    .end()),
        new Break(
            "a transaction left out",
            (n, r) -> r.begin().send(first).send(FakePrimary.ltxFrame(DB, files.get(2))).end()),
        new Break("the same transaction twice", (n, r) -> r.begin().send(first).send(first).end()),
        new Break(
            "an unknown frame",
            (n, r) ->
                r.begin()
                    .send(first)
                    .send(FakePrimary.frame(out -> out.writeInt(99)))
                    .send(new byte[1000])
                    .end()),
        new Break(
            "a name of two gigabytes",
            (n, r) ->
                r.begin()
                    .send(first)
                    .send(
                        FakePrimary.frame(
                            out -> {
                              out.writeInt(1);
                              out.writeLong(0);
                              out.writeInt(Integer.MAX_VALUE);
                            }))
                    .send(new byte[1000])
                    .end()),
        new Break("nothing but the end", (n, r) -> r.begin().send(first).end()),
        new Break("a connection that drops at once", (n, r) -> r.begin().send(first).hangUp()));
  }

  /** Answers a position map honestly: what follows a known position, all of it otherwise. */
  private static void honest(FakePrimary.Response response) throws IOException {
    response.begin();
    byte[] map = response.requestBody();
    long txid =
        map.length == 4 + 4 + DB.length() + 16
            ? java.nio.ByteBuffer.wrap(map).getLong(4 + 4 + DB.length())
            : 0;
    for (int i = (int) txid; i < files.size(); i++) {
      response.send(FakePrimary.ltxFrame(DB, files.get(i)));
    }
    response.send(FakePrimary.readyFrame()).send(FakePrimary.heartbeatFrame());
  }

  @ParameterizedTest
  @MethodSource("breaks")
  void aBrokenStreamChangesNothingAndTheNextOneMendsIt(Break how) throws Exception {
    var whole = new java.util.concurrent.CountDownLatch(1);
    try (FakePrimary primary =
            new FakePrimary(
                (n, response) -> {
                  if (n == 0) {
                    how.script().answer(n, response);
                  } else {
                    whole.await();
                    honest(response);
                  }
                });
        Node replica = Node.started("replica", NodeConfig.replicaOf(primary.port()))) {
      Await.until(
          "the replica connects again, log:\n" + replica.log(), () -> primary.requests() >= 2);
      assertThat(replica.pos(DB).txid()).isEqualTo(1);
      assertThat(replica.export(DB).checksum()).isEqualTo(replica.pos(DB).checksum());
      assertThat(
              Commands.run("sqlite3", replica.db(DB).toString(), "SELECT count(*) FROM t")
                  .orThrow()
                  .output())
          .isEqualTo("0\n");

      whole.countDown();
      replica.awaitPos(DB, position);
      replica.export(DB).assertSameBytes(expected);
      assertThat(replica.log()).doesNotContain("\tat ");
      assertThat(replica.residentBytes()).isLessThan(200L << 20);
      assertThat(replica.stop()).isZero();
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "../evil.db",
        "/tmp/evil.db",
        "a/evil.db",
        "..",
        ".",
        "",
        "nul\0.db",
        "s.db-pos",
        "s.db-wal",
        ".primary",
        ".lag"
      })
  void aNameThatIsNoneOfADatabaseIsRefused(String name) throws Exception {
    try (FakePrimary primary =
            new FakePrimary(
                (n, response) -> {
                  if (n == 0) {
                    response
                        .begin()
                        .send(FakePrimary.ltxFrame(name, files.get(0)))
                        .send(FakePrimary.readyFrame())
                        .end();
                  } else {
                    honest(response);
                  }
                });
        Node replica = Node.started("replica", NodeConfig.replicaOf(primary.port()))) {
      Await.until("the replica connects again", () -> primary.requests() >= 2);
      replica.awaitPos(DB, position);
      try (Stream<Path> found = Files.walk(replica.home())) {
        assertThat(found.map(f -> f.getFileName().toString())).doesNotContain("evil.db");
      }
      assertThat(Path.of("/tmp/evil.db")).doesNotExist();
      assertThat(Commands.run("ls", "-la", replica.mount().toString()).orThrow().output())
          .contains(DB);
      replica.export(DB).assertSameBytes(expected);
      assertThat(replica.log()).doesNotContain("\tat ");
      assertThat(replica.stop()).isZero();
    }
  }

  @Test
  void aServerThatSpeaksNoHttp2IsReportedAndAskedAgain() throws Exception {
    try (java.net.ServerSocket server =
            new java.net.ServerSocket(0, 10, java.net.InetAddress.getLoopbackAddress());
        Node replica = Node.create("replica", NodeConfig.replicaOf(server.getLocalPort()))) {
      var connections = new java.util.concurrent.atomic.AtomicInteger();
      Thread acceptor =
          new Thread(
              () -> {
                try {
                  while (true) {
                    try (var socket = server.accept()) {
                      connections.incrementAndGet();
                      socket
                          .getOutputStream()
                          .write(
                              "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n".getBytes());
                    }
                  }
                } catch (IOException e) {
                  // The test is over.
                }
              });
      acceptor.setDaemon(true);
      acceptor.start();
      replica.start();
      Await.until("the replica asks again", () -> connections.get() >= 3);
      assertThat(replica.log())
          .contains(Integer.toString(server.getLocalPort()))
          .doesNotContain("\tat ");
      assertThat(replica.stop()).isZero();
    }
  }
}
