package io.litefs.config;

import java.io.IOException;
import java.io.StringReader;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.nio.charset.CharacterCodingException;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.yaml.snakeyaml.LoaderOptions;
import org.yaml.snakeyaml.Yaml;
import org.yaml.snakeyaml.constructor.SafeConstructor;
import org.yaml.snakeyaml.error.MarkedYAMLException;
import org.yaml.snakeyaml.error.YAMLException;
import org.yaml.snakeyaml.nodes.Node;
import org.yaml.snakeyaml.reader.ReaderException;

/** Finds and reads {@code litefs.yml}. Thread-safe. */
public final class ConfigLoader {
  private static final String FILE_NAME = "litefs.yml";

  private ConfigLoader() {}

  /**
   * Reads a file.
   *
   * @param expandEnv whether variables are replaced before the text is parsed
   * @param env the variables
   * @throws ConfigException if it cannot be read or anything in it is wrong
   */
  public static LitefsConfig load(Path file, boolean expandEnv, Map<String, String> env)
      throws ConfigException {
    return parse(read(file), file.toString(), expandEnv, env);
  }

  /**
   * Where the configuration is, if no file is named: {@code litefs.yml} in the working directory,
   * in the home directory ({@code HOME} of {@code env}), in {@code /etc}; the first that exists.
   */
  public static Optional<Path> search(Map<String, String> env) {
    List<Path> directories = new ArrayList<>();
    directories.add(Path.of(""));
    String home = env.getOrDefault("HOME", "");
    if (!home.isEmpty()) {
      directories.add(Path.of(home));
    }
    directories.add(Path.of("/etc"));
    return firstIn(directories);
  }

  static Optional<Path> firstIn(List<Path> directories) {
    return directories.stream()
        .map(directory -> directory.resolve(FILE_NAME))
        .filter(Files::exists)
        .findFirst();
  }

  /** As {@link #load}; {@code name} stands for the file in messages. */
  static LitefsConfig parse(String text, String name, boolean expandEnv, Map<String, String> env)
      throws ConfigException {
    Problems problems = new Problems(name);
    String yaml = text;
    if (expandEnv) {
      EnvExpander.Expanded expanded = new EnvExpander(env, problems).expand(text);
      problems.throwIfAny();
      problems.setSourceLines(expanded.sourceLines());
      yaml = expanded.text();
    }
    Node root = compose(yaml, problems);
    LitefsConfig config = new ConfigReader(problems, ConfigLoader::machineName).read(root);
    problems.throwIfAny();
    return config;
  }

  static LitefsConfig defaults() {
    return new ConfigReader(new Problems(FILE_NAME), ConfigLoader::machineName).read(null);
  }

  /** The node tree, or null for an empty document. */
  static Node compose(String yaml, Problems problems) throws ConfigException {
    try {
      return new Yaml(new SafeConstructor(new LoaderOptions())).compose(new StringReader(yaml));
    } catch (MarkedYAMLException e) {
      int line = e.getProblemMark() != null ? e.getProblemMark().getLine() : 0;
      problems.add(line, "", "is not valid YAML: " + oneLine(e.getProblem()));
    } catch (ReaderException e) {
      long line = yaml.codePoints().limit(e.getPosition()).filter(c -> c == '\n').count();
      problems.add(
          (int) line,
          "",
          String.format("has the character U+%04X, which YAML forbids", e.getCodePoint()));
    } catch (YAMLException e) {
      problems.add(0, "", "is not valid YAML: " + oneLine(e.getMessage()));
    }
    problems.throwIfAny();
    throw new AssertionError("unreachable: a problem was added");
  }

  private static String read(Path file) throws ConfigException {
    try {
      return Files.readString(file);
    } catch (NoSuchFileException e) {
      throw new ConfigException(file + ": there is no such configuration file", e);
    } catch (AccessDeniedException e) {
      throw new ConfigException(file + ": may not be read by this user", e);
    } catch (CharacterCodingException e) {
      throw new ConfigException(file + ": is not UTF-8 text", e);
    } catch (IOException e) {
      throw new ConfigException(file + ": cannot be read: " + e.getMessage(), e);
    }
  }

  private static String oneLine(String text) {
    return text == null ? "unknown reason" : text.strip().replaceAll("\\s*\\R\\s*", " ");
  }

  /** What {@code hostname} prints; without asking a name server, which may take seconds. */
  private static String machineName() {
    try {
      return Files.readString(Path.of("/proc/sys/kernel/hostname")).strip();
    } catch (IOException noProc) {
      try {
        return InetAddress.getLocalHost().getHostName();
      } catch (IOException e) {
        throw new UncheckedIOException("this machine has no name; set lease.hostname", e);
      }
    }
  }
}
