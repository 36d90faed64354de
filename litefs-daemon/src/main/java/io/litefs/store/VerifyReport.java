package io.litefs.store;

import io.litefs.ltx.Pos;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * What was found in one database.
 *
 * @param database its name
 * @param position of its last transaction; {@link Pos#ZERO} if its log is empty
 * @param ltxFiles sound LTX files
 * @param ltxBytes their size
 * @param pages pages that were read and compared; 0 if that was not possible, for which there is a
 *     note
 * @param damages what is wrong
 * @param notes what is not wrong, but should be known
 */
public record VerifyReport(
    String database,
    Pos position,
    long ltxFiles,
    long ltxBytes,
    long pages,
    List<Finding> damages,
    List<Finding> notes) {

  /**
   * One thing that was found.
   *
   * @param reason what is wrong, one line
   * @param remedy what to do, one line; empty if there is nothing to do
   */
  public record Finding(Path file, String reason, String remedy) {}

  public boolean isSound() {
    return damages.isEmpty();
  }

  /** Gathers a report. Used by one thread. */
  static final class Builder {
    private final String database;
    private final List<Finding> damages = new ArrayList<>();
    private final List<Finding> notes = new ArrayList<>();
    private long ltxFiles;
    private long ltxBytes;
    private long pages;

    Builder(String database) {
      this.database = database;
    }

    String database() {
      return database;
    }

    void ltx(long bytes) {
      ltxFiles++;
      ltxBytes += bytes;
    }

    void pages(long count) {
      pages = count;
    }

    void damage(Path file, String reason, String remedy) {
      damages.add(new Finding(file, reason, remedy));
    }

    void note(Path file, String reason, String remedy) {
      notes.add(new Finding(file, reason, remedy));
    }

    VerifyReport build(Pos position) {
      return new VerifyReport(
          database, position, ltxFiles, ltxBytes, pages, List.copyOf(damages), List.copyOf(notes));
    }
  }
}
