package io.litefs.store;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.SecureRandom;
import java.util.regex.Pattern;

/**
 * The file {@code clusterid} of the data directory: {@code LFSC} and 16 upper-case hex digits.
 * Thread-safe.
 */
final class ClusterIdFile {

  private static final Pattern FORMAT = Pattern.compile("LFSC[0-9A-F]{16}");

  private final Path path;
  private String id;

  ClusterIdFile(Path dataDir) throws StoreException {
    path = dataDir.resolve("clusterid");
    try {
      id = Files.readString(path).strip();
    } catch (NoSuchFileException e) {
      return;
    } catch (IOException e) {
      throw new StoreException("cannot read " + path + ": " + e.getMessage(), e);
    }
    if (!FORMAT.matcher(id).matches()) {
      throw new StoreException(
          path
              + " holds \""
              + id
              + "\", not LFSC and 16 hex digits; restore it, or remove it to join a cluster anew");
    }
  }

  synchronized String get() {
    return id;
  }

  synchronized void createIfAbsent() throws StoreException {
    if (id == null) {
      write("LFSC%016X".formatted(new SecureRandom().nextLong()));
    }
  }

  synchronized void adopt(String other) throws StoreException {
    if (!FORMAT.matcher(other).matches()) {
      throw new StoreException("\"" + other + "\" is no cluster id (LFSC and 16 hex digits)");
    }
    if (id == null) {
      write(other);
    } else if (!id.equals(other)) {
      throw new StoreException(
          "this node belongs to cluster "
              + id
              + ", the primary to "
              + other
              + "; use another data directory or the right primary");
    }
  }

  private void write(String value) throws StoreException {
    Path temporary = path.resolveSibling("clusterid.tmp");
    try {
      Files.writeString(temporary, value + "\n");
      Files.move(temporary, path, StandardCopyOption.ATOMIC_MOVE);
    } catch (IOException e) {
      throw new StoreException("cannot write " + path + ": " + e.getMessage(), e);
    }
    id = value;
  }
}
