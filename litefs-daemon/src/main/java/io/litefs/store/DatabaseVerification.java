package io.litefs.store;

import io.litefs.ltx.Checksum;
import io.litefs.ltx.LtxFileName;
import io.litefs.ltx.LtxHeader;
import io.litefs.ltx.PageChecksum;
import io.litefs.ltx.PageSize;
import io.litefs.ltx.Pos;
import io.litefs.ltx.Txid;
import io.litefs.sqlite.DatabaseHeader;
import io.litefs.sqlite.SqliteFormatException;
import io.litefs.sqlite.Wal;
import io.litefs.sqlite.WalHeader;
import io.litefs.sqlite.WalScanner;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * Verifies one database of a data directory: every LTX file, and whether the database has the
 * checksum of its position. Changes nothing.
 *
 * <p>Of a directory at rest the files themselves are read. After a crash they need not be at the
 * position yet; then what the next start will do is done here on paper, with checksums only: the
 * WAL's transactions are followed, or the log is played over the database.
 */
public final class DatabaseVerification {

  private static final String REMEDY =
      "on a replica, stop litefs and move the directory %s elsewhere: the database is fetched anew; on the primary, replace it by a replica's ('litefs export -url http://REPLICA:20202 -name %s FILE') or a backup with 'litefs import -name %s FILE'";

  private final Path dir;
  private final VerifyReport.Builder report;
  private final PageVerification.Pace pace;
  private final LogVerification log;

  private DatabaseVerification(Path dir, PageVerification.Pace pace) {
    this.dir = dir;
    this.pace = pace;
    this.report = new VerifyReport.Builder(dir.getFileName().toString());
    this.log = new LogVerification(dir.resolve("ltx"), report, pace);
  }

  /**
   * Verifies a database that no daemon uses.
   *
   * @param dir {@code dbs/<name>} of the data directory
   */
  public static VerifyReport atRest(Path dir, PageVerification.Pace pace)
      throws IOException, InterruptedException {
    DatabaseVerification verification = new DatabaseVerification(dir, pace);
    verification.log.atRest();
    verification.filesAtRest();
    return verification.report.build(verification.log.end());
  }

  /**
   * Verifies a database that a daemon serves: the LTX files up to an export's position, and the
   * export's content.
   *
   * @param export the database's bytes; null if it does not exist any more (or not yet)
   * @param size of the export in bytes
   */
  public static VerifyReport atWork(
      Path dir, Pos pos, InputStream export, long size, PageVerification.Pace pace)
      throws IOException, InterruptedException {
    DatabaseVerification verification = new DatabaseVerification(dir, pace);
    if (export != null) {
      verification.exported(pos, export, size);
    }
    verification.log.atWork(export == null ? new Txid(Long.MAX_VALUE) : pos.txid());
    return verification.report.build(export == null ? verification.log.end() : pos);
  }

  /** About how many bytes {@link #atRest} reads. */
  public static long bytes(Path dir) throws IOException {
    long bytes = sizeOf(dir.resolve("database"));
    Path log = dir.resolve("ltx");
    for (LtxFileName name : LogVerification.files(log)) {
      bytes += sizeOf(log.resolve(name.toString()));
    }
    return bytes;
  }

  private static long sizeOf(Path file) throws IOException {
    return Files.exists(file) ? Files.size(file) : 0;
  }

  // ------------------------------------------------------------ at work

  private void exported(Pos pos, InputStream in, long size)
      throws IOException, InterruptedException {
    StreamPages pages = new StreamPages(in, size);
    Checksum actual = PageVerification.checksumOf(pages, pace);
    report.pages(pages.pageCount());
    if (!actual.equals(pos.checksum())) {
      wrongPages(actual, pos);
    }
  }

  /** Pages that come one after the other. */
  private static final class StreamPages implements PageVerification.Pages {
    private final InputStream in;
    private final byte[] bytes;
    private final int pageSize;
    private final long pageCount;
    private int ahead;

    StreamPages(InputStream in, long size) throws IOException {
      this.in = in;
      byte[] header = in.readNBytes(DatabaseHeader.SIZE);
      try {
        pageSize = DatabaseHeader.parse(ByteBuffer.wrap(header)).pageSize();
      } catch (SqliteFormatException e) {
        throw new StoreException("the export is no database: " + e.getMessage(), e);
      }
      pageCount = size / pageSize;
      bytes = new byte[pageSize];
      System.arraycopy(header, 0, bytes, 0, header.length);
      ahead = header.length;
    }

    @Override
    public int pageSize() {
      return pageSize;
    }

    @Override
    public long pageCount() {
      return pageCount;
    }

    /** The lock page is not asked for, but is there. */
    @Override
    public ByteBuffer read(long pgno) throws IOException {
      if (pgno == new PageSize(pageSize).lockPage() + 1) {
        in.skipNBytes(pageSize);
      }
      if (in.readNBytes(bytes, ahead, pageSize - ahead) < pageSize - ahead) {
        throw new EOFException("the export ended early, in page " + pgno);
      }
      ahead = 0;
      return ByteBuffer.wrap(bytes);
    }
  }

  // ------------------------------------------------------------ at rest

  private void filesAtRest() throws IOException, InterruptedException {
    Path file = dir.resolve("database");
    LtxHeader last = log.last();
    Base base = ChecksumFile.readBase(dir).orElse(null);
    if (base != null && isBeyondLog(base, last)) {
      compareWithBase(file, base);
      return;
    }
    if (last == null) {
      noteUnlogged(file);
      return;
    }
    if (last.commit() == 0) {
      return; // Dropped; a file that is still there goes at the next start.
    }
    if (isHot(dir.resolve("journal"))) {
      report.note(
          dir.resolve("journal"),
          "a transaction that never ended is in the journal; the pages were not compared",
          "start litefs, which rolls it back, and verify again");
      return;
    }
    FilePages table = new FilePages(last.pageSize());
    if (Files.exists(file)) {
      table.readDatabase(file);
    }
    report.pages(last.commit());
    if (table.isAt(last.commit(), log.end())) {
      return;
    }
    if (table.followWal(dir.resolve("wal"), last.commit(), log.end())) {
      return;
    }
    Checksum actual = table.checksum(last.commit());
    if (base != null && base.clean() && base.state().pos().equals(log.end())) {
      wrongPages(actual, log.end()); // The next start has nothing to play.
      return;
    }
    table.play(log.pages());
    if (table.isAt(last.commit(), log.end())) {
      report.note(
          file,
          "it is not at position %s yet, as after a crash; the log leads there"
              .formatted(log.end()),
          "the next start brings it there");
    } else {
      wrongPages(actual, log.end());
    }
  }

  /** See {@link Recovery}: whether the log lacks files that led to the base. */
  private boolean isBeyondLog(Base base, LtxHeader last) {
    return base.state().exists()
        && (last == null
            || base.state().pos().txid().compareTo(log.end().txid()) > 0 && !last.isSnapshot());
  }

  private void compareWithBase(Path file, Base base) throws IOException, InterruptedException {
    Pos pos = base.state().pos();
    long count = base.state().pageCount();
    FilePages table = new FilePages(base.state().pageSize());
    if (Files.exists(file)) {
      table.readDatabase(file);
    }
    report.pages(count);
    Checksum actual = table.checksum(count);
    if (table.isAt(count, pos) || table.followWal(dir.resolve("wal"), count, pos)) {
      report.note(
          file,
          "it is at position %s, to which the log does not lead any more".formatted(pos),
          "the next start makes a new log of the database");
    } else {
      wrongPages(actual, pos);
    }
  }

  private void noteUnlogged(Path file) throws IOException {
    if (sizeOf(file) > 0) {
      report.note(
          file,
          log.end().equals(Pos.ZERO)
              ? "it has no transactions (LTX files), so there is nothing to compare it with"
              : "the last LTX file is damaged, so there is nothing to compare it with",
          log.end().equals(Pos.ZERO)
              ? "the next start makes its first transaction of it"
              : "see the damage of that file");
    }
  }

  private static boolean isHot(Path journal) throws IOException {
    if (sizeOf(journal) == 0) {
      return false;
    }
    try (InputStream in = Files.newInputStream(journal)) {
      return in.read() > 0;
    }
  }

  /** Reads until the buffer is full or the file ends. */
  private static int readMost(FileChannel in, ByteBuffer into, long offset) throws IOException {
    int count = 0;
    while (into.hasRemaining()) {
      int n = in.read(into, offset + count);
      if (n <= 0) {
        break;
      }
      count += n;
    }
    return count;
  }

  private void wrongPages(Checksum actual, Pos pos) {
    String name = report.database();
    report.damage(
        dir.resolve("database"),
        "its pages have checksum %s, not that of position %s".formatted(actual, pos),
        REMEDY.formatted(dir, name, name));
  }

  /** Checksums of the pages as they would be if the files were brought together. */
  private final class FilePages {
    private final int pageSize;
    private final long lockPage;
    private final PageTable table = new PageTable();

    /** Of all pages in the table. */
    private long sum;

    FilePages(int pageSize) {
      this.pageSize = pageSize;
      this.lockPage = new PageSize(pageSize).lockPage();
    }

    void readDatabase(Path file) throws IOException, InterruptedException {
      ByteBuffer page = ByteBuffer.allocateDirect(pageSize);
      try (FileChannel in = FileChannel.open(file)) {
        long fileCount = in.size() / pageSize;
        for (long pgno = 1; pgno <= fileCount; pgno++) {
          readMost(in, page.clear(), (pgno - 1) * pageSize);
          if (pgno != lockPage) {
            put(pgno, PageChecksum.of(pgno, page.flip()));
          }
          pace.read(pageSize);
        }
      }
    }

    private void put(long pgno, long checksum) {
      sum ^= table.get(pgno) ^ checksum;
      table.put(pgno, checksum);
    }

    private void truncate(long count) {
      for (long pgno = table.next(count + 1); pgno != 0; pgno = table.next(pgno + 1)) {
        sum ^= table.get(pgno);
      }
      table.truncate(count);
    }

    /** The checksum of the first {@code count} pages. */
    Checksum checksum(long count) {
      long checksum = 0;
      for (long pgno = table.next(1); pgno != 0 && pgno <= count; pgno = table.next(pgno + 1)) {
        checksum ^= table.get(pgno);
      }
      return new Checksum(checksum | Checksum.FLAG);
    }

    boolean isAt(long count, Pos pos) {
      return checksum(count).equals(pos.checksum());
    }

    /** Whether some transaction of the WAL leads to the position. */
    boolean followWal(Path wal, long count, Pos pos) throws IOException {
      if (sizeOf(wal) < Wal.HEADER_SIZE) {
        return false;
      }
      try (FileChannel in = FileChannel.open(wal)) {
        ByteBuffer beginning = ByteBuffer.allocate(Wal.HEADER_SIZE);
        readMost(in, beginning, 0);
        WalHeader header = WalHeader.parse(beginning.flip());
        if (header.pageSize() != pageSize) {
          return false;
        }
        WalScanner scanner = new WalScanner(header);
        scanner.begin(
            (into, at) -> readMost(in, into, at), header.start(), Long.MAX_VALUE, Long.MAX_VALUE);
        PageTable transaction = new PageTable();
        while (scanner.next()) {
          if (scanner.pgno() != lockPage) {
            transaction.put(scanner.pgno(), PageChecksum.of(scanner.pgno(), scanner.page()));
          }
          if (scanner.commit() != 0) {
            play(transaction);
            transaction.clear();
            truncate(scanner.commit());
            if (scanner.commit() == count && pos.checksum().value() == (sum | Checksum.FLAG)) {
              return true;
            }
          }
        }
        return false;
      } catch (SqliteFormatException e) {
        return false; // To SQLite, and to recovery, it is an empty one.
      }
    }

    /** Puts newer versions of pages over those that there are. */
    void play(PageTable logged) {
      for (long pgno = logged.next(1); pgno != 0; pgno = logged.next(pgno + 1)) {
        put(pgno, logged.get(pgno));
      }
    }
  }
}
