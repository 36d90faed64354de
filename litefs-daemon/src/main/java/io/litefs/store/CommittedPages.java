package io.litefs.store;

import io.litefs.posix.ErrnoException;
import java.io.Closeable;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.concurrent.TimeUnit;

/**
 * The pages of a database as of one position, held still: as long as it is open, nobody overwrites
 * the database file or the beginning of the WAL. New frames may be appended meanwhile. Used and
 * closed by the thread that made it.
 */
final class CommittedPages implements Closeable {

  private static final long PATIENCE_NANOS = TimeUnit.SECONDS.toNanos(30);

  private final Database database;
  private final DatabaseState state;
  private final BackingFile file;
  private final BackingFile wal;

  /** Offset of the newest committed version of each page that is in the WAL. */
  private final PageTable frames;

  private final ByteBuffer page;

  private CommittedPages(
      Database database, DatabaseState state, BackingFile file, BackingFile wal, PageTable frames) {
    this.database = database;
    this.state = state;
    this.file = file;
    this.wal = wal;
    this.frames = frames;
    this.page = ByteBuffer.allocateDirect(Math.max(1, state.pageSize()));
  }

  /**
   * Waits for the end of a rollback-journal transaction that is writing to the database file, if
   * there is one.
   *
   * @throws StoreException if it does not end within 30 s
   */
  static CommittedPages pin(Database database) throws IOException {
    long deadline = System.nanoTime() + PATIENCE_NANOS;
    while (true) {
      CommittedPages pages = tryPin(database, deadline);
      if (pages != null) {
        return pages;
      }
    }
  }

  private static CommittedPages tryPin(Database database, long deadline) throws IOException {
    boolean pinned = false;
    database.stable.readLock().lock();
    database.lock.lock();
    try {
      if (!database.isMidTransaction()) {
        DatabaseState state = database.state();
        BackingFile wal = database.file(FileKind.WAL);
        PageTable frames = new PageTable();
        if (wal != null) {
          database.wal().mapCommitted(wal, frames);
        }
        CommittedPages pages =
            new CommittedPages(
                database, state, retain(database.file(FileKind.DATABASE)), retain(wal), frames);
        pinned = true;
        return pages;
      }
    } finally {
      database.lock.unlock();
      if (!pinned) {
        database.stable.readLock().unlock();
      }
    }
    awaitEnd(database, deadline);
    return null;
  }

  private static void awaitEnd(Database database, long deadline) throws IOException {
    database.lock.lock();
    try {
      while (database.isMidTransaction()) {
        if (!database.awaitChange(deadline - System.nanoTime())) {
          throw new StoreException(
              database.name()
                  + ": a transaction has been writing to the database for 30 s; end it and try"
                  + " again");
        }
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new StoreException(
          database.name() + ": interrupted while waiting for a transaction", e);
    } finally {
      database.lock.unlock();
    }
  }

  private static BackingFile retain(BackingFile file) {
    return file == null ? null : file.retain();
  }

  DatabaseState state() {
    return state;
  }

  /** A page's content; zeros where the file is too short. Valid until the next call. */
  ByteBuffer read(long pgno) throws ErrnoException {
    page.clear();
    long frame = frames.get(pgno);
    if (frame != 0) {
      wal.file().preadMost(page, frame + WalCapture.FRAME_HEADER_BYTES);
    } else {
      file.file().preadMost(page, (pgno - 1) * state.pageSize());
    }
    while (page.hasRemaining()) {
      page.put((byte) 0);
    }
    return page.flip();
  }

  @Override
  public void close() {
    if (file != null) {
      file.release();
    }
    if (wal != null) {
      wal.release();
    }
    database.stable.readLock().unlock();
  }
}
