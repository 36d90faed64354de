package io.litefs.mount;

/**
 * What the mount shows of the cluster. Implemented by the role state machine; called by many
 * threads.
 */
public interface PrimaryView {

  /** Hostname of the primary; null unless this node is connected to it as a replica. */
  String primaryHostname();

  /**
   * Milliseconds behind the primary: 0 on the primary itself, {@link Integer#MAX_VALUE} before the
   * first sync.
   */
  long lagMillis();

  /** Time of the last word from the primary, ms since the epoch; on the primary itself, now. */
  long lastHeardMillis();
}
