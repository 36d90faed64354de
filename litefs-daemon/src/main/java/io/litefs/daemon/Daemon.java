package io.litefs.daemon;

import io.litefs.config.LitefsConfig;
import io.litefs.daemon.client.CommandException;
import io.litefs.daemon.client.ExitCode;
import io.litefs.daemon.exec.ForwardedSignal;
import io.litefs.daemon.exec.Supervisor;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The life of the process: starts the node, runs the application once the node is fit for it, and
 * ends with the application or by a signal, in either case with the mount taken away.
 */
final class Daemon {

  private static final Logger log = LoggerFactory.getLogger(Daemon.class);

  /** What the application gets to end in, if it is the daemon that ends. */
  private static final Duration STOP_GRACE = Duration.ofSeconds(10);

  private final Node node;
  private final LitefsConfig config;
  private final List<List<String>> commands;
  private final Supervisor supervisor;

  /** The process's exit code, once it is to end. */
  private final CompletableFuture<Integer> end = new CompletableFuture<>();

  Daemon(Node node, LitefsConfig config, List<List<String>> commands) {
    this.node = node;
    this.config = config;
    this.commands = commands;
    this.supervisor = new Supervisor(commands);
  }

  /** Runs to the end; returns the exit code. */
  int run() throws CommandException, InterruptedException {
    ForwardedSignal.handleAll(this::signalled);
    try {
      start();
      return end.get();
    } catch (ExecutionException e) {
      throw new IllegalStateException("an exit code cannot fail", e);
    } finally {
      end.complete(ExitCode.FAILURE);
      supervisor.stop(STOP_GRACE);
      node.close();
    }
  }

  private void start() throws CommandException, InterruptedException {
    try {
      node.start();
      node.unmounted().thenRun(this::unmounted);
      awaitReady();
    } catch (CommandException e) {
      if (config.exitOnError()) {
        throw e;
      }
      log.error("{}; staying up because exit-on-error is false", e.getMessage());
      node.answerNevertheless();
      return;
    }
    if (!commands.isEmpty() && !end.isDone()) {
      Thread thread = new Thread(this::supervise, "litefs-exec");
      thread.setDaemon(true);
      thread.start();
    }
  }

  /** Returns once the application may start, or the process is to end. */
  private void awaitReady() throws CommandException, InterruptedException {
    if (commands.isEmpty() || config.skipSync()) {
      return;
    }
    CompletableFuture<Void> ready = node.ready();
    if (!ready.isDone()) {
      log.info("'{}' starts once this node is primary or in sync", commands.get(0).get(0));
    }
    try {
      CompletableFuture.anyOf(ready, end).get();
    } catch (ExecutionException e) {
      throw new CommandException(
          "this node can take no role: " + e.getCause().getMessage(), e.getCause());
    }
  }

  private void supervise() {
    try {
      int exitCode = supervisor.run();
      if (exitCode != 0 && !config.exitOnError()) {
        log.error("exit code {}: staying up because exit-on-error is false", exitCode);
      } else {
        end.complete(exitCode);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      end.complete(ExitCode.FAILURE);
    }
  }

  /** Without its mount the daemon is of no use, and only a new start makes one. */
  private void unmounted() {
    if (end.complete(ExitCode.FAILURE)) {
      log.error("{} was unmounted by somebody else; stopping", config.fuse().dir());
    }
  }

  private void signalled(ForwardedSignal signal) {
    if (supervisor.signal(signal)) {
      log.info("passed {} on", signal);
    } else if (signal.stops()) {
      log.info("{}: stopping", signal);
      end.complete(ExitCode.OK);
    }
  }
}
