package io.litefs.store;

import io.litefs.ltx.LtxException;
import io.litefs.ltx.LtxHeader;
import io.litefs.ltx.Pos;
import java.io.IOException;
import java.nio.file.Path;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Brings one database to its position when no base leads there, or the log is not whole: the
 * database is read, and its checksum decides. Files of the log that are of no use then are kept
 * aside.
 *
 * <p>Called under the database's lock.
 */
final class RecoveryByReading {

  private static final Logger logger = LoggerFactory.getLogger(RecoveryByReading.class);

  private final Database database;
  private final DatabaseFiles files;
  private final LtxLog log;
  private final Soundness soundness;
  private final LogReplay replay;

  RecoveryByReading(Database database, Soundness soundness, LogReplay replay) {
    this.database = database;
    this.files = database.files();
    this.log = database.log();
    this.soundness = soundness;
    this.replay = replay;
  }

  /**
   * If the database itself is still what the base says, it goes on from there: the whole of it
   * takes the place of the log.
   *
   * @return false if it is not; no file has changed then
   */
  boolean runWithoutLog(Base base) throws IOException {
    DatabaseState known = base.state();
    WalRemains wal = WalRemains.of(files.get(FileKind.WAL));
    boolean ours = wal != null && wal.is(base.wal());
    if (!known.exists() || wal != null && wal.header().pageSize() != known.pageSize()) {
      return false;
    }
    if (!holds(known, System.currentTimeMillis(), wal, ours ? base.wal().offset() : 0)) {
      return false;
    }
    logger.error(
        "{}: the log has lost what led to position {}; the database itself is still there, and"
            + " takes the place of the log",
        database.name(),
        known.pos());
    UndoPages.forgetLeftover(files.dir());
    replay.databaseFile().file().fsync();
    Snapshots.replaceLog(database, soundness);
    replay.beginInWal(base.wal(), ours);
    if (wal != null && !base.wal().applied()) {
      replay.captureAgain(wal);
    }
    return true;
  }

  /**
   * There is no base, or it does not lead to the log's end: the database is read as a whole. First
   * as it is; if that is not the log's last position, with the log played over it, up to a gap if
   * the log has one.
   *
   * @param base what there is, for what it says of the WAL; may be null
   * @param rolledBack whether a journal was rolled back, now or before the last stop
   * @throws StoreException if neither its file nor its log leads to the log's position
   */
  void run(Base base, boolean rolledBack) throws IOException {
    boolean applied = base != null && base.wal().applied();
    LogTail.Entry last = LogTail.entry(log.lastFile());
    if (last.header().commit() == 0) {
      replay.beginAt(new DatabaseState(last.pos(), last.header().pageSize(), 0));
      database.checksums().clear();
      database.recovered(replay.state(), false, last.header().timestampMillis());
      return;
    }
    WalRemains wal = WalRemains.of(files.get(FileKind.WAL));
    if (wal != null && wal.header().pageSize() != last.header().pageSize()) {
      wal = null;
    }
    boolean known = wal != null && (applied || isInLog(wal, base));
    LogTail tail = LogTail.after(null, log);
    if (isAt(last, wal, base, known)) {
      if (tail.gap() != null) {
        setLogAside(0, log.gapEnd(tail), tail.gap());
      }
      return;
    }
    if (tail.gap() != null && !tail.isEmpty()) {
      last = tail.last();
      setLogAside(tail.end(), Long.MAX_VALUE, tail.gap());
    }
    if (!tail.isEmpty()) {
      // Of frames of the daemon's own, some may be of transactions that the log has lost.
      Base.WalEnd end = applied ? base.wal() : last.walEnd();
      if (wal != null && wal.is(end)) {
        replay.fold(wal, end.offset());
      }
      playAll(tail);
      // The file alone decides now. A power cut may have left only the beginning of the WAL, with
      // older versions of pages that the log has just written.
      replay.beginInWal(applied ? Base.WalEnd.NONE : end, known);
      if (isAt(last, wal, 0)) {
        return;
      }
      if (rolledBack && base == null) {
        recordAsItIs();
        return;
      }
    }
    throw new StoreException(
        "neither its file nor its log leads to position %s; restore it from another node or a backup"
            .formatted(last.pos()));
  }

  /**
   * Whether the log, or the base, was captured from this WAL. If the log's end was not, it is an
   * older one: commits do not sync it, so after a power cut the file may be as it was before it was
   * begun anew, any number of times. All of it is in the log then, and none of it comes after.
   */
  private boolean isInLog(WalRemains wal, Base base) throws IOException {
    if (base != null && (base.givesWay() || wal.is(base.wal()))) {
      return true; // The base is synced with the WAL: no older one is on disk.
    }
    for (Path file : log.files()) {
      try {
        if (wal.is(LogTail.entry(file).walEnd())) {
          return true;
        }
      } catch (LtxException e) {
        logger.debug("{}: {}", file, e.getMessage()); // LogTail tells of it.
      }
    }
    return false;
  }

  /**
   * Whether the database, with or without what a WAL has that the log does not tell of, is at the
   * position after {@code last}; then that is its state, and what the WAL has beyond is captured.
   *
   * @param known whether the log was captured from this WAL
   */
  private boolean isAt(LogTail.Entry last, WalRemains wal, Base base, boolean known)
      throws IOException {
    if (wal == null) {
      return isAt(last, null, 0);
    }
    if (base != null && base.wal().applied()) {
      replay.beginInWal(Base.WalEnd.NONE, true);
      return isAt(last, wal, Long.MAX_VALUE)
          || wal.is(base.wal()) && isAt(last, wal, base.wal().offset())
          || isAt(last, wal, 0);
    }
    if (wal.is(last.walEnd())) {
      replay.beginInWal(last.walEnd(), true);
      return isAt(last, wal, last.walEnd().offset());
    }
    replay.beginInWal(Base.WalEnd.NONE, known); // if not known, all of it came after the log's end
    if (isAt(last, wal, 0)) {
      return true;
    }
    replay.beginInWal(Base.WalEnd.NONE, true); // all of it came before
    return isAt(last, wal, Long.MAX_VALUE);
  }

  private boolean isAt(LogTail.Entry last, WalRemains wal, long walOffset) throws IOException {
    LtxHeader header = last.header();
    DatabaseState there = new DatabaseState(last.pos(), header.pageSize(), header.commit());
    if (!holds(there, header.timestampMillis(), wal, walOffset)) {
      return false;
    }
    if (wal != null) {
      replay.captureAgain(wal);
    }
    return true;
  }

  /**
   * Whether the database has the checksum of a state, with the WAL up to an offset; then that is
   * its state.
   */
  private boolean holds(DatabaseState there, long millis, WalRemains wal, long walOffset)
      throws IOException {
    BackingFile file = files.get(FileKind.DATABASE);
    PageTable frames = new PageTable();
    if (wal != null) {
      wal.forEachTransaction(0, walOffset, transaction -> frames.putAll(transaction.frames()));
    }
    if (file == null) {
      return false;
    }
    replay.rebuildChecksums(
        there.pageSize(),
        there.pageCount(),
        pgno -> {
          long frame = frames.get(pgno);
          return frame == 0 ? database.pages().page(file, pgno, there.pageSize()) : wal.page(frame);
        });
    if (database.checksumOfPages(there.pageCount()) != there.pos().checksum().value()) {
      return false;
    }
    if (wal != null) {
      replay.fold(wal, walOffset);
    }
    replay.beginAt(there);
    replay.cut();
    replay.publish(millis);
    return true;
  }

  private void playAll(LogTail tail) throws IOException {
    LtxHeader first = tail.first();
    // Neither empty nor of another page size: the first file may have only some of the pages.
    replay.beginAt(new DatabaseState(Pos.ZERO, first.pageSize(), Math.max(1, first.commit())));
    replay.play(tail, null);
    BackingFile file = replay.databaseFile();
    long size = replay.state().pageCount() * replay.state().pageSize();
    if (file.size() > size) {
      file.file().truncate(size);
    }
  }

  /** Takes the files that end beyond one TXID and at or before another out of the log. */
  private void setLogAside(long after, long upTo, String why) throws IOException {
    Path aside = AsideLogs.now(files.dir());
    logger.error(
        "{}: the log has a gap: {}; the files that this makes useless are kept in {}",
        database.name(),
        why,
        aside);
    log.setAside(after, upTo, aside);
  }

  /** After a rollback free pages differ, and there is nothing to tell which: all are recorded. */
  private void recordAsItIs() throws IOException {
    logger.info(
        "{}: free pages changed in the rollback; recording the database anew", database.name());
    // With no page that counts as known, every page is part of the transaction.
    DatabaseState played = replay.state();
    replay.beginAt(new DatabaseState(played.pos(), played.pageSize(), 0));
    replay.publish(replay.timestampMillis());
    replay.recordFile();
  }
}
