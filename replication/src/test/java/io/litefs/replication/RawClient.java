package io.litefs.replication;

import java.io.BufferedInputStream;
import java.io.Closeable;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.Socket;
import java.net.SocketException;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;

/** HTTP/1.1 by hand, for what a well-behaved client would not do. */
final class RawClient implements Closeable {
  private static final int TIMEOUT_MILLIS = 10_000;

  /** A status line's code, the headers by lower-case name, the body if it has a known length. */
  record Answer(int status, Map<String, String> headers, String body) {}

  final Socket socket;
  private final InputStream in;

  RawClient(int port) throws IOException {
    socket = new Socket(InetAddress.getLoopbackAddress(), port);
    socket.setSoTimeout(TIMEOUT_MILLIS);
    in = new BufferedInputStream(socket.getInputStream());
  }

  RawClient send(String text) throws IOException {
    socket.getOutputStream().write(text.getBytes(StandardCharsets.US_ASCII));
    return this;
  }

  Answer answer() throws IOException {
    Answer head = head();
    String length = head.headers().get("content-length");
    if (length != null && head.status() >= 200) {
      byte[] body = in.readNBytes(Integer.parseInt(length));
      return new Answer(head.status(), head.headers(), new String(body, StandardCharsets.UTF_8));
    }
    return head;
  }

  Answer head() throws IOException {
    String status = line();
    Map<String, String> headers = new LinkedHashMap<>();
    for (String line = line(); !line.isEmpty(); line = line()) {
      int colon = line.indexOf(':');
      headers.put(line.substring(0, colon).toLowerCase(), line.substring(colon + 1).strip());
    }
    return new Answer(Integer.parseInt(status.split(" ")[1]), headers, "");
  }

  private String line() throws IOException {
    StringBuilder line = new StringBuilder();
    for (int b = in.read(); b != '\n'; b = in.read()) {
      if (b < 0) {
        throw new EOFException("connection ends after \"" + line + "\"");
      }
      line.append((char) b);
    }
    return line.toString().strip();
  }

  /** Waits until the server has closed the connection, whatever else it sends before. */
  boolean isClosedByServer() throws IOException {
    try {
      in.transferTo(OutputStream.nullOutputStream());
      return true;
    } catch (SocketException e) {
      return true;
    }
  }

  InputStream in() {
    return in;
  }

  @Override
  public void close() throws IOException {
    socket.close();
  }
}
