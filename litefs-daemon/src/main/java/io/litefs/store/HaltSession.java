package io.litefs.store;

import io.litefs.ltx.Pos;
import io.litefs.posix.Errno;
import io.litefs.posix.ErrnoException;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Consumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The time for which a replica has a database's halt lock and may write to it.
 *
 * <p>A commit is sent to the primary first and becomes part of the log here only when it is certain
 * that the primary has it: by its answer, or because the transaction comes back on the stream,
 * which may be sooner. So this node never has a transaction that the primary lacks. If the answer
 * is lost the transaction is sent again, which the primary recognises. If it is still not known
 * when the lock is over, the application is told of an error, as with any commit whose answer got
 * lost; should the primary have the transaction after all, it comes on the stream like any other.
 *
 * <p>Whatever goes wrong ends the session: afterwards nothing can be committed here any more, and
 * what had been written but not committed is undone ({@link ReplicaDatabase#settle}).
 *
 * <p>Thread-safe. {@link #end} and {@link #isOurs} never wait for the network.
 */
public final class HaltSession {

  private static final Logger logger = LoggerFactory.getLogger(HaltSession.class);

  /** How long the primary keeps a lock that is not renewed. */
  static final Duration TTL = Duration.ofSeconds(30);

  private static final long RETRY_MILLIS = 200;

  private final String database;
  private final long id;
  private final long nodeId;
  private final WriteForwarder forwarder;
  private final Consumer<HaltSession> onEnd;
  private final CompletableFuture<Void> ended = new CompletableFuture<>();

  /** Nanotime at which the primary may have given the lock to somebody else. */
  private volatile long deadline;

  // Guarded by this.
  private boolean active = true;
  private String reason = "";
  private InFlight inFlight;

  /** What the primary has taken last; the database is there now, or in a moment. */
  private Pos taken = Pos.ZERO;

  /** A transaction whose fate is not known yet; completes when the stream brings it. */
  private record InFlight(Pos pos, CompletableFuture<Optional<String>> decided) {}

  /**
   * @param deadline nanotime until which the primary keeps the lock
   * @param onEnd called once, when the session ends; must not block
   */
  HaltSession(
      String database,
      long id,
      long nodeId,
      WriteForwarder forwarder,
      long deadline,
      Consumer<HaltSession> onEnd) {
    this.database = database;
    this.id = id;
    this.nodeId = nodeId;
    this.forwarder = forwarder;
    this.deadline = deadline;
    this.onEnd = onEnd;
  }

  public String database() {
    return database;
  }

  public long id() {
    return id;
  }

  /** Whether applications may begin transactions. */
  public synchronized boolean isActive() {
    return active;
  }

  /** Why it has ended; empty if it has not, or was given back. */
  public synchronized String reason() {
    return reason;
  }

  /** Completes when it has ended. */
  public CompletableFuture<Void> ended() {
    return ended.copy();
  }

  /** Asks the primary for another while. Blocks; ends the session if the primary refuses. */
  void renew() {
    long sent = System.nanoTime();
    if (sent - deadline > 0) {
      end("the primary could not be reached to renew it");
      return;
    }
    try {
      forwarder.halt(database, id);
      deadline = sent + TTL.toNanos();
    } catch (HaltRefusedException e) {
      end(e.getMessage());
    } catch (IOException e) {
      logger.warn("{}: cannot renew the halt lock: {}", database, e.getMessage());
    }
  }

  /**
   * @throws ErrnoException EROFS if the session is over
   */
  synchronized void requireActive() throws ErrnoException {
    if (!active) {
      throw new ErrnoException(Errno.EROFS, database + ": the halt lock is over: " + reason);
    }
  }

  /**
   * Returns once the primary has the transaction.
   *
   * @throws ErrnoException EIO if it has not, or if that could not be found out; the session is
   *     over then
   */
  void forward(Path file, Pos after) throws ErrnoException {
    InFlight flight = new InFlight(after, new CompletableFuture<>());
    synchronized (this) {
      requireActive();
      inFlight = flight;
    }
    Optional<String> refused = Optional.of("it could not be sent");
    try {
      refused = outcome(file, flight);
    } finally {
      synchronized (this) {
        inFlight = null;
        // At once: it may come back before the database is there.
        taken = refused.isPresent() ? taken : after;
      }
    }
    if (refused.isPresent()) {
      end(refused.get());
      throw new ErrnoException(
          Errno.EIO,
          "%s: transaction %s was not committed on the primary: %s"
              .formatted(database, after.txid(), refused.get()));
    }
  }

  /** Sends until the outcome is certain: empty, or why the transaction must not be committed. */
  private Optional<String> outcome(Path file, InFlight flight) {
    boolean reported = false;
    while (true) {
      CompletableFuture<Optional<String>> sent = forwarder.send(database, id, file);
      try {
        CompletableFuture.anyOf(sent, flight.decided()).get(left(), TimeUnit.NANOSECONDS);
        return flight.decided().isDone() ? flight.decided().join() : sent.join();
      } catch (TimeoutException e) {
        return givenUp(flight);
      } catch (ExecutionException e) {
        if (!reported) {
          reported = true;
          logger.warn(
              "{}: no answer to transaction {}: {}; it is sent again",
              database,
              flight.pos().txid(),
              e.getCause().getMessage());
        }
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        return givenUp(flight);
      } finally {
        sent.cancel(true);
      }
      try {
        return flight
            .decided()
            .get(
                Math.min(left(), TimeUnit.MILLISECONDS.toNanos(RETRY_MILLIS)),
                TimeUnit.NANOSECONDS);
      } catch (TimeoutException e) {
        if (left() == 0) {
          return givenUp(flight);
        }
      } catch (ExecutionException e) {
        throw new IllegalStateException(e); // nobody completes it so
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        return givenUp(flight);
      }
    }
  }

  private long left() {
    return Math.max(0, deadline - System.nanoTime());
  }

  /** From now on the stream must not count it as ours: it is applied if it comes. */
  private synchronized Optional<String> givenUp(InFlight flight) {
    flight
        .decided()
        .complete(Optional.of("the primary did not answer; it may have the transaction, or not"));
    return flight.decided().join();
  }

  /**
   * Whether a transaction that came on the stream is one that was made here and is here already, or
   * is about to be: then it is to be skipped.
   *
   * @param position where the database is now
   */
  boolean isOurs(long node, Pos pos, Pos position) {
    if (node != nodeId) {
      return false;
    }
    synchronized (this) {
      if (inFlight != null && inFlight.pos().equals(pos)) {
        inFlight.decided().complete(Optional.empty());
        return inFlight.decided().join().isEmpty();
      }
      if (taken.equals(pos)) {
        return true;
      }
    }
    return pos.equals(position) || pos.txid().compareTo(position.txid()) < 0;
  }

  /** What the primary has taken last could not be written here: it must come on the stream. */
  void revoked() {
    synchronized (this) {
      taken = Pos.ZERO;
    }
    end("the primary has a transaction that could not be written here");
  }

  /** Nothing can be committed here any more once this returns. Idempotent. */
  void end(String why) {
    synchronized (this) {
      if (!active) {
        return;
      }
      active = false;
      reason = why;
      if (inFlight != null) {
        inFlight.decided().complete(Optional.of(why));
      }
    }
    if (!why.isEmpty()) {
      logger.warn("{}: the halt lock is lost: {}", database, why);
    }
    onEnd.accept(this);
    ended.complete(null);
  }
}
