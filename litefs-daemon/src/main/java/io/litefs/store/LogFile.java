package io.litefs.store;

import io.litefs.ltx.LtxHeader;
import io.litefs.ltx.Pos;
import io.litefs.replication.ChangeSource.LtxFile;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;

/** An LTX file that is being read as it lies on disk. */
final class LogFile implements LtxFile {

  private final FileChannel channel;
  private final long size;
  private final Pos pos;

  private LogFile(FileChannel channel, long size, Pos pos) {
    this.channel = channel;
    this.size = size;
    this.pos = pos;
  }

  /**
   * The file that follows {@code after} in the database's log; null if it is gone, was found
   * damaged, or continues another history.
   */
  static LogFile openNext(Database database, Pos after) throws IOException {
    long next = after.txid().value() + 1;
    Path file = next > database.pos().txid().value() ? null : database.log().fileFrom(next);
    if (file == null || database.log().isDamaged(file)) {
      return null;
    }
    FileChannel channel;
    try {
      channel = LtxLog.openForReading(file);
    } catch (NoSuchFileException e) {
      return null; // Retention was faster.
    }
    try {
      LtxHeader header = LtxLog.readHeader(channel, file);
      if (!header.preApply().equals(after.checksum()) && !header.isSnapshot()) {
        channel.close();
        return null;
      }
      return new LogFile(channel, channel.size(), LtxLog.posAfter(channel, header));
    } catch (IOException | RuntimeException e) {
      channel.close();
      throw e;
    }
  }

  /** A file whose name is already gone: its space is given back when it is closed. */
  static LogFile openAndUnlink(Path file, Pos pos) throws IOException {
    FileChannel channel = LtxLog.openForReading(file);
    Files.delete(file);
    return new LogFile(channel, channel.size(), pos);
  }

  @Override
  public Pos pos() {
    return pos;
  }

  @Override
  public long size() {
    return size;
  }

  @Override
  public int read(ByteBuffer into) throws IOException {
    return channel.read(into);
  }

  FileChannel channel() {
    return channel;
  }

  @Override
  public void close() throws IOException {
    channel.close();
  }
}
