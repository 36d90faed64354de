package io.litefs.daemon;

import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.litefs.ltx.Checksum;
import io.litefs.ltx.Pos;
import io.litefs.ltx.Txid;
import io.litefs.replication.ReplicaStatus;
import java.io.IOException;
import java.time.Instant;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** To which replica a lease may go. */
class StreamHandoverTest {

  private static ReplicaStatus replica(Optional<Boolean> candidate, boolean ready, long txid) {
    return new ReplicaStatus(
        0xbb,
        "two",
        "127.0.0.1:1",
        Instant.EPOCH,
        ready,
        Set.of(),
        candidate,
        Map.of("a.db", new Pos(new Txid(txid), new Checksum(1L << 63))),
        0);
  }

  @Test
  void aNodeThatIsNoCandidateIsRefused() {
    assertThatThrownBy(() -> StreamHandover.requireFit(replica(Optional.of(false), true, 7), 7))
        .isInstanceOf(IOException.class)
        .hasMessageContainingAll("node 00000000000000BB is no candidate", "lease.candidate");
  }

  @Test
  void aCandidateAndANodeThatDoesNotSayAreFitIfTheyAreNear() {
    for (Optional<Boolean> candidate : Set.of(Optional.of(true), Optional.<Boolean>empty())) {
      assertThatCode(() -> StreamHandover.requireFit(replica(candidate, true, 7), 8))
          .doesNotThrowAnyException();
      assertThatThrownBy(() -> StreamHandover.requireFit(replica(candidate, true, 7), 5007))
          .hasMessageContaining("5000 transactions behind");
      assertThatThrownBy(() -> StreamHandover.requireFit(replica(candidate, false, 7), 7))
          .hasMessageContaining("in sync");
    }
  }
}
