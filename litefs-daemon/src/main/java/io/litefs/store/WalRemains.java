package io.litefs.store;

import io.litefs.posix.ErrnoException;
import io.litefs.sqlite.SqliteFormatException;
import io.litefs.sqlite.Wal;
import io.litefs.sqlite.WalHeader;
import io.litefs.sqlite.WalScanner;
import java.io.IOException;
import java.nio.ByteBuffer;

/** The WAL that was there when the daemon started. */
final class WalRemains {

  private final BackingFile file;
  private final WalHeader header;
  private final ByteBuffer page;

  private WalRemains(BackingFile file, WalHeader header) {
    this.file = file;
    this.header = header;
    this.page = ByteBuffer.allocateDirect(header.pageSize());
  }

  /** Null if there is no WAL, or none with a valid header: SQLite would not find anything in it. */
  static WalRemains of(BackingFile file) throws ErrnoException {
    if (file == null || file.size() < Wal.HEADER_SIZE) {
      return null;
    }
    ByteBuffer beginning = ByteBuffer.allocateDirect(Wal.HEADER_SIZE);
    file.file().preadMost(beginning, 0);
    try {
      return new WalRemains(file, WalHeader.parse(beginning.flip()));
    } catch (SqliteFormatException e) {
      return null;
    }
  }

  WalHeader header() {
    return header;
  }

  boolean is(Base.WalEnd end) {
    return end.isIn(header.salt1(), header.salt2());
  }

  /** A transaction of the WAL: its frames by page number, and the range of bytes that they take. */
  record Transaction(PageTable frames, long commit, long start, long end) {}

  @FunctionalInterface
  interface TransactionConsumer {
    void accept(Transaction transaction) throws IOException;
  }

  /**
   * Gives out the whole transactions whose frames lie between two offsets, in order. The table of
   * frames is valid until the next one.
   *
   * @param from 0, or an end that the log tells of
   * @param to an end that the log tells of, or {@link Long#MAX_VALUE}
   * @return where the last of them ends
   */
  long forEachTransaction(long from, long to, TransactionConsumer consumer) throws IOException {
    WalScanner scanner = new WalScanner(header);
    long known = to == Long.MAX_VALUE ? from : to;
    scanner.begin((into, offset) -> file.file().preadMost(into, offset), header.start(), known, to);
    PageTable frames = new PageTable();
    long start = Wal.HEADER_SIZE;
    while (scanner.next()) {
      frames.put(scanner.pgno(), scanner.offset());
      if (scanner.commit() != 0) {
        long end = scanner.committed().offset();
        if (start >= from) {
          consumer.accept(new Transaction(frames, scanner.commit(), start, end));
        }
        frames.clear();
        start = end;
      }
    }
    return start;
  }

  /** Where the last whole transaction at or before {@code end} ends. */
  long wholeUpTo(long end) throws IOException {
    return forEachTransaction(0, end, transaction -> {});
  }

  /** The page of the frame at {@code offset}; valid until the next call. */
  ByteBuffer page(long offset) throws ErrnoException {
    file.file().preadFully(page.clear(), offset + Wal.FRAME_HEADER_SIZE);
    return page.flip();
  }

  /** Copies a transaction's pages into the database file and gives it its size. */
  void copy(Transaction transaction, BackingFile database) throws ErrnoException {
    PageTable frames = transaction.frames();
    int pageSize = header.pageSize();
    for (long pgno = frames.next(1); pgno != 0; pgno = frames.next(pgno + 1)) {
      database.file().pwrite(page(frames.get(pgno)), (pgno - 1) * pageSize);
    }
    database.file().truncate(transaction.commit() * pageSize);
  }
}
