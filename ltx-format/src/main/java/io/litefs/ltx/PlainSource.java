package io.litefs.ltx;

import java.io.IOException;
import java.nio.ByteBuffer;

/** A page block that is not compressed. */
record PlainSource(LtxInput in) implements PageSource {

  @Override
  public long offset() {
    return in.offset();
  }

  @Override
  public int getInt(String field) throws IOException {
    return in.need(Integer.BYTES, field).getInt();
  }

  @Override
  public void read(ByteBuffer page, String field) throws IOException {
    in.read(page, field);
  }

  @Override
  public void end(String field) {
    // The trailer follows, as it does in every file.
  }
}
