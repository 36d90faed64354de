package io.litefs.store;

import io.litefs.ltx.Checksum;
import io.litefs.ltx.LtxEncoder;
import io.litefs.ltx.LtxHeader;
import io.litefs.ltx.PageChecksum;
import io.litefs.ltx.PageSize;
import io.litefs.ltx.Pos;
import io.litefs.ltx.Txid;
import io.litefs.posix.ErrnoException;
import io.litefs.replication.ChangeSource.LtxFile;
import io.litefs.replication.WithheldException;
import java.io.Closeable;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.channels.WritableByteChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Optional;

/**
 * Copies of a whole database as of one position, as an LTX snapshot or as a database file. They are
 * written to a file of the data directory first, so that who receives them, however slowly, holds
 * up nobody; while that is done, transactions in WAL mode go on, checkpoints and transactions with
 * a rollback journal wait.
 */
final class Snapshots {

  private static final int BUFFER_BYTES = 256 * 1024;

  private Snapshots() {}

  /**
   * @throws WithheldException if the pages are not what the position says, or cannot be read
   */
  static LtxFile ltx(Database database, Soundness soundness) throws IOException {
    Path file = temporary(database);
    try {
      Pos pos;
      try (BufferedChannel out = new BufferedChannel(create(file));
          CheckedPages pages = new CheckedPages(database, soundness)) {
        pos = writeLtx(database, pages, out);
      }
      return LogFile.openAndUnlink(file, pos);
    } catch (IOException | RuntimeException e) {
      Files.deleteIfExists(file);
      throw e;
    }
  }

  /** Puts the whole database in the place of its log. For recovery. */
  static void replaceLog(Database database, Soundness soundness) throws IOException {
    Path file = database.log().temporaryFile();
    try {
      try (BufferedChannel out = new BufferedChannel(create(file));
          CheckedPages pages = new CheckedPages(database, soundness)) {
        writeLtx(database, pages, out);
      }
      database.log().adopt(file, LogTail.entry(file).header());
    } catch (IOException | RuntimeException e) {
      Files.deleteIfExists(file);
      throw e;
    }
  }

  private static Pos writeLtx(Database database, CheckedPages pages, WritableByteChannel out)
      throws IOException {
    DatabaseState state = pages.state();
    LtxEncoder encoder =
        new LtxEncoder(
            out,
            new LtxHeader(
                database.compresses(),
                state.pageSize(),
                state.pageCount(),
                new Txid(1),
                state.pos().txid(),
                System.currentTimeMillis(),
                Pos.ZERO.checksum(),
                0,
                0,
                0,
                0,
                database.nodeId()));
    long lockPage = new PageSize(state.pageSize()).lockPage();
    for (long pgno = 1; pgno <= state.pageCount(); pgno++) {
      if (pgno != lockPage) {
        pages.add(encoder.page(pgno, pages.read(pgno)));
      }
    }
    Optional<String> problem = pages.problem();
    if (problem.isPresent()) {
      throw new WithheldException(problem.get());
    }
    encoder.finish(state.pos().checksum());
    return state.pos();
  }

  /**
   * @param damaged whether pages are wanted that are not what the position says
   * @throws WithheldException as {@link #ltx}
   */
  static Export export(Database database, Soundness soundness, boolean damaged) throws IOException {
    Path file = temporary(database);
    try {
      Pos pos;
      try (BufferedChannel out = new BufferedChannel(create(file));
          CheckedPages pages = new CheckedPages(database, soundness)) {
        pos = pages.state().pos();
        long lockPage = new PageSize(pages.state().pageSize()).lockPage();
        for (long pgno = 1; pgno <= pages.state().pageCount(); pgno++) {
          ByteBuffer page = pages.read(pgno);
          if (pgno != lockPage) {
            pages.add(PageChecksum.of(pgno, page));
          }
          out.write(page);
        }
        Optional<String> problem = pages.problem();
        if (problem.isPresent() && !damaged) {
          throw new WithheldException(problem.get());
        }
      }
      return new FileExport(LogFile.openAndUnlink(file, pos));
    } catch (IOException | RuntimeException e) {
      Files.deleteIfExists(file);
      throw e;
    }
  }

  private static Path temporary(Database database) throws IOException {
    return Files.createTempFile(database.files().dir(), "snapshot-", ".tmp");
  }

  private static FileChannel create(Path file) throws IOException {
    return FileChannel.open(
        file,
        StandardOpenOption.CREATE,
        StandardOpenOption.TRUNCATE_EXISTING,
        StandardOpenOption.WRITE);
  }

  private record FileExport(LogFile file) implements Export {
    @Override
    public long size() {
      return file.size();
    }

    @Override
    public Pos pos() {
      return file.pos();
    }

    @Override
    public InputStream stream() {
      return Channels.newInputStream(file.channel());
    }

    @Override
    public void close() throws IOException {
      file.close();
    }
  }

  /** All pages of a database, which must be what its position says. */
  private static final class CheckedPages implements Closeable {
    private final Database database;
    private final Soundness soundness;
    private final CommittedPages pages;
    private long sum;

    CheckedPages(Database database, Soundness soundness) throws IOException {
      this.database = database;
      this.soundness = soundness;
      this.pages = CommittedPages.pin(database);
    }

    DatabaseState state() {
      return pages.state();
    }

    /** Valid until the next call. */
    ByteBuffer read(long pgno) throws WithheldException {
      try {
        return pages.read(pgno);
      } catch (ErrnoException e) {
        throw new WithheldException(
            soundness.damaged(
                database, "page %d cannot be read: %s".formatted(pgno, e.getMessage())),
            e);
      }
    }

    void add(long pageChecksum) {
      sum ^= pageChecksum;
    }

    /** Once all pages were added: why they are not what the position says; empty if they are. */
    Optional<String> problem() {
      Checksum actual = new Checksum(sum | Checksum.FLAG);
      Pos pos = pages.state().pos();
      if (actual.equals(pos.checksum())) {
        soundness.sound(database.name());
        return Optional.empty();
      }
      return Optional.of(
          database.differsFromLog()
              ? database.name() + ": a transaction that failed is being taken back; try again"
              : soundness.damaged(
                  database,
                  "its pages have checksum %s, not that of position %s: the disk has lost or changed some"
                      .formatted(actual, pos)));
    }

    @Override
    public void close() {
      pages.close();
    }
  }

  /** Collects small writes. */
  private static final class BufferedChannel implements WritableByteChannel {
    private final FileChannel out;
    private final ByteBuffer buffer = ByteBuffer.allocateDirect(BUFFER_BYTES);

    BufferedChannel(FileChannel out) {
      this.out = out;
    }

    @Override
    public int write(ByteBuffer from) throws IOException {
      int count = from.remaining();
      while (from.hasRemaining()) {
        if (!buffer.hasRemaining()) {
          drain();
        }
        int limit = from.limit();
        from.limit(from.position() + Math.min(from.remaining(), buffer.remaining()));
        buffer.put(from);
        from.limit(limit);
      }
      return count;
    }

    private void drain() throws IOException {
      buffer.flip();
      while (buffer.hasRemaining()) {
        out.write(buffer);
      }
      buffer.clear();
    }

    @Override
    public boolean isOpen() {
      return out.isOpen();
    }

    @Override
    public void close() throws IOException {
      try (out) {
        drain();
      }
    }
  }
}
