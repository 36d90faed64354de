package io.litefs.config;

import java.nio.file.Path;
import java.util.Optional;

/**
 * The trace log, which records every file operation.
 *
 * @param enabled whether it is written, if there is a path (default true)
 * @param path the file; absent (default): no trace log
 * @param maxSize bytes after which a new file begins (default 64 MiB); positive
 * @param maxCount how many old files are kept (default 8)
 * @param compress whether old files are compressed with gzip (default true)
 */
public record TracingConfig(
    boolean enabled, Optional<Path> path, long maxSize, int maxCount, boolean compress) {

  public boolean active() {
    return enabled && path.isPresent();
  }
}
