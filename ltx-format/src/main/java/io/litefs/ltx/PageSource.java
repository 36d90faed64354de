package io.litefs.ltx;

import java.io.IOException;
import java.nio.ByteBuffer;

/** Where the page block comes from: the input itself, or an LZ4 frame in it. */
interface PageSource {

  /** Where the next byte would be in a file that is not compressed. */
  long offset();

  int getInt(String field) throws IOException;

  /** Fills the page from its position to its limit. */
  void read(ByteBuffer page, String field) throws IOException;

  /** The last field, this one, has been read: nothing else may be in the block. */
  void end(String field) throws IOException;
}
