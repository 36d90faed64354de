package io.litefs.replication;

import io.netty.buffer.ByteBuf;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.ReadableByteChannel;
import java.time.Duration;
import java.util.Objects;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.IntConsumer;

/**
 * A body on its way from an event loop, which {@link #offer offers} its bytes and never waits, to
 * one thread that reads and blocks. Between them lies a ring of bytes that never outgrows its
 * capacity: the producer must not take more from the network than was {@link #free} or, with
 * HTTP/2, than the window that {@code consumed} gives back to. Bytes are copied, so that a frame of
 * a few bytes does not keep the network buffer alive that it came in.
 */
final class BodyInput extends InputStream implements ReadableByteChannel {
  private static final int FIRST_SIZE = 4096;

  private final int capacity;
  private final int reportEvery;
  private final IntConsumer consumed;

  private final ReentrantLock lock = new ReentrantLock();
  private final Condition changed = lock.newCondition();
  // Guarded by lock.
  private byte[] ring = new byte[0];
  private int head;
  private int size;
  private int unreported;
  private boolean finished;
  private IOException failure;
  private Runnable beforeFirstWait;

  private volatile long timeoutNanos;

  /**
   * @param capacity most bytes that are ever kept
   * @param consumed told on the reading thread how many bytes were taken, whenever that is a
   *     quarter of the capacity; must not block
   */
  BodyInput(int capacity, IntConsumer consumed) {
    this.capacity = capacity;
    this.reportEvery = capacity / 4;
    this.consumed = consumed;
  }

  /** How long a read waits for a byte before it fails; zero (the default) is for ever. */
  void setTimeout(Duration timeout) {
    timeoutNanos = timeout.toNanos();
  }

  /** Runs once, on the reading thread, before a read has to wait for the first time. */
  void beforeFirstWait(Runnable action) {
    lock.lock();
    try {
      beforeFirstWait = action;
    } finally {
      lock.unlock();
    }
  }

  /**
   * Takes the readable bytes of {@code data}, which stays the caller's.
   *
   * @throws IOException if they are more than {@link #free}: the peer ignores flow control
   */
  void offer(ByteBuf data) throws IOException {
    int length = data.readableBytes();
    lock.lock();
    try {
      if (finished || failure != null) {
        return;
      }
      if (length > capacity - size) {
        throw new IOException("peer sent more than its window");
      }
      grow(size + length);
      int tail = (head + size) % Math.max(ring.length, 1);
      int first = Math.min(length, ring.length - tail);
      data.readBytes(ring, tail, first);
      data.readBytes(ring, 0, length - first);
      size += length;
      changed.signal();
    } finally {
      lock.unlock();
    }
  }

  private void grow(int needed) {
    if (needed <= ring.length) {
      return;
    }
    int length = Math.max(ring.length, FIRST_SIZE);
    while (length < needed) {
      length *= 2;
    }
    byte[] larger = new byte[Math.min(length, capacity)];
    int first = Math.min(size, ring.length - head);
    System.arraycopy(ring, head, larger, 0, first);
    System.arraycopy(ring, 0, larger, first, size - first);
    ring = larger;
    head = 0;
  }

  /** The body is complete. */
  void finish() {
    lock.lock();
    try {
      finished = true;
      changed.signal();
    } finally {
      lock.unlock();
    }
  }

  /** Nothing more will come. What has come is read first: a peer's last words count. */
  void fail(IOException cause) {
    lock.lock();
    try {
      if (!finished && failure == null) {
        failure = cause;
      }
      changed.signal();
    } finally {
      lock.unlock();
    }
  }

  /** This end has lost interest: reads fail from now on, whatever has come. */
  void abort(IOException cause) {
    lock.lock();
    try {
      failure = cause;
      finished = false;
      size = 0;
      ring = new byte[0];
      head = 0;
      changed.signal();
    } finally {
      lock.unlock();
    }
  }

  /** Bytes that {@link #offer} would take now. */
  int free() {
    lock.lock();
    try {
      return capacity - size;
    } finally {
      lock.unlock();
    }
  }

  @Override
  public int read() throws IOException {
    lock.lock();
    try {
      if (!await()) {
        return -1;
      }
      int b = ring[head] & 0xff;
      taken(1);
      return b;
    } finally {
      unlockAndReport();
    }
  }

  @Override
  public int read(byte[] into, int offset, int length) throws IOException {
    Objects.checkFromIndexSize(offset, length, into.length);
    return length == 0 ? 0 : read(ByteBuffer.wrap(into, offset, length));
  }

  @Override
  public int read(ByteBuffer into) throws IOException {
    if (!into.hasRemaining()) {
      return 0;
    }
    lock.lock();
    try {
      if (!await()) {
        return -1;
      }
      int length = Math.min(size, into.remaining());
      int first = Math.min(length, ring.length - head);
      into.put(ring, head, first);
      into.put(ring, 0, length - first);
      taken(length);
      return length;
    } finally {
      unlockAndReport();
    }
  }

  private void taken(int length) {
    size -= length;
    head = size == 0 ? 0 : (head + length) % ring.length;
    unreported += length;
  }

  private void unlockAndReport() {
    int report = unreported >= reportEvery ? unreported : 0;
    unreported -= report;
    lock.unlock();
    if (report > 0) {
      consumed.accept(report);
    }
  }

  /** Waits until a byte is there; false at the end of the body. */
  private boolean await() throws IOException {
    if (size == 0 && !finished && failure == null && beforeFirstWait != null) {
      beforeFirstWait.run();
      beforeFirstWait = null;
    }
    long timeout = timeoutNanos;
    long left = timeout;
    while (size == 0 && !finished && failure == null) {
      try {
        if (timeout == 0) {
          changed.await();
        } else if (left <= 0) {
          long seconds = TimeUnit.NANOSECONDS.toSeconds(timeout);
          throw new SilenceException(
              "nothing received for "
                  + (seconds > 0 ? seconds + " s" : timeout / 1_000_000 + " ms"));
        } else {
          left = changed.awaitNanos(left);
        }
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        throw new PeerGoneException("interrupted while waiting for the peer", e);
      }
    }
    if (size > 0) {
      return true;
    }
    if (failure != null) {
      // A new exception, so that the trace is the reader's.
      throw new PeerGoneException(failure.getMessage(), failure);
    }
    return false;
  }

  @Override
  public int available() {
    lock.lock();
    try {
      return size;
    } finally {
      lock.unlock();
    }
  }

  @Override
  public boolean isOpen() {
    return true;
  }

  /** Does nothing: the exchange deals with what is left of the body. */
  @Override
  public void close() {}

  /** A read waited for its whole timeout. */
  static final class SilenceException extends IOException {
    SilenceException(String message) {
      super(message);
    }
  }
}
