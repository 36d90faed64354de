package io.litefs.store;

import io.litefs.ltx.Checksum;
import io.litefs.ltx.LtxDecoder;
import io.litefs.ltx.LtxEncoder;
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
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The transaction log of one database: the directory {@code ltx/} of LTX files. It is the truth
 * from which the database file and the WAL can be rebuilt.
 *
 * <p>A transaction is in the log once its file is complete under its final name; a file that a
 * crash tore is recognised by its trailer and removed when the log is opened. It is durable once
 * {@link #sync} has returned. Files of one transaction each are found by computing their names, so
 * that the log costs no memory per transaction; only files that span several (snapshots) are
 * remembered.
 *
 * <p>{@link #begin}, {@link #append} and {@link #adopt} are called by the one writer of the
 * database, all others by any thread.
 */
final class LtxLog {

  private static final Logger log = LoggerFactory.getLogger(LtxLog.class);
  private static final int MODE = 0644;

  /**
   * Past this many unsynced files, one syncfs(2) of the filesystem is cheaper than a sync of each.
   */
  private static final int MAX_UNSYNCED_OPEN = 16;

  private final Path dir;
  private final boolean syncAlways;

  /** Files that span several transactions, by min TXID. Guarded by this. */
  private final TreeMap<Long, Long> spans = new TreeMap<>();

  /** Smallest TXID that a file of the log begins with; 0 if the log is empty. Guarded by this. */
  private long first;

  /** TXID after the last file. Guarded by this. */
  private long last;

  private long fileCount;
  private long byteCount;

  private final Object syncLock = new Object();

  /** Guarded by itself. */
  private final ArrayDeque<PosixFile> unsynced = new ArrayDeque<>();

  private boolean unsyncedOverflow;

  private LtxLog(Path dir, boolean syncAlways) {
    this.dir = dir;
    this.syncAlways = syncAlways;
  }

  /**
   * Opens the log of a database, made if it does not exist. Incomplete files at its end are
   * removed, leftovers of receiving too.
   */
  static LtxLog open(Path dir, boolean syncAlways) throws IOException {
    Files.createDirectories(dir);
    LtxLog ltxLog = new LtxLog(dir, syncAlways);
    ltxLog.scan();
    return ltxLog;
  }

  private void scan() throws IOException {
    TreeMap<Long, Long> found = new TreeMap<>();
    try (DirectoryStream<Path> files = Files.newDirectoryStream(dir)) {
      for (Path file : files) {
        Optional<LtxFileName> name = LtxFileName.parse(file.getFileName().toString());
        if (name.isPresent()) {
          // Of two files that begin with the same TXID the one that reaches further counts.
          found.merge(name.get().min().value(), name.get().max().value(), Math::max);
          fileCount++;
          byteCount += Files.size(file);
        } else if (file.getFileName().toString().endsWith(".tmp")) {
          Files.delete(file);
        }
      }
    }
    while (!found.isEmpty()) {
      Map.Entry<Long, Long> entry = found.lastEntry();
      Path file = path(entry.getKey(), entry.getValue());
      Optional<String> damage = damageOf(file);
      if (damage.isEmpty()) {
        break;
      }
      log.warn("removed the torn end of the log: {}: {}", file, damage.get());
      discard(file);
      found.remove(entry.getKey());
    }
    if (found.isEmpty()) {
      return;
    }
    last = found.lastEntry().getValue();
    first = found.lastKey();
    // The log begins where the unbroken chain that leads to its end begins; older files are of no
    // use.
    for (Map.Entry<Long, Long> entry : found.descendingMap().entrySet()) {
      if (entry.getValue() + 1 >= first || entry.getKey() == first) {
        first = Math.min(first, entry.getKey());
        if (!entry.getKey().equals(entry.getValue())) {
          spans.put(entry.getKey(), entry.getValue());
        }
      }
    }
  }

  /** Verifies a file whole; empty if it is sound. */
  private static Optional<String> damageOf(Path file) throws IOException {
    try (FileChannel in = FileChannel.open(file);
        LtxDecoder decoder = new LtxDecoder(in, file.toString())) {
      ByteBuffer page = ByteBuffer.allocate(decoder.header().pageSize());
      while (decoder.next(page) != 0) {
        // Only the checksums that the decoder verifies at the end matter.
      }
      return Optional.empty();
    } catch (io.litefs.ltx.LtxException e) {
      return Optional.of(e.getMessage());
    }
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
    if (last == 0) {
      return null;
    }
    for (Map.Entry<Long, Long> span : spans.descendingMap().entrySet()) {
      if (span.getValue() == last) {
        return path(span.getKey(), last);
      }
    }
    return path(last, last);
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
      files.add(path(txid, max));
      txid = max + 1;
    }
    return files;
  }

  Path temporaryFile() {
    return dir.resolve("incoming.tmp");
  }

  synchronized long fileCount() {
    return fileCount;
  }

  synchronized long byteCount() {
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

    void page(long pgno, ByteBuffer page) throws IOException {
      encoder.page(pgno, page);
    }

    /** Completes the file on the filesystem; it can still be aborted. */
    LtxTrailer finish(Checksum postApply) throws IOException {
      return encoder.finish(postApply);
    }

    /**
     * Makes the finished file part of the log; with durability {@code always} it is on disk when
     * this returns.
     */
    void append() throws IOException {
      if (syncAlways) {
        file.fdatasync();
        file.close();
      } else {
        addUnsynced(file);
      }
      appended(header.minTxid().value(), header.maxTxid().value(), written);
    }

    void abort() {
      file.close();
      try {
        Files.deleteIfExists(path);
      } catch (IOException e) {
        log.warn("cannot remove {}: {}", path, e.getMessage());
      }
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

  /** Takes back the file that was appended last. Its position must not have been published. */
  void revokeLast(Writer writer) {
    synchronized (this) {
      last = writer.header.minTxid().value() - 1;
      if (first > last) {
        first = 0;
        last = 0;
      }
      fileCount--;
      byteCount -= writer.written;
    }
    synchronized (unsynced) {
      unsynced.remove(writer.file);
    }
    writer.abort();
  }

  /** Takes a received and verified file into the log under its final name. */
  void adopt(Path temporary, LtxHeader header) throws IOException {
    Path target = path(header.minTxid().value(), header.maxTxid().value());
    long size = Files.size(temporary);
    if (syncAlways) {
      try (PosixFile file = PosixFile.open(temporary, PosixFile.O_RDWR, MODE)) {
        file.fdatasync();
      }
    }
    Files.move(temporary, target, StandardCopyOption.ATOMIC_MOVE);
    if (!syncAlways) {
      addUnsynced(PosixFile.open(target, PosixFile.O_RDWR, MODE));
    }
    if (header.isSnapshot()) {
      synchronized (this) {
        dropBefore(header.minTxid().value(), header.maxTxid().value());
      }
    }
    appended(header.minTxid().value(), header.maxTxid().value(), size);
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
  }

  /** A snapshot replaces all that was there: removes every other file. Caller holds this. */
  private void dropBefore(long min, long max) throws IOException {
    try (DirectoryStream<Path> files = Files.newDirectoryStream(dir, "*.ltx")) {
      for (Path file : files) {
        if (!file.equals(path(min, max))) {
          Files.deleteIfExists(file);
        }
      }
    }
    spans.clear();
    first = 0;
    last = 0;
    fileCount = 0;
    byteCount = 0;
  }

  private void addUnsynced(PosixFile file) {
    synchronized (unsynced) {
      if (unsynced.size() < MAX_UNSYNCED_OPEN) {
        unsynced.add(file);
        return;
      }
      unsyncedOverflow = true;
    }
    file.close();
  }

  /** Makes every transaction that is in the log durable. Any thread. */
  void sync() throws ErrnoException {
    synchronized (syncLock) {
      boolean all;
      List<PosixFile> files;
      synchronized (unsynced) {
        all = unsyncedOverflow;
        files = new ArrayList<>(unsynced);
        unsynced.clear();
        unsyncedOverflow = false;
      }
      try {
        if (all) {
          files.get(0).syncfs();
        } else {
          for (PosixFile file : files) {
            file.fdatasync();
          }
        }
      } finally {
        files.forEach(PosixFile::close);
      }
    }
  }

  boolean hasUnsynced() {
    synchronized (unsynced) {
      return !unsynced.isEmpty();
    }
  }

  /**
   * Removes files whose last change is before {@code cutoffMillis}, oldest first; the last file
   * stays, since it holds the position.
   *
   * @return how many were removed
   */
  int removeOlderThan(long cutoffMillis) throws IOException {
    int removed = 0;
    while (true) {
      Path file;
      long next;
      synchronized (this) {
        if (first == 0) {
          return removed;
        }
        long max = spans.getOrDefault(first, first);
        if (max >= last) {
          return removed;
        }
        file = path(first, max);
        next = max + 1;
      }
      try {
        if (Files.getLastModifiedTime(file).toMillis() >= cutoffMillis) {
          return removed;
        }
        long size = Files.size(file);
        synchronized (this) {
          spans.remove(first);
          first = next;
          fileCount--;
          byteCount -= size;
        }
        Files.delete(file);
        removed++;
      } catch (NoSuchFileException e) {
        synchronized (this) {
          spans.remove(first);
          first = next;
        }
      }
    }
  }

  private void discard(Path file) throws IOException {
    byteCount -= Files.size(file);
    fileCount--;
    Files.delete(file);
  }

  private Path path(long min, long max) {
    return dir.resolve(new LtxFileName(new Txid(min), new Txid(max)).toString());
  }

  void close() {
    try {
      sync();
    } catch (ErrnoException e) {
      log.error("cannot sync the log {}: {}", dir, e.getMessage());
    }
  }

  static FileChannel openForReading(Path file) throws IOException {
    return FileChannel.open(file, StandardOpenOption.READ);
  }
}
