package io.litefs.it.soak;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** A minute of what {@code -Psoak} does for long. For the properties see {@link HandoffSoak}. */
@Tag("alone")
class HandoffSoakTest {

  @Test
  void nothingIsLostHoweverOftenTheLeaseChangesHands() {
    HandoffSoak.Result result = HandoffSoak.run(System.out, Duration.ofMinutes(1));
    assertThat(result.failures()).isEmpty();
    assertThat(result.handoffs()).isPositive();
    assertThat(result.acknowledged()).isPositive();
  }
}
