package io.litefs.replication;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.WritableByteChannel;
import java.nio.charset.StandardCharsets;

/**
 * Writes {@link StreamFrame frames}; never flushes. The file of an LTX frame follows it through
 * {@link #chunks} and {@link #endOfFile}. One thread at a time.
 */
final class StreamFrameWriter {
  private static final int LENGTH_PREFIX = 2;

  private final WritableByteChannel out;
  private final ByteBuffer head =
      ByteBuffer.allocate(16 + Math.max(StreamFrame.MAX_NAME, StreamFrame.MAX_LEASE_ID));

  /**
   * If {@code out} is a channel as well, it gets byte buffers without a detour through an array.
   */
  StreamFrameWriter(OutputStream out) {
    this.out = out instanceof WritableByteChannel channel ? channel : Channels.newChannel(out);
  }

  /**
   * Writes a frame.
   *
   * @throws IllegalArgumentException if a name or a lease id is empty or too long
   */
  void write(StreamFrame frame) throws IOException {
    head.clear().putInt(frame.type());
    if (frame instanceof StreamFrame.Ltx ltx) {
      head.putLong(ltx.size());
      string(ltx.database(), StreamFrame.MAX_NAME);
    } else if (frame instanceof StreamFrame.Drop drop) {
      string(drop.database(), StreamFrame.MAX_NAME);
    } else if (frame instanceof StreamFrame.Handoff handoff) {
      string(handoff.leaseId(), StreamFrame.MAX_LEASE_ID);
    } else if (frame instanceof StreamFrame.HighWaterMark mark) {
      head.putLong(mark.txid());
      string(mark.database(), StreamFrame.MAX_NAME);
    } else if (frame instanceof StreamFrame.Heartbeat heartbeat) {
      head.putLong(heartbeat.millis());
    }
    writeFully(head.flip());
  }

  private void string(String value, int max) {
    byte[] bytes = value.getBytes(StandardCharsets.UTF_8);
    if (bytes.length == 0 || bytes.length > max) {
      throw new IllegalArgumentException(
          "\"" + value + "\" has " + bytes.length + " bytes, permitted are 1 to " + max);
    }
    head.putInt(bytes.length).put(bytes);
  }

  /** Where the bytes of a file come from; -1 at the end. */
  @FunctionalInterface
  interface Source {
    int read(ByteBuffer into) throws IOException;
  }

  /**
   * Writes a source to its end as chunks, each as large as {@code buffer} can hold.
   *
   * @param buffer room for a chunk and its length, at most {@link StreamFrame#MAX_CHUNK} + 2 bytes
   * @return bytes of the file
   */
  long chunks(Source source, ByteBuffer buffer) throws IOException {
    long total = 0;
    boolean more = true;
    while (more) {
      buffer.clear().position(LENGTH_PREFIX);
      while (more && buffer.hasRemaining()) {
        int n = source.read(buffer);
        if (n == 0) {
          throw new IOException("an LTX file gave no bytes and did not end");
        }
        more = n > 0;
      }
      int length = buffer.position() - LENGTH_PREFIX;
      if (length > 0) {
        buffer.putShort(0, (short) length);
        writeFully(buffer.flip());
        total += length;
      }
    }
    return total;
  }

  /** Ends the file of an LTX frame. */
  void endOfFile() throws IOException {
    writeFully(head.clear().putShort((short) 0).flip());
  }

  private void writeFully(ByteBuffer bytes) throws IOException {
    while (bytes.hasRemaining()) {
      out.write(bytes);
    }
  }
}
