package io.litefs.store;

import io.litefs.ltx.Checksum;
import io.litefs.ltx.LtxDecoder;
import io.litefs.ltx.LtxFileName;
import io.litefs.ltx.LtxHeader;
import io.litefs.ltx.PageChecksum;
import io.litefs.ltx.PageSize;
import io.litefs.ltx.Pos;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.LongConsumer;

/** Rebuilds the database of an archive as a plain SQLite file, and proves that it is the one. */
public final class ArchiveExport {

  private static final int BUFFER_BYTES = 1 << 20;

  private final DivergedArchive archive;
  private final FileChannel out;
  private final LongConsumer progress;
  private final ByteBuffer page = ByteBuffer.allocateDirect(PageSize.MAX);
  private long size;

  private ArchiveExport(DivergedArchive archive, FileChannel out, LongConsumer progress) {
    this.archive = archive;
    this.out = out;
    this.progress = progress;
  }

  /**
   * Writes the database as it was at the archive's position; synced when this returns.
   *
   * @param file a new file; what is in it after an exception is of no use
   * @param progress is told the bytes read since it was last told
   * @throws StoreException if the archive does not hold the whole database, or is damaged
   */
  public static void write(DivergedArchive archive, Path file, LongConsumer progress)
      throws IOException {
    if (archive.pageCount() == 0) {
      throw new StoreException(
          "%s was a dropped database at position %s; its transactions are in %s"
              .formatted(
                  archive.database(),
                  archive.position(),
                  archive.path().resolve(DivergedArchive.LTX)));
    }
    if (archive.content() == DivergedArchive.Content.PAGES) {
      throw new StoreException(
          "%s exceeded data.diverged-size: only the pages that differ from the primary's at %s are kept, in %s"
              .formatted(
                  archive.database(),
                  archive.primaryPosition(),
                  archive.path().resolve(DivergedArchive.PAGES)));
    }
    try (FileChannel out =
        FileChannel.open(
            file,
            StandardOpenOption.CREATE_NEW,
            StandardOpenOption.READ,
            StandardOpenOption.WRITE)) {
      new ArchiveExport(archive, out, progress).run();
    }
  }

  private void run() throws IOException {
    Pos from = Pos.ZERO;
    if (archive.content() == DivergedArchive.Content.DATABASE) {
      from = archive.databasePos();
      copy(archive.path().resolve(DivergedArchive.DATABASE));
    }
    for (Path file : filesAfter(from.txid().value())) {
      apply(file);
    }
    Checksum actual = checksum();
    long expected = archive.pageCount() * archive.pageSize();
    if (size != expected || !actual.equals(archive.position().checksum())) {
      throw new StoreException(
          "the archive %s is damaged: it leads to checksum %s and %d bytes, not to %s and %d"
              .formatted(archive.path(), actual, size, archive.position().checksum(), expected));
    }
    out.force(true);
  }

  private void copy(Path database) throws IOException {
    ByteBuffer buffer = ByteBuffer.allocateDirect(BUFFER_BYTES);
    try (FileChannel in = FileChannel.open(database)) {
      while (in.read(buffer.clear()) > 0) {
        int count = buffer.flip().remaining();
        write(buffer, size);
        size += count;
        progress.accept(count);
      }
    }
  }

  private List<Path> filesAfter(long txid) throws IOException {
    TreeMap<Long, Path> files = new TreeMap<>();
    try (DirectoryStream<Path> all =
        Files.newDirectoryStream(archive.path().resolve(DivergedArchive.LTX))) {
      for (Path file : all) {
        Optional<LtxFileName> name = LtxFileName.parse(file.getFileName().toString());
        if (name.isPresent() && name.get().max().value() > txid) {
          files.put(name.get().min().value(), file);
        }
      }
    }
    return List.copyOf(files.values());
  }

  private void apply(Path file) throws IOException {
    try (LtxDecoder decoder = new LtxDecoder(LtxLog.openForReading(file), file.toString())) {
      LtxHeader header = decoder.header();
      for (long pgno; (pgno = decoder.next(page)) != 0; ) {
        progress.accept(header.pageSize());
        write(page, (pgno - 1) * header.pageSize());
      }
      size = header.commit() * header.pageSize();
      out.truncate(size);
    }
  }

  private void write(ByteBuffer from, long offset) throws IOException {
    long at = offset;
    while (from.hasRemaining()) {
      at += out.write(from, at);
    }
  }

  private Checksum checksum() throws IOException {
    PageSize pageSize = new PageSize(archive.pageSize());
    long sum = 0;
    for (long pgno = 1; pgno <= size / pageSize.bytes(); pgno++) {
      page.clear().limit(pageSize.bytes());
      long at = (pgno - 1) * pageSize.bytes();
      while (page.hasRemaining() && out.read(page, at + page.position()) > 0) {
        // until it is full
      }
      while (page.hasRemaining()) {
        page.put((byte) 0); // a page that was never written, beyond the end of the file
      }
      if (pgno != pageSize.lockPage()) {
        sum ^= PageChecksum.of(pgno, page.flip());
      }
    }
    return new Checksum(sum | Checksum.FLAG);
  }
}
