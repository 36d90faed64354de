package io.litefs.fuse;

import com.kenai.jffi.MemoryIO;
import io.litefs.posix.Errno;

/**
 * Makes the kernel look every name of a mount up again when it meets it next ({@code
 * FUSE_NOTIFY_INC_EPOCH}, Linux 6.16). Unlike the notification for one name this one waits for no
 * lock: a daemon that is killed in it ends. Open files stay what they are; of a file that nobody
 * has open the kernel drops its pages. Thread-safe.
 */
final class NameEpoch {

  private static final MemoryIO MEMORY = MemoryIO.getInstance();

  /** struct fuse_out_header: len, error (the notification's code), unique (0: no request). */
  private static final int HEADER_BYTES = 16;

  private static final int CODE = 4;
  private static final int INC_EPOCH = 8;

  /** struct iovec: base, length. */
  private static final int IOVEC_BYTES = 16;

  private final int device;

  /** Once the kernel has refused, it is not asked again. */
  private volatile boolean unknown;

  /**
   * @param device the descriptor of /dev/fuse
   */
  NameEpoch(int device) {
    this.device = device;
  }

  /** 0 or a negative errno; {@code -EINVAL} if the kernel is too old. */
  int increment() {
    if (unknown) {
      return -Errno.EINVAL;
    }
    long memory = MEMORY.allocateMemory(IOVEC_BYTES + HEADER_BYTES, true);
    try {
      long header = memory + IOVEC_BYTES;
      MEMORY.putInt(header, HEADER_BYTES);
      MEMORY.putInt(header + CODE, INC_EPOCH);
      MEMORY.putAddress(memory, header);
      MEMORY.putLong(memory + 8, HEADER_BYTES);
      if (Syscalls.CALLS.writev(device, memory, 1) >= 0) {
        return 0;
      }
      int errno = Syscalls.errno();
      unknown = errno == Errno.EINVAL;
      return -errno;
    } finally {
      MEMORY.freeMemory(memory);
    }
  }
}
