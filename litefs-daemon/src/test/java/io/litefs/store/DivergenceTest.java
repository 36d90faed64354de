package io.litefs.store;

import static io.litefs.store.StoreFixture.direct;
import static io.litefs.store.StoreFixture.execute;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.litefs.ltx.Pos;
import io.litefs.replication.ChangeSource.LtxFile;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Archives: what is in them, what can be rebuilt from them, what a crash leaves. */
class DivergenceTest {

  private static final String DB = "a.db";

  @TempDir Path temp;
  private StoreFixture node;
  private StoreFixture primary;

  @BeforeEach
  void open() throws Exception {
    node = new StoreFixture(temp.resolve("node"));
    primary = new StoreFixture(temp.resolve("primary"));
    write(primary, "theirs");
    write(node, "first");
    write(node, "second");
    write(node, "third");
  }

  @AfterEach
  void close() {
    node.close();
    primary.close();
  }

  /** One transaction that replaces the database. */
  private void write(StoreFixture store, String text) throws Exception {
    Path file = Files.createTempDirectory(temp, "source").resolve("source.db");
    execute(
        file,
        "CREATE TABLE t(x)",
        "INSERT INTO t VALUES ('" + text + "')",
        "CREATE TABLE filler AS SELECT randomblob(20000) AS b");
    byte[] bytes = Files.readAllBytes(file);
    Database database = store.store.findOrCreate(DB);
    BackingFile target = database.acquire(FileKind.DATABASE, true);
    database.truncateDatabase(target, 0);
    database.writeDatabase(target, direct(bytes, 0, bytes.length), 0);
    database.closedAfterWriting(target, true);
    target.release();
  }

  private ReceivedTransaction snapshot() throws Exception {
    Path file = temp.resolve("snapshot.ltx");
    try (LtxFile in = primary.store.snapshot(DB);
        var out =
            Files.newByteChannel(
                file,
                java.util.Set.of(
                    java.nio.file.StandardOpenOption.CREATE,
                    java.nio.file.StandardOpenOption.TRUNCATE_EXISTING,
                    java.nio.file.StandardOpenOption.WRITE))) {
      ByteBuffer buffer = ByteBuffer.allocate(1 << 16);
      while (in.read(buffer.clear()) > 0) {
        out.write(buffer.flip());
      }
    }
    return ReceivedTransaction.read(file, new PageTable());
  }

  private void reopen(long divergedSize) throws Exception {
    node.close();
    node.divergedSize = divergedSize;
    node.open();
    node.store.becomeReplica(true);
  }

  private DivergedArchive archive() throws Exception {
    node.store.divergence().connected(0x1234, "LFSC0123456789ABCDEF");
    node.store.divergence().beforeSnapshot(node.store.find(DB), snapshot());
    List<DivergedArchive> archives = new DivergedArchives(node.dir).list();
    assertThat(archives).hasSize(1);
    return archives.get(0);
  }

  private byte[] exported(DivergedArchive archive) throws Exception {
    Path file = temp.resolve("exported.db");
    Files.deleteIfExists(file);
    ArchiveExport.write(archive, file, bytes -> {});
    return Files.readAllBytes(file);
  }

  @Test
  void anArchiveHasTheDatabaseTheLogAndWhatIsToBeKnown() throws Exception {
    reopen(1 << 30);
    Database database = node.store.find(DB);
    DivergedArchive archive = archive();
    assertThat(archive.database()).isEqualTo(DB);
    assertThat(archive.reason()).isEqualTo(DivergedArchive.Reason.AHEAD);
    assertThat(archive.position()).isEqualTo(database.pos());
    assertThat(archive.primaryPosition()).isEqualTo(primary.store.find(DB).pos());
    assertThat(archive.primaryNode()).isEqualTo("0000000000001234");
    assertThat(archive.clusterId()).isEqualTo("LFSC0123456789ABCDEF");
    assertThat(archive.content()).isEqualTo(DivergedArchive.Content.DATABASE);
    assertThat(archive.path().resolve("ltx")).isDirectoryContaining("glob:**.ltx");
    assertThat(archive.path().resolve("README")).content().contains("litefs diverged export");
    assertThat(exported(archive)).isEqualTo(node.export(DB));
    assertThat(node.store.divergence().counts()).containsEntry(DB, 1L);
    // The attempt to take the snapshot may fail afterwards, and be repeated.
    node.store.divergence().beforeSnapshot(database, snapshot());
    assertThat(new DivergedArchives(node.dir).list()).hasSize(1);
  }

  @Test
  void aDatabaseAboveTheBoundIsRebuiltFromItsLog() throws Exception {
    reopen(1);
    DivergedArchive archive = archive();
    assertThat(archive.content()).isEqualTo(DivergedArchive.Content.LOG);
    assertThat(archive.path().resolve("database")).doesNotExist();
    assertThat(exported(archive)).isEqualTo(node.export(DB));
  }

  @Test
  void ofADatabaseAboveTheBoundWhoseLogIsShortThePagesThatDifferAreKept() throws Exception {
    reopen(1);
    for (int txid = 1; txid <= 2; txid++) {
      Files.delete(node.file(DB, "ltx/%016x-%016x.ltx".formatted(txid, txid)));
    }
    reopen(1);
    DivergedArchive archive = archive();
    assertThat(archive.content()).isEqualTo(DivergedArchive.Content.PAGES);
    assertThatThrownBy(() -> exported(archive))
        .isInstanceOf(StoreException.class)
        .hasMessageContaining("exceeded data.diverged-size");
    // Applied to the primary's database, they lead to this node's.
    byte[] rebuilt = primary.export(DB);
    byte[] here = node.export(DB);
    rebuilt = java.util.Arrays.copyOf(rebuilt, here.length);
    ReceivedTransaction pages =
        ReceivedTransaction.read(archive.path().resolve("pages.ltx"), new PageTable());
    assertThat(pages.header().preApply()).isEqualTo(primary.store.find(DB).pos().checksum());
    byte[] target = rebuilt;
    pages.forEachPage((pgno, page) -> page.get(target, (int) (pgno - 1) * 4096, 4096));
    assertThat(target).isEqualTo(here);
  }

  @Test
  void aDamagedArchiveIsNotExported() throws Exception {
    reopen(1 << 30);
    DivergedArchive archive = archive();
    Path database = archive.path().resolve("database");
    byte[] bytes = Files.readAllBytes(database);
    bytes[bytes.length / 2] ^= 1;
    Files.write(database, bytes);
    assertThatThrownBy(() -> exported(archive))
        .isInstanceOf(StoreException.class)
        .hasMessageContaining("is damaged");
  }

  @Test
  void whatACrashLeftOfAnArchiveIsRemovedAndNeverListed() throws Exception {
    Path half = node.dir.resolve("diverged/a.db/20260101T000000.000Z.tmp/ltx");
    Files.createDirectories(half);
    Files.writeString(half.resolveSibling("database"), "half");
    assertThat(new DivergedArchives(node.dir).list()).isEmpty();
    reopen(1 << 30);
    assertThat(half.getParent()).doesNotExist();
  }

  @Test
  void anArchiveThatCannotBeMadeStopsTheSnapshotAndLeavesNothing() throws Exception {
    reopen(1 << 30);
    Files.createDirectories(node.dir.resolve("diverged"));
    Files.writeString(node.dir.resolve("diverged").resolve(DB), "in the way");
    Pos before = node.store.find(DB).pos();
    assertThatThrownBy(this::archive)
        .isInstanceOf(ArchiveException.class)
        .hasMessageContaining("a.db has diverged")
        .hasMessageContaining("cannot be archived");
    assertThat(node.store.find(DB).pos()).isEqualTo(before);
    assertThat(node.store.divergence().counts()).isEmpty();
  }
}
