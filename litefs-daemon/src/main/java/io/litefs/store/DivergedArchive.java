package io.litefs.store;

import io.litefs.ltx.Pos;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Properties;

/**
 * What a node kept of a database before it took another history over: one directory {@code
 * diverged/<database>/<time>/} of the data directory.
 *
 * <pre>
 *   README               what happened and how to look inside, for a human
 *   archive.properties   the fields of this record
 *   ltx/                 the LTX files that the node had
 *   database             the database as SQLite sees it at {@link #databasePos} (Content.DATABASE)
 *   pages.ltx            pages that differ from the primary's snapshot (Content.PAGES)
 * </pre>
 *
 * @param database its name
 * @param time when the archive was made, UTC, as {@code 20060102T150405.000Z}
 * @param path the directory
 * @param reason why the histories count as different
 * @param position where this node was
 * @param agreed the last position known to be a primary's; null if all of it was received from one
 * @param primaryPosition what the primary had instead; null if it had no such database
 * @param primaryNode id of the primary, as in the header {@code Litefs-Id}
 * @param clusterId of the cluster; empty if unknown
 * @param pageSize bytes
 * @param pageCount pages at {@code position}, 0 if the database was dropped there
 * @param content what there is besides LTX files
 * @param databasePos position of the file {@code database}; null without one. LTX files beyond it
 *     lead to {@code position}
 * @param bytes size of the archive
 */
public record DivergedArchive(
    String database,
    String time,
    Path path,
    Reason reason,
    Pos position,
    Pos agreed,
    Pos primaryPosition,
    String primaryNode,
    String clusterId,
    int pageSize,
    long pageCount,
    Content content,
    Pos databasePos,
    long bytes) {

  static final String README = "README";
  static final String PROPERTIES = "archive.properties";
  static final String LTX = "ltx";
  static final String DATABASE = "database";
  static final String PAGES = "pages.ltx";

  /** Why the histories count as different. */
  public enum Reason {
    /** This node has more transactions than the primary. */
    AHEAD("this node had transactions beyond the primary's last one"),
    /** The same TXID stands for different contents. */
    DIFFERENT("this node and the primary had different contents under the same TXID"),
    /** Transactions were made here, and the primary is not known to have them. */
    OWN(
        "this node had made transactions of its own, and whether the primary has them could not be"
            + " told"),
    /** The primary has no such database. */
    UNKNOWN_TO_PRIMARY("the primary has no such database");

    private final String text;

    Reason(String text) {
      this.text = text;
    }

    /** For a human, as part of a sentence. */
    public String text() {
      return text;
    }

    /**
     * Compares a replica's position with that of the snapshot it is sent.
     *
     * @param agreed see {@link AgreedPositions#of}
     * @return null if nothing is lost by taking the snapshot, as far as can be told
     */
    static Reason of(Pos own, Pos agreed, Pos snapshot) {
      if (own.equals(Pos.ZERO) || own.equals(snapshot)) {
        return null;
      }
      int ahead = own.txid().compareTo(snapshot.txid());
      if (ahead > 0) {
        return AHEAD;
      }
      if (ahead == 0) {
        return DIFFERENT;
      }
      return agreed != null && own.txid().compareTo(agreed.txid()) > 0 ? OWN : null;
    }
  }

  /** What an archive holds besides LTX files. */
  public enum Content {
    /** The whole database. */
    DATABASE,
    /** Nothing: the LTX files lead from an empty database to the position. */
    LOG,
    /** Only the pages that differ from the primary's: the database exceeded the bound. */
    PAGES
  }

  /**
   * @throws StoreException if the directory is no archive
   */
  static DivergedArchive read(Path path) throws IOException {
    Properties fields = new Properties();
    Path file = path.resolve(PROPERTIES);
    try (InputStream in = Files.newInputStream(file)) {
      fields.load(in);
    }
    try {
      return new DivergedArchive(
          path.getParent().getFileName().toString(),
          path.getFileName().toString(),
          path,
          Reason.valueOf(required(fields, "reason")),
          Pos.parse(required(fields, "position")),
          pos(fields, "agreed"),
          pos(fields, "primary-position"),
          fields.getProperty("primary-node", ""),
          fields.getProperty("cluster", ""),
          Integer.parseInt(required(fields, "page-size")),
          Long.parseLong(required(fields, "page-count")),
          Content.valueOf(required(fields, "content")),
          pos(fields, "database-position"),
          DurableFiles.sizeOfTree(path));
    } catch (IllegalArgumentException e) {
      throw new StoreException(file + " cannot be read: " + e.getMessage(), e);
    }
  }

  private static String required(Properties fields, String key) {
    String value = fields.getProperty(key);
    if (value == null) {
      throw new IllegalArgumentException(key + " is missing");
    }
    return value;
  }

  private static Pos pos(Properties fields, String key) {
    String text = fields.getProperty(key, "");
    return text.isEmpty() ? null : Pos.parse(text);
  }

  Properties fields() {
    Properties fields = new Properties();
    fields.setProperty("reason", reason.name());
    fields.setProperty("position", position.toString());
    fields.setProperty("agreed", text(agreed));
    fields.setProperty("primary-position", text(primaryPosition));
    fields.setProperty("primary-node", primaryNode);
    fields.setProperty("cluster", clusterId);
    fields.setProperty("page-size", Integer.toString(pageSize));
    fields.setProperty("page-count", Long.toString(pageCount));
    fields.setProperty("content", content.name());
    fields.setProperty("database-position", text(databasePos));
    return fields;
  }

  private static String text(Pos pos) {
    return pos == null ? "" : pos.toString();
  }
}
