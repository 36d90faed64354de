package io.litefs.daemon.api;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;

/**
 * JSON in memory. The streaming half of Jackson only: data binding would cost 100 ms at the first
 * request.
 */
final class Json {

  static final String CONTENT_TYPE = "application/json";

  private static final JsonFactory FACTORY = new JsonFactory();

  private Json() {}

  @FunctionalInterface
  interface Body {
    void write(JsonGenerator out) throws IOException;
  }

  /** One object, whose fields {@code body} writes, and a newline; UTF-8. */
  static byte[] line(Body body) {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream(256);
    try (JsonGenerator out = FACTORY.createGenerator(bytes)) {
      out.writeStartObject();
      body.write(out);
      out.writeEndObject();
      out.writeRaw('\n');
    } catch (IOException e) {
      throw new UncheckedIOException("writing to memory failed", e);
    }
    return bytes.toByteArray();
  }

  /** Writes a field unless its value is null or empty. */
  static void optional(JsonGenerator out, String name, String value) throws IOException {
    if (value != null && !value.isEmpty()) {
      out.writeStringField(name, value);
    }
  }
}
