package io.litefs.it.bench.ltx;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;

/** CRC-64 by look-up tables, 8 or 16 bytes at a time: what Crc64 is measured against. */
final class SlicedCrc64 {

  private static final VarHandle WORD =
      MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);

  private static final long[][] TABLES = new long[16][256];

  static {
    for (int i = 0; i < 256; i++) {
      long s = i;
      for (int bit = 0; bit < 8; bit++) {
        s = (s >>> 1) ^ (-(s & 1) & 0xD800000000000000L);
      }
      TABLES[0][i] = s;
    }
    for (int i = 0; i < 256; i++) {
      for (int t = 1; t < 16; t++) {
        long s = TABLES[t - 1][i];
        TABLES[t][i] = TABLES[0][(int) s & 0xFF] ^ (s >>> 8);
      }
    }
  }

  private SlicedCrc64() {}

  /** The length must be a multiple of 8. */
  static long by8(long state, byte[] data) {
    long s = state;
    for (int i = 0; i < data.length; i += 8) {
      s = look(s ^ (long) WORD.get(data, i), 0);
    }
    return s;
  }

  /** The length must be a multiple of 16. */
  static long by16(long state, byte[] data) {
    long s = state;
    for (int i = 0; i < data.length; i += 16) {
      s = look(s ^ (long) WORD.get(data, i), 8) ^ look((long) WORD.get(data, i + 8), 0);
    }
    return s;
  }

  private static long look(long w, int table) {
    return TABLES[table + 7][(int) w & 0xFF]
        ^ TABLES[table + 6][(int) (w >>> 8) & 0xFF]
        ^ TABLES[table + 5][(int) (w >>> 16) & 0xFF]
        ^ TABLES[table + 4][(int) (w >>> 24) & 0xFF]
        ^ TABLES[table + 3][(int) (w >>> 32) & 0xFF]
        ^ TABLES[table + 2][(int) (w >>> 40) & 0xFF]
        ^ TABLES[table + 1][(int) (w >>> 48) & 0xFF]
        ^ TABLES[table][(int) (w >>> 56)];
  }
}
