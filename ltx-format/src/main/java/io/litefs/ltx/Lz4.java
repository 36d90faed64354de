package io.litefs.ltx;

import net.jpountz.lz4.LZ4Compressor;
import net.jpountz.lz4.LZ4Factory;
import net.jpountz.lz4.LZ4SafeDecompressor;
import net.jpountz.xxhash.XXHash32;
import net.jpountz.xxhash.XXHashFactory;

/**
 * The LZ4 library as it is used here: its Java implementation with bounds checks. The native one
 * would have to be unpacked into a temporary directory at every start.
 *
 * <p>All of these are safe for use by several threads.
 */
final class Lz4 {

  static final LZ4Compressor COMPRESSOR = LZ4Factory.safeInstance().fastCompressor();
  static final LZ4SafeDecompressor DECOMPRESSOR = LZ4Factory.safeInstance().safeDecompressor();
  static final XXHash32 HASH = XXHashFactory.safeInstance().hash32();

  // The frame format: github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md. Little-endian.
  static final int MAGIC = 0x184D2204;
  static final int VERSION_MASK = 0xC0;
  static final int VERSION = 0x40;
  static final int INDEPENDENT = 0x20;
  static final int BLOCK_CHECKSUM = 0x10;
  static final int CONTENT_SIZE = 0x08;
  static final int CONTENT_CHECKSUM = 0x04;
  static final int RESERVED_FLAG = 0x02;
  static final int DICTIONARY_ID = 0x01;
  static final int BLOCK_64_KIB = 0x40;
  static final int NOT_COMPRESSED = 0x80000000;

  private Lz4() {}
}
