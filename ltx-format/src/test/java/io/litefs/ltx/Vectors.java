package io.litefs.ltx;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Stream;

/**
 * Files recorded from running systems, see {@code src/test/resources/vectors/README.md}.
 *
 * <p>Paths are relative to that folder.
 */
final class Vectors {

  static final List<String> DATABASES = List.of("journal.db", "wal.db", "small.db");

  private static final Map<String, byte[]> CACHE = new ConcurrentHashMap<>();

  private Vectors() {}

  /** The file's bytes, for the caller to keep. */
  static byte[] read(String path) {
    return CACHE.computeIfAbsent(path, Vectors::load).clone();
  }

  private static byte[] load(String path) {
    try {
      return Files.readAllBytes(root().resolve(path));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** The files of a folder in order of their names, as paths relative to the vectors. */
  static List<String> list(String folder) {
    try (Stream<Path> files = Files.list(root().resolve(folder))) {
      return files.map(f -> folder + "/" + f.getFileName()).sorted().toList();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static Path root() {
    try {
      return Path.of(Vectors.class.getResource("/vectors").toURI());
    } catch (URISyntaxException e) {
      throw new IllegalStateException(e);
    }
  }
}
