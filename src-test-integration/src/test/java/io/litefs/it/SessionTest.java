package io.litefs.it;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.litefs.it.sqlite.Driver;
import io.litefs.it.sqlite.LineSession;
import io.litefs.it.sqlite.Session;
import io.litefs.it.sqlite.SqliteError;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The clients themselves, in a bare directory. */
class SessionTest {

  @TempDir private Path dir;

  @ParameterizedTest
  @EnumSource(Driver.class)
  void rowsErrorsAndTransactionsComeThrough(Driver driver) {
    try (Session session = driver.open(dir.resolve("a.db"))) {
      session.run("CREATE TABLE t(a, b)");
      session.run("INSERT INTO t VALUES (1, 'line one\nline \\two'), (2, NULL)");
      assertThat(session.value("SELECT count(*) FROM t")).isEqualTo("2");
      assertThat(session.run("SELECT a, b FROM t WHERE a = 2")).containsExactly("2|");
      assertThatThrownBy(() -> session.run("SELECT * FROM absent"))
          .isInstanceOf(SqliteError.class)
          .hasMessageContaining("no such table: absent");
      session.run("BEGIN IMMEDIATE");
      session.run("DELETE FROM t");
      try (Session other = driver.open(dir.resolve("a.db"))) {
        assertThat(other.value("SELECT count(*) FROM t")).isEqualTo("2");
      }
      session.run("ROLLBACK");
      assertThat(session.value("SELECT count(*) FROM t")).isEqualTo("2");
    }
  }

  @Test
  void aStatementIsRepeatedAsOftenAsAsked() {
    try (LineSession session = LineSession.jdbc(dir.resolve("b.db"))) {
      session.run("CREATE TABLE t(a)");
      assertThat(session.repeat(100, "INSERT INTO t VALUES (?)")).isPositive();
      assertThat(session.value("SELECT sum(a) FROM t")).isEqualTo("4950");
    }
  }
}
