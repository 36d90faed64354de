package io.litefs.ltx;

import java.nio.ByteBuffer;

/** Checks what callers of encoders and decoders pass, as opposed to what files contain. */
final class Arguments {

  private Arguments() {}

  static void checkPage(LtxBuffers open, PageRun pages, int pageSize, long pgno, ByteBuffer page) {
    checkOpen(open);
    String refusal = pages.refusal(pgno);
    if (refusal != null) {
      throw new IllegalArgumentException("page " + refusal);
    }
    if (page.remaining() != pageSize) {
      throw new IllegalArgumentException(
          "page " + pgno + " has " + page.remaining() + " bytes, not " + pageSize);
    }
  }

  static void checkFinish(LtxBuffers open, PageRun pages, Checksum postApply) {
    checkOpen(open);
    String incomplete = pages.incomplete();
    if (incomplete != null) {
      throw new IllegalStateException(incomplete);
    }
    String refusal = pages.refusal(postApply);
    if (refusal != null) {
      throw new IllegalArgumentException("post-apply checksum " + refusal);
    }
  }

  static void checkRoom(int pageSize, ByteBuffer page) {
    if (page.capacity() < pageSize) {
      throw new IllegalArgumentException(
          "a buffer of " + page.capacity() + " bytes for pages of " + pageSize);
    }
  }

  static void checkRead(LtxTrailer trailer) {
    if (trailer == null) {
      throw new IllegalStateException("the LTX file has not been read to its end");
    }
  }

  private static void checkOpen(LtxBuffers open) {
    if (open == null) {
      throw new IllegalStateException("the LTX file is finished");
    }
  }
}
