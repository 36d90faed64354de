package io.litefs.store;

import io.litefs.ltx.LtxFileName;
import io.litefs.ltx.LtxHeader;
import io.litefs.ltx.Txid;
import io.litefs.posix.ErrnoException;
import io.litefs.posix.PosixFile;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.Iterator;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.TreeMap;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Which files a log consists of: an unbroken chain of them, to which transactions are added at the
 * end, from which retention takes at the beginning, and which a snapshot replaces. Files of one
 * transaction each are found by computing their names, so that the log costs no memory per
 * transaction; only files that span several (snapshots) are remembered.
 *
 * <p>Thread-safe, for one writer and any others. What is on disk is not its concern, except that a
 * snapshot is before what it replaces goes.
 */
final class LogFiles {

  private static final Logger log = LoggerFactory.getLogger(LogFiles.class);

  /** So many files are asked for their sizes before the log is open; it takes some 10 ms. */
  private static final long MEASURED_AT_START = 4096;

  /** Files that are measured while nobody can remove any. */
  private static final int MEASURED_AT_ONCE = 256;

  private final Path dir;
  private final LogDisk disk;

  /**
   * Held while a file leaves the log at its beginning, and while a snapshot replaces all: it must
   * not get the name of one that is about to be removed. Taken before this.
   */
  private final Object removing = new Object();

  /** How often a snapshot has replaced the log, or tried to. Guarded by {@link #removing}. */
  private long replacements;

  /** Files that span several transactions, by min TXID. Guarded by this. */
  private final TreeMap<Long, Long> spans = new TreeMap<>();

  /**
   * Files that were there at the start and are not yet part of {@link #bytes}, of all the last ones
   * first; null if there are none. Guarded by {@link #removing}.
   */
  private LogNames unmeasured;

  /** Smallest TXID that a file of the log begins with; 0 if the log is empty. Guarded by this. */
  private long first;

  /** Greatest TXID of the last file; 0 if the log is empty. Guarded by this. */
  private long last;

  /** Written under this; read without it, so that who looks on holds up no commit. */
  private volatile long count;

  /** As {@link #count}. */
  private volatile long bytes;

  /** As {@link #count}. */
  private volatile long appendedBytes;

  /**
   * @param scan what is there at the start
   */
  LogFiles(Path dir, LogDisk disk, LogScan scan) throws IOException {
    this.dir = dir;
    this.disk = disk;
    scan.end().ifPresent(end -> findChain(scan.files(), end.max().value()));
    count = scan.files().size();
    unmeasured = scan.files();
    if (count <= MEASURED_AT_START) {
      measure();
    }
  }

  /**
   * The log begins where the unbroken chain that leads to its end begins; older files are of no
   * use.
   */
  private synchronized void findChain(LogNames names, long end) {
    last = end;
    first = last + 1;
    for (LtxFileName each : names.descending()) {
      if (each.max().value() + 1 >= first) {
        first = Math.min(first, each.min().value());
        if (!each.min().equals(each.max())) {
          spans.put(each.min().value(), each.max().value());
        }
      }
    }
  }

  /**
   * Sees to it that {@link #bytes} counts the files that were there at the start, too; their number
   * can be such that to ask for their sizes takes seconds.
   */
  void measure() throws IOException {
    boolean more = true;
    while (more) {
      more = measureSome();
    }
  }

  /** Returns whether there are more; others may remove files in between. */
  private boolean measureSome() throws IOException {
    synchronized (removing) {
      if (unmeasured == null) {
        return false;
      }
      for (int i = 0; i < MEASURED_AT_ONCE && !unmeasured.isEmpty(); i++) {
        LtxFileName name = unmeasured.last();
        long size = sizeOf(path(name));
        unmeasured.remove(name);
        synchronized (this) {
          bytes += size;
        }
      }
      if (unmeasured.isEmpty()) {
        unmeasured = null;
      }
      return unmeasured != null;
    }
  }

  private static long sizeOf(Path file) throws IOException {
    try {
      return Files.size(file);
    } catch (NoSuchFileException e) {
      return 0; // somebody has removed it
    }
  }

  /**
   * Whether the file is part of {@link #bytes}; it is about to go. Guarded by {@link #removing}.
   */
  private boolean takeMeasured(LtxFileName name) {
    if (unmeasured == null || !unmeasured.contains(name)) {
      return true;
    }
    unmeasured.remove(name);
    return false;
  }

  // ------------------------------------------------- what is there

  /** Where the file with these transactions is or will be. */
  Path path(LtxHeader header) {
    return path(new LtxFileName(header.minTxid(), header.maxTxid()));
  }

  private Path path(long min, long max) {
    return path(new LtxFileName(new Txid(min), new Txid(max)));
  }

  private Path path(LtxFileName name) {
    return dir.resolve(name.toString());
  }

  long count() {
    return count;
  }

  /** What the files take; after a start behind very many too little until {@link #measure} ends. */
  long bytes() {
    return bytes;
  }

  /** Bytes that were appended since the log was opened. */
  long appendedBytes() {
    return appendedBytes;
  }

  /** The last file; null if the log is empty. */
  synchronized Path last() {
    return to(last);
  }

  /**
   * The file that ends with the transaction {@code txid}, if one does; null if the log does not
   * have it.
   */
  synchronized Path to(long txid) {
    if (last == 0 || txid < first || txid > last) {
      return null;
    }
    for (Map.Entry<Long, Long> span : spans.descendingMap().entrySet()) {
      if (span.getValue() == txid) {
        return path(span.getKey(), txid);
      }
    }
    return path(txid, txid);
  }

  /**
   * The file that holds the transaction {@code txid} at its beginning; null if the log has none.
   */
  Path from(long txid) {
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

  /**
   * Those that end beyond {@code after}, in order. They are looked up one after the other: there
   * may be hundreds of thousands. Those that are appended meanwhile do not appear.
   */
  Iterable<Path> beyond(long after) {
    return () -> new Beyond(after);
  }

  private final class Beyond implements Iterator<Path> {
    private final long end;

    /** Of the next file; beyond the end if there is none. */
    private long min;

    private long max;

    Beyond(long after) {
      synchronized (LogFiles.this) {
        long begin = Math.max(first, after + 1);
        Map.Entry<Long, Long> span = spans.floorEntry(begin);
        find(span != null && span.getValue() >= begin ? span.getKey() : begin);
        end = last;
      }
    }

    private void find(long begin) {
      min = begin;
      synchronized (LogFiles.this) {
        max = spans.getOrDefault(begin, begin);
      }
    }

    @Override
    public boolean hasNext() {
      return min <= end;
    }

    @Override
    public Path next() {
      if (!hasNext()) {
        throw new NoSuchElementException();
      }
      Path file = path(min, max);
      find(max + 1);
      return file;
    }
  }

  /**
   * What lies between two TXIDs, from the files' directory entries. Takes no lock.
   *
   * @param after what a replica has; less than {@code upTo}
   */
  Behind behind(long after, long upTo) {
    long transactions = upTo - after;
    long looked = Math.min(transactions, Behind.EXACT);
    long found = 0;
    long size = 0;
    long since = 0;
    for (long txid = after + 1; txid <= after + looked; txid++) {
      try {
        BasicFileAttributes file =
            Files.readAttributes(path(txid, txid), BasicFileAttributes.class);
        found++;
        size += file.size();
        if (txid == after + 1) {
          since = file.lastModifiedTime().toMillis();
        }
      } catch (IOException e) {
        continue; // removed, or part of a file that spans several
      }
    }
    long all = found == 0 ? 0 : Math.round((double) size / found * transactions);
    return new Behind(transactions, all, since);
  }

  // ------------------------------------------------- the end

  /** A file that is complete under its name is the last one now. */
  synchronized void appended(LtxHeader header, long size) {
    if (first == 0) {
      first = header.minTxid().value();
    }
    last = header.maxTxid().value();
    if (!header.minTxid().equals(header.maxTxid())) {
      spans.put(header.minTxid().value(), header.maxTxid().value());
    }
    count++;
    bytes += size;
    appendedBytes += size;
  }

  /** The last file is not part of the log any more. */
  synchronized void revoked(LtxHeader header, long size) {
    last = header.minTxid().value() - 1;
    if (first > last) {
      first = 0;
      last = 0;
    }
    count--;
    bytes -= size;
  }

  /**
   * Takes a snapshot, whose contents are on disk, in place of all that is there. If this fails, the
   * log is as before.
   */
  void replaceBy(Path temporary, LtxHeader header) throws IOException {
    Path snapshot = path(header);
    long size = Files.size(temporary);
    synchronized (removing) {
      replacements++;
      Files.move(temporary, snapshot, StandardCopyOption.ATOMIC_MOVE);
      try {
        PosixFile.syncDirectory(dir);
      } catch (ErrnoException e) {
        tryToRemove(snapshot);
        throw e;
      }
      synchronized (this) {
        spans.clear();
        first = 0;
        count = 0;
        bytes = 0;
        appended(header, size);
      }
      unmeasured = null;
      removeAllBut(snapshot);
    }
  }

  /**
   * Removes what a snapshot replaces, the newest first: wherever this ends early, what is left
   * beyond the snapshot begins right behind it, and is found not to follow it. The log is right
   * also if this fails; then the next start or snapshot removes the rest.
   */
  private void removeAllBut(Path snapshot) {
    try {
      LogNames replaced = LogNames.in(dir);
      for (LtxFileName name : replaced.descending()) {
        Path file = path(name);
        if (!file.equals(snapshot)) {
          disk.remove(file);
        }
      }
    } catch (IOException e) {
      log.warn("cannot remove what {} replaces: {}", snapshot, e.getMessage());
    }
  }

  /** Whoever calls this has a failure to report already. */
  static void tryToRemove(Path file) {
    try {
      Files.deleteIfExists(file);
    } catch (IOException e) {
      log.warn("cannot remove {}: {}", file, e.getMessage());
    }
  }

  // ------------------------------------------------- the beginning

  /** Whether a file that is neither the last one nor younger than the cutoff is still there. */
  boolean holdOlderThan(long cutoffMillis) throws IOException {
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
   * What must stay, asked anew after a snapshot has replaced the log: one that goes back behind the
   * base, and what follows it, has the TXIDs of files that the base made superfluous. Guarded by
   * {@link #removing}.
   */
  private final class Bound {
    private final LtxLog.Needed needed;
    private long askedAt = -1;
    private long txid;

    Bound(LtxLog.Needed needed) {
      this.needed = needed;
    }

    long txid() throws IOException {
      if (askedAt != replacements) {
        txid = needed.txid();
        askedAt = replacements;
      }
      return txid;
    }
  }

  /** See {@link LtxLog#removeOlderThan}. */
  int removeOlderThan(long cutoffMillis, LtxLog.Needed needed) throws IOException {
    int removed = 0;
    Bound bound = new Bound(needed);
    while (removeFirst(cutoffMillis, bound)) {
      removed++;
    }
    return removed;
  }

  /** See {@link LtxLog#removeBeyond}. */
  int removeBeyond(long maxBytes, LtxLog.Needed needed) throws IOException {
    int removed = 0;
    Bound bound = new Bound(needed);
    while (bytes > maxBytes && removeFirst(Long.MAX_VALUE, bound)) {
      removed++;
    }
    return removed;
  }

  /**
   * Removes the first file if its last change is before {@code cutoffMillis}. The last file stays,
   * since it holds the position; so does the one that leads to the base, which holds it if all that
   * follows is {@link #revoked}.
   *
   * @return whether it did
   */
  private boolean removeFirst(long cutoffMillis, Bound bound) throws IOException {
    synchronized (removing) {
      LtxFileName name;
      long baseTxid = bound.txid();
      synchronized (this) {
        long max = spans.getOrDefault(first, first);
        if (first == 0 || max >= last || max >= baseTxid) {
          return false;
        }
        name = new LtxFileName(new Txid(first), new Txid(max));
      }
      Path file = path(name);
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
      boolean measured = takeMeasured(name);
      synchronized (this) {
        spans.remove(first);
        first = name.max().value() + 1;
        count--;
        bytes -= measured ? size : 0;
      }
      disk.remove(file);
      return true;
    }
  }

  /** See {@link LtxLog#setAside}. */
  void setAside(long after, long upTo, Path to) throws IOException {
    Files.createDirectories(to);
    for (Path file : beyond(after)) {
      LtxFileName name = LtxFileName.parse(file.getFileName().toString()).orElseThrow();
      if (name.max().value() > upTo) {
        break;
      }
      long size = Files.size(file);
      boolean measured;
      synchronized (removing) {
        measured = takeMeasured(name);
      }
      synchronized (this) {
        bytes -= measured ? size : 0;
        count--;
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
}
