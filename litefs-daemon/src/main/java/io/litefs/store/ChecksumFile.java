package io.litefs.store;

import io.litefs.ltx.Checksum;
import io.litefs.ltx.PageSize;
import io.litefs.ltx.Pos;
import io.litefs.ltx.Txid;
import io.litefs.posix.ErrnoException;
import io.litefs.posix.PosixFile;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.zip.CRC32C;

/**
 * The page checksums of a database on disk, and the {@link Base} that they belong to: the file
 * {@code checksums} of its directory. With it a start need not read the database.
 *
 * <pre>
 *      0  base, first slot   (4096 bytes)
 *   4096  base, second slot  (4096 bytes)
 *   8192  checksum of page 0 (none), 1, 2 ...  8 bytes each; 0: no such page, or the lock page
 *
 * A slot:
 *      0   4  magic "LFCK"
 *      4   4  version 1
 *      8   8  sequence; of two sound slots the one with the greater counts
 *     16   8  TXID
 *     24   8  database checksum
 *     32   4  page size
 *     36   4  flags: 1 clean, 2 the WAL's frames are the daemon's own
 *     40   8  size in pages
 *     48   4  salt 1 of the WAL
 *     52   4  salt 2
 *     56   8  offset in the WAL, 0 without one
 *     64   8  boot of the machine, see {@link Base#currentBoot}
 *     72   4  CRC-32C of the 72 bytes before
 *     76   8  size of the log's last file when the daemon ended in order, 0 if that is not known
 *     84   8  the checksum of that file
 *     92   4  CRC-32C of the 92 bytes before; if it is wrong, nothing is known of the last file
 * </pre>
 *
 * <p>Crash safety: checksums are written in place while the old base still counts; the new one is
 * written when they are on disk. A crash in between leaves a mixture of old and newer checksums,
 * which does no harm: each page whose checksum is newer than the base was changed by a transaction
 * that the log has (they are synced in this order), and whoever reads this file plays the log from
 * the base on, which sets the checksum of just these pages.
 *
 * <p>Not thread-safe.
 */
final class ChecksumFile {

  static final String NAME = "checksums";

  private static final int MAGIC = 0x4c46434b;
  private static final int VERSION = 1;
  private static final int SLOT_BYTES = 4096;
  private static final int FIELDS_BYTES = 72;
  private static final int LAST_FILE = FIELDS_BYTES + Integer.BYTES;
  private static final int LAST_FILE_CRC = LAST_FILE + 16;
  private static final int USED_BYTES = LAST_FILE_CRC + Integer.BYTES;
  private static final int FLAG_CLEAN = 1;
  private static final int FLAG_APPLIED = 2;
  private static final int TABLE_OFFSET = 2 * SLOT_BYTES;
  private static final int CHUNKS_AT_A_TIME = 64;

  private final Path path;
  private PosixFile file;
  private long sequence;

  ChecksumFile(Path dir) {
    path = dir.resolve(NAME);
  }

  /** The base; empty if there is no file, or nothing sound in it. */
  Optional<Base> readBase() throws ErrnoException {
    if (file == null && !Files.exists(path)) {
      return Optional.empty();
    }
    Optional<Base> found = Optional.empty();
    ByteBuffer slot = ByteBuffer.allocateDirect(USED_BYTES);
    for (int i = 0; i < 2; i++) {
      open().preadMost(slot.clear(), (long) i * SLOT_BYTES);
      slot.flip();
      if (isSound(slot) && slot.getLong(8) > sequence) {
        sequence = slot.getLong(8);
        found = Optional.of(decode(slot));
      }
    }
    return found;
  }

  /** The base in a directory that no daemon uses; changes nothing. */
  static Optional<Base> readBase(Path dir) throws ErrnoException {
    ChecksumFile found = new ChecksumFile(dir);
    if (!Files.exists(found.path)) {
      return Optional.empty();
    }
    found.file = PosixFile.open(found.path, PosixFile.O_RDONLY, 0);
    try {
      return found.readBase();
    } finally {
      found.close();
    }
  }

  private static boolean isSound(ByteBuffer slot) {
    return slot.limit() >= LAST_FILE
        && slot.getInt(0) == MAGIC
        && slot.getInt(4) == VERSION
        && slot.getInt(FIELDS_BYTES) == crc(slot, FIELDS_BYTES)
        && PageSize.isValid(slot.getInt(32));
  }

  private static int crc(ByteBuffer slot, int length) {
    CRC32C crc = new CRC32C();
    crc.update(slot.duplicate().position(0).limit(length));
    return (int) crc.getValue();
  }

  private static Base decode(ByteBuffer slot) {
    Pos pos = new Pos(new Txid(slot.getLong(16)), new Checksum(slot.getLong(24)));
    int flags = slot.getInt(36);
    return new Base(
        new DatabaseState(pos, slot.getInt(32), slot.getLong(40)),
        new Base.WalEnd(
            slot.getInt(48), slot.getInt(52), slot.getLong(56), (flags & FLAG_APPLIED) != 0),
        (flags & FLAG_CLEAN) != 0,
        slot.getLong(64),
        lastFile(slot));
  }

  private static Base.LastFile lastFile(ByteBuffer slot) {
    boolean known =
        slot.limit() == USED_BYTES
            && slot.getInt(LAST_FILE_CRC) == crc(slot, LAST_FILE_CRC)
            && slot.getLong(LAST_FILE) > 0;
    return known
        ? new Base.LastFile(slot.getLong(LAST_FILE), new Checksum(slot.getLong(LAST_FILE + 8)))
        : null;
  }

  /** Fills {@code table} with the checksums of a base's pages. */
  void readTable(PageTable table, long pageCount) throws ErrnoException {
    table.clear();
    int count = PageTable.chunksOf(pageCount);
    for (int i = 0; i < count; i += CHUNKS_AT_A_TIME) {
      int some = Math.min(CHUNKS_AT_A_TIME, count - i);
      // Zeros, which stay where the file ends early.
      ByteBuffer chunks = ByteBuffer.allocateDirect(PageTable.bytesOf(some, pageCount));
      open().preadMost(chunks, offset(i));
      table.adoptChunks(i, chunks);
    }
    table.truncate(pageCount);
  }

  /** Writes one chunk of the table; not durable before {@link #sync}. */
  void writeChunk(int index, ByteBuffer chunk) throws ErrnoException {
    open().pwrite(chunk, offset(index));
  }

  void sync() throws ErrnoException {
    open().fdatasync();
  }

  /** Replaces the base; on disk when this returns. */
  void writeBase(Base base) throws ErrnoException {
    ByteBuffer slot = ByteBuffer.allocateDirect(USED_BYTES);
    DatabaseState state = base.state();
    sequence++;
    slot.putInt(MAGIC)
        .putInt(VERSION)
        .putLong(sequence)
        .putLong(state.pos().txid().value())
        .putLong(state.pos().checksum().value())
        .putInt(state.pageSize())
        .putInt((base.clean() ? FLAG_CLEAN : 0) | (base.wal().applied() ? FLAG_APPLIED : 0))
        .putLong(state.pageCount())
        .putInt(base.wal().salt1())
        .putInt(base.wal().salt2())
        .putLong(base.wal().offset())
        .putLong(base.boot());
    slot.putInt(crc(slot, FIELDS_BYTES));
    if (base.last() == null) {
      slot.putLong(0).putLong(0);
    } else {
      slot.putLong(base.last().size()).putLong(base.last().checksum().value());
    }
    slot.putInt(crc(slot, LAST_FILE_CRC)).flip();
    open().pwrite(slot, (sequence & 1) * SLOT_BYTES);
    sync();
  }

  private static long offset(int chunk) {
    return TABLE_OFFSET + (long) chunk * PageTable.CHUNK_BYTES;
  }

  private PosixFile open() throws ErrnoException {
    if (file == null) {
      file = PosixFile.open(path, PosixFile.O_RDWR | PosixFile.O_CREAT, 0644);
    }
    return file;
  }

  void close() {
    if (file != null) {
      file.close();
      file = null;
    }
  }
}
