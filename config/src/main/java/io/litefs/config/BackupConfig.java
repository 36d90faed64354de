package io.litefs.config;

import java.nio.file.Path;
import java.util.Optional;

/**
 * A copy of every transaction in a directory (key {@code type}, whose only value is {@code file}).
 *
 * @param path that directory; absent: no backup
 */
public record BackupConfig(Optional<Path> path) {}
