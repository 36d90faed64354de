package io.litefs.fuse;

import com.kenai.jffi.MemoryIO;
import io.litefs.posix.Errno;
import io.litefs.posix.ErrnoException;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Answers the lock requests of a file system that keeps locks, and their interruptions, without
 * libfuse: that keeps a table of its own, which misses the locks of open file descriptions that end
 * by a close, needs a thread for each request that waits, and a signal to interrupt it.
 *
 * <p>Source: include/uapi/linux/fuse.h (fuse_lk_in, fuse_lk_out, fuse_flush_in, fuse_interrupt_in).
 *
 * <pre>
 *   LK:         header | fh 8 | owner 8 | start 8 | end 8 | type 4 | pid 4 | flags 4 | pad 4
 *   FLUSH:      header | fh 8 | unused 4 | pad 4 | owner 8
 *   INTERRUPT:  header | unique 8
 *   an answer:  len 4 | error 4 | unique 8, then for GETLK: start 8 | end 8 | type 4 | pid 4
 * </pre>
 */
final class LockRequests {

  private static final Logger log = LoggerFactory.getLogger(LockRequests.class);
  private static final MemoryIO MEMORY = MemoryIO.getInstance();

  private static final int BODY = RequestHeader.SIZE;
  private static final int LK_OWNER = BODY + 8;
  private static final int LK_START = BODY + 16;
  private static final int LK_END = BODY + 24;
  private static final int LK_TYPE = BODY + 32;
  private static final int LK_PID = BODY + 36;
  private static final int FLUSH_OWNER = BODY + 16;

  private static final int ANSWER_BYTES = 16;
  private static final int LK_OUT_BYTES = 24;
  private static final int IOVEC_BYTES = 16;

  /** As fcntl(2) has them on all our architectures. */
  private static final int F_RDLCK = 0;

  private static final int F_WRLCK = 1;
  private static final int F_UNLCK = 2;

  private final int device;
  private final HandleTable handles;

  /** What is not answered yet, by the request's number. */
  private final Map<Long, CompletableFuture<Integer>> pending = new ConcurrentHashMap<>();

  /** The device may be somebody else's file by now. Guarded by this. */
  private boolean closed;

  /**
   * @param device the descriptor of /dev/fuse
   */
  LockRequests(int device, HandleTable handles) {
    this.device = device;
    this.handles = handles;
  }

  /** Whether {@link #process} answers requests of this kind. */
  static boolean answers(int opcode) {
    return switch (opcode) {
      case Opcode.GETLK, Opcode.SETLK, Opcode.SETLKW, Opcode.INTERRUPT -> true;
      default -> false;
    };
  }

  /** Answers a request, now or later. */
  void process(long request) {
    int opcode = RequestHeader.opcode(request);
    long unique = RequestHeader.unique(request);
    try {
      switch (opcode) {
        case Opcode.INTERRUPT -> interrupt(unique, MEMORY.getLong(request + BODY));
        case Opcode.GETLK -> reply(unique, file(request).conflict(wanted(request)));
        default -> whenDone(unique, set(request, opcode == Opcode.SETLKW));
      }
    } catch (ErrnoException e) {
      reply(unique, e.errno());
    } catch (RuntimeException e) {
      log.error("a lock request failed: the application gets EIO", e);
      reply(unique, Errno.EIO);
    }
  }

  /** A descriptor was closed; libfuse answers the request. */
  void flush(long request) {
    try {
      file(request).closedBy(MEMORY.getLong(request + FLUSH_OWNER));
    } catch (ErrnoException | RuntimeException e) {
      log.error("locks of a closed descriptor were not given up", e);
    }
  }

  /**
   * No request comes any more, and nothing is answered from now on. Whoever has a file open is not
   * asked to close it: their locks end here. Idempotent.
   */
  void close() {
    synchronized (this) {
      closed = true;
    }
    pending.values().forEach(answer -> answer.complete(Errno.EINTR));
    handles.removeAll().forEach(handle -> handle.file.release());
  }

  private CompletableFuture<Integer> set(long request, boolean wait) throws ErrnoException {
    RangeLock wanted = wanted(request);
    return switch (MEMORY.getInt(request + LK_TYPE)) {
      case F_RDLCK, F_WRLCK -> file(request).lock(wanted, wait);
      case F_UNLCK -> file(request).unlock(wanted);
      default -> throw new ErrnoException(Errno.EINVAL, "unknown type of lock");
    };
  }

  private LockingFile file(long request) throws ErrnoException {
    if (handles.get(MEMORY.getLong(request + BODY)).file instanceof LockingFile file) {
      return file;
    }
    throw new ErrnoException(Errno.ENOLCK, "this file has no locks");
  }

  private static RangeLock wanted(long request) throws ErrnoException {
    long first = MEMORY.getLong(request + LK_START);
    long last = MEMORY.getLong(request + LK_END);
    if (first < 0 || last < first) {
      throw new ErrnoException(Errno.EINVAL, "no such bytes");
    }
    return new RangeLock(
        first,
        last,
        MEMORY.getInt(request + LK_TYPE) == F_WRLCK,
        MEMORY.getLong(request + LK_OWNER),
        MEMORY.getInt(request + LK_PID));
  }

  private void whenDone(long unique, CompletableFuture<Integer> answer) {
    pending.put(unique, answer);
    answer.whenComplete(
        (errno, failure) -> {
          pending.remove(unique);
          if (failure != null) {
            log.error("a lock request failed: the application gets EIO", failure);
          }
          reply(unique, failure == null ? errno : Errno.EIO);
        });
  }

  /**
   * The kernel has sent {@code target} before, but another thread may not have come to it: EAGAIN
   * makes the kernel interrupt again, for as long as the request is not answered.
   */
  private void interrupt(long unique, long target) {
    CompletableFuture<Integer> answer = pending.get(target);
    if (answer == null) {
      reply(unique, Errno.EAGAIN);
    } else {
      answer.complete(Errno.EINTR);
    }
  }

  private void reply(long unique, int errno) {
    long memory = MEMORY.allocateMemory(IOVEC_BYTES + ANSWER_BYTES, true);
    try {
      send(memory, unique, errno, ANSWER_BYTES);
    } finally {
      MEMORY.freeMemory(memory);
    }
  }

  private void reply(long unique, Optional<RangeLock> conflict) {
    long memory = MEMORY.allocateMemory(IOVEC_BYTES + ANSWER_BYTES + LK_OUT_BYTES, true);
    try {
      long lock = memory + IOVEC_BYTES + ANSWER_BYTES;
      MEMORY.putLong(lock, conflict.map(RangeLock::first).orElse(0L));
      MEMORY.putLong(lock + 8, conflict.map(RangeLock::last).orElse(0L));
      MEMORY.putInt(lock + 16, conflict.map(c -> c.write() ? F_WRLCK : F_RDLCK).orElse(F_UNLCK));
      MEMORY.putInt(lock + 20, conflict.map(RangeLock::pid).orElse(0));
      send(memory, unique, 0, ANSWER_BYTES + LK_OUT_BYTES);
    } finally {
      MEMORY.freeMemory(memory);
    }
  }

  /** ENOENT: nobody waits for this answer any more; whatever else: the connection has ended. */
  private synchronized void send(long iovec, long unique, int errno, int bytes) {
    long answer = iovec + IOVEC_BYTES;
    MEMORY.putAddress(iovec, answer);
    MEMORY.putLong(iovec + 8, bytes);
    MEMORY.putInt(answer, bytes);
    MEMORY.putInt(answer + 4, -errno);
    MEMORY.putLong(answer + 8, unique);
    if (!closed && Syscalls.CALLS.writev(device, iovec, 1) < 0) {
      log.debug("an answer to a lock request was not taken: {}", Errno.name(Syscalls.errno()));
    }
  }
}
