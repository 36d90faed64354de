package io.litefs.sqlite;

import java.io.IOException;
import java.nio.ByteBuffer;

/**
 * Reads the valid frames of a WAL in order, as SQLite's recovery does (walformat, sections 2.1 and
 * 4.1): the first frame with other salts, page number 0, a wrong checksum or missing bytes ends the
 * log, and the transaction that it cuts off does not count.
 *
 * <pre>
 *   WalScanner scanner = new WalScanner(header);
 *   scanner.begin(file, header.start());
 *   while (scanner.next()) { ... scanner.pgno(), scanner.page() ... }
 *   scanner.committed()   // where the next transaction begins
 * </pre>
 *
 * <p>Reusable for many scans under the same WAL header; memory does not depend on the size of the
 * log.
 */
public final class WalScanner {

  private static final int WINDOW_SIZE = 128 * 1024;

  private final WalHeader header;
  private final int frameSize;
  private final ByteBuffer window;

  private ByteSource source;
  private long end;
  private long known;

  /** Offset in the file of the window's first byte. */
  private long windowOffset;

  private WalPosition position;
  private WalPosition committed;
  private long committedPageCount;
  private WalFrameHeader frame;

  /** A scanner for the log that begins with {@code header}. */
  public WalScanner(WalHeader header) {
    this.header = header;
    this.frameSize = Wal.frameSize(header.pageSize());
    this.window = ByteBuffer.allocateDirect(Math.max(1, WINDOW_SIZE / frameSize) * frameSize);
  }

  /** Starts at {@code from} and goes as far as there are valid frames. */
  public void begin(ByteSource wal, WalPosition from) {
    begin(wal, from, 0, Long.MAX_VALUE);
  }

  /**
   * Starts at {@code from}, where the log is taken to be committed so far, and reads nothing beyond
   * {@code limit}.
   *
   * @param known in bytes from the start of the file: what lies before is known to be committed, so
   *     that frames without a checksum count ({@link WalFrameHeader})
   * @param limit in bytes from the start of the file
   */
  public void begin(ByteSource wal, WalPosition from, long known, long limit) {
    source = wal;
    this.known = known;
    end = limit;
    position = from;
    committed = from;
    committedPageCount = 0;
    frame = null;
    windowOffset = from.offset();
    window.position(0).limit(0);
  }

  /** Goes to the next frame; false if it is not there or not valid, which ends the scan. */
  public boolean next() throws IOException {
    frame = null;
    int at = (int) (position.offset() - windowOffset);
    if (at + frameSize > window.limit()) {
      if (!fill()) {
        return false;
      }
      at = 0;
    }
    window.position(at);
    WalFrameHeader next = WalFrameHeader.parse(window);
    WalChecksum checksum =
        position.checksum() == null ? null : next.next(header, position.checksum(), window);
    if (checksum == null && !isKnown(next)) {
      end = position.offset();
      window.limit(at);
      return false;
    }
    frame = next;
    if (checksum == null) {
      // What begins behind a commit frame without a checksum begins with one that the index had.
      checksum = next.isUnchained() && next.isCommit() ? null : next.checksum();
    }
    position = new WalPosition(position.offset() + frameSize, checksum);
    if (next.isCommit()) {
      committed = position;
      committedPageCount = next.commit();
    }
    return true;
  }

  /** Whether a frame that does not continue the chain counts nevertheless. */
  private boolean isKnown(WalFrameHeader next) {
    return position.offset() < known
        && (next.isUnchained() || position.checksum() == null && next.isOf(header));
  }

  /** Page number of the present frame. */
  public long pgno() {
    return frame.pgno();
  }

  /** Size of the database in pages if the present frame ends a transaction, else 0. */
  public long commit() {
    return frame.commit();
  }

  /** Offset in the file at which the present frame's header begins. */
  public long offset() {
    return position.offset() - frameSize;
  }

  /**
   * The present frame's page, direct; valid until the next call of {@link #next} or {@link #begin}.
   */
  public ByteBuffer page() {
    return window.slice(window.position() + Wal.FRAME_HEADER_SIZE, header.pageSize());
  }

  /**
   * The end of the last transaction found; the starting point if there is none. Its checksum is
   * null if the last frame has none.
   */
  public WalPosition committed() {
    return committed;
  }

  /** Size of the database in pages after the last transaction found; 0 if there is none. */
  public long committedPageCount() {
    return committedPageCount;
  }

  /** Reads whole frames from the present position on; false if there is not even one. */
  private boolean fill() throws IOException {
    windowOffset = position.offset();
    long wanted = Math.min(window.capacity(), end - windowOffset);
    window.clear();
    if (wanted >= frameSize) {
      window.limit((int) wanted / frameSize * frameSize);
      source.read(window, windowOffset);
    }
    window.flip();
    window.limit(window.limit() / frameSize * frameSize);
    return window.hasRemaining();
  }
}
