package io.litefs.sqlite;

import java.io.Closeable;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/** A file of the test, through a channel. */
final class ChannelFile implements WritableFile, Closeable {

  private final FileChannel channel;

  private ChannelFile(FileChannel channel) {
    this.channel = channel;
  }

  static ChannelFile open(Path path) throws IOException {
    return new ChannelFile(
        FileChannel.open(path, StandardOpenOption.READ, StandardOpenOption.WRITE));
  }

  FileChannel channel() {
    return channel;
  }

  @Override
  public int read(ByteBuffer dst, long offset) throws IOException {
    int total = 0;
    while (dst.hasRemaining()) {
      int n = channel.read(dst, offset + total);
      if (n < 0) {
        break;
      }
      total += n;
    }
    return total;
  }

  @Override
  public long size() throws IOException {
    return channel.size();
  }

  @Override
  public void write(ByteBuffer src, long offset) throws IOException {
    long at = offset;
    while (src.hasRemaining()) {
      at += channel.write(src, at);
    }
  }

  @Override
  public void truncate(long size) throws IOException {
    channel.truncate(size);
  }

  @Override
  public void close() throws IOException {
    channel.close();
  }
}
