package io.litefs.it.soak;

/**
 * One system call that changed a file, or made it durable.
 *
 * @param beganMicros when it was entered, in microseconds since the epoch
 * @param endedMicros when it returned
 * @param path the file as it is called at that time; for {@link Kind#RENAME} the old name
 * @param target the new name of {@link Kind#RENAME}; null otherwise
 * @param offset of {@link Kind#WRITE}; the new size for {@link Kind#TRUNCATE}; the smallest size
 *     afterwards for {@link Kind#ALLOCATE}
 * @param bytes of {@link Kind#WRITE}; empty otherwise
 */
record FileOperation(
    long beganMicros,
    long endedMicros,
    Kind kind,
    String path,
    String target,
    long offset,
    byte[] bytes) {

  enum Kind {
    /** open(2) with O_CREAT; it may have been there already. */
    CREATE,
    WRITE,
    TRUNCATE,
    ALLOCATE,
    FSYNC,
    FDATASYNC,
    SYNCFS,
    RENAME,
    UNLINK,
    MKDIR
  }

  @Override
  public String toString() {
    String detail =
        switch (kind) {
          case WRITE -> " at " + offset + ", " + bytes.length + " bytes";
          case TRUNCATE, ALLOCATE -> " to " + offset;
          case RENAME -> " to " + target;
          default -> "";
        };
    return kind.name().toLowerCase(java.util.Locale.ROOT) + ' ' + path + detail;
  }
}
