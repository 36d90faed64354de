package io.litefs.fuse;

import com.kenai.jffi.MemoryIO;

/**
 * A thread of the session loop, with the request it is working on: libfuse calls back on the thread
 * that gave it the request.
 */
final class RequestThread extends Thread {

  /** struct fuse_buf: size_t size, int flags, void *mem, int fd, off_t pos. */
  private static final int BUF_BYTES = 40;

  private static final int BUF_MEMORY = 16;
  private static final int BUF_FD = 24;
  private static final int CHANNEL_BYTES = 8;

  private static final MemoryIO MEMORY = MemoryIO.getInstance();

  private final long bufferSize;

  /**
   * In native memory, not in direct buffers: hundreds of these threads would use up the JVM's small
   * limit for those.
   */
  private final long request;

  private final long fuseBuf;
  private final long channelPointer;

  private volatile int tid;
  private volatile boolean receiving;

  /** The node that the current READ or WRITE is for, or NONE. Written last and read first. */
  private volatile long transferNode;

  private long transferBegin;
  private long transferEnd;

  /**
   * The name that the current LOOKUP or CREATE is about; set by the callback before it looks for
   * the file. {@link ReplyTap} takes note of it, {@link Session#invalidateEntry} looks for it.
   */
  volatile String name;

  /** The handle that the current CREATE has made; set by the callback, for {@link ReplyTap}. */
  HandleTable.Handle created;

  RequestThread(Runnable loop, String name, long bufferSize) {
    super(loop, name);
    this.bufferSize = bufferSize;
    this.request = MEMORY.allocateMemory(bufferSize, false);
    this.fuseBuf = MEMORY.allocateMemory(BUF_BYTES, true);
    this.channelPointer = MEMORY.allocateMemory(CHANNEL_BYTES, true);
    setDaemon(true);
  }

  /** The thread that runs this code, which must be one of the session loop's. */
  static RequestThread current() {
    return (RequestThread) Thread.currentThread();
  }

  /** Whether the thread that runs this code is one of the session loop's. */
  static boolean isCurrent() {
    return Thread.currentThread() instanceof RequestThread;
  }

  /** The address of the current request's {@link RequestHeader}. */
  long request() {
    return request;
  }

  /** The address of struct fuse_buf. */
  long fuseBuf() {
    return fuseBuf;
  }

  /** The address of a pointer to the channel, which receiving reads and writes. */
  long channelPointer() {
    return channelPointer;
  }

  void begin() {
    tid = Syscalls.CALLS.gettid();
  }

  void beforeReceive(long channel) {
    MEMORY.putLong(fuseBuf, bufferSize);
    MEMORY.putInt(fuseBuf + 8, 0);
    MEMORY.putLong(fuseBuf + BUF_MEMORY, request);
    MEMORY.putInt(fuseBuf + BUF_FD, -1);
    MEMORY.putLong(channelPointer, channel);
    name = null;
    created = null;
    receiving = true;
  }

  void afterReceive(int bytes) {
    receiving = false;
    MEMORY.putLong(fuseBuf, bytes);
  }

  /**
   * The current request is a READ or WRITE: the kernel has its pages locked until it is answered.
   */
  void beginTransfer() {
    transferBegin = RequestHeader.transferOffset(request);
    transferEnd = transferBegin + RequestHeader.transferBytes(request);
    transferNode = RequestHeader.node(request);
  }

  void endTransfer() {
    transferNode = NodeTable.NONE;
  }

  /** Whether a READ or WRITE of these bytes of {@code node} is under way here. */
  boolean isTransferring(long node, long begin, long end) {
    return transferNode == node && transferBegin < end && begin < transferEnd;
  }

  /** Makes a wait for the next request return. */
  void interruptReceive(Keepers keepers) {
    if (receiving && tid != 0) {
      keepers.interrupt(tid);
    }
  }

  /** Only when the thread has ended its loop. */
  void free() {
    MEMORY.freeMemory(request);
    MEMORY.freeMemory(fuseBuf);
    MEMORY.freeMemory(channelPointer);
  }
}
