package io.litefs.fuse;

import com.kenai.jffi.MemoryIO;
import java.nio.charset.StandardCharsets;
import jnr.ffi.Pointer;

/**
 * Makes libfuse forget the node of a file that the daemon removed behind the kernel's back. libfuse
 * keeps a name's node until it sees an unlink or the kernel forgets it; a new file of the same name
 * would become the same inode in the kernel, with the pages of the old one. So libfuse is given an
 * unlink that the kernel never sent; its answer goes to {@link ReplyTap}, which drops it.
 */
final class NodeForgetter {

  private static final MemoryIO MEMORY = MemoryIO.getInstance();

  /** struct fuse_buf, see {@link RequestThread}. */
  private static final int BUF_BYTES = 40;

  private NodeForgetter() {}

  /**
   * Forgets {@code name} if its file does not exist. No LOOKUP, CREATE, RENAME or FORGET may be
   * under way: one that has seen the file, or makes a new one, would end up with a node that
   * libfuse does not find by name any more.
   */
  static void forget(LibFuse2.Calls fuse, Pointer session, long tap, String name) {
    byte[] bytes = name.getBytes(StandardCharsets.UTF_8);
    int length = RequestHeader.SIZE + bytes.length + 1;
    long memory = MEMORY.allocateMemory(BUF_BYTES + length, true);
    try {
      long request = memory + BUF_BYTES;
      RequestHeader.write(request, length, Opcode.UNLINK, NodeTable.ROOT);
      MEMORY.putByteArray(request + RequestHeader.SIZE, bytes, 0, bytes.length);
      MEMORY.putLong(memory, length);
      MEMORY.putLong(memory + 16, request);
      MEMORY.putInt(memory + 24, -1);
      fuse.fuse_session_process_buf(session, memory, tap);
    } finally {
      MEMORY.freeMemory(memory);
    }
  }
}
