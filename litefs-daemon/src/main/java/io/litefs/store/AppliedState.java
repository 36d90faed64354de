package io.litefs.store;

import io.litefs.ltx.LtxHeader;
import io.litefs.ltx.PageChecksum;
import io.litefs.ltx.PageSize;
import java.io.IOException;

/** Gives a replica's database the state after a transaction whose pages are in place. */
final class AppliedState {

  private final Database database;
  private final boolean strictVerify;

  AppliedState(Database database, boolean strictVerify) {
    this.database = database;
    this.strictVerify = strictVerify;
  }

  /** Whether nothing of the database before is left after the transaction. */
  static boolean replacesAll(LtxHeader header, DatabaseState before) {
    return header.isSnapshot() || header.pageSize() != before.pageSize() || before.pageCount() == 0;
  }

  void publish(ReceivedTransaction transaction) throws IOException {
    publish(transaction, () -> {});
  }

  /**
   * @param together what must change together with the position, under the database's lock
   */
  void publish(ReceivedTransaction transaction, Runnable together) throws IOException {
    LtxHeader header = transaction.header();
    database.lock.lock();
    try {
      PageTable checksums = database.checksums();
      if (replacesAll(header, database.state())) {
        checksums.clear();
      }
      checksums.putAll(transaction.checksums());
      checksums.truncate(header.commit());
      together.run();
      database.publish(
          new DatabaseState(transaction.pos(), header.pageSize(), header.commit()),
          transaction.saysWal(database.isWal()),
          header.timestampMillis());
    } finally {
      database.lock.unlock();
    }
    if (strictVerify) {
      verifyAllPages();
    }
  }

  private void verifyAllPages() throws IOException {
    try (CommittedPages pages = CommittedPages.pin(database)) {
      DatabaseState state = pages.state();
      long lockPage = new PageSize(state.pageSize()).lockPage();
      long sum = 0;
      for (long pgno = 1; pgno <= state.pageCount(); pgno++) {
        if (pgno != lockPage) {
          sum ^= PageChecksum.of(pgno, pages.read(pgno));
        }
      }
      sum |= 1L << 63;
      if (sum != state.pos().checksum().value()) {
        throw new StoreException(
            "%s: after transaction %s its pages have checksum %016x, not %s"
                .formatted(database.name(), state.pos().txid(), sum, state.pos().checksum()));
      }
    }
  }
}
