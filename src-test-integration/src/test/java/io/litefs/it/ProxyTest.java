package io.litefs.it;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.WebSocket;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.Arrays;
import java.util.Random;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** The proxies of real nodes in front of a real application. */
class ProxyTest {

  private static final int PRIMARY = 0;
  private static final int REPLICA = 1;
  private static final long GIB = 1L << 30;
  private static final long MIB = 1L << 20;

  private static final HttpClient HTTP =
      HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();

  private static NotesCluster cluster;

  @BeforeAll
  static void start() {
    cluster =
        NotesCluster.start(
            2,
            config ->
                config
                    .set("proxy", "always-forward", "[\"/socket\"]")
                    .set("proxy", "max-lag", "3s"));
  }

  @AfterAll
  static void stop() {
    try (NotesCluster closed = cluster) {
      closed.stop();
    }
  }

  private static HttpResponse<String> send(HttpRequest.Builder request) throws Exception {
    return HTTP.send(
        request.timeout(Duration.ofSeconds(60)).build(), HttpResponse.BodyHandlers.ofString());
  }

  private static HttpRequest.Builder to(int node, String path) {
    return HttpRequest.newBuilder(cluster.proxy(node, path));
  }

  private static HttpRequest.BodyPublisher text(String text) {
    return HttpRequest.BodyPublishers.ofString(text);
  }

  @Test
  void aWriteThroughAReplicaCarriesTheTxidOfThePrimary() throws Exception {
    HttpResponse<String> written = send(to(REPLICA, "/notes").POST(text("by way of a replica")));
    assertThat(written.statusCode()).isEqualTo(201);
    long txid = cluster.primary().pos(NotesCluster.DATABASE).txid();
    assertThat(written.headers().firstValue("Set-Cookie"))
        .hasValue(String.format("__txid=%016x; Path=/; Max-Age=300; HttpOnly", txid));
    String mark = written.headers().firstValue("Litefs-Txid").orElseThrow();
    assertThat(mark).isEqualTo(String.format("notes.db=%016x", txid));
    HttpResponse<String> read =
        send(to(REPLICA, "/notes/" + written.body().strip()).header("Litefs-Txid", mark));
    assertThat(read.body()).isEqualTo("by way of a replica\n");
    assertThat(read.headers().firstValue("Set-Cookie")).isEmpty();
  }

  @Test
  void curlWritesAndReadsWithItsCookieJar() {
    String url = cluster.proxy(REPLICA, "/notes").toString();
    String jar = Commands.workDirectory("curl").resolve("jar").toString();
    String number =
        Commands.run("curl", "-sSf", "-c", jar, "-d", "by curl", url).orThrow().output().strip();
    assertThat(Commands.run("curl", "-sSf", "-b", jar, url + "/" + number).orThrow().output())
        .isEqualTo("by curl\n");
    assertThat(
            Commands.shell("curl -sSI '" + cluster.proxy(REPLICA, "/litefs/health") + "'")
                .orThrow()
                .output())
        .startsWith("HTTP/1.1 200 OK");
  }

  @Test
  void aTxidThatDoesNotComeIsAGatewayTimeout() throws Exception {
    HttpResponse<String> answer =
        send(to(REPLICA, "/notes").header("Cookie", "__txid=00000000000fffff"));
    assertThat(answer.statusCode()).isEqualTo(504);
    assertThat(answer.body()).contains("notes.db", "00000000000fffff");
  }

  @Test
  void thePrimarySaysWhereItsProxyIsAndAReplicaDoesNot() {
    assertThat(cluster.primary().http().get("/info").headers().firstValue("Litefs-Proxy-Url"))
        .hasValue(cluster.proxy(PRIMARY, "").toString());
    assertThat(
            cluster
                .nodes()
                .get(REPLICA)
                .http()
                .get("/info")
                .headers()
                .firstValue("Litefs-Proxy-Url"))
        .isEmpty();
  }

  @Test
  void aWebSocketWorksThroughAReplicaOnItsOwnNodeAndOnThePrimary() throws Exception {
    // always-forward: this one is answered by the primary's application.
    echo(cluster.proxy(REPLICA, "/socket"));
    // And this one by the application beside the proxy.
    echo(cluster.proxy(REPLICA, "/socket/here"));
  }

  private static void echo(URI url) throws Exception {
    LinkedBlockingQueue<byte[]> heard = new LinkedBlockingQueue<>();
    WebSocket socket =
        HTTP.newWebSocketBuilder()
            .buildAsync(
                URI.create(url.toString().replace("http:", "ws:")),
                new WebSocket.Listener() {
                  private final ByteArrayOutputStream message = new ByteArrayOutputStream();

                  @Override
                  public CompletionStage<?> onBinary(
                      WebSocket from, ByteBuffer data, boolean last) {
                    byte[] bytes = new byte[data.remaining()];
                    data.get(bytes);
                    message.writeBytes(bytes);
                    if (last) {
                      heard.add(message.toByteArray());
                      message.reset();
                    }
                    from.request(1);
                    return null;
                  }
                })
            .get(20, TimeUnit.SECONDS);
    Random random = new Random(1);
    for (int i = 0; i < 200; i++) {
      byte[] said = new byte[1 + random.nextInt(3000)];
      random.nextBytes(said);
      socket.sendBinary(ByteBuffer.wrap(said), true).get(20, TimeUnit.SECONDS);
      assertThat(Arrays.equals(heard.poll(20, TimeUnit.SECONDS), said)).isTrue();
    }
    socket.sendClose(WebSocket.NORMAL_CLOSURE, "").get(20, TimeUnit.SECONDS);
  }

  /** The page's script writes a note, reads it, gets an event and an echo, and then tells so. */
  @Test
  void aBrowserWorksThroughAReplica() throws Exception {
    assertThat(Commands.installed("chromium")).as("chromium is installed").isTrue();
    Process browser =
        new ProcessBuilder(
                "chromium",
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--remote-debugging-port=0", // or it ends at once
                "--user-data-dir=" + Commands.workDirectory("chromium"),
                cluster.proxy(REPLICA, "/#by%20a%20browser").toString())
            .redirectErrorStream(true)
            .redirectOutput(ProcessBuilder.Redirect.DISCARD)
            .start();
    Reaper.process(browser.pid());
    try {
      Await.until(
          "the browser has told what it saw",
          () ->
              send(to(PRIMARY, "/notes"))
                  .body()
                  .contains("read 'by a browser', got an event, the socket works"));
    } finally {
      browser.descendants().forEach(ProcessHandle::destroyForcibly);
      browser.destroyForcibly().waitFor();
      Reaper.processGone(browser.pid());
    }
  }

  @Test
  void anEventStreamShowsEachNoteAsItIsWritten() throws Exception {
    HttpResponse<InputStream> stream =
        HTTP.send(to(REPLICA, "/events").build(), HttpResponse.BodyHandlers.ofInputStream());
    try (BufferedReader events = new BufferedReader(new InputStreamReader(stream.body()))) {
      long count = event(events);
      for (int i = 0; i < 20; i++) {
        assertThat(send(to(REPLICA, "/notes").POST(text("an event"))).statusCode()).isEqualTo(201);
        assertThat(event(events)).isEqualTo(++count);
      }
    }
  }

  private static long event(BufferedReader events) throws Exception {
    String data = events.readLine();
    assertThat(events.readLine()).isEmpty();
    return Long.parseLong(data.substring("data: ".length()));
  }

  @Test
  void aGigabyteUpAndDownLeavesTheDaemonsMemoryFlat() {
    Node replica = cluster.nodes().get(REPLICA);
    // Through both proxies: a write on a replica.
    String up = cluster.proxy(REPLICA, "/bytes").toString();
    String down = cluster.proxy(REPLICA, "/bytes/").toString();
    // The first one lets the heap grow to what it needs.
    upload(up, GIB);
    download(down, GIB);
    long[] before = {cluster.primary().residentBytes(), replica.residentBytes()};
    upload(up, GIB);
    download(down, GIB);
    long[] after = {cluster.primary().residentBytes(), replica.residentBytes()};
    for (int i = 0; i < 2; i++) {
      System.out.printf(
          "resident after 1 GiB up and down, node %d: %d MiB, before %d MiB%n",
          i, after[i] / MIB, before[i] / MIB);
      assertThat(after[i]).isLessThan(before[i] + 32 * MIB);
    }
  }

  private static void upload(String url, long bytes) {
    // -T sends a Content-Length, and waits for 100 Continue before it begins.
    String said =
        Commands.shell(
                "f=$(mktemp) && truncate -s "
                    + bytes
                    + " $f && curl -sSf -X POST -T $f '"
                    + url
                    + "'; s=$?; rm $f; exit $s")
            .orThrow()
            .output();
    assertThat(said).isEqualTo(bytes + "\n");
  }

  private static void download(String url, long bytes) {
    assertThat(Commands.shell("curl -sSf '" + url + bytes + "' | wc -c").orThrow().output().strip())
        .isEqualTo(Long.toString(bytes));
  }
}
