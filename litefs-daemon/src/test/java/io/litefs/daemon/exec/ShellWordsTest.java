package io.litefs.daemon.exec;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;

class ShellWordsTest {

  @Test
  void blanksSeparate() {
    assertThat(ShellWords.split("  myapp  -addr\t:8080\n"))
        .containsExactly("myapp", "-addr", ":8080");
    assertThat(ShellWords.split("   ")).isEmpty();
  }

  @Test
  void quotesKeepBlanksAndMayStandInsideAWord() {
    assertThat(ShellWords.split("a 'b  c' \"d e\" f'g 'h\"i \""))
        .containsExactly("a", "b  c", "d e", "fg hi ");
    assertThat(ShellWords.split("'' \"\"")).containsExactly("", "");
  }

  @Test
  void aBackslashKeepsTheNextCharacterAsInAShell() {
    assertThat(ShellWords.split("a\\ b \\'c \\\\")).containsExactly("a b", "'c", "\\");
    assertThat(ShellWords.split("\"\\\"\\\\\\n\\$\"")).containsExactly("\"\\\\n$");
    assertThat(ShellWords.split("'a\\b'")).containsExactly("a\\b");
  }

  @Test
  void nothingIsExpanded() {
    assertThat(ShellWords.split("echo $HOME *.db ~ `id` a;b"))
        .containsExactly("echo", "$HOME", "*.db", "~", "`id`", "a;b");
  }

  @Test
  void whatIsNotClosedIsRefused() {
    assertThatThrownBy(() -> ShellWords.split("a 'b")).hasMessageContaining("single quote");
    assertThatThrownBy(() -> ShellWords.split("a \"b\\\"")).hasMessageContaining("double quote");
    assertThatThrownBy(() -> ShellWords.split("a \\")).hasMessageContaining("backslash");
  }
}
