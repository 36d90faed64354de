package io.litefs.it;

import static org.assertj.core.api.Assertions.assertThat;

import io.litefs.it.net.StreamProbe;
import io.litefs.it.sqlite.LineSession;
import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

/** The primary's side of the stream as any replica may see it, and replicas that do not keep up. */
@Tag("alone")
class StreamTest {

  @RegisterExtension static final Nodes NODES = Nodes.of(2);

  private static final String SOME_ID = "0123456789ABCDEF";

  private static byte[] positions(Map<String, Position> map) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    DataOutputStream out = new DataOutputStream(bytes);
    out.writeInt(map.size());
    for (var entry : map.entrySet()) {
      byte[] name = entry.getKey().getBytes(java.nio.charset.StandardCharsets.UTF_8);
      out.writeInt(name.length);
      out.write(name);
      out.writeLong(entry.getValue().txid());
      out.writeLong(entry.getValue().checksum());
    }
    return bytes.toByteArray();
  }

  private static List<StreamProbe.Frame> untilReady(StreamProbe probe) throws IOException {
    List<StreamProbe.Frame> frames = new ArrayList<>();
    for (StreamProbe.Frame frame = probe.next(); frame.type() != 2; frame = probe.next()) {
      if (frame.type() == 1 || frame.type() == 4) {
        frames.add(frame);
      }
    }
    return frames;
  }

  private static long minTxid(StreamProbe.Frame frame) {
    return ByteBuffer.wrap(frame.content()).getLong(16);
  }

  private static long maxTxid(StreamProbe.Frame frame) {
    return ByteBuffer.wrap(frame.content()).getLong(24);
  }

  @Test
  void eachDatabaseIsSentAsItsPositionDemands() throws Exception {
    Map<String, Position> after1 = new TreeMap<>();
    for (String db : List.of("resume", "equal", "wrong", "ahead", "fresh")) {
      Commands.run("sqlite3", NODES.primary().db(db).toString(), Sql.CREATE).orThrow();
      after1.put(db, NODES.primary().pos(db));
      Commands.run("sqlite3", NODES.primary().db(db).toString(), Sql.insert(5, 100)).orThrow();
      Commands.run("sqlite3", NODES.primary().db(db).toString(), Sql.insert(5, 100)).orThrow();
    }
    Map<String, Position> map = new TreeMap<>();
    map.put("resume", after1.get("resume"));
    map.put("equal", NODES.primary().pos("equal"));
    map.put("wrong", new Position(NODES.primary().pos("wrong").txid(), 1L << 63 | 12345));
    map.put("ahead", new Position(1000, 1L << 63 | 12345));
    map.put("unknown", new Position(3, 1L << 63 | 12345));
    try (StreamProbe probe = new StreamProbe(NODES.primary().port(), SOME_ID, positions(map))) {
      assertThat(probe.status()).isEqualTo(200);
      Map<String, List<String>> sent = new TreeMap<>();
      for (StreamProbe.Frame frame : untilReady(probe)) {
        String what = frame.type() == 4 ? "drop" : minTxid(frame) + "-" + maxTxid(frame);
        sent.computeIfAbsent(frame.name(), n -> new ArrayList<>()).add(what);
      }
      assertThat(sent.get("resume")).containsExactly("2-2", "3-3");
      assertThat(sent.get("equal")).isNull();
      assertThat(sent.get("wrong")).containsExactly("1-3");
      assertThat(sent.get("ahead")).containsExactly("1-3");
      assertThat(sent.get("fresh")).isIn(List.of("1-3"), List.of("1-1", "2-2", "3-3"));
      assertThat(sent.get("unknown")).containsExactly("drop");

      Commands.run("sqlite3", NODES.primary().db("equal").toString(), Sql.insert(5, 100)).orThrow();
      StreamProbe.Frame next = probe.next();
      while (next.type() == 7 || next.type() == 6) {
        next = probe.next();
      }
      assertThat(next.name()).isEqualTo("equal");
      assertThat(minTxid(next)).isEqualTo(4);
      while (next.type() != 7) {
        next = probe.next();
      }
      assertThat(ByteBuffer.wrap(next.content()).getLong())
          .isBetween(System.currentTimeMillis() - 60_000, System.currentTimeMillis() + 1000);
    }
  }

  @Test
  void aNodeThatIsNotPrimaryServesNoStream() throws Exception {
    try (StreamProbe probe =
        new StreamProbe(NODES.replica().port(), SOME_ID, StreamProbe.emptyPositionMap())) {
      assertThat(probe.status()).isEqualTo(503);
    }
  }

  @Test
  void aNodeRefusesItsOwnId() throws Exception {
    String id = NODES.primary().http().get("/info").headers().firstValue("Litefs-Id").orElseThrow();
    assertThat(id).matches("[0-9A-F]{16}");
    try (StreamProbe probe =
        new StreamProbe(NODES.primary().port(), id, StreamProbe.emptyPositionMap())) {
      assertThat(probe.status()).isEqualTo(400);
    }
  }

  @Test
  void malformedPositionMapsAreRefusedAndCostNoMemory() throws Exception {
    long before = NODES.primary().heldBytes();
    for (byte[] map :
        List.of(
            new byte[0],
            new byte[3],
            new byte[] {127, -1, -1, -1},
            new byte[] {0, 0, 0, 1, 127, -1, -1, -1, 65},
            new byte[] {-1, -1, -1, -1})) {
      try (StreamProbe probe = new StreamProbe(NODES.primary().port(), SOME_ID, map)) {
        assertThat(probe.status()).isEqualTo(400);
      }
    }
    assertThat(NODES.primary().heldBytes()).isLessThan(before + (32L << 20));
  }

  @Test
  void aReplicaThatNeverReadsDelaysNoCommitAndTakesNoMemory() throws Exception {
    String db = "unread";
    try (LineSession writer = LineSession.jdbc(NODES.primary().db(db))) {
      writer.run("PRAGMA journal_mode = WAL");
      writer.run("PRAGMA synchronous = OFF");
      writer.run("CREATE TABLE t(id INTEGER PRIMARY KEY, b)");
      String sql = "INSERT OR REPLACE INTO t VALUES (? % 50, randomblob(50000))";
      writer.repeat(500, sql);
      long alone = writer.repeat(500, sql);
      long before = NODES.primary().heldBytes();
      List<StreamProbe> stuck = new ArrayList<>();
      try {
        for (int i = 0; i < 4; i++) {
          stuck.add(
              new StreamProbe(
                  NODES.primary().port(),
                  "00000000000000A" + i,
                  StreamProbe.emptyPositionMap(),
                  false));
        }
        long accompanied = writer.repeat(2000, sql) / 4;
        System.out.printf(
            "500 commits of 50 KB: %d ms alone, %d ms with stuck replicas%n",
            alone / 1_000_000, accompanied / 1_000_000);
        assertThat(NODES.primary().heldBytes()).isLessThan(before + (40L << 20));
        assertThat(accompanied).isLessThan(3 * alone + 500_000_000L);
        NODES.cluster().assertIdentical(db);
      } finally {
        for (StreamProbe probe : stuck) {
          probe.close();
        }
      }
    }
  }

  @Test
  void aStoppedReplicaDelaysNoCommitAndCatchesUpWhenItGoesOn() {
    String db = "stopped";
    try (LineSession writer = LineSession.jdbc(NODES.primary().db(db))) {
      writer.run("PRAGMA journal_mode = WAL");
      writer.run("PRAGMA synchronous = OFF");
      writer.run("CREATE TABLE t(id INTEGER PRIMARY KEY, b)");
      String sql = "INSERT OR REPLACE INTO t VALUES (? % 50, randomblob(20000))";
      writer.repeat(500, sql);
      NODES.cluster().sync(db);
      long alone = writer.repeat(500, sql);
      NODES.cluster().sync(db);
      long before = NODES.primary().heldBytes();
      NODES.replica().signal("STOP");
      try {
        long stuck = writer.repeat(3000, sql) / 6;
        assertThat(stuck).isLessThan(3 * alone + 500_000_000L);
        assertThat(NODES.primary().heldBytes()).isLessThan(before + (40L << 20));
      } finally {
        NODES.replica().signal("CONT");
      }
      NODES.cluster().assertIdentical(db);
    }
  }
}
