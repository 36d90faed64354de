package io.litefs.it.soak;

import io.litefs.it.Commands;
import io.litefs.it.Mounts;
import io.litefs.it.Reaper;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Locale;

/**
 * A filesystem of a few megabytes for one data directory, which can be filled to the last byte and
 * freed again: tmpfs, or ext4 in a file (which allocates late and keeps a journal, as real disks
 * do).
 */
public final class SmallDisk implements AutoCloseable {

  /** The kinds there are. */
  public enum Kind {
    TMPFS,
    EXT4
  }

  private final Path dir;
  private final Path image;
  private final Path filler;
  private boolean full;

  private SmallDisk(Path dir, Path image) {
    this.dir = dir;
    this.image = image;
    this.filler = dir.resolve("filler");
  }

  /** Whether this process may mount filesystems. */
  public static boolean possible() {
    try {
      return Integer.valueOf(0).equals(Files.getAttribute(Path.of("/proc/self"), "unix:uid"));
    } catch (IOException e) {
      return false;
    }
  }

  /** Makes the filesystem and mounts it at {@code dir}, which is created. */
  public static SmallDisk mount(Path dir, Kind kind, int megabytes) {
    try {
      Files.createDirectories(dir);
      Path image = null;
      Reaper.mount(dir);
      if (kind == Kind.EXT4) {
        image = dir.resolveSibling(dir.getFileName() + ".ext4");
        Commands.run("truncate", "-s", megabytes + "M", image.toString()).orThrow();
        Commands.run("mkfs.ext4", "-q", "-F", "-m", "0", image.toString()).orThrow();
        Commands.run("mount", "-o", "loop", image.toString(), dir.toString()).orThrow();
      } else {
        Commands.run(
                "mount", "-t", "tmpfs", "-o", "size=" + megabytes + "m", "soak", dir.toString())
            .orThrow();
      }
      return new SmallDisk(dir, image);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Takes all the space that is left. */
  public void fill() {
    full = true;
    byte[] block = new byte[1 << 16];
    for (int size = block.length; size >= 512; size /= 2) {
      try (OutputStream out =
          Files.newOutputStream(filler, StandardOpenOption.CREATE, StandardOpenOption.APPEND)) {
        while (true) {
          out.write(block, 0, size);
          if (size < 4096) {
            break;
          }
        }
      } catch (IOException e) {
        if (!String.valueOf(e.getMessage()).toLowerCase(Locale.ROOT).contains("no space")) {
          throw new UncheckedIOException(e);
        }
      }
    }
  }

  /** Takes all the space that is left, but for so many bytes. */
  public void fill(long left) {
    fill();
    try (FileChannel channel = FileChannel.open(filler, StandardOpenOption.WRITE)) {
      channel.truncate(channel.size() - left);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  public void free() {
    full = false;
    try {
      Files.deleteIfExists(filler);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  public boolean isFull() {
    return full;
  }

  @Override
  public void close() {
    if (Mounts.isMounted(dir)) {
      Commands.run("umount", "-l", dir.toString());
    }
    Reaper.gone(dir);
    if (image != null) {
      Commands.run("rm", "-f", image.toString());
    }
  }
}
