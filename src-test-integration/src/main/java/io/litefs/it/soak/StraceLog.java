package io.litefs.it.soak;

import io.litefs.it.Await;
import io.litefs.it.Commands;
import io.litefs.it.Node;
import io.litefs.it.soak.FileOperation.Kind;
import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * Records the file operations of a daemon with strace(1), and reads them back.
 *
 * <p>writev(2) and mapped writes are left out, since each answer of the mount is a writev: whoever
 * uses the recording must compare its outcome with the real files, see {@link PowerCut}.
 */
final class StraceLog {

  private static final String CALLS =
      "openat,write,pwrite64,ftruncate,fallocate,fsync,fdatasync,syncfs,rename,renameat,renameat2,"
          + "unlink,unlinkat,mkdir,mkdirat";

  private static final Pattern LINE =
      Pattern.compile("(\\d+) +(\\d+)\\.(\\d{6}) (.*)", Pattern.DOTALL);
  private static final Pattern RESUMED =
      Pattern.compile("<\\.\\.\\. \\w+ resumed>(.*)", Pattern.DOTALL);
  private static final Pattern CALL =
      Pattern.compile("(\\w+)\\((.*)\\) += (-?\\d+)(.*?)<(\\d+)\\.(\\d{6})>", Pattern.DOTALL);
  private static final String UNFINISHED = " <unfinished ...>";
  private static final String DELETED = "(deleted)";

  private StraceLog() {}

  static boolean possible() {
    return Commands.installed("strace")
        && Commands.run("strace", "-D", "-f", "--seccomp-bpf", "-o", "/dev/null", "true").exitCode()
            == 0;
  }

  /**
   * A Java home whose {@code java} runs traced: for {@code JAVA_HOME} of a node. The JVM is the
   * process that the launcher becomes; strace is its grandchild.
   */
  static Path tracedJava(Path dir, Path log) {
    try {
      Path real = Path.of(Node.javaHome());
      Files.createDirectories(dir.resolve("bin"));
      for (String name : List.of("lib", "release", "conf")) {
        if (Files.exists(real.resolve(name))) {
          Files.createSymbolicLink(dir.resolve(name), real.resolve(name));
        }
      }
      Path java = dir.resolve("bin/java");
      Files.writeString(
          java,
          "#!/bin/sh\nexec strace -D -f --seccomp-bpf -q -ttt -T -y -xx -s 16777216 -e signal=none -e trace="
              + CALLS
              + " -o '"
              + log
              + "' '"
              + real.resolve("bin/java")
              + "' \"$@\"\n");
      if (!java.toFile().setExecutable(true)) {
        throw new IOException("cannot make " + java + " executable");
      }
      return dir;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Waits until strace has seen the end of the process, which comes after its last call. */
  static void awaitEnd(Path log, long pid) {
    String end = pid + " ";
    Await.until(
        "strace writes of the end of process " + pid,
        () -> {
          try (Stream<String> lines = Files.lines(log, StandardCharsets.ISO_8859_1)) {
            return lines.anyMatch(line -> line.startsWith(end) && line.contains(" +++ "));
          }
        });
  }

  /**
   * The successful operations on files below {@code root}, in the order of their ends: that of the
   * lines, since a thread goes on only when strace has seen its call end. The times are of a clock
   * that may be set.
   */
  static List<FileOperation> read(Path log, Path root) {
    List<FileOperation> operations = new ArrayList<>();
    Map<String, String> unfinished = new HashMap<>();
    Map<String, Long> began = new HashMap<>();
    String prefix = root + "/";
    try (BufferedReader lines = Files.newBufferedReader(log, StandardCharsets.ISO_8859_1)) {
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        Matcher parts = LINE.matcher(line);
        if (!parts.matches()) {
          continue;
        }
        String thread = parts.group(1);
        long micros = Long.parseLong(parts.group(2)) * 1_000_000 + Long.parseLong(parts.group(3));
        String text = parts.group(4);
        if (text.endsWith(UNFINISHED)) {
          unfinished.put(thread, text.substring(0, text.length() - UNFINISHED.length()));
          began.put(thread, micros);
          continue;
        }
        Matcher resumed = RESUMED.matcher(text);
        if (resumed.matches() && unfinished.containsKey(thread)) {
          text = unfinished.remove(thread) + resumed.group(1);
          micros = began.remove(thread);
        }
        FileOperation operation = parse(text, micros, prefix);
        if (operation != null) {
          operations.add(operation);
        }
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return operations;
  }

  private static FileOperation parse(String text, long micros, String prefix) {
    Matcher call = CALL.matcher(text);
    if (!call.matches() || call.group(3).startsWith("-")) {
      return null;
    }
    String name = call.group(1);
    List<String> arguments = split(call.group(2));
    long ended = micros + Long.parseLong(call.group(5)) * 1_000_000 + Long.parseLong(call.group(6));
    return switch (name) {
      case "openat" -> {
        String flags = arguments.get(2);
        if (!flags.contains("O_CREAT") && !flags.contains("O_TRUNC")) {
          yield null;
        }
        String path = relative(string(arguments.get(1)), prefix);
        yield flags.contains("O_TRUNC")
            ? operation(micros, ended, Kind.TRUNCATE, path, null, 0, new byte[0])
            : operation(micros, ended, Kind.CREATE, path, null, 0, new byte[0]);
      }
      case "pwrite64" ->
          operation(
              micros,
              ended,
              Kind.WRITE,
              descriptor(arguments.get(0), prefix),
              null,
              Long.parseLong(arguments.get(3)),
              head(bytes(arguments.get(1)), Integer.parseInt(call.group(3))));
      // The offset is the descriptor's own: -1 means at the end of what was written through it.
      case "write" ->
          operation(
              micros,
              ended,
              Kind.WRITE,
              descriptor(arguments.get(0), prefix),
              null,
              -1,
              head(bytes(arguments.get(1)), Integer.parseInt(call.group(3))));
      case "ftruncate" ->
          operation(
              micros,
              ended,
              Kind.TRUNCATE,
              descriptor(arguments.get(0), prefix),
              null,
              Long.parseLong(arguments.get(1)),
              new byte[0]);
      case "fallocate" -> {
        if (!arguments.get(1).equals("0")) {
          yield null; // FALLOC_FL_KEEP_SIZE: the content stays as it is.
        }
        yield operation(
            micros,
            ended,
            Kind.ALLOCATE,
            descriptor(arguments.get(0), prefix),
            null,
            Long.parseLong(arguments.get(2)) + Long.parseLong(arguments.get(3)),
            new byte[0]);
      }
      case "fsync", "fdatasync", "syncfs" ->
          operation(
              micros,
              ended,
              name.equals("fsync")
                  ? Kind.FSYNC
                  : name.equals("fdatasync") ? Kind.FDATASYNC : Kind.SYNCFS,
              descriptor(arguments.get(0), prefix),
              null,
              0,
              new byte[0]);
      case "rename", "renameat", "renameat2" -> {
        boolean at = !name.equals("rename");
        yield operation(
            micros,
            ended,
            Kind.RENAME,
            relative(string(arguments.get(at ? 1 : 0)), prefix),
            relative(string(arguments.get(at ? 3 : 1)), prefix),
            0,
            new byte[0]);
      }
      case "unlink", "unlinkat" ->
          operation(
              micros,
              ended,
              Kind.UNLINK,
              relative(string(arguments.get(name.equals("unlink") ? 0 : 1)), prefix),
              null,
              0,
              new byte[0]);
      default -> null;
    };
  }

  /** Null if the file is not below the root. */
  private static FileOperation operation(
      long began, long ended, Kind kind, String path, String target, long offset, byte[] bytes) {
    return path == null ? null : new FileOperation(began, ended, kind, path, target, offset, bytes);
  }

  private static List<String> split(String arguments) {
    List<String> all = new ArrayList<>();
    int start = 0;
    boolean quoted = false;
    for (int i = 0; i < arguments.length(); i++) {
      char c = arguments.charAt(i);
      if (c == '"') {
        quoted = !quoted;
      } else if (c == ',' && !quoted) {
        all.add(arguments.substring(start, i).strip());
        start = i + 1;
      }
    }
    all.add(arguments.substring(start).strip());
    return all;
  }

  /** {@code 12<\x2f...>}: the path; null if it is not ours or the file has no name any more. */
  private static String descriptor(String argument, String prefix) {
    int start = argument.indexOf('<');
    int end = argument.lastIndexOf('>');
    if (start < 0 || end < start || argument.endsWith(DELETED)) {
      return null;
    }
    return relative(text(unescape(argument, start + 1, end)), prefix);
  }

  private static String relative(String path, String prefix) {
    return path.startsWith(prefix) ? path.substring(prefix.length()) : null;
  }

  private static String string(String argument) {
    return text(bytes(argument));
  }

  private static byte[] bytes(String argument) {
    int start = argument.indexOf('"');
    int end = argument.lastIndexOf('"');
    if (start < 0 || end <= start || end < argument.length() - 1) {
      throw new IllegalStateException("cut short by strace: " + argument.length() + " characters");
    }
    return unescape(argument, start + 1, end);
  }

  private static byte[] unescape(String text, int start, int end) {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream((end - start) / 4 + 1);
    for (int i = start; i < end; i++) {
      if (text.charAt(i) == '\\' && i + 3 < end + 1 && text.charAt(i + 1) == 'x') {
        bytes.write(
            Character.digit(text.charAt(i + 2), 16) << 4 | Character.digit(text.charAt(i + 3), 16));
        i += 3;
      } else {
        bytes.write(text.charAt(i));
      }
    }
    return bytes.toByteArray();
  }

  private static String text(byte[] bytes) {
    return new String(bytes, StandardCharsets.UTF_8);
  }

  private static byte[] head(byte[] bytes, int length) {
    return bytes.length == length ? bytes : java.util.Arrays.copyOf(bytes, length);
  }
}
