package io.litefs.store;

import io.litefs.ltx.Checksum;
import io.litefs.ltx.LtxHeader;
import io.litefs.ltx.PageSize;
import io.litefs.ltx.Pos;
import io.litefs.posix.ErrnoException;
import io.litefs.sqlite.DatabaseHeader;
import io.litefs.sqlite.SqliteFormatException;
import io.litefs.sqlite.Wal;
import io.litefs.sqlite.WalChecksum;
import io.litefs.sqlite.WalFrameHeader;
import io.litefs.sqlite.WalHeader;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
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
 *   <li>A hot journal is rolled back.
 *   <li>Committed transactions of the WAL are copied into the database file, one after the other.
 *       Where the database then has the position's checksum, it is what the log says; transactions
 *       beyond that are captured again.
 *   <li>If it never has, the log is played over it, which mends whatever a crash left unfinished;
 *       if even that does not lead to the position, the database is not served.
 * </ol>
 *
 * Afterwards there is neither journal nor WAL.
 */
final class Recovery {

  private static final Logger logger = LoggerFactory.getLogger(Recovery.class);

  private final Database database;
  private final DatabaseFiles files;
  private final LtxLog log;
  private final ByteBuffer page = ByteBuffer.allocateDirect(Database.MAX_PAGE_SIZE);
  private boolean rolledBack;

  Recovery(Database database) {
    this.database = database;
    this.files = database.files();
    this.log = database.log();
  }

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
    Pos pos = log.end();
    if (pos.equals(Pos.ZERO)) {
      recoverWithoutLog();
      return;
    }
    LtxHeader last = lastHeader();
    if (last.commit() == 0) {
      database.removeFiles();
      database.recovered(new DatabaseState(pos, last.pageSize(), 0), false, last.timestampMillis());
      return;
    }
    if (files.get(FileKind.DATABASE) == null) {
      files.create(FileKind.DATABASE);
    }
    rollBackJournal();
    DatabaseState state = new DatabaseState(pos, last.pageSize(), last.commit());
    if (!foldWal(state, last.timestampMillis()) && !matches(state)) {
      logger.warn(
          "{}: the database file is not at position {}; playing the log over it",
          database.name(),
          pos);
      playLog(state);
      if (matches(state)) {
        database.recovered(state, database.fileIsWal(), last.timestampMillis());
      } else if (rolledBack) {
        recordRolledBack(state, last.timestampMillis());
      } else {
        throw new StoreException(
            "neither its file nor its log leads to position "
                + pos
                + "; restore it from another node or a backup");
      }
    } else if (database.state().equals(DatabaseState.NONE)) {
      database.recovered(state, database.fileIsWal(), last.timestampMillis());
    }
    discard(FileKind.WAL);
    discard(FileKind.SHM);
  }

  /**
   * SQLite does not journal pages of the freelist: a rollback leaves other bytes in them than were
   * there before. The database is sound, but not the one of its position; that it is, every page of
   * it, becomes the next transaction.
   */
  private void recordRolledBack(DatabaseState state, long timestampMillis) throws IOException {
    logger.info(
        "{}: free pages changed in the rollback; recording the database anew", database.name());
    BackingFile file = files.get(FileKind.DATABASE);
    // With no page that counts as known, every page is part of the transaction.
    database.recovered(
        new DatabaseState(state.pos(), state.pageSize(), 0), database.fileIsWal(), timestampMillis);
    database.recordUnlogged(file, header(file));
  }

  /** Copies that were under way when the daemon died. */
  private void removeTemporaries() throws IOException {
    try (DirectoryStream<Path> leftovers = Files.newDirectoryStream(files.dir(), "*.tmp")) {
      for (Path file : leftovers) {
        Files.delete(file);
      }
    }
  }

  private LtxHeader lastHeader() throws IOException {
    Path file = log.lastFile();
    try (FileChannel in = LtxLog.openForReading(file)) {
      return LtxLog.readHeader(in, file);
    }
  }

  private void discard(FileKind kind) throws IOException {
    if (files.get(kind) != null) {
      files.get(FileKind.DATABASE).file().fsync();
      files.remove(kind);
    }
  }

  /**
   * A database that has no log: one that was put here by hand, or whose first transaction never
   * ended.
   */
  private void recoverWithoutLog() throws IOException {
    BackingFile file = files.get(FileKind.DATABASE);
    if (file == null) {
      return;
    }
    rollBackJournal();
    if (file.size() == 0) {
      database.removeFiles();
      return;
    }
    DatabaseHeader header = header(file);
    database.recordUnlogged(file, header);
    if (!foldWal(database.state(), 0)) {
      discard(FileKind.WAL);
    }
    discard(FileKind.SHM);
  }

  private void rollBackJournal() throws IOException {
    BackingFile journal = files.get(FileKind.JOURNAL);
    BackingFile file = files.get(FileKind.DATABASE);
    if (journal == null || file == null) {
      return;
    }
    if (HotJournal.rollBack(files.dir(), journal, file)) {
      logger.info("{}: rolled back a transaction that never ended", database.name());
      file.file().fsync();
      rolledBack = true;
    }
    files.remove(FileKind.JOURNAL);
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

  // ------------------------------------------------------------ WAL

  /**
   * Copies the committed transactions of the WAL into the database file, and records those that the
   * log does not have.
   *
   * @return whether the database is at the log's position, or beyond it by transactions that are in
   *     the log now
   */
  private boolean foldWal(DatabaseState state, long timestampMillis) throws IOException {
    BackingFile wal = files.get(FileKind.WAL);
    if (wal == null || wal.size() < Wal.HEADER_SIZE) {
      return false;
    }
    ByteBuffer beginning = ByteBuffer.allocateDirect(Wal.HEADER_SIZE);
    wal.file().preadMost(beginning, 0);
    WalHeader walHeader;
    try {
      walHeader = WalHeader.parse(beginning.flip());
    } catch (SqliteFormatException e) {
      logger.info("{}: the WAL is not valid: {}", database.name(), e.getMessage());
      return false;
    }
    BackingFile file = files.get(FileKind.DATABASE);
    int pageSize = walHeader.pageSize();
    if (pageSize != state.pageSize()) {
      return false;
    }
    // Page checksums as the file is; then each transaction changes its pages only.
    long pageCount = file.size() / pageSize;
    database.rebuildChecksums(pageSize, pageCount, pgno -> database.readPage(file, pgno, pageSize));
    boolean found =
        database.checksumOfPages(state.pageCount()) == state.pos().checksum().value()
            && pageCount >= state.pageCount();
    if (found) {
      found(state, timestampMillis);
    }
    PageTable frames = new PageTable();
    WalChecksum checksum = walHeader.checksum();
    long transactionStart = Wal.HEADER_SIZE;
    int frameBytes = Wal.FRAME_HEADER_SIZE + pageSize;
    ByteBuffer frame = ByteBuffer.allocateDirect(frameBytes);
    long size = wal.size();
    for (long at = Wal.HEADER_SIZE; at + frameBytes <= size; at += frameBytes) {
      wal.file().preadFully(frame.clear(), at);
      WalFrameHeader head = WalFrameHeader.parse(frame.flip());
      checksum = head.next(walHeader, checksum, frame);
      if (checksum == null) {
        break;
      }
      frames.put(head.pgno(), at);
      if (head.commit() == 0) {
        continue;
      }
      if (found) {
        recordAgain(wal, walHeader, frames, head.commit(), transactionStart, at + frameBytes);
      }
      copyFrames(wal, file, frames, pageSize, head.commit(), !found);
      frames.clear();
      transactionStart = at + frameBytes;
      if (!found
          && head.commit() == state.pageCount()
          && database.checksumOfPages(state.pageCount()) == state.pos().checksum().value()) {
        found = true;
        found(state, timestampMillis);
      }
    }
    return found;
  }

  private void found(DatabaseState state, long timestampMillis) throws ErrnoException {
    database.checksums().truncate(state.pageCount());
    database.recovered(state, database.fileIsWal(), timestampMillis);
  }

  private void recordAgain(
      BackingFile wal, WalHeader header, PageTable frames, long commit, long start, long end)
      throws IOException {
    BackingFile file = files.get(FileKind.DATABASE);
    TransactionRecorder.Recorded recorded =
        database
            .recorder()
            .record(
                database.state(),
                header.pageSize(),
                commit,
                frames,
                pgno -> {
                  long frame = frames.get(pgno);
                  if (frame == 0) {
                    return database.readPage(file, pgno, header.pageSize());
                  }
                  page.clear().limit(header.pageSize());
                  wal.file().preadFully(page, frame + Wal.FRAME_HEADER_SIZE);
                  return page.flip();
                },
                new TransactionRecorder.WalRange(
                    start, end - start, header.salt1(), header.salt2()));
    if (recorded != null) {
      logger.info(
          "{}: captured transaction {} from the WAL",
          database.name(),
          recorded.after().pos().txid());
      recorded.append();
      database.lock.lock();
      try {
        database.accept(recorded, true);
      } finally {
        database.lock.unlock();
      }
    }
  }

  private void copyFrames(
      BackingFile wal, BackingFile file, PageTable frames, int pageSize, long commit, boolean sum)
      throws IOException {
    for (long pgno = frames.next(1); pgno != 0; pgno = frames.next(pgno + 1)) {
      page.clear().limit(pageSize);
      wal.file().preadFully(page, frames.get(pgno) + Wal.FRAME_HEADER_SIZE);
      page.flip();
      if (sum && pgno != new PageSize(pageSize).lockPage()) {
        database.checksums().put(pgno, io.litefs.ltx.PageChecksum.of(pgno, page));
      }
      file.file().pwrite(page, (pgno - 1) * pageSize);
    }
    file.file().truncate(commit * pageSize);
    if (sum) {
      database.checksums().truncate(commit);
    }
  }

  // ------------------------------------------------------------ log

  private boolean matches(DatabaseState state) throws IOException {
    BackingFile file = files.get(FileKind.DATABASE);
    if (file.size() < state.pageCount() * state.pageSize()) {
      return false;
    }
    database.rebuildChecksums(
        state.pageSize(),
        state.pageCount(),
        pgno -> database.readPage(file, pgno, state.pageSize()));
    if (!state.pos().checksum().equals(new Checksum(database.checksumOfPages(state.pageCount())))) {
      return false;
    }
    if (file.size() > state.pageCount() * state.pageSize()) {
      file.file().truncate(state.pageCount() * state.pageSize());
    }
    return true;
  }

  /** Writes the pages of every file of the log, oldest first. */
  private void playLog(DatabaseState state) throws IOException {
    BackingFile file = files.get(FileKind.DATABASE);
    List<Path> transactions = log.files();
    PageTable pageChecksums = new PageTable();
    for (Path path : transactions) {
      ReceivedTransaction transaction = ReceivedTransaction.read(path, page, pageChecksums);
      int pageSize = transaction.header().pageSize();
      if (pageSize != state.pageSize()) {
        continue; // An older page size: a later file has every page in the new one.
      }
      transaction.forEachPage(
          page, (pgno, content) -> file.file().pwrite(content, (pgno - 1) * pageSize));
    }
    file.file().truncate(state.pageCount() * state.pageSize());
    file.file().fsync();
  }
}
