package io.litefs.store;

import io.litefs.ltx.Pos;
import java.io.Closeable;
import java.io.InputStream;

/** A database file as of one position. */
public interface Export extends Closeable {

  /** Bytes. */
  long size();

  Pos pos();

  InputStream stream();
}
