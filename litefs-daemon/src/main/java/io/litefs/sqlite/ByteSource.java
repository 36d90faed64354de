package io.litefs.sqlite;

import java.io.IOException;
import java.nio.ByteBuffer;

/** Bytes that can be read at an offset: a file, or a file with a write on top that is in flight. */
@FunctionalInterface
public interface ByteSource {

  /**
   * Reads into {@code dst} until it is full or the source ends, and advances its position. Buffers
   * that this package passes are direct.
   *
   * @param offset in bytes from the start, not negative
   * @return the number of bytes read; fewer than asked for (0 included) only at the end
   */
  int read(ByteBuffer dst, long offset) throws IOException;
}
