package io.litefs.proxy;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import java.io.BufferedInputStream;
import java.io.Closeable;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

/** An application that answers with bytes as the test says. A thread per connection. */
final class TestApp implements Closeable {

  /** What it does with one request; returns whether the connection stays. */
  @FunctionalInterface
  interface Behaviour {
    boolean serve(HttpText request, Connection connection) throws IOException;
  }

  /** One connection of a proxy. */
  record Connection(Socket socket, InputStream in, int number) {

    void send(String text) throws IOException {
      socket.getOutputStream().write(text.getBytes(ISO_8859_1));
    }
  }

  private final ServerSocket listener;
  private final Set<Socket> sockets = ConcurrentHashMap.newKeySet();
  private final AtomicInteger connections = new AtomicInteger();
  private final BlockingQueue<HttpText> requests = new LinkedBlockingQueue<>();
  private final boolean readsBodies;
  private volatile Behaviour behaviour;

  private TestApp(int port, boolean readsBodies, Behaviour behaviour) throws IOException {
    this.readsBodies = readsBodies;
    this.behaviour = behaviour;
    listener = new ServerSocket(port, 100, InetAddress.getLoopbackAddress());
    Thread thread = new Thread(this::accept, "test-app");
    thread.setDaemon(true);
    thread.start();
  }

  /** Answers each request with its start line. */
  static TestApp echo() throws IOException {
    return echo(0);
  }

  static TestApp echo(int port) throws IOException {
    return new TestApp(
        port,
        true,
        (request, connection) -> {
          connection.send(ok(request.startLine() + "|" + request.body()));
          return true;
        });
  }

  static TestApp with(Behaviour behaviour) throws IOException {
    return new TestApp(0, true, behaviour);
  }

  /** As {@link #with}, but the behaviour reads the body itself. */
  static TestApp streaming(Behaviour behaviour) throws IOException {
    return new TestApp(0, false, behaviour);
  }

  static String ok(String body) {
    return "HTTP/1.1 200 OK\r\nContent-Length: " + body.length() + "\r\n\r\n" + body;
  }

  int port() {
    return listener.getLocalPort();
  }

  Endpoint endpoint() {
    return new Endpoint("127.0.0.1", port());
  }

  void behave(Behaviour next) {
    behaviour = next;
  }

  /** Connections taken so far. */
  int connections() {
    return connections.get();
  }

  /** Connections that are open now. */
  int open() {
    return sockets.size();
  }

  /** The next request that came. */
  HttpText received() throws InterruptedException {
    HttpText request = requests.poll(20, TimeUnit.SECONDS);
    if (request == null) {
      throw new AssertionError("the application got no request");
    }
    return request;
  }

  /** How many requests came that no test has looked at. */
  int unseen() {
    return requests.size();
  }

  private void accept() {
    try {
      while (true) {
        Socket socket = listener.accept();
        socket.setTcpNoDelay(true);
        sockets.add(socket);
        Thread thread = new Thread(() -> serve(socket), "test-app-connection");
        thread.setDaemon(true);
        thread.start();
      }
    } catch (IOException e) {
      // Only close() ends it.
    }
  }

  private void serve(Socket socket) {
    int number = connections.incrementAndGet();
    try (socket) {
      InputStream in = new BufferedInputStream(socket.getInputStream(), 65536);
      Connection connection = new Connection(socket, in, number);
      boolean stays = true;
      while (stays) {
        HttpText request = readsBodies ? HttpText.read(in, false, false) : HttpText.readHead(in);
        if (request == null) {
          return;
        }
        requests.add(request);
        stays = behaviour.serve(request, connection);
      }
    } catch (IOException e) {
      // The proxy has gone; tests look at what it said to its client.
    } finally {
      sockets.remove(socket);
    }
  }

  @Override
  public void close() throws IOException {
    listener.close();
    for (Socket socket : sockets) {
      socket.close();
    }
  }
}
