package io.litefs.store;

import io.litefs.ltx.Pos;
import io.litefs.posix.PosixFile;
import java.io.IOException;
import java.net.URLDecoder;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Collection;
import java.util.Map;
import java.util.TreeMap;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Up to which position each database's history is known to be a primary's, kept in the file {@code
 * agreed} of the data directory. What lies beyond was made here, and a primary may lack it: that
 * must not be thrown away without a copy.
 *
 * <p>The file has a line for each database that may hold transactions of its own; one without a
 * line holds none. So a replica writes nothing as it receives, and a primary nothing as it commits:
 *
 * <pre>
 *   led                                                  or "followed": the role of the last start
 *   0000000000000012/c1d2a3b4e5f60718 app.db             agreed up to here
 * </pre>
 *
 * <p>After "led", a database without a line was created since: nothing of it is agreed. A data
 * directory without the file (of another version, of the original) is taken as one that has led.
 *
 * <p>Thread-safe.
 */
final class AgreedPositions {

  private static final Logger log = LoggerFactory.getLogger(AgreedPositions.class);
  private static final String LED = "led";
  private static final String FOLLOWED = "followed";

  private final Path path;
  private final Map<String, Pos> agreed = new TreeMap<>();
  private boolean led = true;
  private boolean unwritten;

  AgreedPositions(Path dataDir) throws StoreException {
    path = dataDir.resolve("agreed");
    try {
      read();
    } catch (NoSuchFileException e) {
      unwritten = true;
    } catch (IOException | IllegalArgumentException e) {
      // What is unknown counts as not agreed: that costs a copy, the contrary could cost data.
      log.warn("{} cannot be read ({}); nothing counts as agreed", path, e.getMessage());
      agreed.clear();
      led = true;
      unwritten = true;
    }
  }

  private void read() throws IOException {
    for (String line : Files.readAllLines(path, StandardCharsets.US_ASCII)) {
      int blank = line.indexOf(' ');
      if (blank < 0) {
        if (!line.equals(LED) && !line.equals(FOLLOWED)) {
          throw new IOException("\"" + line + "\" is no role");
        }
        led = line.equals(LED);
      } else {
        agreed.put(
            URLDecoder.decode(line.substring(blank + 1), StandardCharsets.UTF_8),
            Pos.parse(line.substring(0, blank)));
      }
    }
  }

  /** The last agreed position; null if all that the database holds is agreed. */
  synchronized Pos of(String database) {
    return agreed.get(database);
  }

  /** Applications may write from now on. */
  synchronized void becamePrimary(Collection<Database> databases) {
    for (Database database : databases) {
      Pos known = led ? Pos.ZERO : database.pos();
      unwritten |= agreed.putIfAbsent(database.name(), known) == null;
    }
    unwritten |= !led;
    led = true;
    write();
  }

  /** This node was about to be the primary, and will not be. */
  synchronized void stayedReplica(Collection<Database> databases) {
    if (led) {
      becameReplica(databases);
    }
  }

  /** Applications cannot write any more. */
  synchronized void becameReplica(Collection<Database> databases) {
    if (led) {
      for (Database database : databases) {
        agreed.putIfAbsent(database.name(), Pos.ZERO);
      }
      led = false;
      unwritten = true;
    }
    write();
  }

  /** Recovery made transactions of the database that its log did not have. */
  synchronized void madeBeyond(String database, Pos pos) {
    unwritten |= agreed.putIfAbsent(database, pos) == null;
    write();
  }

  /**
   * The database's history is the primary's that this node follows. In the file only after {@link
   * #write}: too late is safe.
   */
  synchronized void agree(String database) {
    unwritten |= agreed.remove(database) != null;
  }

  /** Brings the file up to date, if it is not. What fails is logged and tried again next time. */
  synchronized void write() {
    if (!unwritten) {
      return;
    }
    StringBuilder lines = new StringBuilder(led ? LED : FOLLOWED).append('\n');
    agreed.forEach(
        (database, pos) ->
            lines
                .append(pos)
                .append(' ')
                .append(URLEncoder.encode(database, StandardCharsets.UTF_8))
                .append('\n'));
    Path temporary = path.resolveSibling("agreed.tmp");
    try {
      DurableFiles.write(temporary, lines.toString());
      Files.move(temporary, path, StandardCopyOption.ATOMIC_MOVE);
      PosixFile.syncDirectory(path.getParent());
      unwritten = false;
    } catch (IOException e) {
      log.warn("cannot write {}: {}; it is tried again", path, e.getMessage());
    }
  }
}
