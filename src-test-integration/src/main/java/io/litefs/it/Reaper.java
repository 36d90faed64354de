package io.litefs.it;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.LinkedHashSet;
import java.util.Set;

/**
 * Cleans up behind a test run that ends in any way, SIGKILL included: a shell whose standard input
 * is a pipe from this JVM learns of the end by the end of the pipe, then kills the processes and
 * unmounts the directories that were not taken back before.
 */
public final class Reaper {

  private static final String SCRIPT =
      """
      trap '' INT TERM HUP
      pids= mounts= trees=
      while read -r what value; do
        case $what in
          pid) pids="$pids $value" ;;
          mount) mounts="$mounts $value" ;;
          tree) trees="$trees $value" ;;
          gone) new=; for x in $pids; do [ "$x" = "$value" ] || new="$new $x"; done; pids=$new
                new=; for x in $mounts; do [ "$x" = "$value" ] || new="$new $x"; done; mounts=$new
                new=; for x in $trees; do [ "$x" = "$value" ] || new="$new $x"; done; trees=$new ;;
        esac
      done
      for x in $pids; do kill -9 "$x" 2>/dev/null; done
      for x in $mounts; do umount -l "$x" 2>/dev/null; done
      for x in $trees; do rm -rf "$x"; done
      """;

  private static Reaper instance;

  private final Writer commands;
  private final Set<String> registered = new LinkedHashSet<>();

  private Reaper() throws IOException {
    Process shell =
        new ProcessBuilder("sh", "-c", SCRIPT)
            .redirectOutput(ProcessBuilder.Redirect.DISCARD)
            .redirectError(ProcessBuilder.Redirect.DISCARD)
            .start();
    commands = shell.outputWriter(StandardCharsets.UTF_8);
  }

  private static synchronized Reaper instance() {
    if (instance == null) {
      try {
        instance = new Reaper();
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
    return instance;
  }

  public static void process(long pid) {
    instance().say("pid", Long.toString(pid));
  }

  public static void mount(Path dir) {
    instance().say("mount", dir.toString());
  }

  /** A directory tree to remove; not one that holds a live mount. */
  public static void tree(Path dir) {
    instance().say("tree", dir.toString());
  }

  public static void processGone(long pid) {
    instance().say("gone", Long.toString(pid));
  }

  public static void gone(Path dir) {
    instance().say("gone", dir.toString());
  }

  private synchronized void say(String what, String value) {
    boolean news = what.equals("gone") ? registered.remove(value) : registered.add(value);
    if (!news) {
      return;
    }
    try {
      commands.write(what + ' ' + value + '\n');
      commands.flush();
    } catch (IOException e) {
      throw new UncheckedIOException("the reaper is gone", e);
    }
  }
}
