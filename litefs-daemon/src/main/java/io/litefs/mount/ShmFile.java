package io.litefs.mount;

import io.litefs.fuse.OpenFile;
import io.litefs.posix.ErrnoException;
import io.litefs.store.BackingFile;
import io.litefs.store.Database;
import io.litefs.store.FileKind;
import java.nio.ByteBuffer;

/**
 * {@code <db>-shm}: the index of the WAL, which applications map. Needs no durability: SQLite
 * rebuilds it.
 */
final class ShmFile extends CompanionFile {

  ShmFile(Database database) {
    super(database, FileKind.SHM);
  }

  @Override
  OpenFile handle(BackingFile file) {
    return new Handle(file) {
      @Override
      public void write(ByteBuffer from, long offset) throws ErrnoException {
        database.wal().writeIndex(file, from, offset);
      }

      @Override
      public void flush(int pid) {
        if (!DaemonThreads.contains(pid)) {
          database.wal().indexClosed(pid);
        }
      }

      @Override
      public void fsync(boolean dataOnly) {
        // See the class comment.
      }
    };
  }

  @Override
  void truncate(BackingFile file, long size) throws ErrnoException {
    database.wal().truncateIndex(file, size);
  }
}
