package io.litefs.daemon.status;

import io.litefs.ltx.Pos;
import java.net.URI;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;

/**
 * What a node is and has, at one moment: what the status page, the JSON and {@code litefs status}
 * show, each in its own form.
 *
 * @param time that moment
 * @param lagMillis how far behind the primary; empty if it was never in sync. 0 on the primary
 * @param primary who is primary, this node included; empty if none is known
 */
record NodeStatus(
    Instant time,
    Node node,
    LeaseStatus lease,
    Optional<Primary> primary,
    OptionalLong lagMillis,
    List<DatabaseStatus> databases,
    List<Quarantined> quarantine,
    List<Replica> replicas,
    History.Series history,
    List<EventLog.Event> events) {

  /**
   * The node itself.
   *
   * @param id 16 hex digits
   * @param role in lower case: primary, replica, searching, handing over, demoted
   * @param roleSince when that began
   * @param clusterId empty if it belongs to none yet
   * @param transport what carries the kernel's requests
   */
  record Node(
      String id,
      String hostname,
      String version,
      Instant started,
      String role,
      Instant roleSince,
      boolean candidate,
      String clusterId,
      Path mount,
      Path dataDir,
      String transport) {}

  /** The primary; its page is at {@code url/litefs/status}. */
  record Primary(String hostname, URI url) {}

  /**
   * A database that exists.
   *
   * @param walMode whether its header asks for a WAL
   * @param lastTransactionMillis ms since the epoch; 0 if unknown
   * @param commits transactions since the daemon started
   */
  record DatabaseStatus(
      String name,
      long pages,
      int pageSize,
      boolean walMode,
      Pos pos,
      long lastTransactionMillis,
      long commits,
      long ltxFiles,
      long ltxBytes,
      List<NamedLock> locks,
      Optional<Waiting> waiting,
      List<String> notes) {

    long bytes() {
      return pages * pageSize;
    }
  }

  /**
   * A lock of SQLite's on a database.
   *
   * @param name as in SQLite's sources: SHARED, RESERVED, WAL_WRITE, WAL_READ0, ...
   * @param exclusive whether nobody else can hold it at the same time
   * @param waiting whether the process waits for it
   * @param pid -1 for the daemon's own
   */
  record NamedLock(String name, boolean exclusive, boolean waiting, int pid, String command) {

    /** Who it is, for people. */
    String who() {
      if (pid == -1) {
        return "litefs itself";
      }
      return command.isEmpty() ? "pid " + pid : command + " (" + pid + ")";
    }
  }

  /** A transaction of the primary's that waits for an application; who that is, if known. */
  record Waiting(String txid, Instant since, String holder) {}

  /** A database that is not served. */
  record Quarantined(String name, Instant since, Path path, String reason) {}

  /** A connected replica. */
  record Replica(
      String id,
      String hostname,
      String address,
      Instant since,
      boolean ready,
      long bytesSent,
      List<ReplicaPosition> databases) {

    long transactionsBehind() {
      return databases.stream().mapToLong(ReplicaPosition::transactions).sum();
    }

    long bytesBehind() {
      return databases.stream().mapToLong(ReplicaPosition::bytes).sum();
    }

    /** Of the database that is furthest behind. */
    long millisBehind() {
      return databases.stream().mapToLong(ReplicaPosition::millis).max().orElse(0);
    }
  }

  /**
   * Where a replica is with one database.
   *
   * @param pos what it has been sent; empty if nothing
   * @param transactions how many it lacks
   * @param bytes their size
   * @param millis age of the oldest of them; 0 if it lacks none
   */
  record ReplicaPosition(
      String database, Optional<Pos> pos, long transactions, long bytes, long millis) {}

  Duration uptime() {
    return Duration.between(node.started(), time);
  }
}
