package io.litefs.fuse;

/** The two kinds of a byte-range lock, as in fcntl(2). */
public enum LockType {
  /** Shared: needs a handle that can read. */
  READ,
  /** Exclusive: needs a handle that can write. */
  WRITE
}
