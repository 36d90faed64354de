package io.litefs.store;

import io.litefs.ltx.Checksum;
import io.litefs.ltx.LtxDecoder;
import io.litefs.ltx.LtxEncoder;
import io.litefs.ltx.LtxException;
import io.litefs.ltx.LtxFileName;
import io.litefs.ltx.LtxHeader;
import io.litefs.ltx.LtxTrailer;
import io.litefs.ltx.Pos;
import io.litefs.ltx.Txid;
import io.litefs.posix.ErrnoException;
import io.litefs.posix.PosixFile;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.WritableByteChannel;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.TreeSet;
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
 * restored when the log is opened, others by a sync of the file. Files of one transaction each are
 * found by computing their names, so that the log costs no memory per transaction; only files that
 * span several (snapshots) are remembered.
 *
 * <p>{@link #begin}, {@link #append} and {@link #adopt} are called by the one writer of the
 * database, all others by any thread.
 */
final class LtxLog {

  private static final Logger log = LoggerFactory.getLogger(LtxLog.class);
  private static final int MODE = 0644;

  /** Files at the end of which some may not have been synced: more than come between two syncs. */
  private static final int MAX_UNSYNCED = 256;

  private final Path dir;
  private final boolean syncAlways;

  private final LogDisk disk;
  private final LogSync unsynced;

  /**
   * Held while a file leaves the log at its beginning, and while a snapshot replaces all: it must
   * not get the name of one that is about to be removed. Taken before this.
   */
  private final Object removing = new Object();

  /** Files that span several transactions, by min TXID. Guarded by this. */
  private final TreeMap<Long, Long> spans = new TreeMap<>();

  /** Smallest TXID that a file of the log begins with; 0 if the log is empty. Guarded by this. */
  private long first;

  /** TXID after the last file. Guarded by this. */
  private long last;

  /** Written under this; read without it, so that who looks on holds up no commit. */
  private volatile long fileCount;

  /** As {@link #fileCount}. */
  private volatile long byteCount;

  /** As {@link #fileCount}. */
  private volatile long appendedBytes;

  private boolean torn;

  private LtxLog(Path dir, boolean syncAlways, LogDisk disk, LogSync unsynced) {
    this.dir = dir;
    this.syncAlways = syncAlways;
    this.disk = disk;
    this.unsynced = unsynced;
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
    LtxLog ltxLog = new LtxLog(dir, syncAlways, disk, LogSync.open(dir, background, disk));
    ltxLog.scan();
    return ltxLog;
  }

  private void scan() throws IOException {
    TreeSet<LtxFileName> found = new TreeSet<>();
    try (DirectoryStream<Path> files = Files.newDirectoryStream(dir)) {
      for (Path file : files) {
        Optional<LtxFileName> name = LtxFileName.parse(file.getFileName().toString());
        if (name.isPresent()) {
          found.add(name.get());
          fileCount++;
          byteCount += Files.size(file);
        } else if (file.getFileName().toString().endsWith(".tmp")) {
          Files.delete(file);
        }
      }
    }
    removeReplaced(found);
    while (!found.isEmpty()) {
      LtxFileName end = reachingFurthest(found);
      Optional<String> damage = damageOf(path(end));
      if (damage.isEmpty()) {
        break;
      }
      log.warn("removed the torn end of the log: {}: {}", path(end), damage.get());
      discard(path(end));
      torn = true;
      found.remove(end);
    }
    if (torn) {
      removeWhatFollowsDamage(found);
    }
    if (found.isEmpty()) {
      return;
    }
    last = reachingFurthest(found).max().value();
    first = last + 1;
    // The log begins where the unbroken chain that leads to its end begins; older files are of no
    // use.
    for (LtxFileName each : found.descendingSet()) {
      if (each.max().value() + 1 >= first) {
        first = Math.min(first, each.min().value());
        if (!each.min().equals(each.max())) {
          spans.put(each.min().value(), each.max().value());
        }
      }
    }
  }

  /** What a kill or a power cut left of the files that a snapshot replaced. */
  private void removeReplaced(TreeSet<LtxFileName> found) throws IOException {
    LtxFileName snapshot =
        found.stream()
            .filter(each -> each.min().value() == 1)
            .max(Comparator.comparing(LtxFileName::max))
            .orElse(null);
    if (snapshot == null) {
      return;
    }
    List<LtxFileName> replaced =
        found.stream()
            .filter(each -> !each.equals(snapshot) && each.max().compareTo(snapshot.max()) <= 0)
            .toList();
    if (replaced.isEmpty() || damageOf(path(snapshot)).isPresent()) {
      return;
    }
    for (LtxFileName each : replaced) {
      log.info("removed {}: the snapshot {} replaces it", path(each), snapshot);
      discard(path(each));
      found.remove(each);
    }
  }

  private static LtxFileName reachingFurthest(TreeSet<LtxFileName> found) {
    return Collections.max(found, Comparator.comparing(LtxFileName::max));
  }

  /**
   * A power cut takes what was not synced in any order: a file may be torn and the next one whole.
   * Since a sync is one of all files, what follows a torn one was promised to nobody.
   */
  private void removeWhatFollowsDamage(TreeSet<LtxFileName> found) throws IOException {
    LtxFileName damaged = null;
    int left = MAX_UNSYNCED;
    for (LtxFileName each : found.descendingSet()) {
      if (left-- == 0) {
        break;
      }
      if (damageOf(path(each)).isPresent()) {
        damaged = each;
      }
    }
    while (damaged != null && !found.isEmpty() && found.last().compareTo(damaged) >= 0) {
      Path file = path(found.pollLast());
      log.warn("removed what follows a torn file of the log, or is it: {}", file);
      discard(file);
    }
  }

  /** Verifies a file whole; empty if it is sound. */
  private static Optional<String> damageOf(Path file) throws IOException {
    try {
      requireSound(file);
      return Optional.empty();
    } catch (LtxException e) {
      return Optional.of(e.getMessage());
    }
  }

  /**
   * Reads a file whole.
   *
   * @throws LtxException if it is damaged
   */
  static void requireSound(Path file) throws IOException {
    try (FileChannel in = FileChannel.open(file);
        LtxDecoder decoder = new LtxDecoder(in, file.toString())) {
      ByteBuffer page = ByteBuffer.allocate(decoder.header().pageSize());
      while (decoder.next(page) != 0) {
        // Only the checksums that the decoder verifies at the end matter.
      }
    }
  }

  /** Whether its last file was incomplete when it was opened. */
  boolean wasTorn() {
    return torn;
  }

  /** The position after the last file, {@link Pos#ZERO} if there is none. */
  Pos end() throws IOException {
    Path file;
    synchronized (this) {
      if (last == 0) {
        return Pos.ZERO;
      }
      file = lastFile();
    }
    return posAfter(file);
  }

  /** Path of the last file; null if the log is empty. */
  synchronized Path lastFile() {
    return last == 0 ? null : fileTo(last);
  }

  /** Caller holds this. */
  private Path fileTo(long txid) {
    for (Map.Entry<Long, Long> span : spans.descendingMap().entrySet()) {
      if (span.getValue() == txid) {
        return path(span.getKey(), txid);
      }
    }
    return path(txid, txid);
  }

  /** Whether a file of the log leads to this very position, so that those behind it continue it. */
  boolean leadsTo(Pos pos) throws IOException {
    Path file;
    synchronized (this) {
      if (last == 0 || pos.txid().value() < first || pos.txid().value() > last) {
        return false;
      }
      file = fileTo(pos.txid().value());
    }
    return Files.exists(file) && posAfter(file).equals(pos);
  }

  static Pos posAfter(Path file) throws IOException {
    try (FileChannel in = FileChannel.open(file)) {
      return posAfter(in, readHeader(in, file));
    }
  }

  /** The position after a file: the last TXID of its header and the checksum of its trailer. */
  static Pos posAfter(FileChannel in, LtxHeader header) throws IOException {
    ByteBuffer trailer = ByteBuffer.allocate(LtxTrailer.SIZE);
    long size = in.size();
    while (trailer.hasRemaining() && in.read(trailer, size - trailer.remaining()) > 0) {
      // until it is full
    }
    return new Pos(header.maxTxid(), new Checksum(trailer.getLong(0)));
  }

  static LtxHeader readHeader(FileChannel in, Path file) throws IOException {
    ByteBuffer header = ByteBuffer.allocate(LtxHeader.SIZE);
    while (header.hasRemaining() && in.read(header, header.position()) > 0) {
      // until it is full
    }
    header.flip();
    return LtxHeader.decode(header, file.toString());
  }

  /**
   * The file that holds the transaction {@code txid} at its beginning; null if the log has none.
   */
  Path fileFrom(long txid) {
    long max;
    synchronized (this) {
      if (txid < first || txid > last) {
        return null;
      }
      max = spans.getOrDefault(txid, txid);
    }
    Path file = path(txid, max);
    return Files.exists(file) ? file : null;
  }

  /** The paths of all files in order, for recovery. */
  List<Path> files() {
    return files(0);
  }

  /** The paths of the files that end beyond {@code after}, in order. */
  List<Path> files(long after) {
    List<Path> files = new ArrayList<>();
    long from;
    long to;
    synchronized (this) {
      from = first;
      to = last;
    }
    for (long txid = from; txid != 0 && txid <= to; ) {
      long max;
      synchronized (this) {
        max = spans.getOrDefault(txid, txid);
      }
      if (max > after) {
        files.add(path(txid, max));
      }
      txid = max + 1;
    }
    return files;
  }

  Path temporaryFile() {
    return dir.resolve("incoming.tmp");
  }

  long fileCount() {
    return fileCount;
  }

  long byteCount() {
    return byteCount;
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
      this.path = path(header.minTxid().value(), header.maxTxid().value());
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
      unsynced.add(file);
      if (syncAlways) {
        sync();
      }
      appended(header.minTxid().value(), header.maxTxid().value(), written);
    }

    void abort() {
      file.close();
      tryToRemove(path);
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
    synchronized (this) {
      last = writer.header.minTxid().value() - 1;
      if (first > last) {
        first = 0;
        last = 0;
      }
      fileCount--;
      byteCount -= writer.written;
    }
    boolean listed = unsynced.forget(writer.file);
    // Before what is on disk changes, so that the name is not on it afterwards.
    tryToRemove(writer.path);
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
    Path target = path(header.minTxid().value(), header.maxTxid().value());
    long size = Files.size(temporary);
    Files.move(temporary, target, StandardCopyOption.ATOMIC_MOVE);
    try {
      unsynced.add(PosixFile.open(target, PosixFile.O_RDWR, MODE));
      if (syncAlways) {
        sync();
      }
    } catch (IOException | RuntimeException e) {
      tryToRemove(target);
      throw e;
    }
    appended(header.minTxid().value(), header.maxTxid().value(), size);
  }

  private void adoptSnapshot(Path temporary, LtxHeader header) throws IOException {
    Path target = path(header.minTxid().value(), header.maxTxid().value());
    long size = Files.size(temporary);
    // It is on disk before what it replaces goes.
    try (PosixFile file = PosixFile.open(temporary, PosixFile.O_RDWR, MODE)) {
      file.fdatasync();
    }
    // What it replaces must not come back by a later sync either.
    unsynced.settle();
    synchronized (removing) {
      Files.move(temporary, target, StandardCopyOption.ATOMIC_MOVE);
      try {
        PosixFile.syncDirectory(dir);
      } catch (ErrnoException e) {
        tryToRemove(target);
        throw e;
      }
      synchronized (this) {
        spans.clear();
        first = 0;
        fileCount = 0;
        byteCount = 0;
        appended(header.minTxid().value(), header.maxTxid().value(), size);
      }
      removeAllBut(target);
    }
  }

  private synchronized void appended(long min, long max, long size) {
    if (first == 0) {
      first = min;
    }
    last = max;
    if (min != max) {
      spans.put(min, max);
    }
    fileCount++;
    byteCount += size;
    appendedBytes += size;
  }

  /**
   * Removes what a snapshot replaces, the newest first: wherever this ends early, what is left
   * beyond the snapshot begins right behind it, and is found not to follow it. The log is right
   * also if this fails; then the next start or snapshot removes the rest.
   */
  private void removeAllBut(Path snapshot) {
    TreeSet<Path> replaced = new TreeSet<>();
    try {
      try (DirectoryStream<Path> files = Files.newDirectoryStream(dir, "*.ltx")) {
        files.forEach(replaced::add);
      }
      replaced.remove(snapshot);
      for (Path file : replaced.descendingSet()) {
        disk.remove(file);
      }
    } catch (IOException | DirectoryIteratorException e) {
      log.warn("cannot remove what {} replaces: {}", snapshot, e.getMessage());
    }
  }

  /** Makes every transaction that is in the log durable. Any thread. */
  void sync() throws ErrnoException {
    unsynced.sync();
  }

  boolean hasUnsynced() {
    return unsynced.areThere();
  }

  /** Bytes that were appended since the log was opened. */
  long appendedBytes() {
    return appendedBytes;
  }

  /**
   * Moves the files that end beyond {@code after} and at or before {@code upTo} to another
   * directory; they are either the log's first or its last ones. For recovery.
   */
  void setAside(long after, long upTo, Path to) throws IOException {
    Files.createDirectories(to);
    for (Path file : files(after)) {
      LtxFileName name = LtxFileName.parse(file.getFileName().toString()).orElseThrow();
      if (name.max().value() > upTo) {
        break;
      }
      synchronized (this) {
        byteCount -= Files.size(file);
        fileCount--;
        spans.remove(name.min().value());
        if (name.min().value() == first) {
          first = name.max().value() + 1;
        } else {
          last = Math.min(last, name.min().value() - 1);
        }
      }
      Files.move(file, to.resolve(file.getFileName()), StandardCopyOption.REPLACE_EXISTING);
    }
    PosixFile.syncDirectory(dir);
  }

  /**
   * The last TXID of the first file that is not part of an unbroken chain of them. If that is the
   * log's last file, which is sound, the one before it.
   */
  long gapEnd(LogTail chain) {
    List<LogTail.Entry> entries = chain.entries();
    long before = entries.isEmpty() ? 0 : entries.get(entries.size() - 1).pos().txid().value();
    Path broken = files(before).get(0);
    LtxFileName name = LtxFileName.parse(broken.getFileName().toString()).orElseThrow();
    return broken.equals(lastFile()) ? name.min().value() - 1 : name.max().value();
  }

  /** Whether a file that is neither the last one nor younger than the cutoff is still there. */
  boolean holdsOlderThan(long cutoffMillis) throws IOException {
    Path file;
    synchronized (this) {
      long max = spans.getOrDefault(first, first);
      if (first == 0 || max >= last) {
        return false;
      }
      file = path(first, max);
    }
    return Files.exists(file) && Files.getLastModifiedTime(file).toMillis() < cutoffMillis;
  }

  /**
   * Removes files whose last change is before {@code cutoffMillis}, oldest first.
   *
   * @param baseTxid {@link BaseKeeper#txid}: the file that leads there and those behind it stay
   * @return how many were removed
   */
  int removeOlderThan(long cutoffMillis, long baseTxid) throws IOException {
    int removed = 0;
    while (removeFirst(cutoffMillis, baseTxid)) {
      removed++;
    }
    return removed;
  }

  /**
   * Removes the oldest files until all together take no more than {@code maxBytes}. One that is
   * being sent stays readable for who has it open.
   *
   * @param baseTxid as above
   * @return how many were removed
   */
  int removeBeyond(long maxBytes, long baseTxid) throws IOException {
    int removed = 0;
    while (byteCount > maxBytes && removeFirst(Long.MAX_VALUE, baseTxid)) {
      removed++;
    }
    return removed;
  }

  /**
   * Removes the first file if its last change is before {@code cutoffMillis}. The last file stays,
   * since it holds the position; so does the one that leads to the base, which holds it if all that
   * follows is {@link #revokeLast revoked}.
   *
   * @return whether it did
   */
  private boolean removeFirst(long cutoffMillis, long baseTxid) throws IOException {
    synchronized (removing) {
      Path file;
      long max;
      synchronized (this) {
        max = spans.getOrDefault(first, first);
        if (first == 0 || max >= last || max >= baseTxid) {
          return false;
        }
        file = path(first, max);
      }
      long size = 0;
      try {
        BasicFileAttributes attributes = Files.readAttributes(file, BasicFileAttributes.class);
        if (attributes.lastModifiedTime().toMillis() >= cutoffMillis) {
          return false;
        }
        size = attributes.size();
      } catch (NoSuchFileException e) {
        // Whoever removed it, the log begins behind it.
      }
      synchronized (this) {
        spans.remove(first);
        first = max + 1;
        fileCount--;
        byteCount -= size;
      }
      disk.remove(file);
      return true;
    }
  }

  /** Whoever calls this has a failure to report already. */
  private static void tryToRemove(Path file) {
    try {
      Files.deleteIfExists(file);
    } catch (IOException e) {
      log.warn("cannot remove {}: {}", file, e.getMessage());
    }
  }

  private void discard(Path file) throws IOException {
    byteCount -= Files.size(file);
    fileCount--;
    Files.delete(file);
  }

  /**
   * What lies between two TXIDs of the log, from the files' directory entries. Takes no lock.
   *
   * @param after what a replica has; less than {@code upTo}
   */
  Behind behind(long after, long upTo) {
    long transactions = upTo - after;
    long looked = Math.min(transactions, Behind.EXACT);
    long found = 0;
    long bytes = 0;
    long since = 0;
    for (long txid = after + 1; txid <= after + looked; txid++) {
      try {
        BasicFileAttributes file =
            Files.readAttributes(path(txid, txid), BasicFileAttributes.class);
        found++;
        bytes += file.size();
        if (txid == after + 1) {
          since = file.lastModifiedTime().toMillis();
        }
      } catch (IOException e) {
        continue; // removed, or part of a file that spans several
      }
    }
    long all = found == 0 ? 0 : Math.round((double) bytes / found * transactions);
    return new Behind(transactions, all, since);
  }

  private Path path(LtxFileName name) {
    return dir.resolve(name.toString());
  }

  private Path path(long min, long max) {
    return path(new LtxFileName(new Txid(min), new Txid(max)));
  }

  /** Leaves nothing but plain LTX files, all of them on disk. */
  void close() {
    try {
      sync();
      unsynced.settle();
    } catch (ErrnoException e) {
      log.error("cannot sync the log {}: {}", dir, e.getMessage());
    }
  }

  static FileChannel openForReading(Path file) throws IOException {
    return FileChannel.open(file, StandardOpenOption.READ);
  }
}
