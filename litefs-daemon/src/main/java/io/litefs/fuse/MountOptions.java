package io.litefs.fuse;

import java.nio.file.Path;
import java.util.function.Predicate;

/**
 * How to mount.
 *
 * @param allowOther whether users other than the mounting one may use the files (root needs this
 *     for the others too)
 * @param dataDirectory where the files really lie; statfs(2) on the mount shows its free space
 * @param leftover whether a file in the directory holds nothing and is to be removed, instead of
 *     standing in the way of the mount that would hide it
 */
public record MountOptions(boolean allowOther, Path dataDirectory, Predicate<Path> leftover) {

  /** Every file stands in the way. */
  public MountOptions(boolean allowOther, Path dataDirectory) {
    this(allowOther, dataDirectory, file -> false);
  }
}
