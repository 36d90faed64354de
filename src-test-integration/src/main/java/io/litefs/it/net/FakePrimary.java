package io.litefs.it.net;

import java.io.ByteArrayOutputStream;
import java.io.Closeable;
import java.io.DataOutputStream;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * A server that answers each {@code POST /stream} as a test wants it: with anything, as much of it
 * as it likes, for as long as it likes. Bodies must fit into HTTP/2's initial window of 65,535
 * bytes.
 */
public final class FakePrimary implements Closeable {

  /** What to answer to the n-th stream request, counted from 0. */
  @FunctionalInterface
  public interface Script {
    void answer(int request, Response response) throws Exception;
  }

  private final ServerSocket server = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
  private final Script script;
  private final AtomicInteger requests = new AtomicInteger();
  private final List<Socket> sockets = new CopyOnWriteArrayList<>();

  public FakePrimary(Script script) throws IOException {
    this.script = script;
    thread(this::accept);
  }

  public int port() {
    return server.getLocalPort();
  }

  /** Stream requests so far. */
  public int requests() {
    return requests.get();
  }

  private static void thread(Runnable work) {
    Thread thread = new Thread(work, "fake primary");
    thread.setDaemon(true);
    thread.start();
  }

  private void accept() {
    while (!server.isClosed()) {
      try {
        Socket socket = server.accept();
        sockets.add(socket);
        thread(() -> serve(socket));
      } catch (IOException e) {
        return;
      }
    }
  }

  private void serve(Socket socket) {
    try (Http2Connection connection = new Http2Connection(socket)) {
      connection.readPreface();
      connection.write(Http2Connection.SETTINGS, 0, 0, new byte[0]);
      ByteArrayOutputStream body = new ByteArrayOutputStream();
      Set<Integer> answered = new HashSet<>();
      for (Http2Connection.Frame frame = connection.read();
          frame != null;
          frame = connection.read()) {
        if (frame.type() == Http2Connection.DATA) {
          body.write(frame.payload());
        }
        // The body goes on behind the position map: with acknowledgements, or only with its end.
        boolean whole = frame.endsStream() || isPositionMap(body.toByteArray());
        if (whole && answered.add(frame.stream())) {
          int stream = frame.stream();
          int request = requests.getAndIncrement();
          byte[] map = body.toByteArray();
          body.reset();
          thread(
              () -> {
                try {
                  script.answer(request, new Response(connection, stream, map));
                } catch (Exception e) {
                  // The client hung up on this answer, which is what most of these tests provoke.
                }
              });
        }
      }
    } catch (IOException e) {
      // The same.
    }
  }

  /** Whether these bytes are a whole one. */
  private static boolean isPositionMap(byte[] bytes) {
    java.nio.ByteBuffer in = java.nio.ByteBuffer.wrap(bytes);
    if (in.remaining() < 4) {
      return false;
    }
    for (int left = in.getInt(); left > 0; left--) {
      if (in.remaining() < 4) {
        return false;
      }
      int name = in.getInt();
      if (in.remaining() < name + 16) {
        return false;
      }
      in.position(in.position() + name + 16);
    }
    return !in.hasRemaining();
  }

  @Override
  public void close() throws IOException {
    server.close();
    for (Socket socket : sockets) {
      socket.close();
    }
  }

  /** An answer in the making. */
  public static final class Response {
    private final Http2Connection connection;
    private final int stream;
    private final byte[] requestBody;

    Response(Http2Connection connection, int stream, byte[] requestBody) {
      this.connection = connection;
      this.stream = stream;
      this.requestBody = requestBody;
    }

    public byte[] requestBody() {
      return requestBody;
    }

    /** Sends status 200 and the headers of a primary. */
    public Response begin() throws IOException {
      ByteArrayOutputStream block = new ByteArrayOutputStream();
      block.write(0x88);
      Http2Connection.literal(block, "litefs-id", "00000000DEADBEEF");
      Http2Connection.literal(block, "litefs-cluster-id", "LFSC0123456789ABCDEF");
      connection.write(
          Http2Connection.HEADERS, Http2Connection.END_HEADERS, stream, block.toByteArray());
      return this;
    }

    public Response send(byte[] bytes) throws IOException {
      for (int at = 0; at < bytes.length; at += 16384) {
        byte[] piece = java.util.Arrays.copyOfRange(bytes, at, Math.min(bytes.length, at + 16384));
        connection.write(Http2Connection.DATA, 0, stream, piece);
      }
      return this;
    }

    /** Ends the stream as if all had been said. */
    public void end() throws IOException {
      connection.write(Http2Connection.DATA, Http2Connection.END_STREAM, stream, new byte[0]);
    }

    /** Drops the connection. */
    public void hangUp() throws IOException {
      connection.close();
    }
  }

  /** A whole LTX frame: type, size, name, the file in chunks, the empty chunk. */
  public static byte[] ltxFrame(String db, byte[] file) {
    return ltxFrame(db, file, file.length, true);
  }

  /** An LTX frame with only the first {@code length} bytes of the file, and the end mark or not. */
  public static byte[] ltxFrame(String db, byte[] file, int length, boolean endMark) {
    return frame(
        out -> {
          out.writeInt(1);
          out.writeLong(0);
          name(out, db);
          for (int at = 0; at < length; ) {
            int size = Math.min(length - at, 10_000);
            out.writeShort(size);
            out.write(file, at, size);
            at += size;
          }
          if (endMark) {
            out.writeShort(0);
          }
        });
  }

  public static byte[] readyFrame() {
    return frame(out -> out.writeInt(2));
  }

  public static byte[] heartbeatFrame() {
    return frame(
        out -> {
          out.writeInt(7);
          out.writeLong(System.currentTimeMillis());
        });
  }

  /** Writes a frame's fields. */
  @FunctionalInterface
  public interface Fields {
    void to(DataOutputStream out) throws IOException;
  }

  public static byte[] frame(Fields fields) {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try {
      fields.to(new DataOutputStream(bytes));
    } catch (IOException e) {
      throw new AssertionError(e);
    }
    return bytes.toByteArray();
  }

  private static void name(DataOutputStream out, String name) throws IOException {
    byte[] bytes = name.getBytes(StandardCharsets.UTF_8);
    out.writeInt(bytes.length);
    out.write(bytes);
  }
}
