package io.litefs.store;

import io.litefs.ltx.LtxEncoder;
import io.litefs.ltx.LtxHeader;
import io.litefs.ltx.PageSize;
import io.litefs.ltx.Pos;
import io.litefs.ltx.Txid;
import io.litefs.replication.ChangeSource.LtxFile;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.channels.WritableByteChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/**
 * Copies of a whole database as of one position, as an LTX snapshot or as a database file. They are
 * written to a file of the data directory first, so that who receives them, however slowly, holds
 * up nobody; while that is done, transactions in WAL mode go on, checkpoints and transactions with
 * a rollback journal wait.
 */
final class Snapshots {

  private static final int BUFFER_BYTES = 256 * 1024;

  private Snapshots() {}

  static LtxFile ltx(Database database) throws IOException {
    Path file = temporary(database);
    try {
      Pos pos;
      try (BufferedChannel out = new BufferedChannel(create(file))) {
        pos = writeLtx(database, out);
      }
      return LogFile.openAndUnlink(file, pos);
    } catch (IOException | RuntimeException e) {
      Files.deleteIfExists(file);
      throw e;
    }
  }

  /** Puts the whole database in the place of its log. For recovery. */
  static void replaceLog(Database database) throws IOException {
    Path file = database.log().temporaryFile();
    try {
      try (BufferedChannel out = new BufferedChannel(create(file))) {
        writeLtx(database, out);
      }
      database.log().adopt(file, LogTail.entry(file).header());
    } catch (IOException | RuntimeException e) {
      Files.deleteIfExists(file);
      throw e;
    }
  }

  private static Pos writeLtx(Database database, WritableByteChannel out) throws IOException {
    try (CommittedPages pages = CommittedPages.pin(database)) {
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
          encoder.page(pgno, pages.read(pgno));
        }
      }
      encoder.finish(state.pos().checksum());
      return state.pos();
    }
  }

  static Export export(Database database) throws IOException {
    Path file = temporary(database);
    try {
      Pos pos;
      try (BufferedChannel out = new BufferedChannel(create(file));
          CommittedPages pages = CommittedPages.pin(database)) {
        pos = pages.state().pos();
        for (long pgno = 1; pgno <= pages.state().pageCount(); pgno++) {
          out.write(pages.read(pgno));
        }
      }
      LogFile copy = LogFile.openAndUnlink(file, pos);
      return new FileExport(copy);
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
