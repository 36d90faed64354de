package io.litefs.fuse;

/** Request kinds of the FUSE kernel protocol, 7.19 (include/uapi/linux/fuse.h). */
final class Opcode {

  static final int LOOKUP = 1;
  static final int FORGET = 2;
  static final int GETATTR = 3;
  static final int SETATTR = 4;
  static final int UNLINK = 10;
  static final int RENAME = 12;
  static final int OPEN = 14;
  static final int READ = 15;
  static final int WRITE = 16;
  static final int STATFS = 17;
  static final int RELEASE = 18;
  static final int FSYNC = 20;
  static final int FLUSH = 25;
  static final int GETLK = 31;
  static final int SETLK = 32;
  static final int SETLKW = 33;
  static final int CREATE = 35;
  static final int INTERRUPT = 36;
  static final int BATCH_FORGET = 42;

  private Opcode() {}

  static String name(int opcode) {
    return switch (opcode) {
      case LOOKUP -> "LOOKUP";
      case FORGET -> "FORGET";
      case GETATTR -> "GETATTR";
      case SETATTR -> "SETATTR";
      case 5 -> "READLINK";
      case 6 -> "SYMLINK";
      case 8 -> "MKNOD";
      case 9 -> "MKDIR";
      case UNLINK -> "UNLINK";
      case 11 -> "RMDIR";
      case RENAME -> "RENAME";
      case 13 -> "LINK";
      case OPEN -> "OPEN";
      case READ -> "READ";
      case WRITE -> "WRITE";
      case STATFS -> "STATFS";
      case RELEASE -> "RELEASE";
      case FSYNC -> "FSYNC";
      case 21 -> "SETXATTR";
      case 22 -> "GETXATTR";
      case 23 -> "LISTXATTR";
      case 24 -> "REMOVEXATTR";
      case FLUSH -> "FLUSH";
      case 26 -> "INIT";
      case 27 -> "OPENDIR";
      case 28 -> "READDIR";
      case 29 -> "RELEASEDIR";
      case 30 -> "FSYNCDIR";
      case GETLK -> "GETLK";
      case SETLK -> "SETLK";
      case SETLKW -> "SETLKW";
      case 34 -> "ACCESS";
      case CREATE -> "CREATE";
      case INTERRUPT -> "INTERRUPT";
      case 37 -> "BMAP";
      case 38 -> "DESTROY";
      case 39 -> "IOCTL";
      case 40 -> "POLL";
      case 41 -> "NOTIFY_REPLY";
      case BATCH_FORGET -> "BATCH_FORGET";
      case 43 -> "FALLOCATE";
      case 46 -> "LSEEK";
      case 47 -> "COPY_FILE_RANGE";
      case 52 -> "STATX";
      default -> "OPCODE_" + opcode;
    };
  }
}
