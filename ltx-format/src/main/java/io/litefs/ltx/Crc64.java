package io.litefs.ltx;

import static java.lang.invoke.MethodHandles.byteArrayViewVarHandle;
import static java.lang.invoke.MethodHandles.byteBufferViewVarHandle;

import java.lang.invoke.VarHandle;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Objects;

/**
 * CRC-64 of ISO 3309: {@code x^64 + x^4 + x^3 + x + 1}, reflected, initial value and final xor all
 * ones.
 *
 * <p>A <em>state</em> is the register of the CRC: it starts as {@link #INITIAL}, goes through
 * {@code update} any number of times, and {@link #value} gives the checksum.
 *
 * <p>How it is computed. In the reflected form bit 63 is the coefficient of {@code x^0} and bit 0
 * that of {@code x^63}; multiplying by x is a shift to the right. Because {@code x^64 = x^4 + x^3 +
 * x + 1}, eight bytes at once are
 *
 * <pre>
 *   state' = (state ^ word) * (1 + x + x^3 + x^4)
 * </pre>
 *
 * which is three shifts and no table; the at most four bits that leave the register on the right
 * are powers from x^64 on and are multiplied by the same polynomial once more. Squaring is linear
 * in GF(2), so {@code x^(64*8) = 1 + x^8 + x^24 + x^32} has no more terms: eight lanes can each
 * jump over the other seven, which keeps all of the processor's ALUs busy. What leaves the register
 * in such a jump is worth x^64 more, so it is simply added to the word before: for the first lane
 * that is the last lane before its own jump. The lanes are put together at the end.
 */
public final class Crc64 {

  /** The state before the first byte. */
  public static final long INITIAL = -1L;

  /** The polynomial without x^64, reflected. */
  private static final long POLYNOMIAL = 0xD800000000000000L;

  /** Eight lanes of eight bytes. */
  private static final int STRIDE = 64;

  private static final VarHandle ARRAY =
      byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);
  private static final VarHandle BUFFER =
      byteBufferViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);

  private Crc64() {}

  /** The checksum of all that went into the state. */
  public static long value(long state) {
    return ~state;
  }

  /** Takes in the bytes from position to limit, of a heap or direct buffer, and moves neither. */
  public static long update(long state, ByteBuffer data) {
    int position = data.position();
    int length = data.remaining();
    if (data.hasArray()) {
      return update(state, data.array(), data.arrayOffset() + position, length);
    }
    return updateBuffer(state, data, position, length);
  }

  /** Takes in {@code length} bytes from {@code offset}. */
  public static long update(long state, byte[] data, int offset, int length) {
    Objects.checkFromIndexSize(offset, length, data.length);
    int i = offset;
    int end = offset + length;
    long s = state;
    if (length >= 2 * STRIDE) {
      long a = s ^ word(data, i);
      long b = word(data, i + 8);
      long c = word(data, i + 16);
      long d = word(data, i + 24);
      long e = word(data, i + 32);
      long f = word(data, i + 40);
      long g = word(data, i + 48);
      long h = word(data, i + 56);
      int last = end - STRIDE;
      for (i += STRIDE; i <= last; i += STRIDE) {
        h ^= spill(a);
        a = jump(a) ^ spill(b) ^ word(data, i);
        b = jump(b) ^ spill(c) ^ word(data, i + 8);
        c = jump(c) ^ spill(d) ^ word(data, i + 16);
        d = jump(d) ^ spill(e) ^ word(data, i + 24);
        e = jump(e) ^ spill(f) ^ word(data, i + 32);
        f = jump(f) ^ spill(g) ^ word(data, i + 40);
        g = jump(g) ^ spill(h) ^ word(data, i + 48);
        h = jump(h) ^ word(data, i + 56);
      }
      s = join(a, b, c, d, e, f, g, h);
    }
    for (; i <= end - 8; i += 8) {
      s = step(s ^ word(data, i));
    }
    for (; i < end; i++) {
      s = updateByte(s, data[i]);
    }
    return s;
  }

  // The same as for arrays. One body for both would go through ByteBuffer's virtual methods, and
  // those are not inlined once a process has used heap and direct buffers alike.
  private static long updateBuffer(long state, ByteBuffer data, int offset, int length) {
    int i = offset;
    int end = offset + length;
    long s = state;
    if (length >= 2 * STRIDE) {
      long a = s ^ word(data, i);
      long b = word(data, i + 8);
      long c = word(data, i + 16);
      long d = word(data, i + 24);
      long e = word(data, i + 32);
      long f = word(data, i + 40);
      long g = word(data, i + 48);
      long h = word(data, i + 56);
      int last = end - STRIDE;
      for (i += STRIDE; i <= last; i += STRIDE) {
        h ^= spill(a);
        a = jump(a) ^ spill(b) ^ word(data, i);
        b = jump(b) ^ spill(c) ^ word(data, i + 8);
        c = jump(c) ^ spill(d) ^ word(data, i + 16);
        d = jump(d) ^ spill(e) ^ word(data, i + 24);
        e = jump(e) ^ spill(f) ^ word(data, i + 32);
        f = jump(f) ^ spill(g) ^ word(data, i + 40);
        g = jump(g) ^ spill(h) ^ word(data, i + 48);
        h = jump(h) ^ word(data, i + 56);
      }
      s = join(a, b, c, d, e, f, g, h);
    }
    for (; i <= end - 8; i += 8) {
      s = step(s ^ word(data, i));
    }
    for (; i < end; i++) {
      s = updateByte(s, data.get(i));
    }
    return s;
  }

  /** Takes in a 32-bit number in big-endian order. */
  public static long updateInt(long state, int value) {
    // The four bytes meet the 32 bits that are next to leave the register.
    long leaving = (state ^ Integer.reverseBytes(value)) << 32;
    return (state >>> 32) ^ multiply(leaving);
  }

  /** Takes in a 64-bit number in big-endian order. */
  public static long updateLong(long state, long value) {
    return step(state ^ Long.reverseBytes(value));
  }

  /** Takes in one byte. */
  static long updateByte(long state, byte value) {
    long leaving = (state ^ value) << 56;
    return (state >>> 8) ^ multiply(leaving);
  }

  private static long word(byte[] data, int index) {
    return (long) ARRAY.get(data, index);
  }

  private static long word(ByteBuffer data, int index) {
    return (long) BUFFER.get(data, index);
  }

  /** Times x^64. */
  private static long step(long s) {
    return multiply(s ^ (s << 63) ^ (s << 61) ^ (s << 60));
  }

  /** Times 1 + x + x^3 + x^4 = (1 + x)(1 + x^3), without what leaves the register. */
  private static long multiply(long s) {
    long t = s ^ (s >>> 1);
    return t ^ (t >>> 3);
  }

  /** Times x^(64*8) = (1 + x^8)(1 + x^24), without what leaves the register. */
  private static long jump(long s) {
    long t = s ^ (s >>> 8);
    return t ^ (t >>> 24);
  }

  /** What leaves the register on {@link #jump}: it belongs to the lane before. */
  private static long spill(long s) {
    return (s << 56) ^ (s << 40) ^ (s << 32);
  }

  private static long join(long a, long b, long c, long d, long e, long f, long g, long h) {
    long s = step(a) ^ b;
    s = step(s) ^ c;
    s = step(s) ^ d;
    s = step(s) ^ e;
    s = step(s) ^ f;
    s = step(s) ^ g;
    return step(step(s) ^ h);
  }

  /** The product of two polynomials of the reflected form, modulo the CRC's. Slow. */
  static long product(long p, long q) {
    long result = 0;
    long shifted = p;
    for (int bit = 63; bit >= 0; bit--) {
      if ((q >>> bit & 1) != 0) {
        result ^= shifted;
      }
      shifted = timesX(shifted);
    }
    return result;
  }

  /** Times x. */
  static long timesX(long s) {
    return (s >>> 1) ^ (-(s & 1) & POLYNOMIAL);
  }
}
