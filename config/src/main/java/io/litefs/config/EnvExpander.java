package io.litefs.config;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Replaces variables in the text of a configuration, before it is parsed: {@code $NAME} and {@code
 * ${NAME}} by the variable's value (nothing if it is not set), {@code ${NAME == "x"}}, {@code
 * ${NAME != 'x'}} and {@code ${NAME == OTHER}} by {@code true} or {@code false}, {@code $$} by a
 * dollar sign. Any other dollar sign stays.
 */
final class EnvExpander {
  private static final String NAME = "[A-Za-z_][A-Za-z0-9_]*";
  private static final Pattern REFERENCE = Pattern.compile("\\$(?:(\\$)|(" + NAME + ")|(\\{))");
  private static final Pattern EXPRESSION =
      Pattern.compile(
          "\\s*(" + NAME + ")\\s*(?:(==|!=)\\s*(?:\"([^\"]*)\"|'([^']*)'|(" + NAME + "))\\s*)?");

  private final Map<String, String> env;
  private final Problems problems;

  EnvExpander(Map<String, String> env, Problems problems) {
    this.env = env;
    this.problems = problems;
  }

  /**
   * The expanded text. A value may contain line ends, so each line of it knows the line that it
   * came from.
   */
  record Expanded(String text, List<Integer> sourceLines) {}

  Expanded expand(String text) {
    StringBuilder out = new StringBuilder(text.length());
    List<Integer> sourceLines = new ArrayList<>();
    String[] lines = text.split("\n", -1);
    for (int i = 0; i < lines.length; i++) {
      String line = expandLine(lines[i], i + 1);
      for (int at = -1; (at = line.indexOf('\n', at + 1)) >= 0; ) {
        sourceLines.add(i + 1);
      }
      sourceLines.add(i + 1);
      out.append(line);
      if (i < lines.length - 1) {
        out.append('\n');
      }
    }
    return new Expanded(out.toString(), sourceLines);
  }

  private String expandLine(String line, int number) {
    StringBuilder out = new StringBuilder(line.length());
    Matcher reference = REFERENCE.matcher(line);
    int done = 0;
    while (reference.find(done)) {
      out.append(line, done, reference.start());
      if (reference.group(1) != null) {
        out.append('$');
        done = reference.end();
      } else if (reference.group(2) != null) {
        out.append(value(reference.group(2)));
        done = reference.end();
      } else {
        int end = closingBrace(line, reference.end());
        String body = line.substring(reference.end(), end < 0 ? line.length() : end);
        Matcher expression = EXPRESSION.matcher(body);
        if (end >= 0 && expression.matches()) {
          out.append(evaluate(expression));
        } else if (!line.stripLeading().startsWith("#")) {
          problems.addAtLine(
              number,
              "",
              (end < 0 ? "'${" + body + "' is not closed" : "cannot expand '${" + body + "}'")
                  + "; allowed: $NAME, ${NAME}, ${NAME == \"text\"}, ${NAME != OTHER},"
                  + " and $$ for a dollar sign");
        }
        done = end < 0 ? line.length() : end + 1;
      }
    }
    return out.append(line, done, line.length()).toString();
  }

  /** The brace that ends an expression; braces within quotes do not. -1 if there is none. */
  private static int closingBrace(String line, int from) {
    char quote = 0;
    for (int i = from; i < line.length(); i++) {
      char c = line.charAt(i);
      if (quote != 0) {
        quote = c == quote ? 0 : quote;
      } else if (c == '"' || c == '\'') {
        quote = c;
      } else if (c == '}') {
        return i;
      }
    }
    return line.indexOf('}', from);
  }

  private String evaluate(Matcher expression) {
    String left = value(expression.group(1));
    if (expression.group(2) == null) {
      return left;
    }
    String right =
        expression.group(3) != null
            ? expression.group(3)
            : expression.group(4) != null ? expression.group(4) : value(expression.group(5));
    return String.valueOf(left.equals(right) == expression.group(2).equals("=="));
  }

  private String value(String name) {
    return env.getOrDefault(name, "");
  }
}
