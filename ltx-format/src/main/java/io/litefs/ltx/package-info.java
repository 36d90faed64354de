/**
 * LTX files: one SQLite transaction (or a run of them, or a whole database) as a set of pages with
 * checksums.
 *
 * <p>Read in this order: {@link io.litefs.ltx.Txid}, {@link io.litefs.ltx.Checksum} and {@link
 * io.litefs.ltx.Pos} name a state of a database; {@link io.litefs.ltx.PageChecksum} and {@link
 * io.litefs.ltx.Crc64} compute it; {@link io.litefs.ltx.LtxHeader} and {@link
 * io.litefs.ltx.LtxEncoder} document the bytes of version 1, which is what the nodes keep on disk
 * and send to each other; {@link io.litefs.ltx.LtxDecoder} reads and checks them; {@link
 * io.litefs.ltx.Ltx3Encoder} documents version 3, which is what backups are made of; {@link
 * io.litefs.ltx.LtxCompactor} makes one file of several.
 *
 * <p>Nothing here opens files, knows directories or locks, or starts threads.
 */
package io.litefs.ltx;
