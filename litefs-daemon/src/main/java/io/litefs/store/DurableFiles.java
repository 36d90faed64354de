package io.litefs.store;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;

/** Files and directories that must survive a power cut. */
final class DurableFiles {

  private DurableFiles() {}

  /** Writes a small text file; it is on disk when this returns, its name not yet. */
  static void write(Path path, String text) throws IOException {
    try (FileChannel out =
        FileChannel.open(
            path,
            StandardOpenOption.CREATE,
            StandardOpenOption.TRUNCATE_EXISTING,
            StandardOpenOption.WRITE)) {
      ByteBuffer bytes = ByteBuffer.wrap(text.getBytes(StandardCharsets.UTF_8));
      while (bytes.hasRemaining()) {
        out.write(bytes);
      }
      out.force(true);
    }
  }

  /** Removes a directory and what is in it, if it is there. */
  static void removeTree(Path dir) throws IOException {
    if (!Files.exists(dir)) {
      return;
    }
    List<Path> all;
    try (Stream<Path> tree = Files.walk(dir)) {
      all = tree.sorted(Comparator.reverseOrder()).toList();
    }
    for (Path path : all) {
      Files.deleteIfExists(path);
    }
  }

  /** Bytes of all files in a directory. */
  static long sizeOfTree(Path dir) throws IOException {
    List<Path> all;
    try (Stream<Path> tree = Files.walk(dir)) {
      all = tree.filter(Files::isRegularFile).toList();
    }
    long sum = 0;
    for (Path path : all) {
      sum += Files.size(path);
    }
    return sum;
  }
}
