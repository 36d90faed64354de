package io.litefs.daemon;

import io.litefs.cluster.RoleState;
import io.litefs.daemon.api.EventFeed;
import java.util.Objects;
import java.util.function.Consumer;

/** Tells readers of events who is primary, when that is another than before. */
final class PrimaryChanges implements Consumer<RoleState> {

  private final EventFeed events;
  private boolean isPrimary;
  private String hostname;

  PrimaryChanges(EventFeed events) {
    this.events = events;
  }

  /** Called for one change after the other. */
  @Override
  public void accept(RoleState role) {
    boolean nowPrimary = role.isPrimary();
    String nowHostname = role.primaryHostname();
    if (nowPrimary != isPrimary || !Objects.equals(nowHostname, hostname)) {
      isPrimary = nowPrimary;
      hostname = nowHostname;
      events.primaryChange(nowPrimary, nowHostname);
    }
  }
}
