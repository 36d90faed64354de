package io.litefs.store;

import io.litefs.ltx.Checksum;
import io.litefs.ltx.Pos;

/**
 * What a database is after a transaction.
 *
 * @param pos {@link Pos#ZERO} before the first transaction
 * @param pageSize bytes; 0 before the first transaction
 * @param pageCount size in pages; 0 before the first transaction and after a drop
 */
record DatabaseState(Pos pos, int pageSize, long pageCount) {

  static final DatabaseState NONE = new DatabaseState(Pos.ZERO, 0, 0);

  boolean exists() {
    return pageCount > 0;
  }

  boolean isDropped() {
    return pageCount == 0 && pos.checksum().equals(Checksum.EMPTY_DATABASE);
  }

  // As in io.litefs.ltx.Txid.
  @Override
  public boolean equals(Object other) {
    return other instanceof DatabaseState that
        && pageSize == that.pageSize
        && pageCount == that.pageCount
        && pos.equals(that.pos);
  }

  @Override
  public int hashCode() {
    return 31 * (31 * pos.hashCode() + pageSize) + Long.hashCode(pageCount);
  }
}
