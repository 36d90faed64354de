package io.litefs.replication;

import io.litefs.ltx.Pos;
import io.litefs.replication.FakeSource.FakeFile;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.time.Instant;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/** A replica that follows a {@link FakeSource} and tells what happened, in words. */
final class FakeSink implements ChangeSink {
  private static final long PATIENCE_SECONDS = 10;

  final Map<String, Pos> positions = new ConcurrentHashMap<>();
  final BlockingQueue<String> events = new LinkedBlockingQueue<>();
  final BlockingQueue<Instant> heartbeats = new LinkedBlockingQueue<>();

  /** Thrown by {@link #connected} if not null. */
  volatile IOException refusal;

  /** Held by {@link #ltx} after a file's first bytes, if not null. */
  volatile CountDownLatch gate;

  /** Thrown by {@link #ltx} if not null. */
  volatile IOException failure;

  /** Counted down when {@link #ltx} begins. */
  final CountDownLatch receiving = new CountDownLatch(1);

  @Override
  public Map<String, Pos> positions() {
    return Map.copyOf(positions);
  }

  @Override
  public void connected(long primaryNodeId, String clusterId) throws IOException {
    if (refusal != null) {
      throw refusal;
    }
    events.add("connected " + Long.toHexString(primaryNodeId) + " " + clusterId);
  }

  @Override
  public void ltx(String database, InputStream file) throws IOException {
    if (failure != null) {
      throw failure;
    }
    ByteBuffer head = ByteBuffer.wrap(file.readNBytes(FakeFile.HEAD));
    receiving.countDown();
    CountDownLatch held = gate;
    try {
      if (held != null) {
        held.await();
      }
    } catch (InterruptedException e) {
      throw new IOException(e);
    }
    long size = FakeFile.HEAD + file.transferTo(OutputStream.nullOutputStream());
    Pos before = FakeFile.before(head);
    Pos after = FakeFile.after(head);
    boolean snapshot = before.equals(Pos.ZERO);
    if (!snapshot && !before.equals(positions.get(database))) {
      throw new IOException(database + " is at " + positions.get(database) + ", not " + before);
    }
    positions.put(database, after);
    events.add(
        (snapshot ? "snapshot " : "ltx ") + database + " " + after.txid().value() + " " + size);
  }

  @Override
  public void ready() {
    events.add("ready");
  }

  @Override
  public void heartbeat(Instant primaryTime) {
    heartbeats.add(primaryTime);
  }

  @Override
  public void drop(String database) {
    positions.remove(database);
    events.add("drop " + database);
  }

  @Override
  public void highWaterMark(String database, long txid) {
    events.add("mark " + database + " " + txid);
  }

  @Override
  public void handoff(String leaseId) {
    events.add("handoff " + leaseId);
  }

  @Override
  public void disconnected(Throwable cause) {
    events.add("disconnected" + (cause == null ? "" : ": " + cause.getMessage()));
  }

  /** The next event, which must come soon. */
  String next() throws InterruptedException {
    String event = events.poll(PATIENCE_SECONDS, TimeUnit.SECONDS);
    if (event == null) {
      throw new AssertionError("nothing happened");
    }
    return event;
  }

  /** Skips to the event. */
  void await(String event) throws InterruptedException {
    String got = next();
    while (!got.equals(event)) {
      got = next();
    }
  }

  Instant nextHeartbeat() throws InterruptedException {
    Instant time = heartbeats.poll(PATIENCE_SECONDS, TimeUnit.SECONDS);
    if (time == null) {
      throw new AssertionError("no heartbeat");
    }
    return time;
  }
}
