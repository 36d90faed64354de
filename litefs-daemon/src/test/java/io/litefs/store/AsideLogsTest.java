package io.litefs.store;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class AsideLogsTest {

  @TempDir Path dbs;

  private Path aside(String database, long millis, int bytes) throws IOException {
    Path dir = Files.createDirectories(dbs.resolve(database).resolve("ltx-aside-" + millis));
    Files.write(dir.resolve("0000000000000001-0000000000000001.ltx"), new byte[bytes]);
    return dir;
  }

  private List<Path> databases() {
    return List.of(dbs.resolve("a.db"), dbs.resolve("b.db"));
  }

  @Test
  void theOldestGoUntilTheRestFits() throws IOException {
    Path first = aside("a.db", 999, 100);
    Path second = aside("b.db", 1000, 100);
    Path third = aside("a.db", 2000, 100);
    Path fourth = aside("b.db", 3000, 100);
    AsideLogs.removeBeyond(400, databases());
    assertThat(List.of(first, second, third, fourth)).allMatch(Files::exists);
    AsideLogs.removeBeyond(399, databases());
    assertThat(first).doesNotExist();
    assertThat(List.of(second, third, fourth)).allMatch(Files::exists);
    AsideLogs.removeBeyond(200, databases());
    assertThat(second).doesNotExist();
    assertThat(List.of(third, fourth)).allMatch(Files::exists);
  }

  @Test
  void theNewestOfEachDatabaseStays() throws IOException {
    Path old = aside("a.db", 1, 100);
    Path only = aside("b.db", 2, 100);
    Path newer = aside("a.db", 3, 100);
    Path log = Files.createDirectories(dbs.resolve("a.db").resolve("ltx"));
    AsideLogs.removeBeyond(0, databases());
    assertThat(old).doesNotExist();
    assertThat(List.of(only, newer, log)).allMatch(Files::exists);
  }
}
