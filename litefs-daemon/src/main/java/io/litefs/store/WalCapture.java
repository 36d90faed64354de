package io.litefs.store;

import io.litefs.posix.ErrnoException;
import io.litefs.sqlite.SqliteFormatException;
import io.litefs.sqlite.WalChecksum;
import io.litefs.sqlite.WalFrameHeader;
import io.litefs.sqlite.WalHeader;
import java.io.IOException;
import java.nio.ByteBuffer;

/**
 * Follows the application's writes to the WAL and turns each transaction into a file of the log,
 * before the last piece of its commit frame reaches the WAL: a transaction that cannot be logged is
 * never complete in the WAL either.
 *
 * <p>SQLite writes a frame in pieces (header, page), writes again over frames of an unfinished
 * transaction whose cache spilled, and then rewrites the frame headers with new checksums, the
 * commit frame's last. So all that is remembered is where the committed part ends; whenever a write
 * touches a commit frame that is then complete, the frames from there on are read and their chain
 * of checksums decides.
 *
 * <p>Guarded by the database's lock. Source: the WAL-mode file format document, section 4.
 */
final class WalCapture {

  static final int HEADER_BYTES = 32;
  static final int FRAME_HEADER_BYTES = 24;

  /** In the map of frames: the page has no frame of this transaction. */
  private static final long ELSEWHERE = -1;

  /** Transactions up to this many bytes are read in one piece. */
  private static final int WINDOW_BYTES = 1 << 20;

  private static final int MIN_WINDOW_BYTES = 1 << 14;

  private final Database database;

  /** Null as long as the WAL has no valid header. */
  private WalHeader header;

  /** Offset at which the committed part ends: the next transaction begins here. */
  private long committedEnd;

  /** Checksum of the chain at {@link #committedEnd}. */
  private WalChecksum committedChecksum;

  /** Whether frames were written that the file was not synced after. */
  private boolean unsynced;

  /**
   * Pages of captured frames that the application has begun to overwrite: nobody ever saw them, so
   * the next transaction restores them.
   */
  private final PageTable overwritten = new PageTable();

  private final PageTable frames = new PageTable();
  private final ByteBuffer headerBuffer = ByteBuffer.allocateDirect(HEADER_BYTES);
  private final ByteBuffer frameHeader = ByteBuffer.allocateDirect(FRAME_HEADER_BYTES);
  private final FrameReader reader = new FrameReader();

  WalCapture(Database database) {
    this.database = database;
  }

  /**
   * Whether there is a WAL with a valid header: writes to the database file are checkpoints then.
   */
  boolean isActive() {
    return header != null;
  }

  /** The WAL is gone or empty. */
  void reset() {
    header = null;
    committedEnd = 0;
    committedChecksum = null;
    unsynced = false;
    overwritten.clear();
  }

  void truncated(long size) {
    if (size < HEADER_BYTES) {
      reset();
    }
  }

  /**
   * A checkpoint must not overwrite pages of the database whose frames, or whose transactions in
   * the log, a power cut could still take away.
   */
  void beforeCheckpointWrite(BackingFile wal) throws ErrnoException {
    if (unsynced) {
      database.log().sync();
      wal.file().fdatasync();
      unsynced = false;
    }
  }

  void write(BackingFile wal, ByteBuffer from, long offset) throws IOException {
    if (offset < HEADER_BYTES) {
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
    if (captured != null && captured.recorded() != null) {
      captured.recorded().append();
    }
    try {
      wal.file().pwrite(from, offset);
    } catch (ErrnoException e) {
      if (captured != null && captured.recorded() != null) {
        captured.recorded().revoke();
      }
      throw e;
    }
    wal.touch();
    unsynced = true;
    if (captured != null) {
      committedEnd = captured.end();
      committedChecksum = captured.checksum();
      overwritten.clear();
      if (captured.recorded() != null) {
        database.accept(captured.recorded(), true);
      }
    }
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
      if (WalFrameHeader.parse(frameHeader.flip()).commit() != 0) {
        commitEnd = frame + frameBytes;
      }
    }
    return commitEnd == 0 ? null : captureThrough(wal, commitEnd);
  }

  /**
   * Records the transaction from the committed end to {@code end}; null if its frames are no valid
   * chain (yet).
   */
  private Captured captureThrough(BackingFile wal, long end) throws IOException {
    reader.window(committedEnd, end);
    frames.clear();
    WalChecksum checksum = committedChecksum;
    long commit = 0;
    int frameBytes = frameBytes();
    for (long frame = committedEnd; frame < end; frame += frameBytes) {
      ByteBuffer content = reader.slice(frame, frameBytes);
      WalFrameHeader head = WalFrameHeader.parse(content);
      checksum = head.next(header, checksum, content);
      if (checksum == null) {
        return null; // SQLite is yet to rewrite the checksums.
      }
      frames.put(head.pgno(), frame);
      commit = head.commit();
    }
    return new Captured(record(wal, commit, end), end, checksum);
  }

  private TransactionRecorder.Recorded record(BackingFile wal, long commit, long end)
      throws IOException {
    int pageSize = header.pageSize();
    for (long pgno = overwritten.next(1); pgno != 0; pgno = overwritten.next(pgno + 1)) {
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
          ? database.readPage(database.file(FileKind.DATABASE), pgno, pageSize)
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
      overwritten.put(WalFrameHeader.parse(head.flip()).pgno(), 1);
    }
    if (boundary == HEADER_BYTES) {
      committedChecksum = header.checksum();
    } else {
      wal.file().preadFully(head.clear(), boundary - frameBytes);
      committedChecksum = WalFrameHeader.parse(head.flip()).checksum();
    }
    committedEnd = boundary;
  }

  /**
   * Reads the WAL as it will be once the write in hand is done. Slices are valid until the next
   * call.
   */
  private static final class FrameReader {
    /**
     * Grows to what transactions need, up to {@link #WINDOW_BYTES}: there may be many databases.
     */
    private ByteBuffer window = ByteBuffer.allocateDirect(0);

    private ByteBuffer scratch = ByteBuffer.allocateDirect(0);
    private long windowStart;
    private long windowEnd;
    private BackingFile wal;
    private ByteBuffer written;
    private long writtenStart;
    private long writtenEnd;

    void begin(BackingFile file, ByteBuffer from, long offset) {
      wal = file;
      written = from;
      writtenStart = offset;
      writtenEnd = offset + from.remaining();
      windowStart = 0;
      windowEnd = 0;
    }

    /** Loads a range in one piece, if it is not too large. */
    void window(long start, long end) throws ErrnoException {
      if (end - start <= WINDOW_BYTES) {
        int length = (int) (end - start);
        if (window.capacity() < length) {
          window =
              ByteBuffer.allocateDirect(
                  Math.max(MIN_WINDOW_BYTES, Integer.highestOneBit(length) * 2));
        }
        read(window.clear().limit((int) (end - start)), start);
        windowStart = start;
        windowEnd = end;
      }
    }

    ByteBuffer slice(long offset, int length) throws ErrnoException {
      if (offset >= windowStart && offset + length <= windowEnd) {
        return window.slice((int) (offset - windowStart), length);
      }
      if (scratch.capacity() < length) {
        scratch = ByteBuffer.allocateDirect(length);
      }
      ByteBuffer buffer = scratch.clear().limit(length);
      read(buffer, offset);
      return buffer.flip();
    }

    /** Fills {@code into}: from the file, with the write on top. */
    void read(ByteBuffer into, long offset) throws ErrnoException {
      int start = into.position();
      long end = offset + into.remaining();
      if (!(writtenStart <= offset && end <= writtenEnd)) {
        wal.file().preadMost(into, offset);
      }
      long from = Math.max(offset, writtenStart);
      long to = Math.min(end, writtenEnd);
      if (from < to) {
        into.put(
            start + (int) (from - offset),
            written,
            written.position() + (int) (from - writtenStart),
            (int) (to - from));
      }
      into.position(into.limit());
    }
  }
}
