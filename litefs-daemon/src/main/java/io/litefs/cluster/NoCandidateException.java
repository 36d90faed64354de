package io.litefs.cluster;

import java.io.IOException;

/** Thrown by {@link Cluster#promote} on a node that can never be primary. */
public final class NoCandidateException extends IOException {

  private static final long serialVersionUID = 1L;

  NoCandidateException() {
    super("this node is no candidate; set lease.candidate: true");
  }
}
