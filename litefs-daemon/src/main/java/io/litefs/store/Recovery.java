package io.litefs.store;

import io.litefs.ltx.LtxException;
import io.litefs.ltx.LtxHeader;
import io.litefs.ltx.Pos;
import io.litefs.posix.ErrnoException;
import io.litefs.posix.PosixFile;
import io.litefs.sqlite.DatabaseHeader;
import io.litefs.sqlite.Freelist;
import io.litefs.sqlite.SqliteFormatException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
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

  private final Database database;
  private final DatabaseFiles files;
  private final LtxLog log;
  private final BaseKeeper bases;
  private final ByteBuffer page = ByteBuffer.allocateDirect(Database.MAX_PAGE_SIZE);

  /** Whether a journal was rolled back, now or before the last stop. */
  private boolean rolledBack;

  /**
   * Whether there was one at all: pages that are free before a transaction may be overwritten
   * before its journal is hot.
   */
  private boolean hadJournal;

  /** Whether anything was written to the database file. */
  private boolean changed;

  /** What the files played so far lead to. */
  private DatabaseState state;

  private Base.WalEnd walEnd = Base.WalEnd.NONE;
  private long timestampMillis;

  /** Whether the WAL in hand is one that a file played so far, or the base, was captured from. */
  private boolean walIsKnown;

  Recovery(Database database) {
    this.database = database;
    this.files = database.files();
    this.log = database.log();
    this.bases = database.bases();
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
      if (recoverFromDatabase(base)) {
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
    if (tail != null && tail.gap() == null && !isDoubtful(base, tail) && playFromBase(base, tail)) {
      finish(base);
    } else {
      recoverByReading(base);
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

  /**
   * After a power cut that tore the log's end the database file may, with {@code synchronous=OFF},
   * have pages of a transaction that the log no longer has. And somebody may have removed the WAL
   * of a daemon that ended in order.
   */
  private boolean isDoubtful(Base base, LogTail tail) throws IOException {
    boolean torn = log.wasTorn() && base.boot() != Base.currentBoot();
    if (!torn && base.clean() && tail.entries().isEmpty() && base.wal().offset() > 0) {
      WalRemains wal = WalRemains.of(files.get(FileKind.WAL));
      return wal == null || !wal.is(base.wal());
    }
    return torn;
  }

  /**
   * Whether files are missing that the log had when the base was made, for which it was synced. A
   * snapshot that goes back behind the base is in the log before it is applied.
   */
  private boolean hasLostItsEnd(Base base) throws IOException {
    if (base == null || base.state().pos().txid().compareTo(log.end().txid()) <= 0) {
      return false;
    }
    return log.wasTorn()
        || log.lastFile() == null
        || !LogTail.entry(log.lastFile()).header().isSnapshot();
  }

  /**
   * If the database itself is still what the base says, it goes on from there: the whole of it
   * takes the place of the log.
   *
   * @return false if it is not; no file has changed then
   */
  private boolean recoverFromDatabase(Base base) throws IOException {
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
    databaseFile().file().fsync();
    database.replaceLog();
    walEnd = base.wal();
    walIsKnown = ours;
    if (wal != null && !base.wal().applied()) {
      captureAgain(wal);
    }
    finish(null);
    return true;
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
      changed = true;
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
      changed = true;
    }
    files.remove(FileKind.JOURNAL);
  }

  // ------------------------------------------------- from a base

  /**
   * @return false if the pages' checksums do not make the one of the position: then what is on disk
   *     is not what the base says
   */
  private boolean playFromBase(Base base, LogTail tail) throws IOException {
    state = base.state();
    bases.readTable(database.checksums(), state.pageCount());
    WalRemains wal = WalRemains.of(files.get(FileKind.WAL));
    if (wal != null && wal.is(base.wal())) {
      if (wal.header().pageSize() != state.pageSize()
          || fold(wal, base.wal().offset()) < base.wal().offset()) {
        logger.warn("{}: the WAL is not whole up to position {}", database.name(), state.pos());
        return false;
      }
      walIsKnown = true;
    }
    walEnd = base.wal();
    try {
      play(tail.entries(), tail.firstNeeded(state), wal);
    } catch (LtxException e) {
      logger.warn("{}: {}", database.name(), e.getMessage());
      return false;
    }
    if (state.exists() && checksum() != state.pos().checksum().value()) {
      logger.warn("{}: the page checksums on disk are damaged", database.name());
      return false;
    }
    if (tail.entries().isEmpty()) {
      timestampMillis = LogTail.entry(log.lastFile()).header().timestampMillis();
    }
    database.recovered(state, fileIsWal(), timestampMillis);
    if (state.exists()) {
      if (databaseFile().size() < state.pageCount() * state.pageSize()) {
        // With synchronous=OFF a power cut may leave what a later transaction has cut off.
        logger.warn(
            "{}: the file is shorter than at position {}; reading the whole log",
            database.name(),
            state.pos());
        return false;
      }
      cut();
      if (hadJournal) {
        recordFreePages();
      }
      if (!base.clean() && !isWhole()) {
        logger.warn(
            "{}: pages of the file are not what position {} says; reading the whole log",
            database.name(),
            state.pos());
        return false;
      }
      if (wal != null && !base.wal().applied()) {
        captureAgain(wal);
      }
    }
    return true;
  }

  /**
   * Whether the file has the position's checksum. A large one is taken at its word: it is read in
   * the background ({@link BackgroundVerification}).
   */
  private boolean isWhole() throws IOException {
    BackingFile file = databaseFile();
    int pageSize = state.pageSize();
    if (state.pageCount() * pageSize > READ_AT_START_BYTES) {
      return true;
    }
    database.rebuildChecksums(
        pageSize, state.pageCount(), pgno -> database.pages().page(file, pgno, pageSize));
    return checksum() == state.pos().checksum().value();
  }

  /**
   * Copies the transactions of the WAL that end at or before {@code end} into the database file;
   * returns where the last of them does.
   */
  private long fold(WalRemains wal, long end) throws IOException {
    BackingFile file = databaseFile();
    changed = true;
    return wal.forEachTransaction(0, end, transaction -> wal.copy(transaction, file));
  }

  /** Writes the pages of the log's files, with their checksums, into the database. */
  private void play(List<LogTail.Entry> entries, int first, WalRemains wal) throws IOException {
    PageTable pageChecksums = new PageTable();
    PageTable checksums = database.checksums();
    for (int i = 0; i < entries.size(); i++) {
      LogTail.Entry entry = entries.get(i);
      LtxHeader header = entry.header();
      walEnd = entry.walEnd();
      walIsKnown |= wal != null && wal.is(walEnd);
      timestampMillis = header.timestampMillis();
      if (i >= first) {
        ReceivedTransaction transaction =
            ReceivedTransaction.read(entry.file(), page, pageChecksums);
        if (header.isSnapshot() || header.pageSize() != state.pageSize() || !state.exists()) {
          checksums.clear();
        }
        checksums.putAll(pageChecksums);
        checksums.truncate(header.commit());
        if (header.commit() > 0) {
          PosixFile file = databaseFile().file();
          changed = true;
          transaction.forEachPage(
              page, (pgno, content) -> file.pwrite(content, (pgno - 1) * header.pageSize()));
        }
      }
      state = new DatabaseState(entry.pos(), header.pageSize(), header.commit());
    }
  }

  private BackingFile databaseFile() throws IOException {
    BackingFile file = files.get(FileKind.DATABASE);
    return file == null ? files.create(FileKind.DATABASE) : file;
  }

  private void cut() throws IOException {
    BackingFile file = databaseFile();
    long size = state.pageCount() * state.pageSize();
    if (file.size() < size) {
      throw new StoreException(
          "its file has " + file.size() + " bytes, at position " + state.pos() + " it had " + size);
    }
    if (file.size() > size) {
      file.file().truncate(size);
      changed = true;
    }
  }

  private long checksum() {
    return database.checksumOfPages(state.pageCount());
  }

  /**
   * SQLite does not journal what free pages hold: a rollback leaves other bytes in them than were
   * there before. What they hold now becomes the next transaction, so that every node has the same.
   */
  private void recordFreePages() throws IOException {
    BackingFile file = databaseFile();
    PageTable changedPages = new PageTable();
    PageTable checksums = database.checksums();
    Freelist.forEachLeaf(
        (into, offset) -> file.file().preadMost(into, offset),
        state.pageSize(),
        state.pageCount(),
        pgno -> changedPages.put(pgno, 1));
    record(
        checksums,
        state.pageCount(),
        changedPages,
        pgno -> database.pages().page(file, pgno, state.pageSize()),
        TransactionRecorder.WalRange.NONE,
        "free pages that a rollback left changed");
  }

  // ------------------------------------------------- the WAL beyond the log

  /** Records what the WAL has and the log has not, and copies it into the database file. */
  private void captureAgain(WalRemains wal) throws IOException {
    if (wal.header().pageSize() != state.pageSize()) {
      return;
    }
    long from;
    if (wal.is(walEnd)) {
      from = walEnd.offset();
    } else if (walIsKnown) {
      return; // An older WAL, all of which is in the log.
    } else {
      from = 0;
    }
    BackingFile file = databaseFile();
    wal.forEachTransaction(
        from,
        Long.MAX_VALUE,
        transaction -> {
          PageTable frames = transaction.frames();
          record(
              database.checksums(),
              transaction.commit(),
              frames,
              pgno -> {
                long frame = frames.get(pgno);
                return frame == 0
                    ? database.pages().page(file, pgno, wal.header().pageSize())
                    : wal.page(frame);
              },
              new TransactionRecorder.WalRange(
                  transaction.start(),
                  transaction.end() - transaction.start(),
                  wal.header().salt1(),
                  wal.header().salt2()),
              "what the WAL has beyond the log");
          wal.copy(transaction, file);
          changed = true;
        });
  }

  private void record(
      PageTable checksums,
      long pageCount,
      PageTable touched,
      TransactionRecorder.PageSource source,
      TransactionRecorder.WalRange range,
      String what)
      throws IOException {
    TransactionRecorder.Recorded recorded =
        database
            .recorder()
            .record(database.state(), database.pageSize(), pageCount, touched, source, range);
    if (recorded != null) {
      recorded.append();
      database.accept(recorded, fileIsWal());
      state = database.state();
      logger.info("{}: recorded transaction {}: {}", database.name(), state.pos().txid(), what);
    }
  }

  // ------------------------------------------------- by reading everything

  /**
   * There is no base, or it does not lead to the log's end: the database is read as a whole. First
   * as it is; if that is not the log's last position, with the log played over it, up to a gap if
   * the log has one.
   *
   * @param base what there is, for what it says of the WAL; may be null
   */
  private void recoverByReading(Base base) throws IOException {
    boolean applied = base != null && base.wal().applied();
    LogTail.Entry last = LogTail.entry(log.lastFile());
    if (last.header().commit() == 0) {
      state = new DatabaseState(last.pos(), last.header().pageSize(), 0);
      database.checksums().clear();
      database.recovered(state, false, last.header().timestampMillis());
      return;
    }
    WalRemains wal = WalRemains.of(files.get(FileKind.WAL));
    if (wal != null && wal.header().pageSize() != last.header().pageSize()) {
      wal = null;
    }
    LogTail tail = LogTail.after(null, log);
    if (isAt(last, wal, applied)) {
      if (tail.gap() != null) {
        setLogAside(0, log.gapEnd(tail), tail.gap());
      }
      return;
    }
    if (tail.gap() != null && !tail.entries().isEmpty()) {
      last = tail.entries().get(tail.entries().size() - 1);
      setLogAside(last.pos().txid().value(), Long.MAX_VALUE, tail.gap());
    }
    if (!tail.entries().isEmpty()) {
      Base.WalEnd end = last.walEnd();
      if (wal != null && (applied || wal.is(end))) {
        fold(wal, applied ? Long.MAX_VALUE : end.offset());
      }
      playAll(tail);
      // The file alone decides now. A power cut may have left only the beginning of the WAL, with
      // older versions of pages that the log has just written.
      walIsKnown = wal != null && (applied || wal.is(end));
      walEnd = applied ? Base.WalEnd.NONE : end;
      if (isAt(last, wal, 0)) {
        return;
      }
      if (rolledBack) {
        recordAsItIs();
        return;
      }
    }
    throw new StoreException(
        "neither its file nor its log leads to position %s; restore it from another node or a backup"
            .formatted(last.pos()));
  }

  /**
   * Whether the database, with or without what a WAL has that the log does not tell of, is at the
   * position after {@code last}; then that is its state, and what the WAL has beyond is captured.
   */
  private boolean isAt(LogTail.Entry last, WalRemains wal, boolean applied) throws IOException {
    if (wal == null) {
      return isAt(last, null, 0);
    }
    if (applied || wal.is(last.walEnd())) {
      walIsKnown = true;
      walEnd = applied ? Base.WalEnd.NONE : last.walEnd();
      return isAt(last, wal, applied ? Long.MAX_VALUE : walEnd.offset());
    }
    walEnd = Base.WalEnd.NONE;
    walIsKnown = false; // all of it came after the log's end
    if (isAt(last, wal, 0)) {
      return true;
    }
    walIsKnown = true; // all of it came before
    return isAt(last, wal, Long.MAX_VALUE);
  }

  private boolean isAt(LogTail.Entry last, WalRemains wal, long walOffset) throws IOException {
    LtxHeader header = last.header();
    DatabaseState there = new DatabaseState(last.pos(), header.pageSize(), header.commit());
    if (!holds(there, header.timestampMillis(), wal, walOffset)) {
      return false;
    }
    if (wal != null) {
      captureAgain(wal);
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
    database.rebuildChecksums(
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
      fold(wal, walOffset);
    }
    state = there;
    cut();
    database.recovered(state, fileIsWal(), millis);
    return true;
  }

  private void playAll(LogTail tail) throws IOException {
    LtxHeader first = tail.entries().get(0).header();
    // Neither empty nor of another page size: the first file may have only some of the pages.
    state = new DatabaseState(Pos.ZERO, first.pageSize(), Math.max(1, first.commit()));
    play(tail.entries(), tail.firstNeeded(state), null);
    if (databaseFile().size() > state.pageCount() * state.pageSize()) {
      databaseFile().file().truncate(state.pageCount() * state.pageSize());
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
    BackingFile file = databaseFile();
    // With no page that counts as known, every page is part of the transaction.
    database.recovered(
        new DatabaseState(state.pos(), state.pageSize(), 0), fileIsWal(), timestampMillis);
    database.recordUnlogged(file, header(file));
    state = database.state();
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
      fold(wal, Long.MAX_VALUE);
    }
    if (file.size() == 0) {
      database.removeFiles();
      return;
    }
    logger.info(
        "{}: has no log; its {} MB are read and become the first transaction",
        database.name(),
        file.size() >> 20);
    database.recordUnlogged(file, header(file));
    state = database.state();
    finish(null);
  }

  /** Whether the file behind the database says write-ahead log; false if there is none. */
  private boolean fileIsWal() throws ErrnoException {
    BackingFile file = files.get(FileKind.DATABASE);
    ByteBuffer beginning = file == null ? null : database.pages().beginning(file);
    return beginning != null && beginning.limit() > 19 && beginning.get(19) == 2;
  }

  private DatabaseHeader header(BackingFile file) throws IOException {
    ByteBuffer beginning = ByteBuffer.allocateDirect(DatabaseHeader.SIZE);
    file.file().preadMost(beginning, 0);
    try {
      return DatabaseHeader.parse(beginning.flip());
    } catch (SqliteFormatException e) {
      throw new StoreException("its file is no database: " + e.getMessage(), e);
    }
  }

  // ------------------------------------------------- the end

  /**
   * Everything is in the database file now. The order matters: the WAL goes when the file is on
   * disk, and the new base, which tells of no WAL, comes when it is gone.
   */
  private void finish(Base base) throws IOException {
    if (!state.exists()) {
      database.removeFiles();
    } else {
      boolean leftovers = files.get(FileKind.WAL) != null || files.get(FileKind.SHM) != null;
      if (changed) {
        databaseFile().file().fsync();
      }
      files.remove(FileKind.WAL);
      files.remove(FileKind.SHM);
      if (leftovers || changed) {
        PosixFile.syncDirectory(files.dir());
      }
    }
    bases.recovered(base, !changed);
    StrayPagesMark.clear(files.dir());
  }
}
