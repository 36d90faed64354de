package io.litefs.sqlite;

/**
 * Geometry of a write-ahead log (walformat, section 2.1): a {@link WalHeader} of 32 bytes, then
 * frames, each a {@link WalFrameHeader} of 24 bytes and a page. Frames count from 1.
 *
 * <p>A frame is valid if its salts are those of the WAL header and its checksum continues the chain
 * that begins in the WAL header and goes through all frames before it. So frames that an earlier
 * use of the file left behind are not valid after a restart, which changes the salts. Only frames
 * up to the last valid one with a commit mark count.
 */
public final class Wal {

  /** Bytes of the WAL header. */
  public static final int HEADER_SIZE = 32;

  /** Bytes of the header of a frame. */
  public static final int FRAME_HEADER_SIZE = 24;

  /** The only format version there is, in the WAL header and in the wal-index header. */
  public static final int VERSION = 3007000;

  private Wal() {}

  /** Bytes of a frame with its header. */
  public static int frameSize(int pageSize) {
    return FRAME_HEADER_SIZE + pageSize;
  }

  /**
   * Where the header of a frame begins, in bytes from the start of the file.
   *
   * @param frame from 1
   */
  public static long frameOffset(long frame, int pageSize) {
    return HEADER_SIZE + (frame - 1) * frameSize(pageSize);
  }

  /**
   * How many whole frames end at or before {@code offset}, so also the number of the last of them.
   *
   * @param offset in bytes from the start of the file; 0 frames for anything within the WAL header
   */
  public static long framesBefore(long offset, int pageSize) {
    return Math.max(0, offset - HEADER_SIZE) / frameSize(pageSize);
  }
}
