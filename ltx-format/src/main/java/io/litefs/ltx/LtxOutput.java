package io.litefs.ltx;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.WritableByteChannel;

/** Collects what is written to a channel in blocking mode and counts it. */
final class LtxOutput {

  private final WritableByteChannel channel;

  /** Null once finished: it has gone to the next user. */
  private ByteBuffer buffer;

  private long flushed;

  LtxOutput(WritableByteChannel channel, ByteBuffer buffer) {
    this.channel = channel;
    this.buffer = buffer;
  }

  /** Bytes taken so far, flushed or not. */
  long count() {
    return buffer == null ? flushed : flushed + buffer.position();
  }

  void putInt(int value) throws IOException {
    room(4).putInt(value);
  }

  /** Writes the lower 16 bits. */
  void putShort(int value) throws IOException {
    room(2).putShort((short) value);
  }

  /** A buffer with room for {@code n} bytes, at most its capacity. */
  ByteBuffer room(int n) throws IOException {
    if (buffer.remaining() < n) {
      flush();
    }
    return buffer;
  }

  /** Takes all that remains in the source and moves it to its limit. */
  void put(ByteBuffer source) throws IOException {
    int from = source.position();
    int end = source.limit();
    while (from < end) {
      int n = Math.min(end - from, buffer.remaining());
      buffer.put(buffer.position(), source, from, n);
      buffer.position(buffer.position() + n);
      from += n;
      if (!buffer.hasRemaining()) {
        flush();
      }
    }
    source.position(end);
  }

  void put(byte[] source, int offset, int length) throws IOException {
    int from = offset;
    int end = offset + length;
    while (from < end) {
      int n = Math.min(end - from, buffer.remaining());
      buffer.put(source, from, n);
      from += n;
      if (!buffer.hasRemaining()) {
        flush();
      }
    }
  }

  /** Flushes and lets go of the buffer. */
  void finish() throws IOException {
    flush();
    buffer = null;
  }

  private void flush() throws IOException {
    buffer.flip();
    while (buffer.hasRemaining()) {
      flushed += channel.write(buffer);
    }
    buffer.clear();
  }
}
