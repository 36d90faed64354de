package io.litefs.it.bench.ltx;

import io.litefs.ltx.PageChecksum;
import java.nio.ByteBuffer;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;

/** Time for the checksum of a page; page size / ns = GB/s. */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Fork(1)
@Warmup(iterations = 4, time = 1)
@Measurement(iterations = 5, time = 1)
public class ChecksumBenchmark {

  /** In bytes. */
  @Param({"4096"})
  public int pageSize;

  private byte[] bytes;
  private ByteBuffer heap;
  private ByteBuffer direct;

  /** Random pages. */
  @Setup
  public void fill() {
    bytes = new byte[pageSize];
    new Random(1).nextBytes(bytes);
    heap = ByteBuffer.wrap(bytes);
    direct = ByteBuffer.allocateDirect(pageSize).put(bytes).flip();
    // Both kinds in one process, as in the daemon, so that no profile is cleaner than life.
    for (int i = 0; i < 20_000; i++) {
      if (PageChecksum.of(i, heap) != PageChecksum.of(i, direct)) {
        throw new AssertionError();
      }
    }
  }

  /** What the project uses, heap buffer. */
  @Benchmark
  public long heap() {
    return PageChecksum.of(7, heap);
  }

  /** What the project uses, direct buffer. */
  @Benchmark
  public long direct() {
    return PageChecksum.of(7, direct);
  }

  /** For comparison: 8 tables. */
  @Benchmark
  public long slicingBy8() {
    return SlicedCrc64.by8(-1, bytes);
  }

  /** For comparison: 16 tables. */
  @Benchmark
  public long slicingBy16() {
    return SlicedCrc64.by16(-1, bytes);
  }
}
