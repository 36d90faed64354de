package io.litefs.store;

import java.io.Closeable;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/**
 * The lock that the daemon holds on its data directory, as a command takes it that must not work
 * beside one.
 */
public final class DirectoryLock implements Closeable {

  /** Null if the directory cannot be written to, so that no daemon can work in it either. */
  private final FileChannel channel;

  private DirectoryLock(FileChannel channel) {
    this.channel = channel;
  }

  /**
   * Takes the lock.
   *
   * @return null if a daemon has it
   */
  public static DirectoryLock tryLock(Path dataDir) throws IOException {
    FileChannel channel;
    try {
      channel =
          FileChannel.open(
              dataDir.resolve(".lock"), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
    } catch (AccessDeniedException e) {
      // Another user's: the lock cannot be asked for, but who holds it can be read.
      return holds(dataDir) ? null : new DirectoryLock(null);
    } catch (FileSystemException e) {
      return new DirectoryLock(null);
    }
    FileLock lock;
    try {
      lock = channel.tryLock();
    } catch (OverlappingFileLockException e) {
      lock = null;
    }
    if (lock == null) {
      channel.close();
      return null;
    }
    channel.truncate(0);
    channel.write(
        ByteBuffer.wrap(
            (ProcessHandle.current().pid() + "\n").getBytes(StandardCharsets.US_ASCII)));
    return new DirectoryLock(channel);
  }

  private static boolean holds(Path dataDir) throws IOException {
    String pid = Files.readString(dataDir.resolve(".lock")).strip();
    return pid.matches("[0-9]{1,18}") && ProcessHandle.of(Long.parseLong(pid)).isPresent();
  }

  @Override
  public void close() throws IOException {
    if (channel != null) {
      channel.close();
    }
  }
}
