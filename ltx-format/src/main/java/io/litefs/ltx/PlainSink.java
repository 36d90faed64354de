package io.litefs.ltx;

import java.io.IOException;
import java.nio.ByteBuffer;

/** A page block that is not compressed. */
record PlainSink(LtxOutput out) implements PageSink {

  @Override
  public void putInt(int value) throws IOException {
    out.putInt(value);
  }

  @Override
  public void put(ByteBuffer page) throws IOException {
    out.put(page);
  }

  @Override
  public void end() {
    // The trailer follows; nothing marks the end but the zero page number.
  }
}
