package io.litefs.sqlite;

import java.io.IOException;

/** A {@link ByteSource} with a known size. */
public interface ReadableFile extends ByteSource {

  /** The size in bytes at this moment. */
  long size() throws IOException;
}
