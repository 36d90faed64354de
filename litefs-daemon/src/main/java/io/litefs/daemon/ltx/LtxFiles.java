package io.litefs.daemon.ltx;

import io.litefs.daemon.client.CommandException;
import io.litefs.ltx.Ltx3Decoder;
import io.litefs.ltx.LtxCompactor;
import io.litefs.ltx.LtxDecoder;
import io.litefs.ltx.LtxFileName;
import io.litefs.ltx.LtxReader;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/** LTX files by their paths. */
public final class LtxFiles {

  /** All are open at once, with some 200 KiB each. */
  private static final int AT_ONCE = 64;

  private LtxFiles() {}

  /** The files, and in place of each directory the LTX files in it by TXID. */
  public static List<Path> expand(List<Path> paths) throws IOException {
    List<Path> files = new ArrayList<>();
    for (Path path : paths) {
      if (!Files.isDirectory(path)) {
        files.add(path);
        continue;
      }
      List<Path> inside = new ArrayList<>();
      try (DirectoryStream<Path> all = Files.newDirectoryStream(path)) {
        for (Path file : all) {
          if (LtxFileName.parse(file.getFileName().toString()).isPresent()) {
            inside.add(file);
          }
        }
      }
      inside.sort(
          Comparator.comparing(
              file -> LtxFileName.parse(file.getFileName().toString()).orElseThrow()));
      files.addAll(inside);
    }
    return files;
  }

  public static LtxReader open(Path file, boolean version3) throws IOException {
    FileChannel channel = FileChannel.open(file);
    try {
      return version3
          ? new Ltx3Decoder(channel, file.toString())
          : new LtxDecoder(channel, file.toString());
    } catch (IOException | RuntimeException e) {
      channel.close();
      throw e;
    }
  }

  /**
   * Makes one file of several, which appears under its name only once it is whole. Many are done in
   * steps.
   */
  public static void compact(
      List<Path> files, Path output, boolean version3, LtxCompactor.Format format)
      throws IOException, CommandException {
    if (files.isEmpty()) {
      throw CommandException.usage("there is no LTX file to compact", null);
    }
    List<Path> temporary = new ArrayList<>();
    try {
      List<Path> inputs = files;
      while (inputs.size() > AT_ONCE) {
        List<Path> fewer = new ArrayList<>();
        for (int i = 0; i < inputs.size(); i += AT_ONCE) {
          Path step = sibling(output, temporary.size());
          temporary.add(step);
          write(inputs.subList(i, Math.min(inputs.size(), i + AT_ONCE)), step, version3, format);
          fewer.add(step);
        }
        inputs = fewer;
      }
      Path last = sibling(output, temporary.size());
      temporary.add(last);
      write(inputs, last, version3, format);
      Files.move(last, output, StandardCopyOption.ATOMIC_MOVE);
    } finally {
      for (Path file : temporary) {
        Files.deleteIfExists(file);
      }
    }
  }

  private static Path sibling(Path output, int number) {
    return output.resolveSibling(output.getFileName() + "." + number + ".tmp");
  }

  private static void write(
      List<Path> files, Path output, boolean version3, LtxCompactor.Format format)
      throws IOException {
    List<LtxReader> readers = new ArrayList<>();
    try (FileChannel out =
        FileChannel.open(
            output,
            StandardOpenOption.CREATE,
            StandardOpenOption.TRUNCATE_EXISTING,
            StandardOpenOption.WRITE)) {
      for (Path file : files) {
        readers.add(open(file, version3));
      }
      LtxCompactor.compact(readers, out, format);
      out.force(true);
    } finally {
      for (LtxReader reader : readers) {
        reader.close();
      }
    }
  }
}
