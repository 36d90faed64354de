package io.litefs.mount;

import java.io.IOException;

/** Where a lock file gets its database's halt lock from. */
interface HaltSource {

  /** Whether programs on this node need it to write: it is not the primary. */
  boolean isNeeded();

  /**
   * Takes it. Blocks for the primary and its applications, for seconds.
   *
   * @throws io.litefs.store.HaltRefusedException if it is not to be had (now)
   * @throws IOException if the primary cannot be reached
   */
  Halt take(String database) throws IOException, InterruptedException;

  /** A halt lock that was taken. */
  interface Halt {

    /** False once it is lost. */
    boolean isActive();

    /** Gives it back; blocks for the primary. */
    void giveBack();
  }
}
