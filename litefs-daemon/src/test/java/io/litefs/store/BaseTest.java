package io.litefs.store;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.litefs.ltx.Checksum;
import io.litefs.ltx.LtxHeader;
import io.litefs.ltx.PageChecksum;
import io.litefs.ltx.Pos;
import io.litefs.ltx.Txid;
import io.litefs.posix.ErrnoException;
import io.litefs.posix.PosixFile;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.sql.Connection;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What a start makes of a base, the log beyond it, and a database file in whatever state. */
class BaseTest {

  private static final String DB = "a.db";

  @TempDir Path home;
  private Path source;
  private StoreFixture running;

  @BeforeEach
  void makeDatabase() throws Exception {
    source = home.resolve("source.db");
    StoreFixture.execute(
        source,
        "CREATE TABLE t(id INTEGER PRIMARY KEY, b BLOB)",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)"
            + " INSERT INTO t SELECT i, randomblob(800) FROM n");
    running = new StoreFixture(home.resolve("running"));
    running.importFile(DB, source);
  }

  @AfterEach
  void close() {
    running.close();
  }

  private Database database() {
    return running.store.find(DB);
  }

  private void change(String sql) throws Exception {
    StoreFixture.execute(source, sql);
    running.overwrite(DB, source);
  }

  /** The data directory as a kill at this moment leaves it. */
  private Path killed() throws IOException {
    Path copy = Files.createTempDirectory(home, "killed");
    StoreFixture.copy(running.dir, copy);
    return copy;
  }

  private static void overwrite(Path file, long offset, byte[] bytes) throws IOException {
    try (RandomAccessFile out = new RandomAccessFile(file.toFile(), "rw")) {
      out.seek(offset);
      out.write(bytes);
    }
  }

  /** Another byte than was there, whatever was there: the content is random. */
  private static void flip(Path file, long offset) throws IOException {
    try (RandomAccessFile both = new RandomAccessFile(file.toFile(), "rw")) {
      both.seek(offset);
      int before = both.readUnsignedByte();
      both.seek(offset);
      both.write(before ^ 0xff);
    }
  }

  private void assertStartsAsItIs(Path copy) throws Exception {
    Pos pos = database().pos();
    byte[] content = running.export(DB);
    try (StoreFixture again = new StoreFixture(copy)) {
      assertThat(again.store.find(DB).pos()).isEqualTo(pos);
      assertThat(again.store.find(DB).log().end()).isEqualTo(pos);
      assertThat(again.export(DB)).isEqualTo(content);
      assertThat(again.store.find(DB).checksumOfPages(again.store.find(DB).pageCount()))
          .isEqualTo(pos.checksum().value());
    }
  }

  @Test
  void pagesThatTheLogHasBeyondTheBaseMayBeInAnyState() throws Exception {
    byte[] before = Files.readAllBytes(running.file(DB, "database"));
    database().bases().advance(false);
    change("UPDATE t SET b = randomblob(800) WHERE id % 7 = 0");
    change("UPDATE t SET b = randomblob(800) WHERE id % 5 = 0");
    Path copy = killed();
    Path file = copy.resolve("dbs").resolve(DB).resolve("database");
    // None of what was written since reached the disk but one page in three.
    byte[] after = Files.readAllBytes(file);
    for (int page = 0; page < before.length / 4096; page++) {
      if (page % 3 != 0) {
        System.arraycopy(before, page * 4096, after, page * 4096, 4096);
      }
    }
    Files.write(file, after);
    assertStartsAsItIs(copy);
  }

  private static List<Path> log(Path copy) throws IOException {
    try (Stream<Path> files = Files.list(copy.resolve("dbs").resolve(DB).resolve("ltx"))) {
      return files.sorted().toList();
    }
  }

  private Path afterAnOrderlyStop() throws Exception {
    change("UPDATE t SET b = randomblob(800) WHERE id % 7 = 0");
    change("UPDATE t SET b = randomblob(800) WHERE id % 5 = 0");
    database().bases().advance(true);
    Path copy = killed();
    // Such a stop removes it; it may hold files of the log, which would be as good as those.
    Files.deleteIfExists(copy.resolve("dbs").resolve(DB).resolve("segment"));
    return copy;
  }

  private static void assertSetAside(Path copy, int count) throws IOException {
    try (Stream<Path> all = Files.walk(copy.resolve("dbs").resolve(DB))) {
      assertThat(
              all.filter(
                  file ->
                      file.toString().contains("ltx-aside-") && file.toString().endsWith(".ltx")))
          .hasSize(count);
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 3})
  void aDatabaseThatIsWholeTakesThePlaceOfALogWhoseEndIsDamaged(int damaged) throws Exception {
    Path copy = afterAnOrderlyStop();
    List<Path> files = log(copy);
    assertThat(files).hasSize(3);
    for (Path file : files.subList(3 - damaged, 3)) {
      flip(file, Files.size(file) / 2);
    }
    assertStartsAsItIs(copy);
    assertThat(log(copy)).hasSize(1);
    assertSetAside(copy, damaged);
    assertStartsAsItIs(copy);
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3})
  void aDatabaseThatIsWholeTakesThePlaceOfALogWhoseEndIsMissing(int missing) throws Exception {
    Path copy = afterAnOrderlyStop();
    for (Path file : log(copy).subList(3 - missing, 3)) {
      Files.delete(file);
    }
    assertStartsAsItIs(copy);
  }

  /** Killed, or the disk was full. */
  @Test
  void nothingIsLostIfTheSnapshotThatWasToReplaceTheLogDoesNot() throws Exception {
    change("UPDATE t SET b = randomblob(800) WHERE id % 7 = 0");
    database().bases().advance(false);
    database().bases().logIsReplaced(4096);
    assertStartsAsItIs(killed());
    Files.delete(database().log().fileFrom(1));
    assertStartsAsItIs(killed());
    change("UPDATE t SET b = randomblob(800) WHERE id % 5 = 0");
    assertThat(database().bases().advance(false)).isTrue();
    assertStartsAsItIs(killed());
  }

  /** What it was before must not come back, however long applying the snapshot waits. */
  @Test
  void theBaseDoesNotAdvanceToWhereTheLogLeadsNoMore() throws Exception {
    change("UPDATE t SET b = randomblob(800) WHERE id % 7 = 0");
    try (StoreFixture other = new StoreFixture(home.resolve("other"))) {
      Path file = home.resolve("other.db");
      StoreFixture.execute(file, "CREATE TABLE u(x)");
      other.importFile(DB, file);
      Database theirs = other.store.find(DB);
      database().bases().logIsReplaced(4096);
      Path snapshot = database().log().temporaryFile();
      Files.copy(theirs.log().lastFile(), snapshot);
      database().log().adopt(snapshot, LogTail.entry(snapshot).header());
      assertThat(database().bases().advance(false)).isFalse();
      try (StoreFixture again = new StoreFixture(killed())) {
        assertThat(again.store.find(DB).pos()).isEqualTo(theirs.pos());
        assertThat(again.export(DB)).isEqualTo(other.export(DB));
      }
    }
  }

  /**
   * With {@code synchronous=OFF} a power cut leaves any pages of a transaction, and any journal.
   */
  @Test
  void whatIsNoPositionAfterARollbackBecomesNoTransaction() throws Exception {
    change("UPDATE t SET b = randomblob(800) WHERE id % 7 = 0");
    database().bases().advance(false);
    database().log().removeOlderThan(Long.MAX_VALUE, database().bases()::txid);
    writeUnderAJournal();
    Path copy = killed();
    flip(copy.resolve("dbs").resolve(DB).resolve("database"), 4096 * 5 + 2000);
    try (StoreFixture again = new StoreFixture(copy)) {
      assertThat(again.store.find(DB)).isNull();
      assertThat(copy.resolve("quarantine")).isNotEmptyDirectory();
    }
  }

  @Test
  void whatTakesThePlaceOfADatabaseIsOnDiskBeforeThatGoes() throws Exception {
    assertThat(database().log().hasUnsynced()).isFalse();
    change("UPDATE t SET b = zeroblob(900) WHERE id < 5");
    assertThat(database().log().hasUnsynced()).isFalse();
    Database dropped = database();
    dropped.drop();
    assertThat(dropped.log().hasUnsynced()).isFalse();
  }

  /** What {@code journal_mode=PERSIST} leaves behind each transaction. */
  @Test
  void aJournalThatIsNotHotDoesNotStandInTheWayOfThat() throws Exception {
    Path copy = afterAnOrderlyStop();
    Path last = log(copy).get(2);
    flip(last, Files.size(last) / 2);
    Files.write(copy.resolve("dbs").resolve(DB).resolve("journal"), new byte[1024]);
    assertStartsAsItIs(copy);
  }

  @Test
  void aDamagedDatabaseIsNotTheBeginningOfAnotherHistoryOnlyBecauseItsLogIsDamagedToo()
      throws Exception {
    Path copy = afterAnOrderlyStop();
    for (Path file : log(copy)) {
      flip(file, Files.size(file) / 2);
    }
    flip(copy.resolve("dbs").resolve(DB).resolve("database"), 4096 * 3 + 50);
    try (StoreFixture again = new StoreFixture(copy)) {
      assertThat(again.store.find(DB)).isNull();
      assertThat(again.store.quarantine().list())
          .singleElement()
          .satisfies(entry -> assertThat(entry.reason()).contains("no file of its log is sound"));
    }
  }

  @Test
  void checksumsMayBeNewerThanTheBase() throws Exception {
    database().bases().advance(false);
    change("UPDATE t SET b = randomblob(800) WHERE id % 7 = 0");
    byte[] slots = java.util.Arrays.copyOf(Files.readAllBytes(checksums(running.dir)), 8192);
    database().bases().advance(false);
    Path copy = killed();
    // The crash came after the checksums and before the base.
    overwrite(checksums(copy), 0, slots);
    assertStartsAsItIs(copy);
  }

  private static Path checksums(Path dir) {
    return dir.resolve("dbs").resolve(DB).resolve(ChecksumFile.NAME);
  }

  @Test
  void damagedOrMissingChecksumsAreComputedAnew() throws Exception {
    change("DELETE FROM t WHERE id > 200");
    database().bases().advance(false);
    Path missing = killed();
    Files.delete(checksums(missing));
    assertStartsAsItIs(missing);
    Path damaged = killed();
    overwrite(checksums(damaged), 8192 + 8 * 9, new byte[] {1, 2, 3});
    assertStartsAsItIs(damaged);
    Path both = killed();
    overwrite(checksums(both), 16, new byte[8]);
    overwrite(checksums(both), 4096 + 16, new byte[8]);
    assertStartsAsItIs(both);
  }

  @Test
  void retentionKeepsTheBaseAndWhatComesAfterIt() throws Exception {
    change("UPDATE t SET b = randomblob(800) WHERE id = 2");
    database().bases().advance(false);
    change("UPDATE t SET b = randomblob(800) WHERE id = 3");
    change("UPDATE t SET b = randomblob(800) WHERE id = 4");
    long base = database().bases().txid();
    assertThat(base).isEqualTo(2);
    assertThat(database().log().removeOlderThan(Long.MAX_VALUE, () -> base)).isEqualTo(1);
    assertThat(database().log().files()).hasSize(3);
    assertStartsAsItIs(killed());
  }

  /**
   * A replica that was ahead of its primary gets one, and applications keep it from applying it.
   */
  @Test
  void retentionKeepsASnapshotThatGoesBackBehindTheBase() throws Exception {
    change("UPDATE t SET b = randomblob(800) WHERE id = 2");
    LtxLog log = database().log();
    Path snapshot = Files.copy(log.fileFrom(1), log.temporaryFile());
    LtxHeader header = LogTail.entry(snapshot).header();
    Path next = Files.copy(log.fileFrom(2), home.resolve("2"));
    change("UPDATE t SET b = randomblob(800) WHERE id = 3");
    database().bases().advance(false);
    assertThat(database().bases().txid()).isEqualTo(3);
    log.adopt(snapshot, header);
    log.adopt(next, LogTail.entry(next).header());
    assertThat(log.removeBeyond(0, database().bases()::txid)).isZero();
    assertThat(log.files()).hasSize(2);
  }

  /**
   * Killed when a snapshot of another history was in the log, and of what it replaced only the last
   * file was left.
   */
  @Test
  void aDatabaseAtTheLogsLastFileIsTakenAsItIsThoughNothingLeadsToThatFile() throws Exception {
    change("UPDATE t SET b = randomblob(800) WHERE id = 2");
    change("UPDATE t SET b = randomblob(800) WHERE id = 3");
    Path copy = killed();
    assertThat(checksums(copy)).doesNotExist();
    LtxLog other = LtxLog.open(home.resolve("other"), false, Runnable::run);
    ByteBuffer page = ByteBuffer.allocateDirect(4096);
    LtxLog.Writer writer =
        other.begin(
            new LtxHeader(
                true, 4096, 1, new Txid(1), new Txid(2), 1, Checksum.ZERO, 0, 0, 0, 0, 7));
    Checksum checksum = new Checksum(PageChecksum.of(1, page) | 1L << 63);
    writer.page(1, page);
    writer.finish(checksum);
    Files.copy(
        writer.location(),
        copy.resolve("dbs").resolve(DB).resolve("ltx").resolve(writer.location().getFileName()));
    assertStartsAsItIs(copy);
  }

  @Test
  void tornFilesOfTheLogAfterAPowerCutLoseOnlyThemselves() throws Exception {
    change("UPDATE t SET b = randomblob(800) WHERE id = 3");
    Pos before = database().pos();
    byte[] content = running.export(DB);
    database().bases().advance(false);
    byte[] file = Files.readAllBytes(running.file(DB, "database"));
    change("UPDATE t SET b = randomblob(800) WHERE id = 4");
    change("UPDATE t SET b = randomblob(800) WHERE id = 5");
    database().log().removeOlderThan(Long.MAX_VALUE, database().bases()::txid);
    Path copy = killed();
    Path dir = copy.resolve("dbs").resolve(DB);
    Files.write(dir.resolve("ltx/0000000000000003-0000000000000003.ltx"), new byte[0]);
    Files.write(dir.resolve("ltx/0000000000000004-0000000000000004.ltx"), new byte[70]);
    Files.deleteIfExists(dir.resolve("segment"));
    Files.write(dir.resolve("database"), file);
    try (StoreFixture again = new StoreFixture(copy)) {
      assertThat(again.store.find(DB).pos()).isEqualTo(before);
      assertThat(again.export(DB)).isEqualTo(content);
    }
  }

  /** What was not synced gets to disk in any order: the last file of the log may be sound. */
  @Test
  void filesThatAPowerCutToreBeforeASoundEndLoseWhatFollows() throws Exception {
    change("UPDATE t SET b = randomblob(800) WHERE id = 3");
    Pos before = database().pos();
    byte[] content = running.export(DB);
    database().bases().advance(false);
    byte[] file = Files.readAllBytes(running.file(DB, "database"));
    for (int id = 4; id < 7; id++) {
      change("UPDATE t SET b = randomblob(800) WHERE id = " + id);
    }
    Path copy = killed();
    Path dir = copy.resolve("dbs").resolve(DB);
    Path third = dir.resolve("ltx/0000000000000003-0000000000000003.ltx");
    byte[] torn = Files.readAllBytes(third);
    java.util.Arrays.fill(torn, 150, torn.length / 2, (byte) 0); // header and trailer are there
    Files.write(third, torn);
    Files.write(dir.resolve("ltx/0000000000000004-0000000000000004.ltx"), new byte[70]);
    Files.deleteIfExists(dir.resolve("segment"));
    Files.write(dir.resolve("database"), file);
    overwrite(dir.resolve("database"), 4096 * 2 + 100, new byte[512]); // of the lost ones
    try (StoreFixture again = new StoreFixture(copy)) {
      assertThat(again.store.find(DB).pos()).isEqualTo(before);
      assertThat(again.export(DB)).isEqualTo(content);
    }
    try (Stream<Path> kept = Files.list(dir)) {
      assertThat(kept.filter(p -> p.getFileName().toString().startsWith("ltx-aside-"))).hasSize(1);
    }
  }

  @Test
  void gapInTheLogIsCutOrSteppedOver() throws Exception {
    change("UPDATE t SET b = randomblob(800) WHERE id = 3");
    change("UPDATE t SET b = randomblob(800) WHERE id = 4");
    change("UPDATE t SET b = randomblob(800) WHERE id = 5");
    Path copy = killed();
    Path dir = copy.resolve("dbs").resolve(DB);
    Files.write(dir.resolve("ltx/0000000000000003-0000000000000003.ltx"), new byte[0]);
    Files.deleteIfExists(dir.resolve("segment"));
    Files.deleteIfExists(dir.resolve(ChecksumFile.NAME));
    // The database has everything: only the log is damaged, and its last file counts.
    assertStartsAsItIs(copy);
    try (Stream<Path> kept = Files.list(dir)) {
      List<String> aside =
          kept.map(path -> path.getFileName().toString())
              .filter(name -> name.startsWith("ltx-aside-"))
              .toList();
      assertThat(aside).hasSize(1);
    }
  }

  @Test
  void dropLeavesNothingToRecover() throws Exception {
    database().drop();
    Pos pos = database().pos();
    Path copy = killed();
    try (StoreFixture again = new StoreFixture(copy)) {
      assertThat(again.store.find(DB).pos()).isEqualTo(pos);
      assertThat(again.store.export(DB, false)).isNull();
    }
  }

  @Test
  void verificationFindsThePageThatTheDiskChanged() throws Exception {
    database().bases().advance(false);
    Path copy = killed();
    try (StoreFixture again = new StoreFixture(copy)) {
      Database started = again.store.find(DB);
      assertThat(started.bases().isUnread()).isTrue();
      BackgroundVerification sound = new BackgroundVerification(started, "as a test asks");
      sound.run();
      assertThat(sound.damaged()).isEmpty();
      flip(again.file(DB, "database"), 4096 * 11 + 100);
      BackgroundVerification damaged = new BackgroundVerification(started, "as a test asks");
      damaged.run();
      assertThat(damaged.damaged()).containsExactly(12L);
    }
  }

  /** As after a VACUUM with synchronous=OFF that the log has lost. */
  @Test
  void fileThatIsShorterThanItsPositionSaysIsRepairedFromTheLog() throws Exception {
    database().bases().advance(false);
    Path copy = killed();
    try (RandomAccessFile file =
        new RandomAccessFile(copy.resolve("dbs").resolve(DB).resolve("database").toFile(), "rw")) {
      file.setLength(file.length() / 2);
    }
    assertStartsAsItIs(copy);
  }

  @Test
  void pageThatTheDiskChangedIsRepairedFromTheLog() throws Exception {
    database().bases().advance(false);
    Path copy = killed();
    flip(copy.resolve("dbs").resolve(DB).resolve("database"), 4096 * 11 + 100);
    assertStartsAsItIs(copy);
  }

  /** SQLite puts the super-journal beside the main database, not beside the attached ones. */
  @Test
  void aTransactionOverSeveralDatabasesThatNeverEndedIsRolledBackInTheAttachedOneToo()
      throws Exception {
    change("UPDATE t SET b = randomblob(800) WHERE id = 1");
    database().bases().advance(false);
    Path copy = killed();
    Path dir = copy.resolve("dbs").resolve(DB);
    // Retention may have removed it: only the journal knows the old pages.
    Files.delete(dir.resolve("ltx/0000000000000001-0000000000000001.ltx"));
    Path attached = home.resolve("attached.db");
    Path main = home.resolve("main.db");
    Files.copy(dir.resolve("database"), attached);
    StoreFixture.execute(main, "CREATE TABLE t(b)");
    try (Connection connection = StoreFixture.connect(main)) {
      StoreFixture.execute(
          connection,
          "ATTACH '" + attached + "' AS attached",
          "PRAGMA attached.cache_size = 2",
          "BEGIN",
          "INSERT INTO main.t VALUES (1)",
          "UPDATE attached.t SET b = randomblob(700)",
          "INSERT INTO attached.t SELECT id + 1000, b FROM attached.t");
      Files.copy(attached, dir.resolve("database"), StandardCopyOption.REPLACE_EXISTING);
      Path journal = dir.resolve("journal");
      Files.copy(home.resolve("attached.db-journal"), journal);
      // What COMMIT adds before it writes the pages that are left.
      Files.write(journal, superJournal(main + "-mj0A1B2C93F"), StandardOpenOption.APPEND);
    }
    assertThat(Files.mismatch(dir.resolve("database"), running.file(DB, "database")))
        .as("it had written pages")
        .isNotEqualTo(-1);
    assertStartsAsItIs(copy);
  }

  private static byte[] superJournal(String name) {
    byte[] bytes = name.getBytes(StandardCharsets.UTF_8);
    int sum = 0;
    for (byte b : bytes) {
      sum += b;
    }
    ByteBuffer record = ByteBuffer.allocate(20 + bytes.length);
    record.putInt((1 << 30) / 4096 + 1).put(bytes).putInt(bytes.length).putInt(sum);
    return record.putLong(0xd9d505f920a163d7L).array();
  }

  /**
   * SQLite does not journal what free pages hold. Once the journal is gone, nothing but the mark
   * tells.
   */
  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void freePagesThatARollbackHasChangedBecomeATransactionAtTheNextStart(boolean orderly)
      throws Exception {
    change("DELETE FROM t WHERE id % 3 > 0 OR id > 200");
    database().bases().advance(false);
    Pos before = database().pos();
    Path other = home.resolve("other.db");
    Files.copy(source, other);
    try (Connection connection = StoreFixture.connect(other)) {
      StoreFixture.execute(
          connection,
          "PRAGMA cache_size = 2",
          "BEGIN",
          "INSERT INTO t SELECT id + 1000, zeroblob(900) FROM t");
      byte[] journal = Files.readAllBytes(home.resolve("other.db-journal"));
      byte[] content = Files.readAllBytes(other);
      BackingFile undo = database().acquire(FileKind.JOURNAL, true);
      database().journal().write(undo, StoreFixture.direct(journal, 0, journal.length), 0);
      BackingFile file = database().acquire(FileKind.DATABASE, false);
      database().writeDatabase(file, StoreFixture.direct(content, 0, content.length), 0);
      file.release();
      undo.release();
    }
    database().unfinished().rollBack();
    assertThat(database().strayPages().areThere()).isTrue();
    assertThat(database().pos()).isEqualTo(before);

    Path copy = orderly ? running.dir : killed();
    if (orderly) {
      running.close();
    }
    Files.delete(copy.resolve("dbs/" + DB + "/ltx/0000000000000001-0000000000000001.ltx"));
    try (StoreFixture again = new StoreFixture(copy)) {
      Database started = again.store.find(DB);
      assertThat(started.pos().txid()).isEqualTo(before.txid().next());
      BackgroundVerification verification = new BackgroundVerification(started, "as a test asks");
      verification.run();
      assertThat(verification.damaged()).isEmpty();
      assertThat(StrayPagesMark.isSet(copy.resolve("dbs").resolve(DB))).isFalse();
    }
    if (orderly) {
      running.open();
    }
  }

  /** All of a transaction but the end of its journal; returns what the database is then. */
  private byte[] writeUnderAJournal() throws Exception {
    return StoreFixture.writeUnderAJournal(
        database(),
        Files.copy(source, home.resolve("other.db")),
        "UPDATE t SET b = zeroblob(800) WHERE id % 50 = 0");
  }

  @Test
  void aJournalStaysUntilWhatItBroughtBackIsOnDisk() throws Exception {
    byte[] before = running.export(DB);
    writeUnderAJournal();
    BackingFile file = database().file(FileKind.DATABASE);
    // A disk that nothing gets to, and that says so when it is synced.
    PosixFile disk = file.swap(PosixFile.open(Path.of("/dev/null"), PosixFile.O_RDWR, 0));
    assertThatThrownBy(database().unfinished()::rollBack).hasMessageContaining("fdatasync");
    assertThat(running.file(DB, "journal")).exists();
    file.swap(disk).close();
    database().unfinished().rollBack();
    assertThat(running.file(DB, "journal")).doesNotExist();
    assertThat(running.export(DB)).isEqualTo(before);
  }

  /**
   * Its application has died, so that nobody rolls it back, or the lease has ended, so that no
   * transaction could. What is in the log is what the database is after a start.
   */
  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void aFailedCommitThatNoTransactionHasTakenBackIsPlayedAtTheNextStart(boolean demoted)
      throws Exception {
    database().bases().advance(false);
    running.store.synchronizeCommits(new FakeReplicas());
    byte[] content = writeUnderAJournal();
    assertThatThrownBy(database().journal()::unlink).hasMessageContaining("too few replicas");
    Pos logged = database().pos();
    assertThat(logged.txid()).isEqualTo(new Txid(2));
    if (demoted) {
      database().endCommits();
      database().unfinished().rollBack();
      assertThat(database().strayPages().areThere()).isTrue();
    }
    assertThat(database().bases().advance(false)).as("is a base").isFalse();

    running.close();
    running.open();
    assertThat(database().pos()).isEqualTo(logged);
    assertThat(running.export(DB)).isEqualTo(content);
  }

  /** SQLite finds it and rolls it back, as a start would. */
  @Test
  void aJournalThatCouldNotBeRemovedIsStillThere() throws Exception {
    writeUnderAJournal();
    Path journal = running.file(DB, "journal");
    Path aside = Files.move(journal, home.resolve("aside"));
    Path obstacle = Files.createDirectories(journal.resolve("not-empty"));
    assertThatThrownBy(database().journal()::unlink).isInstanceOf(ErrnoException.class);
    Files.delete(obstacle);
    Files.delete(journal);
    Files.move(aside, journal);
    assertThat(database().pos().txid()).isEqualTo(new Txid(2));
    assertThat(database().file(FileKind.JOURNAL)).isNotNull();
    assertThat(database().bases().advance(false)).as("is a base").isFalse();
    database().journal().unlink();
    assertThat(database().bases().advance(false)).isTrue();
  }

  @Test
  void aFailedCommitThatWasRolledBackIsTakenBackByTheNextTermBeforeAnyReplicaFollows()
      throws Exception {
    byte[] before = running.export(DB);
    FakeReplicas replicas = new FakeReplicas();
    running.store.synchronizeCommits(replicas);
    writeUnderAJournal();
    assertThatThrownBy(database().journal()::unlink).hasMessageContaining("too few replicas");
    database().endCommits();
    database().unfinished().rollBack();
    replicas.inSync = false;
    database().strayPages().record();
    assertThat(database().pos().txid()).isEqualTo(new Txid(3));
    assertThat(running.export(DB)).isEqualTo(before);
    assertThat(database().differsFromLog()).isFalse();
  }

  @Test
  void writesWithoutJournalThatNeverBecameATransactionAreUndone() throws Exception {
    Pos pos = database().pos();
    byte[] content = running.export(DB);
    BackingFile file = database().acquire(FileKind.DATABASE, false);
    byte[] other = new byte[3 * 4096];
    java.util.Arrays.fill(other, (byte) 9);
    database().writeDatabase(file, StoreFixture.direct(other, 0, other.length), 4096 * 5 + 100);
    database().writeDatabase(file, StoreFixture.direct(other, 0, 4096), content.length);
    Path copy = killed();
    try (StoreFixture again = new StoreFixture(copy)) {
      assertThat(again.store.find(DB).pos()).isEqualTo(pos);
      assertThat(again.export(DB)).isEqualTo(content);
      assertThat(copy.resolve("dbs").resolve(DB).resolve("undo")).doesNotExist();
    } finally {
      file.release();
    }
  }
}
