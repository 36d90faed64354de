package io.litefs.daemon;

import io.litefs.config.ConfigException;
import io.litefs.config.ConfigLoader;
import io.litefs.config.LitefsConfig;
import io.litefs.daemon.client.CommandException;
import io.litefs.daemon.client.ExitCode;
import io.litefs.daemon.exec.ShellWords;
import io.litefs.fuse.Keepers;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.function.Supplier;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code litefs mount}: the daemon. */
@Command(
    name = "mount",
    description = {
      "Mounts the directory and serves it until it is told to stop (SIGTERM, SIGINT) or the command after '--' ends.",
      "",
      "With DIR and no -config, no file is read: this node is the primary, its data lies beside DIR in DIR.litefs. "
          + "Otherwise the configuration is -config's, or the first litefs.yml in the working directory, the home directory and /etc."
    },
    customSynopsis = {
      "litefs mount [OPTIONS] [-- CMD ARG...]",
      "   or: litefs mount [OPTIONS] DIR [-- CMD ARG...]"
    },
    footer = {
      "",
      "CMD is run once this node is primary or in sync with it, and replaces the configuration's 'exec'. SIGHUP, SIGINT, SIGTERM, "
          + "SIGUSR1 and SIGUSR2 are passed on to it; SIGQUIT prints the daemon's threads."
    },
    exitCodeListHeading = "%nExit codes:%n",
    exitCodeList = {
      "0:stopped by a signal, and unmounted",
      ExitCode.HELP_FAILURE,
      ExitCode.HELP_USAGE,
      "CMD's:if there is a CMD; 128 and the signal's number if a signal ended it, 126 if it cannot be run, 127 if it is not found"
    })
final class MountCommand implements Callable<Integer> {

  @Mixin CommonOptions common;

  @Option(
      names = {"-config", "--config"},
      paramLabel = "FILE",
      description = "The configuration.")
  Path config;

  @Option(
      names = {"-no-expand-env", "--no-expand-env"},
      arity = "0..1",
      fallbackValue = "true",
      hideParamSyntax = true,
      description = "Leave $VAR and $${VAR} in the configuration as they are.")
  boolean noExpandEnv;

  @Option(
      names = {"-skip-unmount", "--skip-unmount"},
      arity = "0..1",
      fallbackValue = "true",
      hideParamSyntax = true,
      description =
          "Leave a dead mount of an earlier daemon alone instead of removing it at start.")
  boolean skipUnmount;

  @Option(
      names = {"-fuse.debug", "--fuse.debug"},
      arity = "0..1",
      fallbackValue = "true",
      hideParamSyntax = true,
      description = "Log every request to the mount.")
  boolean fuseDebug;

  @Option(
      names = {"-tracing", "--tracing"},
      arity = "0..1",
      fallbackValue = "true",
      hideParamSyntax = true,
      description = "Write the trace log to standard output.")
  boolean tracing;

  @Parameters(
      arity = "0..1",
      paramLabel = "DIR",
      description = "Where to mount; overrides fuse.dir.")
  Path dir;

  private final Supplier<Keepers> keepers;
  private final boolean separator;
  private final List<String> command;

  MountCommand(Supplier<Keepers> keepers, boolean separator, List<String> command) {
    this.keepers = keepers;
    this.separator = separator;
    this.command = command;
  }

  @Override
  public Integer call() throws CommandException, InterruptedException {
    LitefsConfig loaded = load(System.getenv());
    Unavailable.refuse(loaded);
    List<List<String>> commands = commands(loaded);
    // The keepers come before all else that has a descriptor.
    try (Keepers made = keepers.get()) {
      Logs.configure(loaded.log());
      if (loaded.tracing().active()) {
        Logs.trace(loaded.tracing(), loaded.fuse().debug());
      }
      return new Daemon(new Node(loaded, made, skipUnmount), loaded, commands).run();
    }
  }

  LitefsConfig load(Map<String, String> env) throws CommandException {
    LitefsConfig loaded = dir != null && config == null ? defaults() : fromFile(env);
    if (dir != null) {
      loaded = loaded.withFuse(loaded.fuse().withDir(dir.toAbsolutePath().normalize()));
    }
    if (fuseDebug || tracing) {
      loaded = loaded.withFuse(loaded.fuse().withDebug(true));
    }
    return common.debug ? loaded.withLog(loaded.log().withDebug(true)) : loaded;
  }

  private LitefsConfig defaults() throws CommandException {
    try {
      return LitefsConfig.defaultsFor(dir);
    } catch (IllegalArgumentException e) {
      throw CommandException.usage("cannot mount on " + dir + ": " + e.getMessage(), e);
    }
  }

  private LitefsConfig fromFile(Map<String, String> env) throws CommandException {
    Optional<Path> file = config == null ? ConfigLoader.search(env) : Optional.of(config);
    if (file.isEmpty()) {
      throw CommandException.usage(
          "no configuration: there is no litefs.yml here, in the home directory or in /etc; name one with -config, or name a "
              + "directory to mount",
          null);
    }
    try {
      return ConfigLoader.load(file.get(), !noExpandEnv, env);
    } catch (ConfigException e) {
      throw CommandException.usage(e.getMessage(), e);
    }
  }

  /**
   * What to run on this node: the words after {@code --}, else the configuration's {@code exec}.
   */
  List<List<String>> commands(LitefsConfig loaded) throws CommandException {
    if (separator) {
      if (command.isEmpty()) {
        throw CommandException.usage(
            "there is no command after '--'; see 'litefs mount --help'", null);
      }
      return List.of(command);
    }
    List<List<String>> commands = new ArrayList<>();
    for (var exec : loaded.exec()) {
      if (exec.ifCandidate() && !loaded.lease().candidate()) {
        continue;
      }
      try {
        commands.add(ShellWords.split(exec.cmd()));
      } catch (IllegalArgumentException e) {
        throw CommandException.usage("exec '" + exec.cmd() + "': " + e.getMessage(), e);
      }
      if (commands.get(commands.size() - 1).isEmpty()) {
        throw CommandException.usage("exec '" + exec.cmd() + "': names no command", null);
      }
    }
    return commands;
  }
}
