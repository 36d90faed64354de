package io.litefs.store;

import io.litefs.ltx.Checksum;
import io.litefs.ltx.LtxDecoder;
import io.litefs.ltx.LtxEncoder;
import io.litefs.ltx.LtxException;
import io.litefs.ltx.LtxFileName;
import io.litefs.ltx.LtxHeader;
import io.litefs.ltx.LtxTrailer;
import io.litefs.ltx.Pos;
import io.litefs.posix.ErrnoException;
import io.litefs.posix.PosixFile;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.ClosedByInterruptException;
import java.nio.channels.FileChannel;
import java.nio.channels.WritableByteChannel;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.concurrent.Executor;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The transaction log of one database: the directory {@code ltx/} of LTX files. It is the truth
 * from which the database file and the WAL can be rebuilt.
 *
 * <p>A transaction is in the log once its file is complete under its final name; a file that a
 * crash tore is recognised by its trailer and removed when the log is opened. It is durable once
 * {@link #sync} has returned: small files by a copy in a {@link SyncSegment}, from which they are
 * restored when the log is opened, others by a sync of the file ({@link LogSync}). Which files
 * there are is the business of {@link LogFiles}.
 *
 * <p>{@link #begin}, {@link #append} and {@link #adopt} are called by the one writer of the
 * database, all others by any thread.
 */
final class LtxLog {

  private static final Logger log = LoggerFactory.getLogger(LtxLog.class);
  private static final int MODE = 0644;

  private final Path dir;
  private final boolean syncAlways;
  private final LogSync unsynced;
  private final LogFiles files;
  private final boolean torn;

  /** The last file, if the start took it at its word and nobody has read it since; or null. */
  private volatile Path unread;

  /** A file that turned out to be damaged afterwards; null if there is none. */
  private volatile Path damaged;

  private LtxLog(Path dir, boolean syncAlways, LogSync unsynced, LogFiles files, LogScan scan) {
    this.dir = dir;
    this.syncAlways = syncAlways;
    this.unsynced = unsynced;
    this.files = files;
    this.torn = scan.wasTorn();
    this.unread = scan.unread();
  }

  /**
   * Opens the log of a database, made if it does not exist. Files that a power cut took are
   * restored from the segment; incomplete files at its end are removed, leftovers of receiving too.
   *
   * @param dir the directory of the LTX files; the segment lies beside it
   * @param background runs what may take long
   */
  static LtxLog open(Path dir, boolean syncAlways, Executor background) throws IOException {
    return open(dir, syncAlways, background, new LogDisk());
  }

  static LtxLog open(Path dir, boolean syncAlways, Executor background, LogDisk disk)
      throws IOException {
    Files.createDirectories(dir);
    LogSync unsynced = LogSync.open(dir, background, disk);
    try {
      LogScan scan = LogScan.of(dir, ChecksumFile.readBase(dir.getParent()).orElse(null));
      return new LtxLog(dir, syncAlways, unsynced, new LogFiles(dir, disk, scan), scan);
    } catch (IOException | RuntimeException e) {
      unsynced.close();
      throw e;
    }
  }

  /**
   * Reads a file whole.
   *
   * @throws LtxException if it is damaged
   */
  static void requireSound(Path file) throws IOException {
    try {
      requireSound(file, PageVerification.Pace.NONE);
    } catch (InterruptedException e) {
      throw new AssertionError("this pace never waits", e);
    }
  }

  private static void requireSound(Path file, PageVerification.Pace pace)
      throws IOException, InterruptedException {
    try (FileChannel in = FileChannel.open(file);
        LtxDecoder decoder = new LtxDecoder(in, file.toString())) {
      ByteBuffer page = ByteBuffer.allocate(decoder.header().pageSize());
      // Only the checksums that the decoder verifies at the end matter.
      for (long told = 0; decoder.next(page) != 0; told = decoder.bytesRead()) {
        pace.read((int) (decoder.bytesRead() - told));
      }
    }
  }

  /**
   * Reads the last file of an orderly stop, if the start did not: the database does not need it,
   * but a replica may. What is damaged is not sent to anybody, and the next start does not take it
   * at its word.
   */
  void verifyUnread(PageVerification.Pace pace) throws InterruptedException {
    Path file = unread;
    if (file == null) {
      return;
    }
    try {
      requireSound(file, pace);
      unread = null;
    } catch (NoSuchFileException e) {
      unread = null; // Retention or a snapshot has removed it.
    } catch (ClosedByInterruptException e) {
      throw new InterruptedException();
    } catch (IOException e) {
      damaged = file;
      unread = null;
      log.error(
          "an LTX file is damaged: {}; the database does not need it, and a replica that does gets"
              + " a snapshot",
          e instanceof LtxException ? e.getMessage() : file + ": " + e.getMessage());
    }
  }

  /** Whether a file was found damaged after the start. */
  boolean isDamaged(Path file) {
    return file.equals(damaged);
  }

  /** Whether its last file was incomplete when it was opened. */
  boolean wasTorn() {
    return torn;
  }

  /** The position after the last file, {@link Pos#ZERO} if there is none. */
  Pos end() throws IOException {
    Path file = files.last();
    return file == null ? Pos.ZERO : posAfter(file);
  }

  /** Whether a file of the log leads to this very position, so that those behind it continue it. */
  boolean leadsTo(Pos pos) throws IOException {
    Path file = files.to(pos.txid().value());
    return file != null && Files.exists(file) && posAfter(file).equals(pos);
  }

  static Pos posAfter(Path file) throws IOException {
    try (FileChannel in = FileChannel.open(file)) {
      return posAfter(in, readHeader(in, file));
    }
  }

  /** The position after a file: the last TXID of its header and the checksum of its trailer. */
  static Pos posAfter(FileChannel in, LtxHeader header) throws IOException {
    return new Pos(header.maxTxid(), readTrailer(in).postApply());
  }

  /** Of a file that has a header. */
  static LtxTrailer readTrailer(FileChannel in) throws IOException {
    ByteBuffer trailer = ByteBuffer.allocate(LtxTrailer.SIZE);
    long size = in.size();
    while (trailer.hasRemaining() && in.read(trailer, size - trailer.remaining()) > 0) {
      // until it is full
    }
    return LtxTrailer.decode(trailer.clear());
  }

  static LtxHeader readHeader(FileChannel in, Path file) throws IOException {
    ByteBuffer header = ByteBuffer.allocate(LtxHeader.SIZE);
    while (header.hasRemaining() && in.read(header, header.position()) > 0) {
      // until it is full
    }
    header.flip();
    return LtxHeader.decode(header, file.toString());
  }

  /** Path of the last file; null if the log is empty. */
  Path lastFile() {
    return files.last();
  }

  /**
   * The file that holds the transaction {@code txid} at its beginning; null if the log has none.
   */
  Path fileFrom(long txid) {
    return files.from(txid);
  }

  /** The paths of all files in order, for recovery. */
  Iterable<Path> files() {
    return files(0);
  }

  /** The paths of the files that end beyond {@code after}, in order; see {@link LogFiles}. */
  Iterable<Path> files(long after) {
    return files.beyond(after);
  }

  /** See {@link LogFiles#behind}. */
  Behind behind(long after, long upTo) {
    return files.behind(after, upTo);
  }

  long fileCount() {
    return files.count();
  }

  /** Too little until {@link #measure} ends. */
  long byteCount() {
    return files.bytes();
  }

  /** See {@link LogFiles#measure}. */
  void measure() throws IOException {
    files.measure();
  }

  /** Bytes that were appended since the log was opened. */
  long appendedBytes() {
    return files.appendedBytes();
  }

  Path temporaryFile() {
    return dir.resolve("incoming.tmp");
  }

  /**
   * Begins the file of the next transaction. Nothing is in the log before {@link Writer#append}.
   */
  Writer begin(LtxHeader header) throws IOException {
    return new Writer(header);
  }

  /**
   * A transaction that is being encoded into its file. Either {@link #append} or {@link #abort}
   * ends it.
   */
  final class Writer implements WritableByteChannel {
    private final Path path;
    private final PosixFile file;
    private final LtxHeader header;
    private final LtxEncoder encoder;
    private long written;

    private Writer(LtxHeader header) throws IOException {
      this.header = header;
      this.path = files.path(header);
      this.file =
          PosixFile.open(path, PosixFile.O_RDWR | PosixFile.O_CREAT | PosixFile.O_TRUNC, MODE);
      try {
        encoder = new LtxEncoder(this, header);
      } catch (RuntimeException | Error e) {
        abort();
        throw e;
      }
    }

    /** Bytes so far. */
    long bytes() {
      return written;
    }

    Path location() {
      return path;
    }

    void page(long pgno, ByteBuffer page) throws IOException {
      encoder.page(pgno, page);
    }

    /** Completes the file on the filesystem; it can still be aborted. */
    LtxTrailer finish(Checksum postApply) throws IOException {
      return encoder.finish(postApply);
    }

    /**
     * Makes the finished file part of the log; with durability {@code always} it is on disk when
     * this returns. If this fails, the file must be aborted.
     */
    void append() throws IOException {
      append(false);
    }

    /**
     * @param durably whether it must be on disk in any case
     */
    void append(boolean durably) throws IOException {
      unsynced.add(file);
      if (syncAlways || durably) {
        sync();
      }
      files.appended(header, written);
    }

    void abort() {
      file.close();
      LogFiles.tryToRemove(path);
    }

    /** The encoder collects what it writes, in direct memory. */
    @Override
    public int write(ByteBuffer from) throws IOException {
      int count = from.remaining();
      file.pwrite(from, written);
      written += count;
      return count;
    }

    @Override
    public boolean isOpen() {
      return true;
    }

    @Override
    public void close() {
      // The encoder does not own the file.
    }
  }

  /**
   * Takes back the file that was appended last: it is gone also if this fails. Its position must
   * not have been published.
   */
  void revokeLast(Writer writer) throws ErrnoException {
    files.revoked(writer.header, writer.written);
    boolean listed = unsynced.forget(writer.file);
    // Before what is on disk changes, so that the name is not on it afterwards.
    LogFiles.tryToRemove(writer.path);
    try {
      if (!listed) {
        unsynced.settle(); // it may have the file already
      }
    } finally {
      writer.file.close();
    }
  }

  /**
   * Takes a received and verified file into the log under its final name; a snapshot replaces all
   * that is there. If this fails, the log is as before.
   */
  void adopt(Path temporary, LtxHeader header) throws IOException {
    if (header.isSnapshot()) {
      adoptSnapshot(temporary, header);
      return;
    }
    Path target = files.path(header);
    long size = Files.size(temporary);
    Files.move(temporary, target, StandardCopyOption.ATOMIC_MOVE);
    try {
      unsynced.add(PosixFile.open(target, PosixFile.O_RDWR, MODE));
      if (syncAlways) {
        sync();
      }
    } catch (IOException | RuntimeException e) {
      LogFiles.tryToRemove(target);
      throw e;
    }
    files.appended(header, size);
  }

  private void adoptSnapshot(Path temporary, LtxHeader header) throws IOException {
    // It is on disk before what it replaces goes.
    try (PosixFile file = PosixFile.open(temporary, PosixFile.O_RDWR, MODE)) {
      file.fdatasync();
    }
    // What it replaces must not come back by a later sync either.
    unsynced.settle();
    files.replaceBy(temporary, header);
    unread = null;
    damaged = null; // Its name may be that of the snapshot.
  }

  /** Makes every transaction that is in the log durable. Any thread. */
  void sync() throws ErrnoException {
    unsynced.sync();
  }

  /**
   * Puts all files on disk, for an orderly stop, and tells of the last one by what it is known
   * again.
   *
   * @return null if it does not lead to this position, or is damaged
   */
  Base.LastFile settledEnd(Pos pos) throws IOException {
    unsynced.settle();
    Path last = files.last();
    if (last == null || isDamaged(last) || !posAfter(last).equals(pos)) {
      return null;
    }
    // Also if a daemon has written it that was killed: this one has found it sound, but perhaps in
    // memory.
    try (PosixFile file = PosixFile.open(last, PosixFile.O_RDONLY, 0)) {
      file.fsync();
    }
    try (FileChannel in = openForReading(last)) {
      return new Base.LastFile(in.size(), readTrailer(in).file());
    }
  }

  boolean hasUnsynced() {
    return unsynced.areThere();
  }

  /** What of a log must stay: {@link BaseKeeper#txid}. */
  interface Needed {

    /**
     * The file that leads to this TXID and those behind it stay. True of the log as it is now: the
     * caller keeps snapshots from replacing it.
     */
    long txid() throws IOException;
  }

  /** Whether a file that is neither the last one nor younger than the cutoff is still there. */
  boolean holdsOlderThan(long cutoffMillis) throws IOException {
    return files.holdOlderThan(cutoffMillis);
  }

  /**
   * Removes files whose last change is before {@code cutoffMillis}, oldest first.
   *
   * @return how many were removed
   */
  int removeOlderThan(long cutoffMillis, Needed needed) throws IOException {
    return files.removeOlderThan(cutoffMillis, needed);
  }

  /**
   * Removes the oldest files until all together take no more than {@code maxBytes}. One that is
   * being sent stays readable for who has it open.
   *
   * @return how many were removed
   */
  int removeBeyond(long maxBytes, Needed needed) throws IOException {
    return files.removeBeyond(maxBytes, needed);
  }

  /**
   * Moves the files that end beyond {@code after} and at or before {@code upTo} to another
   * directory; they are either the log's first or its last ones. For recovery.
   */
  void setAside(long after, long upTo, Path to) throws IOException {
    files.setAside(after, upTo, to);
  }

  /**
   * The last TXID of the first file that is not part of an unbroken chain of them. If that is the
   * log's last file, which is sound, the one before it.
   */
  long gapEnd(LogTail chain) {
    Path broken = files(chain.end()).iterator().next();
    LtxFileName name = LtxFileName.parse(broken.getFileName().toString()).orElseThrow();
    return broken.equals(lastFile()) ? name.min().value() - 1 : name.max().value();
  }

  /** Leaves nothing but plain LTX files, all of them on disk. */
  void close() {
    try {
      sync();
      unsynced.settle();
    } catch (ErrnoException e) {
      log.error("cannot sync the log {}: {}", dir, e.getMessage());
    }
    unsynced.close();
  }

  static FileChannel openForReading(Path file) throws IOException {
    return FileChannel.open(file, StandardOpenOption.READ);
  }
}
