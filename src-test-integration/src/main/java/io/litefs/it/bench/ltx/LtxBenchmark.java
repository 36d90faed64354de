package io.litefs.it.bench.ltx;

import io.litefs.ltx.Checksum;
import io.litefs.ltx.LtxDecoder;
import io.litefs.ltx.LtxEncoder;
import io.litefs.ltx.LtxHeader;
import io.litefs.ltx.LtxTrailer;
import io.litefs.ltx.Txid;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.ReadableByteChannel;
import java.nio.channels.WritableByteChannel;
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

/**
 * Time for one LTX file in memory, of 1 page (a transaction) and of 1000 (4 MB): pages * 4096 / ns
 * = GB/s.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Fork(1)
@Warmup(iterations = 4, time = 1)
@Measurement(iterations = 5, time = 1)
public class LtxBenchmark {

  private static final int PAGE_SIZE = 4096;

  /** Pages in the file. */
  @Param({"1", "1000"})
  public int pages;

  /** Whether the page block is an LZ4 frame. */
  @Param({"false", "true"})
  public boolean compressed;

  private final Memory memory = new Memory();
  private LtxHeader header;
  private ByteBuffer page;

  /** Pages half of text that repeats, half random: they shrink by about a half. */
  @Setup
  public void fill() throws IOException {
    header =
        new LtxHeader(
            compressed,
            PAGE_SIZE,
            pages,
            new Txid(2),
            new Txid(2),
            0,
            Checksum.EMPTY_DATABASE,
            0,
            0,
            0,
            0,
            1);
    byte[] bytes = new byte[PAGE_SIZE];
    new Random(1).nextBytes(bytes);
    for (int i = 0; i < PAGE_SIZE / 2; i++) {
      bytes[i] = (byte) "insert into t values (1, 'text')".charAt(i % 32);
    }
    page = ByteBuffer.allocateDirect(PAGE_SIZE).put(bytes).flip();
    encode();
    decode();
  }

  /** Pages to bytes. */
  @Benchmark
  public LtxTrailer encode() throws IOException {
    memory.bytes.clear();
    LtxEncoder encoder = new LtxEncoder(memory, header);
    for (int pgno = 1; pgno <= pages; pgno++) {
      encoder.page(pgno, page.rewind());
    }
    LtxTrailer trailer = encoder.finish(Checksum.EMPTY_DATABASE);
    memory.bytes.flip();
    return trailer;
  }

  /** Bytes to pages, with all checks. */
  @Benchmark
  public LtxTrailer decode() throws IOException {
    memory.bytes.rewind();
    try (LtxDecoder decoder = new LtxDecoder(memory, "memory")) {
      while (decoder.next(page) != 0) {
        // the decoder's own work is what is measured
      }
      return decoder.trailer();
    }
  }

  /** A channel at no cost but that of copying. */
  private static final class Memory implements ReadableByteChannel, WritableByteChannel {

    private final ByteBuffer bytes = ByteBuffer.allocateDirect(8 << 20);

    @Override
    public int read(ByteBuffer destination) {
      int n = Math.min(destination.remaining(), bytes.remaining());
      if (n == 0) {
        return -1;
      }
      destination.put(destination.position(), bytes, bytes.position(), n);
      destination.position(destination.position() + n);
      bytes.position(bytes.position() + n);
      return n;
    }

    @Override
    public int write(ByteBuffer source) {
      int n = source.remaining();
      bytes.put(source);
      return n;
    }

    @Override
    public boolean isOpen() {
      return true;
    }

    @Override
    public void close() {
      // memory has nothing to close
    }
  }
}
