package io.litefs.store;

import java.nio.file.Path;

/**
 * Opens a log in a process of its own, which the test gives little memory, and does with it what a
 * start and retention do. Prints what it has found.
 */
final class LongLog {

  private LongLog() {}

  public static void main(String[] arguments) throws Exception {
    LtxLog log = LtxLog.open(Path.of(arguments[0]), false, Runnable::run);
    LogTail tail = LogTail.after(null, log);
    long files = 0;
    for (Path file : tail.files()) {
      files += tail.isNeeded(file) ? 1 : 0;
    }
    log.measure();
    String found = files + " to " + log.end().txid().value() + ", " + log.byteCount() + " bytes";
    int removed = log.removeBeyond(0, () -> Long.MAX_VALUE);
    System.out.println(found + ", removed " + removed + ", left " + log.byteCount() + " bytes");
    log.close();
  }
}
