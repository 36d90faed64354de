package io.litefs.mount;

import io.litefs.fuse.FileAttributes;
import io.litefs.fuse.MountedLink;
import io.litefs.posix.ErrnoException;
import java.nio.charset.StandardCharsets;
import java.util.function.LongSupplier;

/** {@code <db>-lock} in the mount: leads to where it can be locked, see {@link LockFiles}. */
record LockLink(String name, LockLinks links, LongSupplier modifiedMillis) implements MountedLink {

  private static final int MODE = 0777;

  @Override
  public FileAttributes attributes() {
    int length = links.target(name).getBytes(StandardCharsets.UTF_8).length;
    return new FileAttributes(length, MODE, modifiedMillis.getAsLong());
  }

  @Override
  public String target() throws ErrnoException {
    links.follow();
    return links.target(name);
  }
}
