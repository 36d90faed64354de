package io.litefs.store;

import static org.assertj.core.api.Assertions.assertThat;

import io.litefs.fuse.Keepers;
import io.litefs.ltx.Txid;
import io.litefs.posix.ErrnoException;
import io.litefs.sqlite.SqliteShell;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Where transactions without a journal end, when several connections come and go. */
@Timeout(60)
class UnjournaledCaptureTest {

  private static final String DB = "a.db";
  private static final int PAGE_SIZE = 4096;

  @TempDir Path dir;

  /**
   * While the close waits for the lock, nobody's writes are there; when it has it, they are, and
   * what there is of them is no database yet.
   */
  @Test
  void aCloseTakesNothingFromATransactionThatAnotherConnectionHasJustBegun() throws Exception {
    Path mount = Files.createDirectory(dir.resolve("mount"));
    Path source = dir.resolve("source.db");
    StoreFixture.execute(source, "CREATE TABLE t(x)");
    try (Keepers keepers = Keepers.start();
        StoreFixture fixture = new StoreFixture(dir.resolve("data"), keepers, mount)) {
      fixture.importFile(DB, source);
      Path mounted = Files.createLink(mount.resolve(DB), fixture.file(DB, "database"));
      Database database = fixture.store.find(DB);
      long pages = database.pageCount();
      BackingFile file = database.acquire(FileKind.DATABASE, false);
      CompletableFuture<Void> close;
      try (SqliteShell writer = SqliteShell.open(mounted)) {
        writer.run("PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE;");
        database.stable.writeLock().lock();
        try {
          close = CompletableFuture.runAsync(() -> closed(database, file));
          while (!database.stable.hasQueuedThreads()) {
            Thread.onSpinWait();
          }
          ByteBuffer size = ByteBuffer.allocateDirect(4).putInt(0, (int) pages + 1);
          database.writeDatabase(file, size, 28); // in the header, which comes first
        } finally {
          database.stable.writeLock().unlock();
        }
        close.join();
        database.writeDatabase(file, ByteBuffer.allocateDirect(PAGE_SIZE), pages * PAGE_SIZE);
        writer.run("COMMIT;");
      }
      assertThat(database.awaitTxid(new Txid(2), Duration.ofSeconds(30))).isTrue();
      assertThat(database.pageCount()).isEqualTo(pages + 1);
      file.release();
    }
  }

  private static void closed(Database database, BackingFile file) {
    try {
      database.closedAfterWriting(file, true);
    } catch (ErrnoException e) {
      throw new AssertionError(e);
    }
  }
}
