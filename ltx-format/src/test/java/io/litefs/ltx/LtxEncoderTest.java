package io.litefs.ltx;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.sun.management.ThreadMXBean;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.WritableByteChannel;
import java.util.SortedMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class LtxEncoderTest {

  private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
  private final WritableByteChannel out = Channels.newChannel(bytes);
  private final ByteBuffer page = ByteBuffer.allocateDirect(512);

  @Test
  void refusesPagesThatMayNotCome() throws IOException {
    long lockPage = new PageSize(512).lockPage();
    LtxEncoder encoder = new LtxEncoder(out, LtxFiles.header(false, 512, lockPage + 5, 7, 7));
    encoder.page(3, page.clear());
    for (long pgno : new long[] {-1, 0, 2, 3, lockPage, lockPage + 6}) {
      assertThatIllegalArgumentException()
          .isThrownBy(() -> encoder.page(pgno, page.clear()))
          .withMessageContaining(Long.toString(pgno));
    }
    encoder.page(lockPage - 1, page.clear());
    encoder.page(lockPage + 1, page.clear());
  }

  @Test
  void refusesPagesOfAnotherSize() {
    LtxEncoder encoder = new LtxEncoder(out, LtxFiles.header(false, 1024, 5, 7, 7));
    assertThatIllegalArgumentException()
        .isThrownBy(() -> encoder.page(1, page.clear()))
        .withMessageContaining("512 bytes, not 1024");
  }

  @Test
  void refusesGapsInASnapshot() throws IOException {
    LtxEncoder encoder = new LtxEncoder(out, LtxFiles.header(false, 512, 3, 1, 4));
    encoder.page(1, page.clear());
    assertThatIllegalArgumentException().isThrownBy(() -> encoder.page(3, page.clear()));
    assertThatIllegalStateException().isThrownBy(() -> encoder.finish(LtxFiles.SOME));
  }

  @Test
  void refusesAPostApplyChecksumThatIsNotThatOfTheSnapshot() throws IOException {
    LtxEncoder encoder = new LtxEncoder(out, LtxFiles.header(false, 512, 1, 1, 4));
    long checksum = encoder.page(1, page.clear());
    assertThatIllegalArgumentException().isThrownBy(() -> encoder.finish(LtxFiles.SOME));
    assertThat(encoder.finish(new Checksum(checksum)).postApply().value()).isEqualTo(checksum);
  }

  @Test
  void writesADroppedDatabase() throws IOException {
    LtxEncoder encoder = new LtxEncoder(out, LtxFiles.header(false, 512, 0, 7, 7));
    assertThatIllegalArgumentException().isThrownBy(() -> encoder.finish(LtxFiles.SOME));
    encoder.finish(Checksum.EMPTY_DATABASE);
    try (LtxDecoder decoder = LtxFiles.decoder(bytes.toByteArray())) {
      assertThat(LtxFiles.read(decoder)).isEmpty();
      assertThat(decoder.trailer().postApply()).isEqualTo(Checksum.EMPTY_DATABASE);
    }
  }

  @Test
  void isOfNoUseOnceFinished() throws IOException {
    LtxEncoder encoder = new LtxEncoder(out, LtxFiles.header(true, 512, 2, 7, 7));
    encoder.page(1, page.clear());
    encoder.finish(LtxFiles.SOME);
    assertThatIllegalStateException().isThrownBy(() -> encoder.page(2, page.clear()));
    assertThatIllegalStateException().isThrownBy(() -> encoder.finish(LtxFiles.SOME));
    assertThat(encoder.bytesWritten()).isEqualTo(bytes.size());
    assertThat(out.isOpen()).isTrue();
  }

  @Test
  void leavesOutTheLockPageOfASnapshot() throws IOException {
    // 65536 bytes have the lowest lock page, and still it takes 1 GiB to get there.
    PageRun run = new PageRun(LtxFiles.header(false, 65536, 16386, 1, 1));
    for (long pgno = 1; pgno <= 16384; pgno++) {
      assertThat(run.refusal(pgno)).isNull();
      run.add(pgno, 0);
    }
    assertThat(run.refusal(16385)).contains("lock page");
    assertThat(run.incomplete()).isNotNull();
    assertThat(run.refusal(16386)).isNull();
    run.add(16386, 0);
    assertThat(run.incomplete()).isNull();
  }

  @Test
  void aSnapshotMayEndAtTheLockPage() {
    PageRun run = new PageRun(LtxFiles.header(false, 65536, 16385, 1, 1));
    for (long pgno = 1; pgno <= 16384; pgno++) {
      run.add(pgno, 0);
    }
    assertThat(run.incomplete()).isNull();
  }

  @Test
  void passesOnWhatTheChannelThrows() {
    IOException full = new IOException("No space left on device");
    WritableByteChannel channel =
        Channels.newChannel(
            new java.io.OutputStream() {
              @Override
              public void write(int b) throws IOException {
                throw full;
              }
            });
    LtxEncoder encoder = new LtxEncoder(channel, LtxFiles.header(false, 512, 2, 7, 7));
    assertThatThrownBy(() -> encoder.finish(LtxFiles.SOME)).isSameAs(full);
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void aTransactionOfOnePageMakesLittleGarbage(boolean compressed) throws IOException {
    LtxHeader header = LtxFiles.header(compressed, 512, 2, 7, 7);
    WritableByteChannel sink = Channels.newChannel(java.io.OutputStream.nullOutputStream());
    ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    long before = 0;
    for (int i = 0; i < 300; i++) {
      if (i == 200) {
        before = threads.getCurrentThreadAllocatedBytes();
      }
      LtxEncoder encoder = new LtxEncoder(sink, header);
      encoder.page(1, page.clear());
      encoder.finish(LtxFiles.SOME);
    }
    // The LZ4 library allocates its hash table of 16 KiB for each block.
    long most = compressed ? 18_000 : 1_500;
    assertThat((threads.getCurrentThreadAllocatedBytes() - before) / 100).isLessThan(most);
  }

  @Test
  void pagesMayComeFromAnyKindOfBuffer() throws IOException {
    for (boolean compressed : new boolean[] {false, true}) {
      LtxHeader header = LtxFiles.header(compressed, 65536, 3, 7, 7);
      SortedMap<Long, byte[]> pages = LtxFiles.pagesUpTo(65536, 3);
      bytes.reset();
      LtxEncoder encoder = new LtxEncoder(out, header);
      byte[] padded = new byte[65540];
      System.arraycopy(pages.get(1L), 0, padded, 3, 65536);
      encoder.page(1, ByteBuffer.wrap(padded, 3, 65536));
      encoder.page(2, ByteBuffer.wrap(pages.get(2L)).asReadOnlyBuffer());
      encoder.page(3, ByteBuffer.allocateDirect(65537).put(1, pages.get(3L)).position(1));
      encoder.finish(LtxFiles.SOME);
      assertThat(bytes.toByteArray()).isEqualTo(LtxFiles.encode(header, pages));
    }
  }
}
