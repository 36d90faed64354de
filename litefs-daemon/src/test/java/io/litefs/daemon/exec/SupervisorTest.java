package io.litefs.daemon.exec;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(60)
class SupervisorTest {

  @TempDir Path dir;

  private static List<String> shell(String script) {
    // Signals as by default: a shell cannot trap what its parents ignored (nohup, background jobs).
    return List.of("env", "--default-signal", "sh", "-c", script);
  }

  @SafeVarargs
  private static int run(List<String>... commands) throws InterruptedException {
    return new Supervisor(List.of(commands)).run();
  }

  @Test
  void theExitCodeIsThatOfTheLastCommand() throws Exception {
    assertThat(run(shell("exit 0"))).isZero();
    assertThat(run(shell("exit 0"), shell("exit 42"))).isEqualTo(42);
  }

  @Test
  void commandsRunInOrderAndNoneAfterAFailure() throws Exception {
    Path log = dir.resolve("log");
    assertThat(
            run(
                shell("echo 1 >> " + log),
                shell("echo 2 >> " + log),
                shell("exit 3"),
                shell("echo 4 >> " + log)))
        .isEqualTo(3);
    assertThat(log).hasContent("1\n2");
  }

  @Test
  void aSignalThatEndsTheCommandShowsInTheExitCode() throws Exception {
    assertThat(run(shell("kill -9 $$"))).isEqualTo(128 + 9);
  }

  @Test
  void commandsThatCannotBeRunHaveTheShellsCodes() throws Exception {
    Path notExecutable = Files.writeString(dir.resolve("text"), "not a program");
    assertThat(run(List.of(dir.resolve("absent").toString()))).isEqualTo(Supervisor.NOT_FOUND);
    assertThat(run(List.of(notExecutable.toString()))).isEqualTo(Supervisor.CANNOT_RUN);
  }

  @Test
  void signalsReachTheCommand() throws Exception {
    for (ForwardedSignal signal : ForwardedSignal.values()) {
      Running running =
          start(
              shell(
                  "trap 'exit 7' "
                      + signal.name()
                      + "; "
                      + announce()
                      + "; while :; do sleep 0.05; done"));
      running.awaitAnnouncement();
      assertThat(running.supervisor.signal(signal)).isTrue();
      assertThat(running.exitCode()).as(signal.toString()).isEqualTo(7);
    }
  }

  @Test
  void aStoppingSignalKeepsFurtherCommandsFromStarting() throws Exception {
    Path log = dir.resolve("log");
    Running running =
        start(
            shell("trap 'exit 0' TERM; " + announce() + "; while :; do sleep 0.05; done"),
            shell("echo ran > " + log));
    running.awaitAnnouncement();
    running.supervisor.signal(ForwardedSignal.TERM);
    assertThat(running.exitCode()).isZero();
    assertThat(log).doesNotExist();
  }

  @Test
  void aSignalWithoutACommandIsNotTaken() throws Exception {
    Supervisor supervisor = new Supervisor(List.of(shell("exit 0")));
    assertThat(supervisor.signal(ForwardedSignal.HUP)).isFalse();
    assertThat(supervisor.run()).isZero();
    assertThat(supervisor.signal(ForwardedSignal.HUP)).isFalse();
  }

  @Test
  void stopKillsACommandThatDoesNotEndByItself() throws Exception {
    Running running =
        start(shell("trap '' TERM; " + announce() + "; while :; do sleep 0.05; done"));
    running.awaitAnnouncement();
    running.supervisor.stop(Duration.ofMillis(100));
    assertThat(running.exitCode()).isEqualTo(128 + 9);
  }

  /** Shell: says that traps are set, which blocks until the test listens. */
  private String announce() throws IOException, InterruptedException {
    Path fifo = dir.resolve("fifo");
    if (!Files.exists(fifo)) {
      assertThat(new ProcessBuilder("mkfifo", fifo.toString()).start().waitFor()).isZero();
    }
    return "echo ready > " + fifo;
  }

  private record Running(Supervisor supervisor, CompletableFuture<Integer> end, Path fifo) {
    void awaitAnnouncement() throws IOException {
      assertThat(Files.readString(fifo)).isEqualTo("ready\n");
    }

    int exitCode() throws Exception {
      return end.get(30, TimeUnit.SECONDS);
    }
  }

  @SafeVarargs
  private Running start(List<String>... commands) {
    Supervisor supervisor = new Supervisor(List.of(commands));
    CompletableFuture<Integer> end =
        CompletableFuture.supplyAsync(
            () -> {
              try {
                return supervisor.run();
              } catch (InterruptedException e) {
                throw new IllegalStateException(e);
              }
            });
    return new Running(supervisor, end, dir.resolve("fifo"));
  }
}
