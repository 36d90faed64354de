package io.litefs.replication;

import io.litefs.ltx.Pos;
import io.litefs.ltx.Txid;
import java.time.Duration;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.BinaryOperator;
import java.util.function.Consumer;
import java.util.function.Predicate;

/**
 * What the connected replicas have said that they hold, and a place to wait for it. Replicas of
 * this implementation tell it on the body of their stream's request; others never do, and do not
 * count.
 *
 * <p>Thread-safe.
 */
public final class Acknowledgements {

  /** A node that has just connected anew may have two streams. */
  private static final BinaryOperator<Pos> LATER =
      BinaryOperator.maxBy(Comparator.comparing(Pos::txid));

  private final ReentrantLock lock = new ReentrantLock();
  private final Condition changed = lock.newCondition();

  /** By stream. Guarded by lock. */
  private final Map<Object, Replica> replicas = new HashMap<>();

  private static final class Replica {
    final long nodeId;
    final Predicate<String> wants;
    final Map<String, Pos> positions = new HashMap<>();

    /** Whether it has said that it holds all that existed when it connected. */
    boolean inSync;

    Replica(long nodeId, Predicate<String> wants) {
      this.nodeId = nodeId;
      this.wants = wants;
    }

    boolean holds(String database, Pos pos) {
      Pos held = positions.get(database);
      return held != null && (held.equals(pos) || held.txid().compareTo(pos.txid()) > 0);
    }
  }

  /** How many replicas hold a database's transaction. */
  public int count(String database, Pos pos) {
    return count(replica -> replica.holds(database, pos));
  }

  /** Where a node has said that it is, by database; empty if it says nothing of that kind. */
  public Map<String, Pos> positions(long nodeId) {
    lock.lock();
    try {
      Map<String, Pos> positions = new HashMap<>();
      for (Replica replica : replicas.values()) {
        if (replica.nodeId == nodeId) {
          replica.positions.forEach((database, pos) -> positions.merge(database, pos, LATER));
        }
      }
      return positions;
    } finally {
      lock.unlock();
    }
  }

  /** How many replicas that acknowledge are in sync and want the database. */
  public int inSync(String database) {
    return count(replica -> replica.inSync && replica.wants.test(database));
  }

  private int count(Predicate<Replica> condition) {
    lock.lock();
    try {
      Set<Long> nodes = new HashSet<>();
      replicas.values().stream().filter(condition).forEach(replica -> nodes.add(replica.nodeId));
      return nodes.size();
    } finally {
      lock.unlock();
    }
  }

  /**
   * Waits until {@code wanted} replicas hold a transaction.
   *
   * @return false if they do not within {@code timeout}
   */
  public boolean await(String database, Pos pos, int wanted, Duration timeout)
      throws InterruptedException {
    return await(replica -> replica.holds(database, pos), wanted, timeout);
  }

  /** As the other, for any position of this TXID or a later one. */
  public boolean await(String database, Txid txid, int wanted, Duration timeout)
      throws InterruptedException {
    return await(
        replica -> {
          Pos held = replica.positions.get(database);
          return held != null && held.txid().compareTo(txid) >= 0;
        },
        wanted,
        timeout);
  }

  /**
   * Waits until a node holds a TXID of a database, or a later one. Does not wait for one that has
   * said nothing of that database, or is gone.
   *
   * @return false if it does not within {@code timeout}, or the thread is interrupted
   */
  public boolean awaitNode(long nodeId, String database, Txid txid, Duration timeout) {
    long nanos = timeout.toNanos();
    lock.lock();
    try {
      while (lacks(nodeId, database, txid)) {
        if (nanos <= 0) {
          return false;
        }
        nanos = changed.awaitNanos(nanos);
      }
      return true;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return false;
    } finally {
      lock.unlock();
    }
  }

  private boolean lacks(long nodeId, String database, Txid txid) {
    Pos held = positions(nodeId).get(database);
    return held != null && held.txid().compareTo(txid) < 0;
  }

  /**
   * Waits until {@code wanted} replicas that acknowledge are in sync and want the database.
   *
   * @return false if they are not within {@code timeout}
   */
  public boolean awaitInSync(String database, int wanted, Duration timeout)
      throws InterruptedException {
    return await(replica -> replica.inSync && replica.wants.test(database), wanted, timeout);
  }

  private boolean await(Predicate<Replica> condition, int wanted, Duration timeout)
      throws InterruptedException {
    long nanos = timeout.toNanos();
    lock.lock();
    try {
      while (count(condition) < wanted) {
        if (nanos <= 0) {
          return false;
        }
        nanos = changed.awaitNanos(nanos);
      }
      return true;
    } finally {
      lock.unlock();
    }
  }

  void connected(Object stream, long nodeId, Predicate<String> wants) {
    lock.lock();
    try {
      replicas.put(stream, new Replica(nodeId, wants));
    } finally {
      lock.unlock();
    }
  }

  void gone(Object stream) {
    lock.lock();
    try {
      replicas.remove(stream);
      changed.signalAll();
    } finally {
      lock.unlock();
    }
  }

  /** The replica holds all that was sent before it was told "ready". */
  void markInSync(Object stream) {
    change(stream, replica -> replica.inSync = true);
  }

  void acknowledged(Object stream, String database, Pos pos) {
    change(stream, replica -> replica.positions.put(database, pos));
  }

  private void change(Object stream, Consumer<Replica> change) {
    lock.lock();
    try {
      Replica replica = replicas.get(stream);
      if (replica != null) {
        change.accept(replica);
        changed.signalAll();
      }
    } finally {
      lock.unlock();
    }
  }
}
