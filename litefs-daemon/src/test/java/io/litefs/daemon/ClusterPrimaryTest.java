package io.litefs.daemon;

import static org.assertj.core.api.Assertions.assertThat;

import io.litefs.cluster.Role;
import io.litefs.cluster.RoleState;
import io.litefs.lease.PrimaryInfo;
import io.litefs.proxy.PrimaryLocator.Primary;
import java.net.URI;
import java.time.Duration;
import java.time.Instant;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class ClusterPrimaryTest {

  private static final Duration LONG = Duration.ofSeconds(60);
  private static final RoleState SEARCHING =
      new RoleState(Role.SEARCHING, Optional.empty(), Instant.EPOCH);
  private static final RoleState PRIMARY =
      new RoleState(Role.PRIMARY, Optional.empty(), Instant.EPOCH);
  private static final RoleState REPLICA_OF_A = replicaOf("a");
  private static final RoleState REPLICA_OF_B = replicaOf("b");

  /** What look-ups give, one after the other. */
  private final LinkedBlockingQueue<URI> lookups = new LinkedBlockingQueue<>();

  private final ClusterPrimary primary = new ClusterPrimary("me", info -> Optional.of(lookUp()));

  private static RoleState replicaOf(String hostname) {
    return new RoleState(
        Role.REPLICA,
        Optional.of(new PrimaryInfo(hostname, URI.create("http://" + hostname))),
        Instant.EPOCH);
  }

  private URI lookUp() {
    try {
      return lookups.take();
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  @AfterEach
  void close() {
    primary.close();
  }

  private CompletableFuture<Optional<Primary>> other(Optional<Primary> known) {
    return primary.awaitOtherThan(known, LONG).toCompletableFuture();
  }

  @Test
  void nobodyIsKnownBeforeThereIsARole() throws Exception {
    assertThat(primary.primary()).isEmpty();
    assertThat(
            primary
                .awaitOtherThan(Optional.empty(), Duration.ofMillis(5))
                .toCompletableFuture()
                .get(20, TimeUnit.SECONDS))
        .isEmpty();
  }

  @Test
  void thisNodeIsKnownAtOnce() {
    CompletableFuture<Optional<Primary>> found = other(Optional.empty());
    CompletableFuture<Optional<Primary>> foundToo = other(Optional.empty());
    primary.changed(PRIMARY);
    Optional<Primary> me = Optional.of(new Primary(true, "me", Optional.empty()));
    assertThat(found).isCompletedWithValue(me);
    assertThat(foundToo).isCompletedWithValue(me);
    assertThat(other(Optional.empty())).isCompletedWithValue(me);
    assertThat(other(me)).isNotDone();
    primary.changed(SEARCHING);
    assertThat(primary.primary()).isEmpty();
  }

  @Test
  void anotherNodeIsKnownOnceItsProxyIs() throws Exception {
    primary.changed(REPLICA_OF_A);
    assertThat(primary.primary()).isEmpty();
    CompletableFuture<Optional<Primary>> found = other(Optional.empty());
    lookups.add(URI.create("http://a:8080"));
    Optional<Primary> a =
        Optional.of(new Primary(false, "a", Optional.of(URI.create("http://a:8080"))));
    assertThat(found.get(20, TimeUnit.SECONDS)).isEqualTo(a);
    CompletableFuture<Optional<Primary>> next = other(a);
    primary.changed(SEARCHING);
    assertThat(next).isNotDone();
    primary.changed(PRIMARY);
    assertThat(next.get(20, TimeUnit.SECONDS).orElseThrow().isSelf()).isTrue();
  }

  @Test
  void aLookUpThatComesTooLateChangesNothing() throws Exception {
    primary.changed(REPLICA_OF_A);
    primary.changed(REPLICA_OF_B);
    CompletableFuture<Optional<Primary>> found = other(Optional.empty());
    lookups.add(URI.create("http://a:8080"));
    lookups.add(URI.create("http://b:8080"));
    assertThat(found.get(20, TimeUnit.SECONDS).orElseThrow().hostname()).isEqualTo("b");
  }
}
