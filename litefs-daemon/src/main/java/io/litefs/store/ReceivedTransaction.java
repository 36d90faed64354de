package io.litefs.store;

import io.litefs.ltx.LtxDecoder;
import io.litefs.ltx.LtxHeader;
import io.litefs.ltx.LtxTrailer;
import io.litefs.ltx.Pos;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.ReadableByteChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;

/**
 * A verified LTX file that is to be applied. The pages of a small one are kept in memory; a large
 * one is decoded again when it is applied.
 */
final class ReceivedTransaction {

  // The read version in the database header (file format document, section 1.3).
  private static final int READ_VERSION = 19;
  private static final byte WAL_VERSION = 2;

  /** Pages up to this many bytes stay in memory. */
  private static final int MAX_KEPT_BYTES = 1 << 20;

  @FunctionalInterface
  interface PageConsumer {
    void accept(long pgno, ByteBuffer page) throws IOException;
  }

  private record Page(long pgno, ByteBuffer content) {}

  private final Path file;
  private final LtxHeader header;
  private final LtxTrailer trailer;
  private final PageTable checksums;

  /** Whether its page 1 says write-ahead log; null if it has no page 1. */
  private final Boolean saysWal;

  /** Of its page 1; null if it has none. */
  private final FileVersion version;

  /** Null if they are too many. */
  private final List<Page> pages;

  private ReceivedTransaction(
      Path file,
      LtxHeader header,
      LtxTrailer trailer,
      PageTable checksums,
      List<Page> pages,
      Boolean saysWal,
      FileVersion version) {
    this.file = file;
    this.saysWal = saysWal;
    this.version = version;
    this.checksums = checksums;
    this.header = header;
    this.trailer = trailer;
    this.pages = pages;
  }

  /**
   * Decodes and verifies a file of the log.
   *
   * @param checksums takes the checksum of each page; belongs to the transaction until the next one
   *     is read into it
   * @throws io.litefs.ltx.LtxException if it is damaged
   */
  static ReceivedTransaction read(Path file, PageTable checksums) throws IOException {
    return decode(LtxLog.openForReading(file), file, checksums);
  }

  /**
   * Receives a file: decodes and verifies {@code in} while it is written to {@code file}.
   *
   * @param checksums takes the checksum of each page; belongs to the transaction until the next one
   *     is read into it
   * @throws io.litefs.ltx.LtxException if it is damaged
   */
  static ReceivedTransaction receive(InputStream in, Path file, PageTable checksums)
      throws IOException {
    try (FileChannel out =
        FileChannel.open(
            file,
            StandardOpenOption.CREATE,
            StandardOpenOption.TRUNCATE_EXISTING,
            StandardOpenOption.WRITE)) {
      return decode(new TeeChannel(in, out), file, checksums);
    }
  }

  private static ReceivedTransaction decode(ReadableByteChannel in, Path file, PageTable checksums)
      throws IOException {
    try (LtxDecoder decoder = new LtxDecoder(in, file.toString())) {
      checksums.clear();
      ByteBuffer buffer = DirectBuffers.take(decoder.header().pageSize());
      try {
        return decode(decoder, file, buffer, checksums);
      } finally {
        DirectBuffers.give(buffer);
      }
    }
  }

  private static ReceivedTransaction decode(
      LtxDecoder decoder, Path file, ByteBuffer buffer, PageTable checksums) throws IOException {
    int pageSize = decoder.header().pageSize();
    Boolean saysWal = null;
    FileVersion version = null;
    List<Page> kept = new ArrayList<>();
    for (long pgno; (pgno = decoder.next(buffer)) != 0; ) {
      checksums.put(pgno, decoder.pageChecksum());
      if (pgno == 1) {
        saysWal = buffer.get(READ_VERSION) == WAL_VERSION;
        version = FileVersion.of(buffer);
      }
      if (kept != null && (long) (kept.size() + 1) * pageSize > MAX_KEPT_BYTES) {
        kept = null;
      }
      if (kept != null) {
        kept.add(new Page(pgno, ByteBuffer.allocate(pageSize).put(buffer).flip()));
      }
    }
    return new ReceivedTransaction(
        file, decoder.header(), decoder.trailer(), checksums, kept, saysWal, version);
  }

  /**
   * Whether a connection that has {@code before} in its page cache, and no WAL, notices this
   * transaction. With {@code locking_mode=EXCLUSIVE} SQLite counts only a connection's first one.
   */
  boolean isNoticedAfter(FileVersion before) {
    return version != null && !version.equals(before);
  }

  /** Whether the database says write-ahead log after it, if it does {@code before}. */
  boolean saysWal(boolean before) {
    return saysWal == null ? before : saysWal;
  }

  /** Checksum of each page. */
  PageTable checksums() {
    return checksums;
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
    return new ReceivedTransaction(path, header, trailer, checksums, pages, saysWal, version);
  }

  /** Gives out every page, ascending, in a direct buffer that is the consumer's for that call. */
  void forEachPage(PageConsumer consumer) throws IOException {
    ByteBuffer buffer = DirectBuffers.take(header.pageSize());
    try {
      forEachPage(buffer, consumer);
    } finally {
      DirectBuffers.give(buffer);
    }
  }

  private void forEachPage(ByteBuffer buffer, PageConsumer consumer) throws IOException {
    if (pages != null) {
      for (Page page : pages) {
        buffer.clear();
        buffer.put(page.content().duplicate()).flip();
        consumer.accept(page.pgno(), buffer);
      }
      return;
    }
    try (LtxDecoder decoder = new LtxDecoder(LtxLog.openForReading(file), file.toString())) {
      for (long pgno; (pgno = decoder.next(buffer)) != 0; ) {
        consumer.accept(pgno, buffer);
      }
    }
  }

  /** Gives on what it reads and writes it to a file. */
  private static final class TeeChannel implements ReadableByteChannel {
    private final InputStream in;
    private final FileChannel out;
    private final byte[] buffer = new byte[64 * 1024];

    TeeChannel(InputStream in, FileChannel out) {
      this.in = in;
      this.out = out;
    }

    @Override
    public int read(ByteBuffer into) throws IOException {
      int count = in.read(buffer, 0, Math.min(buffer.length, into.remaining()));
      if (count > 0) {
        into.put(buffer, 0, count);
        ByteBuffer copy = ByteBuffer.wrap(buffer, 0, count);
        while (copy.hasRemaining()) {
          out.write(copy);
        }
      }
      return count;
    }

    @Override
    public boolean isOpen() {
      return out.isOpen();
    }

    @Override
    public void close() {
      // Neither end is the decoder's.
    }
  }
}
