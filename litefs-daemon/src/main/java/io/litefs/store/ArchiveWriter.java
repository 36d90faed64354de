package io.litefs.store;

import io.litefs.ltx.LtxEncoder;
import io.litefs.ltx.LtxFileName;
import io.litefs.ltx.LtxHeader;
import io.litefs.ltx.PageChecksum;
import io.litefs.ltx.PageSize;
import io.litefs.ltx.Pos;
import io.litefs.posix.PosixFile;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.FileStore;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Makes one {@link DivergedArchive}: under a temporary name, on disk to the last byte, then
 * renamed. Used once.
 */
final class ArchiveWriter {

  private static final Logger log = LoggerFactory.getLogger(ArchiveWriter.class);
  private static final DateTimeFormatter NAME =
      DateTimeFormatter.ofPattern("yyyyMMdd'T'HHmmss.SSS'Z'").withZone(ZoneOffset.UTC);
  private static final int BUFFER_BYTES = 1 << 20;

  private final Divergence divergence;
  private final Database database;
  private final Pos own;
  private final DivergedArchive.Reason reason;

  /** Null if the primary has no such database. */
  private final ReceivedTransaction snapshot;

  private final Path target;
  private final Path dir;

  ArchiveWriter(
      Divergence divergence,
      Database database,
      Pos own,
      DivergedArchive.Reason reason,
      ReceivedTransaction snapshot) {
    this.divergence = divergence;
    this.database = database;
    this.own = own;
    this.reason = reason;
    this.snapshot = snapshot;
    this.target = divergence.archives().of(database.name()).resolve(NAME.format(Instant.now()));
    this.dir = target.resolveSibling(target.getFileName() + DivergedArchives.UNFINISHED);
  }

  DivergedArchive write() throws IOException {
    boolean done = false;
    try {
      Files.createDirectories(dir.resolve(DivergedArchive.LTX));
      DivergedArchive archive = keepPages(keepLog());
      describe(archive);
      syncAll();
      Files.move(dir, target);
      // The names above it, made just now perhaps.
      PosixFile.syncDirectory(target.getParent());
      PosixFile.syncDirectory(target.getParent().getParent());
      PosixFile.syncDirectory(target.getParent().getParent().getParent());
      done = true;
      return DivergedArchive.read(target);
    } finally {
      if (!done) {
        discard();
      }
    }
  }

  /**
   * The linked files too: of those the disk may so far have no more than the log's copy, which the
   * snapshot makes void.
   */
  private void syncAll() throws IOException {
    try (PosixFile opened = PosixFile.open(dir, PosixFile.O_RDONLY, 0)) {
      opened.syncfs();
    }
  }

  private void discard() {
    try {
      DurableFiles.removeTree(dir);
    } catch (IOException e) {
      log.warn("cannot remove {}: {}; it is removed at the next start", dir, e.getMessage());
    }
  }

  /**
   * Links, or where that is impossible copies, every file of the log.
   *
   * @return the first of an unbroken chain of new ones; null if there is none
   */
  private Path keepLog() throws IOException {
    Path first = null;
    for (Path file : database.log().files()) {
      Path copy = dir.resolve(DivergedArchive.LTX).resolve(file.getFileName());
      try {
        link(file, copy);
        first = first == null ? copy : first;
      } catch (NoSuchFileException e) {
        // Retention is at work: only the oldest can be gone, and what follows one that is gone
        // does not depend on it.
        first = null;
      }
    }
    return first;
  }

  private static void link(Path file, Path copy) throws IOException {
    try {
      Files.createLink(copy, file);
    } catch (NoSuchFileException e) {
      throw e;
    } catch (UnsupportedOperationException | FileSystemException e) {
      // Another filesystem, or one without links.
      log.debug("{} is copied: {}", file, e.getMessage());
      Files.copy(file, copy);
    }
  }

  private DivergedArchive keepPages(Path firstOfLog) throws IOException {
    try (CommittedPages pages = CommittedPages.pin(database)) {
      DatabaseState state = pages.state();
      long databaseBytes = state.pageCount() * state.pageSize();
      long ltxBytes = DurableFiles.sizeOfTree(dir);
      boolean fits = databaseBytes + ltxBytes <= divergence.maxBytes();
      boolean inLog = firstOfLog != null && beginsWithTheFirst(firstOfLog);
      if (fits || snapshot == null || !inLog && state.pos().txid().value() <= 1) {
        requireSpace(databaseBytes);
        copyDatabase(pages);
        return archive(DivergedArchive.Content.DATABASE, state.pos());
      }
      if (inLog) {
        return archive(DivergedArchive.Content.LOG, null);
      }
      copyDifferingPages(pages);
      return archive(DivergedArchive.Content.PAGES, null);
    }
  }

  private static boolean beginsWithTheFirst(Path file) {
    return LtxFileName.parse(file.getFileName().toString())
        .map(name -> name.min().value() == 1)
        .orElse(false);
  }

  /** Asked first: to find the disk full after copying for minutes helps nobody. */
  private void requireSpace(long bytes) throws IOException {
    FileStore disk = Files.getFileStore(dir);
    long free = disk.getUsableSpace();
    if (free < bytes) {
      throw new StoreException("it needs " + bytes + " bytes, " + free + " are free");
    }
  }

  private void copyDatabase(CommittedPages pages) throws IOException {
    ByteBuffer buffer = ByteBuffer.allocateDirect(BUFFER_BYTES);
    try (FileChannel out = create(DivergedArchive.DATABASE)) {
      for (long pgno = 1; pgno <= pages.state().pageCount(); pgno++) {
        if (buffer.remaining() < pages.state().pageSize()) {
          drain(buffer, out);
        }
        buffer.put(pages.read(pgno));
      }
      drain(buffer, out);
    }
  }

  private static void drain(ByteBuffer buffer, FileChannel out) throws IOException {
    buffer.flip();
    while (buffer.hasRemaining()) {
      out.write(buffer);
    }
    buffer.clear();
  }

  /** As an LTX file that leads from the primary's snapshot to what is here. */
  private void copyDifferingPages(CommittedPages pages) throws IOException {
    DatabaseState state = pages.state();
    LtxHeader theirs = snapshot.header();
    boolean comparable = theirs.pageSize() == state.pageSize();
    long lockPage = new PageSize(state.pageSize()).lockPage();
    LtxHeader header =
        new LtxHeader(
            true,
            state.pageSize(),
            state.pageCount(),
            state.pos().txid(),
            state.pos().txid(),
            System.currentTimeMillis(),
            snapshot.pos().checksum(),
            0,
            0,
            0,
            0,
            database.nodeId());
    try (FileChannel out = create(DivergedArchive.PAGES)) {
      LtxEncoder encoder = new LtxEncoder(out, header);
      for (long pgno = 1; pgno <= state.pageCount(); pgno++) {
        if (pgno == lockPage) {
          continue;
        }
        ByteBuffer page = pages.read(pgno);
        if (!comparable || snapshot.checksums().get(pgno) != PageChecksum.of(pgno, page)) {
          encoder.page(pgno, page);
        }
      }
      encoder.finish(state.pos().checksum());
    }
  }

  private FileChannel create(String name) throws IOException {
    return FileChannel.open(
        dir.resolve(name), StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE);
  }

  private DivergedArchive archive(DivergedArchive.Content content, Pos databasePos)
      throws IOException {
    DatabaseState state = database.state();
    int pageSize = state.pageSize();
    long pageCount = state.pageCount();
    if (!state.pos().equals(own)) {
      LtxHeader last = Divergence.lastHeader(database.log());
      pageSize = last.pageSize();
      pageCount = last.commit();
    }
    return new DivergedArchive(
        database.name(),
        target.getFileName().toString(),
        target,
        reason,
        own,
        divergence.agreedPosition(database.name()),
        snapshot == null ? null : snapshot.pos(),
        divergence.primaryNode(),
        divergence.clusterId(),
        pageSize,
        pageCount,
        content,
        databasePos,
        0);
  }

  private void describe(DivergedArchive archive) throws IOException {
    Path fields = dir.resolve(DivergedArchive.PROPERTIES);
    try (OutputStream out = Files.newOutputStream(fields)) {
      archive.fields().store(out, "written by litefs; see README");
    }
    DurableFiles.write(dir.resolve(DivergedArchive.README), ArchiveReadme.of(archive));
  }
}
