package io.litefs.ltx;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.Pipe;
import java.nio.channels.WritableByteChannel;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.Test;

/** Encoders and decoders take their memory from a pool; none may see another's. */
class BufferReuseTest {

  @Test
  void sizesAreStillKnownWhenTheBuffersHaveGoneToOthers() throws IOException {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    LtxEncoder encoder =
        new LtxEncoder(Channels.newChannel(out), LtxFiles.header(false, 512, 2, 7, 7));
    encoder.finish(LtxFiles.SOME);
    LtxDecoder decoder = LtxFiles.decoder(out.toByteArray());
    assertThat(decoder.next(ByteBuffer.allocate(512))).isZero();
    decoder.close();
    decoder.close();

    List<LtxDecoder> others = new ArrayList<>();
    for (int i = 0; i < 20; i++) {
      others.add(LtxFiles.decoder(LtxFiles.small()));
    }
    assertThat(encoder.bytesWritten()).isEqualTo(120);
    assertThat(decoder.bytesRead()).isEqualTo(120);
    assertThat(decoder.next(ByteBuffer.allocate(512))).isZero();
    for (LtxDecoder other : others) {
      assertThat(LtxFiles.read(other)).hasSize(2);
      other.close();
    }
  }

  @Test
  void aClosedDecoderIsNotRead() throws IOException {
    LtxDecoder decoder = LtxFiles.decoder(LtxFiles.small());
    decoder.close();
    assertThatIllegalStateException().isThrownBy(() -> decoder.next(ByteBuffer.allocate(512)));
  }

  @Test
  void manyAtOnceDoNotDisturbEachOther() throws IOException {
    List<LtxEncoder> encoders = new ArrayList<>();
    List<ByteArrayOutputStream> outs = new ArrayList<>();
    for (int i = 0; i < 20; i++) {
      outs.add(new ByteArrayOutputStream());
      encoders.add(
          new LtxEncoder(
              Channels.newChannel(outs.get(i)), LtxFiles.header(i % 2 == 0, 512, 2, 7, 7)));
    }
    for (int i = 0; i < 20; i++) {
      encoders.get(i).page(1, ByteBuffer.wrap(LtxFiles.page(512, i)));
    }
    for (int i = 0; i < 20; i++) {
      encoders.get(i).finish(LtxFiles.SOME);
      assertThat(LtxFiles.read(LtxFiles.decoder(outs.get(i).toByteArray())).get(1L))
          .isEqualTo(LtxFiles.page(512, i));
    }
  }

  @Test
  void closingFromAnotherThreadEndsAReadThatBlocks() throws Exception {
    Pipe pipe = Pipe.open();
    try (WritableByteChannel sink = pipe.sink()) {
      sink.write(ByteBuffer.wrap(LtxFiles.small(), 0, 200));
      LtxDecoder decoder = new LtxDecoder(pipe.source(), "pipe");
      CountDownLatch reading = new CountDownLatch(1);
      CompletableFuture<Void> read =
          CompletableFuture.runAsync(
              () -> {
                reading.countDown();
                try {
                  decoder.next(ByteBuffer.allocate(512));
                } catch (IOException e) {
                  throw new CompletionException(e);
                }
              });
      reading.await();
      decoder.close();
      assertThat(read).failsWithin(Duration.ofSeconds(20));
    }
  }
}
