package io.litefs.ltx;

/**
 * Decompresses blocks that refer to the blocks before them, up to 65535 bytes back. The library
 * decompresses blocks that stand by themselves only, so the history is put in front of the block in
 * the form of one LZ4 sequence, whose output the block then refers to:
 *
 * <pre>
 *   token | last 4 bytes of the history, then the rest of it | offset      | the block
 *         | ------------- n literals ----------------------- | n, length 4 |
 *
 *   which gives:  4 bytes to be ignored | the whole history | the content of the block
 * </pre>
 *
 * A sequence cannot do without a match of at least 4 bytes; this one brings the last 4 bytes of the
 * history to their place.
 */
final class Lz4History {

  private static final int MAX = 65535;
  private static final int MIN_MATCH = 4;

  /** The first bytes are zero until there is a history of four. */
  private final byte[] bytes = new byte[MAX];

  private int length = MIN_MATCH;
  private byte[] input = {};
  private byte[] output = {};

  /** What has been decompressed last. */
  void append(byte[] content, int size) {
    if (size >= MAX) {
      System.arraycopy(content, size - MAX, bytes, 0, MAX);
      length = MAX;
      return;
    }
    int keep = Math.min(length, MAX - size);
    System.arraycopy(bytes, length - keep, bytes, 0, keep);
    System.arraycopy(content, 0, bytes, keep, size);
    length = keep + size;
  }

  /** As the library's decompress; throws what that throws. */
  int decompress(byte[] block, int size, byte[] content, int most) {
    input = room(input, length + length / 255 + 8 + size);
    int end = putHistory();
    System.arraycopy(block, 0, input, end, size);
    int skip = MIN_MATCH + length;
    output = room(output, skip + most);
    int n = Lz4.DECOMPRESSOR.decompress(input, 0, end + size, output, 0, skip + most) - skip;
    System.arraycopy(output, skip, content, 0, n);
    return n;
  }

  private int putHistory() {
    int end = 0;
    if (length < 15) {
      input[end++] = (byte) (length << 4);
    } else {
      input[end++] = (byte) 0xF0;
      int rest = length - 15;
      for (; rest >= 255; rest -= 255) {
        input[end++] = (byte) 255;
      }
      input[end++] = (byte) rest;
    }
    System.arraycopy(bytes, length - MIN_MATCH, input, end, MIN_MATCH);
    System.arraycopy(bytes, 0, input, end + MIN_MATCH, length - MIN_MATCH);
    end += length;
    input[end++] = (byte) length;
    input[end++] = (byte) (length >>> 8);
    return end;
  }

  private static byte[] room(byte[] array, int length) {
    return array.length >= length ? array : new byte[length];
  }
}
