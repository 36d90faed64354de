package io.litefs.store;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayInputStream;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class DatabaseVerificationTest {

  private static final String DB = "a.db";

  @TempDir Path temp;
  private StoreFixture node;
  private Path dir;
  private final List<Integer> paced = new ArrayList<>();

  @BeforeEach
  void makeADatabase() throws Exception {
    node = new StoreFixture(temp.resolve("node"));
    Path source = temp.resolve("source.db");
    StoreFixture.execute(source, "CREATE TABLE t AS SELECT randomblob(30000) AS b");
    node.importFile(DB, source);
    dir = node.dir.resolve("dbs").resolve(DB);
  }

  @AfterEach
  void close() {
    node.close();
  }

  private VerifyReport atRest() throws Exception {
    return DatabaseVerification.atRest(dir, paced::add);
  }

  private void flip(Path file, int offset) throws Exception {
    byte[] bytes = Files.readAllBytes(file);
    bytes[offset] ^= 1;
    Files.write(file, bytes);
  }

  private Path ltx() {
    return dir.resolve("ltx/0000000000000001-0000000000000001.ltx");
  }

  @Test
  void allThatIsReadIsToldToThePace() throws Exception {
    node.close();
    VerifyReport report = atRest();
    assertThat(report.isSound()).isTrue();
    assertThat(report.notes()).isEmpty();
    assertThat(report.ltxFiles()).isEqualTo(1);
    assertThat(report.ltxBytes()).isEqualTo(Files.size(ltx()));
    assertThat(report.pages()).isEqualTo(Files.size(dir.resolve("database")) / 4096);
    assertThat(paced.stream().mapToLong(Integer::longValue).sum())
        .isBetween(DatabaseVerification.bytes(dir) - 200, DatabaseVerification.bytes(dir));
  }

  @Test
  void aDatabaseThatTheLogMendsIsNotDamaged() throws Exception {
    Path killed = temp.resolve("killed");
    StoreFixture.copy(node.dir, killed);
    dir = killed.resolve("dbs").resolve(DB);
    flip(dir.resolve("database"), 5000);
    VerifyReport report = atRest();
    assertThat(report.isSound()).isTrue();
    assertThat(report.notes())
        .singleElement()
        .satisfies(note -> assertThat(note.reason()).contains("the log leads there"));
  }

  /** The next start has nothing to play, and does not look. */
  @Test
  void aDatabaseThatHasChangedSinceAnOrderlyStopIsDamaged() throws Exception {
    node.close();
    flip(dir.resolve("database"), 5000);
    assertThat(atRest().damages())
        .singleElement()
        .satisfies(damage -> assertThat(damage.reason()).contains("its pages have checksum"));
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void aDatabaseWhoseLogIsLostIsComparedWithWhatItWas(boolean damaged) throws Exception {
    node.close();
    Files.delete(ltx());
    if (damaged) {
      flip(dir.resolve("database"), 5000);
    }
    VerifyReport report = atRest();
    assertThat(report.isSound()).isEqualTo(!damaged);
    assertThat(damaged ? report.damages() : report.notes())
        .singleElement()
        .satisfies(
            found ->
                assertThat(found.reason())
                    .contains(damaged ? "its pages have checksum" : "it is at position"));
  }

  @Test
  void aFileThatIsNotWhatItsNameSaysIsDamaged() throws Exception {
    node.close();
    Files.move(ltx(), dir.resolve("ltx/0000000000000002-0000000000000002.ltx"));
    assertThat(atRest().damages())
        .singleElement()
        .satisfies(damage -> assertThat(damage.reason()).contains("not what its name says"));
  }

  @Test
  void aTornFileOfWhichTheSegmentHasACopyIsNotDamaged() throws Exception {
    byte[] whole = Files.readAllBytes(ltx());
    node.close();
    SyncSegment segment =
        new SyncSegment(dir.resolve("segment"), dir.resolve("ltx"), Runnable::run, new LogDisk());
    try (var file = io.litefs.posix.PosixFile.open(ltx(), io.litefs.posix.PosixFile.O_RDWR, 0)) {
      assertThat(segment.write(List.of(file))).isTrue();
    }
    Files.write(ltx(), java.util.Arrays.copyOf(whole, whole.length / 2));
    VerifyReport report = atRest();
    assertThat(report.damages()).isEmpty();
    assertThat(report.notes())
        .singleElement()
        .satisfies(note -> assertThat(note.reason()).contains("the segment has a copy"));
    Files.delete(dir.resolve("segment"));
    assertThat(atRest().damages()).hasSize(1);
  }

  @Test
  void aDatabaseWithAHotJournalIsNotCompared() throws Exception {
    node.close();
    Files.write(dir.resolve("journal"), new byte[] {(byte) 0xd9, (byte) 0xd5});
    VerifyReport report = atRest();
    assertThat(report.isSound()).isTrue();
    assertThat(report.pages()).isZero();
    assertThat(report.notes()).hasSize(1);
  }

  @Test
  void anExportIsComparedWithItsPosition() throws Exception {
    byte[] export = node.export(DB);
    assertThat(atWork(export).isSound()).isTrue();
    export[5000] ^= 1;
    assertThat(atWork(export).damages())
        .singleElement()
        .satisfies(damage -> assertThat(damage.reason()).contains("its pages have checksum"));
    assertThatThrownBy(
            () ->
                DatabaseVerification.atWork(
                    dir,
                    node.store.position(DB),
                    new ByteArrayInputStream(export, 0, export.length - 1),
                    export.length,
                    PageVerification.Pace.NONE))
        .hasMessageContaining("ended early");
  }

  private VerifyReport atWork(byte[] export) throws Exception {
    return DatabaseVerification.atWork(
        dir,
        node.store.position(DB),
        new ByteArrayInputStream(export),
        export.length,
        PageVerification.Pace.NONE);
  }

  @Test
  void pagesAreComparedInSlicesAndNamed() throws Exception {
    byte[] export = node.export(DB);
    Database database = node.store.find(DB);
    export[2 * 4096 + 7] ^= 1;
    List<Long> found = new ArrayList<>();
    PageVerification verification =
        new PageVerification(
            new PageVerification.Pages() {
              @Override
              public int pageSize() {
                return 4096;
              }

              @Override
              public long pageCount() {
                return export.length / 4096;
              }

              @Override
              public ByteBuffer read(long pgno) {
                return ByteBuffer.wrap(export, (int) (pgno - 1) * 4096, 4096);
              }
            },
            database.checksums()::get,
            (pgno, expected, actual) -> found.add(pgno),
            PageVerification.Pace.NONE);
    verification.pages(1, 2);
    assertThat(found).isEmpty();
    verification.pages(3, export.length / 4096);
    assertThat(found).containsExactly(3L);
    assertThat(verification.checksum()).isNotEqualTo(database.pos().checksum());
  }

  @Test
  void aRateLimitTakesItsTime() throws Exception {
    RateLimit limit = new RateLimit(1_000_000);
    long started = System.nanoTime();
    for (int i = 0; i < 300; i++) {
      limit.read(1000);
    }
    assertThat(System.nanoTime() - started).isGreaterThanOrEqualTo(290_000_000L);
  }

  @Test
  void aDirectoryIsLockedForEitherACommandOrADaemon() throws Exception {
    assertThat(DirectoryLock.tryLock(node.dir)).isNull();
    node.close();
    try (DirectoryLock lock = DirectoryLock.tryLock(node.dir)) {
      assertThat(lock).isNotNull();
      assertThatThrownBy(() -> node.open()).hasMessageContaining("in use by another litefs");
    }
    node.open();
  }
}
