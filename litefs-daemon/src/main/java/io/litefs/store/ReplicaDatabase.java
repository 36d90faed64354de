package io.litefs.store;

import io.litefs.ltx.LtxHeader;
import io.litefs.ltx.Pos;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Receives the transactions of one database: each is verified and in the log before it is applied.
 *
 * <p>Applying waits for applications that hold the database. The stream's thread waits {@link
 * #PATIENCE}, then a thread of the database's own takes over and the stream goes on for the others:
 * received transactions wait in the log, on disk, not in memory.
 */
final class ReplicaDatabase {

  private static final Logger logger = LoggerFactory.getLogger(ReplicaDatabase.class);
  private static final Duration PATIENCE = Duration.ofMillis(100);
  private static final Duration REPORT_INTERVAL = Duration.ofSeconds(5);

  private final Database database;
  private final Applier applier;
  private final ByteBuffer buffer = ByteBuffer.allocateDirect(Database.MAX_PAGE_SIZE);
  private final PageTable checksums = new PageTable();

  /** Position of the end of the log. */
  private volatile Pos received;

  /** The thread that applies while the stream goes on; null if there is none. Guarded by this. */
  private Thread catchingUp;

  private boolean closed;

  ReplicaDatabase(Store store, Database database) throws IOException {
    this.database = database;
    this.applier = new Applier(store, database);
    this.received = database.log().end();
  }

  /** What the next transaction must follow. */
  Pos received() {
    return received;
  }

  /** Receives one LTX file and applies it, if applications allow. The stream's thread. */
  void receive(InputStream in) throws IOException {
    Path temporary = database.log().temporaryFile();
    ReceivedTransaction transaction;
    boolean verified;
    try {
      transaction = ReceivedTransaction.receive(in, temporary, buffer, checksums);
      requireFollows(transaction.header());
      verified = isNext(transaction);
      if (verified) {
        applier.verify(transaction);
      }
    } catch (IOException | RuntimeException e) {
      Files.deleteIfExists(temporary);
      throw e;
    }
    database.log().adopt(temporary, transaction.header());
    received = transaction.pos();
    ReceivedTransaction adopted = transaction.at(database.log().lastFile());
    if (!verified || !applier.apply(adopted, PATIENCE)) {
      startCatchingUp();
    }
  }

  private void requireFollows(LtxHeader header) throws StoreException {
    Pos end = received;
    if (!header.isSnapshot()
        && !(header.minTxid().equals(end.txid().next())
            && header.preApply().equals(end.checksum()))) {
      throw new StoreException(
          "%s: received transaction %s on checksum %s, but this node is at %s"
              .formatted(database.name(), header.minTxid(), header.preApply(), end));
    }
  }

  /** Whether the transaction is the very next to apply, and the stream's thread is who applies. */
  private synchronized boolean isNext(ReceivedTransaction transaction) {
    return catchingUp == null
        && (transaction.header().isSnapshot()
            || transaction.header().preApply().equals(database.pos().checksum())
                && transaction.header().minTxid().equals(database.pos().txid().next()));
  }

  private synchronized void startCatchingUp() {
    if (catchingUp == null && !closed) {
      catchingUp = new Thread(this::catchUp, "litefs-apply-" + database.name());
      catchingUp.setDaemon(true);
      catchingUp.start();
    }
  }

  private void catchUp() {
    long waitingSince = System.nanoTime();
    long reported = waitingSince;
    ByteBuffer pages = ByteBuffer.allocateDirect(Database.MAX_PAGE_SIZE);
    PageTable pageChecksums = new PageTable();
    try {
      while (!isDone()) {
        Path file = nextFile();
        ReceivedTransaction transaction = ReceivedTransaction.read(file, pages, pageChecksums);
        applier.verify(transaction);
        boolean applied = applier.apply(transaction, REPORT_INTERVAL);
        long now = System.nanoTime();
        if (applied) {
          waitingSince = now;
        } else if (now - reported >= REPORT_INTERVAL.toNanos()) {
          reported = now;
          logger.warn(
              "{}: transaction {} has been waiting for {} s: {} holds the database",
              database.name(),
              transaction.header().minTxid(),
              Duration.ofNanos(now - waitingSince).toSeconds(),
              applier.blocker());
        }
      }
    } catch (IOException | RuntimeException e) {
      logger.error(
          "{}: cannot apply the log: {}; it asks for a snapshot", database.name(), e.getMessage());
      received = Pos.ZERO;
      synchronized (this) {
        catchingUp = null;
      }
    }
  }

  private synchronized boolean isDone() {
    if (closed || database.pos().equals(received)) {
      catchingUp = null;
      return true;
    }
    return false;
  }

  private Path nextFile() throws StoreException {
    Path file = database.log().fileFrom(database.pos().txid().value() + 1);
    if (file == null) {
      file = database.log().fileFrom(1); // a snapshot, which replaced what was before it
    }
    if (file == null) {
      throw new StoreException(
          "transaction " + database.pos().txid().next() + " is not in the log");
    }
    return file;
  }

  /** Gives the locks back. The stream has ended. */
  void close() {
    Thread thread;
    synchronized (this) {
      closed = true;
      thread = catchingUp;
    }
    if (thread != null) {
      thread.interrupt();
      try {
        thread.join();
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
    }
    applier.close();
  }
}
