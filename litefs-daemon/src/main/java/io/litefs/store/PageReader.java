package io.litefs.store;

import io.litefs.posix.Errno;
import io.litefs.posix.ErrnoException;
import io.litefs.sqlite.DatabaseHeader;
import io.litefs.sqlite.SqliteFormatException;
import java.nio.ByteBuffer;

/**
 * Reads pages and header of a database file into buffers of its own: what it returns is valid until
 * the next call. Guarded by the database's lock.
 */
final class PageReader {

  private final String name;

  /** As large as the largest page that was read. */
  private ByteBuffer page = ByteBuffer.allocateDirect(0);

  private final ByteBuffer beginning = ByteBuffer.allocateDirect(DatabaseHeader.SIZE);

  /**
   * @param name the database's
   */
  PageReader(String name) {
    this.name = name;
  }

  /** A page; what lies beyond the file's end is zero. */
  ByteBuffer page(BackingFile file, long pgno, int pageSize) throws ErrnoException {
    if (page.capacity() < pageSize) {
      page = ByteBuffer.allocateDirect(pageSize);
    }
    ByteBuffer into = page.clear().limit(pageSize);
    file.file().preadMost(into, (pgno - 1) * pageSize);
    while (into.hasRemaining()) {
      into.put((byte) 0);
    }
    return into.flip();
  }

  /** The first 100 bytes, or fewer. */
  ByteBuffer beginning(BackingFile file) throws ErrnoException {
    ByteBuffer into = beginning.clear();
    file.file().preadMost(into, 0);
    return into.flip();
  }

  /**
   * @throws ErrnoException EIO if it is no database
   */
  DatabaseHeader header(BackingFile file) throws ErrnoException {
    try {
      return DatabaseHeader.parse(beginning(file));
    } catch (SqliteFormatException e) {
      throw new ErrnoException(Errno.EIO, name + " is no database: " + e.getMessage());
    }
  }
}
