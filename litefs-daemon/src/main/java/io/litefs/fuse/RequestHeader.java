package io.litefs.fuse;

import com.kenai.jffi.MemoryIO;

/**
 * Offsets in the requests that the kernel sends (include/uapi/linux/fuse.h), for what libfuse's
 * high-level interface hides: node ids above all.
 *
 * <pre>
 *   0      4        8        16       24    28    32    36    40
 *   | len  | opcode | unique | nodeid | uid | gid | pid | pad | body ...
 * </pre>
 */
final class RequestHeader {

  static final int SIZE = 40;

  private static final int OPCODE = 4;
  private static final int UNIQUE = 8;
  private static final int NODE = 16;
  private static final int UID = 24;
  private static final int PID = 32;

  /** struct fuse_forget_in */
  private static final int FORGET_LOOKUPS = SIZE;

  /** struct fuse_batch_forget_in, followed by pairs of node and lookups. */
  private static final int BATCH_COUNT = SIZE;

  private static final int BATCH_FIRST = SIZE + 8;
  private static final int BATCH_STRIDE = 16;

  /** struct fuse_getattr_in */
  private static final int GETATTR_FLAGS = SIZE;

  private static final int GETATTR_HANDLE = SIZE + 8;
  private static final int GETATTR_FH = 1;

  /** struct fuse_read_in and fuse_write_in begin alike. */
  private static final int TRANSFER_OFFSET = SIZE + 8;

  private static final int TRANSFER_BYTES = SIZE + 16;

  private static final MemoryIO MEMORY = MemoryIO.getInstance();

  private RequestHeader() {}

  /** A header without a sender. */
  static void write(long request, int length, int opcode, long node) {
    MEMORY.setMemory(request, SIZE, (byte) 0);
    MEMORY.putInt(request, length);
    MEMORY.putInt(request + OPCODE, opcode);
    MEMORY.putLong(request + NODE, node);
  }

  static int opcode(long request) {
    return MEMORY.getInt(request + OPCODE);
  }

  /** The request's number; an answer names it. */
  static long unique(long request) {
    return MEMORY.getLong(request + UNIQUE);
  }

  /** The node the request is for; for LOOKUP, CREATE, UNLINK and RENAME the directory. */
  static long node(long request) {
    return MEMORY.getLong(request + NODE);
  }

  static int uid(long request) {
    return MEMORY.getInt(request + UID);
  }

  /** The asking thread's id (not its process's); 0 if it is not in the mount's pid namespace. */
  static int threadId(long request) {
    return MEMORY.getInt(request + PID);
  }

  /** Where a READ or WRITE begins. */
  static long transferOffset(long request) {
    return MEMORY.getLong(request + TRANSFER_OFFSET);
  }

  /** How long a READ or WRITE is. */
  static int transferBytes(long request) {
    return MEMORY.getInt(request + TRANSFER_BYTES);
  }

  static void forget(long request, NodeTable nodes) {
    nodes.forget(node(request), MEMORY.getLong(request + FORGET_LOOKUPS));
  }

  static void batchForget(long request, NodeTable nodes) {
    int count = MEMORY.getInt(request + BATCH_COUNT);
    for (int i = 0; i < count; i++) {
      long entry = request + BATCH_FIRST + (long) i * BATCH_STRIDE;
      nodes.forget(MEMORY.getLong(entry), MEMORY.getLong(entry + 8));
    }
  }

  /** Whether a GETATTR names a node only, no handle. */
  static boolean getattrByNode(long request) {
    return (MEMORY.getInt(request + GETATTR_FLAGS) & GETATTR_FH) == 0;
  }

  /** Turns a GETATTR by node into one by handle. */
  static void setGetattrHandle(long request, long handle) {
    MEMORY.putInt(request + GETATTR_FLAGS, MEMORY.getInt(request + GETATTR_FLAGS) | GETATTR_FH);
    MEMORY.putLong(request + GETATTR_HANDLE, handle);
  }
}
