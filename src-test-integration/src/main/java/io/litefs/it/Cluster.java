package io.litefs.it;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.List;
import java.util.function.UnaryOperator;

/** A primary and its replicas under a static lease, and what must hold between them. */
public final class Cluster implements AutoCloseable {

  private final List<Node> nodes = new ArrayList<>();

  private Cluster() {}

  public static Cluster start(int size) {
    return start(size, UnaryOperator.identity());
  }

  /** Starts {@code size} nodes; {@code change} may alter each one's configuration. */
  public static Cluster start(int size, UnaryOperator<NodeConfig> change) {
    Cluster cluster = new Cluster();
    try {
      cluster.nodes.add(Node.started("primary", change.apply(NodeConfig.primary())));
      for (int i = 1; i < size; i++) {
        cluster.addReplica(change.apply(NodeConfig.replicaOf(cluster.primary().port())));
      }
      return cluster;
    } catch (Throwable e) {
      cluster.close();
      throw e;
    }
  }

  public Node addReplica(NodeConfig config) {
    Node node = Node.started("replica", config);
    nodes.add(node);
    return node;
  }

  public Node addReplica() {
    return addReplica(NodeConfig.replicaOf(primary().port()));
  }

  public Node primary() {
    return nodes.get(0);
  }

  public Node replica() {
    return nodes.get(1);
  }

  public List<Node> nodes() {
    return List.copyOf(nodes);
  }

  public List<Node> replicas() {
    return nodes.subList(1, nodes.size());
  }

  /** Waits until every replica has the primary's position of {@code db}; returns it. */
  public Position sync(String db) {
    Position pos = primary().pos(db);
    for (Node replica : replicas()) {
      replica.awaitPos(db, pos);
    }
    return pos;
  }

  /**
   * Waits for the replicas, then requires of every node: the same position; an exported database
   * that has the position's checksum, passes integrity_check and is the same byte for byte; the
   * same contents through the mount, read by SQLite; with a rollback journal, the same bytes there.
   */
  public Position assertIdentical(String db) {
    Position pos = sync(db);
    DatabaseImage expected = primary().export(db);
    if (expected.checksum() != pos.checksum()) {
      throw new AssertionError(
          "primary: "
              + db
              + " is at "
              + pos
              + " but its export has checksum "
              + Long.toHexString(expected.checksum())
              + "; log:\n"
              + primary().log());
    }
    assertIntact(expected.file().toString());
    String contents = dump(expected.file().toString());
    boolean journalMode = isRollbackJournal(expected);
    for (Node node : nodes) {
      String where = (node == primary() ? "primary" : "replica " + nodes.indexOf(node)) + ": " + db;
      if (!node.pos(db).equals(pos)) {
        throw new AssertionError(where + " moved from " + pos + " to " + node.pos(db));
      }
      if (node != primary()) {
        DatabaseImage image = node.export(db);
        expected.assertSameBytes(image);
        image.delete();
      }
      assertIntact(node.db(db).toString());
      if (!dump(node.db(db).toString()).equals(contents)) {
        throw new AssertionError(
            where + " reads differently through the mount and from its export");
      }
      if (journalMode && !hasWal(node, db)) {
        expected.assertSameBytes(new DatabaseImage(node.db(db)));
        expected.assertSameBytes(new DatabaseImage(node.backing(db, "database")));
      }
    }
    expected.delete();
    return pos;
  }

  /** Waits until the database is dropped everywhere: no file of it in the mount, no export. */
  public void assertDropped(String db) {
    for (Node node : nodes) {
      Await.until(
          db + " vanishes from " + node.mount() + " and is not exported",
          () -> {
            // A replica that has not even had it yet shows no file of it either, for a moment.
            for (String suffix : List.of("", "-journal", "-wal", "-shm")) {
              if (Files.exists(node.db(db + suffix))) {
                return false;
              }
            }
            return node.http().get("/export?name=" + Http.encode(db)).statusCode() == 404;
          });
    }
  }

  private static void assertIntact(String file) {
    String check =
        Commands.run("sqlite3", file, "PRAGMA integrity_check").orThrow().output().strip();
    if (!check.equals("ok")) {
      throw new AssertionError(file + ": " + check);
    }
  }

  /** Digest of what SQLite reads: the text of a large database is larger than our heap. */
  private static String dump(String file) {
    return Commands.run("sh", "-c", "sqlite3 \"$1\" .dump | sha256sum", "sh", file)
        .orThrow()
        .output();
  }

  /**
   * Whether a replica still has connections in WAL mode to a database whose header no longer asks
   * for it: what is new is in the WAL then.
   */
  private static boolean hasWal(Node node, String db) {
    try {
      return Files.size(node.db(db + "-wal")) > 0;
    } catch (java.nio.file.NoSuchFileException e) {
      return false;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static boolean isRollbackJournal(DatabaseImage image) {
    try (var in = Files.newInputStream(image.file())) {
      byte[] header = in.readNBytes(20);
      return new String(header, 0, 15, UTF_8).equals("SQLite format 3") && header[18] == 1;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** What every node logged since its start; for failures. */
  public String logs() {
    StringBuilder all = new StringBuilder();
    for (Node node : nodes) {
      all.append("---- ")
          .append(node.home().getFileName())
          .append('\n')
          .append(node.log())
          .append('\n');
    }
    return all.toString();
  }

  @Override
  public void close() {
    for (int i = nodes.size() - 1; i >= 0; i--) {
      nodes.get(i).close();
    }
  }
}
