package io.litefs.proxy;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import java.io.ByteArrayOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.List;

/** One message as it came over a socket: read here by hand, so that nothing is tidied up. */
record HttpText(String startLine, List<String> fields, String body, List<String> trailers) {

  /**
   * @param bodyless whether there is no body whatever the header says (answers to HEAD)
   * @return null at the end of the connection
   */
  static HttpText read(InputStream in, boolean bodyless, boolean untilClose) throws IOException {
    HttpText head = readHead(in);
    if (head == null || bodyless) {
      return head;
    }
    ByteArrayOutputStream body = new ByteArrayOutputStream();
    List<String> trailers = new ArrayList<>();
    if (head.field("Transfer-Encoding") != null) {
      for (int size = chunkSize(in); size > 0; size = chunkSize(in)) {
        body.write(exactly(in, size));
        require(line(in), "");
      }
      for (String line = line(in); !line.isEmpty(); line = line(in)) {
        trailers.add(line);
      }
    } else if (head.field("Content-Length") != null) {
      body.write(exactly(in, Integer.parseInt(head.field("Content-Length"))));
    } else if (untilClose) {
      in.transferTo(body);
    }
    return new HttpText(head.startLine, head.fields, body.toString(ISO_8859_1), trailers);
  }

  /** Up to the empty line; null at the end of the connection. */
  static HttpText readHead(InputStream in) throws IOException {
    int first = in.read();
    if (first < 0) {
      return null;
    }
    String start = (char) first + line(in);
    List<String> fields = new ArrayList<>();
    for (String line = line(in); !line.isEmpty(); line = line(in)) {
      fields.add(line);
    }
    return new HttpText(start, fields, "", List.of());
  }

  private static int chunkSize(InputStream in) throws IOException {
    return Integer.parseInt(line(in), 16);
  }

  static byte[] exactly(InputStream in, int size) throws IOException {
    byte[] bytes = in.readNBytes(size);
    if (bytes.length < size) {
      throw new EOFException("end after " + bytes.length + " of " + size + " bytes");
    }
    return bytes;
  }

  static String line(InputStream in) throws IOException {
    StringBuilder line = new StringBuilder();
    for (int b = in.read(); b != '\n'; b = in.read()) {
      if (b < 0) {
        throw new EOFException("end within a line: " + line);
      }
      line.append((char) b);
    }
    require(line.substring(Math.max(0, line.length() - 1)), "\r");
    return line.substring(0, line.length() - 1);
  }

  private static void require(String actual, String expected) throws IOException {
    if (!actual.equals(expected)) {
      throw new IOException("expected '" + expected + "', got '" + actual + "'");
    }
  }

  int status() {
    return Integer.parseInt(startLine.split(" ")[1]);
  }

  String method() {
    return startLine.split(" ")[0];
  }

  String target() {
    return startLine.split(" ")[1];
  }

  /** Value of the first field of this name; null if there is none. */
  String field(String name) {
    List<String> all = fields(name);
    return all.isEmpty() ? null : all.get(0);
  }

  List<String> fields(String name) {
    return fields.stream()
        .filter(field -> field.regionMatches(true, 0, name + ":", 0, name.length() + 1))
        .map(field -> field.substring(name.length() + 1).strip())
        .toList();
  }
}
