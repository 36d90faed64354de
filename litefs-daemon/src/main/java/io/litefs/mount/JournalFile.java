package io.litefs.mount;

import io.litefs.fuse.OpenFile;
import io.litefs.fuse.OpenRequest;
import io.litefs.posix.ErrnoException;
import io.litefs.store.BackingFile;
import io.litefs.store.Database;
import io.litefs.store.FileKind;
import java.nio.ByteBuffer;

/** {@code <db>-journal}: the rollback journal. Its end is a commit. */
final class JournalFile extends CompanionFile {

  JournalFile(Database database) {
    super(database, FileKind.JOURNAL);
  }

  @Override
  OpenFile create(OpenRequest request) throws ErrnoException {
    database.journal().requireMayBegin();
    return super.create(request);
  }

  @Override
  OpenFile handle(BackingFile file) {
    return new Handle(file) {

      /** Whole unaligned writes reach the daemon as they are; only a rollback ever reads it. */
      @Override
      public CachePolicy cachePolicy() {
        return CachePolicy.DIRECT;
      }

      @Override
      public void write(ByteBuffer from, long offset) throws ErrnoException {
        database.journal().write(file, from, offset);
      }

      @Override
      public void fsync(boolean dataOnly) throws ErrnoException {
        database.journal().sync(file);
      }
    };
  }

  @Override
  void truncate(BackingFile file, long size) throws ErrnoException {
    database.journal().truncate(file, size);
  }
}
