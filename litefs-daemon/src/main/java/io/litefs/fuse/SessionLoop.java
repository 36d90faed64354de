package io.litefs.fuse;

import io.litefs.posix.Errno;
import java.time.Duration;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The threads that take requests from the kernel and have libfuse answer them through {@link
 * Operations}.
 *
 * <p>There is always one that waits for the next request: when the last one gets busy it starts
 * another first. So requests that block, however many, never keep others waiting; with a fixed
 * number of threads a few slow fsyncs stop the whole mount. Threads beyond {@link #IDLE} end when
 * they are done.
 *
 * <p>Java threads, not libfuse's own loop: the JVM would attach and detach each of its threads in
 * every callback (25 to 47 us instead of 12).
 */
final class SessionLoop {

  private static final Logger log = LoggerFactory.getLogger(SessionLoop.class);

  /** Idle threads that stay. */
  private static final int IDLE = 8;

  private final Session session;
  private final Set<RequestThread> threads;
  private final AtomicInteger idle = new AtomicInteger();
  private final AtomicInteger threadNumbers = new AtomicInteger();

  /** The session is over; no new threads. */
  private volatile boolean ended;

  private final Runnable onEnd;

  /**
   * @param onEnd runs when the last thread has ended
   */
  SessionLoop(Session session, Runnable onEnd) {
    this.session = session;
    this.threads = session.threads();
    this.onEnd = onEnd;
  }

  void start() {
    startThread();
    startThread();
  }

  /** Threads now. */
  int size() {
    return threads.size();
  }

  /** Threads that are working on a request. */
  int busy() {
    return Math.max(0, threads.size() - idle.get());
  }

  /**
   * Ends the loop: threads that wait for a request are woken, the others end with the request they
   * have.
   *
   * @return whether all have ended in time
   */
  boolean end(Keepers keepers, Duration timeout) {
    ended = true;
    long deadline = System.nanoTime() + timeout.toNanos();
    for (RequestThread thread : threads) {
      while (thread.isAlive() && System.nanoTime() < deadline) {
        // Again and again: the signal may come just before the thread enters the kernel.
        thread.interruptReceive(keepers);
        joinFor(thread, 5);
      }
    }
    return threads.isEmpty();
  }

  private void startThread() {
    idle.incrementAndGet();
    RequestThread thread =
        new RequestThread(
            this::loop, "litefs-fuse-" + threadNumbers.incrementAndGet(), session.bufferSize());
    threads.add(thread);
    try {
      thread.start();
    } catch (OutOfMemoryError e) {
      // The limit on threads. Requests wait until one of those that there are is free.
      log.error("cannot start another thread for requests ({} so far)", threads.size() - 1, e);
      idle.decrementAndGet();
      threads.remove(thread);
      thread.free();
    }
  }

  private void loop() {
    RequestThread thread = RequestThread.current();
    thread.begin();
    try {
      do {
        int bytes = session.receive(thread);
        if (bytes == 0) {
          return;
        }
        if (bytes > 0) {
          if (idle.decrementAndGet() == 0 && !ended) {
            startThread();
          }
          process(thread);
          if (idle.incrementAndGet() > IDLE) {
            return;
          }
        } else if (bytes != -Errno.EINTR && bytes != -Errno.EAGAIN) {
          log.error("cannot read requests from /dev/fuse: {}", Errno.name(-bytes));
          return;
        }
      } while (!ended);
    } finally {
      idle.decrementAndGet();
      threads.remove(thread);
      thread.free();
      if (threads.isEmpty()) {
        onEnd.run();
      }
    }
  }

  private void process(RequestThread thread) {
    try {
      session.process(thread);
    } catch (RuntimeException | Error e) {
      // The callbacks let nothing out, so this is memory that has run out around them. Whoever
      // asked gets no answer, but the others
      // still need this thread.
      log.error("a request was not answered", e);
    }
  }

  private static void joinFor(Thread thread, long millis) {
    boolean interrupted = Thread.interrupted();
    try {
      TimeUnit.MILLISECONDS.timedJoin(thread, millis);
    } catch (InterruptedException e) {
      // An unmount is finished in any case; whoever interrupts learns of it afterwards.
      interrupted = true;
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
