package io.litefs.it;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.litefs.it.MarkdownPage.Block;
import io.litefs.lease.ConsulAgent;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Every command of the documentation is run as it stands there, page by page, each line on the
 * machine that the comment before its block names, or has a reason beside it why it is not.
 */
class DocsTest {

  private static final Path ROOT = Path.of(Node.launcher().get(0)).toAbsolutePath().getParent();

  private static final Pattern RUN =
      Pattern.compile(
          "run: ([a-z0-9-]+)(, fails)?(?:, except `([^`]+)`: (.+))?(?:, if `([^`]+)`)?");
  private static final Pattern NOT_RUN = Pattern.compile("not run: (.{10,})");
  private static final Pattern FILE = Pattern.compile("file: (\\S+) on ([a-z0-9, -]+)");
  private static final Pattern BEFORE = Pattern.compile("before: ([a-z0-9-]+): (.+)");
  private static final Pattern PRINTS = Pattern.compile("prints");

  /** Languages whose blocks are commands, or programs that commands run. */
  private static final Set<String> RUNNABLE =
      Set.of("sh", "bash", "shell", "console", "python", "js", "java", "ruby", "go", "sql");

  /** A command that a reader ends with Ctrl-C, or leaves running in a terminal of its own. */
  private record Endless(Pattern command, String shows, boolean isDaemon) {
    static Endless of(String command, String shows, boolean isDaemon) {
      return new Endless(Pattern.compile(command), shows, isDaemon);
    }
  }

  private static final List<Endless> ENDLESS =
      List.of(
          Endless.of("litefs mount( .*)?", "role: .* -> primary|in sync with primary", true),
          Endless.of("\\./litefs demo", "Ctrl-C stops both", true),
          Endless.of("curl .*/events", "\"init\"|data: [1-9]", false),
          Endless.of("litefs status -watch", "primary", false));

  /** What the readers of the documentation bring: an application, a database, a library. */
  private static final Map<String, String> BELONGINGS =
      Map.of(
          "myapp", "#!/bin/sh\ntrap 'exit 0' INT TERM\nsleep infinity &\nwait\n",
          "migrate", "#!/bin/sh\nsqlite3 \"$1\" 'CREATE TABLE migrated (x)'\n");

  /** Makes the class data archive, which several machines must not do at the same time. */
  @BeforeAll
  static void warmUp() {
    Node.litefs(Duration.ofMinutes(5), "version").orThrow();
  }

  @TestFactory
  Stream<DynamicTest> commandsDoWhatThePageSays() throws IOException {
    return pages().stream()
        .filter(page -> page.blocks().stream().anyMatch(block -> block.mark(RUN).isPresent()))
        .map(Reading::new)
        .flatMap(reading -> Stream.concat(Stream.of(reading.test()), reading.conditions()));
  }

  @Test
  void everyBlockIsRunOrSaysWhyNot() throws IOException {
    List<String> silent = new ArrayList<>();
    for (MarkdownPage page : pages()) {
      for (Block block : page.blocks()) {
        boolean marked =
            Stream.of(RUN, NOT_RUN, FILE).anyMatch(mark -> block.mark(mark).isPresent());
        if (RUNNABLE.contains(block.language()) && !marked) {
          silent.add(page.file() + ":" + block.line() + " " + block.mark().orElse("(no comment)"));
        }
      }
    }
    assertThat(silent).isEmpty();
  }

  /** Of each message, the words between the names and numbers, which are in capitals. */
  @ParameterizedTest
  @ValueSource(strings = {"docs/operations.md", "docs/cluster.md"})
  void messagesThatAreExplainedAreThoseOfTheProgram(String page) throws IOException {
    String sources = sources();
    String text = Files.readString(ROOT.resolve(page));
    text =
        text.substring(
            text.indexOf(
                page.endsWith("cluster.md") ? "## What the log says" : "### At the start"));
    List<String> unknown = new ArrayList<>();
    int messages = 0;
    Matcher row = Pattern.compile("(?m)^\\| (`.+?`) \\|").matcher(text);
    while (row.find()) {
      for (String message : row.group(1).split("`, `")) {
        List<String> words =
            Pattern.compile("\\b[A-Z]+\\b|\\.\\.\\.|['`\";]|: ")
                .splitAsStream(message)
                .map(String::strip)
                .filter(part -> part.matches(".*\\w \\w.*|\\w{8,}"))
                .toList();
        messages++;
        // The first word may come from elsewhere, as "cannot" before what could not be done.
        if (words.isEmpty()
            || !words.stream()
                .allMatch(
                    w -> sources.contains(w) || sources.contains(w.replaceFirst("^\\w+ ", "")))) {
          unknown.add(message + " " + words);
        }
      }
    }
    assertThat(messages).isGreaterThan(10);
    assertThat(unknown).isEmpty();
  }

  /** All string literals of the program, those that are put together from several as one. */
  private static String sources() throws IOException {
    StringBuilder all = new StringBuilder();
    for (String module : List.of("config", "lease", "replication", "proxy", "litefs-daemon")) {
      try (Stream<Path> files = Files.walk(ROOT.resolve(module).resolve("src/main/java"))) {
        for (Path file : files.filter(f -> f.toString().endsWith(".java")).toList()) {
          all.append(Files.readString(file));
        }
      }
    }
    return all.toString().replaceAll("\"\\s*\\+\\s*\"", "");
  }

  /** The pages with commands: those for users, and those for who works on litefs. */
  private static List<MarkdownPage> pages() throws IOException {
    List<Path> files =
        new ArrayList<>(
            Stream.of("README.md", "CONTRIBUTING.md", "docker/README.md")
                .map(ROOT::resolve)
                .toList());
    try (Stream<Path> docs = Files.list(ROOT.resolve("docs"))) {
      docs.filter(file -> file.toString().endsWith(".md")).sorted().forEach(files::add);
    }
    List<MarkdownPage> pages = new ArrayList<>();
    for (Path file : files) {
      pages.add(MarkdownPage.read(file));
    }
    return pages;
  }

  /** One page, read from its beginning to its end by somebody who types everything. */
  private static final class Reading {
    private final MarkdownPage page;
    private final Map<String, Machine> machines = new LinkedHashMap<>();
    private final List<Block> leftOut = new ArrayList<>();
    private String printed = "";

    Reading(MarkdownPage page) {
      this.page = page;
    }

    DynamicTest test() {
      return DynamicTest.dynamicTest(ROOT.relativize(page.file()).toString(), this::run);
    }

    /** One for each block with a condition, which is skipped if the block was left out. */
    Stream<DynamicTest> conditions() {
      return page.blocks().stream()
          .filter(block -> block.mark(RUN).filter(mark -> mark.group(5) != null).isPresent())
          .map(
              block ->
                  DynamicTest.dynamicTest(
                      ROOT.relativize(page.file()) + ":" + block.line(),
                      () ->
                          assumeTrue(
                              !leftOut.contains(block), () -> "left out: " + block.mark().get())));
    }

    void run() throws Exception {
      try (Namespaces network = new Namespaces()) {
        try {
          start(network);
          for (Block block : page.blocks()) {
            try {
              read(block);
            } catch (AssertionError e) {
              StringBuilder logs = new StringBuilder();
              machines.values().forEach(machine -> logs.append(machine.logs()));
              throw new AssertionError(
                  page.file() + ":" + block.line() + ": " + e.getMessage() + "\n" + logs, e);
            }
          }
          machines.values().forEach(Machine::interruptAll);
        } finally {
          machines.values().forEach(Machine::close);
        }
      }
    }

    private void start(Namespaces network) throws Exception {
      Set<String> names = new LinkedHashSet<>();
      boolean consul = false;
      for (Block block : page.blocks()) {
        block.mark(RUN).ifPresent(mark -> names.add(mark.group(1)));
        block.mark(BEFORE).ifPresent(mark -> names.add(mark.group(1)));
        block.mark(FILE).ifPresent(mark -> names.addAll(List.of(mark.group(2).split(", "))));
        consul |= block.mark(FILE).isPresent() && block.text().contains("127.0.0.1:8500");
      }
      StringBuilder hosts = new StringBuilder("127.0.0.1 localhost\n");
      Map<String, Integer> numbers = new LinkedHashMap<>();
      for (String name : names) {
        int host = network.add();
        numbers.put(name, host);
        hosts.append("%s %s %s.internal%n".formatted(network.address(host), name, name));
      }
      for (String name : names) {
        int host = numbers.get(name);
        Machine machine = new Machine(name, network.around(host), hosts.toString());
        machines.put(name, machine);
        bring(machine);
        if (consul) {
          machine.startConsul(
              ConsulAgent.executable(),
              network.address(host),
              network.address(numbers.get(names.iterator().next())));
        }
      }
    }

    private static void bring(Machine machine) {
      BELONGINGS.forEach(
          (file, content) -> {
            machine.write(file, content);
            machine.run("chmod +x " + file).orThrow();
          });
      machine.run("sqlite3 existing.db 'CREATE TABLE t (x); INSERT INTO t VALUES (1)'").orThrow();
      String driver =
          Stream.of(System.getProperty("java.class.path").split(":"))
              .filter(jar -> jar.matches(".*/sqlite-jdbc-[0-9.]+\\.jar"))
              .findFirst()
              .orElseThrow();
      machine.run("ln -s " + driver + " sqlite-jdbc.jar").orThrow();
      machine.run("export PATH=$JAVA_HOME/bin:$PATH").orThrow();
      machine
          .run(
              "cp "
                  + ROOT.resolve("src-test-integration/src/main/resources/io/litefs/it/notes.py")
                  + " .")
          .orThrow();
    }

    private void read(Block block) {
      block.mark(BEFORE).ifPresent(mark -> type(machines.get(mark.group(1)), mark.group(2), false));
      var file = block.mark(FILE);
      if (file.isPresent()) {
        for (String name : file.get().group(2).split(", ")) {
          machines.get(name).write(file.get().group(1), block.text());
        }
      }
      if (block.mark(PRINTS).isPresent()) {
        assertPrinted(block);
      }
      var run = block.mark(RUN);
      if (run.isPresent()) {
        type(block, run.get());
      }
    }

    /** What is shown as output has been printed, line by line; {@code ...} is anything. */
    private void assertPrinted(Block block) {
      int from = 0;
      for (String line : block.lines()) {
        String pattern =
            Stream.of(line.strip().split("\\.\\.\\.", -1))
                .map(part -> part.isEmpty() ? "" : Pattern.quote(part))
                .reduce((a, b) -> a + ".*" + b)
                .orElseThrow()
                .replace(" ", "\\E *\\Q ");
        Matcher found = Pattern.compile(pattern).matcher(printed);
        if (!found.find(from)) {
          throw new AssertionError("did not print '" + line + "':\n" + printed);
        }
        from = found.end();
      }
    }

    private void type(Block block, Matcher mark) {
      Machine machine = machines.get(mark.group(1));
      if (mark.group(5) != null && machine.run(mark.group(5)).exitCode() != 0) {
        leftOut.add(block);
        return;
      }
      StringBuilder all = new StringBuilder();
      List<String> commands = commands(block);
      boolean excepted = mark.group(3) == null;
      for (int i = 0; i < commands.size(); i++) {
        String command = commands.get(i);
        if (mark.group(3) != null && command.startsWith(mark.group(3))) {
          excepted = true;
          continue;
        }
        boolean mustFail = mark.group(2) != null && i == commands.size() - 1;
        all.append(type(machine, command, mustFail));
      }
      assertThat(excepted).as("no line begins with " + mark.group(3)).isTrue();
      printed = all.toString();
    }

    private static String type(Machine machine, String command, boolean mustFail) {
      String bare = command.replaceFirst("\\s+#.*$", "").replaceFirst(" &$", "");
      for (Endless endless : ENDLESS) {
        if (endless.command.matcher(bare).matches()) {
          if (endless.isDaemon && !command.matches("(?s).* &(\\s+#.*)?")) {
            machine.interruptAll(); // The reader has one terminal on each machine.
          }
          return machine.start(bare, endless.shows, endless.isDaemon);
        }
      }
      Commands.Result result = machine.run(command);
      if (result.exitCode() == 0 == mustFail) {
        throw new AssertionError(
            "'" + command + "' ended with " + result.exitCode() + ":\n" + result.output());
      }
      return result.output();
    }

    /** The block's commands: its lines, but for those that the shell would read on after. */
    private static List<String> commands(Block block) {
      List<String> commands = new ArrayList<>();
      StringBuilder command = new StringBuilder();
      for (String line : block.lines()) {
        command.append(command.isEmpty() ? "" : "\n").append(line);
        if (!line.endsWith("\\")
            && Commands.run("bash", "-n", "-c", command.toString()).exitCode() == 0) {
          if (!command.toString().isBlank() && !command.toString().startsWith("#")) {
            commands.add(command.toString());
          }
          command.setLength(0);
        }
      }
      assertThat(command.toString()).as("an incomplete command at the end").isEmpty();
      return commands;
    }
  }
}
