package io.litefs.sqlite;

/**
 * A place between two frames of a WAL, from which the chain of checksums can be continued.
 *
 * @param offset in bytes from the start of the file, where the next frame begins
 * @param checksum of all frames before; null if the last of them has none
 */
public record WalPosition(long offset, WalChecksum checksum) {}
