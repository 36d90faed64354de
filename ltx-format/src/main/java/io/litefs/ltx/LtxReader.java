package io.litefs.ltx;

import java.io.IOException;
import java.nio.ByteBuffer;

/**
 * An LTX file of either version on its way in. For one thread; another may close it to end a read
 * that blocks.
 *
 * <p>Pages are given out before the checksums at the end of the file are known, so nothing may be
 * made of them that cannot be undone until {@link #next} has returned 0.
 */
public sealed interface LtxReader extends AutoCloseable permits LtxDecoder, Ltx3Decoder {

  /** The header. */
  TransactionHeader header();

  /** The file's name, as it is in messages. */
  String file();

  /**
   * Reads the next page. After the last it checks all that follows: terminator, trailer, file
   * checksum, for a snapshot that it is complete and has the post-apply checksum, and that nothing
   * follows.
   *
   * @param page has room for a page; cleared, filled and flipped. Unchanged at the end
   * @return the page's number, or 0 at the end
   * @throws LtxException if the file is not valid; the reader cannot be used any more
   * @throws IOException what the channel threw
   */
  long next(ByteBuffer page) throws IOException;

  /** Checksum of the page that {@link #next} gave last, {@link PageChecksum#of}; it is free. */
  long pageChecksum();

  /**
   * The trailer.
   *
   * @throws IllegalStateException before {@link #next} has returned 0
   */
  LtxTrailer trailer();

  /** Bytes of the file that have been used so far; its size once {@link #next} has returned 0. */
  long bytesRead();

  /** Closes the channel. */
  @Override
  void close() throws IOException;
}
