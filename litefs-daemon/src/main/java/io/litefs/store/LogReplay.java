package io.litefs.store;

import io.litefs.ltx.LtxHeader;
import io.litefs.ltx.PageChecksum;
import io.litefs.ltx.PageSize;
import io.litefs.ltx.Pos;
import io.litefs.posix.ErrnoException;
import io.litefs.posix.PosixFile;
import io.litefs.sqlite.DatabaseHeader;
import io.litefs.sqlite.Freelist;
import io.litefs.sqlite.SqliteFormatException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What {@link Recovery} does to one database, and the state to which that leads: plays files of the
 * log over the database file, copies the WAL into it, and records what the log has not.
 *
 * <p>Guarded by the database's lock.
 */
final class LogReplay {

  private static final Logger logger = LoggerFactory.getLogger(LogReplay.class);

  private final Database database;
  private final DatabaseFiles files;

  /** What the files played so far lead to. */
  private DatabaseState state;

  private long timestampMillis;

  /** Where that is in the WAL. */
  private Base.WalEnd walEnd = Base.WalEnd.NONE;

  /** Whether the WAL in hand is one that a file played so far, or the base, was captured from. */
  private boolean walIsKnown;

  /** Whether anything was written to the database file. */
  private boolean changed;

  LogReplay(Database database) {
    this.database = database;
    this.files = database.files();
  }

  DatabaseState state() {
    return state;
  }

  /** It is in this state; what is played comes after it. */
  void beginAt(DatabaseState now) {
    state = now;
  }

  /**
   * Says where the log's end is in the WAL.
   *
   * @param known whether the WAL in hand is the one that the log was captured from
   */
  void beginInWal(Base.WalEnd end, boolean known) {
    walEnd = end;
    walIsKnown = known;
  }

  /** When the last transaction that was played was made, ms since the epoch. */
  long timestampMillis() {
    return timestampMillis;
  }

  /** The state is the database's. */
  void publish(long millis) throws IOException {
    database.recovered(state, fileIsWal(), millis);
  }

  /** The database file was written to. */
  void fileChanged() {
    changed = true;
  }

  boolean hasChangedFile() {
    return changed;
  }

  /**
   * The pages of the database file that have not the checksum that is known of them: all are read.
   */
  PageTable differingPages() throws IOException {
    BackingFile file = databaseFile();
    PageTable checksums = database.checksums();
    PageTable differing = new PageTable();
    int pageSize = state.pageSize();
    long lockPage = new PageSize(pageSize).lockPage();
    for (long pgno = 1; pgno <= state.pageCount(); pgno++) {
      if (pgno != lockPage
          && PageChecksum.of(pgno, database.pages().page(file, pgno, pageSize))
              != checksums.get(pgno)) {
        differing.put(pgno, 1);
      }
    }
    return differing;
  }

  /** Whether the pages' checksums make that of the state's position. */
  boolean isAtItsPosition() {
    return database.checksumOfPages(state.pageCount()) == state.pos().checksum().value();
  }

  /** Computes the checksum of every page anew from {@code source}. */
  void rebuildChecksums(int pageSize, long pageCount, TransactionRecorder.PageSource source)
      throws IOException {
    PageTable checksums = database.checksums();
    checksums.clear();
    long lockPage = new PageSize(pageSize).lockPage();
    for (long pgno = 1; pgno <= pageCount; pgno++) {
      if (pgno != lockPage) {
        checksums.put(pgno, PageChecksum.of(pgno, source.page(pgno)));
      }
    }
  }

  // ------------------------------------------------- playing

  /**
   * Copies the transactions of the WAL that end at or before {@code end} into the database file;
   * returns where the last of them does.
   */
  long fold(WalRemains wal, long end) throws IOException {
    BackingFile file = databaseFile();
    changed = true;
    return wal.forEachTransaction(0, end, transaction -> wal.copy(transaction, file));
  }

  /** Writes the pages of the log's files, with their checksums, into the database. */
  void play(LogTail tail, WalRemains wal) throws IOException {
    PageTable pageChecksums = new PageTable();
    for (Path file : tail.files()) {
      if (tail.isNeeded(file)) {
        ReceivedTransaction transaction = ReceivedTransaction.read(file, pageChecksums);
        apply(transaction, pageChecksums);
        played(transaction.header(), transaction.pos(), wal);
      } else {
        LogTail.Entry entry = LogTail.entry(file);
        played(entry.header(), entry.pos(), wal);
      }
    }
  }

  private void apply(ReceivedTransaction transaction, PageTable pageChecksums) throws IOException {
    LtxHeader header = transaction.header();
    PageTable checksums = database.checksums();
    if (header.isSnapshot() || header.pageSize() != state.pageSize() || !state.exists()) {
      checksums.clear();
    }
    checksums.putAll(pageChecksums);
    checksums.truncate(header.commit());
    if (header.commit() > 0) {
      PosixFile file = databaseFile().file();
      changed = true;
      transaction.forEachPage(
          (pgno, content) -> file.pwrite(content, (pgno - 1) * header.pageSize()));
    }
  }

  private void played(LtxHeader header, Pos pos, WalRemains wal) {
    walEnd = Base.WalEnd.of(header);
    walIsKnown |= wal != null && wal.is(walEnd);
    timestampMillis = header.timestampMillis();
    state = new DatabaseState(pos, header.pageSize(), header.commit());
  }

  /** The database file, made if there is none. */
  BackingFile databaseFile() throws IOException {
    BackingFile file = files.get(FileKind.DATABASE);
    return file == null ? files.create(FileKind.DATABASE) : file;
  }

  /**
   * Cuts the database file to the state's size.
   *
   * @throws StoreException if it is shorter
   */
  void cut() throws IOException {
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

  // ------------------------------------------------- what the log has not

  /**
   * SQLite does not journal what free pages hold: a rollback leaves other bytes in them than were
   * there before. What they hold now becomes the next transaction, so that every node has the same.
   */
  void recordFreePages() throws IOException {
    recordFree(freePages());
  }

  /**
   * As {@link #recordFreePages}, if these are free; the rest of the file must be as it should.
   *
   * @return false if any of them is not; nothing has changed then
   */
  boolean recordIfFree(PageTable pages) throws IOException {
    PageTable free = freePages();
    for (long pgno = pages.next(1); pgno != 0; pgno = pages.next(pgno + 1)) {
      if (free.get(pgno) == 0) {
        return false;
      }
    }
    recordFree(pages);
    return true;
  }

  private PageTable freePages() throws IOException {
    BackingFile file = databaseFile();
    PageTable free = new PageTable();
    Freelist.forEachLeaf(
        (into, offset) -> file.file().preadMost(into, offset),
        state.pageSize(),
        state.pageCount(),
        pgno -> free.put(pgno, 1));
    return free;
  }

  private void recordFree(PageTable pages) throws IOException {
    BackingFile file = databaseFile();
    record(
        state.pageCount(),
        pages,
        pgno -> database.pages().page(file, pgno, state.pageSize()),
        TransactionRecorder.WalRange.NONE,
        "free pages that a rollback left changed");
  }

  /** Records what the WAL has and the log has not, and copies it into the database file. */
  void captureAgain(WalRemains wal) throws IOException {
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

  /**
   * Makes a transaction of the database file as it is, with every page that differs from what the
   * database's state says.
   */
  void recordFile() throws IOException {
    BackingFile file = databaseFile();
    database.recordUnlogged(file, header(file));
    state = database.state();
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
}
