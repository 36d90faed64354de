package io.litefs.replication;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;

/** Bytes recorded from running systems, in {@code src/test/resources}. */
final class Vectors {
  private Vectors() {}

  static byte[] bytes(String name) {
    try (InputStream in = Vectors.class.getResourceAsStream("/" + name)) {
      if (in == null) {
        throw new AssertionError("no test resource " + name);
      }
      return in.readAllBytes();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
