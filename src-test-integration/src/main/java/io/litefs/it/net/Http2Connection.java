package io.litefs.it.net;

import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.Closeable;
import java.io.DataInputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.net.Socket;
import java.nio.charset.StandardCharsets;

/**
 * Frames of one HTTP/2 connection (RFC 9113, section 4) with one stream. Settings and pings are
 * answered while reading.
 */
final class Http2Connection implements Closeable {

  static final byte[] PREFACE =
      "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".getBytes(StandardCharsets.US_ASCII);

  static final int DATA = 0;
  static final int HEADERS = 1;
  static final int RST_STREAM = 3;
  static final int SETTINGS = 4;
  static final int PING = 6;
  static final int GOAWAY = 7;
  static final int WINDOW_UPDATE = 8;

  static final int END_STREAM = 1;
  static final int ACK = 1;
  static final int END_HEADERS = 4;

  private static final String DIGITS = "0123456789";

  private final Socket socket;
  private final DataInputStream in;
  private final OutputStream out;

  /** One frame as it came. */
  record Frame(int type, int flags, int stream, byte[] payload) {
    boolean endsStream() {
      return (type == DATA || type == HEADERS) && (flags & END_STREAM) != 0;
    }
  }

  Http2Connection(Socket socket) throws IOException {
    this.socket = socket;
    this.in = new DataInputStream(new BufferedInputStream(socket.getInputStream()));
    this.out = socket.getOutputStream();
  }

  void writePreface() throws IOException {
    out.write(PREFACE);
  }

  void readPreface() throws IOException {
    byte[] preface = in.readNBytes(PREFACE.length);
    if (!java.util.Arrays.equals(preface, PREFACE)) {
      throw new IOException(
          "not HTTP/2 by prior knowledge: " + new String(preface, StandardCharsets.ISO_8859_1));
    }
  }

  synchronized void write(int type, int flags, int stream, byte[] payload) throws IOException {
    byte[] frame = new byte[9 + payload.length];
    frame[0] = (byte) (payload.length >> 16);
    frame[1] = (byte) (payload.length >> 8);
    frame[2] = (byte) payload.length;
    frame[3] = (byte) type;
    frame[4] = (byte) flags;
    putInt(frame, 5, stream);
    System.arraycopy(payload, 0, frame, 9, payload.length);
    out.write(frame);
    out.flush();
  }

  /** The next frame that is of the stream; null at the end of the connection. */
  Frame read() throws IOException {
    while (true) {
      int first = in.read();
      if (first < 0) {
        return null;
      }
      int length = first << 16 | in.readUnsignedShort();
      int type = in.readUnsignedByte();
      int flags = in.readUnsignedByte();
      int stream = in.readInt() & 0x7fffffff;
      byte[] payload = in.readNBytes(length);
      if (type == SETTINGS && (flags & ACK) == 0) {
        write(SETTINGS, ACK, 0, new byte[0]);
      } else if (type == PING && (flags & ACK) == 0) {
        write(PING, ACK, 0, payload);
      } else if (stream != 0 && type != WINDOW_UPDATE) {
        return new Frame(type, flags, stream, payload);
      } else if (type == GOAWAY) {
        return null;
      }
    }
  }

  void windowUpdate(int stream, int bytes) throws IOException {
    byte[] payload = new byte[4];
    putInt(payload, 0, bytes);
    write(WINDOW_UPDATE, 0, stream, payload);
  }

  private static void putInt(byte[] bytes, int at, int value) {
    for (int i = 0; i < 4; i++) {
      bytes[at + i] = (byte) (value >> 24 - 8 * i);
    }
  }

  /** A header field as a literal without indexing and without Huffman coding (RFC 7541, 6.2.2). */
  static void literal(ByteArrayOutputStream block, String name, String value) throws IOException {
    block.write(0);
    string(block, name);
    string(block, value);
  }

  private static void string(ByteArrayOutputStream block, String text) throws IOException {
    byte[] bytes = text.getBytes(StandardCharsets.US_ASCII);
    block.write(bytes.length);
    block.write(bytes);
  }

  /** The field {@code :status}, which stands first in the header block of a response. */
  static int status(byte[] block) {
    int at = 0;
    while ((block[at] & 0xe0) == 0x20) {
      at++;
    }
    int first = block[at] & 0xff;
    if ((first & 0x80) != 0) {
      int[] indexed = {200, 204, 206, 304, 400, 404, 500};
      return indexed[(first & 0x7f) - 8];
    }
    int length = block[at + 1] & 0x7f;
    if ((block[at + 1] & 0x80) == 0) {
      return Integer.parseInt(new String(block, at + 2, length, StandardCharsets.US_ASCII));
    }
    StringBuilder bits = new StringBuilder();
    for (int i = 0; i < length; i++) {
      bits.append(
          String.format("%8s", Integer.toBinaryString(block[at + 2 + i] & 0xff)).replace(' ', '0'));
    }
    StringBuilder digits = new StringBuilder();
    for (int i = 0; digits.length() < 3; ) {
      // Huffman codes of the digits (RFC 7541, appendix B): 0 to 2 in five bits, 3 to 9 in six,
      // from 011001.
      int five = Integer.parseInt(bits.substring(i, i + 5), 2);
      if (five <= 2) {
        digits.append(DIGITS.charAt(five));
        i += 5;
      } else {
        digits.append(DIGITS.charAt(Integer.parseInt(bits.substring(i, i + 6), 2) - 0b011001 + 3));
        i += 6;
      }
    }
    return Integer.parseInt(digits.toString());
  }

  @Override
  public void close() throws IOException {
    socket.close();
  }
}
