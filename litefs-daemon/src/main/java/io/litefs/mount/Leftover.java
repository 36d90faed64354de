package io.litefs.mount;

import io.litefs.store.Store;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.function.Predicate;

/**
 * Which files in the directory below the mount hold nothing: an application that goes on while the
 * mount is gone makes them there when it opens a database again, or SQLite does for a connection
 * that it has. They must not keep the next mount from being made.
 *
 * <p>These are empty files by the name of a database or of a file of it, and shared memory of a
 * WAL, which SQLite makes anew from the WAL, if the database itself is not there with content.
 */
public final class Leftover implements Predicate<Path> {

  private final Store store;

  public Leftover(Store store) {
    this.store = store;
  }

  /** Whether the file is known to hold nothing; false if in doubt. */
  @Override
  public boolean test(Path file) {
    FileName name =
        FileName.parse(file.getFileName().toString(), database -> store.find(database) != null);
    if (store.find(name.database()) == null) {
      return false;
    }
    try {
      return isEmpty(file)
          || name.kind() == FileName.Kind.SHM && isEmpty(file.resolveSibling(name.database()));
    } catch (IOException e) {
      return false;
    }
  }

  /** Whether it is an empty regular file, or is not there. */
  private static boolean isEmpty(Path file) throws IOException {
    return !Files.exists(file, LinkOption.NOFOLLOW_LINKS)
        || Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS) && Files.size(file) == 0;
  }
}
