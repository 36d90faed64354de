package io.litefs.fuse;

/**
 * A byte-range lock as a process asks for it, with fcntl(2), of a file system that keeps locks
 * itself.
 *
 * @param first first byte
 * @param last last byte, not before {@code first}; {@link Long#MAX_VALUE} for the end of the file,
 *     wherever that is
 * @param write whether it is exclusive, else shared
 * @param owner the kernel's number for who owns it: a process, or an open file description
 * @param pid the asking process in the daemon's pid namespace; 0 if it is in another one
 */
public record RangeLock(long first, long last, boolean write, long owner, int pid) {

  /** Whether it has this byte. */
  public boolean covers(long at) {
    return first <= at && at <= last;
  }

  /** Whether the two cannot be held at a time. */
  public boolean conflictsWith(RangeLock other) {
    return owner != other.owner
        && (write || other.write)
        && first <= other.last
        && other.first <= last;
  }

  /** The same lock on other bytes. */
  public RangeLock on(long newFirst, long newLast) {
    return new RangeLock(newFirst, newLast, write, owner, pid);
  }
}
