/**
 * The mount: a {@link io.litefs.fuse.FileSystem} on a directory, through jnr-fuse and libfuse 2.
 *
 * <p>Three ideas shape it. The kernel answers what it can: pages, attributes, names (absent ones
 * too) and locks stay in the kernel, and the daemon's one duty is to tell it of every change that
 * it did not make ({@link io.litefs.fuse.KernelCache}). The daemon locks like any other SQLite
 * process, through its own mount, on threads that a kill cannot turn into a process that never ends
 * ({@link io.litefs.fuse.Keepers}). And a request that blocks holds up nobody else ({@code
 * SessionLoop}).
 *
 * <p>To read it: {@link io.litefs.fuse.FileSystem} and its neighbours are what the rest of the
 * daemon implements and sees. {@link io.litefs.fuse.Mount} puts the parts together: {@code
 * MountPoint} clears the place, {@code Session} speaks with libfuse, {@code SessionLoop} runs it,
 * {@code Operations} turns its callbacks into calls. libfuse's high-level interface hides the
 * kernel's node ids, which notifications need; {@code ReplyTap} reads them from replies and {@code
 * NodeTable} keeps them.
 *
 * <p>Linux on x86_64 and aarch64 only: structures are read and written by offset, with the layout
 * written where the offsets are.
 */
package io.litefs.fuse;
