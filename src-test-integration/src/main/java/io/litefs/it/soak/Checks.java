package io.litefs.it.soak;

import io.litefs.it.Commands;
import io.litefs.it.DatabaseImage;
import io.litefs.it.Node;
import io.litefs.it.Position;
import io.litefs.ltx.LtxDecoder;
import io.litefs.ltx.LtxFileName;
import io.litefs.ltx.LtxVerifier;
import io.litefs.ltx.PageChecksum;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * What must hold when all is quiet. Each violation is an {@link AssertionError} that says which.
 */
final class Checks {

  private static final Duration LIMIT = Duration.ofSeconds(30);
  private static final Pattern TRANSACTION = Pattern.compile("\\d+:\\d+");

  private Checks() {}

  /** What SQLite reads from a file: the transactions in it, and a digest of all its content. */
  record Reading(List<String> transactions, String digest) {

    /**
     * Reads with a new connection of the shell.
     *
     * @param where for messages
     */
    static Reading of(Path database, String where) {
      Commands.Result result =
          Commands.run(
              LIMIT,
              Map.of(),
              List.of(
                  "sqlite3",
                  "-batch",
                  "-cmd",
                  ".timeout 20000",
                  database.toString(),
                  Workload.CHECK + ";\nSELECT '----'",
                  ".sha3sum"));
      List<String> lines = result.output().lines().toList();
      int end = lines.indexOf("----");
      if (result.exitCode() != 0 || end < 0 || lines.size() != end + 2) {
        throw new AssertionError(where + " cannot be read: " + result.output());
      }
      if (!lines.get(0).equals("ok")) {
        throw new AssertionError(where + " is damaged: " + lines.subList(0, end));
      }
      List<String> transactions = lines.subList(1, end);
      for (String line : transactions) {
        if (!TRANSACTION.matcher(line).matches()) {
          throw new AssertionError(where + ": " + line);
        }
      }
      return new Reading(transactions, lines.get(end + 1));
    }
  }

  /**
   * Primary and replica hold the same, their positions say so, and SQLite reads it on both.
   *
   * @return the transactions that are there, and where
   */
  static Map.Entry<Reading, Position> same(Node primary, Node replica, String db) {
    // First, since the first connection rolls back what a dead writer left.
    Reading seen = Reading.of(primary.db(db), db + " on the primary");
    Position pos = primary.pos(db);
    replica.awaitPos(db, pos, LIMIT);
    DatabaseImage image = primary.export(db);
    DatabaseImage copy = replica.export(db);
    try {
      requireChecksum(image, pos, db + " on the primary");
      requirePosition(primary, db, pos);
      requirePosition(replica, db, pos);
      image.assertSameBytes(copy);
      requireSame(Reading.of(image.file(), db + " exported by the primary"), seen, db, "export");
      requireSame(
          Reading.of(replica.db(db), db + " on the replica"), seen, db, "the replica's mount");
      if (rollbackJournal(image) && !hasWal(primary, db) && !hasWal(replica, db)) {
        image.assertSameBytesAsBeginningOf(new DatabaseImage(primary.db(db)));
        image.assertSameBytes(new DatabaseImage(replica.db(db)));
      }
      requirePosition(primary, db, pos);
    } finally {
      // On failure the evidence has the files that they were made from.
      image.delete();
      copy.delete();
    }
    return Map.entry(seen, pos);
  }

  private static void requirePosition(Node node, String db, Position pos) {
    Position now = node.pos(db);
    if (!now.equals(pos)) {
      throw new AssertionError(
          db + ": " + node.home().getFileName() + " moved from " + pos + " to " + now);
    }
  }

  private static void requireSame(Reading one, Reading other, String db, String what) {
    if (!one.equals(other)) {
      List<String> only = new ArrayList<>(one.transactions());
      only.removeAll(other.transactions());
      List<String> missing = new ArrayList<>(other.transactions());
      missing.removeAll(one.transactions());
      throw new AssertionError(
          db
              + ": "
              + what
              + " reads differently from the primary's mount: more "
              + only
              + ", less "
              + missing);
    }
  }

  /** The checksum of the pages, by both implementations, is the position's. */
  static void requireChecksum(DatabaseImage image, Position pos, String where) {
    long sum = image.checksum();
    long other = ltxChecksum(image);
    if (sum != other) {
      throw new AssertionError(
          where
              + ": "
              + Long.toHexString(sum)
              + " and "
              + Long.toHexString(other)
              + " are checksums of the same file");
    }
    if (sum != pos.checksum()) {
      throw new AssertionError(
          where + " is at " + pos + ", but its pages have checksum " + Long.toHexString(sum));
    }
  }

  private static long ltxChecksum(DatabaseImage image) {
    int pageSize = image.pageSize();
    ByteBuffer page = ByteBuffer.allocateDirect(pageSize);
    long sum = 0;
    try (FileChannel in = FileChannel.open(image.file())) {
      long pages = in.size() / pageSize;
      for (long pgno = 1; pgno <= pages; pgno++) {
        page.clear();
        while (page.hasRemaining() && in.read(page) > 0) {
          // until it is full
        }
        if (pgno != 0x40000000L / pageSize + 1) {
          sum ^= PageChecksum.of(pgno, page.flip());
        }
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return sum | 1L << 63;
  }

  /** Connections that have not noticed that the database left WAL mode find in it what is new. */
  private static boolean hasWal(Node node, String db) {
    try {
      return Files.size(node.db(db + "-wal")) > 0;
    } catch (NoSuchFileException e) {
      return false;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static boolean rollbackJournal(DatabaseImage image) {
    try (var in = Files.newInputStream(image.file())) {
      return in.readNBytes(20)[18] == 1;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** No stack trace, nothing quarantined, in the log since {@code from} (in characters). */
  static void quietLog(Node node) {
    Matcher trace = Pattern.compile("(?m)^\\tat .*").matcher(node.log());
    if (trace.find()) {
      throw new AssertionError(
          "a stack trace in the log of " + node.home().getFileName() + ": " + trace.group());
    }
    Path quarantine = node.data().resolve("quarantine");
    if (Files.isDirectory(quarantine)) {
      try (Stream<Path> files = Files.list(quarantine)) {
        List<Path> found = files.toList();
        if (!found.isEmpty()) {
          throw new AssertionError("quarantined: " + found);
        }
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
  }

  /**
   * The .ltx files of a stopped node follow on each other without a gap, are sound, and end at
   * {@code pos}.
   */
  static void unbrokenLog(Node node, String db, Position pos) {
    String where = "the log of " + db + " on " + node.home().getFileName();
    LtxVerifier.Summary last = null;
    for (String name : node.ltxFiles(db)) {
      Path file = node.backing(db, "ltx").resolve(name);
      try (LtxDecoder decoder = new LtxDecoder(FileChannel.open(file), file.toString())) {
        LtxVerifier.Summary summary = LtxVerifier.verify(decoder);
        if (last != null) {
          LtxVerifier.checkFollows(last, summary);
        }
        last = summary;
      } catch (IOException e) {
        throw new AssertionError(
            where + ": " + e.getMessage() + "; it has " + node.ltxFiles(db), e);
      }
    }
    if (last == null) {
      throw new AssertionError(where + " is empty and not at " + pos);
    }
    String end = last.position().toString();
    if (!end.equals(pos.toString())) {
      throw new AssertionError(where + " ends at " + end + " and not at " + pos);
    }
  }

  /** The names of .ltx files of a running node leave no TXID out. */
  static void noGap(Node node, String db) {
    long next = 0;
    List<String> names = node.ltxFiles(db);
    for (String name : names) {
      LtxFileName parsed = LtxFileName.parse(name).orElseThrow(() -> new AssertionError(name));
      if (next != 0 && parsed.min().value() > next) {
        throw new AssertionError(
            "a gap in the log of "
                + db
                + " on "
                + node.home().getFileName()
                + " before "
                + name
                + ": "
                + names);
      }
      next = Math.max(next, parsed.max().value() + 1);
    }
  }

  static String read(Path file) {
    try {
      return Files.readString(file, StandardCharsets.UTF_8);
    } catch (IOException e) {
      return "(" + e.getMessage() + ")";
    }
  }
}
