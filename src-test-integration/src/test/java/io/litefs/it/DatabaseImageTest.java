package io.litefs.it;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The ruler itself: databases whose checksums a running LiteFS printed. */
class DatabaseImageTest {

  private static Path resource(String name) throws URISyntaxException {
    return Path.of(DatabaseImageTest.class.getResource(name).toURI());
  }

  @Test
  void theChecksumIsTheOneThatTheOriginalPrinted() throws Exception {
    assertThat(new DatabaseImage(resource("small.db")).checksum()).isEqualTo(0x832a64432d8c1f89L);
    assertThat(new DatabaseImage(resource("wal.db")).checksum()).isEqualTo(0xf65cf7dc3b8d35fdL);
  }

  @Test
  void oneDifferentByteIsNamedWithItsPage(@TempDir Path dir) throws Exception {
    byte[] bytes = Files.readAllBytes(resource("wal.db"));
    bytes[5000] ^= 1;
    Path changed = Files.write(dir.resolve("changed.db"), bytes);
    assertThatThrownBy(
            () -> new DatabaseImage(resource("wal.db")).assertSameBytes(new DatabaseImage(changed)))
        .isInstanceOf(AssertionError.class)
        .hasMessageContaining("byte 5000, page 2");
  }

  @Test
  void aPositionIsParsedStrictly() {
    assertThat(Position.parse("00000000000000ff/832a64432d8c1f89\n"))
        .isEqualTo(new Position(255, 0x832a64432d8c1f89L));
    assertThatThrownBy(() -> Position.parse("00000000000000FF/832a64432d8c1f89\n"))
        .isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> Position.parse("00000000000000ff/832a64432d8c1f89"))
        .isInstanceOf(IllegalArgumentException.class);
  }
}
