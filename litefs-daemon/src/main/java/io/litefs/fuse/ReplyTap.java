package io.litefs.fuse;

import com.kenai.jffi.MemoryIO;
import jnr.ffi.Pointer;
import jnr.ffi.Runtime;
import jnr.ffi.Struct;
import jnr.ffi.annotations.Delegate;
import jnr.ffi.types.size_t;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A channel that libfuse writes its replies to LOOKUP and CREATE to, in place of the real one. It
 * sees which node id a name got, which the high-level interface never tells, and passes the reply
 * on to the kernel.
 *
 * <p>It also changes one thing. A reply to LOOKUP makes the kernel create an inode with the size in
 * the reply, some time after the reply was written. If the daemon stores into the file in between,
 * the kernel does not know the node yet and the store is lost, and the size would stay wrong for an
 * hour. (Later replies are safe: the kernel drops attributes that were asked for before a store.)
 * So a size that comes with a new name is not to be remembered: the first that needs it asks again.
 * A name is looked up seldom, once an hour or when names have changed, so that costs nothing.
 * CREATE is exempt where caches are not used: a rollback journal is created in every transaction
 * and asked for its attributes at once.
 */
final class ReplyTap {

  /** struct fuse_chan_ops. */
  private static final class ChannelOperations extends Struct {
    @SuppressWarnings("unused") // part of the layout
    final Struct.Pointer receive = new Struct.Pointer();

    final Function<Send> send = function(Send.class);

    @SuppressWarnings("unused") // part of the layout
    final Struct.Pointer destroy = new Struct.Pointer();

    ChannelOperations(Runtime runtime) {
      super(runtime);
    }
  }

  /** Public inside a package-private class: jnr-ffi calls it from a class loader of its own. */
  public interface Send {
    @Delegate
    int send(Pointer channel, Pointer vectors, @size_t long count);
  }

  private static final Logger log = LoggerFactory.getLogger(ReplyTap.class);
  private static final MemoryIO MEMORY = MemoryIO.getInstance();

  /** struct iovec: base, length. */
  private static final int IOVEC_BYTES = 16;

  /** struct fuse_out_header: len, error, unique. */
  private static final int OUT_ERROR = 4;

  /** struct fuse_entry_out, with which the replies to both requests begin. */
  private static final int ENTRY_NODE = 0;

  private static final int ENTRY_ATTR_VALID_SECONDS = 24;
  private static final int ENTRY_ATTR_VALID_NANOS = 36;

  private final LibFuse2.Calls fuse;
  private final NodeTable nodes;
  private final int device;
  private final ChannelOperations operations;
  private final Pointer channel;

  /**
   * @param device the descriptor of /dev/fuse
   */
  ReplyTap(LibFuse2.Calls fuse, NodeTable nodes, int device, long bufferSize) {
    this.fuse = fuse;
    this.nodes = nodes;
    this.device = device;
    operations = new ChannelOperations(LibFuse2.runtime(fuse));
    operations.send.set(this::send);
    channel = fuse.fuse_chan_new(Struct.getMemory(operations), device, bufferSize, null);
  }

  /** The address of the channel. */
  long address() {
    return channel.address();
  }

  void destroy() {
    fuse.fuse_chan_destroy(channel);
  }

  private int send(Pointer tap, Pointer vectors, long count) {
    if (!RequestThread.isCurrent()) {
      return 0; // the answer to a request of NodeForgetter, which the kernel knows nothing of
    }
    long iov = vectors.address();
    long learnt = NodeTable.NONE;
    try {
      learnt = learn(iov, count);
    } catch (Throwable e) {
      // Whatever it was, the asking process must get its answer.
      log.error("cannot take note of a reply", e);
    }
    if (Syscalls.CALLS.writev(device, iov, count) >= 0) {
      return 0;
    }
    int errno = Syscalls.errno();
    if (learnt != NodeTable.NONE) {
      nodes.forget(learnt, 1); // ENOENT: the asking process was interrupted and took nothing
    }
    return -errno;
  }

  private long learn(long iov, long count) {
    long header = MEMORY.getAddress(iov);
    if (count < 2 || MEMORY.getInt(header + OUT_ERROR) != 0) {
      return NodeTable.NONE;
    }
    long entry = MEMORY.getAddress(iov + IOVEC_BYTES);
    long node = MEMORY.getLong(entry + ENTRY_NODE);
    RequestThread thread = RequestThread.current();
    if (node == NodeTable.NONE || thread.name == null) {
      return NodeTable.NONE; // a negative entry
    }
    // Before the reply is written, since a FORGET can follow at once.
    nodes.learn(thread.name, node);
    HandleTable.Handle created = thread.created;
    if (created != null) {
      created.node = node;
    }
    if (created == null || created.policy == OpenFile.CachePolicy.KEEP) {
      MEMORY.putLong(entry + ENTRY_ATTR_VALID_SECONDS, 0);
      MEMORY.putInt(entry + ENTRY_ATTR_VALID_NANOS, 0);
    }
    return node;
  }
}
