package io.litefs.store;

import io.litefs.sqlite.JournalRollback;
import io.litefs.sqlite.WritableFile;
import java.io.IOException;
import java.nio.ByteBuffer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Rolls back, at start, what an application had written to a database when it or the machine died.
 */
final class HotJournal {

  private static final Logger log = LoggerFactory.getLogger(HotJournal.class);

  private HotJournal() {}

  /**
   * A transaction whose journal is there is not in the log, or is played from it again.
   *
   * @return whether there was something to roll back; the database is not synced yet
   */
  static boolean rollBack(BackingFile journal, BackingFile database) throws IOException {
    JournalRollback.Result result = JournalRollback.rollback(adapt(journal), adapt(database));
    if (!result.hot()) {
      log.debug("{}: no rollback: {}", journal.path(), result.reason());
    }
    return result.hot();
  }

  private static WritableFile adapt(BackingFile file) {
    return new WritableFile() {
      @Override
      public int read(ByteBuffer into, long offset) throws IOException {
        return file.file().preadMost(into, offset);
      }

      @Override
      public long size() throws IOException {
        return file.size();
      }

      @Override
      public void write(ByteBuffer from, long offset) throws IOException {
        file.file().pwrite(from, offset);
      }

      @Override
      public void truncate(long size) throws IOException {
        file.file().truncate(size);
      }
    };
  }
}
