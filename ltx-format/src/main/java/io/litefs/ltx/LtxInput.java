package io.litefs.ltx;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.ReadableByteChannel;
import java.util.concurrent.atomic.AtomicReference;

/**
 * Reads a channel in blocking mode, counts, and turns a premature end into an LtxException. It owns
 * channel and buffers.
 *
 * <p>A read that blocks is ended by closing the channel from another thread. While that read may
 * still write to the buffers they must not go to the next user; the garbage collector gets them.
 */
final class LtxInput {

  private final ReadableByteChannel channel;
  private final String file;
  private final ByteBuffer buffer;
  private long filled;
  private long closedAt;

  /** Null once closed. */
  private final AtomicReference<LtxBuffers> buffers;

  /** Whether a thread is between {@link #begin} and {@link #end}. */
  private volatile boolean busy;

  /** Starts at the channel's position. The channel is read ahead of need. */
  LtxInput(ReadableByteChannel channel, String file) {
    LtxBuffers taken = LtxBuffers.take();
    this.channel = channel;
    this.file = file;
    this.buffers = new AtomicReference<>(taken);
    this.buffer = taken.channel.limit(0);
  }

  /**
   * Starts a use of the input and its buffers.
   *
   * @throws IllegalStateException if they have been closed
   */
  LtxBuffers begin() {
    // Before the look at the buffers, as close() does it in the other order.
    busy = true;
    LtxBuffers taken = buffers.get();
    if (taken == null) {
      busy = false;
      throw new IllegalStateException("the LTX file is closed");
    }
    return taken;
  }

  /** Ends the use. */
  void end() {
    busy = false;
  }

  void close() throws IOException {
    closedAt = offset();
    LtxBuffers taken = buffers.getAndSet(null);
    if (taken != null && !busy) {
      LtxBuffers.give(taken);
    }
    channel.close();
  }

  String file() {
    return file;
  }

  /** Where the next byte is in the file. */
  long offset() {
    return buffers.get() == null ? closedAt : filled - buffer.remaining();
  }

  /**
   * A buffer with at least {@code n} bytes remaining, at most its capacity. What is taken from it
   * is consumed.
   */
  ByteBuffer need(int n, String field) throws IOException {
    if (buffer.remaining() < n) {
      buffer.compact();
      boolean end = false;
      while (buffer.position() < n && !end) {
        end = fill(buffer);
      }
      buffer.flip();
      if (end) {
        throw truncated(field, n);
      }
    }
    return buffer;
  }

  /** Fills the destination from its position to its limit. */
  void read(ByteBuffer destination, String field) throws IOException {
    int position = destination.position();
    int wanted = destination.remaining();
    while (destination.hasRemaining()) {
      if (!buffer.hasRemaining()) {
        buffer.clear();
        boolean end = fill(buffer);
        buffer.flip();
        if (end) {
          // Back to the start of the field, which is where it is said to be.
          filled -= destination.position() - position;
          throw truncated(field, wanted);
        }
      }
      int n = Math.min(destination.remaining(), buffer.remaining());
      destination.put(destination.position(), buffer, buffer.position(), n);
      destination.position(destination.position() + n);
      buffer.position(buffer.position() + n);
    }
  }

  void read(byte[] destination, int offset, int length, String field) throws IOException {
    read(ByteBuffer.wrap(destination, offset, length), field);
  }

  /** Whether the channel has come to its end. */
  boolean atEnd() throws IOException {
    if (buffer.hasRemaining()) {
      return false;
    }
    buffer.clear();
    boolean end = fill(buffer);
    buffer.flip();
    return end;
  }

  /** Throws if there is a problem. */
  void refuse(String field, long offset, String problem) throws LtxException {
    if (problem != null) {
      throw new LtxException(file, field, offset, problem);
    }
  }

  /** Reads the trailer, checks it, and that nothing follows. */
  LtxTrailer trailer(PageRun pages, FileChecksum checksum) throws IOException {
    long start = offset();
    LtxTrailer trailer = LtxTrailer.decode(need(LtxTrailer.SIZE, "trailer"));
    refuse("post-apply checksum", start, pages.refusal(trailer.postApply()));
    checksum.putLong(trailer.postApply().value());
    if (!trailer.file().equals(checksum.value())) {
      refuse("file checksum", start + 8, trailer.file() + ", but the file has " + checksum.value());
    }
    if (!atEnd()) {
      refuse("trailer", offset(), "bytes follow it");
    }
    return trailer;
  }

  private LtxException truncated(String field, int wanted) {
    return new LtxException(
        file, field, offset(), "the file ends inside these " + wanted + " bytes");
  }

  /** Reads at least one byte; true at the end of the channel. */
  private boolean fill(ByteBuffer into) throws IOException {
    int n;
    do {
      n = channel.read(into);
    } while (n == 0);
    if (n > 0) {
      filled += n;
    }
    return n < 0;
  }
}
