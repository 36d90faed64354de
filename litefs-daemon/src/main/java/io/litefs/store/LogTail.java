package io.litefs.store;

import io.litefs.ltx.LtxException;
import io.litefs.ltx.LtxFileName;
import io.litefs.ltx.LtxHeader;
import io.litefs.ltx.Pos;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.util.Iterator;
import java.util.NoSuchElementException;

/**
 * The files of a log that recovery plays over the database: an unbroken chain of them, after a base
 * or from the log's beginning. Only its bounds are kept, since it may have a hundred thousand
 * files. Used while nothing is appended to the log, by one thread.
 */
final class LogTail {

  private final LtxLog log;

  /** The first file ends beyond this TXID. */
  private final long after;

  private Entry last;
  private long firstNeeded;
  private String gap;

  private LogTail(LtxLog log, long after) {
    this.log = log;
    this.after = after;
  }

  /** A file and the position that it leads to. */
  record Entry(Path file, LtxHeader header, Pos pos) {

    /** Where its transaction ends in the WAL that it was captured from. */
    Base.WalEnd walEnd() {
      return Base.WalEnd.of(header);
    }
  }

  /**
   * The files after {@code base}; null if the log does not continue it.
   *
   * @param base null: the whole log, of which each file is verified
   */
  static LogTail after(Base base, LtxLog log) throws IOException {
    Pos pos = base == null ? null : base.state().pos();
    LogTail tail = new LogTail(log, pos == null ? 0 : pos.txid().value());
    int pageSize = base == null ? 0 : base.state().pageSize();
    boolean exists = base == null || base.state().exists();
    for (Path file : log.files(tail.after)) {
      Entry entry;
      try {
        if (base == null) {
          LtxLog.requireSound(file);
        }
        entry = entry(file);
      } catch (LtxException e) {
        tail.gap = e.getMessage();
        return tail;
      }
      LtxHeader header = entry.header();
      boolean follows =
          header.isSnapshot()
              || pos == null
              || header.minTxid().equals(pos.txid().next())
                  && header.preApply().equals(pos.checksum());
      if (!follows) {
        tail.gap = file + " does not follow position " + pos;
        return tail.isEmpty() ? null : tail;
      }
      if (header.isSnapshot() || header.pageSize() != pageSize || !exists) {
        tail.firstNeeded = header.minTxid().value();
      }
      pageSize = header.pageSize();
      exists = header.commit() > 0;
      pos = entry.pos();
      tail.last = entry;
    }
    return tail;
  }

  static Entry entry(Path file) throws IOException {
    try (FileChannel in = LtxLog.openForReading(file)) {
      LtxHeader header = LtxLog.readHeader(in, file);
      return new Entry(file, header, LtxLog.posAfter(in, header));
    }
  }

  boolean isEmpty() {
    return last == null;
  }

  /** The last file; null if the chain is empty. */
  Entry last() {
    return last;
  }

  /** The TXID that the chain leads to; 0 if it is empty. */
  long end() {
    return last == null ? 0 : last.pos().txid().value();
  }

  /** Why the chain ends before the log does; null if it does not. */
  String gap() {
    return gap;
  }

  /** What the first file says of the database. The chain is not empty. */
  LtxHeader first() throws IOException {
    return entry(log.files(after).iterator().next()).header();
  }

  /**
   * Whether a file must be played: a later one that has every page makes it superfluous. (Every
   * page: a snapshot, the first after a change of the page size, or after the database was empty.)
   */
  boolean isNeeded(Path file) {
    return LtxFileName.parse(file.getFileName().toString())
        .map(name -> name.min().value() >= firstNeeded)
        .orElse(true);
  }

  /** The files, in order. */
  Iterable<Path> files() {
    return () ->
        new Iterator<>() {
          private final Iterator<Path> all = log.files(after).iterator();
          private boolean more = last != null;

          @Override
          public boolean hasNext() {
            return more;
          }

          @Override
          public Path next() {
            if (!more) {
              throw new NoSuchElementException();
            }
            Path file = all.next();
            more = !file.equals(last.file());
            return file;
          }
        };
  }
}
