package io.litefs.replication;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(30)
class HandoffSlotTest {

  private static final Duration LONG = Duration.ofSeconds(20);

  private final HandoffSlot slot = new HandoffSlot();
  private final List<String> sent = new ArrayList<>();

  private void send() {
    try {
      slot.sendIfAsked(sent::add);
    } catch (IOException e) {
      throw new IllegalStateException(e);
    }
  }

  @Test
  void whatIsOfferedIsSentOnce() throws Exception {
    assertThat(slot.offer("lease", this::send, LONG)).isTrue();
    assertThat(slot.sendIfAsked(sent::add)).isFalse();
    assertThat(sent).containsExactly("lease");
  }

  @Test
  void whatWasNotSentInTimeIsNotSentLater() throws Exception {
    assertThat(slot.offer("lease", () -> {}, Duration.ofMillis(1))).isFalse();
    send();
    assertThat(sent).isEmpty();
  }

  @Test
  void aStreamThatEndsSendsNothing() throws Exception {
    assertThat(slot.offer("lease", slot::close, LONG)).isFalse();
  }

  /** The peer may have it, and two nodes must not both take themselves for its holder. */
  @Test
  void whatFailedWhileItWasSentCountsAsSent() throws Exception {
    assertThat(
            slot.offer(
                "lease",
                () ->
                    assertThatThrownBy(
                            () ->
                                slot.sendIfAsked(
                                    id -> {
                                      throw new IOException("connection lost");
                                    }))
                        .hasMessage("connection lost"),
                LONG))
        .isTrue();
  }
}
