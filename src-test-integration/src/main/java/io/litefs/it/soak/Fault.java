package io.litefs.it.soak;

import java.util.Random;

/** What happens in the middle of a round. */
enum Fault {
  NONE(2),
  KILL_WRITERS(4),
  KILL_PRIMARY(5),
  /** Killed, started, and killed again before it serves. */
  KILL_PRIMARY_TWICE(2),
  KILL_REPLICA(3),
  KILL_REPLICA_TWICE(1),
  KILL_BOTH(2),
  /** Daemons, writers and readers. */
  KILL_ALL(4),
  STOP_PRIMARY(1),
  STOP_REPLICA(1),
  /** No byte is free for a while. */
  FILL_PRIMARY(2),
  FILL_REPLICA(1),
  /** Killed while the disk is full, and started before it has space again. */
  FILL_AND_KILL_PRIMARY(1);

  private final int weight;

  Fault(int weight) {
    this.weight = weight;
  }

  static Fault random(Random random, boolean disksCanBeFilled) {
    while (true) {
      int sum = 0;
      for (Fault fault : values()) {
        sum += fault.weight;
      }
      int at = random.nextInt(sum);
      for (Fault fault : values()) {
        at -= fault.weight;
        if (at < 0) {
          if (!fault.fillsADisk() || disksCanBeFilled) {
            return fault;
          }
          break;
        }
      }
    }
  }

  boolean fillsADisk() {
    return this == FILL_PRIMARY || this == FILL_REPLICA || this == FILL_AND_KILL_PRIMARY;
  }

  /** Whether applications on the primary may see their files fail. */
  boolean disturbsWriters() {
    return switch (this) {
      case NONE, KILL_WRITERS, KILL_REPLICA, KILL_REPLICA_TWICE, STOP_REPLICA, FILL_REPLICA ->
          false;
      default -> true;
    };
  }

  /**
   * Whether a transaction can be interrupted, which {@code journal_mode=MEMORY} does not survive.
   */
  boolean interruptsTransactions() {
    return disturbsWriters() || this == KILL_WRITERS;
  }

  boolean disturbsReaders() {
    return switch (this) {
      case KILL_REPLICA, KILL_REPLICA_TWICE, STOP_REPLICA, KILL_BOTH, KILL_ALL, FILL_REPLICA ->
          true;
      default -> false;
    };
  }
}
