package io.litefs.mount;

import io.litefs.fuse.OpenFile;
import io.litefs.posix.ErrnoException;
import io.litefs.store.BackingFile;
import io.litefs.store.Database;
import io.litefs.store.FileKind;
import java.nio.ByteBuffer;

/**
 * {@code <db>-wal}: the write-ahead log. The write that completes a commit frame is a commit.
 *
 * <p>Cached by the kernel, so that reading what was written lately costs no request.
 */
final class WalFile extends CompanionFile {

  WalFile(Database database) {
    super(database, FileKind.WAL);
  }

  @Override
  OpenFile handle(BackingFile file) {
    return new Handle(file) {
      /** Where this connection's last write ended. */
      private volatile long writtenTo;

      @Override
      public void write(ByteBuffer from, long offset) throws ErrnoException {
        long end = offset + from.remaining();
        database.wal().write(file, from, offset);
        writtenTo = end;
      }

      @Override
      public void flush(int pid) {
        if (writtenTo != 0) {
          database.wal().closedAfterWriting(file);
        }
      }

      @Override
      public void fsync(boolean dataOnly) throws ErrnoException {
        database.wal().sync(file, writtenTo);
      }
    };
  }

  @Override
  void truncate(BackingFile file, long size) throws ErrnoException {
    database.wal().truncate(file, size);
  }
}
