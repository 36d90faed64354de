package io.litefs.fuse;

import jnr.ffi.Pointer;

/**
 * Fills struct stat as the C library declares it (asm/stat.h). jnr-fuse's FileStat can do that too,
 * but makes some twenty objects for each.
 *
 * <pre>
 *             dev ino nlink mode uid gid rdev size blksize blocks atime mtime ctime   size
 *   x86_64      0   8  16:8   24  28  32   40   48    56:8     64    72    88   104    144
 *   aarch64     0   8  20:4   16  24  28   32   48    56:4     64    72    88   104    128
 * </pre>
 */
final class NativeStat {

  private static final boolean AARCH64 = System.getProperty("os.arch").equals("aarch64");

  private static final int BYTES = AARCH64 ? 128 : 144;
  private static final int MODE = AARCH64 ? 16 : 24;
  private static final int UID = AARCH64 ? 24 : 28;
  private static final int GID = AARCH64 ? 28 : 32;
  private static final int LINKS = AARCH64 ? 20 : 16;
  private static final int SIZE = 48;
  private static final int BLOCK_SIZE = 56;
  private static final int BLOCKS = 64;
  private static final int ACCESSED = 72;
  private static final int MODIFIED = 88;
  private static final int CHANGED = 104;

  private static final int S_IFDIR = 0040000;
  private static final int S_IFREG = 0100000;
  private static final int S_IFLNK = 0120000;
  private static final int SECTOR = 512;

  private final int uid = Syscalls.CALLS.geteuid();
  private final int gid = Syscalls.CALLS.getegid();
  private final long mounted = System.currentTimeMillis();

  /** The mount's root. */
  void directory(Pointer stat) {
    fill(stat, S_IFDIR | 0755, 2, 4096, mounted);
  }

  void file(Pointer stat, FileAttributes attributes) {
    fill(stat, S_IFREG, attributes);
  }

  /** A symbolic link. */
  void link(Pointer stat, FileAttributes attributes) {
    fill(stat, S_IFLNK, attributes);
  }

  private void fill(Pointer stat, int type, FileAttributes attributes) {
    fill(stat, type | attributes.mode() & 07777, 1, attributes.size(), attributes.modifiedMillis());
  }

  private void fill(Pointer stat, int mode, int links, long size, long millis) {
    stat.setMemory(0, BYTES, (byte) 0);
    stat.putInt(MODE, mode);
    stat.putInt(LINKS, links); // the upper half of x86_64's eight bytes stays 0
    stat.putInt(UID, uid);
    stat.putInt(GID, gid);
    stat.putLong(SIZE, size);
    stat.putInt(BLOCK_SIZE, 4096);
    stat.putLong(BLOCKS, (size + SECTOR - 1) / SECTOR);
    long seconds = Math.floorDiv(millis, 1000L);
    long nanos = Math.floorMod(millis, 1000L) * 1_000_000;
    for (int time : new int[] {ACCESSED, MODIFIED, CHANGED}) {
      stat.putLong(time, seconds);
      stat.putLong(time + 8, nanos);
    }
  }
}
