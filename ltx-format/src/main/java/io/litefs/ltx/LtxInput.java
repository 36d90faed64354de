package io.litefs.ltx;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.ReadableByteChannel;

/** Reads a channel in blocking mode, counts, and turns a premature end into an LtxException. */
final class LtxInput {

  private final ReadableByteChannel channel;
  private final ByteBuffer buffer;
  private final String file;
  private long filled;

  /**
   * Starts at the channel's position.
   *
   * @param buffer cleared; the channel is read into it ahead of need
   */
  LtxInput(ReadableByteChannel channel, ByteBuffer buffer, String file) {
    this.channel = channel;
    this.buffer = buffer.limit(0);
    this.file = file;
  }

  String file() {
    return file;
  }

  /** Where the next byte is in the file. */
  long offset() {
    return filled - buffer.remaining();
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
      refuse(
          "file checksum", start + 8, trailer.file() + ", but the file has " + checksum.value());
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
