package io.litefs.fuse;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/**
 * Another process that takes POSIX locks, as SQLite does. Argument: a file. Commands: {@code try
 * START LENGTH SHARED}, answered with true or false, and {@code unlock}.
 */
public final class LockingProcess {

  private LockingProcess() {}

  public static void main(String[] arguments) throws Exception {
    try (FileChannel channel =
        FileChannel.open(
            Path.of(arguments[0]), StandardOpenOption.READ, StandardOpenOption.WRITE)) {
      BufferedReader commands = new BufferedReader(new InputStreamReader(System.in));
      FileLock lock = null;
      for (String line = commands.readLine(); line != null; line = commands.readLine()) {
        String[] words = line.split(" ");
        if (words[0].equals("unlock")) {
          lock.release();
          System.out.println("ok");
        } else {
          lock =
              channel.tryLock(
                  Long.parseLong(words[1]),
                  Long.parseLong(words[2]),
                  Boolean.parseBoolean(words[3]));
          System.out.println(lock != null);
        }
      }
    }
  }
}
