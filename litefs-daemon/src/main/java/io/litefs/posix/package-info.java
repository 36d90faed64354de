/**
 * The few calls of libc that the JDK hides or blurs.
 *
 * <p>{@link io.litefs.posix.PosixFile} does file I/O whose errors keep their errno, so that the
 * application on the other side of the mount sees ENOSPC when the disk is full and not a general
 * EIO. {@link io.litefs.posix.ErrnoException} carries the number from there up to the transport.
 * Linux on x86_64 and aarch64, 64 bit only.
 */
package io.litefs.posix;
