package io.litefs.store;

import io.litefs.ltx.LtxDecoder;
import io.litefs.ltx.LtxHeader;
import io.litefs.ltx.LtxTrailer;
import io.litefs.ltx.Pos;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * A verified LTX file that is to be applied. The pages of a small one are kept in memory; a large one is decoded again when it is applied.
 */
final class ReceivedTransaction {

  /** Pages up to this many bytes stay in memory. */
  private static final int MAX_KEPT_BYTES = 1 << 20;

  @FunctionalInterface
  interface PageConsumer {
    /** @param checksum of the page, as in the database's checksum */
    void accept(long pgno, ByteBuffer page, long checksum) throws IOException;
  }

  private record Page(long pgno, ByteBuffer content, long checksum) {}

  private final Path file;
  private final LtxHeader header;
  private final LtxTrailer trailer;

  /** Null if they are too many. */
  private final List<Page> pages;

  private ReceivedTransaction(Path file, LtxHeader header, LtxTrailer trailer, List<Page> pages) {
    this.file = file;
    this.header = header;
    this.trailer = trailer;
    this.pages = pages;
  }

  /**
   * Decodes and verifies a whole file.
   *
   * @param buffer direct, of the largest page size
   * @throws io.litefs.ltx.LtxException if it is damaged
   */
  static ReceivedTransaction read(Path file, ByteBuffer buffer) throws IOException {
    try (LtxDecoder decoder = new LtxDecoder(LtxLog.openForReading(file), file.toString())) {
      int pageSize = decoder.header().pageSize();
      List<Page> kept = new ArrayList<>();
      for (long pgno; (pgno = decoder.next(buffer)) != 0; ) {
        if (kept != null && (long) (kept.size() + 1) * pageSize > MAX_KEPT_BYTES) {
          kept = null;
        }
        if (kept != null) {
          ByteBuffer copy = ByteBuffer.allocate(pageSize).put(buffer).flip();
          kept.add(new Page(pgno, copy, decoder.pageChecksum()));
        }
      }
      return new ReceivedTransaction(file, decoder.header(), decoder.trailer(), kept);
    }
  }

  LtxHeader header() {
    return header;
  }

  /** The position after it. */
  Pos pos() {
    return new Pos(header.maxTxid(), trailer.postApply());
  }

  /** The same transaction under the name that the log gave it. */
  ReceivedTransaction at(Path path) {
    return new ReceivedTransaction(path, header, trailer, pages);
  }

  /** Gives out every page, ascending, in {@code buffer} (direct, of the largest page size). */
  void forEachPage(ByteBuffer buffer, PageConsumer consumer) throws IOException {
    if (pages != null) {
      for (Page page : pages) {
        buffer.clear();
        buffer.put(page.content().duplicate()).flip();
        consumer.accept(page.pgno(), buffer, page.checksum());
      }
      return;
    }
    try (LtxDecoder decoder = new LtxDecoder(LtxLog.openForReading(file), file.toString())) {
      for (long pgno; (pgno = decoder.next(buffer)) != 0; ) {
        consumer.accept(pgno, buffer, decoder.pageChecksum());
      }
    }
  }
}
