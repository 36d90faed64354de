package io.litefs.fuse;

import java.util.concurrent.locks.LockSupport;

/**
 * One system call on its way to a {@link Keeper} and back. The calling thread waits for it with
 * nothing but park and unpark: anything richer (a CompletableFuture, an executor) could make the
 * keeper start a thread, which would inherit the keeper's descriptor table.
 */
abstract class KeeperCall {

  private final Thread caller = Thread.currentThread();

  private volatile boolean done;
  private volatile boolean cancelled;

  /** Guarded by this. */
  private Keeper keeper;

  /** What {@link #execute} returned; read only when done. */
  private long result;

  /**
   * Runs on a keeper thread.
   *
   * @return a result of at least 0, or the negative errno
   */
  abstract long execute(Keeper keeper);

  /** Whether whoever waits has given up: a call that returns with EINTR is then not repeated. */
  final boolean cancelled() {
    return cancelled;
  }

  /**
   * Makes the call on {@code executor}'s thread; {@link #finish} is to follow with what it
   * returned.
   */
  final long perform(Keeper executor) {
    synchronized (this) {
      keeper = executor;
    }
    return execute(executor);
  }

  /** Hands the result to the caller; from now on no signal for this call can reach the keeper. */
  final void finish(long outcome) {
    synchronized (this) {
      result = outcome;
      keeper = null;
      done = true;
    }
    LockSupport.unpark(caller);
  }

  /** Waits until the call is done, however long that takes; an interrupt stays pending. */
  final long await() {
    boolean interrupted = false;
    while (!done) {
      LockSupport.park(this);
      interrupted |= Thread.interrupted();
    }
    if (interrupted) {
      caller.interrupt();
    }
    return result;
  }

  /**
   * Waits until the call is done, {@code nanos} have passed, or this thread is interrupted.
   *
   * @return whether it is done
   */
  final boolean await(long nanos) {
    long deadline = System.nanoTime() + nanos;
    while (!done) {
      long left = deadline - System.nanoTime();
      if (left <= 0 || caller.isInterrupted()) {
        return done;
      }
      LockSupport.parkNanos(this, left);
    }
    return true;
  }

  /** The result of a call that is done. */
  final long result() {
    if (!done) {
      throw new IllegalStateException("still under way");
    }
    return result;
  }

  /**
   * Ends the call if it waits in the kernel. The signal may come just before the keeper enters the
   * kernel and be lost, hence it is sent until the call returns. Any thread may do this; returns
   * when the call is done, with whatever result it had.
   */
  final void cancel() {
    cancelled = true;
    LockSupport.unpark(caller);
    long pauseNanos = 20_000;
    boolean interrupted = false;
    while (!done) {
      synchronized (this) {
        // The keeper cannot leave this call while the monitor is held, so the signal is for this
        // call.
        if (!done && keeper != null) {
          keeper.interruptSystemCall();
        }
      }
      LockSupport.parkNanos(this, pauseNanos);
      interrupted |= Thread.interrupted();
      pauseNanos = Math.min(2 * pauseNanos, 10_000_000);
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
