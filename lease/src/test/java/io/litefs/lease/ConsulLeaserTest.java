package io.litefs.lease;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Predicate;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Against a real Consul. */
@Timeout(120)
class ConsulLeaserTest {

  private static final Duration TTL = Duration.ofSeconds(2);
  private static final Duration LOCK_DELAY = Duration.ofMillis(500);
  private static final Duration LONG = Duration.ofSeconds(60);

  private static ConsulAgent consul;
  private static int count;

  private final List<Leaser> leasers = new ArrayList<>();
  private String key;

  @BeforeAll
  static void startConsul() {
    consul = ConsulAgent.started();
  }

  @AfterAll
  static void stopConsul() {
    consul.close();
  }

  @BeforeEach
  void useAnotherKey() {
    key = "litefs/test-" + count++;
  }

  @AfterEach
  void close() {
    leasers.forEach(Leaser::close);
  }

  private static PrimaryInfo info(String name) {
    return new PrimaryInfo(name, URI.create("http://" + name + ":20202"));
  }

  @Test
  void aRehearsalLeavesNothingAndTouchesNobodysLease() throws Exception {
    ConsulLeaser one = node("one");
    ConsulLeaser two = node("two");
    try (Lease lease = one.acquire().orElseThrow()) {
      String sessions = consul.call("GET", "/v1/session/list", "");
      String keys = consul.call("GET", "/v1/kv/" + key + "?recurse=true", "");
      two.rehearse();
      two.rehearse();
      assertThat(lease.isHeld()).isTrue();
      assertThat(consul.call("GET", "/v1/session/list", "")).isEqualTo(sessions);
      assertThat(consul.call("GET", "/v1/kv/" + key + "?recurse=true", "")).isEqualTo(keys);
    }
  }

  @Test
  void aRehearsalSaysWhyALeaseCouldNotBeTakenOver() throws Exception {
    HttpServer refusing =
        HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    refusing.createContext(
        "/",
        exchange -> {
          exchange.sendResponseHeaders(403, -1);
          exchange.close();
        });
    refusing.start();
    try {
      URI url = URI.create("http://127.0.0.1:" + refusing.getAddress().getPort());
      assertThatExceptionOfType(IOException.class)
          .isThrownBy(() -> node("one", url, "secret").rehearse())
          .withMessageContaining("refuses the token");
    } finally {
      refusing.stop(0);
    }
  }

  private ConsulLeaser node(String name) {
    return node(name, consul.url(), "");
  }

  private ConsulLeaser node(String name, URI url, String token) {
    ConsulLeaser leaser =
        new ConsulLeaser(new ConsulOptions(url, key, TTL, LOCK_DELAY, token, info(name)));
    leasers.add(leaser);
    return leaser;
  }

  /** Tries until the lease is had; each try after the last holder has changed. */
  private static Lease acquireSoon(ConsulLeaser node) throws Exception {
    long deadline = System.nanoTime() + LONG.toNanos();
    while (System.nanoTime() < deadline) {
      Optional<Lease> lease = node.acquire();
      if (lease.isPresent()) {
        return lease.get();
      }
      Optional<PrimaryInfo> holder = node.primary();
      node.awaitPrimaryOtherThan(holder, Duration.ofMillis(holder.isPresent() ? 60_000 : 50));
    }
    throw new AssertionError("no lease");
  }

  @Test
  void oneOfTwoGetsTheLeaseAndBothKnowWho() throws Exception {
    ConsulLeaser one = node("one");
    ConsulLeaser two = node("two");
    assertThat(one.primary()).isEmpty();
    try (Lease lease = one.acquire().orElseThrow()) {
      assertThat(lease.isHeld()).isTrue();
      assertThat(lease.remaining().orElseThrow()).isBetween(Duration.ofMillis(1), TTL);
      assertThat(lease.overdue()).isZero();
      assertThat(two.acquire()).isEmpty();
      assertThat(two.primary()).contains(info("one"));
      assertThat(one.primary()).contains(info("one"));
      assertThat(consul.value(key))
          .contains("\"hostname\":\"one\"", "\"advertise-url\":\"http://one:20202\"");
    }
  }

  /** Nobody would renew it, and nobody else could get it until it ends. */
  @Test
  void leavesNothingLockedIfItFailsOnceItHasTheLock() throws Exception {
    AtomicBoolean locked = new AtomicBoolean();
    HttpServer between =
        consulSeenThrough(
            request -> {
              boolean read = request.getRequestMethod().equals("GET");
              String query = String.valueOf(request.getRequestURI().getQuery());
              if (!read && query.contains("acquire=")) {
                locked.set(true);
              }
              return !read || !locked.get();
            });
    try {
      URI url = URI.create("http://127.0.0.1:" + between.getAddress().getPort());
      ConsulLeaser one = node("one", url, "");
      assertThatExceptionOfType(IOException.class).isThrownBy(one::acquire);
      assertThat(locked).isTrue();
      assertThat(consul.value(key)).isEmpty();
    } finally {
      between.stop(0);
    }
  }

  /** Consul, but for the requests that {@code passes} does not let through. */
  private static HttpServer consulSeenThrough(Predicate<HttpExchange> passes) throws IOException {
    HttpClient client = HttpClient.newHttpClient();
    HttpServer server =
        HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    server.createContext(
        "/",
        exchange -> {
          try (exchange) {
            byte[] body = exchange.getRequestBody().readAllBytes();
            if (!passes.test(exchange)) {
              exchange.sendResponseHeaders(500, -1);
              return;
            }
            HttpResponse<byte[]> answer =
                client.send(
                    HttpRequest.newBuilder(consul.url().resolve(exchange.getRequestURI()))
                        .method(
                            exchange.getRequestMethod(),
                            HttpRequest.BodyPublishers.ofByteArray(body))
                        .build(),
                    HttpResponse.BodyHandlers.ofByteArray());
            answer
                .headers()
                .firstValue("X-Consul-Index")
                .ifPresent(index -> exchange.getResponseHeaders().set("X-Consul-Index", index));
            exchange.sendResponseHeaders(answer.statusCode(), answer.body().length);
            exchange.getResponseBody().write(answer.body());
          } catch (InterruptedException e) {
            throw new IOException(e);
          }
        });
    server.start();
    return server;
  }

  @Test
  void outlivesItsTimeToLiveByRenewals() throws Exception {
    try (Lease lease = node("one").acquire().orElseThrow()) {
      assertThat(lease.awaitEnd(TTL.multipliedBy(2))).isEmpty();
      assertThat(lease.isHeld()).isTrue();
      assertThat(consul.value(key)).contains("\"renewal\":").doesNotContain("\"renewal\":0");
    }
  }

  @Test
  void isFreeAtOnceWhenItWasGivenBack() throws Exception {
    ConsulLeaser one = node("one");
    ConsulLeaser two = node("two");
    Lease lease = one.acquire().orElseThrow();
    CompletableFuture<Optional<PrimaryInfo>> next =
        CompletableFuture.supplyAsync(
            () -> {
              try {
                return two.awaitPrimaryOtherThan(Optional.of(info("one")), LONG);
              } catch (IOException | InterruptedException e) {
                throw new IllegalStateException(e);
              }
            });
    lease.close();
    assertThat(lease.isHeld()).isFalse();
    assertThat(lease.awaitEnd(Duration.ZERO)).isPresent();
    assertThat(next.get(30, TimeUnit.SECONDS)).isEmpty();
    assertThat(two.acquire()).as("without a lock delay").isPresent();
  }

  @Test
  void noticesAtOnceThatItsSessionWasDestroyed() throws Exception {
    try (Lease lease = node("one").acquire().orElseThrow()) {
      long start = System.nanoTime();
      consul.call("PUT", "/v1/session/destroy/" + lease.id(), "");
      assertThat(lease.awaitEnd(LONG)).isPresent();
      assertThat(Duration.ofNanos(System.nanoTime() - start)).isLessThan(LOCK_DELAY);
      assertThat(lease.isHeld()).isFalse();
    }
  }

  @Test
  void aPausedConsulEndsTheLeaseBeforeAnotherCanHaveIt() throws Exception {
    ConsulLeaser one = node("one");
    ConsulLeaser two = node("two");
    Lease lease = one.acquire().orElseThrow();
    assertThat(two.primary()).contains(info("one"));
    consul.pause();
    String reason;
    long paused = System.nanoTime();
    try {
      reason = lease.awaitEnd(LONG).orElseThrow();
      assertThat(lease.isHeld()).isFalse();
      assertThat(lease.overdue()).isPositive();
      assertThat(Duration.ofNanos(System.nanoTime() - paused)).isLessThan(TTL.plusMillis(500));
    } finally {
      consul.resume();
    }
    assertThat(reason).contains("not renewed for 2000 ms");
    try (Lease second = acquireSoon(two)) {
      assertThat(second.isHeld()).isTrue();
      assertThat(lease.isHeld()).isFalse();
    }
  }

  @Test
  void aHolderThatVanishesIsReplacedAfterTimeToLiveAndLockDelay() throws Exception {
    ConsulLeaser gone = node("gone");
    ConsulLeaser two = node("two");
    Lease lease = gone.acquire().orElseThrow();
    assertThat(two.primary()).contains(info("gone"));
    long start = System.nanoTime();
    gone.close(); // Not given back: its calls to Consul fail from now on.
    try (Lease second = acquireSoon(two)) {
      Duration took = Duration.ofNanos(System.nanoTime() - start);
      assertThat(took).isLessThan(TTL.plus(LOCK_DELAY).plusSeconds(2));
      assertThat(second.isHeld()).isTrue();
      assertThat(lease.isHeld()).as("ended before").isFalse();
      assertThat(two.primary()).contains(info("two"));
    }
  }

  @Test
  void aHolderThatDoesNotCountRenewalsIsLeftToConsul() throws Exception {
    ConsulLeaser two = node("two");
    String session =
        consul.call(
            "PUT",
            "/v1/session/create",
            "{\"Name\":\"litefs\",\"Behavior\":\"delete\",\"TTL\":\"60s\"}");
    String id = session.replaceAll(".*\"ID\":\\s*\"([^\"]*)\".*", "$1");
    consul.call(
        "PUT",
        "/v1/kv/" + key + "?acquire=" + id,
        "{\"hostname\":\"go\",\"advertise-url\":\"http://go:20202\"}");
    Optional<PrimaryInfo> go = Optional.of(info("go"));
    assertThat(two.primary()).isEqualTo(go);
    assertThat(two.awaitPrimaryOtherThan(go, TTL.plus(LOCK_DELAY).plusMillis(500))).isEqualTo(go);
    assertThat(two.acquire()).isEmpty();
    consul.call("PUT", "/v1/session/destroy/" + id, "");
    assertThat(two.awaitPrimaryOtherThan(go, LONG)).isEmpty();
  }

  @Test
  void changesHandsWithoutAGap() throws Exception {
    ConsulLeaser one = node("one");
    ConsulLeaser two = node("two");
    Lease lease = one.acquire().orElseThrow();
    String id = lease.handOff();
    assertThat(lease.isHeld()).isFalse();
    Lease taken = two.takeOver(id);
    assertThat(taken.isHeld()).isTrue();
    assertThat(one.primary()).contains(info("two"));
    lease.close();
    assertThat(taken.awaitEnd(TTL.multipliedBy(2))).as("close left it alone").isEmpty();
    taken.close();
    assertThatExceptionOfType(LeaseException.class)
        .isThrownBy(() -> two.takeOver(id))
        .withMessageContaining("has ended");
    assertThatExceptionOfType(LeaseException.class).isThrownBy(taken::handOff);
  }

  @Test
  void isRenewedBeforeItIsDueIfAsked() throws Exception {
    try (Lease lease = node("one").acquire().orElseThrow()) {
      assertThat(lease.awaitEnd(TTL.dividedBy(4))).isEmpty();
      Duration before = lease.remaining().orElseThrow();
      String version = version();
      lease.renewNow();
      assertThat(lease.remaining().orElseThrow()).isGreaterThan(before);
      assertThat(version()).isNotEqualTo(version);
      lease.handOff();
      assertThatExceptionOfType(LeaseException.class).isThrownBy(lease::renewNow);
    }
  }

  /** Others count a holder's time from the last version of the key that they have seen. */
  @Test
  void aLeaseThatIsTakenBackIsOfAnotherVersion() throws Exception {
    ConsulLeaser one = node("one");
    String id = one.acquire().orElseThrow().handOff();
    String before = version();
    try (Lease again = one.takeOver(id)) {
      assertThat(again.isHeld()).isTrue();
      assertThat(version()).isNotEqualTo(before);
    }
  }

  /** Nobody else could have it until it ends. */
  @Test
  void aLeaseThatMayHaveBeenTakenOverOrNotIsGivenUp() throws Exception {
    String id = node("one").acquire().orElseThrow().handOff();
    HttpServer between =
        consulSeenThrough(
            request -> {
              boolean acquires =
                  String.valueOf(request.getRequestURI().getQuery()).contains("acquire=");
              if (acquires) { // The answer is lost.
                consul.call("PUT", request.getRequestURI().toString(), "taken over");
              }
              return !acquires;
            });
    try {
      URI url = URI.create("http://127.0.0.1:" + between.getAddress().getPort());
      ConsulLeaser two = node("two", url, "");
      assertThatExceptionOfType(IOException.class)
          .isThrownBy(() -> two.takeOver(id))
          .isNotInstanceOf(LeaseException.class);
      assertThat(consul.value(key)).isEmpty();
    } finally {
      between.stop(0);
    }
  }

  private String version() {
    return consul.call("GET", "/v1/kv/" + key, "").replaceAll(".*\"ModifyIndex\":(\\d+).*", "$1");
  }

  @Test
  void survivesARestartOfConsulThatIsShorterThanItsTimeToLive() throws Exception {
    ConsulLeaser patient =
        new ConsulLeaser(
            new ConsulOptions(
                consul.url(), key, Duration.ofSeconds(30), LOCK_DELAY, "", info("patient")));
    leasers.add(patient);
    try (Lease lease = patient.acquire().orElseThrow()) {
      consul.stop();
      consul.start();
      assertThat(lease.isHeld()).isTrue();
      assertThat(node("two").acquire()).isEmpty();
    }
  }

  @Test
  void aLeaseThatEndedWhileConsulWasDownIsHadAgain() throws Exception {
    ConsulLeaser one = node("one");
    Lease lease = one.acquire().orElseThrow();
    consul.stop();
    try {
      assertThat(lease.awaitEnd(LONG).orElseThrow()).contains("cannot be reached");
    } finally {
      consul.start();
    }
    lease.close();
    try (Lease again = acquireSoon(one)) {
      assertThat(again.isHeld()).isTrue();
    }
  }

  @Test
  void keepsTheFirstClusterId() throws IOException {
    assertThat(node("one").clusterId()).isEmpty();
    assertThat(node("one").establishClusterId("LFSC0000000000000001"))
        .isEqualTo("LFSC0000000000000001");
    assertThat(node("two").establishClusterId("LFSC0000000000000002"))
        .isEqualTo("LFSC0000000000000001");
    assertThat(consul.value(key + "/clusterid")).isEqualTo("LFSC0000000000000001");
  }

  @Test
  void nodesThatAnnouncedThemselvesAreKnownToTheOthers() throws IOException {
    ConsulLeaser one = node("one");
    one.announce();
    one.announce();
    node("two").announce();
    assertThat(one.peers()).containsExactly(URI.create("http://two:20202"));
  }

  @Test
  void aPathInTheUrlIsAPrefixAndANodeOfTheCatalog() throws Exception {
    key = "db";
    String prefix = "team-" + count;
    URI url = URI.create(consul.url() + "/" + prefix);
    try (Lease lease = node("one", url, "").acquire().orElseThrow()) {
      assertThat(consul.value(prefix + "/db")).contains("\"one\"");
      assertThat(consul.call("GET", "/v1/session/info/" + lease.id(), ""))
          .contains(prefix + "/litefs");
      assertThat(lease.awaitEnd(TTL.multipliedBy(2))).isEmpty();
    }
  }

  @Test
  void aKeyOfSomethingElseIsNoLease() throws Exception {
    String session = consul.call("PUT", "/v1/session/create", "{\"TTL\":\"60s\"}");
    String id = session.replaceAll(".*\"ID\":\\s*\"([^\"]*)\".*", "$1");
    consul.call("PUT", "/v1/kv/" + key + "?acquire=" + id, "leader of something");
    assertThatExceptionOfType(IOException.class)
        .isThrownBy(() -> node("one").primary())
        .withMessageContainingAll(key, "leader of something", "lease.consul.key");
  }

  @Test
  void saysWhatToDoWhenConsulIsNotThere() {
    assertThatExceptionOfType(IOException.class)
        .isThrownBy(() -> node("one", URI.create("http://127.0.0.1:1"), "").acquire())
        .withMessageContainingAll("http://127.0.0.1:1", "refused", "lease.consul.url");
    assertThatExceptionOfType(IOException.class)
        .isThrownBy(() -> node("one", URI.create("http://consul.invalid:8500"), "").acquire())
        .withMessageContainingAll("unknown host", "lease.consul.url");
  }

  @Test
  void saysWhatToDoWhenTheTokenIsRefused() throws IOException {
    try (ConsulAgent closed = ConsulAgent.startedWithTokens()) {
      assertThatExceptionOfType(IOException.class)
          .isThrownBy(() -> node("one", closed.url(), "wrong").acquire())
          .withMessageContainingAll("refuses the token", key, "CONSUL_HTTP_TOKEN")
          .withMessageNotContaining("wrong");
      URI withPassword = URI.create("http://x:master@127.0.0.1:" + closed.url().getPort());
      assertThat(node("one", withPassword, "wrong").acquire()).isPresent();
    }
  }

  @Test
  void saysWhatToDoWhenTheTimeToLiveIsRefused() {
    ConsulLeaser hasty =
        new ConsulLeaser(
            new ConsulOptions(
                consul.url(), key, Duration.ofMillis(500), LOCK_DELAY, "", info("one")));
    leasers.add(hasty);
    assertThatExceptionOfType(IOException.class)
        .isThrownBy(hasty::acquire)
        .withMessageContainingAll("lease.consul.ttl", "must be between");
  }
}
