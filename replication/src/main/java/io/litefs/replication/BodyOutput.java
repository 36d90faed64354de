package io.litefs.replication;

import io.netty.buffer.ByteBuf;
import io.netty.channel.ChannelFuture;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.channels.WritableByteChannel;
import java.time.Duration;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/**
 * A body on its way from threads that may block to an event loop. Small writes are gathered; {@link
 * #flush} sends. At most {@link #IN_FLIGHT} bytes of buffers wait for the network (with HTTP/2: for
 * the peer's window as well), beyond that a write blocks. Safe for use by several threads; the
 * streams need that for heartbeats.
 */
final class BodyOutput extends OutputStream implements WritableByteChannel {

  /** Largest buffer, and so the largest piece that is handed to the event loop. */
  static final int BUFFER = 32 * 1024;

  /** Bound of the memory that one slow reader takes up here. */
  static final int IN_FLIGHT = 4 * BUFFER;

  /** In flight at most if two more pieces are to go without waiting: the present and the next. */
  private static final int ROOM = IN_FLIGHT - 2 * BUFFER;

  private static final int SMALLEST_BUFFER = 512;

  /** Where the pieces go. */
  interface Sink {
    /** Sends {@code data} and takes it over. Does not block. */
    ChannelFuture send(ByteBuf data);

    /** Sends {@code data}, null if there is none, as the end of the body. Does not block. */
    ChannelFuture sendLast(ByteBuf data);

    /** Breaks off the exchange, so that the peer sees that the body is not complete. */
    void abort(String reason);
  }

  private final Sink sink;
  private final long length;
  private final long timeoutNanos;

  private final ReentrantLock lock = new ReentrantLock();
  private final Condition room = lock.newCondition();
  // Guarded by lock.
  private ByteBuf current;
  private long inFlight;
  private long written;
  private boolean closed;
  private IOException failure;

  /**
   * @param length announced length, which must then be written exactly, or -1
   * @param timeout how long a write waits while the peer takes nothing; zero is for ever
   */
  BodyOutput(Sink sink, long length, Duration timeout) {
    this.sink = sink;
    this.length = length;
    this.timeoutNanos = timeout.toNanos();
  }

  @Override
  public void write(int b) throws IOException {
    write(new byte[] {(byte) b}, 0, 1);
  }

  @Override
  public void write(byte[] bytes, int offset, int count) throws IOException {
    write(ByteBuffer.wrap(bytes, offset, count));
  }

  @Override
  public int write(ByteBuffer bytes) throws IOException {
    lock.lock();
    try {
      check();
      int count = bytes.remaining();
      if (length >= 0 && written + count > length) {
        throw new IOException("more than the announced " + length + " bytes were written");
      }
      while (bytes.hasRemaining()) {
        if (current == null) {
          // As small as will do: what is in flight counts by the memory it occupies.
          int size = Math.min(BUFFER, Math.max(SMALLEST_BUFFER, bytes.remaining()));
          current = Buffers.ALLOCATOR.directBuffer(size, BUFFER);
        }
        int n = Math.min(bytes.remaining(), current.maxWritableBytes());
        int end = bytes.limit();
        current.writeBytes(bytes.limit(bytes.position() + n));
        bytes.limit(end);
        written += n;
        if (!current.isWritable() && current.maxWritableBytes() == 0) {
          sendCurrent();
        }
      }
      return count;
    } finally {
      lock.unlock();
    }
  }

  /** Hands what was written to the network; blocks only if too much is on its way already. */
  @Override
  public void flush() throws IOException {
    lock.lock();
    try {
      check();
      sendCurrent();
    } finally {
      lock.unlock();
    }
  }

  /** Whether a few bytes can be written and flushed now without waiting. */
  boolean hasRoom() {
    lock.lock();
    try {
      return !closed && failure == null && inFlight <= ROOM;
    } finally {
      lock.unlock();
    }
  }

  private void sendCurrent() throws IOException {
    if (current == null) {
      return;
    }
    waitUntilInFlight(IN_FLIGHT - 1);
    ByteBuf data = current;
    current = null;
    int memory = data.capacity();
    inFlight += memory;
    sink.send(data).addListener(sent -> sent(memory, sent.cause()));
  }

  /** Waits until {@link #hasRoom}. */
  void awaitRoom() throws IOException {
    lock.lock();
    try {
      check();
      waitUntilInFlight(ROOM);
    } finally {
      lock.unlock();
    }
  }

  private void waitUntilInFlight(long most) throws IOException {
    long left = timeoutNanos;
    while (inFlight > most && failure == null) {
      try {
        if (timeoutNanos == 0) {
          room.await();
        } else if (left <= 0) {
          fail(
              new PeerGoneException(
                  "peer has taken nothing for " + timeoutNanos / 1_000_000_000 + " s"));
          sink.abort(failure.getMessage());
        } else {
          long before = inFlight;
          left = room.awaitNanos(left);
          left = inFlight < before ? timeoutNanos : left;
        }
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        throw new PeerGoneException("interrupted while waiting for the peer", e);
      }
    }
    check();
  }

  private void sent(int memory, Throwable cause) {
    lock.lock();
    try {
      inFlight -= memory;
      if (cause != null) {
        fail(new PeerGoneException("connection lost", cause));
      }
      room.signalAll();
    } finally {
      lock.unlock();
    }
  }

  private void check() throws IOException {
    if (failure != null) {
      throw new PeerGoneException(failure.getMessage(), failure);
    }
    if (closed) {
      throw new IOException("the response is complete");
    }
  }

  /** Writes fail from now on, waiting ones at once. */
  void fail(IOException cause) {
    lock.lock();
    try {
      if (failure == null && !closed) {
        failure = cause;
      }
      release();
      room.signalAll();
    } finally {
      lock.unlock();
    }
  }

  private void release() {
    if (current != null) {
      current.release();
      current = null;
    }
  }

  /** Ends the body; if it is shorter than announced, the exchange is broken off instead. */
  @Override
  public void close() throws IOException {
    lock.lock();
    try {
      if (closed) {
        return;
      }
      if (failure != null) {
        closed = true;
        return;
      }
      if (length >= 0 && written < length) {
        fail(new IOException("only " + written + " of " + length + " bytes were written"));
        sink.abort(failure.getMessage());
        throw failure;
      }
      closed = true;
      ByteBuf last = current;
      current = null;
      sink.sendLast(last);
    } finally {
      lock.unlock();
    }
  }

  /** Whether the body was written to its end. */
  boolean isEnded() {
    lock.lock();
    try {
      return closed && failure == null;
    } finally {
      lock.unlock();
    }
  }

  @Override
  public boolean isOpen() {
    lock.lock();
    try {
      return !closed && failure == null;
    } finally {
      lock.unlock();
    }
  }
}
