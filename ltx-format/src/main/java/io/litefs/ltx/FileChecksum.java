package io.litefs.ltx;

import java.nio.ByteBuffer;

/** The file checksum while the file is written or read. */
final class FileChecksum {

  private final PageShift shift;
  private long state = Crc64.INITIAL;

  FileChecksum(int pageSize) {
    this.shift = PageShift.of(pageSize);
  }

  /** Takes in the header, which starts at this index of a big-endian buffer. */
  void header(ByteBuffer buffer, int index) {
    for (int i = 0; i < LtxHeader.SIZE; i += Integer.BYTES) {
      putInt(buffer.getInt(index + i));
    }
  }

  void putInt(int value) {
    state = Crc64.updateInt(state, value);
  }

  void putLong(long value) {
    state = Crc64.updateLong(state, value);
  }

  void putShort(int value) {
    putByte(value >>> 8);
    putByte(value);
  }

  void putByte(int value) {
    state = Crc64.updateByte(state, (byte) value);
  }

  void put(byte[] bytes, int offset, int length) {
    state = Crc64.update(state, bytes, offset, length);
  }

  /**
   * Takes in the bytes of a page, but not its number, which is written in other ways by each
   * version.
   *
   * @return {@link PageChecksum#of}
   */
  long page(long pgno, ByteBuffer page) {
    long crc = Crc64.update(0, page);
    state = shift.append(state, crc);
    return PageChecksum.ofState(shift.append(Crc64.updateInt(Crc64.INITIAL, (int) pgno), crc));
  }

  Checksum value() {
    return new Checksum(Checksum.FLAG | Crc64.value(state));
  }
}
