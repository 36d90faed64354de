package io.litefs.ltx;

import java.io.IOException;
import java.nio.ByteBuffer;

/** An LTX file in the making, of either version. For one thread. Never closes its channel. */
public sealed interface LtxWriter permits LtxEncoder, Ltx3Encoder {

  /**
   * Adds a page.
   *
   * @param pgno above that of the page before, not above the header's commit, not the lock page; in
   *     a snapshot the next one
   * @param page exactly one page from position to limit, heap or direct; moved to its limit
   * @return the page's checksum, {@link PageChecksum#of}, which comes for free here
   * @throws IllegalArgumentException if the page may not come now or has another size
   * @throws IOException what the channel threw
   */
  long page(long pgno, ByteBuffer page) throws IOException;

  /**
   * Writes all that follows the pages and flushes to the channel. Nothing can be added after.
   *
   * @param postApply checksum of the database after the transaction; 0 if the header says that
   *     there is none
   * @throws IllegalStateException if this is a snapshot and pages are missing
   * @throws IllegalArgumentException if it cannot be the checksum of the database: for a snapshot,
   *     if it is not that of its pages
   * @throws IOException what the channel threw
   */
  LtxTrailer finish(Checksum postApply) throws IOException;

  /** Size of the file so far, in bytes; complete after {@link #finish}. */
  long bytesWritten();
}
