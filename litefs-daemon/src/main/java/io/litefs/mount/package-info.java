/**
 * What applications see in the mounted directory: one class per kind of file, all behind {@link
 * io.litefs.mount.Namespace}. {@link io.litefs.mount.FileName} is the one place where a name is
 * taken apart. The classes translate file operations for {@link io.litefs.store.Database} and hold
 * no state of a database themselves.
 */
package io.litefs.mount;
