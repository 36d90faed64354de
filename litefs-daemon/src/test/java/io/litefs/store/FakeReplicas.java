package io.litefs.store;

import io.litefs.ltx.Pos;
import io.litefs.posix.Errno;
import io.litefs.posix.ErrnoException;
import java.util.ArrayList;
import java.util.List;

/**
 * Replicas that answer as the test says, and a lease that may end while they are waited for. As
 * long as it says nothing they are in sync, and no commit reaches any of them.
 */
final class FakeReplicas implements CommitSync {

  boolean inSync = true;
  boolean acknowledge;
  boolean mayFail = true;

  /** Whether the lease ends with the next wait. */
  boolean endLease;

  /** Whether the lease is held. */
  volatile boolean held = true;

  /** Names and TXIDs of what stays even if too few replicas have it. */
  final List<String> irrevocable = new ArrayList<>();

  @Override
  public void before(String name) throws ErrnoException {
    if (!inSync) {
      throw new ErrnoException(Errno.EIO, "too few replicas are in sync");
    }
  }

  @Override
  public boolean await(String name, Pos pos) {
    held = !endLease;
    return acknowledge;
  }

  @Override
  public int missing(String name) {
    return 1;
  }

  @Override
  public void awaitIrrevocable(String name, Pos pos) {
    irrevocable.add(name + " " + pos.txid().value());
  }

  @Override
  public boolean mayFail() {
    return mayFail;
  }
}
