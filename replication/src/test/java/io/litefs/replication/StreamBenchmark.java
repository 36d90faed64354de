package io.litefs.replication;

import com.sun.management.OperatingSystemMXBean;
import io.litefs.ltx.Pos;
import io.netty.buffer.PooledByteBufAllocator;
import java.io.IOException;
import java.io.InputStream;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.channels.ReadableByteChannel;
import java.time.Duration;
import java.time.Instant;
import java.util.Arrays;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Semaphore;
import java.util.concurrent.locks.LockSupport;

/**
 * Measures the stream over the loopback interface, without disks: how fast a replica catches up,
 * and how long a commit takes to the replica when nothing else happens. A program of its own, not a
 * test:
 *
 * <pre>mvn -pl replication test-compile exec:java ...   or   java -Xmx64m -cp ... StreamBenchmark
 * </pre>
 */
final class StreamBenchmark {
  private static final int MB = 1_000_000;

  private static final OperatingSystemMXBean CPU =
      (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();

  private StreamBenchmark() {}

  public static void main(String[] args) throws Exception {
    for (int round = 0; round < 3; round++) {
      catchUp("one snapshot of 1 GB", 1, 1000 * MB);
      catchUp("1000 files of 1 MB", 1000, MB);
      catchUp("50,000 files of 4.3 KB", 50_000, 4300);
    }
    for (int round = 0; round < 3; round++) {
      latency(2000, 600);
    }
    long direct = ((PooledByteBufAllocator) Buffers.ALLOCATOR).metric().usedDirectMemory();
    System.out.printf("direct memory of the allocator: %.1f MB%n", direct / 1e6);
  }

  /** Counts; checks nothing. */
  private static final class CountingSink implements ChangeSink {
    final Semaphore files = new Semaphore(0);
    final Semaphore ready = new Semaphore(0);
    final ByteBuffer buffer = ByteBuffer.allocateDirect(64 * 1024);
    volatile long receivedNanos;
    volatile Map<String, Pos> positions = Map.of();

    @Override
    public Map<String, Pos> positions() {
      return positions;
    }

    @Override
    public void connected(long primaryNodeId, String clusterId) {}

    @Override
    public void ltx(String database, InputStream file) throws IOException {
      ReadableByteChannel channel = (ReadableByteChannel) file;
      while (channel.read(buffer.clear()) >= 0) {
        // To the end.
      }
      receivedNanos = System.nanoTime();
      files.release();
    }

    @Override
    public void ready() {
      ready.release();
    }

    @Override
    public void heartbeat(Instant primaryTime) {}

    @Override
    public void drop(String database) {}

    @Override
    public void highWaterMark(String database, long txid) {}

    @Override
    public void handoff(String leaseId) {}

    @Override
    public void disconnected(Throwable cause) {}
  }

  private static void catchUp(String what, int files, int size) throws Exception {
    FakeSource source = new FakeSource();
    CountingSink sink = new CountingSink();
    if (files == 1) {
      source.commit("a.db", 100);
      source.snapshotSize("a.db", size);
    } else {
      sink.positions = Map.of("a.db", source.commit("a.db", 100));
      for (int i = 0; i < files; i++) {
        source.commit("a.db", size);
      }
    }
    try (StreamHandler handler = handler(source);
        TestServer server = new TestServer().route("POST /stream", handler).start();
        StreamClient client = client(server, sink)) {
      long cpu = CPU.getProcessCpuTime();
      long start = System.nanoTime();
      client.start();
      sink.ready.acquire();
      double cpuSeconds = (CPU.getProcessCpuTime() - cpu) / 1e9;
      double seconds = (System.nanoTime() - start) / 1e9;
      double megabytes = (double) files * size / MB;
      System.out.printf(
          "%-24s %6.0f MB in %.2f s: %5.0f MB/s, %.0f files/s, %.2f s of CPU%n",
          what, megabytes, seconds, megabytes / seconds, files / seconds, cpuSeconds);
    }
  }

  private static void latency(int count, int size) throws Exception {
    FakeSource source = new FakeSource();
    CountingSink sink = new CountingSink();
    source.commit("a.db", size);
    try (StreamHandler handler = handler(source);
        TestServer server = new TestServer().route("POST /stream", handler).start();
        StreamClient client = client(server, sink)) {
      client.start();
      sink.ready.acquire();
      sink.files.drainPermits();
      long[] nanos = new long[count];
      long[] commit = new long[count];
      for (int i = 0; i < count; i++) {
        LockSupport.parkNanos(1_000_000);
        long start = System.nanoTime();
        source.commit("a.db", size);
        commit[i] = System.nanoTime() - start;
        sink.files.acquire();
        nanos[i] = sink.receivedNanos - start;
      }
      print("commit to received", nanos);
      print("of it in the commit", commit);
    }
  }

  private static void print(String what, long[] nanos) {
    Arrays.sort(nanos);
    System.out.printf(
        "%-24s p50 %.0f us, p90 %.0f us, p99 %.0f us, max %.0f us%n",
        what,
        nanos[nanos.length / 2] / 1e3,
        nanos[nanos.length * 9 / 10] / 1e3,
        nanos[nanos.length * 99 / 100] / 1e3,
        nanos[nanos.length - 1] / 1e3);
  }

  private static StreamHandler handler(ChangeSource source) {
    return new StreamHandler(source, 1, () -> null, StreamHandler.Options.DEFAULTS);
  }

  private static StreamClient client(TestServer server, ChangeSink sink) {
    return new StreamClient(server.uri(), 2, Set.of(), sink, Duration.ofSeconds(1));
  }
}
