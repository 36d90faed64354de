package io.litefs.store;

import io.litefs.ltx.Pos;
import io.litefs.posix.ErrnoException;
import io.litefs.posix.PosixFile;
import io.litefs.sqlite.DatabaseHeader;
import io.litefs.sqlite.SqliteFormatException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import java.util.Optional;

/**
 * Replaces or creates a database by another one, in one transaction, on the primary. Applications
 * that have it open see the new content with their next transaction.
 */
final class Importer {

  private static final Duration PATIENCE = Duration.ofSeconds(10);

  // Fields of the database header (file format document, section 1.3).
  private static final int CHANGE_COUNTER = 24;
  private static final int PAGE_COUNT = 28;
  private static final int SCHEMA_COOKIE = 40;
  private static final int VERSION_VALID_FOR = 92;

  private final Store store;

  Importer(Store store) {
    this.store = store;
  }

  /**
   * @throws StoreException if the stream holds no complete database, or applications do not let go
   *     of the present one
   */
  void run(String name, InputStream in) throws IOException {
    if (store.find(name) == null) {
      try {
        DatabaseNames.require(name, other -> store.find(other) != null);
      } catch (StoreException e) {
        throw new NotADatabaseException("cannot import: " + e.getMessage());
      }
    }
    boolean isNew = store.find(name) == null;
    Pos end = isNew ? store.quarantine().end(name) : Pos.ZERO;
    Database database = store.findOrReplace(name);
    Path temporary = Files.createTempFile(database.files().dir(), "import-", ".tmp");
    try {
      Files.copy(in, temporary, StandardCopyOption.REPLACE_EXISTING);
      try (PosixFile source = PosixFile.open(temporary, PosixFile.O_RDWR, 0)) {
        DatabaseHeader header = requireComplete(name, source);
        replace(database, temporary, source, header, end);
      }
    } finally {
      Files.deleteIfExists(temporary);
      if (isNew && !database.state().exists()) {
        store.dropped(database);
      }
    }
  }

  private static DatabaseHeader requireComplete(String name, PosixFile source) throws IOException {
    ByteBuffer beginning = ByteBuffer.allocateDirect(DatabaseHeader.SIZE);
    source.preadMost(beginning, 0);
    beginning.flip();
    Optional<String> reason = DatabaseHeader.incompleteReason(beginning, source.size());
    if (reason.isPresent()) {
      throw new NotADatabaseException(
          "cannot import " + name + ": it is no SQLite database: " + reason.get());
    }
    try {
      return DatabaseHeader.parse(beginning);
    } catch (SqliteFormatException e) {
      throw new NotADatabaseException("cannot import " + name + ": " + e.getMessage());
    }
  }

  private void replace(
      Database database, Path temporary, PosixFile source, DatabaseHeader header, Pos end)
      throws IOException {
    DatabaseLocks locks =
        new DatabaseLocks(
            store.keepers(),
            store.mountPoint().resolve(database.name()),
            nanos -> store.observer().waitedForLocks(nanos));
    boolean wal = database.isWal();
    boolean existed = database.file(FileKind.DATABASE) != null;
    try {
      if (existed && !locks.acquireExclusive(wal, PATIENCE)) {
        String holder = locks.blocker(wal).map(Object::toString).orElse("another process");
        throw new StoreException(
            "cannot import "
                + database.name()
                + ": "
                + holder
                + " has been using it for 10 s; try again");
      }
      write(database, temporary, source, header, end);
      if (existed) {
        tellKernel(database, wal);
      } else {
        store.kernelCache().invalidateEntry(database.name());
      }
    } finally {
      locks.close();
    }
  }

  /**
   * @param end where the database's history ended that this one replaces and that is not here
   */
  private void write(
      Database database, Path temporary, PosixFile source, DatabaseHeader header, Pos end)
      throws IOException {
    int pageSize = header.pageSize();
    long pageCount = header.pageCount(source.size());
    database.stable.writeLock().lock();
    database.lock.lock();
    try {
      store.requireWritable(database.name());
      if (database.isMidTransaction()) {
        throw new StoreException(
            "cannot import " + database.name() + ": a transaction is writing to it; try again");
      }
      if (database.state().exists()) {
        makeDistinct(source, header, pageCount, currentHeader(database));
      }
      ByteBuffer page = ByteBuffer.allocateDirect(pageSize);
      DatabaseState before = database.state();
      TransactionRecorder.Recorded recorded =
          database
              .recorder()
              .record(
                  before.equals(DatabaseState.NONE) ? new DatabaseState(end, 0, 0) : before,
                  pageSize,
                  pageCount,
                  PageTable.range(pageCount),
                  pgno -> {
                    page.clear();
                    source.preadFully(page, (pgno - 1) * pageSize);
                    return page.flip();
                  },
                  TransactionRecorder.WalRange.NONE);
      if (recorded == null) {
        return;
      }
      // The log gets only what differs from the content before: the rest must be on disk.
      source.fsync();
      database
          .access()
          .irrevocably(
              () -> {
                recorded.appendDurably();
                database.files().replaceDatabase(temporary);
                database.wal().empty();
                database.accept(recorded, header.isWal());
              });
    } finally {
      database.lock.unlock();
      database.stable.writeLock().unlock();
    }
  }

  private static DatabaseHeader currentHeader(Database database) throws IOException {
    ByteBuffer beginning = ByteBuffer.allocateDirect(DatabaseHeader.SIZE);
    database.file(FileKind.DATABASE).file().preadMost(beginning, 0);
    try {
      return DatabaseHeader.parse(beginning.flip());
    } catch (SqliteFormatException e) {
      throw new StoreException(database.name() + ": " + e.getMessage(), e);
    }
  }

  /**
   * Open connections keep their page cache if the change counter is the one they know, and their
   * schema if the cookie is. So the new database gets others, as SQLite's own backup does.
   */
  private static void makeDistinct(
      PosixFile source, DatabaseHeader header, long pageCount, DatabaseHeader current)
      throws ErrnoException {
    long counter = Math.max(header.changeCounter(), current.changeCounter()) + 1;
    put(source, CHANGE_COUNTER, counter);
    put(source, PAGE_COUNT, pageCount);
    put(source, VERSION_VALID_FOR, counter);
    if (header.schemaCookie() == current.schemaCookie()) {
      put(source, SCHEMA_COOKIE, header.schemaCookie() + 1);
    }
  }

  private static void put(PosixFile file, int offset, long value) throws ErrnoException {
    file.pwrite(ByteBuffer.allocateDirect(Integer.BYTES).putInt((int) value).flip(), offset);
  }

  /**
   * Applications' mappings and the kernel's cache get the new content while the locks are still
   * held.
   */
  private void tellKernel(Database database, boolean wal) throws ErrnoException {
    store.kernelCache().invalidate(database.name(), 0, 0);
    if (wal) {
      store.kernelCache().invalidate(database.name() + "-wal", 0, 0);
      new WalIndexPublisher(database).publishEmptyWal(database.pageSize(), database.pageCount());
    }
  }
}
