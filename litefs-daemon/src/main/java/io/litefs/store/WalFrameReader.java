package io.litefs.store;

import io.litefs.posix.ErrnoException;
import java.nio.ByteBuffer;

/**
 * Reads the WAL as it will be once the write in hand is done. Slices are valid until the next call.
 */
final class WalFrameReader {

  /** Transactions up to this many bytes are read in one piece. */
  private static final int WINDOW_BYTES = 1 << 20;

  /** Null but from {@link #window} to {@link #closeWindow}. */
  private ByteBuffer window;

  private ByteBuffer scratch = ByteBuffer.allocateDirect(0);
  private long windowStart;
  private long windowEnd;
  private BackingFile wal;
  private ByteBuffer written;
  private long writtenStart;
  private long writtenEnd;

  /** The write in hand is that of {@code from} at {@code offset}. */
  void begin(BackingFile file, ByteBuffer from, long offset) {
    wal = file;
    written = from;
    writtenStart = offset;
    writtenEnd = offset + from.remaining();
    closeWindow();
  }

  /** Loads a range in one piece, if it is not too large; {@link #closeWindow} is to follow. */
  void window(long start, long end) throws ErrnoException {
    closeWindow();
    if (end - start <= WINDOW_BYTES) {
      window = DirectBuffers.take((int) (end - start));
      read(window, start);
      windowStart = start;
      windowEnd = end;
    }
  }

  /** Slices are read one by one again. */
  void closeWindow() {
    windowStart = 0;
    windowEnd = 0;
    if (window != null) {
      DirectBuffers.give(window);
      window = null;
    }
  }

  ByteBuffer slice(long offset, int length) throws ErrnoException {
    if (offset >= windowStart && offset + length <= windowEnd) {
      return window.slice((int) (offset - windowStart), length);
    }
    if (scratch.capacity() < length) {
      scratch = ByteBuffer.allocateDirect(length);
    }
    ByteBuffer buffer = scratch.clear().limit(length);
    read(buffer, offset);
    return buffer.flip();
  }

  /** Fills {@code into}: from the file, with the write on top. */
  void read(ByteBuffer into, long offset) throws ErrnoException {
    int start = into.position();
    long end = offset + into.remaining();
    if (!(writtenStart <= offset && end <= writtenEnd)) {
      wal.file().preadMost(into, offset);
    }
    long from = Math.max(offset, writtenStart);
    long to = Math.min(end, writtenEnd);
    if (from < to) {
      into.put(
          start + (int) (from - offset),
          written,
          written.position() + (int) (from - writtenStart),
          (int) (to - from));
    }
    into.position(into.limit());
  }
}
