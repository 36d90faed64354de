package io.litefs.fuse;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.MappedByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileChannel.MapMode;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import jnr.ffi.LibraryLoader;
import jnr.ffi.types.off_t;

/**
 * An application that never stops reading a mapping of a file, changing it, writing it back and
 * having the kernel drop it: arguments are the file and the number of its pages. Says {@code ready}
 * when it has begun. Its accesses fault once the mount is gone, which ends it.
 */
public final class MappingClient {

  private static final int POSIX_FADV_DONTNEED = 4;
  private static final int O_RDWR = 2;

  /** Public: jnr-ffi implements it from a class loader of its own. */
  public interface Advice {
    int open(String path, int flags);

    int posix_fadvise(int fd, @off_t long offset, @off_t long length, int advice);
  }

  private MappingClient() {}

  public static void main(String[] arguments) throws Exception {
    Path path = Path.of(arguments[0]);
    int pages = Integer.parseInt(arguments[1]);
    Advice libc = LibraryLoader.create(Advice.class).load("libc.so.6");
    int fd = libc.open(path.toString(), O_RDWR);
    try (FileChannel channel =
        FileChannel.open(path, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
      MappedByteBuffer map = channel.map(MapMode.READ_WRITE, 0, 4096L * pages);
      System.out.println("ready");
      for (int i = 0; true; i++) {
        int page = i % pages;
        int value = map.getInt(4096 * page);
        map.putInt(4096 * page + 2048, value);
        channel.read(ByteBuffer.allocate(4096), 4096L * ((i + pages / 2) % pages));
        if (page % 8 == 7) {
          map.force(4096 * (page - 7), 8 * 4096);
          libc.posix_fadvise(fd, 0, 4096L * pages, POSIX_FADV_DONTNEED);
        }
      }
    } catch (IOException | UncheckedIOException | InternalError e) {
      System.exit(1); // the mount is gone
    }
  }
}
