package io.litefs.replication;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.litefs.ltx.Checksum;
import io.litefs.ltx.Pos;
import io.litefs.ltx.Txid;
import java.io.ByteArrayInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.LinkedHashMap;
import java.util.Map;
import org.junit.jupiter.api.Test;

class PositionMapTest {

  @Test
  void recordedMapDecodesToItsContent() throws IOException {
    Map<String, Pos> map = read(Vectors.bytes("wire/posmap-resume.bin"));

    assertThat(map)
        .containsExactly(
            Map.entry("gone.db", pos(3, 0x8000000000000001L)),
            Map.entry("journal.db", pos(2, 0xeb66b785833698aaL)),
            Map.entry("small.db", pos(1, 0x8000000000000009L)),
            Map.entry("wal.db", pos(7, 0xf65cf7dc3b8d35fdL)));
  }

  @Test
  void mapEncodesToTheRecordedBytes() throws IOException {
    byte[] recorded = Vectors.bytes("wire/posmap-resume.bin");

    assertThat(PositionMap.toBytes(read(recorded))).isEqualTo(recorded);
  }

  @Test
  void emptyMapIsFourZeroBytes() throws IOException {
    assertThat(PositionMap.toBytes(Map.of())).containsExactly(0, 0, 0, 0);
    assertThat(read(new byte[4])).isEmpty();
  }

  @Test
  void bytesBehindTheMapStayUnread() throws IOException {
    ByteArrayInputStream in = new ByteArrayInputStream(new byte[] {0, 0, 0, 0, 42});

    PositionMap.read(in);

    assertThat(in.read()).isEqualTo(42);
  }

  @Test
  void tooManyDatabasesAreRefusedBeforeAnyIsRead() {
    assertThatThrownBy(() -> read(ints(-1)))
        .isInstanceOf(StreamFormatException.class)
        .hasMessageContaining("4294967295 databases");
    assertThatThrownBy(() -> read(ints(PositionMap.MAX_COUNT + 1)))
        .isInstanceOf(StreamFormatException.class);
  }

  @Test
  void nameLengthOutOfRangeIsRefused() {
    for (int length : new int[] {0, -1, Integer.MAX_VALUE, StreamFrame.MAX_NAME + 1}) {
      assertThatThrownBy(() -> read(ints(1, length)))
          .isInstanceOf(StreamFormatException.class)
          .hasMessageContaining("database name in the position map has length");
    }
  }

  @Test
  void truncatedMapSaysWhere() {
    byte[] recorded = Vectors.bytes("wire/posmap-resume.bin");
    for (int length = 0; length < recorded.length; length++) {
      byte[] part = java.util.Arrays.copyOf(recorded, length);
      assertThatThrownBy(() -> read(part))
          .isInstanceOf(EOFException.class)
          .hasMessageStartingWith("input ends within ");
    }
  }

  @Test
  void repeatedNameIsRefused() {
    Map<String, Pos> one = new LinkedHashMap<>();
    one.put("a.db", pos(1, 0x8000000000000001L));
    byte[] entry = PositionMap.toBytes(one);
    ByteBuffer twice = ByteBuffer.allocate(2 * entry.length - 4);
    twice.put(entry).put(entry, 4, entry.length - 4).putInt(0, 2);

    assertThatThrownBy(() -> read(twice.array()))
        .isInstanceOf(StreamFormatException.class)
        .hasMessage("a.db is twice in the position map");
  }

  @Test
  void txidAboveTheRangeIsRefused() {
    ByteBuffer map = ByteBuffer.allocate(4 + 4 + 1 + 16);
    map.putInt(1).putInt(1).put((byte) 'a').putLong(-1).putLong(0);

    assertThatThrownBy(() -> read(map.array()))
        .isInstanceOf(StreamFormatException.class)
        .hasMessage("TXID of a is above 2^63 - 1");
  }

  @Test
  void nameThatIsNotUtf8IsRefused() {
    ByteBuffer map = ByteBuffer.allocate(4 + 4 + 2 + 16);
    map.putInt(1).putInt(2).put((byte) 0xc3).put((byte) 0x28);

    assertThatThrownBy(() -> read(map.array()))
        .isInstanceOf(StreamFormatException.class)
        .hasMessageContaining("not UTF-8");
  }

  private static Map<String, Pos> read(byte[] bytes) throws IOException {
    return PositionMap.read(new ByteArrayInputStream(bytes));
  }

  private static byte[] ints(int... values) {
    ByteBuffer bytes = ByteBuffer.allocate(4 * values.length);
    for (int value : values) {
      bytes.putInt(value);
    }
    return bytes.array();
  }

  private static Pos pos(long txid, long checksum) {
    return new Pos(new Txid(txid), new Checksum(checksum));
  }
}
