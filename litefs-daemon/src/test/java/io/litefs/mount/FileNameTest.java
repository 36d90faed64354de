package io.litefs.mount;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Set;
import org.junit.jupiter.api.Test;

class FileNameTest {

  private static FileName parse(String name, String... databases) {
    return FileName.parse(name, Set.of(databases)::contains);
  }

  @Test
  void suffixMakesACompanionOfAnExistingDatabase() {
    assertThat(parse("a.db-wal", "a.db"))
        .isEqualTo(new FileName("a.db-wal", FileName.Kind.WAL, "a.db"));
    assertThat(parse("a.db-journal", "a.db").kind()).isEqualTo(FileName.Kind.JOURNAL);
    assertThat(parse("a.db-shm", "a.db").kind()).isEqualTo(FileName.Kind.SHM);
    assertThat(parse("a.db-pos", "a.db").kind()).isEqualTo(FileName.Kind.POSITION);
    assertThat(parse("a.db-lock", "a.db").kind()).isEqualTo(FileName.Kind.LOCK);
  }

  @Test
  void suffixWithoutSuchADatabaseIsPartOfADatabaseName() {
    assertThat(parse("something-wal").kind()).isEqualTo(FileName.Kind.DATABASE);
  }

  @Test
  void databaseThatExistsWinsOverACompanion() {
    assertThat(parse("a-wal", "a", "a-wal").kind()).isEqualTo(FileName.Kind.DATABASE);
  }

  @Test
  void companionOfADatabaseThatIsNamedLikeACompanion() {
    assertThat(parse("a-wal-wal", "a-wal"))
        .isEqualTo(new FileName("a-wal-wal", FileName.Kind.WAL, "a-wal"));
  }

  @Test
  void superJournalNeedsItsDatabase() {
    assertThat(parse("a.db-mj0123ABC9F", "a.db").kind()).isEqualTo(FileName.Kind.SUPER_JOURNAL);
    assertThat(parse("a.db-mj0123ABC9F").kind()).isEqualTo(FileName.Kind.DATABASE);
  }

  @Test
  void knowsTheFilesOfTheMount() {
    assertThat(parse(".primary").kind()).isEqualTo(FileName.Kind.PRIMARY);
    assertThat(parse(".lag").kind()).isEqualTo(FileName.Kind.LAG);
  }
}
