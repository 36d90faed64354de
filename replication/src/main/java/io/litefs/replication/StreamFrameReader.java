package io.litefs.replication;

import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.ReadableByteChannel;

/**
 * Reads {@link StreamFrame frames}. After an LTX frame its file is read through {@link #file()};
 * what is left of it is skipped by the next {@link #next()}. One thread.
 */
final class StreamFrameReader {
  private final WireInput in;
  private LtxFileInput file;

  StreamFrameReader(InputStream in) {
    this.in = new WireInput(in);
  }

  /**
   * The next frame, or null if the input ends before it.
   *
   * @throws EOFException if the input ends within a frame or an LTX file
   * @throws StreamFormatException if a type is unknown or a length is out of range
   */
  StreamFrame next() throws IOException {
    skipFile();
    Integer type = in.u32OrEnd("a frame's type");
    if (type == null) {
      return null;
    }
    return switch (type) {
      case StreamFrame.Ltx.TYPE -> ltx();
      case StreamFrame.Ready.TYPE -> new StreamFrame.Ready();
      case StreamFrame.End.TYPE -> new StreamFrame.End();
      case StreamFrame.Drop.TYPE -> new StreamFrame.Drop(name("a drop frame"));
      case StreamFrame.Handoff.TYPE ->
          new StreamFrame.Handoff(in.string("the lease id", StreamFrame.MAX_LEASE_ID));
      case StreamFrame.HighWaterMark.TYPE -> {
        long txid = in.u64("a high-water mark");
        yield new StreamFrame.HighWaterMark(txid, name("a high-water mark frame"));
      }
      case StreamFrame.Heartbeat.TYPE -> new StreamFrame.Heartbeat(in.u64("a heartbeat"));
      default ->
          throw new StreamFormatException("unknown frame type " + Integer.toUnsignedString(type));
    };
  }

  private StreamFrame ltx() throws IOException {
    long size = in.u64("the size in an LTX frame");
    String name = name("an LTX frame");
    file = new LtxFileInput(in, name);
    return new StreamFrame.Ltx(size, name);
  }

  private String name(String frame) throws IOException {
    return in.string("the database name in " + frame, StreamFrame.MAX_NAME);
  }

  /** The file of the LTX frame that {@link #next()} returned last; also a channel. */
  InputStream file() {
    if (file == null) {
      throw new IllegalStateException("the last frame was no LTX frame");
    }
    return file;
  }

  /** Reads past what is left of the file of an LTX frame, if there is one. */
  void skipFile() throws IOException {
    if (file != null) {
      file.skipToEnd();
      file = null;
    }
  }

  /** The bytes of one file, freed of the chunks around them. */
  private static final class LtxFileInput extends InputStream implements ReadableByteChannel {
    private final WireInput wire;
    private final InputStream in;
    private final String database;
    private int left;
    private boolean ended;
    private byte[] copy;

    LtxFileInput(WireInput wire, String database) {
      this.wire = wire;
      this.in = wire.stream();
      this.database = database;
    }

    /** Whether a byte is left in the file; reads the length of the next chunk when it must. */
    private boolean hasMore() throws IOException {
      if (left == 0 && !ended) {
        left = wire.u16("the LTX file of " + database);
        ended = left == 0;
      }
      return !ended;
    }

    @Override
    public int read() throws IOException {
      if (!hasMore()) {
        return -1;
      }
      int b = in.read();
      if (b < 0) {
        throw truncated();
      }
      left--;
      return b;
    }

    @Override
    public int read(byte[] into, int offset, int length) throws IOException {
      if (length == 0) {
        return 0;
      }
      if (!hasMore()) {
        return -1;
      }
      int n = in.read(into, offset, Math.min(length, left));
      if (n < 0) {
        throw truncated();
      }
      left -= n;
      return n;
    }

    @Override
    public int read(ByteBuffer into) throws IOException {
      if (!into.hasRemaining()) {
        return 0;
      }
      if (into.hasArray()) {
        int n = read(into.array(), into.arrayOffset() + into.position(), into.remaining());
        into.position(into.position() + Math.max(n, 0));
        return n;
      }
      if (copy == null) {
        copy = new byte[8192];
      }
      int n = read(copy, 0, Math.min(copy.length, into.remaining()));
      if (n > 0) {
        into.put(copy, 0, n);
      }
      return n;
    }

    void skipToEnd() throws IOException {
      byte[] waste = null;
      while (hasMore()) {
        waste = waste == null ? new byte[8192] : waste;
        read(waste, 0, waste.length);
      }
    }

    private EOFException truncated() {
      return new EOFException("input ends within the LTX file of " + database);
    }

    @Override
    public boolean isOpen() {
      return true;
    }

    /** Does nothing: the stream goes on behind the file. */
    @Override
    public void close() {}
  }
}
