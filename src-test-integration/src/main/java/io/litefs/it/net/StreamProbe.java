package io.litefs.it.net;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.Closeable;
import java.io.DataInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;

/**
 * A replica's side of {@code POST /stream}: sends a position map and reads frames, or stops
 * reading.
 */
public final class StreamProbe implements Closeable {

  private final Http2Connection connection;
  private final DataInputStream frames;
  private int status;

  /** A frame of the stream. {@code name} and {@code content} are empty where the type has none. */
  public record Frame(int type, String name, byte[] content) {}

  public StreamProbe(int port, String litefsId, byte[] positionMap) throws IOException {
    this(port, litefsId, positionMap, true);
  }

  /**
   * With {@code reading} false the answer is never read and its window never grows: a stuck
   * replica.
   */
  public StreamProbe(int port, String litefsId, byte[] positionMap, boolean reading)
      throws IOException {
    Socket socket = new Socket(InetAddress.getLoopbackAddress(), port);
    socket.setSoTimeout(30_000);
    connection = new Http2Connection(socket);
    connection.writePreface();
    connection.write(Http2Connection.SETTINGS, 0, 0, new byte[0]);
    ByteArrayOutputStream block = new ByteArrayOutputStream();
    block.write(0x83); // :method POST
    block.write(0x86); // :scheme http
    block.write(0x04); // :path, literal
    byte[] path = "/stream".getBytes(StandardCharsets.US_ASCII);
    block.write(path.length);
    block.write(path);
    block.write(0x01); // :authority, literal
    byte[] authority = ("127.0.0.1:" + port).getBytes(StandardCharsets.US_ASCII);
    block.write(authority.length);
    block.write(authority);
    Http2Connection.literal(block, "litefs-id", litefsId);
    connection.write(Http2Connection.HEADERS, Http2Connection.END_HEADERS, 1, block.toByteArray());
    connection.write(Http2Connection.DATA, Http2Connection.END_STREAM, 1, positionMap);
    frames = new DataInputStream(new Body());
    if (reading) {
      readHeaders();
    }
  }

  public static byte[] emptyPositionMap() {
    return new byte[4];
  }

  private void readHeaders() throws IOException {
    Http2Connection.Frame frame = connection.read();
    if (frame == null || frame.type() != Http2Connection.HEADERS) {
      throw new IOException("no answer: " + frame);
    }
    status = Http2Connection.status(frame.payload());
  }

  public int status() {
    return status;
  }

  /** The next frame; throws EOFException at the end of the stream. */
  public Frame next() throws IOException {
    int type = frames.readInt();
    switch (type) {
      case 1 -> {
        frames.readLong();
        String name = name();
        ByteArrayOutputStream content = new ByteArrayOutputStream();
        for (int size = frames.readUnsignedShort(); size > 0; size = frames.readUnsignedShort()) {
          content.write(frames.readNBytes(size));
        }
        return new Frame(type, name, content.toByteArray());
      }
      case 2, 3 -> {
        return new Frame(type, "", new byte[0]);
      }
      case 4, 5 -> {
        return new Frame(type, name(), new byte[0]);
      }
      case 6 -> {
        byte[] txid = frames.readNBytes(8);
        return new Frame(type, name(), txid);
      }
      case 7 -> {
        return new Frame(type, "", frames.readNBytes(8));
      }
      default -> throw new IOException("frame of unknown type " + type);
    }
  }

  private String name() throws IOException {
    return new String(frames.readNBytes(frames.readInt()), StandardCharsets.UTF_8);
  }

  @Override
  public void close() throws IOException {
    connection.close();
  }

  /** The response body as a stream; gives the window back as it reads. */
  private final class Body extends InputStream {
    private final ArrayDeque<ByteArrayInputStream> pieces = new ArrayDeque<>();
    private boolean ended;

    @Override
    public int read() throws IOException {
      byte[] one = new byte[1];
      return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
    }

    @Override
    public int read(byte[] into, int offset, int length) throws IOException {
      while (pieces.isEmpty()) {
        if (ended) {
          return -1;
        }
        Http2Connection.Frame frame = connection.read();
        if (frame == null || frame.type() == Http2Connection.RST_STREAM) {
          return -1;
        }
        ended = frame.endsStream();
        if (frame.type() == Http2Connection.DATA && frame.payload().length > 0) {
          pieces.add(new ByteArrayInputStream(frame.payload()));
          connection.windowUpdate(0, frame.payload().length);
          if (!ended) {
            connection.windowUpdate(frame.stream(), frame.payload().length);
          }
        }
      }
      int count = pieces.peek().read(into, offset, length);
      if (pieces.peek().available() == 0) {
        pieces.remove();
      }
      return count;
    }
  }
}
