package io.litefs.replication;

import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;

/** Reads the big-endian integers and the length-prefixed strings that the protocol is made of. */
final class WireInput {
  private final InputStream in;
  private final byte[] scratch = new byte[8];

  WireInput(InputStream in) {
    this.in = in;
  }

  InputStream stream() {
    return in;
  }

  /**
   * @param what names the field in errors
   */
  int u16(String what) throws IOException {
    fill(scratch, 0, 2, what);
    return (scratch[0] & 0xff) << 8 | scratch[1] & 0xff;
  }

  /** Returns the value as a signed int: a length above 2^31 is negative. */
  int u32(String what) throws IOException {
    fill(scratch, 0, 4, what);
    return ByteBuffer.wrap(scratch).getInt();
  }

  /** As {@link #u32}, but null if the input ends before the first byte. */
  Integer u32OrEnd(String what) throws IOException {
    int first = in.read();
    if (first < 0) {
      return null;
    }
    scratch[0] = (byte) first;
    fill(scratch, 1, 3, what);
    return ByteBuffer.wrap(scratch).getInt();
  }

  long u64(String what) throws IOException {
    fill(scratch, 0, 8, what);
    return ByteBuffer.wrap(scratch).getLong();
  }

  /**
   * A u32 length and as many bytes of UTF-8.
   *
   * @param max longest permitted length in bytes, checked before memory is taken
   * @throws StreamFormatException if it is empty, longer than {@code max} or not UTF-8
   */
  String string(String what, int max) throws IOException {
    int length = u32("length of " + what);
    if (length <= 0 || length > max) {
      throw new StreamFormatException(
          what + " has length " + Integer.toUnsignedString(length) + ", permitted are 1 to " + max);
    }
    byte[] bytes = new byte[length];
    fill(bytes, 0, length, what);
    try {
      return StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes)).toString();
    } catch (CharacterCodingException e) {
      throw new StreamFormatException(what + " is not UTF-8", e);
    }
  }

  private void fill(byte[] into, int offset, int length, String what) throws IOException {
    int got = in.readNBytes(into, offset, length);
    if (got < length) {
      throw new EOFException("input ends within " + what);
    }
  }
}
