package io.litefs.ltx;

import java.util.Arrays;

/**
 * Where the frame of each page is in a file of version 3, while the file is written or read. A
 * database of 10 GB has 2.6 million pages, so only what cannot be derived is kept: the distance to
 * the page number before and the size of the frame, about three bytes together.
 */
final class FrameIndex {

  private byte[] entries = new byte[64];
  private int end;
  private long last;

  /** Takes the frame that follows the one before without a gap. */
  void add(long pgno, long size) {
    if (entries.length - end < 2 * Varint.MAX_BYTES) {
      entries = Arrays.copyOf(entries, entries.length * 2);
    }
    end = Varint.put(entries, end, pgno - last);
    end = Varint.put(entries, end, size);
    last = pgno;
  }

  /** From the first frame on. */
  Cursor cursor() {
    return new Cursor();
  }

  /** One frame after the other. */
  final class Cursor {

    private int position;
    private long pgno;
    private long offset = LtxHeader.SIZE;
    private long size;

    boolean next() {
      if (position == end) {
        return false;
      }
      offset += size;
      pgno += value();
      size = value();
      return true;
    }

    long pgno() {
      return pgno;
    }

    /** From the start of the file. */
    long offset() {
      return offset;
    }

    long size() {
      return size;
    }

    private long value() {
      long value = 0;
      for (int shift = 0; ; shift += 7) {
        byte b = entries[position++];
        value |= (long) (b & 0x7F) << shift;
        if (b >= 0) {
          return value;
        }
      }
    }
  }
}
