package io.litefs.store;

import io.litefs.posix.Errno;
import io.litefs.posix.ErrnoException;
import io.litefs.posix.PosixFile;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;
import java.util.zip.CRC32C;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Makes small LTX files durable at the price of one overwrite: a copy of their bytes goes into a
 * file whose blocks exist already, so that fdatasync(2) writes data and no metadata of the
 * filesystem. The files themselves reach the disk later, many at once.
 *
 * <p>The file {@code segment} of a database's directory consists of two halves that are filled in
 * turn. When one is full, everything on the filesystem is synced in the background; then its
 * records are of no more use and it can be filled again. A record:
 *
 * <pre>
 *    0   4  magic "LFSG"
 *    4   4  number of bytes of the LTX file
 *    8   8  generation: grows each time a half is begun
 *   16   4  CRC-32C of generation, length and LTX file
 *   20   4  zero
 *   24      the LTX file, filled up with zeros to a multiple of 8 bytes
 * </pre>
 *
 * A half is read up to the first record that is not sound or not of the generation of the half's
 * first one: what follows is from an earlier use.
 *
 * <p>Not thread-safe: {@link LogSync} serializes its calls.
 */
final class SyncSegment {

  private static final Logger logger = LoggerFactory.getLogger(SyncSegment.class);

  static final int HALF_BYTES = 2 << 20;

  /** What is larger is synced as the file that it is: its own bytes cost more than the metadata. */
  private static final int MAX_BATCH_BYTES = 256 << 10;

  /** A block of ext4's inode tables, 4 KiB, has 16 inodes of 256 bytes each. */
  private static final long INODES_PER_BLOCK = 16;

  private static final int MAGIC = 0x4c465347;
  private static final int HEADER_BYTES = 24;
  private static final long RETRY_NANOS = TimeUnit.SECONDS.toNanos(10);

  /** Nobody writes into it, nor moves its position. */
  private static final ByteBuffer ZEROS = ByteBuffer.allocateDirect(64 << 10);

  private final Path path;
  private final Path log;
  private final Executor background;
  private final LogDisk disk;

  /** Null until the first write. */
  private PosixFile file;

  private ByteBuffer buffer;
  private long generation;
  private int half;
  private int position;

  /** Of each half: whether all its files are on disk, so that it may be filled. Guards itself. */
  private boolean[] settled;

  private long unusableSince;
  private boolean unusable;

  /**
   * @param log the directory of the LTX files
   * @param background runs what may take long
   */
  SyncSegment(Path path, Path log, Executor background, LogDisk disk) {
    this.path = path;
    this.log = log;
    this.background = background;
    this.disk = disk;
  }

  /** An LTX file found in the segment. */
  record Saved(long generation, ByteBuffer content) {}

  /** Reads what a segment holds, in the order in which it was written; nothing if there is none. */
  static List<Saved> read(Path path) throws IOException {
    List<Saved> found = new ArrayList<>();
    if (!Files.exists(path)) {
      return found;
    }
    try (PosixFile file = PosixFile.open(path, PosixFile.O_RDONLY, 0)) {
      for (int half = 0; half < 2; half++) {
        ByteBuffer bytes = ByteBuffer.allocateDirect(HALF_BYTES);
        file.preadMost(bytes, (long) half * HALF_BYTES);
        readHalf(bytes.flip(), found);
      }
    }
    // Stable: records of one generation keep their order.
    found.sort(Comparator.comparingLong(Saved::generation));
    return found;
  }

  private static void readHalf(ByteBuffer bytes, List<Saved> found) {
    long generation = 0;
    int at = 0;
    while (at + HEADER_BYTES <= bytes.limit() && bytes.getInt(at) == MAGIC) {
      int length = bytes.getInt(at + 4);
      long recordGeneration = bytes.getLong(at + 8);
      if (length <= 0
          || length > bytes.limit() - at - HEADER_BYTES
          || generation != 0 && recordGeneration != generation) {
        return;
      }
      ByteBuffer content = bytes.slice(at + HEADER_BYTES, length);
      if (bytes.getInt(at + 16) != crc(recordGeneration, content)) {
        return;
      }
      generation = recordGeneration;
      found.add(new Saved(generation, content));
      at += recordBytes(length);
    }
  }

  private static int crc(long generation, ByteBuffer content) {
    CRC32C crc = new CRC32C();
    ByteBuffer head = ByteBuffer.allocate(12).putLong(generation).putInt(content.remaining());
    crc.update(head.flip());
    crc.update(content.duplicate());
    return (int) crc.getValue();
  }

  private static int recordBytes(long length) {
    return (int) ((HEADER_BYTES + length + 7) & ~7);
  }

  /**
   * Makes files durable.
   *
   * @return false if they do not fit, or there is no room now: they must be synced themselves
   * @throws ErrnoException if that failed. The segment does not hold them; but what a power cut
   *     would leave of it is not known before it was synced again or {@link #discard discarded}
   */
  boolean write(List<PosixFile> files) throws ErrnoException {
    long total = 0;
    for (PosixFile each : files) {
      total += HEADER_BYTES + each.size() + 8;
      if (total > MAX_BATCH_BYTES) {
        return false;
      }
    }
    if (!open() || !makeRoom((int) total)) {
      return false;
    }
    if (buffer == null || buffer.capacity() < total) {
      buffer =
          ByteBuffer.allocateDirect(Math.max(16 << 10, Integer.highestOneBit((int) total) * 2));
    }
    buffer.clear();
    for (PosixFile each : files) {
      append(each);
    }
    buffer.flip();
    int length = buffer.limit();
    try {
      file.pwrite(buffer, (long) half * HALF_BYTES + position);
      disk.datasync(file);
    } catch (ErrnoException e) {
      erase();
      throw e;
    }
    position += length;
    return true;
  }

  /**
   * Takes back what was written last, if only for a kill: the transaction fails, and another one
   * may get its TXID.
   */
  private void erase() {
    try {
      file.pwrite(ZEROS.slice(0, HEADER_BYTES), (long) half * HALF_BYTES + position);
    } catch (ErrnoException e) {
      logger.warn("cannot take records back from {}: {}", path, e.getMessage());
    }
  }

  private void append(PosixFile each) throws ErrnoException {
    int start = buffer.position();
    int length = (int) each.size();
    buffer.limit(start + HEADER_BYTES + length).position(start + HEADER_BYTES);
    each.preadFully(buffer, 0);
    ByteBuffer content = buffer.slice(start + HEADER_BYTES, length);
    buffer
        .putInt(start, MAGIC)
        .putInt(start + 4, length)
        .putLong(start + 8, generation)
        .putInt(start + 16, crc(generation, content))
        .putInt(start + 20, 0);
    int end = start + recordBytes(length);
    buffer.limit(buffer.capacity());
    while (buffer.position() < end) {
      buffer.put((byte) 0);
    }
  }

  /** Makes the file, all of it written, so that later writes change no metadata. */
  private boolean open() {
    if (file != null) {
      return true;
    }
    if (unusable && System.nanoTime() - unusableSince < RETRY_NANOS) {
      return false;
    }
    PosixFile made = null;
    try {
      made = create();
      for (long at = 0; at < 2L * HALF_BYTES; at += ZEROS.capacity()) {
        made.pwrite(ZEROS.duplicate(), at);
      }
      made.fsync();
      file = made;
      settled = new boolean[] {true, true};
      generation = System.currentTimeMillis();
      half = 0;
      position = 0;
      unusable = false;
      return true;
    } catch (ErrnoException e) {
      // Without it each file is synced by itself: slower, not less safe.
      logger.warn("cannot make {}: {}; trying again later", path, e.getMessage());
      unusable = true;
      unusableSince = System.nanoTime();
      if (made != null) {
        made.close();
        delete();
      }
      return false;
    }
  }

  /**
   * Creates the file with an inode away from that of the log's directory. Each LTX file that is
   * made changes the directory's inode, and ext4 without a journal writes the block of the inode
   * table that a file's inode is in with each sync of that file, if anything in the block has
   * changed: 90 us of 240. New inodes are neighbours, so those nearby are kept busy meanwhile.
   */
  private PosixFile create() throws ErrnoException {
    List<PosixFile> neighbours = new ArrayList<>();
    try {
      while (true) {
        PosixFile made =
            PosixFile.open(path, PosixFile.O_RDWR | PosixFile.O_CREAT | PosixFile.O_TRUNC, 0644);
        neighbours.add(made);
        if (neighbours.size() > INODES_PER_BLOCK || inodeBlock(path) != inodeBlock(log)) {
          neighbours.remove(made);
          return made;
        }
        delete();
      }
    } finally {
      neighbours.forEach(PosixFile::close);
    }
  }

  private static long inodeBlock(Path file) throws ErrnoException {
    try {
      return ((Number) Files.getAttribute(file, "unix:ino")).longValue() / INODES_PER_BLOCK;
    } catch (IOException e) {
      throw new ErrnoException(Errno.EIO, "stat " + file, e);
    }
  }

  private boolean makeRoom(int bytes) {
    if (position + bytes <= HALF_BYTES) {
      return true;
    }
    int full = half;
    int other = 1 - half;
    boolean[] halves = settled;
    synchronized (halves) {
      if (!halves[other]) {
        return false;
      }
      halves[full] = false;
    }
    PosixFile segment = file;
    background.execute(() -> settle(segment, halves, full));
    half = other;
    position = 0;
    generation++;
    return true;
  }

  private void settle(PosixFile segment, boolean[] halves, int full) {
    try {
      disk.syncFilesystem(segment);
      synchronized (halves) {
        halves[full] = true;
      }
    } catch (ErrnoException e) {
      if (e.errno() != Errno.EBADF) { // discarded meanwhile, which synced everything
        logger.error(
            "cannot sync the filesystem of {}: {}; LTX files are synced one by one from now on",
            path,
            e.getMessage());
      }
    }
  }

  boolean isThere() {
    return file != null;
  }

  /**
   * Removes the segment, for good when this returns: it will not bring back any file that the log
   * removes. The files that it holds must be on disk themselves. If this fails, it must be repeated
   * before anything is written.
   */
  void discard() throws ErrnoException {
    if (file != null) {
      file.close();
      file = null;
    }
    try {
      Files.deleteIfExists(path);
    } catch (IOException e) {
      throw new ErrnoException(Errno.EIO, "remove " + path, e);
    }
    PosixFile.syncDirectory(path.getParent());
  }

  private void delete() {
    try {
      Files.deleteIfExists(path);
    } catch (IOException e) {
      logger.warn("cannot remove {}: {}", path, e.getMessage());
    }
  }
}
