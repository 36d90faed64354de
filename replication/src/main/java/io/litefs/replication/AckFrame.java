package io.litefs.replication;

import io.litefs.ltx.Checksum;
import io.litefs.ltx.Pos;
import io.litefs.ltx.Txid;
import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.Optional;

/**
 * What a replica says on the body of its stream's request, behind the position map. An addition of
 * this implementation, sent only to a primary whose answer has the header {@value #HEADER}.
 *
 * <pre>
 *   u32 1, u32 length n, n bytes of name, u64 TXID, u64 checksum    holds this position
 *   u32 2                                                           holds all that it was sent before "ready"
 * </pre>
 *
 * @param database empty: the second kind
 */
record AckFrame(Optional<String> database, Pos pos) {

  /** Its value is {@link #DURABLE}, or {@link #RECEIVED} if the replica need not sync first. */
  static final String HEADER = "Litefs-Ack";

  static final String DURABLE = "durable";
  static final String RECEIVED = "received";

  private static final int POSITION = 1;
  private static final int IN_SYNC = 2;

  /** Reads the next one; null at the end of the body. */
  static AckFrame read(InputStream in) throws IOException {
    WireInput wire = new WireInput(in);
    Integer type = wire.u32OrEnd("type of an acknowledgement");
    if (type == null) {
      return null;
    }
    if (type == IN_SYNC) {
      return new AckFrame(Optional.empty(), Pos.ZERO);
    }
    if (type != POSITION) {
      throw new StreamFormatException("an acknowledgement cannot have type " + type);
    }
    String name = wire.string("database name in an acknowledgement", StreamFrame.MAX_NAME);
    long txid = wire.u64("TXID of " + name);
    long checksum = wire.u64("checksum of " + name);
    if (txid < 0) {
      throw new StreamFormatException("TXID of " + name + " is above 2^63 - 1");
    }
    return new AckFrame(Optional.of(name), new Pos(new Txid(txid), new Checksum(checksum)));
  }

  /** Positions, and {@code inSync} behind them. */
  static byte[] encode(Map<String, Pos> positions, boolean inSync) {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    DataOutputStream out = new DataOutputStream(bytes);
    try {
      for (Map.Entry<String, Pos> entry : positions.entrySet()) {
        byte[] name = entry.getKey().getBytes(StandardCharsets.UTF_8);
        out.writeInt(POSITION);
        out.writeInt(name.length);
        out.write(name);
        out.writeLong(entry.getValue().txid().value());
        out.writeLong(entry.getValue().checksum().value());
      }
      if (inSync) {
        out.writeInt(IN_SYNC);
      }
    } catch (IOException e) {
      throw new AssertionError("an array takes every byte", e);
    }
    return bytes.toByteArray();
  }
}
