package io.litefs.fuse;

/**
 * What stat(2) shows of a regular file.
 *
 * @param size bytes
 * @param mode permission bits (0666, 0444, ...), without the file type
 * @param modifiedMillis time of the last modification, ms since the epoch
 */
public record FileAttributes(long size, int mode, long modifiedMillis) {}
