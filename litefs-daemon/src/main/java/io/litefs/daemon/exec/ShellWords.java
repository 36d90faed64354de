package io.litefs.daemon.exec;

import java.util.ArrayList;
import java.util.List;

/**
 * Splits a command line into words as a POSIX shell does: blanks separate, single quotes keep
 * everything, double quotes keep everything but {@code \\ \" \$ \`}, a backslash keeps the next
 * character. Nothing is expanded: variables are the configuration's matter, and there is no shell.
 */
public final class ShellWords {

  private final String line;
  private final List<String> words = new ArrayList<>();
  private final StringBuilder word = new StringBuilder();
  private boolean inWord;
  private int at;

  private ShellWords(String line) {
    this.line = line;
  }

  /**
   * The words of {@code line}, perhaps none.
   *
   * @throws IllegalArgumentException if a quote is not closed or the line ends in a backslash; the
   *     message is fit for a user
   */
  public static List<String> split(String line) {
    return new ShellWords(line).split();
  }

  private List<String> split() {
    while (at < line.length()) {
      char c = line.charAt(at++);
      switch (c) {
        case ' ', '\t', '\n', '\r' -> endWord();
        case '\'' -> singleQuoted();
        case '"' -> doubleQuoted();
        case '\\' -> append(escaped());
        default -> append(c);
      }
    }
    endWord();
    return List.copyOf(words);
  }

  private void singleQuoted() {
    int end = line.indexOf('\'', at);
    if (end < 0) {
      throw new IllegalArgumentException("a single quote is not closed");
    }
    inWord = true;
    word.append(line, at, end);
    at = end + 1;
  }

  private void doubleQuoted() {
    inWord = true;
    while (at < line.length()) {
      char c = line.charAt(at++);
      if (c == '"') {
        return;
      }
      if (c == '\\' && at < line.length() && "\\\"$`".indexOf(line.charAt(at)) >= 0) {
        c = line.charAt(at++);
      }
      word.append(c);
    }
    throw new IllegalArgumentException("a double quote is not closed");
  }

  private char escaped() {
    if (at == line.length()) {
      throw new IllegalArgumentException("the line ends in a backslash");
    }
    return line.charAt(at++);
  }

  private void append(char c) {
    inWord = true;
    word.append(c);
  }

  private void endWord() {
    if (inWord) {
      words.add(word.toString());
      word.setLength(0);
      inWord = false;
    }
  }
}
