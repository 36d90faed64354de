package io.litefs.store;

import io.litefs.posix.PosixFile;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * Tells the next start that a rollback has left free pages changed, which nothing else tells once
 * the journal is gone: an empty file in the database's directory.
 */
final class StrayPagesMark {

  private static final String NAME = "rolled-back";

  private StrayPagesMark() {}

  /** On disk when this returns. */
  static void set(Path dir) throws IOException {
    DurableFiles.write(dir.resolve(NAME), "");
    PosixFile.syncDirectory(dir);
  }

  static boolean isSet(Path dir) {
    return Files.exists(dir.resolve(NAME));
  }

  static void clear(Path dir) throws IOException {
    Files.deleteIfExists(dir.resolve(NAME));
  }
}
