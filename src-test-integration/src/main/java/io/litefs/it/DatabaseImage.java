package io.litefs.it;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/**
 * A database as one plain file, for comparing. The checksum is computed here from its definition,
 * byte by byte and with no code of the daemon's.
 */
public record DatabaseImage(Path file) {

  private static final long CRC64_ISO_REFLECTED = 0xD800000000000000L;
  private static final long FLAG = 1L << 63;
  private static final long[][] TABLES = tables();

  private static long[][] tables() {
    long[][] t = new long[8][256];
    for (int i = 0; i < 256; i++) {
      long crc = i;
      for (int bit = 0; bit < 8; bit++) {
        crc = (crc & 1) != 0 ? (crc >>> 1) ^ CRC64_ISO_REFLECTED : crc >>> 1;
      }
      t[0][i] = crc;
    }
    for (int i = 0; i < 256; i++) {
      for (int k = 1; k < 8; k++) {
        t[k][i] = t[0][(int) (t[k - 1][i] & 0xff)] ^ (t[k - 1][i] >>> 8);
      }
    }
    return t;
  }

  public long size() {
    try {
      return Files.size(file);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** The page size that the header declares, in bytes. */
  public int pageSize() {
    try (FileChannel channel = FileChannel.open(file)) {
      ByteBuffer header = ByteBuffer.allocate(2);
      channel.read(header, 16);
      int declared = header.getShort(0) & 0xffff;
      return declared == 1 ? 65536 : declared;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /**
   * The database checksum of a position: 2^63 | xor over all pages but the lock page of (2^63 |
   * CRC-64/ISO of page number and page).
   */
  public long checksum() {
    int pageSize = pageSize();
    long lockPage = 0x40000000L / pageSize + 1;
    long sum = 0;
    try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
      long size = channel.size();
      if (size % pageSize != 0) {
        throw new AssertionError(file + ": " + size + " bytes are not whole pages of " + pageSize);
      }
      byte[] chunk = new byte[Math.max(pageSize, 1 << 20)];
      long pgno = 1;
      for (long at = 0; at < size; ) {
        ByteBuffer buffer = ByteBuffer.wrap(chunk);
        while (buffer.hasRemaining() && channel.read(buffer, at + buffer.position()) > 0) {
          // Until the chunk is full or the file ends.
        }
        for (int i = 0; i < buffer.position(); i += pageSize, pgno++) {
          if (pgno != lockPage) {
            sum ^= FLAG | crc(pgno, chunk, i, pageSize);
          }
        }
        at += buffer.position();
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return FLAG | sum;
  }

  private static long crc(long pgno, byte[] bytes, int from, int length) {
    long crc = ~0L;
    for (int shift = 24; shift >= 0; shift -= 8) {
      crc = TABLES[0][(int) ((crc ^ (pgno >>> shift)) & 0xff)] ^ (crc >>> 8);
    }
    for (int i = from; i < from + length; i += 8) {
      crc ^=
          (bytes[i] & 0xffL)
              | (bytes[i + 1] & 0xffL) << 8
              | (bytes[i + 2] & 0xffL) << 16
              | (bytes[i + 3] & 0xffL) << 24
              | (bytes[i + 4] & 0xffL) << 32
              | (bytes[i + 5] & 0xffL) << 40
              | (bytes[i + 6] & 0xffL) << 48
              | (bytes[i + 7] & 0xffL) << 56;
      crc =
          TABLES[7][(int) (crc & 0xff)]
              ^ TABLES[6][(int) (crc >>> 8 & 0xff)]
              ^ TABLES[5][(int) (crc >>> 16 & 0xff)]
              ^ TABLES[4][(int) (crc >>> 24 & 0xff)]
              ^ TABLES[3][(int) (crc >>> 32 & 0xff)]
              ^ TABLES[2][(int) (crc >>> 40 & 0xff)]
              ^ TABLES[1][(int) (crc >>> 48 & 0xff)]
              ^ TABLES[0][(int) (crc >>> 56)];
    }
    return ~crc;
  }

  /**
   * @throws AssertionError naming the first byte and page that differ
   */
  public void assertSameBytes(DatabaseImage other) {
    assertSameBytes(other, Long.MAX_VALUE);
  }

  /**
   * As {@link #assertSameBytes}, for a database file that a killed writer may have left longer than
   * the database: SQLite cuts it after the commit, and ignores what is behind the end.
   */
  public void assertSameBytesAsBeginningOf(DatabaseImage other) {
    assertSameBytes(other, size());
  }

  private void assertSameBytes(DatabaseImage other, long limit) {
    try {
      long at = Files.mismatch(file, other.file);
      if (at >= 0 && at < limit) {
        throw new AssertionError(
            file
                + " ("
                + size()
                + " bytes) and "
                + other.file
                + " ("
                + other.size()
                + " bytes) differ at byte "
                + at
                + ", page "
                + (at / pageSize() + 1));
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Removes the file. */
  public void delete() {
    try {
      Files.deleteIfExists(file);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
