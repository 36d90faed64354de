package io.litefs.sqlite;

import java.io.IOException;
import java.nio.ByteBuffer;

/** A file that can be changed. Nothing here syncs. */
public interface WritableFile extends ReadableFile {

  /** Writes all that remains in {@code src} (direct), extending the file if necessary. */
  void write(ByteBuffer src, long offset) throws IOException;

  /** Cuts the file to {@code size} bytes. Called only with a size smaller than the present one. */
  void truncate(long size) throws IOException;
}
