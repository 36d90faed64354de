package io.litefs.store;

import io.litefs.ltx.Checksum;
import io.litefs.ltx.LtxHeader;
import io.litefs.ltx.PageChecksum;
import io.litefs.ltx.PageSize;
import io.litefs.ltx.Pos;
import io.litefs.ltx.Txid;
import io.litefs.posix.ErrnoException;
import java.io.IOException;
import java.nio.ByteBuffer;

/**
 * Turns the pages that a transaction touched into the next file of the log, and keeps the
 * database's checksum: the old checksum of each changed page goes out, the new one comes in,
 * whatever the size of the database.
 *
 * <p>Used under the database's lock. Nothing of the database changes before {@link
 * Recorded#accept}.
 */
final class TransactionRecorder {

  /** Bit 63, set in every checksum of a page or of a database. */
  private static final long FLAG = 1L << 63;

  /** Reads a page as it is after the transaction; the buffer is valid until the next call. */
  @FunctionalInterface
  interface PageSource {
    ByteBuffer page(long pgno) throws IOException;
  }

  /**
   * Where the transaction lies in the WAL; {@link #NONE} for one that came by a rollback journal.
   */
  record WalRange(long offset, long size, int salt1, int salt2) {
    static final WalRange NONE = new WalRange(0, 0, 0, 0);
  }

  private final LtxLog log;
  private final boolean compress;
  private final long nodeId;
  private final PageTable checksums;
  private final CommitGate gate;

  /** New checksums of the transaction in hand. */
  private final PageTable pending = new PageTable();

  private boolean leftOut;

  TransactionRecorder(
      LtxLog log, PageTable checksums, boolean compress, long nodeId, CommitGate gate) {
    this.gate = gate;
    this.log = log;
    this.checksums = checksums;
    this.compress = compress;
    this.nodeId = nodeId;
  }

  /**
   * Encodes the transaction that leads from {@code before} to a database of {@code pageCount} pages
   * of {@code pageSize} bytes.
   *
   * @param touched pages that may have changed; pages that are new to the database need not be
   *     among them, and if the page size is new, every page counts
   * @return the finished file, not yet part of the log; null if nothing changed
   */
  Recorded record(
      DatabaseState before,
      int pageSize,
      long pageCount,
      PageTable touched,
      PageSource source,
      WalRange wal)
      throws IOException {
    boolean whole = pageSize != before.pageSize() || before.pageCount() == 0;
    long oldCount = whole ? 0 : before.pageCount();
    long lockPage = new PageSize(pageSize).lockPage();
    long sum = whole ? 0 : before.pos().checksum().value() & ~FLAG;
    pending.clear();
    leftOut = false;
    LtxLog.Writer writer = null;
    long begun = System.nanoTime();
    long timestamp = System.currentTimeMillis();
    try {
      if (whole || pageCount != oldCount) {
        writer = begin(before.pos(), pageSize, pageCount, timestamp, wal);
      }
      for (long pgno = 1; pgno <= pageCount; pgno++) {
        if (pgno <= oldCount) {
          long next = touched.next(pgno);
          pgno = next == 0 || next > oldCount ? oldCount + 1 : next;
          if (pgno > pageCount) {
            break;
          }
        }
        if (pgno == lockPage) {
          continue;
        }
        ByteBuffer page = source.page(pgno);
        long checksum = PageChecksum.of(pgno, page);
        long old = pgno <= oldCount ? checksums.get(pgno) : 0;
        if (checksum == old) {
          leftOut = true;
          continue;
        }
        if (writer == null) {
          writer = begin(before.pos(), pageSize, pageCount, timestamp, wal);
        }
        writer.page(pgno, page);
        sum ^= (old ^ checksum) & ~FLAG;
        pending.put(pgno, checksum);
      }
      if (writer == null) {
        return null;
      }
      for (long pgno = pageCount + 1; pgno <= oldCount; pgno++) {
        sum ^= checksums.get(pgno) & ~FLAG;
      }
      Checksum postApply = new Checksum(sum | FLAG);
      writer.finish(postApply);
      Pos pos = new Pos(before.pos().txid().next(), postApply);
      return new Recorded(
          writer, new DatabaseState(pos, pageSize, pageCount), whole, timestamp, begun);
    } catch (IOException | RuntimeException | Error e) {
      if (writer != null) {
        writer.abort();
      }
      throw e;
    }
  }

  /** Whether some of the pages recorded last were as before, so that the file has not got them. */
  boolean hasLeftOut() {
    return leftOut;
  }

  /** Encodes the drop of the database. */
  Recorded recordDrop(DatabaseState before) throws IOException {
    pending.clear();
    long begun = System.nanoTime();
    long timestamp = System.currentTimeMillis();
    LtxLog.Writer writer = begin(before.pos(), before.pageSize(), 0, timestamp, WalRange.NONE);
    try {
      writer.finish(Checksum.EMPTY_DATABASE);
      Pos pos = new Pos(before.pos().txid().next(), Checksum.EMPTY_DATABASE);
      return new Recorded(
          writer, new DatabaseState(pos, before.pageSize(), 0), true, timestamp, begun);
    } catch (IOException | RuntimeException | Error e) {
      writer.abort();
      throw e;
    }
  }

  private LtxLog.Writer begin(
      Pos before, int pageSize, long pageCount, long timestamp, WalRange wal) throws IOException {
    gate.beforeRecording();
    Txid txid = before.txid().next();
    return log.begin(
        new LtxHeader(
            compress,
            pageSize,
            pageCount,
            txid,
            txid,
            timestamp,
            before.checksum(),
            wal.offset(),
            wal.size(),
            wal.salt1(),
            wal.salt2(),
            nodeId));
  }

  /**
   * A transaction whose file is finished. {@link #abort} gives it up; {@link #append} makes it part
   * of the log, after which {@link #revoke} takes it back or {@link #accept} makes it the
   * database's.
   */
  final class Recorded {
    private final LtxLog.Writer writer;
    private final DatabaseState after;
    private final boolean whole;
    private final long timestamp;
    private final long begunNanos;

    private Recorded(
        LtxLog.Writer writer, DatabaseState after, boolean whole, long timestamp, long begunNanos) {
      this.begunNanos = begunNanos;
      this.writer = writer;
      this.after = after;
      this.whole = whole;
      this.timestamp = timestamp;
    }

    DatabaseState after() {
      return after;
    }

    /** Milliseconds since the epoch, as in the file's header. */
    long timestamp() {
      return timestamp;
    }

    /** When it was begun, by {@link System#nanoTime}. */
    long begunNanos() {
      return begunNanos;
    }

    /** Size of the file. */
    long bytes() {
      return writer.bytes();
    }

    /**
     * Makes the file the last of the log. If that fails, or the gate does not let it pass, the file
     * is gone.
     */
    void append() throws IOException {
      append(false);
    }

    /**
     * As {@link #append}, and it is on disk when this returns: what it replaces is going, and no
     * journal would bring it back after a power cut.
     */
    void appendDurably() throws IOException {
      append(true);
    }

    private void append(boolean durably) throws IOException {
      boolean passed = false;
      try {
        gate.beforeAppend(writer.location(), after.pos());
        passed = true;
        writer.append(durably);
      } catch (IOException | RuntimeException e) {
        writer.abort();
        if (passed) {
          gate.revoked();
        }
        throw e;
      }
      try {
        gate.afterAppend();
      } catch (ErrnoException e) {
        revoke();
        throw e;
      }
    }

    /** Takes the file out of the log again: the application was not told "committed". */
    void revoke() throws ErrnoException {
      try {
        log.revokeLast(writer);
      } finally {
        gate.revoked();
      }
    }

    /** Makes the new checksums those of the database. */
    void accept() {
      if (whole) {
        checksums.clear();
      }
      checksums.putAll(pending);
      checksums.truncate(after.pageCount());
    }

    void abort() {
      writer.abort();
    }
  }
}
