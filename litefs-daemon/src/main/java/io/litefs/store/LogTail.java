package io.litefs.store;

import io.litefs.ltx.LtxException;
import io.litefs.ltx.LtxHeader;
import io.litefs.ltx.Pos;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * The files of a log that recovery plays over the database: those after a base, or all of them.
 *
 * @param entries an unbroken chain of transactions
 * @param gap why the chain ends before the log does; null if it does not
 */
record LogTail(List<Entry> entries, String gap) {

  /** A file and the position that it leads to. */
  record Entry(Path file, LtxHeader header, Pos pos) {

    /** Where its transaction ends in the WAL that it was captured from. */
    Base.WalEnd walEnd() {
      return header.walSize() == 0
          ? Base.WalEnd.NONE
          : new Base.WalEnd(
              header.walSalt1(), header.walSalt2(), header.walOffset() + header.walSize(), false);
    }
  }

  /**
   * The files after {@code base}; null if the log does not continue it.
   *
   * @param base null: the whole log, of which each file is verified
   */
  static LogTail after(Base base, LtxLog log) throws IOException {
    List<Entry> entries = new ArrayList<>();
    Pos pos = base == null ? null : base.state().pos();
    for (Path file : log.files(pos == null ? 0 : pos.txid().value())) {
      Entry entry;
      try {
        if (base == null) {
          LtxLog.requireSound(file);
        }
        entry = entry(file);
      } catch (LtxException e) {
        return new LogTail(entries, e.getMessage());
      }
      LtxHeader header = entry.header();
      boolean follows =
          header.isSnapshot()
              || pos == null
              || header.minTxid().equals(pos.txid().next())
                  && header.preApply().equals(pos.checksum());
      if (!follows) {
        return entries.isEmpty()
            ? null
            : new LogTail(entries, file + " does not follow position " + pos);
      }
      pos = entry.pos();
      entries.add(entry);
    }
    return new LogTail(entries, null);
  }

  static Entry entry(Path file) throws IOException {
    try (FileChannel in = LtxLog.openForReading(file)) {
      LtxHeader header = LtxLog.readHeader(in, file);
      return new Entry(file, header, LtxLog.posAfter(in, header));
    }
  }

  /** Index of the first file that must be played: the last one that has every page. */
  int firstNeeded(DatabaseState before) {
    int first = 0;
    int pageSize = before.pageSize();
    boolean exists = before.exists();
    for (int i = 0; i < entries.size(); i++) {
      LtxHeader header = entries.get(i).header();
      if (header.isSnapshot() || header.pageSize() != pageSize || !exists) {
        first = i;
      }
      pageSize = header.pageSize();
      exists = header.commit() > 0;
    }
    return first;
  }
}
