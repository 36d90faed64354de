package io.litefs.proxy;

import static org.assertj.core.api.Assertions.assertThat;

import io.litefs.proxy.ProxyOptions.Forwarding;
import java.io.IOException;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Where requests go, when, and what the client carries away. */
class RoutingTest {

  private static final String TXID_5 = "0000000000000005";
  private static final String TXID_6 = "0000000000000006";

  private TestApp app;
  private TestApp primaryApp;
  private TestProxy proxy;
  private TestProxy primaryProxy;

  @BeforeEach
  void startApps() throws IOException {
    app = TestApp.echo();
    primaryApp = TestApp.echo();
  }

  @AfterEach
  void stop() throws IOException {
    for (AutoCloseable closeable : new AutoCloseable[] {proxy, primaryProxy}) {
      if (closeable != null) {
        ((TestProxy) closeable).close();
      }
    }
    app.close();
    primaryApp.close();
  }

  private TestProxy proxy(Consumer<TestProxy> settings) throws IOException {
    proxy = new TestProxy(app);
    settings.accept(proxy);
    return proxy.start();
  }

  private void withPrimaryElsewhere() throws IOException {
    primaryProxy = TestProxy.onPrimary(primaryApp);
    proxy.primary.other("first", primaryProxy.port());
  }

  /** An answer that is awaited by another thread. */
  private static CompletableFuture<HttpText> later(RawClient client) {
    return CompletableFuture.supplyAsync(
        () -> {
          try {
            return client.read();
          } catch (IOException e) {
            throw new CompletionException(e);
          }
        });
  }

  private static HttpText get(CompletableFuture<HttpText> answer) throws Exception {
    return answer.get(20, TimeUnit.SECONDS);
  }

  // ------------------------------------------------------------ on the primary

  @Test
  void aWriteOnThePrimaryTellsTheClientItsTxid() throws Exception {
    proxy(p -> p.primary.self());
    app.behave(
        (request, connection) -> {
          proxy.positions.advance("app.db", 0x1f);
          connection.send(TestApp.ok("written"));
          return true;
        });
    try (RawClient client = proxy.client()) {
      HttpText answer = client.post("/notes", "text");
      assertThat(answer.fields("Set-Cookie"))
          .containsExactly("__txid=000000000000001f; Path=/; Max-Age=300; HttpOnly");
      assertThat(answer.field("Litefs-Txid")).isEqualTo("app.db=000000000000001f");
      assertThat(answer.body()).isEqualTo("written");
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND"})
  void whatIsNeitherGetNorHeadIsAWrite(String method) throws Exception {
    proxy(p -> p.primary.self());
    proxy.positions.advance("app.db", 1);
    try (RawClient client = proxy.client()) {
      HttpText answer = client.send(RawClient.request(method, "/")).read();
      assertThat(answer.fields("Set-Cookie")).hasSize(1);
    }
  }

  @Test
  void aReadThatWroteTellsTheTxidToo() throws Exception {
    proxy(p -> p.primary.self());
    proxy.positions.advance("app.db", 5);
    try (RawClient client = proxy.client()) {
      assertThat(client.get("/").field("Set-Cookie")).isNull();
      app.behave(
          (request, connection) -> {
            proxy.positions.advance("app.db", 6);
            connection.send(TestApp.ok(""));
            return true;
          });
      assertThat(client.get("/counted").field("Set-Cookie")).startsWith("__txid=" + TXID_6);
    }
  }

  @Test
  void thePrimaryWaitsForNoTxid() throws Exception {
    proxy(p -> p.primary.self());
    proxy.positions.advance("app.db", 5);
    try (RawClient client = proxy.client()) {
      assertThat(client.get("/", "Cookie: __txid=" + TXID_6).status()).isEqualTo(200);
    }
  }

  @Test
  void severalDatabasesHaveACookieEach() throws Exception {
    proxy(
        p -> {
          p.databases = List.of("app.db", "my jobs=1.db", "none.db");
          p.primary.self();
        });
    proxy.positions.advance("app.db", 5);
    proxy.positions.advance("my jobs=1.db", 6);
    try (RawClient client = proxy.client()) {
      HttpText answer = client.post("/", "");
      assertThat(answer.fields("Set-Cookie"))
          .extracting(cookie -> cookie.split(";")[0])
          .containsExactly("__txid=" + TXID_5, "__txid.my%20jobs%3D1.db=" + TXID_6);
      assertThat(answer.field("Litefs-Txid"))
          .isEqualTo("app.db=" + TXID_5 + ", my%20jobs%3D1.db=" + TXID_6);
    }
  }

  @Test
  void aHandoffWaitsForTheWritesThatAreUnderWayAndTheNextOnesForIt() throws Exception {
    proxy(p -> p.primary.self());
    CountDownLatch begun = new CountDownLatch(1);
    CountDownLatch finish = new CountDownLatch(1);
    app.behave(
        (request, connection) -> {
          begun.countDown();
          awaitLatch(finish);
          connection.send(TestApp.ok("written here"));
          return true;
        });
    try (RawClient first = proxy.client();
        RawClient second = proxy.client()) {
      first.send(RawClient.request("POST", "/"));
      CompletableFuture<HttpText> firstAnswer = later(first);
      awaitLatch(begun);
      assertThat(proxy.server().awaitLocalWrites(Duration.ofMillis(20))).isFalse();
      proxy.primary.none();
      second.send(RawClient.request("POST", "/"));
      CompletableFuture<HttpText> secondAnswer = later(second);
      proxy.primary.awaitWaiter();
      finish.countDown();
      assertThat(get(firstAnswer).body()).isEqualTo("written here");
      assertThat(proxy.server().awaitLocalWrites(Duration.ofSeconds(20))).isTrue();
      withPrimaryElsewhere();
      assertThat(get(secondAnswer).status()).isEqualTo(200);
      assertThat(get(secondAnswer).body()).isNotEqualTo("written here");
    }
  }

  @Test
  void aWriteWhoseClientGoesAwayHoldsUpNoHandoff() throws Exception {
    proxy(p -> p.primary.self());
    CountDownLatch begun = new CountDownLatch(1);
    CountDownLatch finish = new CountDownLatch(1);
    app.behave(
        (request, connection) -> {
          begun.countDown();
          awaitLatch(finish);
          return false;
        });
    try (RawClient client = proxy.client()) {
      client.send(RawClient.request("POST", "/"));
      awaitLatch(begun);
    }
    assertThat(proxy.server().awaitLocalWrites(Duration.ofSeconds(20))).isTrue();
    finish.countDown();
  }

  private static void awaitLatch(CountDownLatch latch) {
    try {
      assertThat(latch.await(20, TimeUnit.SECONDS)).isTrue();
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  // ------------------------------------------------------------ reads on a replica

  @ParameterizedTest
  @ValueSource(
      strings = {
        "Cookie: __txid=" + TXID_6,
        "Cookie: a=b; __txid=" + TXID_6 + "; c=d",
        "Cookie: __txid=\r\nCookie: __txid=" + TXID_6,
        "Cookie: __txid=" + TXID_6 + "; __txid=" + TXID_5,
        "Litefs-Txid: " + TXID_6,
        "Litefs-Txid: app.db=" + TXID_6,
        "Litefs-Txid: other.db=" + TXID_5 + ", app.db=" + TXID_6,
        "Litefs-Txid: app.db=" + TXID_5 + "\r\nCookie: __txid=" + TXID_6,
      })
  void aReadWaitsUntilItsWritesAreHere(String mark) throws Exception {
    proxy(p -> p.primary.otherWithoutProxy("first"));
    proxy.positions.advance("app.db", 5);
    try (RawClient client = proxy.client()) {
      client.send(RawClient.request("GET", "/", mark));
      proxy.positions.awaitWaiter();
      assertThat(app.unseen()).isZero();
      proxy.positions.advance("app.db", 6);
      assertThat(client.read().status()).isEqualTo(200);
      assertThat(app.unseen()).isOne();
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "Cookie: a=b",
        "Cookie: __txid=" + TXID_5,
        "Cookie: __txid=6",
        "Cookie: __txid=-000000000000006",
        "Cookie: __txid=ffffffffffffffff",
        "Cookie: __txid=zzzzzzzzzzzzzzzz",
        "Cookie: x__txid=" + TXID_6,
        "Cookie: __txid.other.db=" + TXID_6,
        "Litefs-Txid: other.db=" + TXID_6,
        "Litefs-Txid: ,,=,",
      })
  void aReadWithoutAnOpenTxidIsServedAtOnce(String mark) throws Exception {
    proxy(p -> p.primary.otherWithoutProxy("first"));
    proxy.positions.advance("app.db", 5);
    try (RawClient client = proxy.client()) {
      HttpText answer = client.get("/", mark);
      assertThat(answer.status()).isEqualTo(200);
      assertThat(answer.field("Set-Cookie")).isNull();
    }
  }

  @Test
  void aReadWaitsForEveryDatabase() throws Exception {
    proxy(
        p -> {
          p.databases = List.of("app.db", "jobs.db");
          p.primary.otherWithoutProxy("first");
        });
    try (RawClient client = proxy.client()) {
      client.send(
          RawClient.request("GET", "/", "Cookie: __txid=" + TXID_5 + "; __txid.jobs.db=" + TXID_6));
      proxy.positions.awaitWaiter();
      proxy.positions.advance("app.db", 5);
      proxy.positions.awaitWaiter();
      assertThat(app.unseen()).isZero();
      proxy.positions.advance("jobs.db", 7);
      assertThat(client.read().status()).isEqualTo(200);
    }
  }

  @Test
  void aReadWhoseTxidDoesNotComeIsToldSo() throws Exception {
    proxy(
        p -> {
          p.txidTimeout = Duration.ofMillis(50);
          p.primary.otherWithoutProxy("first");
        });
    proxy.positions.advance("app.db", 5);
    try (RawClient client = proxy.client()) {
      HttpText answer = client.get("/", "Cookie: __txid=" + TXID_6);
      assertThat(answer.status()).isEqualTo(504);
      assertThat(answer.body()).contains("app.db", TXID_5, TXID_6);
      assertThat(client.get("/").status()).isEqualTo(200);
    }
    assertThat(app.unseen()).isOne();
  }

  @Test
  void aReadThatWaitsIsServedWhenThisNodeBecomesPrimary() throws Exception {
    proxy(
        p -> {
          p.txidTimeout = Duration.ofMillis(200);
          p.primary.otherWithoutProxy("first");
        });
    try (RawClient client = proxy.client()) {
      client.send(RawClient.request("GET", "/", "Cookie: __txid=" + TXID_6));
      proxy.positions.awaitWaiter();
      proxy.primary.self();
      assertThat(client.read().status()).isEqualTo(200);
    }
  }

  // ------------------------------------------------------------ what the configuration says

  @Test
  void passthroughPathsGoToTheApplicationWhateverTheyAre() throws Exception {
    proxy(
        p -> {
          p.passthrough = List.of("/assets/*", "*.png");
          p.alwaysForward = List.of("*.png");
          p.primary.otherWithoutProxy("first");
        });
    try (RawClient client = proxy.client()) {
      assertThat(client.post("/assets/x", "body").body()).isEqualTo("POST /assets/x HTTP/1.1|body");
      assertThat(client.get("/x.png?v=1", "Cookie: __txid=" + TXID_6).status()).isEqualTo(200);
      proxy.primary.self();
      proxy.positions.advance("app.db", 5);
      assertThat(client.post("/assets/x", "").field("Set-Cookie")).isNull();
    }
  }

  @Test
  void alwaysForwardPathsAreWrites() throws Exception {
    proxy(p -> p.alwaysForward = List.of("/login"));
    withPrimaryElsewhere();
    try (RawClient client = proxy.client()) {
      assertThat(client.get("/login?user=1").body()).isEqualTo("GET /login?user=1 HTTP/1.1|");
      assertThat(primaryApp.received().target()).isEqualTo("/login?user=1");
    }
    assertThat(app.unseen()).isZero();
  }

  @Test
  void healthFollowsTheLag() throws Exception {
    proxy(p -> p.passthrough = List.of("*"));
    try (RawClient client = proxy.client()) {
      HttpText healthy = client.get("/litefs/health");
      assertThat(healthy.status()).isEqualTo(200);
      assertThat(healthy.body()).isEqualTo("OK\n");
      proxy.positions.lag(Duration.ofSeconds(11));
      HttpText sick = client.get("/litefs/health?x");
      assertThat(sick.status()).isEqualTo(503);
      assertThat(sick.body()).contains("11000 ms");
      proxy.positions.lag(Duration.ofMillis(Integer.MAX_VALUE));
      assertThat(client.get("/litefs/health").body()).contains("not been in sync");
    }
    assertThat(app.unseen()).isZero();
  }

  @Test
  void aReplayNamesThePrimary() throws Exception {
    proxy(
        p -> {
          p.forwarding = Forwarding.REPLAY;
          p.primary.otherWithoutProxy("first");
        });
    try (RawClient client = proxy.client()) {
      HttpText answer = client.post("/", "body");
      assertThat(answer.status()).isEqualTo(200);
      assertThat(answer.field("fly-replay")).isEqualTo("instance=first");
      assertThat(client.get("/").status()).isEqualTo(200);
    }
    assertThat(app.unseen()).isOne();
  }

  @Test
  void aWriteOnAReplicaIsRefusedIfForwardingIsOff() throws Exception {
    proxy(
        p -> {
          p.forwarding = Forwarding.OFF;
          p.primary.otherWithoutProxy("first");
        });
    try (RawClient client = proxy.client()) {
      HttpText answer = client.post("/", "body");
      assertThat(answer.status()).isEqualTo(503);
      assertThat(answer.body()).contains("first");
    }
  }

  // ------------------------------------------------------------ forwarding

  @Test
  void aWriteOnAReplicaIsForwardedAndItsAnswerComesBackWithTheCookie() throws Exception {
    proxy(p -> {});
    withPrimaryElsewhere();
    primaryProxy.positions.advance("app.db", 6);
    try (RawClient client = proxy.client()) {
      HttpText answer = client.post("/notes", "text", "X: y");
      assertThat(answer.body()).isEqualTo("POST /notes HTTP/1.1|text");
      assertThat(answer.field("Set-Cookie")).startsWith("__txid=" + TXID_6);
      HttpText got = primaryApp.received();
      assertThat(got.field("X")).isEqualTo("y");
      assertThat(got.field("Host")).isEqualTo("app.example");
      assertThat(got.field("X-Forwarded-For")).isEqualTo("127.0.0.1, 127.0.0.1");
      assertThat(got.field("X-Forwarded-Host")).isEqualTo("app.example");
    }
    assertThat(app.unseen()).isZero();
  }

  @Test
  void writesAreHeldWhileThereIsNoPrimaryAndThenGoOn() throws Exception {
    proxy(p -> {});
    try (RawClient one = proxy.client();
        RawClient two = proxy.client()) {
      one.send(RawClient.request("POST", "/1", "Content-Length: 4") + "text");
      proxy.primary.awaitWaiter();
      two.send(RawClient.request("DELETE", "/2"));
      proxy.primary.awaitWaiter();
      assertThat(app.unseen()).isZero();
      withPrimaryElsewhere();
      assertThat(one.read().body()).isEqualTo("POST /1 HTTP/1.1|text");
      assertThat(two.read().status()).isEqualTo(200);
    }
    assertThat(primaryApp.unseen()).isEqualTo(2);
  }

  @Test
  void aHeldWriteIsDoneHereIfThisNodeBecomesPrimary() throws Exception {
    proxy(p -> {});
    try (RawClient client = proxy.client()) {
      client.send(RawClient.request("POST", "/", "Content-Length: 4") + "text");
      proxy.primary.awaitWaiter();
      proxy.primary.self();
      assertThat(client.read().status()).isEqualTo(200);
    }
    assertThat(app.unseen()).isOne();
  }

  @Test
  void aWriteThatFindsNoPrimaryInTimeIsRefusedUndone() throws Exception {
    proxy(p -> p.redirectTimeout = Duration.ofMillis(50));
    try (RawClient client = proxy.client()) {
      HttpText answer = client.post("/", "text");
      assertThat(answer.status()).isEqualTo(503);
      assertThat(answer.body()).isEqualTo("no primary is known\n");
    }
    assertThat(app.unseen()).isZero();
  }

  @Test
  void aWriteGoesToTheNewPrimaryIfTheOldDoesNotAcceptConnections() throws Exception {
    proxy(p -> {});
    int dead = deadPort();
    proxy.primary.other("dead", dead);
    try (RawClient client = proxy.client()) {
      client.send(RawClient.request("POST", "/", "Content-Length: 4") + "text");
      CompletableFuture<HttpText> answer = later(client);
      proxy.primary.awaitWaiter();
      withPrimaryElsewhere();
      assertThat(get(answer).body()).isEqualTo("POST / HTTP/1.1|text");
    }
    assertThat(primaryApp.unseen()).isOne();
  }

  @Test
  void aPrimaryThatNeverAcceptsIsReportedAsSuch() throws Exception {
    proxy(p -> p.redirectTimeout = Duration.ofMillis(50));
    proxy.primary.other("dead", deadPort());
    try (RawClient client = proxy.client()) {
      assertThat(client.post("/", "text").status()).isEqualTo(503);
    }
  }

  @Test
  void aPrimaryWithoutProxyIsReportedAsSuch() throws Exception {
    proxy(p -> p.primary.otherWithoutProxy("first"));
    try (RawClient client = proxy.client()) {
      HttpText answer = client.post("/", "text");
      assertThat(answer.status()).isEqualTo(503);
      assertThat(answer.body()).contains("first");
    }
  }

  /** The primary hands over, and the replica does not know yet. */
  @Test
  void aWriteThatArrivesAtAFormerPrimaryGoesOnToTheNewOne() throws Exception {
    TestApp formerApp = TestApp.echo();
    try (TestProxy former = new TestProxy(formerApp)) {
      former.start();
      proxy(p -> {});
      proxy.primary.other("former", former.port());
      primaryProxy = TestProxy.onPrimary(primaryApp);
      former.primary.other("new", primaryProxy.port());
      try (RawClient client = proxy.client()) {
        assertThat(client.post("/", "text").status()).isEqualTo(200);
        assertThat(primaryApp.received().body()).isEqualTo("text");
      }
      assertThat(formerApp.unseen()).isZero();
    } finally {
      formerApp.close();
    }
  }

  @Test
  void aWriteThatGoesRoundInACircleWaitsAndThenFindsThePrimary() throws Exception {
    proxy(p -> {});
    primaryProxy = new TestProxy(primaryApp).start();
    // Each thinks that the other is primary.
    primaryProxy.primary.other("a", proxy.port());
    proxy.primary.other("b", primaryProxy.port());
    try (RawClient client = proxy.client()) {
      client.send(RawClient.request("POST", "/", "Content-Length: 4") + "text");
      proxy.primary.awaitWaiter();
      assertThat(app.unseen() + primaryApp.unseen()).isZero();
      proxy.primary.self();
      assertThat(client.read().body()).isEqualTo("POST / HTTP/1.1|text");
    }
    assertThat(app.unseen()).isOne();
    assertThat(primaryApp.unseen()).isZero();
  }

  @Test
  void aCircleThatStaysIsRefused() throws Exception {
    proxy(p -> p.redirectTimeout = Duration.ofMillis(100));
    primaryProxy = new TestProxy(primaryApp).start();
    primaryProxy.primary.other("a", proxy.port());
    proxy.primary.other("b", primaryProxy.port());
    try (RawClient client = proxy.client()) {
      assertThat(client.post("/", "text").status()).isEqualTo(508);
    }
    assertThat(app.unseen() + primaryApp.unseen()).isZero();
  }

  @Test
  void aTargetThatIsTheProxyItselfIsNoticed() throws Exception {
    int port = deadPort();
    TestProxy circle = new TestProxy(new Endpoint("127.0.0.1", port));
    circle.primary.self();
    circle.listenPort = port;
    try (circle;
        RawClient client = circle.start().client()) {
      assertThat(client.get("/").status()).isEqualTo(508);
    }
  }

  @Test
  void heldRequestsAreAnsweredWhenTheProxyStops() throws Exception {
    proxy(p -> {});
    try (RawClient client = proxy.client()) {
      client.send(RawClient.request("POST", "/", "Content-Length: 4") + "text");
      CompletableFuture<HttpText> answer = later(client);
      proxy.primary.awaitWaiter();
      proxy.close();
      assertThat(get(answer).status()).isEqualTo(503);
    }
    assertThat(app.unseen()).isZero();
  }

  static int deadPort() throws IOException {
    try (TestApp gone = TestApp.echo()) {
      return gone.port();
    }
  }
}
