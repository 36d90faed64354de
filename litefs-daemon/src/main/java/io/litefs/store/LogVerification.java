package io.litefs.store;

import io.litefs.ltx.Checksum;
import io.litefs.ltx.LtxDecoder;
import io.litefs.ltx.LtxException;
import io.litefs.ltx.LtxFileName;
import io.litefs.ltx.LtxHeader;
import io.litefs.ltx.PageSize;
import io.litefs.ltx.Pos;
import io.litefs.ltx.Txid;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.ReadableByteChannel;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;

/**
 * Verifies the LTX files of one database: each is decoded whole, and each must follow the one
 * before. Changes nothing, and needs no daemon; beside a running one, files that it removes or adds
 * meanwhile are no faults. Used once, by one thread.
 */
final class LogVerification {

  private static final String REMEDY =
      "stop litefs and move the file elsewhere: the database does not need it, and a replica that does gets a snapshot";

  private final Path dir;
  private final VerifyReport.Builder report;
  private final PageVerification.Pace pace;
  private final ByteBuffer page = ByteBuffer.allocateDirect(PageSize.MAX);

  /** Checksum of each page as the files lead to it, of those pages that are in a file. */
  private final PageTable pages = new PageTable();

  /** Copies of the youngest files in the segment, from which a start restores them. */
  private final Map<LtxFileName, ByteBuffer> saved = new TreeMap<>();

  private Pos end = Pos.ZERO;
  private LtxHeader last;

  LogVerification(Path dir, VerifyReport.Builder report, PageVerification.Pace pace) {
    this.dir = dir;
    this.report = report;
    this.pace = pace;
  }

  /** The files of a log's directory; none if there is no such directory. */
  static LogNames files(Path dir) throws IOException {
    return Files.isDirectory(dir) ? LogNames.in(dir) : new LogNames();
  }

  /** The log of a directory that no daemon uses. */
  void atRest() throws IOException, InterruptedException {
    Path segment = dir.resolveSibling("segment");
    for (SyncSegment.Saved each : SyncSegment.read(segment)) {
      LtxHeader header = LtxHeader.decode(each.content().duplicate(), segment.toString());
      saved.put(new LtxFileName(header.minTxid(), header.maxTxid()), each.content());
    }
    LogNames files = files(dir);
    long oldest = files.isEmpty() ? 0 : files.iterator().next().min().value();
    for (LtxFileName name : saved.keySet()) {
      if (name.max().value() >= oldest) {
        files.add(name);
      }
    }
    for (LtxFileName name : files) {
      verify(name);
    }
  }

  /**
   * The log of a database that a daemon serves.
   *
   * @param upTo files that reach beyond are not looked at: they may be in the making
   */
  void atWork(Txid upTo) throws IOException, InterruptedException {
    for (LtxFileName name : files(dir)) {
      if (name.max().compareTo(upTo) <= 0) {
        verify(name);
      }
    }
  }

  private void verify(LtxFileName name) throws IOException, InterruptedException {
    if (name.max().compareTo(end.txid()) <= 0) {
      return; // A snapshot has replaced it, and whoever took it in had no time to remove it.
    }
    Path file = dir.resolve(name.toString());
    try {
      decode(LtxLog.openForReading(file), Files.size(file), file);
    } catch (NoSuchFileException | LtxException e) {
      ByteBuffer copy = saved.get(name);
      if (copy != null) {
        report.note(
            file, "a power cut took it, but the segment has a copy", "the next start restores it");
        decode(new MemoryChannel(copy.duplicate()), copy.remaining(), file);
      } else if (e instanceof LtxException) {
        report.damage(file, e.getMessage(), REMEDY);
        last = null;
        end = new Pos(name.max(), Checksum.ZERO);
        pages.clear();
      }
      // Otherwise retention was faster.
    }
  }

  private void decode(ReadableByteChannel in, long size, Path file)
      throws IOException, InterruptedException {
    try (LtxDecoder decoder = new LtxDecoder(in, file.toString())) {
      LtxHeader header = decoder.header();
      if (last == null || header.isSnapshot() || header.pageSize() != last.pageSize()) {
        pages.clear();
      }
      long told = 0;
      for (long pgno; (pgno = decoder.next(page)) != 0; ) {
        pages.put(pgno, decoder.pageChecksum());
        long read = decoder.bytesRead();
        pace.read((int) (read - told));
        told = read;
      }
      checkPlace(file, header);
      pages.truncate(header.commit());
      last = header;
      end = new Pos(header.maxTxid(), decoder.trailer().postApply());
      report.ltx(size);
    }
  }

  /** Bytes in memory as a channel. */
  private record MemoryChannel(ByteBuffer bytes) implements ReadableByteChannel {
    @Override
    public int read(ByteBuffer into) {
      if (!bytes.hasRemaining()) {
        return -1;
      }
      int count = Math.min(into.remaining(), bytes.remaining());
      into.put(bytes.slice(bytes.position(), count));
      bytes.position(bytes.position() + count);
      return count;
    }

    @Override
    public boolean isOpen() {
      return true;
    }

    @Override
    public void close() {
      // It is memory.
    }
  }

  private void checkPlace(Path file, LtxHeader header) {
    LtxFileName name = new LtxFileName(header.minTxid(), header.maxTxid());
    if (!file.endsWith(name.toString())) {
      report.damage(
          file,
          "it holds transactions %s to %s, which is not what its name says"
              .formatted(header.minTxid(), header.maxTxid()),
          REMEDY);
    }
    if (end.equals(Pos.ZERO) || header.isSnapshot()) {
      return;
    }
    if (!header.minTxid().equals(end.txid().next())) {
      report.damage(
          file,
          "transactions %s to %016x before it are missing"
              .formatted(end.txid().next(), header.minTxid().value() - 1),
          "a replica that needs them gets a snapshot; nothing has to be done for the database itself");
    } else if (!end.checksum().equals(Checksum.ZERO) && !header.preApply().equals(end.checksum())) {
      report.damage(
          file,
          "it continues checksum %s, but the transaction before it leads to %s"
              .formatted(header.preApply(), end.checksum()),
          REMEDY);
    }
  }

  /** The position that the files lead to; {@link Pos#ZERO} if there are none. */
  Pos end() {
    return end;
  }

  /** The header of the last file; null if there is none or it is damaged. */
  LtxHeader last() {
    return last;
  }

  /** Checksums of the pages that are in a file, as of the end. */
  PageTable pages() {
    return pages;
  }
}
