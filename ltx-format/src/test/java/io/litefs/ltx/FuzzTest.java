package io.litefs.ltx;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;

/** Recorded files with arbitrary damage: nothing but an LtxException, and no memory to speak of. */
class FuzzTest {

  private static final long MOST_BYTES = 1 << 20;

  private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

  private interface Opener {
    LtxReader open(byte[] file) throws IOException;
  }

  /** Overwrites some bytes, or cuts or repeats a piece. */
  record Damage(int kind, double at, int length, int value) {

    byte[] apply(byte[] file) {
      int offset = (int) (at * file.length);
      int size = Math.min(length, file.length - offset);
      switch (kind) {
        case 0 -> {
          Arrays.fill(file, offset, offset + size, (byte) value);
          return file;
        }
        case 1 -> {
          // Numbers at the edges of their ranges, where lengths and page numbers are.
          int[] edges = {0, 1, -1, Integer.MAX_VALUE, Integer.MIN_VALUE, 0xFFFF, 0x400000, value};
          int aligned = Math.min(offset & ~3, file.length - 4);
          ByteBuffer.wrap(file).putInt(aligned, edges[Math.floorMod(value, edges.length)]);
          return file;
        }
        case 2 -> {
          byte[] cut = Arrays.copyOf(file, file.length - size);
          System.arraycopy(file, offset + size, cut, offset, cut.length - offset);
          return cut.length < 8 ? new byte[8] : cut;
        }
        default -> {
          byte[] repeated = Arrays.copyOf(file, file.length + size);
          System.arraycopy(file, offset, repeated, offset + size, file.length - offset);
          return repeated;
        }
      }
    }
  }

  @Provide
  Arbitrary<Damage> damage() {
    return Combinators.combine(
            Arbitraries.integers().between(0, 3),
            Arbitraries.doubles().between(0, 0.999).ofScale(3),
            Arbitraries.integers().between(1, 40),
            Arbitraries.integers())
        .as(Damage::new);
  }

  @Provide
  Arbitrary<List<Damage>> damages() {
    return damage().list().ofMinSize(1).ofMaxSize(3);
  }

  @Provide
  Arbitrary<String> v1() {
    List<String> files = new ArrayList<>();
    for (String db : Vectors.DATABASES) {
      files.addAll(Vectors.list("ltx-v1-lz4/" + db));
      files.addAll(Vectors.list("ltx-v1-plain/" + db));
    }
    return Arbitraries.of(files);
  }

  @Provide
  Arbitrary<String> v3() {
    return Arbitraries.of("ltx-v3/journal.ltx", "ltx-v3/wal.ltx", "ltx-v3/small.ltx");
  }

  @Property(tries = 2000)
  void version1(@ForAll("v1") String path, @ForAll("damages") List<Damage> damages)
      throws IOException {
    check(path, damages, LtxFiles::decoder);
  }

  @Property(tries = 1000)
  void version3(@ForAll("v3") String path, @ForAll("damages") List<Damage> damages)
      throws IOException {
    check(path, damages, LtxFiles::decoder3);
  }

  @Property(tries = 300)
  void versionsMistakenForEachOther(
      @ForAll("v1") String v1, @ForAll("v3") String v3, @ForAll("damages") List<Damage> damages)
      throws IOException {
    check(v1, damages, LtxFiles::decoder3);
    check(v3, damages, LtxFiles::decoder);
  }

  private static void check(String path, List<Damage> damages, Opener opener) throws IOException {
    byte[] original = Vectors.read(path);
    byte[] file = original.clone();
    for (Damage damage : damages) {
      file = damage.apply(file);
    }
    ByteBuffer page = ByteBuffer.allocate(PageSize.MAX);
    long before = THREADS.getCurrentThreadAllocatedBytes();
    LtxTrailer trailer = null;
    // Any exception but this one fails the test.
    try (LtxReader reader = opener.open(file)) {
      while (reader.next(page) != 0) {
        assertThat(page.remaining()).isEqualTo(reader.header().pageSize());
      }
      trailer = reader.trailer();
    } catch (LtxException e) {
      assertThat(e.file()).isEqualTo("f.ltx");
      assertThat(e.offset()).isNotNegative();
      assertThat(e.getMessage()).doesNotContain("\n");
    }
    assertThat(THREADS.getCurrentThreadAllocatedBytes() - before).isLessThan(MOST_BYTES);
    if (trailer != null) {
      // Compressed bytes may differ and still mean the same; the checksums are of what they mean.
      int end = original.length - LtxTrailer.SIZE;
      assertThat(trailer)
          .isEqualTo(LtxTrailer.decode(ByteBuffer.wrap(original, end, LtxTrailer.SIZE)));
    }
  }
}
