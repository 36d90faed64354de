package io.litefs.replication;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.litefs.ltx.LtxDecoder;
import io.litefs.ltx.LtxHeader;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.ReadableByteChannel;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class StreamFrameTest {

  /** What stands between two frames' files: enough to say what a recorded stream holds. */
  private static String describe(StreamFrame frame, StreamFrameReader reader) throws IOException {
    if (!(frame instanceof StreamFrame.Ltx ltx)) {
      return frame instanceof StreamFrame.Heartbeat ? "Heartbeat" : frame.toString();
    }
    assertThat(ltx.size()).isZero();
    byte[] file = reader.file().readAllBytes();
    LtxHeader header = verify(file, ltx.database());
    return ltx.database() + " " + header.minTxid().value() + "-" + header.maxTxid().value();
  }

  private static LtxHeader verify(byte[] file, String name) throws IOException {
    ReadableByteChannel in = Channels.newChannel(new ByteArrayInputStream(file));
    try (LtxDecoder decoder = new LtxDecoder(in, name)) {
      ByteBuffer page = ByteBuffer.allocateDirect(decoder.header().pageSize());
      while (decoder.next(page) != 0) {
        assertThat(page.remaining()).isEqualTo(decoder.header().pageSize());
      }
      return decoder.header();
    }
  }

  private static List<String> describeAll(String vector) throws IOException {
    StreamFrameReader reader = reader(Vectors.bytes(vector));
    List<String> frames = new ArrayList<>();
    for (StreamFrame f = reader.next(); f != null; f = reader.next()) {
      frames.add(describe(f, reader));
    }
    return frames;
  }

  @ParameterizedTest
  @ValueSource(strings = {"wire/stream-from-empty-lz4.bin", "wire/stream-from-empty-plain.bin"})
  void recordedStreamFromNothingHasASnapshotOfEachDatabase(String vector) throws IOException {
    assertThat(describeAll(vector))
        .containsExactly(
            "journal.db 1-6", "small.db 1-2", "wal.db 1-7", "Ready[]", "Heartbeat", "Heartbeat");
  }

  @Test
  void recordedStreamOfAResumeHasWhatWasMissing() throws IOException {
    assertThat(describeAll("wire/stream-resume-lz4.bin"))
        .containsExactly(
            "Drop[database=gone.db]",
            "journal.db 3-3",
            "HighWaterMark[txid=0, database=journal.db]",
            "journal.db 4-4",
            "HighWaterMark[txid=0, database=journal.db]",
            "journal.db 5-5",
            "HighWaterMark[txid=0, database=journal.db]",
            "journal.db 6-6",
            "HighWaterMark[txid=0, database=journal.db]",
            "small.db 1-2",
            "Ready[]",
            "Heartbeat",
            "Heartbeat");
  }

  @Test
  void resumedFilesAreThoseOnThePrimarysDisk() throws IOException {
    StreamFrameReader reader = reader(Vectors.bytes("wire/stream-resume-lz4.bin"));
    int txid = 3;
    for (StreamFrame f = reader.next(); f != null; f = reader.next()) {
      if (f instanceof StreamFrame.Ltx ltx && ltx.database().equals("journal.db")) {
        byte[] onDisk =
            Vectors.bytes(String.format("ltx-v1-lz4/journal.db/%1$016x-%1$016x.ltx", txid++));
        assertThat(reader.file().readAllBytes()).isEqualTo(onDisk);
      }
    }
    assertThat(txid).isEqualTo(7);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "wire/stream-from-empty-lz4.bin",
        "wire/stream-from-empty-plain.bin",
        "wire/stream-resume-lz4.bin"
      })
  void unreadFilesAreSkipped(String vector) throws IOException {
    StreamFrameReader reader = reader(Vectors.bytes(vector));
    StreamFrame last = null;
    for (StreamFrame f = reader.next(); f != null; f = reader.next()) {
      last = f;
    }
    assertThat(last).isInstanceOf(StreamFrame.Heartbeat.class);
  }

  @Test
  void framesSurviveTheWire() throws IOException {
    List<StreamFrame> frames =
        List.of(
            new StreamFrame.Ready(),
            new StreamFrame.End(),
            new StreamFrame.Drop("a.db"),
            new StreamFrame.Handoff("b96f7c3c-7d7b-4d6a-9f0e-5d7f0c1b2a3d"),
            new StreamFrame.HighWaterMark(Long.MAX_VALUE, "ünï.db"),
            new StreamFrame.Heartbeat(1_795_351_730_026L));
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    StreamFrameWriter writer = new StreamFrameWriter(out);
    for (StreamFrame frame : frames) {
      writer.write(frame);
    }
    StreamFrameReader reader = reader(out.toByteArray());
    for (StreamFrame frame : frames) {
      assertThat(reader.next()).isEqualTo(frame);
    }
    assertThat(reader.next()).isNull();
  }

  @Test
  void fileSurvivesTheWireWhateverTheChunks() throws IOException {
    byte[] file = new byte[200_001];
    new Random(1).nextBytes(file);
    for (int room : new int[] {3, 1000, StreamFrame.MAX_CHUNK + 2}) {
      byte[] wire = ltx("a.db", file, room);
      StreamFrameReader reader = reader(wire);
      assertThat(reader.next()).isEqualTo(new StreamFrame.Ltx(0, "a.db"));
      assertThat(reader.file().readAllBytes()).isEqualTo(file);
      assertThat(reader.next()).isNull();
    }
  }

  @Test
  void fileIsAChannelForDirectBuffersToo() throws IOException {
    byte[] file = new byte[20_000];
    new Random(2).nextBytes(file);
    StreamFrameReader reader = reader(ltx("a.db", file, 777));
    reader.next();
    ByteBuffer direct = ByteBuffer.allocateDirect(file.length + 1);
    ReadableByteChannel channel = (ReadableByteChannel) reader.file();
    while (channel.read(direct) >= 0) {
      assertThat(direct.hasRemaining()).isTrue();
    }
    byte[] got = new byte[direct.flip().remaining()];
    direct.get(got);
    assertThat(got).isEqualTo(file);
  }

  @Test
  void streamThatEndsWithinAFrameOrFileIsTruncated() {
    byte[] wire = Vectors.bytes("wire/stream-resume-lz4.bin");
    for (int length = 1; length < 900; length++) {
      if (length == 15 || length == 840 || length == 866) {
        continue; // The ends of the first frames.
      }
      StreamFrameReader reader = reader(Arrays.copyOf(wire, length));
      assertThatThrownBy(
              () -> {
                while (reader.next() != null) {
                  // To the end.
                }
              })
          .isInstanceOf(EOFException.class)
          .hasMessageStartingWith("input ends within ");
    }
  }

  @Test
  void truncatedFileFailsInItsOwnRead() throws IOException {
    byte[] wire = ltx("a.db", new byte[1000], 502);
    StreamFrameReader reader = reader(Arrays.copyOf(wire, wire.length - 2));
    reader.next();
    InputStream file = reader.file();
    assertThat(file.readNBytes(1000)).hasSize(1000);
    assertThatThrownBy(file::read)
        .isInstanceOf(EOFException.class)
        .hasMessage("input ends within the LTX file of a.db");
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 8, -1, Integer.MIN_VALUE, 0x48545450})
  void unknownTypeIsRefused(int type) {
    byte[] wire = ByteBuffer.allocate(16).putInt(type).array();
    assertThatThrownBy(() -> reader(wire).next())
        .isInstanceOf(StreamFormatException.class)
        .hasMessage("unknown frame type " + Integer.toUnsignedString(type));
  }

  @ParameterizedTest
  @ValueSource(ints = {0, -1, Integer.MAX_VALUE, 4097})
  void lengthOutOfRangeIsRefusedBeforeMemoryIsTaken(int length) {
    byte[] drop = ByteBuffer.allocate(8).putInt(4).putInt(length).array();
    byte[] handoff = ByteBuffer.allocate(8).putInt(5).putInt(length).array();
    byte[] ltx = ByteBuffer.allocate(16).putInt(1).putLong(0).putInt(length).array();
    byte[] mark = ByteBuffer.allocate(16).putInt(6).putLong(0).putInt(length).array();
    for (byte[] wire : List.of(drop, handoff, ltx, mark)) {
      assertThatThrownBy(() -> reader(wire).next())
          .isInstanceOf(StreamFormatException.class)
          .hasMessageContaining("has length " + Integer.toUnsignedString(length));
    }
  }

  @Test
  void writerRefusesWhatNoReaderWouldTake() {
    StreamFrameWriter writer = new StreamFrameWriter(new ByteArrayOutputStream());
    assertThatThrownBy(() -> writer.write(new StreamFrame.Drop("x".repeat(1025))))
        .isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> writer.write(new StreamFrame.Handoff("")))
        .isInstanceOf(IllegalArgumentException.class);
  }

  private static byte[] ltx(String name, byte[] file, int room) throws IOException {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    StreamFrameWriter writer = new StreamFrameWriter(out);
    writer.write(new StreamFrame.Ltx(0, name));
    ReadableByteChannel in = Channels.newChannel(new ByteArrayInputStream(file));
    assertThat(writer.chunks(in::read, ByteBuffer.allocate(room))).isEqualTo(file.length);
    writer.endOfFile();
    return out.toByteArray();
  }

  private static StreamFrameReader reader(byte[] wire) {
    return new StreamFrameReader(new ByteArrayInputStream(wire));
  }
}
