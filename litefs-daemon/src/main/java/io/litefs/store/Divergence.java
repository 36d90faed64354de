package io.litefs.store;

import io.litefs.ltx.LtxHeader;
import io.litefs.ltx.Pos;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.LongAdder;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Keeps what only this node has before it takes a primary's history over (decision 40). Called on
 * the stream's thread with a verified snapshot that is not in the log yet, and before a database is
 * given up that the primary does not have.
 */
public final class Divergence {

  private static final Logger log = LoggerFactory.getLogger(Divergence.class);

  private final StoreOptions options;
  private final AgreedPositions agreed;
  private final DivergedArchives archives;
  private final Map<String, LongAdder> counts = new ConcurrentHashMap<>();

  private volatile String primaryNode = "";
  private volatile String clusterId = "";

  Divergence(StoreOptions options, AgreedPositions agreed) throws IOException {
    this.options = options;
    this.agreed = agreed;
    this.archives = new DivergedArchives(options.dir());
    archives.removeUnfinished();
  }

  /** The archives that there are. */
  public DivergedArchives archives() {
    return archives;
  }

  /**
   * How often each database was found to have diverged since the daemon started, without those that
   * have not. The caller's own map.
   */
  public Map<String, Long> counts() {
    Map<String, Long> sums = new TreeMap<>();
    counts.forEach((database, count) -> sums.put(database, count.sum()));
    return sums;
  }

  /** Who sends what comes from now on. */
  void connected(long primary, String cluster) {
    primaryNode = String.format("%016X", primary);
    clusterId = cluster == null ? "" : cluster;
  }

  /**
   * Archives the database if the snapshot is of another history.
   *
   * @throws ArchiveException if that fails: the snapshot must not be taken then
   */
  void beforeSnapshot(Database database, ReceivedTransaction snapshot) throws IOException {
    Pos own = end(database);
    DivergedArchive.Reason reason =
        DivergedArchive.Reason.of(own, agreed.of(database.name()), snapshot.pos());
    if (reason != null) {
      archive(database, own, reason, snapshot);
    }
  }

  /** Archives a database that the primary does not have. Its files may be removed afterwards. */
  void beforeDrop(Database database) throws IOException {
    Pos own = end(database);
    if (!own.equals(Pos.ZERO)) {
      archive(database, own, DivergedArchive.Reason.UNKNOWN_TO_PRIMARY, null);
    }
  }

  /** The database's history is the primary's. */
  void agree(String database) {
    agreed.agree(database);
  }

  /** Notes in the file what has been agreed. */
  void flush() {
    agreed.write();
  }

  /** The end of the log, which may be ahead of what is applied. */
  private static Pos end(Database database) throws IOException {
    Pos logged = database.log().end();
    return logged.equals(Pos.ZERO) ? database.pos() : logged;
  }

  private void archive(
      Database database, Pos own, DivergedArchive.Reason reason, ReceivedTransaction snapshot)
      throws IOException {
    Pos primary = snapshot == null ? null : snapshot.pos();
    String what =
        "%s has diverged: %s; this node was at %s, the primary %s"
            .formatted(
                database.name(),
                reason.text(),
                own,
                primary == null ? "has no such database" : "is at " + primary);
    if (options.divergedSize() == 0) {
      log.warn("{}; what was here is lost, since data.diverged-size is 0", what);
      count(database.name());
      return;
    }
    DivergedArchive before = archived(database.name(), own);
    if (before != null) {
      log.info("{}; it is in {} already", what, before.path());
      return;
    }
    try {
      DivergedArchive archive = new ArchiveWriter(this, database, own, reason, snapshot).write();
      log.warn("{}; what was here is kept in {}", what, archive.path());
      count(database.name());
      archives.removeBeyond(options.divergedSize(), archive);
    } catch (IOException e) {
      throw new ArchiveException(
          "%s; it cannot be archived in %s: %s; the primary's database is not taken until it can be (make room, or set data.diverged-size: 0 to give up what is here)"
              .formatted(what, archives.of(database.name()), e.getMessage()),
          e);
    }
  }

  /** An archive of this very state, made before an attempt to take the snapshot that failed. */
  private DivergedArchive archived(String database, Pos own) throws IOException {
    for (DivergedArchive archive : archives.list()) {
      if (archive.database().equals(database) && archive.position().equals(own)) {
        return archive;
      }
    }
    return null;
  }

  private void count(String database) {
    counts.computeIfAbsent(database, name -> new LongAdder()).increment();
  }

  long maxBytes() {
    return options.divergedSize();
  }

  String primaryNode() {
    return primaryNode;
  }

  String clusterId() {
    return clusterId;
  }

  Pos agreedPosition(String database) {
    return agreed.of(database);
  }

  /** The header of the last file of a log that is not empty. */
  static LtxHeader lastHeader(LtxLog ltxLog) throws IOException {
    Path file = ltxLog.lastFile();
    try (FileChannel in = LtxLog.openForReading(file)) {
      return LtxLog.readHeader(in, file);
    }
  }
}
