package io.litefs.ltx;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.ReadableByteChannel;
import java.nio.channels.WritableByteChannel;
import java.util.Random;
import java.util.SortedMap;
import java.util.TreeMap;

/** Makes and reads LTX files in memory. */
final class LtxFiles {

  /** Database checksum for files where it is not that of their pages. */
  static final Checksum SOME = new Checksum(0x8000000000000123L);

  private LtxFiles() {}

  static LtxHeader header(boolean compressed, int pageSize, long commit, long min, long max) {
    Checksum preApply = min == 1 ? Checksum.ZERO : SOME;
    return new LtxHeader(
        compressed,
        pageSize,
        commit,
        new Txid(min),
        new Txid(max),
        1_700_000_000_000L,
        preApply,
        0,
        0,
        0,
        0,
        0xFEDCBA9876543210L);
  }

  /** Half noise and half not, different for each page. */
  static byte[] page(int pageSize, long pgno) {
    byte[] bytes = new byte[pageSize];
    new Random(pgno).nextBytes(bytes);
    for (int i = 0; i < pageSize / 2; i++) {
      bytes[i] = (byte) (i % 7 + pgno);
    }
    return bytes;
  }

  static SortedMap<Long, byte[]> pages(int pageSize, long... pgnos) {
    SortedMap<Long, byte[]> pages = new TreeMap<>();
    for (long pgno : pgnos) {
      pages.put(pgno, page(pageSize, pgno));
    }
    return pages;
  }

  static SortedMap<Long, byte[]> pagesUpTo(int pageSize, long commit) {
    SortedMap<Long, byte[]> pages = new TreeMap<>();
    for (long pgno = 1; pgno <= commit; pgno++) {
      pages.put(pgno, page(pageSize, pgno));
    }
    return pages;
  }

  static Checksum checksum(SortedMap<Long, byte[]> pages) {
    long checksum = 0;
    for (var page : pages.entrySet()) {
      checksum ^= PageChecksum.of(page.getKey(), ByteBuffer.wrap(page.getValue()));
    }
    return new Checksum(Checksum.FLAG | checksum);
  }

  /** What the post-apply checksum has to be, or some value if it can be any. */
  static Checksum postApply(TransactionHeader header, SortedMap<Long, byte[]> pages) {
    if (!header.hasDatabaseChecksums()) {
      return Checksum.ZERO;
    }
    return header.isSnapshot() || header.commit() == 0 ? checksum(pages) : SOME;
  }

  static byte[] encode(TransactionHeader header, SortedMap<Long, byte[]> pages) {
    return encode(header, pages, postApply(header, pages));
  }

  static byte[] encode(
      TransactionHeader header, SortedMap<Long, byte[]> pages, Checksum postApply) {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try {
      LtxWriter writer = writer(Channels.newChannel(bytes), header);
      for (var page : pages.entrySet()) {
        writer.page(page.getKey(), ByteBuffer.wrap(page.getValue()));
      }
      writer.finish(postApply);
    } catch (IOException e) {
      throw new AssertionError("memory does not fail", e);
    }
    return bytes.toByteArray();
  }

  static LtxWriter writer(WritableByteChannel out, TransactionHeader header) {
    return header instanceof LtxHeader v1
        ? new LtxEncoder(out, v1)
        : new Ltx3Encoder(out, (Ltx3Header) header);
  }

  /** A small snapshot of two pages of 512 bytes, not compressed: easy to know the offsets of. */
  static byte[] small() {
    return encode(header(false, 512, 2, 1, 1), pagesUpTo(512, 2));
  }

  /** Sets the file checksum of an uncompressed file to what it should be after a change. */
  static byte[] sealed(byte[] file) {
    int end = file.length - Long.BYTES;
    long checksum = Checksum.FLAG | Crc64.value(Crc64.update(Crc64.INITIAL, file, 0, end));
    ByteBuffer.wrap(file).putLong(end, checksum);
    return file;
  }

  static ReadableByteChannel channel(byte[] file) {
    return Channels.newChannel(new ByteArrayInputStream(file));
  }

  static LtxDecoder decoder(byte[] file) throws IOException {
    return new LtxDecoder(channel(file), "f.ltx");
  }

  static Ltx3Decoder decoder3(byte[] file) throws IOException {
    return new Ltx3Decoder(channel(file), "f.ltx");
  }

  /** Reads to the end and returns the pages. */
  static SortedMap<Long, byte[]> read(LtxReader reader) throws IOException {
    SortedMap<Long, byte[]> pages = new TreeMap<>();
    ByteBuffer page = ByteBuffer.allocateDirect(PageSize.MAX);
    for (long pgno = reader.next(page); pgno != 0; pgno = reader.next(page)) {
      byte[] bytes = new byte[page.remaining()];
      page.get(bytes);
      if (reader.pageChecksum() != PageChecksum.of(pgno, ByteBuffer.wrap(bytes))) {
        throw new AssertionError("checksum of page " + pgno);
      }
      pages.put(pgno, bytes);
    }
    return pages;
  }
}
