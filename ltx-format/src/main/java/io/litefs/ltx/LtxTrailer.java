package io.litefs.ltx;

import java.nio.ByteBuffer;
import java.util.Objects;

/**
 * The last 16 bytes of an LTX file, big-endian, never compressed.
 *
 * <pre>
 *   0                               8                               16
 *   +-------------------------------+-------------------------------+
 *   | post-apply database checksum  | file checksum                 |
 *   +-------------------------------+-------------------------------+
 * </pre>
 *
 * @param postApply checksum of the database after the file has been applied
 * @param file {@code 2^63 | CRC64} of all that comes before it in the file, the page block taken
 *     uncompressed
 */
public record LtxTrailer(Checksum postApply, Checksum file) {

  /** Size in bytes. */
  public static final int SIZE = 16;

  /** Refuses nulls. */
  public LtxTrailer {
    Objects.requireNonNull(postApply, "postApply");
    Objects.requireNonNull(file, "file");
  }

  /** Reads 16 bytes, whatever the buffer's byte order, without judging them. */
  public static LtxTrailer decode(ByteBuffer buffer) {
    ByteBuffer b = buffer.slice(buffer.position(), SIZE);
    buffer.position(buffer.position() + SIZE);
    return new LtxTrailer(new Checksum(b.getLong()), new Checksum(b.getLong()));
  }

  /** Writes 16 bytes, whatever the buffer's byte order. */
  public void encode(ByteBuffer buffer) {
    ByteBuffer b = buffer.slice(buffer.position(), SIZE);
    b.putLong(postApply.value()).putLong(file.value());
    buffer.position(buffer.position() + SIZE);
  }
}
