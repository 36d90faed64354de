package io.litefs.fuse;

import java.util.Optional;
import java.util.concurrent.CompletableFuture;

/**
 * An open handle of a {@link FileSystem} that {@linkplain FileSystem#keepsLocks keeps locks}.
 *
 * <p>Locks of processes end when their owner closes any descriptor of the file ({@link #closedBy});
 * those of open file descriptions when the handle goes ({@link #release}). Requests do not tell one
 * from the other, and need not: when a handle goes, no process that has locked through it has it
 * open.
 */
public interface LockingFile extends OpenFile {

  /** A lock that keeps {@code wanted} from being taken (F_GETLK). */
  Optional<RangeLock> conflict(RangeLock wanted);

  /**
   * Takes a lock, in place of what its owner has on these bytes.
   *
   * @param wait whether to wait for others (F_SETLKW), else EAGAIN is the answer
   * @return the answer: 0 or an errno. Whoever asked may complete it first, with EINTR: then the
   *     lock is not taken
   */
  CompletableFuture<Integer> lock(RangeLock wanted, boolean wait);

  /**
   * Gives up what an owner has on these bytes, of whatever type.
   *
   * @return 0, when all that follows from it is done. Completing it ends the waiting, not the
   *     unlocking
   */
  CompletableFuture<Integer> unlock(RangeLock range);

  /** {@code owner} has closed a descriptor of this file: it has no lock of its own any more. */
  void closedBy(long owner);
}
