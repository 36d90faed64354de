package io.litefs.it;

import static org.assertj.core.api.Assertions.assertThat;

import io.litefs.it.soak.PowerCut;
import io.litefs.it.soak.Soak;
import java.time.Duration;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/**
 * A minute of what {@code -Psoak} does for hours: each run with seeds of its own, which it prints.
 * For the properties see {@link Soak} and {@link PowerCut}.
 */
@Tag("alone")
class SoakTest {

  @Test
  void nothingIsLostWhateverIsKilledAndWheneverTheDiskIsFull() {
    Soak.Result result = Soak.run(System.out, Duration.ofMinutes(1));
    assertThat(result.failures()).isEmpty();
    assertThat(result.rounds()).isPositive();
  }

  @Test
  void nothingThatWasPromisedIsLostInAPowerCut() {
    assertThat(PowerCut.possible()).as("strace is installed and may trace").isTrue();
    PowerCut.Result result = PowerCut.run(System.out, 48);
    assertThat(result.failures()).isEmpty();
    assertThat(result.states()).isPositive();
  }
}
