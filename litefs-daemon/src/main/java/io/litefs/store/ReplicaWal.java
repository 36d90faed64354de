package io.litefs.store;

import io.litefs.fuse.KernelCache;
import io.litefs.posix.ErrnoException;
import io.litefs.sqlite.FramePages;
import io.litefs.sqlite.Wal;
import io.litefs.sqlite.WalCheckpointInfo;
import io.litefs.sqlite.WalEncoder;
import io.litefs.sqlite.WalFrameHeader;
import io.litefs.sqlite.WalHeader;
import io.litefs.sqlite.WalIndex;
import io.litefs.sqlite.WalIndexHeader;
import io.litefs.sqlite.WalIndexWriter;
import io.litefs.sqlite.WalPosition;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.locks.ReentrantLock;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The WAL of a replica's database and its index, both written by the daemon alone, as the process
 * that holds {@code WAL_WRITE_LOCK} and {@code WAL_CKPT_LOCK} for as long as the node is a replica
 * ({@link DatabaseLocks#guardWal}).
 *
 * <p>A transaction is appended as frames and then published in the index. A reader with an open
 * transaction uses the frames up to its own {@code mxFrame}, and nobody overwrites those: appending
 * goes behind them, {@link ReplicaCheckpointer} copies into the database file no frame beyond a
 * reader's mark, and the WAL begins anew ({@link #restart}) only when nobody holds one of the read
 * locks 1 to 4. So no reader ever waits and none is waited for.
 *
 * <p>Every byte goes to the backing file first and then, by a store, into the kernel's page cache.
 * A page that the kernel reads from the backing file in between is newer than what is published,
 * which harms nobody: it differs in frames that no reader looks at yet.
 *
 * <p>Threads: {@link #mutex} is held by who appends, restarts, or copies the last frames before a
 * restart. What a snapshot needs ({@link #mapCommitted}) is guarded by the database's lock.
 */
final class ReplicaWal {

  private static final Logger logger = LoggerFactory.getLogger(ReplicaWal.class);

  /** Frames are written in pieces of about this size. */
  private static final int BATCH_BYTES = 1 << 18;

  private static final ByteBuffer ZEROS = ByteBuffer.allocateDirect(WalIndex.BLOCK_SIZE);

  /** A file that has grown beyond this is cut when the WAL begins anew. */
  private static final long KEPT_BYTES = 16L << 20;

  private final Database database;
  private final DatabaseLocks locks;
  private final String walName;
  private final String shmName;
  private final SecureRandom random = new SecureRandom();
  private final FramePages pages = new FramePages();
  private final WalIndexWriter index = new WalIndexWriter(this::putIndex, pages);

  /** Taken before the database's locks. */
  final ReentrantLock mutex = new ReentrantLock();

  private BackingFile wal;
  private BackingFile shm;
  private WalEncoder encoder;

  /** Last frame that is published in the index. */
  private long published;

  /** Last frame of the database's position, and the pages' size. Guarded by the database's lock. */
  private long committed;

  private int committedPageSize;

  /** Header of the WAL that {@link #committed} counts in; null before this {@link #begin}s. */
  private WalHeader committedLog;

  /** Frames that are in the database file, synced. Changed by the checkpointer, and by restart. */
  private volatile long backfilled;

  private final ByteBuffer frameHead = ByteBuffer.allocateDirect(Wal.FRAME_HEADER_SIZE);

  private ReplicaWal(Database database, DatabaseLocks locks) {
    this.database = database;
    this.locks = locks;
    this.walName = database.name() + "-wal";
    this.shmName = database.name() + "-shm";
  }

  /**
   * Takes over the WAL and the index, whatever is there: nothing, what an application made while it
   * found an empty WAL, or the WAL of a primary that has become a replica.
   *
   * @param locks guarding the WAL
   * @return null if readers of a WAL that was not captured do not leave
   */
  static ReplicaWal takeOver(Database database, DatabaseLocks locks) throws IOException {
    database.wal().restoreUnseen();
    ReplicaWal taken = new ReplicaWal(database, locks);
    boolean done = false;
    boolean isNew = database.file(FileKind.WAL) == null;
    taken.wal = database.acquire(FileKind.WAL, true);
    taken.shm = database.acquire(FileKind.SHM, true);
    if (isNew) {
      database.kernelCache().invalidateEntry(taken.walName);
    }
    // From here on pages of the index that the kernel writes back leave alone what is ours.
    database.wal().applyThrough(taken);
    try {
      done = taken.begin();
      if (done) {
        taken.forgetCapture();
      }
      return done ? taken : null;
    } finally {
      if (!done) {
        database.wal().applyThrough(null);
        taken.forget();
      }
    }
  }

  /**
   * What was captured says nothing of the WAL any more: frames follow, and some day the file is
   * shorter than that. {@link #release} tells the capture where it goes on.
   */
  private void forgetCapture() {
    database.lock.lock();
    try {
      database.endCommits(); // It keeps what the capture knows of pages that only the log has.
      database.wal().reset();
    } finally {
      database.lock.unlock();
    }
  }

  private boolean begin() throws IOException {
    Optional<ByteBuffer> head = locks.readIndexHead();
    Optional<WalIndexHeader> present = head.flatMap(WalIndex::readHeader);
    long copied = head.map(h -> WalIndex.readCheckpointInfo(h).backfilled()).orElse(0L);
    WalHeader log;
    WalPosition end;
    database.lock.lock();
    try {
      log = database.wal().capture().header();
      end = log == null ? null : database.wal().capture().end();
    } finally {
      database.lock.unlock();
    }
    boolean restarted =
        present.isPresent()
            && present.get().maxFrame() == 0
            && log != null
            && present.get().salt2() != log.salt2();
    if (log == null || restarted) {
      return beginEmpty(present.orElse(null));
    }
    goOn(log, end, present.orElse(null), copied);
    return true;
  }

  /** The WAL has no frames, or all of them are in the database file. */
  private boolean beginEmpty(WalIndexHeader present) throws IOException {
    boolean mayBeRead = present != null && present.maxFrame() > 0;
    if (mayBeRead && !locks.lockReaders(1, 4, Duration.ZERO)) {
      return false;
    }
    database.stable.writeLock().lock();
    try {
      long size = shm.size();
      if (size < WalIndex.BLOCK_SIZE) {
        // A connection that finds less than a block takes the index for one to be recovered.
        putIndex(size, ZEROS.slice(0, (int) (WalIndex.BLOCK_SIZE - size)));
      }
      DatabaseState state = database.state();
      restart(
          WalIndexHeader.emptyLog(present, state.pageSize(), state.pageCount(), random.nextLong()));
    } finally {
      database.stable.writeLock().unlock();
      if (mayBeRead) {
        locks.unlockReaders(1, 4);
      }
    }
    return true;
  }

  /** The WAL has frames that this node has captured as a primary. */
  private void goOn(WalHeader log, WalPosition end, WalIndexHeader present, long copied)
      throws IOException {
    int pageSize = log.pageSize();
    long frames = Wal.framesBefore(end.offset(), pageSize);
    FramePages found = new FramePages();
    long unchained = 0;
    for (long frame = 1; frame <= frames; frame++) {
      WalFrameHeader head = frameHeader(frame, pageSize);
      found.put(frame, head.pgno());
      if (unchained == 0 && head.isUnchained()) {
        unchained = frame;
      }
    }
    encoder = new WalEncoder(log, end);
    if (unchained != 0) {
      chain(unchained, frames);
    }
    WalIndexHeader complete =
        WalIndexHeader.emptyLog(present, pageSize, 0, 0)
            .committed(log, frames, database.state().pageCount(), encoder.position().checksum());
    boolean valid =
        present != null
            && present.salt1() == log.salt1()
            && present.salt2() == log.salt2()
            && present.maxFrame() <= frames
            && copied <= present.maxFrame();
    if (valid) {
      keepIndex();
      index.resume(present, copied, found);
      for (long frame = present.maxFrame() + 1; frame <= frames; frame++) {
        pages.put(frame, found.get(frame));
      }
      if (present.maxFrame() < frames || unchained != 0) {
        // Its writer died before it published them, or the header has not the new checksum.
        index.enter(frames);
        index.publish(complete);
      }
      backfilled = copied;
    } else {
      // As in a recovery: nobody begins to read while the header is not valid, and to those who
      // are reading the blocks say what they said before.
      index.resume(complete, 0, found);
      index.rewriteBlocks();
      index.setBackfilled(0);
      index.publish(complete);
      backfilled = 0;
    }
    published = frames;
    database.lock.lock();
    try {
      commit();
    } finally {
      database.lock.unlock();
    }
  }

  private WalFrameHeader frameHeader(long frame, int pageSize) throws ErrnoException {
    frameHead.clear();
    wal.file().preadFully(frameHead, Wal.frameOffset(frame, pageSize));
    return WalFrameHeader.parse(frameHead.flip());
  }

  /**
   * Gives frames the checksums that their writer has forgotten ({@link WalFrameHeader}), and the
   * encoder the chain's end. Readers do not look at them, but a recovery by SQLite, as by the first
   * connection after this node has become primary, would end before them and lose what follows.
   */
  private void chain(long first, long last) throws IOException {
    WalHeader log = encoder.header();
    int pageSize = log.pageSize();
    encoder.reset(
        first == 1
            ? log.start()
            : new WalPosition(
                Wal.frameOffset(first, pageSize), frameHeader(first - 1, pageSize).checksum()));
    ByteBuffer page = ByteBuffer.allocateDirect(pageSize);
    ByteBuffer chained = ByteBuffer.allocateDirect(Wal.frameSize(pageSize));
    for (long frame = first; frame <= last; frame++) {
      WalFrameHeader head = frameHeader(frame, pageSize);
      readFrame(frame, page.clear());
      encoder.frame(head.pgno(), head.commit(), page.flip(), chained.clear());
      putWal(chained.flip().limit(Wal.FRAME_HEADER_SIZE), Wal.frameOffset(frame, pageSize));
    }
  }

  /** What is ours in the index so far is only in the kernel's page cache for certain. */
  private void keepIndex() throws IOException {
    ByteBuffer block = DirectBuffers.take(WalIndex.BLOCK_SIZE);
    try {
      for (long at = 0; at < locks.indexSize(); at += WalIndex.BLOCK_SIZE) {
        locks.readIndex(block.clear(), at);
        block.flip();
        if (at == 0) {
          int header = WalIndex.READ_MARKS;
          shm.file().pwrite(block.slice(0, Math.min(header, block.limit())), 0);
          block.position(Math.min(WalIndex.HEADER_SIZE, block.limit()));
        }
        shm.file().pwrite(block, at + block.position());
      }
    } finally {
      DirectBuffers.give(block);
    }
  }

  // ------------------------------------------------- appending

  /**
   * Appends a transaction and publishes it to readers; {@link #commit} is to follow. Caller holds
   * the mutex.
   *
   * @throws IOException if it cannot be written; nothing has changed for anybody then
   */
  void append(ReceivedTransaction transaction) throws IOException {
    int pageSize = encoder.header().pageSize();
    long pageCount = transaction.header().commit();
    Appender appender = new Appender(pageSize);
    WalPosition before = encoder.position();
    boolean done = false;
    try {
      transaction.forEachPage(appender::page);
      if (appender.isEmpty()) {
        appender.page(1, readCommitted(1, pageSize)); // the commit mark needs a frame
      }
      appender.finish(pageCount);
      index.enter(appender.last);
      index.publish(
          index
              .header()
              .committed(
                  encoder.header(), appender.last, pageCount, encoder.position().checksum()));
      published = appender.last;
      done = true;
    } finally {
      appender.close();
      if (!done) {
        encoder.reset(before);
      }
    }
  }

  /** Turns pages into frames: each is held back until it is known whether another follows. */
  private final class Appender {
    private final int frameSize;
    private final ByteBuffer batch = DirectBuffers.take(BATCH_BYTES);
    private final ByteBuffer held;
    private long last = published;
    private long heldPgno;
    private long batchOffset = encoder.position().offset();

    Appender(int pageSize) {
      frameSize = Wal.frameSize(pageSize);
      held = DirectBuffers.take(pageSize);
    }

    void close() {
      DirectBuffers.give(held);
      DirectBuffers.give(batch);
    }

    boolean isEmpty() {
      return heldPgno == 0;
    }

    void page(long pgno, ByteBuffer content) throws IOException {
      if (heldPgno != 0) {
        frame(0);
      }
      heldPgno = pgno;
      held.clear();
      held.put(content).flip();
    }

    void finish(long commit) throws IOException {
      frame(commit);
      flush();
    }

    private void frame(long commit) throws IOException {
      if (batch.remaining() < frameSize) {
        flush();
      }
      encoder.frame(heldPgno, commit, held, batch);
      pages.put(++last, heldPgno);
    }

    private void flush() throws IOException {
      batch.flip();
      putWal(batch, batchOffset);
      batchOffset += batch.limit();
      batch.clear();
    }
  }

  /** What was published is part of the database's new state. Caller holds the database's lock. */
  void commit() {
    committed = published;
    committedLog = encoder.header();
    committedPageSize = committedLog.pageSize();
  }

  /**
   * Whether this knows what of the WAL is committed; as long as it is being taken over, the capture
   * does. Caller holds the database's lock.
   */
  boolean hasCommitted() {
    return committedLog != null;
  }

  /**
   * Where the log's end is in the WAL, if this {@link #hasCommitted}. Caller holds the database's
   * lock.
   */
  Base.WalEnd logEnd() {
    return new Base.WalEnd(
        committedLog.salt1(),
        committedLog.salt2(),
        Wal.frameOffset(committed + 1, committedPageSize),
        true);
  }

  /** Reads a page as of the last transaction. Caller holds the mutex. */
  private ByteBuffer readCommitted(long pgno, int pageSize) throws IOException {
    ByteBuffer page = ByteBuffer.allocateDirect(pageSize);
    long frame = published;
    while (frame > 0 && pages.get(frame) != pgno) {
      frame--;
    }
    if (frame > 0) {
      readFrame(frame, page);
    } else {
      database.file(FileKind.DATABASE).file().preadFully(page, (pgno - 1) * pageSize);
    }
    return page.flip();
  }

  // ------------------------------------------------- for checkpoints and snapshots

  /** Last frame of the database's position. Caller holds the database's lock. */
  long committed() {
    return committed;
  }

  long backfilled() {
    return backfilled;
  }

  int pageSize() {
    return encoder.header().pageSize();
  }

  /** Page that a committed frame holds. */
  long pageOf(long frame) {
    return pages.get(frame);
  }

  void readFrame(long frame, ByteBuffer page) throws ErrnoException {
    wal.file().preadFully(page, Wal.frameOffset(frame, page.remaining()) + Wal.FRAME_HEADER_SIZE);
  }

  /** fdatasync(2) of the WAL. */
  void sync() throws ErrnoException {
    wal.file().fdatasync();
  }

  /** The checkpointer is about to copy frames up to {@code frame}. */
  void attemptBackfill(long frame) throws IOException {
    index.setBackfillAttempted(frame);
  }

  /** Frames up to {@code frame} are in the database file, which was synced. */
  void backfilled(long frame) throws IOException {
    index.setBackfilled(frame);
    backfilled = frame;
  }

  /** {@code aReadMark[slot]}, in frames, as whoever holds that read lock has set it. */
  long readMark(int slot) throws ErrnoException {
    ByteBuffer info = ByteBuffer.allocateDirect(WalCheckpointInfo.SIZE);
    locks.readIndex(info, WalIndex.CHECKPOINT_INFO);
    return WalCheckpointInfo.decode(info.flip()).readMarks().get(slot);
  }

  /**
   * Puts the offset of the newest committed frame of each page into {@code table}, if this {@link
   * #hasCommitted}. Caller holds the database's lock.
   */
  void mapCommitted(PageTable table) {
    for (long frame = 1; frame <= committed; frame++) {
      table.put(pages.get(frame), Wal.frameOffset(frame, committedPageSize));
    }
  }

  /**
   * Gives memory back that only who appends needs, unless somebody does it right now: what was
   * appended is in the database file, and many databases are written to seldom.
   */
  void rest() {
    if (mutex.tryLock()) {
      try {
        index.rest();
      } finally {
        mutex.unlock();
      }
    }
  }

  // ------------------------------------------------- beginning anew

  /**
   * Begins the WAL anew. All of it must be in the database file, synced. Caller holds the mutex,
   * read locks 1 to 4 exclusively, and {@link Database#stable} for writing.
   *
   * <p>A reader that begins meanwhile finds every frame backfilled and takes read lock 0, which
   * means that it does not look into the WAL.
   *
   * @param pageSize of the database, in bytes, and {@code pageCount} its size in pages
   */
  void restart(int pageSize, long pageCount) throws IOException {
    restart(WalIndexHeader.emptyLog(index.header(), pageSize, pageCount, random.nextLong()));
  }

  private void restart(WalIndexHeader empty) throws IOException {
    // The index first, as SQLite does it: it says that no frame counts.
    index.restart(empty);
    published = 0;
    backfilled = 0;
    WalHeader log =
        new WalHeader(
            empty.checksumOrder(),
            empty.pageSize(),
            encoder == null ? 0 : encoder.header().sequence() + 1,
            empty.salt1(),
            empty.salt2());
    encoder = new WalEncoder(log, log.start());
    database.lock.lock();
    try {
      commit();
    } finally {
      database.lock.unlock();
    }
    if (wal.size() > KEPT_BYTES) {
      // Not to nothing: where the database's header does not say WAL, who comes in this moment
      // would not look into it.
      wal.file().truncate(Wal.HEADER_SIZE);
      database.kernelCache().invalidate(walName, 0, 0);
    }
    ByteBuffer header = ByteBuffer.allocateDirect(Wal.HEADER_SIZE);
    log.encode(header);
    putWal(header.flip(), 0);
  }

  // ------------------------------------------------- the files

  private void putWal(ByteBuffer bytes, long offset) throws ErrnoException {
    put(wal, walName, bytes, offset);
    wal.touch();
  }

  private void putIndex(long offset, ByteBuffer bytes) throws ErrnoException {
    put(shm, shmName, bytes, offset);
  }

  private void put(BackingFile file, String name, ByteBuffer bytes, long offset)
      throws ErrnoException {
    KernelCache cache = database.kernelCache();
    int start = bytes.position();
    file.file().pwrite(bytes, offset);
    cache.store(name, offset, bytes.position(start));
  }

  /**
   * The kernel writes back a page of the index that applications have changed. It may carry older
   * bytes of ours than those we have put since; only what is the readers' is taken from it.
   */
  void writeBack(BackingFile file, ByteBuffer from, long offset) throws ErrnoException {
    int start = from.position();
    long end = offset + from.remaining();
    writeBack(file, from, start, offset, end, WalIndex.READ_MARKS, WalIndex.BACKFILL_ATTEMPTED);
    writeBack(file, from, start, offset, end, WalIndex.UNUSED, WalIndex.HEADER_SIZE);
    from.position(from.limit());
  }

  private static void writeBack(
      BackingFile file, ByteBuffer from, int start, long offset, long end, int first, int behind)
      throws ErrnoException {
    long low = Math.max(offset, first);
    long high = Math.min(end, behind);
    if (low < high) {
      file.file().pwrite(from.slice(start + (int) (low - offset), (int) (high - low)), low);
    }
  }

  // ------------------------------------------------- letting go

  /**
   * Leaves a WAL and an index that applications can go on with, and the capture at their end. The
   * checkpointer must have stopped; the locks are to be dropped afterwards.
   */
  void release() {
    mutex.lock();
    try {
      awaitWriteBack();
      database.lock.lock();
      try {
        database.wal().capture().continueFrom(encoder.header(), encoder.position());
        database.wal().applyThrough(null);
      } finally {
        database.lock.unlock();
      }
      forget();
    } finally {
      mutex.unlock();
    }
  }

  /** A page that is on its way back to us carries bytes from before our last put. */
  void awaitWriteBack() {
    try {
      locks.syncIndex();
    } catch (ErrnoException e) {
      // The mount is gone, and with it whoever could have the page.
      logger.debug("{}: cannot sync: {}", shmName, e.getMessage());
    }
  }

  /** The files are about to be removed, or are: nothing of them is ours any more. */
  void discard() {
    database.wal().applyThrough(null);
    forget();
  }

  private void forget() {
    wal.release();
    shm.release();
  }
}
