package io.litefs.ltx;

import java.io.IOException;
import java.nio.ByteBuffer;

/** Where the page block goes: straight to the output, or through an LZ4 frame. */
interface PageSink {

  void putInt(int value) throws IOException;

  /** Takes all that remains in the page. */
  void put(ByteBuffer page) throws IOException;

  /** The page block is complete. */
  void end() throws IOException;
}
