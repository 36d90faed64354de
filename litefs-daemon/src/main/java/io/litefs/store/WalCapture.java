package io.litefs.store;

import io.litefs.ltx.PageChecksum;
import io.litefs.ltx.Txid;
import io.litefs.posix.Errno;
import io.litefs.posix.ErrnoException;
import io.litefs.sqlite.DatabaseHeader;
import io.litefs.sqlite.SqliteFormatException;
import io.litefs.sqlite.WalChecksum;
import io.litefs.sqlite.WalFrameHeader;
import io.litefs.sqlite.WalHeader;
import io.litefs.sqlite.WalIndexHeader;
import io.litefs.sqlite.WalPosition;
import java.io.IOException;
import java.nio.ByteBuffer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Follows the application's writes to the WAL and turns each transaction into a file of the log,
 * before the last piece of its commit frame reaches the WAL: a transaction that cannot be logged is
 * never complete in the WAL either.
 *
 * <p>SQLite writes a frame in pieces (header, page), writes again over frames of an unfinished
 * transaction whose cache spilled, and then rewrites the frame headers with new checksums, the
 * commit frame's last. So all that is remembered is where the committed part ends; whenever a write
 * touches a commit frame that is then complete, the frames from there on are read and their chain
 * of checksums decides. For the writers that leave frames without a checksum behind see {@link
 * UnchainedTransaction}.
 *
 * <p>Guarded by the database's lock. Source: the WAL-mode file format document, section 4.
 */
final class WalCapture {

  static final int HEADER_BYTES = 32;
  static final int FRAME_HEADER_BYTES = 24;

  /** In the map of frames: the page has no frame of this transaction. */
  private static final long ELSEWHERE = -1;

  private static final Logger logger = LoggerFactory.getLogger(WalCapture.class);

  private final Database database;

  /** Null as long as the WAL has no valid header. */
  private WalHeader header;

  /** Offset at which the committed part ends: the next transaction begins here. */
  private long committedEnd;

  /** Checksum of the chain at {@link #committedEnd}; null if only the index knows it. */
  private WalChecksum committedChecksum;

  /**
   * Where a transaction ends beyond {@link #committedEnd} whose commit frame has no checksum, at
   * least not yet; 0 if there is none. See {@link UnchainedTransaction}.
   */
  private volatile long unchainedEnd;

  /** Whether frames were written that the file was not synced after. */
  private boolean unsynced;

  /**
   * Pages that the log has as nobody here sees them, so the next transaction restores them: of
   * captured frames that the application has begun to overwrite, and of a transaction that failed
   * and could not be taken back.
   */
  private final PageTable unseen = new PageTable();

  /** The frames of the transaction in hand, by page. */
  private PageTable frames = new PageTable();

  /** Those of the transaction that was captured last. */
  private PageTable lastTransaction = new PageTable();

  private final ByteBuffer headerBuffer = ByteBuffer.allocateDirect(HEADER_BYTES);
  private final ByteBuffer frameHeader = ByteBuffer.allocateDirect(FRAME_HEADER_BYTES);
  private final WalFrameReader reader = new WalFrameReader();

  WalCapture(Database database) {
    this.database = database;
  }

  /**
   * Whether there is a WAL with a valid header: writes to the database file are checkpoints then.
   */
  boolean isActive() {
    return header != null;
  }

  /** Whether a transaction of the WAL's is committed. */
  boolean hasTransactions() {
    return header != null && (committedEnd > HEADER_BYTES || unchainedEnd != 0);
  }

  /** The WAL is gone or empty. */
  void reset() {
    unseen.clear();
    header = null;
    committedEnd = 0;
    committedChecksum = null;
    unchainedEnd = 0;
    unsynced = false;
    lastTransaction.clear();
  }

  /**
   * The WAL is about to begin anew. SQLite has copied every frame that it knows of into the
   * database file. If the last transaction is not there, its writer died or failed before it
   * published it: nobody here ever saw it.
   */
  private void restarting() throws IOException {
    restoreUnseen(lastTransaction);
  }

  /**
   * The WAL is about to be removed or emptied, by SQLite when all of it is in the database file, or
   * by somebody who throws away what is not.
   */
  void going(BackingFile wal) throws IOException {
    if (header != null) {
      PageTable committed = new PageTable();
      mapCommitted(wal, committed);
      restoreUnseen(committed);
    }
  }

  /**
   * What the log has and the database file will not have without the WAL is undone by a transaction
   * of its own.
   *
   * @param pages those that may be another in the file
   */
  private void restoreUnseen(PageTable pages) throws IOException {
    BackingFile file = database.file(FileKind.DATABASE);
    if (file == null) {
      return;
    }
    PageTable checksums = database.checksums();
    int pageSize = database.pageSize();
    for (long pgno = pages.next(1); pgno != 0; pgno = pages.next(pgno + 1)) {
      long known = checksums.get(pgno);
      if (known != 0
          && known != PageChecksum.of(pgno, database.pages().page(file, pgno, pageSize))) {
        unseen.put(pgno, 1);
      }
    }
    if (hasUnseen()) {
      Txid lost = database.pos().txid();
      database.recordFromFile(file, database.pages().header(file), unseen);
      logger.info(
          "{}: transaction {} was not published by its writer, or its WAL was thrown away; undone",
          database.name(),
          lost);
    }
    unseen.clear();
  }

  void truncating(BackingFile wal, long size) throws IOException {
    if (size < HEADER_BYTES) {
      going(wal);
      reset();
    }
  }

  /** Where the log's end is in the WAL. */
  Base.WalEnd logEnd() {
    return header == null
        ? Base.WalEnd.NONE
        : new Base.WalEnd(header.salt1(), header.salt2(), committedEnd, false);
  }

  /**
   * A checkpoint must not overwrite pages of the database with those of transactions that a power
   * cut could still take from the log. The frames themselves need not be on disk: the log has them,
   * or they are older than the base, which has.
   */
  void beforeCheckpointWrite() throws ErrnoException {
    if (unsynced) {
      database.log().sync();
      unsynced = false;
    }
  }

  /** The WAL's header; null as long as it has no valid one. */
  WalHeader header() {
    return header;
  }

  /** Where the committed part ends, if there is a header. */
  WalPosition end() {
    return new WalPosition(
        committedEnd, committedChecksum == null ? WalChecksum.ZERO : committedChecksum);
  }

  /** Goes on behind what somebody else has written: all of it is in the log. */
  void continueFrom(WalHeader present, WalPosition end) {
    reset();
    header = present;
    committedEnd = end.offset();
    committedChecksum = end.checksum();
    unsynced = true;
  }

  void write(BackingFile wal, ByteBuffer from, long offset) throws IOException {
    if (offset < HEADER_BYTES) {
      if (header != null) {
        database.beforeWalGoes();
        restarting();
      }
      wal.file().pwrite(from, offset);
      wal.touch();
      restart(wal);
      return;
    }
    Captured captured = null;
    if (header != null) {
      if (offset < committedEnd) {
        takeBack(wal, offset);
      }
      captured = capture(wal, from, offset);
    }
    boolean replicated = false;
    DatabaseState stateBefore = database.state();
    if (captured != null && captured.recorded() != null) {
      captured.recorded().append();
      replicated = database.access().waitsForReplicas();
      if (replicated) {
        replicate(wal, captured.recorded(), stateBefore);
      }
    }
    try {
      wal.file().pwrite(from, offset);
    } catch (ErrnoException e) {
      if (replicated) {
        takeBack(wal, stateBefore);
        throw e;
      }
      if (captured != null && captured.recorded() != null) {
        captured.recorded().revoke();
      }
      throw e;
    }
    wal.touch();
    unsynced = true;
    if (captured != null) {
      accept(captured, replicated);
    }
  }

  /**
   * @param accepted whether the database has its new state already
   */
  private void accept(Captured captured, boolean accepted) {
    committedEnd = captured.end();
    committedChecksum = captured.checksum();
    unchainedEnd = 0;
    unseen.clear();
    if (captured.recorded() != null) {
      if (!accepted) {
        database.accept(captured.recorded(), true);
      }
      PageTable captive = frames;
      frames = lastTransaction;
      lastTransaction = captive;
    }
  }

  /** Whether there may be a transaction that only the index knows to be one. Any thread. */
  boolean mayBeUnchained() {
    return unchainedEnd != 0;
  }

  /**
   * Whether a write must wait until the index was asked: what comes before it is a transaction by
   * now, or its checksum cannot be checked. Any thread; may be out of date.
   */
  boolean needsIndexBefore(long offset) {
    long end = unchainedEnd;
    return end != 0 && (offset >= end || offset < HEADER_BYTES);
  }

  /**
   * The index says that the transactions are committed whose frames end at or before its last one.
   * Those that are in the log already are left alone.
   */
  void published(BackingFile wal, WalIndexHeader index) throws IOException {
    if (header == null
        || !logEnd().isIn(index.salt1(), index.salt2())
        || index.pageSize() != header.pageSize()) {
      return;
    }
    long end = HEADER_BYTES + index.maxFrame() * frameBytes();
    if (unchainedEnd != 0 && unchainedEnd <= end) {
      captureUnchained(wal, end);
    }
    if (committedEnd == end && committedChecksum == null) {
      committedChecksum = index.frameChecksum();
      unchainedEnd = 0;
    }
  }

  /**
   * The WAL is synced. If by the connection that wrote the commit frame last, it has written all of
   * its transaction, checksums included, but those that it forgets. (Another's sync, before a
   * checkpoint, may come in the middle of that.) The next transaction begins with a checksum that
   * only the index has.
   */
  void syncing(BackingFile wal, long writtenTo) throws IOException {
    if (header != null && unchainedEnd > committedEnd && unchainedEnd == writtenTo) {
      captureUnchained(wal, unchainedEnd);
    }
  }

  /** What was not published until now never will be: nobody has the index any more. */
  void unpublished() {
    unchainedEnd = committedChecksum == null ? committedEnd : 0;
  }

  /**
   * There is no index: the WAL's only connection keeps it in its memory, and has ended every
   * transaction before it does what this is called for.
   */
  void publishedInMemory(BackingFile wal) throws IOException {
    if (header == null || unchainedEnd == 0) {
      return;
    }
    int frameBytes = frameBytes();
    long size = wal.size();
    long end = 0;
    reader.begin(wal, ByteBuffer.allocate(0), committedEnd);
    for (long frame = committedEnd; frame + frameBytes <= size; frame += frameBytes) {
      reader.read(frameHeader.clear(), frame);
      WalFrameHeader head = WalFrameHeader.parse(frameHeader.flip());
      if (!head.isOf(header) && !head.isUnchained()) {
        break;
      }
      end = head.isCommit() ? frame + frameBytes : end;
    }
    if (end != 0) {
      captureUnchained(wal, end);
    }
  }

  /** Captures transactions up to {@code end} although they are no chain. */
  private void captureUnchained(BackingFile wal, long end) throws IOException {
    int frameBytes = frameBytes();
    reader.begin(wal, ByteBuffer.allocate(0), committedEnd);
    for (long frame = committedEnd; frame < end; frame += frameBytes) {
      reader.read(frameHeader.clear(), frame);
      if (WalFrameHeader.parse(frameHeader.flip()).isCommit()) {
        Captured captured = captureThrough(wal, frame + frameBytes, true);
        if (captured == null) {
          throw new StoreException(
              "the WAL at offset " + committedEnd + " has no frames that its index could mean");
        }
        // It is published: applications see it.
        database
            .access()
            .irrevocably(
                () -> {
                  if (captured.recorded() != null) {
                    captured.recorded().append();
                  }
                  accept(captured, false);
                });
      }
    }
    if (committedChecksum == null) {
      unchainedEnd = committedEnd;
    }
  }

  /**
   * Has replicas take the transaction before it is whole in the WAL, so that it can still fail.
   *
   * @param before the database without it
   * @throws ErrnoException EIO if too few have it in time; it has been taken back then
   */
  private void replicate(
      BackingFile wal, TransactionRecorder.Recorded recorded, DatabaseState before)
      throws IOException {
    database.accept(recorded, true);
    if (database.access().awaitReplicas()) {
      return;
    }
    takeBack(wal, before);
    throw database.access().tooFewReplicas(recorded.after().pos().txid());
  }

  /**
   * The transaction in hand is in the log and will not be in the WAL: records another one that
   * leads back to {@code before}.
   */
  private void takeBack(BackingFile wal, DatabaseState before) throws IOException {
    boolean done = false;
    try {
      try {
        restore(wal, before.pageCount(), frames);
      } catch (ErrnoException e) {
        if (e.errno() != Errno.ENOSPC && e.errno() != Errno.EDQUOT) {
          throw e;
        }
        database.releaseReserve();
        restore(wal, before.pageCount(), frames);
      }
      done = true;
    } finally {
      if (!done) {
        for (long pgno = frames.next(1); pgno != 0; pgno = frames.next(pgno + 1)) {
          unseen.put(pgno, 1);
        }
        logger.error(
            "{}: transaction {} has failed and cannot be taken back now; the next one does it",
            database.name(),
            database.pos().txid());
      }
    }
  }

  /**
   * Records what the committed part of the WAL and the database have of these pages, without
   * waiting for replicas.
   */
  private void restore(BackingFile wal, long pageCount, PageTable pages) throws IOException {
    OlderPages older = new OlderPages(wal, header.pageSize());
    database.access().takingBack(true);
    try {
      TransactionRecorder.Recorded back =
          database
              .recorder()
              .record(
                  database.state(),
                  header.pageSize(),
                  pageCount,
                  pages,
                  older::page,
                  TransactionRecorder.WalRange.NONE);
      if (back != null) {
        back.append();
        database.accept(back, true);
      }
    } finally {
      database.access().takingBack(false);
    }
  }

  /**
   * Makes a transaction of what readers here see of these pages, which are all that the log has
   * otherwise. Only while there is a header.
   */
  void recordAsSeen(BackingFile wal, BackingFile file, PageTable pages) throws IOException {
    reader.begin(wal, ByteBuffer.allocate(0), committedEnd);
    ByteBuffer first = new OlderPages(wal, header.pageSize()).page(1);
    try {
      restore(wal, DatabaseHeader.parse(first).pageCount(file.size()), pages);
      unseen.clear();
    } catch (SqliteFormatException e) {
      throw new StoreException("its first page is none: " + e.getMessage(), e);
    }
  }

  boolean hasUnseen() {
    return !unseen.isEmpty();
  }

  /** A copy of the pages that the log has as nobody here sees them. */
  PageTable unseen() {
    PageTable copy = new PageTable();
    copy.putAll(unseen);
    return copy;
  }

  /** The WAL has a new header: it begins anew. */
  private void restart(BackingFile wal) throws ErrnoException {
    ByteBuffer buffer = headerBuffer.clear();
    wal.file().preadMost(buffer, 0);
    buffer.flip();
    reset();
    try {
      header = WalHeader.parse(buffer);
      committedEnd = HEADER_BYTES;
      committedChecksum = header.checksum();
    } catch (SqliteFormatException e) {
      header = null; // written in pieces; the last one completes it
    }
  }

  private int frameBytes() {
    return FRAME_HEADER_BYTES + header.pageSize();
  }

  /**
   * A valid chain of frames that ends with a commit frame.
   *
   * @param recorded null if it changes nothing: SQLite pads a sector by repeating the commit frame
   * @param checksum null if the commit frame has none
   */
  private record Captured(TransactionRecorder.Recorded recorded, long end, WalChecksum checksum) {}

  /**
   * Looks for a commit frame that this write completes, and records its transaction; null if there
   * is none.
   */
  private Captured capture(BackingFile wal, ByteBuffer from, long offset) throws IOException {
    int frameBytes = frameBytes();
    long writeEnd = offset + from.remaining();
    long size = Math.max(wal.size(), writeEnd);
    reader.begin(wal, from, offset);
    long first = HEADER_BYTES + (offset - HEADER_BYTES) / frameBytes * frameBytes;
    long commitEnd = 0;
    for (long frame = Math.max(first, committedEnd);
        frame < writeEnd && frame + frameBytes <= size;
        frame += frameBytes) {
      reader.read(frameHeader.clear(), frame);
      WalFrameHeader head = WalFrameHeader.parse(frameHeader.flip());
      if (head.isCommit()) {
        commitEnd = frame + frameBytes;
        unchainedEnd = head.isUnchained() ? commitEnd : unchainedEnd;
      }
    }
    Captured captured = commitEnd == 0 ? null : captureThrough(wal, commitEnd, false);
    if (captured == null && unchainedEnd != 0) {
      database.wal().captureUnchainedSoon();
    }
    return captured;
  }

  /**
   * Records the transaction from the committed end to {@code end}; null if its frames are no valid
   * chain (yet).
   *
   * @param complete whether it is known to be one, with whatever frames that have no checksum
   */
  private Captured captureThrough(BackingFile wal, long end, boolean complete) throws IOException {
    try {
      reader.window(committedEnd, end);
      return captureFrames(wal, end, complete);
    } finally {
      reader.closeWindow();
    }
  }

  private Captured captureFrames(BackingFile wal, long end, boolean complete) throws IOException {
    frames.clear();
    WalChecksum checksum = committedChecksum;
    long commit = 0;
    int frameBytes = frameBytes();
    for (long frame = committedEnd; frame < end; frame += frameBytes) {
      ByteBuffer content = reader.slice(frame, frameBytes);
      WalFrameHeader head = WalFrameHeader.parse(content);
      boolean last = frame + frameBytes == end;
      if (head.isUnchained() && (complete || !last)) {
        // Left so by a writer that went back to a savepoint; a frame behind it begins from zero.
        checksum = last ? null : WalChecksum.ZERO;
      } else {
        checksum =
            checksum != null
                ? head.next(header, checksum, content)
                : complete && head.isOf(header) ? head.checksum() : null;
        if (checksum == null) {
          return null; // SQLite is yet to rewrite the checksums.
        }
      }
      frames.put(head.pgno(), frame);
      commit = head.commit();
    }
    return new Captured(record(wal, commit, end), end, checksum);
  }

  private TransactionRecorder.Recorded record(BackingFile wal, long commit, long end)
      throws IOException {
    int pageSize = header.pageSize();
    for (long pgno = unseen.next(1); pgno != 0; pgno = unseen.next(pgno + 1)) {
      if (frames.get(pgno) == 0) {
        frames.put(pgno, ELSEWHERE);
      }
    }
    OlderPages older = new OlderPages(wal, pageSize);
    return database
        .recorder()
        .record(
            database.state(),
            pageSize,
            commit,
            frames,
            pgno -> {
              long frame = frames.get(pgno);
              return frame > 0
                  ? reader.slice(frame + FRAME_HEADER_BYTES, pageSize)
                  : older.page(pgno);
            },
            new TransactionRecorder.WalRange(
                committedEnd, end - committedEnd, header.salt1(), header.salt2()));
  }

  /**
   * Pages that the transaction in hand did not write: their version in the WAL's committed part, or
   * in the database.
   */
  private final class OlderPages {
    private final BackingFile wal;
    private final int pageSize;
    private PageTable committed;

    OlderPages(BackingFile wal, int pageSize) {
      this.wal = wal;
      this.pageSize = pageSize;
    }

    ByteBuffer page(long pgno) throws ErrnoException {
      if (committed == null) {
        committed = new PageTable();
        mapCommitted(wal, committed);
      }
      long frame = committed.get(pgno);
      return frame == 0
          ? database.pages().page(database.file(FileKind.DATABASE), pgno, pageSize)
          : reader.slice(frame + FRAME_HEADER_BYTES, pageSize);
    }
  }

  /** Puts the offset of the newest committed frame of each page into {@code table}. */
  void mapCommitted(BackingFile wal, PageTable table) throws ErrnoException {
    if (header == null) {
      return;
    }
    ByteBuffer head = ByteBuffer.allocateDirect(FRAME_HEADER_BYTES);
    int frameBytes = frameBytes();
    for (long frame = HEADER_BYTES; frame < committedEnd; frame += frameBytes) {
      wal.file().preadFully(head.clear(), frame);
      table.put(WalFrameHeader.parse(head.flip()).pgno(), frame);
    }
  }

  /**
   * The application writes over frames of a captured transaction: its writer died before it
   * published the transaction, so no connection ever saw it. What it changed is restored by the
   * next one.
   */
  private void takeBack(BackingFile wal, long offset) throws ErrnoException {
    int frameBytes = frameBytes();
    long boundary = HEADER_BYTES + (offset - HEADER_BYTES) / frameBytes * frameBytes;
    ByteBuffer head = ByteBuffer.allocateDirect(FRAME_HEADER_BYTES);
    for (long frame = boundary; frame < committedEnd; frame += frameBytes) {
      wal.file().preadFully(head.clear(), frame);
      unseen.put(WalFrameHeader.parse(head.flip()).pgno(), 1);
    }
    if (boundary == HEADER_BYTES) {
      committedChecksum = header.checksum();
    } else {
      wal.file().preadFully(head.clear(), boundary - frameBytes);
      WalFrameHeader before = WalFrameHeader.parse(head.flip());
      committedChecksum = before.isUnchained() ? null : before.checksum();
    }
    committedEnd = boundary;
    unchainedEnd = committedChecksum == null ? committedEnd : 0;
  }
}
