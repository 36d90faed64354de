package io.litefs.lease;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/**
 * A real Consul, one server with its data on disk: it can be stopped, paused, and started again.
 * Its minimum for the time to live of sessions is one second.
 */
public final class ConsulAgent implements AutoCloseable {

  private static final Duration LIMIT = Duration.ofSeconds(60);
  private static final int PORTS = 4;

  private final Path dir;
  private final String address;
  private final int[] ports;
  private final List<String> around;
  private final HttpClient http = HttpClient.newHttpClient();
  private Process process;

  private ConsulAgent(Path dir, String address, List<String> around, String more) {
    this.dir = dir;
    this.address = address;
    this.around = List.copyOf(around);
    this.ports = freePorts();
    try {
      Files.writeString(
          dir.resolve("consul.json"),
          """
          {"session_ttl_min": "1s", "server": true, "bootstrap_expect": 1, "data_dir": "%s",
           "node_name": "agent", "performance": {"raft_multiplier": 1}, "disable_update_check": true,
           "leave_on_terminate": false, "bind_addr": "%s", "client_addr": "%s", %s
           "ports": {"http": %d, "server": %d, "serf_lan": %d, "serf_wan": %d, "dns": -1, "grpc": -1}}
          """
              .formatted(
                  dir.resolve("data"),
                  address,
                  address,
                  more,
                  ports[0],
                  ports[1],
                  ports[2],
                  ports[3]));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Starts Consul and waits until it has a leader. */
  public static ConsulAgent started() {
    return started("127.0.0.1", List.of(), "");
  }

  /** With access control: nothing is allowed without the token {@code master}. */
  public static ConsulAgent startedWithTokens() {
    return started(
        "127.0.0.1",
        List.of(),
        "\"acl\": {\"enabled\": true, \"default_policy\": \"deny\", \"tokens\": {\"master\": \"master\"}},");
  }

  /**
   * @param address to listen on
   * @param around command to run it with, as {@code ip netns exec NAME}
   */
  public static ConsulAgent started(String address, List<String> around, String more) {
    try {
      ConsulAgent agent =
          new ConsulAgent(Files.createTempDirectory("consul-"), address, around, more);
      try {
        agent.start();
        return agent;
      } catch (RuntimeException | Error e) {
        agent.close();
        throw e;
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static int[] freePorts() {
    int[] ports = new int[PORTS];
    List<ServerSocket> sockets = new ArrayList<>();
    try {
      for (int i = 0; i < PORTS; i++) {
        sockets.add(new ServerSocket(0, 1, InetAddress.getLoopbackAddress()));
        ports[i] = sockets.get(i).getLocalPort();
      }
      for (ServerSocket socket : sockets) {
        socket.close();
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return ports;
  }

  /** The executable; fetched if the machine has none. A machine without it fails the tests. */
  public static String executable() throws IOException, InterruptedException {
    for (Path at = Path.of("").toAbsolutePath(); at != null; at = at.getParent()) {
      Path script = at.resolve("lease/src/test/sh/fetch-consul");
      if (Files.isExecutable(script)) {
        Process fetch = new ProcessBuilder(script.toString()).start();
        String path = new String(fetch.getInputStream().readAllBytes()).strip();
        String error = new String(fetch.getErrorStream().readAllBytes()).strip();
        if (fetch.waitFor() != 0) {
          throw new AssertionError(error);
        }
        return path;
      }
    }
    throw new AssertionError(
        "no lease/src/test/sh/fetch-consul above " + Path.of("").toAbsolutePath());
  }

  public URI url() {
    return URI.create("http://" + address + ":" + ports[0]);
  }

  public void start() {
    try {
      List<String> command = new ArrayList<>(around);
      command.addAll(
          List.of(executable(), "agent", "-config-file", dir.resolve("consul.json").toString()));
      process =
          new ProcessBuilder(command)
              .redirectErrorStream(true)
              .redirectOutput(ProcessBuilder.Redirect.appendTo(dir.resolve("consul.log").toFile()))
              .start();
      // However these tests end, Consul must not outlive them.
      Process started = process;
      Runtime.getRuntime().addShutdownHook(new Thread(started::destroyForcibly));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new AssertionError(e);
    }
    awaitLeader();
  }

  private void awaitLeader() {
    long deadline = System.nanoTime() + LIMIT.toNanos();
    while (true) {
      // A write: a server that has just restarted knows a leader before it accepts one.
      if (status("PUT", "/v1/session/create", "{\"TTL\":\"10s\"}") == 200
          || status("PUT", "/v1/kv/up", "x") == 403) {
        return;
      }
      if (System.nanoTime() > deadline || !process.isAlive()) {
        throw new AssertionError("Consul does not come up; its log:\n" + log());
      }
    }
  }

  private int status(String method, String path, String body) {
    try {
      return request(method, path, body).statusCode();
    } catch (UncheckedIOException e) {
      return 0;
    }
  }

  private HttpResponse<String> request(String method, String path, String body) {
    try {
      return http.send(
          HttpRequest.newBuilder(url().resolve(path))
              .timeout(Duration.ofSeconds(5))
              .method(method, HttpRequest.BodyPublishers.ofString(body))
              .build(),
          HttpResponse.BodyHandlers.ofString());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new AssertionError(e);
    }
  }

  /** A call of Consul's HTTP API; the answer's body. */
  public String call(String method, String path, String body) {
    HttpResponse<String> response = request(method, path, body);
    if (response.statusCode() != 200 && response.statusCode() != 404) {
      throw new AssertionError(path + ": " + response.statusCode() + " " + response.body());
    }
    return response.body();
  }

  /** The value of a key; empty if there is none. */
  public String value(String key) {
    HttpResponse<String> response = request("GET", "/v1/kv/" + key + "?raw", "");
    return response.statusCode() == 200 ? response.body() : "";
  }

  /** SIGSTOP: it neither answers nor refuses. */
  public void pause() {
    signal("STOP");
  }

  public void resume() {
    signal("CONT");
  }

  private void signal(String name) {
    try {
      if (new ProcessBuilder("kill", "-" + name, Long.toString(process.pid())).start().waitFor()
          != 0) {
        throw new AssertionError("no process " + process.pid());
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new AssertionError(e);
    }
  }

  /** Ends it; what it knows is kept for the next {@link #start}. */
  public void stop() {
    process.destroyForcibly();
    try {
      if (!process.waitFor(10, TimeUnit.SECONDS)) {
        throw new AssertionError("Consul " + process.pid() + " does not end");
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new AssertionError(e);
    }
  }

  private String log() {
    try {
      return Files.readString(dir.resolve("consul.log"));
    } catch (IOException e) {
      return "(none: " + e.getMessage() + ")";
    }
  }

  @Override
  public void close() {
    if (process != null) {
      stop();
    }
    try (Stream<Path> files = Files.walk(dir)) {
      for (Path path : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.deleteIfExists(path);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
