package io.litefs.daemon.metrics;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.stream.Stream;

/**
 * The process, from /proc and the runtime: the platform's management beans would cost several
 * megabytes of memory to tell the same.
 */
final class ProcessInfo {

  private static final Path SELF = Path.of("/proc/self");

  double residentBytes() {
    return status("VmRSS:") * 1024.0;
  }

  double threads() {
    return status("Threads:");
  }

  private static long status(String field) {
    try (Stream<String> lines = Files.lines(SELF.resolve("status"), StandardCharsets.ISO_8859_1)) {
      return lines
          .filter(line -> line.startsWith(field))
          .map(line -> line.substring(field.length()).strip().split(" ")[0])
          .mapToLong(Long::parseLong)
          .findFirst()
          .orElse(0);
    } catch (IOException e) {
      throw new UncheckedIOException("/proc cannot be read", e);
    }
  }

  /** Of this thread's table; the keepers have one of their own. */
  double openDescriptors() {
    try (Stream<Path> descriptors = Files.list(Path.of("/proc/thread-self/fd"))) {
      return descriptors.count();
    } catch (IOException e) {
      throw new UncheckedIOException("/proc cannot be read", e);
    }
  }

  double cpuSeconds() {
    return ProcessHandle.current().info().totalCpuDuration().orElse(Duration.ZERO).toMillis() / 1e3;
  }

  double startSeconds() {
    return ProcessHandle.current().info().startInstant().orElse(Instant.EPOCH).toEpochMilli() / 1e3;
  }

  double heapUsed() {
    return (double) Runtime.getRuntime().totalMemory() - Runtime.getRuntime().freeMemory();
  }

  double heap() {
    return Runtime.getRuntime().totalMemory();
  }

  double heapMax() {
    return Runtime.getRuntime().maxMemory();
  }
}
