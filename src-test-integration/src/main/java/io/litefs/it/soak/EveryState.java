package io.litefs.it.soak;

import io.litefs.it.DatabaseImage;
import io.litefs.it.Node;
import io.litefs.it.Position;
import io.litefs.ltx.LtxDecoder;
import io.litefs.ltx.LtxFileName;
import io.litefs.ltx.LtxHeader;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;

/**
 * Follows one database's log on a replica, transaction by transaction, and reads each state with
 * SQLite: what was captured as a transaction must be one, even if the next one puts right what is
 * wrong in it. A reader of the replica sees such a state for some milliseconds, if at all.
 */
final class EveryState implements AutoCloseable {

  private static final int MAX_PAGE_SIZE = 65536;

  private final Node node;
  private final String db;
  private final Path image;

  /** Where the image is; null if it must be fetched from the node. */
  private Position at;

  /**
   * @param image a file that this makes and removes
   */
  EveryState(Node node, String db, Path image) {
    this.node = node;
    this.db = db;
    this.image = image;
  }

  /**
   * Looks at all states since the last call. The node must be quiet, and running. Where its log no
   * longer has what follows, it goes on from the node's present state.
   *
   * @return how many states it has looked at
   * @throws AssertionError if one of them is not whole
   */
  int follow() {
    try {
      int seen = 0;
      for (String name : node.ltxFiles(db)) {
        LtxFileName parsed = LtxFileName.parse(name).orElseThrow(() -> new AssertionError(name));
        if (at != null && parsed.min().value() == at.txid() + 1 && apply(name)) {
          check(name);
          seen++;
        }
      }
      Position end = node.pos(db);
      if (!end.equals(at)) {
        DatabaseImage exported = node.export(db);
        Files.move(exported.file(), image, StandardCopyOption.REPLACE_EXISTING);
        at = end;
      }
      return seen;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** False if retention was faster, or the file belongs to another history. */
  private boolean apply(String name) throws IOException {
    Path file = node.backing(db, "ltx").resolve(name);
    try (LtxDecoder decoder = new LtxDecoder(FileChannel.open(file), name);
        FileChannel out =
            FileChannel.open(image, StandardOpenOption.WRITE, StandardOpenOption.CREATE)) {
      LtxHeader header = decoder.header();
      if (!header.isSnapshot() && header.preApply().value() != at.checksum()) {
        return false;
      }
      ByteBuffer page = ByteBuffer.allocateDirect(MAX_PAGE_SIZE);
      for (long pgno = decoder.next(page.clear()); pgno != 0; pgno = decoder.next(page.clear())) {
        for (long offset = (pgno - 1) * header.pageSize(); page.hasRemaining(); ) {
          offset += out.write(page, offset);
        }
      }
      out.truncate(header.commit() * header.pageSize());
      at = new Position(header.maxTxid().value(), decoder.trailer().postApply().value());
      return true;
    } catch (NoSuchFileException e) {
      return false;
    }
  }

  private void check(String name) throws IOException {
    if (Files.size(image) == 0) {
      return; // dropped
    }
    List<String> wrong = new ArrayList<>();
    try (Connection connection =
            DriverManager.getConnection("jdbc:sqlite:file:" + image + "?immutable=1");
        Statement statement = connection.createStatement()) {
      for (String row : rows(statement, "PRAGMA integrity_check(3)")) {
        if (!row.equals("ok")) {
          wrong.add(row);
        }
      }
      // While the schema is being made there is nothing to look at.
      if (wrong.isEmpty() && isMade(statement)) {
        for (String query : Workload.SNAPSHOT_CHECKS) {
          wrong.addAll(rows(statement, query));
        }
      }
    } catch (SQLException e) {
      wrong.add(e.getMessage());
    }
    if (!wrong.isEmpty()) {
      throw new AssertionError(db + " after " + name + " is not whole: " + wrong);
    }
  }

  private static boolean isMade(Statement statement) throws SQLException {
    return rows(statement, "SELECT 1 FROM sqlite_master WHERE name = 'bank'").size() == 1
        && rows(statement, "SELECT k FROM bank").size() == 50;
  }

  private static List<String> rows(Statement statement, String query) throws SQLException {
    List<String> rows = new ArrayList<>();
    try (ResultSet result = statement.executeQuery(query)) {
      while (result.next()) {
        rows.add(result.getString(1));
      }
    }
    return rows;
  }

  @Override
  public void close() {
    try {
      Files.deleteIfExists(image);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
