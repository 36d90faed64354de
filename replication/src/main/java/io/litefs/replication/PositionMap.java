package io.litefs.replication;

import io.litefs.ltx.Checksum;
import io.litefs.ltx.Pos;
import io.litefs.ltx.Txid;
import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.TreeMap;

/**
 * The body of {@code POST /stream}: where the replica stands.
 *
 * <pre>
 * u32 count, then for each database
 *   u32 length n, n bytes of name, u64 TXID, u64 checksum
 * </pre>
 */
final class PositionMap {

  /** Most databases in one map; far more than one directory is used with. */
  static final int MAX_COUNT = 1 << 16;

  private PositionMap() {}

  /**
   * Reads a map; bytes behind it stay unread.
   *
   * @throws StreamFormatException if a length is out of range, a TXID is above 2^63 - 1 or a name
   *     comes twice
   */
  static Map<String, Pos> read(InputStream in) throws IOException {
    WireInput wire = new WireInput(in);
    int count = wire.u32("count of the position map");
    if (count < 0 || count > MAX_COUNT) {
      throw new StreamFormatException(
          "position map has "
              + Integer.toUnsignedString(count)
              + " databases, permitted are up to "
              + MAX_COUNT);
    }
    Map<String, Pos> map = new LinkedHashMap<>();
    for (int i = 0; i < count; i++) {
      String name = wire.string("database name in the position map", StreamFrame.MAX_NAME);
      long txid = wire.u64("TXID of " + name);
      long checksum = wire.u64("checksum of " + name);
      if (txid < 0) {
        throw new StreamFormatException("TXID of " + name + " is above 2^63 - 1");
      }
      if (map.put(name, new Pos(new Txid(txid), new Checksum(checksum))) != null) {
        throw new StreamFormatException(name + " is twice in the position map");
      }
    }
    return map;
  }

  /** Writes a map in the order of its names and does not flush. */
  static void write(Map<String, Pos> map, OutputStream out) throws IOException {
    DataOutputStream data = new DataOutputStream(out);
    data.writeInt(map.size());
    for (Map.Entry<String, Pos> entry : new TreeMap<>(map).entrySet()) {
      byte[] name = entry.getKey().getBytes(StandardCharsets.UTF_8);
      data.writeInt(name.length);
      data.write(name);
      data.writeLong(entry.getValue().txid().value());
      data.writeLong(entry.getValue().checksum().value());
    }
  }

  static byte[] toBytes(Map<String, Pos> map) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    try {
      write(map, out);
    } catch (IOException e) {
      throw new AssertionError("an array takes every byte", e);
    }
    return out.toByteArray();
  }
}
