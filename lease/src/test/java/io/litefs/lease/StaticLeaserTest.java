package io.litefs.lease;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.io.IOException;
import java.net.URI;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

class StaticLeaserTest {
  private static final PrimaryInfo PRIMARY = new PrimaryInfo("db1", URI.create("http://db1:20202"));

  @Test
  void givesTheCandidateALeaseThatDoesNotEnd() throws Exception {
    try (Leaser leaser = new StaticLeaser(true, PRIMARY);
        Lease lease = leaser.acquire().orElseThrow()) {
      assertThat(lease.timeToLive()).isEmpty();
      assertThat(lease.id()).isNotEmpty();
      assertThat(lease.isHeld()).isTrue();
      assertThat(lease.remaining()).isEmpty();
      assertThat(lease.awaitEnd(Duration.ofMillis(1))).isEmpty();
      lease.close();
      assertThat(lease.isHeld()).isFalse();
      assertThat(lease.awaitEnd(Duration.ofMillis(1))).isPresent();
    }
  }

  @Test
  void givesTheCandidateTheLeaseAgainAfterItGaveItBack() throws IOException {
    try (Leaser leaser = new StaticLeaser(true, PRIMARY)) {
      leaser.acquire().orElseThrow().close();
      assertThat(leaser.acquire()).isPresent();
    }
  }

  @Test
  void neverGivesTheLeaseToAnotherNode() throws IOException {
    try (Leaser leaser = new StaticLeaser(false, PRIMARY)) {
      assertThat(leaser.acquire()).isEmpty();
    }
  }

  @Test
  void tellsEveryNodeWhoThePrimaryIs() throws IOException {
    for (boolean candidate : new boolean[] {true, false}) {
      try (Leaser leaser = new StaticLeaser(candidate, PRIMARY)) {
        assertThat(leaser.primary()).contains(PRIMARY);
      }
    }
  }

  @Test
  void doesNotChangeHands() throws IOException {
    try (Leaser leaser = new StaticLeaser(true, PRIMARY);
        Lease lease = leaser.acquire().orElseThrow()) {
      assertThatExceptionOfType(LeaseException.class)
          .isThrownBy(lease::handOff)
          .withMessageContaining("lease.candidate");
      assertThatExceptionOfType(LeaseException.class)
          .isThrownBy(() -> leaser.takeOver("static"))
          .withMessageContaining("cannot be handed over");
    }
  }

  @Test
  void keepsNoClusterId() throws IOException {
    try (Leaser leaser = new StaticLeaser(true, PRIMARY)) {
      assertThat(leaser.establishClusterId("LFSC0123456789ABCDEF"))
          .isEqualTo("LFSC0123456789ABCDEF");
      assertThat(leaser.clusterId()).isEmpty();
    }
  }

  @Test
  void knowsNoPeers() throws IOException {
    try (Leaser leaser = new StaticLeaser(true, PRIMARY)) {
      leaser.announce();
      assertThat(leaser.peers()).isEmpty();
    }
  }

  @Test
  void returnsThePrimaryAtOnceToWhoKnowsNone() throws Exception {
    try (Leaser leaser = new StaticLeaser(false, PRIMARY)) {
      assertThat(leaser.awaitPrimaryOtherThan(Optional.empty(), Duration.ofHours(1)))
          .contains(PRIMARY);
    }
  }

  @Test
  void letsWhoKnowsThePrimaryWaitUntilTheTimeIsOver() throws Exception {
    try (Leaser leaser = new StaticLeaser(false, PRIMARY)) {
      assertThat(leaser.awaitPrimaryOtherThan(Optional.of(PRIMARY), Duration.ofMillis(1)))
          .contains(PRIMARY);
    }
  }

  @Test
  void endsWaitsWhenItIsClosed() throws Exception {
    Leaser leaser = new StaticLeaser(false, PRIMARY);
    CountDownLatch waiting = new CountDownLatch(1);
    CompletableFuture<Optional<PrimaryInfo>> answer =
        CompletableFuture.supplyAsync(
            () -> {
              waiting.countDown();
              try {
                return leaser.awaitPrimaryOtherThan(Optional.of(PRIMARY), Duration.ofHours(1));
              } catch (IOException | InterruptedException e) {
                throw new IllegalStateException(e);
              }
            });
    waiting.await();
    leaser.close();
    assertThat(answer.get(10, TimeUnit.SECONDS)).contains(PRIMARY);
  }
}
