package io.litefs.store;

import io.litefs.ltx.LtxException;
import io.litefs.ltx.Pos;
import io.litefs.posix.PosixFile;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.StringJoiner;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Brings the log, the WAL and the database file of one database together when the daemon starts,
 * before the mount is there.
 *
 * <ol>
 *   <li>What was being written with neither journal nor WAL is undone, a hot journal rolled back.
 *   <li>From the {@link Base} on, the log is played over the database file: it has every page that
 *       was changed since, so whatever state a crash left these pages in, they are right then. What
 *       is played need not be read from the database, nor need anything else.
 *   <li>Transactions that are whole in the WAL and not in the log (a power cut took the log's tail)
 *       are captured again.
 *   <li>Without a base, or if something does not fit, the database is read as a whole and its
 *       checksum decides.
 * </ol>
 *
 * Afterwards there is neither journal nor WAL, and everything is on disk.
 */
final class Recovery {

  private static final Logger logger = LoggerFactory.getLogger(Recovery.class);

  /** What is read in a fraction of a second is read at once after an unclean stop. */
  private static final long READ_AT_START_BYTES = 256L << 20;

  /** So many pages are named in the log. */
  private static final int NAMED_PAGES = 5;

  private final Database database;
  private final DatabaseFiles files;
  private final LtxLog log;
  private final BaseKeeper bases;
  private final LogReplay replay;
  private final RecoveryByReading reading;

  /** Whether a journal was rolled back, now or before the last stop. */
  private boolean rolledBack;

  /**
   * Whether there was one at all: pages that are free before a transaction may be overwritten
   * before its journal is hot.
   */
  private boolean hadJournal;

  Recovery(Database database, Soundness soundness) {
    this.database = database;
    this.files = database.files();
    this.log = database.log();
    this.bases = database.bases();
    this.replay = new LogReplay(database);
    this.reading = new RecoveryByReading(database, soundness, replay);
  }

  /**
   * @throws IOException if the database cannot be brought to its log's position
   */
  void run() throws IOException {
    database.lock.lock();
    try {
      recover();
    } finally {
      database.lock.unlock();
    }
  }

  private void recover() throws IOException {
    removeTemporaries();
    files.restoreAside();
    for (FileKind kind : FileKind.values()) {
      files.openIfPresent(kind);
    }
    Base base = bases.read();
    if (hasLostItsEnd(base)) {
      rollBackJournal(); // Or removes one that is not hot, as journal_mode=PERSIST leaves it.
      if (reading.runWithoutLog(base)) {
        finish(null);
        return;
      }
    }
    if (log.end().equals(Pos.ZERO)) {
      recoverWithoutLog(base);
      return;
    }
    undo();
    rollBackJournal();
    if (StrayPagesMark.isSet(files.dir())) {
      hadJournal = true;
      rolledBack = true;
    }
    LogTail tail = usable(base) ? LogTail.after(base, log) : null;
    if (tail != null
        && tail.gap() == null
        && !lacksItsWal(base, tail)
        && playFromBase(base, tail)) {
      finish(base);
    } else {
      reading.run(base, rolledBack);
      finish(null);
    }
  }

  private boolean usable(Base base) throws IOException {
    if (base == null) {
      return false;
    }
    Pos end = log.end();
    int order = base.state().pos().txid().compareTo(end.txid());
    return order < 0 || order == 0 && base.state().pos().equals(end);
  }

  /** Somebody may have removed the WAL of a daemon that ended in order. */
  private boolean lacksItsWal(Base base, LogTail tail) throws IOException {
    if (!base.clean() || !tail.isEmpty() || base.wal().offset() == 0) {
      return false;
    }
    WalRemains wal = WalRemains.of(files.get(FileKind.WAL));
    return wal == null || !wal.is(base.wal());
  }

  /**
   * Whether files are missing that the log had when the base was made, for which it was synced.
   * Before a snapshot goes back behind the base, there is none any more: {@link
   * BaseKeeper#logIsReplaced}.
   */
  private boolean hasLostItsEnd(Base base) throws IOException {
    return base != null && base.state().pos().txid().compareTo(log.end().txid()) > 0;
  }

  /** Copies that were under way when the daemon died. */
  private void removeTemporaries() throws IOException {
    try (DirectoryStream<Path> leftovers = Files.newDirectoryStream(files.dir(), "*.tmp")) {
      for (Path file : leftovers) {
        Files.delete(file);
      }
    }
  }

  // ------------------------------------------------- what never ended

  private void undo() throws IOException {
    BackingFile file = files.get(FileKind.DATABASE);
    if (file != null && UndoPages.restoreLeftover(files.dir(), file.file())) {
      logger.info("{}: undid a write without a journal that never ended", database.name());
      file.file().fsync();
      replay.fileChanged();
    }
    UndoPages.forgetLeftover(files.dir());
  }

  private void rollBackJournal() throws IOException {
    BackingFile journal = files.get(FileKind.JOURNAL);
    BackingFile file = files.get(FileKind.DATABASE);
    if (journal == null || file == null) {
      return;
    }
    hadJournal = true;
    if (HotJournal.rollBack(journal, file)) {
      logger.info("{}: rolled back a transaction that never ended", database.name());
      file.file().fsync();
      rolledBack = true;
      replay.fileChanged();
    }
    StrayPagesMark.set(files.dir()); // If this start does not come to its end, the next must know.
    files.remove(FileKind.JOURNAL);
  }

  // ------------------------------------------------- from a base

  /**
   * @return false if the pages' checksums do not make the one of the position: then what is on disk
   *     is not what the base says
   */
  private boolean playFromBase(Base base, LogTail tail) throws IOException {
    replay.beginAt(base.state());
    // Behind a base that gave way to a snapshot, a WAL is that of the history before.
    replay.beginInWal(base.wal(), base.givesWay());
    bases.readTable(database.checksums(), base.state().pageCount());
    WalRemains wal = WalRemains.of(files.get(FileKind.WAL));
    if (wal != null && wal.is(base.wal())) {
      if (wal.header().pageSize() != base.state().pageSize()
          || wal.wholeUpTo(base.wal().offset()) < base.wal().offset()) {
        logger.warn(
            "{}: the WAL is not whole up to position {}", database.name(), base.state().pos());
        return false;
      }
      replay.fold(wal, base.wal().offset());
      replay.beginInWal(base.wal(), true);
    }
    try {
      replay.play(tail, wal);
    } catch (LtxException e) {
      logger.warn("{}: {}", database.name(), e.getMessage());
      return false;
    }
    DatabaseState state = replay.state();
    if (state.exists() && !replay.isAtItsPosition()) {
      logger.warn("{}: the page checksums on disk are damaged", database.name());
      return false;
    }
    replay.publish(
        tail.isEmpty()
            ? LogTail.entry(log.lastFile()).header().timestampMillis()
            : replay.timestampMillis());
    if (state.exists()) {
      if (replay.databaseFile().size() < state.pageCount() * state.pageSize()) {
        // With synchronous=OFF a power cut may leave what a later transaction has cut off.
        logger.warn(
            "{}: the file is shorter than at position {}; reading the whole log",
            database.name(),
            state.pos());
        return false;
      }
      replay.cut();
      if (!isWhole(base)) {
        return false;
      }
      if (wal != null && !base.wal().applied()) {
        replay.captureAgain(wal);
      }
    }
    return true;
  }

  /**
   * Whether the file is what the position says, but for free pages that a rollback has changed:
   * these become a transaction. A large one is taken at its word and read in the background ({@link
   * BackgroundVerification}), unless a power cut tore the log's end: then it may, with {@code
   * synchronous=OFF} and on a replica, have pages of a transaction that the log no longer has.
   */
  private boolean isWhole(Base base) throws IOException {
    DatabaseState state = replay.state();
    boolean torn = log.wasTorn() && base.boot() != Base.currentBoot();
    boolean large = state.pageCount() * state.pageSize() > READ_AT_START_BYTES;
    if (!torn && (base.clean() || large)) {
      if (hadJournal) {
        replay.recordFreePages();
      }
      return true;
    }
    PageTable differing = replay.differingPages();
    if (differing.isEmpty() || hadJournal && replay.recordIfFree(differing)) {
      return true;
    }
    logger.warn(
        "{}: pages of the file ({}) are not what position {} says; reading the whole log",
        database.name(),
        some(differing),
        state.pos());
    return false;
  }

  private static String some(PageTable pages) {
    StringJoiner named = new StringJoiner(", ");
    long pgno = pages.next(1);
    for (int i = 0; i < NAMED_PAGES && pgno != 0; i++) {
      named.add(Long.toString(pgno));
      pgno = pages.next(pgno + 1);
    }
    return pgno == 0 ? named.toString() : named.add("...").toString();
  }

  /**
   * A database that has no log: one that was put here by hand, or whose first transaction never
   * ended.
   */
  private void recoverWithoutLog(Base base) throws IOException {
    BackingFile file = files.get(FileKind.DATABASE);
    if (log.wasTorn() && base != null && base.state().exists()) {
      throw new StoreException(
          "no file of its log is sound, and its file is not at position %s, where it was; restore it from another node or a backup"
              .formatted(base.state().pos()));
    }
    UndoPages.forgetLeftover(files.dir());
    if (file == null) {
      return;
    }
    rollBackJournal();
    WalRemains wal = WalRemains.of(files.get(FileKind.WAL));
    if (wal != null) {
      replay.fold(wal, Long.MAX_VALUE);
    }
    if (file.size() == 0) {
      database.removeFiles();
      return;
    }
    logger.info(
        "{}: has no log; its {} MB are read and become the first transaction",
        database.name(),
        file.size() >> 20);
    replay.recordFile();
    finish(null);
  }

  // ------------------------------------------------- the end

  /**
   * Everything is in the database file now. The order matters: the WAL goes when the file is on
   * disk, and the new base, which tells of no WAL, comes when it is gone.
   */
  private void finish(Base base) throws IOException {
    if (!replay.state().exists()) {
      database.removeFiles();
    } else {
      boolean leftovers = files.get(FileKind.WAL) != null || files.get(FileKind.SHM) != null;
      if (replay.hasChangedFile()) {
        replay.databaseFile().file().fsync();
      }
      log.sync(); // What was recorded, before the files go that tell of it.
      files.remove(FileKind.WAL);
      files.remove(FileKind.SHM);
      if (leftovers || replay.hasChangedFile()) {
        PosixFile.syncDirectory(files.dir());
      }
    }
    bases.recovered(base, !replay.hasChangedFile());
    StrayPagesMark.clear(files.dir());
  }
}
