package io.litefs.it;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The fenced blocks of a page of documentation, each with the comment that stands right before it.
 * {@code docs/testing.md} tells what these comments may say.
 */
record MarkdownPage(Path file, List<Block> blocks) {

  /** A comment that stands for itself: a command that is not shown. */
  private static final String BEFORE = "before: ";

  private static final Pattern FENCE = Pattern.compile("^( *)```+ *([a-z]*)$");
  private static final Pattern MARK = Pattern.compile("^ *<!-- (.*) -->$");

  /**
   * A block.
   *
   * @param line where it begins, from 1
   * @param language empty if the fence names none
   * @param mark the comment's text; empty if there is none
   */
  record Block(int line, String language, Optional<String> mark, List<String> lines) {

    String text() {
      return String.join("\n", lines) + "\n";
    }

    /** What {@code pattern} finds in the mark, whole. */
    Optional<Matcher> mark(Pattern pattern) {
      return mark.map(pattern::matcher).filter(Matcher::matches);
    }
  }

  static MarkdownPage read(Path file) throws IOException {
    List<Block> blocks = new ArrayList<>();
    List<String> lines = Files.readAllLines(file);
    Optional<String> mark = Optional.empty();
    for (int i = 0; i < lines.size(); i++) {
      Matcher fence = FENCE.matcher(lines.get(i));
      Matcher comment = MARK.matcher(lines.get(i));
      if (fence.matches()) {
        int first = i + 1;
        String indent = fence.group(1);
        do {
          i++;
        } while (!lines.get(i).startsWith(indent + "```"));
        List<String> content =
            lines.subList(first, i).stream()
                .map(l -> l.startsWith(indent) ? l.substring(indent.length()) : l)
                .toList();
        blocks.add(new Block(first, fence.group(2), mark, content));
        mark = Optional.empty();
      } else if (comment.matches() && comment.group(1).startsWith(BEFORE)) {
        Optional<String> command = Optional.of(comment.group(1));
        blocks.add(new Block(i + 1, BEFORE, command, List.of()));
      } else if (comment.matches()) {
        mark = Optional.of(comment.group(1));
      } else if (!lines.get(i).isBlank()) {
        mark = Optional.empty();
      }
    }
    return new MarkdownPage(file, List.copyOf(blocks));
  }
}
