package io.litefs.replication;

import java.io.IOException;

/**
 * The two ends must not replicate with each other; trying again soon is of no use, but the process
 * goes on.
 */
public class StreamRefusedException extends IOException {
  public StreamRefusedException(String message) {
    super(message);
  }
}
