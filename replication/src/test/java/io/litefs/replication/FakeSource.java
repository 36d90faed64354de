package io.litefs.replication;

import io.litefs.ltx.Checksum;
import io.litefs.ltx.Pos;
import io.litefs.ltx.Txid;
import java.io.Closeable;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;

/**
 * A primary's databases, without the databases: its files say where they lead ({@link FakeFile}),
 * so that {@link FakeSink} can follow.
 */
final class FakeSource implements ChangeSource {

  /** One database's log; index 0 is the file of transaction 1. */
  private static final class Log {
    final TreeMap<Long, FakeFile> files = new TreeMap<>();
    volatile Pos pos = Pos.ZERO;
    volatile boolean dropped;
    int size = 100;
  }

  private final Map<String, Log> logs = new ConcurrentHashMap<>();
  private final List<Runnable> listeners = new CopyOnWriteArrayList<>();
  volatile boolean primary = true;

  /** How often it has said that it is none. */
  final AtomicInteger refusals = new AtomicInteger();

  /** Bytes that streams have taken from files. */
  final AtomicLong taken = new AtomicLong();

  /** Held by snapshots before they begin, if not null. */
  volatile CountDownLatch snapshotGate;

  volatile IOException failure;

  /** Databases whose snapshots cannot be had. */
  final Set<String> withheld = ConcurrentHashMap.newKeySet();

  /** Snapshots that were asked for. */
  final AtomicLong snapshots = new AtomicLong();

  static Checksum checksum(String name, long txid) {
    return new Checksum(Checksum.FLAG | (name.hashCode() * 31L + txid) * 0x9e3779b97f4a7c15L);
  }

  static Pos pos(String name, long txid) {
    return new Pos(new Txid(txid), checksum(name, txid));
  }

  /** Commits a transaction of {@code size} bytes and tells the streams. */
  Pos commit(String name, int size) {
    Log log = logs.computeIfAbsent(name, n -> new Log());
    synchronized (log) {
      long txid = log.pos.txid().value() + 1;
      Pos next = pos(name, txid);
      log.files.put(txid, new FakeFile(log.pos, next, size));
      log.pos = next;
      log.dropped = false;
    }
    changed();
    return log.pos;
  }

  /** Commits a transaction whose file is gone before a stream can send it. */
  void commitWithoutFile(String name) {
    Log log = logs.get(name);
    synchronized (log) {
      log.pos = pos(name, log.pos.txid().value() + 1);
    }
    changed();
  }

  FakeSource commits(String name, int count) {
    for (int i = 0; i < count; i++) {
      commit(name, 100);
    }
    return this;
  }

  void forgetFilesUpTo(String name, long txid) {
    Log log = logs.get(name);
    synchronized (log) {
      log.files.headMap(txid, true).clear();
    }
  }

  void snapshotSize(String name, int size) {
    logs.get(name).size = size;
  }

  /** The database is there no more, but its position is known; no file leads to it. */
  void drop(String name) {
    Log log = logs.get(name);
    synchronized (log) {
      log.files.clear();
      log.pos = new Pos(log.pos.txid().next(), Checksum.EMPTY_DATABASE);
      log.dropped = true;
    }
    changed();
  }

  void remove(String name) {
    logs.remove(name);
    changed();
  }

  void demote() {
    primary = false;
    changed();
  }

  void changed() {
    listeners.forEach(Runnable::run);
  }

  @Override
  public boolean isPrimary() {
    if (!primary) {
      refusals.incrementAndGet();
    }
    return primary;
  }

  @Override
  public Set<String> databases() {
    return Set.copyOf(logs.keySet());
  }

  @Override
  public Pos position(String database) {
    Log log = logs.get(database);
    return log == null ? null : log.pos;
  }

  @Override
  public LtxFile next(String database, Pos after) throws IOException {
    Log log = logs.get(database);
    synchronized (log) {
      FakeFile file = log.files.get(after.txid().value() + 1);
      return file == null || !file.before.equals(after) ? null : open(file);
    }
  }

  @Override
  public LtxFile snapshot(String database) throws IOException {
    snapshots.incrementAndGet();
    if (withheld.contains(database)) {
      throw new WithheldException(database + " is damaged; mend it");
    }
    CountDownLatch gate = snapshotGate;
    try {
      if (gate != null) {
        gate.await();
      }
    } catch (InterruptedException e) {
      throw new IOException(e);
    }
    Log log = logs.get(database);
    return log == null || log.dropped ? null : open(new FakeFile(null, log.pos, log.size));
  }

  private LtxFile open(FakeFile file) throws IOException {
    if (failure != null) {
      throw failure;
    }
    ByteBuffer head = file.head();
    return new LtxFile() {
      private long left = file.size - head.remaining();

      @Override
      public Pos pos() {
        return file.after;
      }

      @Override
      public long size() {
        return file.size;
      }

      @Override
      public int read(ByteBuffer into) {
        int n = 0;
        while (head.hasRemaining() && into.hasRemaining()) {
          into.put(head.get());
          n++;
        }
        int zeros = (int) Math.min(left, into.remaining());
        into.position(into.position() + zeros);
        left -= zeros;
        n += zeros;
        taken.addAndGet(n);
        return n == 0 ? -1 : n;
      }

      @Override
      public void close() {}
    };
  }

  @Override
  public Closeable onChange(Runnable listener) {
    listeners.add(listener);
    return () -> listeners.remove(listener);
  }

  /** Whether any stream listens. */
  boolean isListenedTo() {
    return !listeners.isEmpty();
  }

  /** A file: the positions before (zeros: a snapshot) and after it, then padding. */
  record FakeFile(Pos before, Pos after, int size) {
    static final int HEAD = 32;

    ByteBuffer head() {
      Pos from = before == null ? Pos.ZERO : before;
      return ByteBuffer.allocate(HEAD)
          .putLong(from.txid().value())
          .putLong(from.checksum().value())
          .putLong(after.txid().value())
          .putLong(after.checksum().value())
          .flip();
    }

    static Pos before(ByteBuffer head) {
      return new Pos(new Txid(head.getLong(0)), new Checksum(head.getLong(8)));
    }

    static Pos after(ByteBuffer head) {
      return new Pos(new Txid(head.getLong(16)), new Checksum(head.getLong(24)));
    }
  }
}
