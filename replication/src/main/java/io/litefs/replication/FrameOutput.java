package io.litefs.replication;

import io.litefs.replication.ChangeSource.LtxFile;
import io.netty.buffer.ByteBuf;
import java.io.Closeable;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;

/**
 * The frames of one stream on their way out. The stream's own thread writes them and may block; the
 * heartbeats' thread serves all streams and must not. The lock is held while something is written,
 * so that a heartbeat never falls into an LTX file.
 */
final class FrameOutput implements Closeable {
  private final OutputStream out;
  private final StreamFrameWriter frames;
  private final Consumer<FrameKind> counter;
  private final ByteBuf memory = Buffers.ALLOCATOR.directBuffer(BodyOutput.BUFFER);
  private final ByteBuffer chunk = memory.nioBuffer(0, BodyOutput.BUFFER);
  private final ReentrantLock lock = new ReentrantLock();
  private volatile long lastFrameNanos = System.nanoTime();
  private volatile long fileBytes;

  /** Takes {@code out} over but for its end. */
  FrameOutput(OutputStream out, Consumer<FrameKind> counter) {
    this.out = out;
    this.frames = new StreamFrameWriter(out);
    this.counter = counter;
  }

  /** Sends an LTX file; returns its bytes. */
  long file(String database, LtxFile file, String type) throws IOException {
    lock.lock();
    try {
      // Size 0, as the original sends it.
      frames.write(new StreamFrame.Ltx(0, database));
      long bytes =
          frames.chunks(
              into -> {
                int n = file.read(into);
                fileBytes += Math.max(n, 0);
                return n;
              },
              chunk);
      frames.endOfFile();
      sent(database, type);
      return bytes;
    } finally {
      lock.unlock();
    }
  }

  void send(StreamFrame frame, String database, String type) throws IOException {
    lock.lock();
    try {
      frames.write(frame);
      sent(database, type);
    } finally {
      lock.unlock();
    }
  }

  private void sent(String database, String type) {
    counter.accept(new FrameKind(database, type));
    lastFrameNanos = System.nanoTime();
  }

  void flush() throws IOException {
    lock.lock();
    try {
      out.flush();
    } finally {
      lock.unlock();
    }
  }

  /** Waits until a small frame can be sent without waiting. */
  void awaitRoom() throws IOException {
    if (out instanceof BodyOutput body) {
      body.awaitRoom();
    }
  }

  /** Sends a heartbeat if that is possible without waiting. */
  boolean tryHeartbeat(long millis) throws IOException {
    if (!lock.tryLock()) {
      return false;
    }
    try {
      if (out instanceof BodyOutput body && !body.hasRoom()) {
        return false;
      }
      send(new StreamFrame.Heartbeat(millis), "", "heartbeat");
      out.flush();
      return true;
    } finally {
      lock.unlock();
    }
  }

  /** Sends the end frame and ends the body. */
  void end() throws IOException {
    lock.lock();
    try {
      send(new StreamFrame.End(), "", "end");
      out.close();
    } finally {
      lock.unlock();
    }
  }

  /** When the last frame was written, by {@link System#nanoTime}. */
  long lastFrameNanos() {
    return lastFrameNanos;
  }

  /** Bytes of LTX files so far. */
  long fileBytes() {
    return fileBytes;
  }

  /** Gives back the memory; the stream's thread, at its end. */
  @Override
  public void close() {
    memory.release();
  }
}
