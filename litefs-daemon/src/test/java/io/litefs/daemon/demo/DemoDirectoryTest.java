package io.litefs.daemon.demo;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DemoDirectoryTest {

  @TempDir Path temp;

  @Test
  void itIsMadeAndRemovedWithoutATrace() throws Exception {
    DemoDirectory directory = new DemoDirectory(temp.resolve("demo"));
    directory.create();
    assertThat(directory.mountPoint("primary")).isEmptyDirectory();
    assertThat(directory.mountPoint("replica")).isEmptyDirectory();
    Files.createDirectories(directory.work().resolve("primary/dbs"));
    directory.remove();
    assertThat(temp).isEmptyDirectory();
  }

  @Test
  void whatAKilledDemonstrationLeftIsReplaced() throws Exception {
    DemoDirectory directory = new DemoDirectory(temp.resolve("demo"));
    directory.create();
    Files.writeString(directory.work().resolve("pid"), "999999999");
    Files.writeString(directory.work().resolve("old.log"), "x");
    directory.create();
    assertThat(directory.work().resolve("old.log")).doesNotExist();
  }

  @Test
  void foreignFilesAreNeverTouched() throws Exception {
    Path precious = Files.createDirectory(temp.resolve("demo")).resolve("precious");
    Files.writeString(precious, "data");
    assertThatThrownBy(() -> new DemoDirectory(temp.resolve("demo")).create())
        .hasMessageContaining("precious");
    assertThat(precious).hasContent("data");
  }

  @Test
  void aMountPointThatHoldsFilesStays() throws Exception {
    DemoDirectory directory = new DemoDirectory(temp.resolve("demo"));
    directory.create();
    Path file = Files.writeString(directory.mountPoint("primary").resolve("a.db"), "data");
    assertThatThrownBy(directory::remove).hasMessageContaining("primary");
    assertThat(file).hasContent("data");
  }
}
