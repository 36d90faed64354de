package io.litefs.fuse;

/**
 * Who asks, and how.
 *
 * @param flags open(2) flags (O_RDONLY, O_RDWR, O_TRUNC, ...); 0 where the request has none
 * @param pid the asking thread group's id in the daemon's pid namespace; 0 if it is in another one
 * @param uid the asking user
 */
public record OpenRequest(int flags, int pid, int uid) {

  private static final int O_ACCMODE = 3;
  private static final int O_EXCL = 0200;
  private static final int O_TRUNC = 01000;

  public boolean writable() {
    return (flags & O_ACCMODE) != 0;
  }

  public boolean exclusive() {
    return (flags & O_EXCL) != 0;
  }

  public boolean truncates() {
    return (flags & O_TRUNC) != 0;
  }
}
