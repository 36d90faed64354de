package io.litefs.ltx;

/** Unsigned LEB128: seven bits a byte, the lowest first; bit 7 says that more follow. */
final class Varint {

  /** The most that 64 bits take. */
  static final int MAX_BYTES = 10;

  private Varint() {}

  /** Writes a number and returns the index after it. */
  static int put(byte[] array, int index, long value) {
    int i = index;
    long rest = value;
    while ((rest & ~0x7FL) != 0) {
      array[i++] = (byte) (rest | 0x80);
      rest >>>= 7;
    }
    array[i++] = (byte) rest;
    return i;
  }
}
