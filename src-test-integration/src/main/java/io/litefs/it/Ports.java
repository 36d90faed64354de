package io.litefs.it;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.BindException;
import java.net.ServerSocket;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.concurrent.ThreadLocalRandom;

/**
 * TCP ports for the daemons of tests. A daemon that is down for a while finds its port free again:
 * no other test of this machine is given it, and no outgoing connection, for which Linux uses ports
 * from 32768 on.
 *
 * <p>Who has a port holds a lock on the byte at its number of one file, which is gone with the
 * process, however that ends. The channel is never closed: the first descriptor of the file to be
 * closed would take all the process's locks with it (fcntl(2)).
 */
public final class Ports {

  private static final int FIRST = 22_000;
  private static final int END = 32_000;

  /** More than any test has at a time; of more, the oldest are given back. */
  private static final int HELD = 1_000;

  private static final FileChannel FILE = open();

  /** Oldest first. Guarded by itself. */
  private static final Deque<FileLock> LOCKS = new ArrayDeque<>();

  private Ports() {}

  /** One that nobody uses now, nor this process or another has been given lately. */
  public static int free() {
    synchronized (LOCKS) {
      while (true) {
        int port = ThreadLocalRandom.current().nextInt(FIRST, END);
        try {
          FileLock lock = tryLock(port);
          if (lock == null) {
            continue;
          }
          LOCKS.add(lock);
          if (LOCKS.size() > HELD) {
            LOCKS.remove().release();
          }
          new ServerSocket(port).close();
          return port;
        } catch (BindException e) {
          // Another program has it.
        } catch (IOException e) {
          throw new UncheckedIOException(e);
        }
      }
    }
  }

  /** Null if somebody has it. */
  private static FileLock tryLock(int port) throws IOException {
    try {
      return FILE.tryLock(port, 1, false);
    } catch (OverlappingFileLockException e) {
      return null; // This process.
    }
  }

  private static FileChannel open() {
    // One for each user: in /tmp not even root may write to another's (fs.protected_regular).
    Path file =
        Path.of(
            System.getProperty("java.io.tmpdir"),
            "litefs-it-ports-" + System.getProperty("user.name"));
    try {
      return FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.WRITE);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
