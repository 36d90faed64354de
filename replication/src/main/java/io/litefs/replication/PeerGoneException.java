package io.litefs.replication;

import java.io.IOException;

/** The other end of the connection is not there any more, or this end has given it up. */
class PeerGoneException extends IOException {
  PeerGoneException(String message) {
    super(message);
  }

  PeerGoneException(String message, Throwable cause) {
    super(message, cause);
  }
}
