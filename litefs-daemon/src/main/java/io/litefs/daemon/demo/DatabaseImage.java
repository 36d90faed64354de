package io.litefs.daemon.demo;

import io.litefs.ltx.Checksum;
import io.litefs.ltx.PageChecksum;
import io.litefs.ltx.PageSize;
import io.litefs.ltx.Pos;
import java.nio.ByteBuffer;

/**
 * A whole database in memory.
 *
 * @param pos the position that its node gave for it
 */
@SuppressWarnings("ArrayRecordComponent")
record DatabaseImage(byte[] bytes, Pos pos) {

  private static final int PAGE_SIZE_OFFSET = 16;

  /** The database checksum, computed from the bytes alone. */
  Checksum checksum() {
    int stored = ByteBuffer.wrap(bytes).getShort(PAGE_SIZE_OFFSET) & 0xffff;
    PageSize pageSize = new PageSize(stored == 1 ? 65536 : stored);
    long sum = 0;
    for (long pgno = 1; pgno * pageSize.bytes() <= bytes.length; pgno++) {
      if (pgno != pageSize.lockPage()) {
        int offset = Math.toIntExact((pgno - 1) * pageSize.bytes());
        sum ^= PageChecksum.of(pgno, ByteBuffer.wrap(bytes, offset, pageSize.bytes()));
      }
    }
    return new Checksum(Checksum.EMPTY_DATABASE.value() | sum);
  }
}
