package io.litefs.fuse;

import com.kenai.jffi.MemoryIO;
import io.litefs.posix.Errno;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.locks.Lock;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import jnr.ffi.Pointer;
import jnr.ffi.Struct;

/**
 * A libfuse session on {@code /dev/fuse}: receives and answers requests, and sends notifications.
 */
final class Session {

  private static final MemoryIO MEMORY = MemoryIO.getInstance();

  /** struct fuse_bufvec with one buffer: count, idx, off, then size, flags, mem, fd, pos. */
  private static final int BUFVEC_BYTES = 64;

  private static final int BUFVEC_COUNT = 0;
  private static final int BUFVEC_SIZE = 24;
  private static final int BUFVEC_MEMORY = 40;
  private static final int BUFVEC_FD = 48;

  /** Most requests take a few microseconds. */
  private static final int TRANSFER_SPINS = 200;

  private static final long TRANSFER_PAUSE_NANOS = 20_000;

  /** In place of the offset to {@link #invalidateNode}. */
  static final long ATTRIBUTES_ONLY = -1;

  private final LibFuse2.Calls fuse;
  private final Operations operations;
  private final Pointer handle;
  private final Pointer session;
  private final Pointer channel;
  private final ReplyTap tap;
  private final NodeTable nodes;
  private final HandleTable handles;
  private final RequestCounters counters;

  /** Null if the kernel keeps the locks. */
  private final LockRequests locks;

  private final Set<RequestThread> threads = ConcurrentHashMap.newKeySet();

  /** Read by requests that tie or untie names and nodes, written while libfuse must forget one. */
  private final ReentrantReadWriteLock namespace = new ReentrantReadWriteLock();

  private final NameEpoch epoch;

  private Session(
      LibFuse2.Calls fuse,
      Pointer handle,
      Operations operations,
      NodeTable nodes,
      HandleTable handles,
      RequestCounters counters) {
    this.fuse = fuse;
    this.handle = handle;
    this.operations = operations;
    this.nodes = nodes;
    this.handles = handles;
    this.counters = counters;
    session = fuse.fuse_get_session(handle);
    channel = fuse.fuse_session_next_chan(session, null);
    int device = fuse.fuse_chan_fd(channel);
    // A program that inherited it would keep the connection alive when this process is killed.
    Syscalls.CALLS.fcntl(device, Syscalls.F_SETFD, Syscalls.FD_CLOEXEC);
    tap = new ReplyTap(fuse, nodes, device, bufferSize());
    epoch = new NameEpoch(device);
    locks = operations.keepLocks() ? new LockRequests(device, handles) : null;
  }

  /**
   * Mounts. The mount answers when a {@link SessionLoop} runs.
   *
   * @return null if libfuse could not mount; it has written why to the standard error
   */
  static Session open(
      LibFuse2.Calls fuse,
      String[] arguments,
      Operations operations,
      NodeTable nodes,
      HandleTable handles,
      RequestCounters counters) {
    // libfuse remembers one session for the whole process, whose signals it handles. Ours are
    // handled elsewhere, and there may be more sessions than one.
    synchronized (Session.class) {
      Pointer handle =
          fuse.fuse_setup(
              arguments.length,
              arguments,
              operations.table(),
              Struct.size(operations.table()),
              new Pointer[1],
              new int[1],
              null);
      if (handle == null) {
        return null;
      }
      fuse.fuse_remove_signal_handlers(fuse.fuse_get_session(handle));
      return new Session(fuse, handle, operations, nodes, handles, counters);
    }
  }

  /** Bytes that a request can have at most. */
  long bufferSize() {
    return fuse.fuse_chan_bufsize(channel);
  }

  /**
   * Waits for a request.
   *
   * @return its length; 0 if the session is over; a negative errno
   */
  int receive(RequestThread thread) {
    thread.beforeReceive(channel.address());
    int bytes = fuse.fuse_session_receive_buf(session, thread.fuseBuf(), thread.channelPointer());
    thread.afterReceive(bytes);
    return bytes;
  }

  /** Has the request answered that {@code thread} has received. */
  void process(RequestThread thread) {
    long request = thread.request();
    int opcode = RequestHeader.opcode(request);
    counters.count(opcode);
    if (locks != null && LockRequests.answers(opcode)) {
      locks.process(request);
      return;
    }
    switch (opcode) {
      case Opcode.FLUSH -> {
        if (locks != null) {
          locks.flush(request);
        }
        process(thread, channel.address());
      }
      case Opcode.LOOKUP, Opcode.CREATE -> processNaming(thread, tap.address());
      case Opcode.RENAME -> processNaming(thread, channel.address());
      case Opcode.FORGET, Opcode.BATCH_FORGET -> processForgetting(thread, opcode);
      case Opcode.READ, Opcode.WRITE -> {
        thread.beginTransfer();
        try {
          process(thread, channel.address());
        } finally {
          thread.endTransfer();
        }
      }
      case Opcode.GETATTR -> {
        findHandle(request);
        process(thread, channel.address());
      }
      default -> process(thread, channel.address());
    }
  }

  /** 0 or a negative errno. */
  int store(long node, long offset, long address, long length) {
    awaitTransfers(node, offset, offset + length);
    long bufvec = MEMORY.allocateMemory(BUFVEC_BYTES, true);
    try {
      MEMORY.putLong(bufvec + BUFVEC_COUNT, 1);
      MEMORY.putLong(bufvec + BUFVEC_SIZE, length);
      MEMORY.putAddress(bufvec + BUFVEC_MEMORY, address);
      MEMORY.putInt(bufvec + BUFVEC_FD, -1);
      return fuse.fuse_lowlevel_notify_store(channel, node, offset, bufvec, 0);
    } finally {
      MEMORY.freeMemory(bufvec);
    }
  }

  /**
   * 0 or a negative errno; {@link #ATTRIBUTES_ONLY} or the offset of the first page, length 0 for
   * all pages from there on.
   */
  int invalidateNode(long node, long offset, long length) {
    if (offset >= 0) {
      awaitTransfers(node, offset, length == 0 ? Long.MAX_VALUE : offset + length);
    }
    return fuse.fuse_lowlevel_notify_inval_inode(channel, node, offset, length);
  }

  /**
   * 0 or a negative errno. Waits for requests on names that are under way, if the kernel knows this
   * one or is being told of it.
   */
  int invalidateEntry(String name, long nameBytes) {
    // In this order: what has been answered in between is known by its node.
    if (isBeingAnswered(name) || nodes.id(name) != NodeTable.NONE) {
      forgetVanished(name);
    }
    int result = epoch.increment();
    if (result == -Errno.EINVAL) {
      return fuse.fuse_lowlevel_notify_inval_entry(channel, NodeTable.ROOT, name, nameBytes);
    }
    // What the older notification does too: the directory has changed.
    return result != 0 ? result : invalidateNode(NodeTable.ROOT, ATTRIBUTES_ONLY, 0);
  }

  /** The threads that {@link SessionLoop} runs; it adds and removes them. */
  Set<RequestThread> threads() {
    return threads;
  }

  NodeTable nodes() {
    return nodes;
  }

  HandleTable handles() {
    return handles;
  }

  /** From now on receiving returns 0, once it returns. */
  void exit() {
    fuse.fuse_session_exit(session);
  }

  /** No request comes any more. Idempotent. */
  void ended() {
    if (locks != null) {
      locks.close();
    }
  }

  /**
   * Frees everything and closes /dev/fuse, which ends the connection if the mount is still in use.
   * No thread may be inside this session. Does not unmount: by now another filesystem may be
   * mounted in our place.
   */
  void destroy() {
    ended();
    tap.destroy();
    fuse.fuse_destroy(handle);
  }

  /**
   * Waits until no READ or WRITE of these bytes is under way. The kernel would wait for that too,
   * but in a way that not even SIGKILL ends: killed then, this process would never answer the
   * request, never get past the wait, and so never end. What is left is the moment between the
   * kernel's locking a page and our receiving the request.
   */
  private void awaitTransfers(long node, long begin, long end) {
    for (RequestThread thread : threads) {
      for (int spins = 0;
          thread != Thread.currentThread() && thread.isTransferring(node, begin, end);
          spins++) {
        if (spins < TRANSFER_SPINS) {
          Thread.onSpinWait();
        } else {
          LockSupport.parkNanos(TRANSFER_PAUSE_NANOS);
        }
      }
    }
  }

  private void processNaming(RequestThread thread, long replyChannel) {
    Lock lock = namespace.readLock();
    lock.lock();
    try {
      process(thread, replyChannel);
    } finally {
      lock.unlock();
    }
  }

  private void processForgetting(RequestThread thread, int opcode) {
    Lock lock = namespace.readLock();
    lock.lock();
    try {
      if (opcode == Opcode.FORGET) {
        RequestHeader.forget(thread.request(), nodes);
      } else {
        RequestHeader.batchForget(thread.request(), nodes);
      }
      process(thread, channel.address());
    } finally {
      lock.unlock();
    }
  }

  /** Whether another thread may be about to tell the kernel of a file that has or had this name. */
  private boolean isBeingAnswered(String name) {
    for (RequestThread thread : threads) {
      if (thread != Thread.currentThread() && name.equals(thread.name)) {
        return true;
      }
    }
    return false;
  }

  private void forgetVanished(String name) {
    Lock lock = namespace.writeLock();
    lock.lock();
    try {
      // Perhaps the kernel has forgotten it meanwhile, and libfuse with it.
      if (nodes.id(name) != NodeTable.NONE) {
        NodeForgetter.forget(fuse, session, tap.address(), name);
      }
    } finally {
      lock.unlock();
    }
  }

  private void process(RequestThread thread, long replyChannel) {
    fuse.fuse_session_process_buf(session, thread.fuseBuf(), replyChannel);
  }

  /**
   * fstat(2) of an open file comes as a GETATTR of the node, without the handle. If the name is
   * gone, libfuse has no path to ask us by and would answer ENOENT; with a handle it asks by that.
   */
  private void findHandle(long request) {
    if (RequestHeader.getattrByNode(request) && nodes.isUnlinked(RequestHeader.node(request))) {
      long open = handles.anyOf(RequestHeader.node(request));
      if (open != 0) {
        RequestHeader.setGetattrHandle(request, open);
      }
    }
  }
}
