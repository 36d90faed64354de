package io.litefs.fuse;

import java.nio.file.Path;

/**
 * How to mount.
 *
 * @param allowOther whether users other than the mounting one may use the files (root needs this
 *     for the others too)
 * @param dataDirectory where the files really lie; statfs(2) on the mount shows its free space
 */
public record MountOptions(boolean allowOther, Path dataDirectory) {}
