package io.litefs.daemon.demo;

import io.litefs.daemon.client.CommandException;
import io.litefs.daemon.client.ExitCode;
import io.litefs.daemon.client.Terminal;
import io.litefs.daemon.exec.ForwardedSignal;
import java.io.IOException;
import java.io.PrintStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;

/** A primary and a replica on this machine, from start to clean-up. */
public final class Demo {

  private static final int FIRST_PORT = 20202;

  private final Path shown;
  private final DemoDirectory directory;
  private final boolean check;
  private final boolean yes;
  private final PrintStream out;
  private final PrintStream err;

  /** Completes with the exit code when the user, or a node's end, ends the demonstration. */
  private final CompletableFuture<Integer> end = new CompletableFuture<>();

  /**
   * @param dir where the mounts go; made, and removed in the end
   * @param check whether to check replication and end, instead of waiting for the user
   * @param yes whether missing packages may be installed without asking
   */
  public Demo(Path dir, boolean check, boolean yes, PrintStream out, PrintStream err) {
    this.shown = dir;
    this.directory = new DemoDirectory(dir);
    this.check = check;
    this.yes = yes;
    this.out = out;
    this.err = err;
  }

  /** Runs to the end; returns the exit code. */
  public int run() throws CommandException, InterruptedException {
    new FusePackages(out, yes, Terminal.isInput()).ensure();
    JavaCommand litefs = JavaCommand.own();
    directory.create();
    ForwardedSignal.handleAll(
        signal -> {
          if (signal.stops()) {
            end.complete(check ? ExitCode.FAILURE : ExitCode.OK);
          }
        });
    int[] ports = freePorts();
    DemoNode primary =
        new DemoNode("primary", directory.mountPoint("primary"), directory.work(), ports[0]);
    DemoNode replica =
        new DemoNode("replica", directory.mountPoint("replica"), directory.work(), ports[1]);
    try {
      primary.start(litefs, primary.url());
      replica.start(litefs, primary.url());
      Thread thread = new Thread(() -> serve(primary, replica), "demo");
      thread.setDaemon(true);
      thread.start();
      return end.get();
    } catch (ExecutionException e) {
      if (e.getCause() instanceof CommandException failed) {
        throw failed;
      }
      throw new IllegalStateException(e.getCause());
    } finally {
      stop(List.of(replica, primary));
    }
  }

  private void serve(DemoNode primary, DemoNode replica) {
    try {
      primary.awaitRole();
      replica.awaitRole();
      if (check) {
        end.complete(new DemoCheck(primary, replica, out).run() ? ExitCode.OK : ExitCode.FAILURE);
      } else {
        explain(primary, replica);
        CompletableFuture.anyOf(primary.process().onExit(), replica.process().onExit()).join();
        end.completeExceptionally(
            new CommandException(
                "a node of the demonstration has ended; see the last lines of "
                    + directory.work()
                    + "/*.log"));
      }
    } catch (CommandException | InterruptedException | RuntimeException e) {
      end.completeExceptionally(e);
    }
  }

  private void explain(DemoNode primary, DemoNode replica) {
    out.printf(
        """
        A primary and a replica run on this machine:

          primary  %2$s/primary   API %3$s
          replica  %2$s/replica   API %4$s

        Try in another terminal, with any program that uses SQLite:

          sqlite3 %2$s/primary/app.db "CREATE TABLE t (x); INSERT INTO t VALUES ('hello')"
          sqlite3 %2$s/replica/app.db "SELECT * FROM t"
          cat %2$s/*/app.db-pos
          curl %4$s/events
          curl %3$s/metrics

        Look at them in a browser:

          %3$s/litefs/status
          %4$s/litefs/status

        Logs: %1$s/*.log
        Ctrl-C stops both, unmounts, and removes %2$s with all its data.
        """,
        directory.work(), shown, primary.url(), replica.url());
    out.flush();
  }

  private void stop(List<DemoNode> nodes) throws InterruptedException {
    nodes.forEach(DemoNode::requestStop);
    for (DemoNode node : nodes) {
      node.awaitStop();
    }
    try {
      directory.remove();
    } catch (IOException e) {
      err.println(
          "litefs: cannot remove "
              + shown
              + ": "
              + e.getMessage()
              + "; unmount what is mounted there, and remove it yourself");
    }
  }

  /**
   * Two ports that are free now: the usual one and the next, so that the other commands find the
   * primary, if they can be had.
   */
  private static int[] freePorts() throws CommandException {
    int[] ports = new int[2];
    try (ServerSocket first = freePort(FIRST_PORT);
        ServerSocket second = freePort(FIRST_PORT + 1)) {
      ports[0] = first.getLocalPort();
      ports[1] = second.getLocalPort();
      return ports;
    } catch (IOException e) {
      throw new CommandException(
          "there is no free port on the loopback interface: " + e.getMessage(), e);
    }
  }

  private static ServerSocket freePort(int wish) throws IOException {
    ServerSocket socket = new ServerSocket();
    InetAddress loopback = InetAddress.getByName("127.0.0.1");
    try {
      socket.bind(new InetSocketAddress(loopback, wish));
    } catch (IOException taken) {
      socket.close();
      socket = new ServerSocket();
      socket.bind(new InetSocketAddress(loopback, 0));
    }
    return socket;
  }
}
