package io.litefs.store;

import io.litefs.ltx.Checksum;
import io.litefs.ltx.LtxEncoder;
import io.litefs.ltx.LtxHeader;
import io.litefs.ltx.PageChecksum;
import io.litefs.ltx.Pos;
import io.litefs.ltx.Txid;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.Arrays;

/** What a primary would send: a database that SQLite changes, and its transactions as LTX files. */
final class ModelPrimary {

  private final Path file;
  private final int pageSize;

  /** The database as of {@link #pos}. */
  byte[] image = new byte[0];

  Pos pos = Pos.ZERO;

  ModelPrimary(Path file, int pageSize) {
    this.file = file;
    this.pageSize = pageSize;
  }

  /** Makes one transaction of the statements, and its LTX file. */
  byte[] transaction(String... statements) throws SQLException, IOException {
    try (Connection connection = StoreFixture.connect(file)) {
      StoreFixture.execute(connection, statements);
      StoreFixture.execute(connection, "PRAGMA wal_checkpoint(TRUNCATE)");
    }
    return transactionTo(Files.readAllBytes(file));
  }

  /** The transaction that leads to {@code next}. */
  byte[] transactionTo(byte[] next) throws IOException {
    Checksum after = checksum(next);
    byte[] ltx = encode(next, after);
    image = next;
    pos = new Pos(pos.txid().next(), after);
    return ltx;
  }

  /**
   * The transaction that leads to {@code next}, and says that it leads to {@code after}. It is not
   * this primary's.
   */
  byte[] encode(byte[] next, Checksum after) throws IOException {
    Txid txid = pos.txid().next();
    return encode(txid, txid, pos.checksum(), image, next, after);
  }

  /** The whole database. */
  byte[] snapshot() throws IOException {
    return encode(new Txid(1), pos.txid(), Pos.ZERO.checksum(), new byte[0], image, pos.checksum());
  }

  private byte[] encode(Txid min, Txid max, Checksum before, byte[] from, byte[] to, Checksum after)
      throws IOException {
    ByteArrayOutputStream ltx = new ByteArrayOutputStream();
    long count = to.length / pageSize;
    LtxEncoder encoder =
        new LtxEncoder(
            Channels.newChannel(ltx),
            new LtxHeader(true, pageSize, count, min, max, 1000, before, 0, 0, 0, 0, 7));
    for (int i = 0; i < count; i++) {
      byte[] page = page(to, i);
      if (!Arrays.equals(page, page(from, i))) {
        encoder.page(i + 1, direct(page));
      }
    }
    encoder.finish(after);
    return ltx.toByteArray();
  }

  /** The page of this index, from 0; empty beyond the end. */
  byte[] page(byte[] of, int index) {
    return (index + 1) * pageSize > of.length
        ? new byte[0]
        : Arrays.copyOfRange(of, index * pageSize, (index + 1) * pageSize);
  }

  static ByteBuffer direct(byte[] bytes) {
    return ByteBuffer.allocateDirect(bytes.length).put(bytes).flip();
  }

  private Checksum checksum(byte[] of) {
    long sum = 0;
    for (int i = 0; i < of.length / pageSize; i++) {
      sum ^= PageChecksum.of(i + 1, direct(page(of, i)));
    }
    return new Checksum(sum | Checksum.FLAG);
  }
}
