package io.litefs.store;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.litefs.ltx.Pos;
import io.litefs.ltx.Txid;
import io.litefs.posix.Errno;
import io.litefs.posix.ErrnoException;
import io.litefs.replication.WithheldException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class QuarantineTest {

  @TempDir Path temp;
  private StoreFixture node;
  private Path source;
  private Pos end;

  @BeforeEach
  void quarantineADatabase() throws Exception {
    node = new StoreFixture(temp.resolve("node"));
    source = temp.resolve("source.db");
    StoreFixture.execute(source, "CREATE TABLE t(x)");
    node.importFile("bad-1.db", source);
    end = node.store.find("bad-1.db").pos();
    node.close();
    Path database = node.dir.resolve("dbs").resolve("bad-1.db");
    new Quarantine(node.dir).take(database, "it is damaged\nin two lines");
    assertThat(database).doesNotExist();
    node.open();
  }

  @AfterEach
  void close() {
    node.close();
  }

  @Test
  void theNameAnswersEioWithReasonPlaceAndRemedy() {
    assertThatThrownBy(() -> node.store.findOrCreate("bad-1.db"))
        .isInstanceOfSatisfying(
            ErrnoException.class, e -> assertThat(e.errno()).isEqualTo(Errno.EIO))
        .hasMessageContaining("it is damaged")
        .hasMessageContaining("quarantine/bad-1.db-")
        .hasMessageContaining("litefs import -name bad-1.db FILE");
    assertThat(node.file("bad-1.db", "")).doesNotExist();
    assertThatThrownBy(() -> node.store.rename("other.db", "bad-1.db")).isNotNull();
  }

  @Test
  void anExportIsRefusedWithReasonPlaceAndRemedy() {
    assertThatThrownBy(() -> node.export("bad-1.db"))
        .isInstanceOf(WithheldException.class)
        .hasMessageContainingAll(
            "it is damaged",
            "quarantine/bad-1.db-",
            "'litefs promote'",
            "litefs import -name bad-1.db FILE");
  }

  @Test
  void replicasAreNotToldThatItIsGone() throws Exception {
    assertThat(node.store.position("bad-1.db")).isNull();
    assertThat(node.store.isUnavailable("bad-1.db")).isTrue();
    assertThat(node.store.isUnavailable("never.db")).isFalse();
  }

  @Test
  void anImportReplacesItAndGoesOnCounting() throws Exception {
    node.importFile("bad-1.db", source);
    assertThat(node.store.find("bad-1.db").pos().txid()).isEqualTo(end.txid().next());
    assertThat(LogTail.entry(node.store.find("bad-1.db").log().lastFile()).header().preApply())
        .isEqualTo(end.checksum());
    assertThat(node.store.quarantine().blocking()).isEmpty();
    assertThat(node.store.quarantine().list())
        .singleElement()
        .satisfies(entry -> assertThat(entry.replaced()).isTrue());
    node.close();
    node.open();
    assertThat(node.store.find("bad-1.db").pos().txid()).isEqualTo(new Txid(2));
    assertThat(node.export("bad-1.db")).isEqualTo(Files.readAllBytes(source));
  }

  @Test
  void theRemovalOfItsDirectoryFreesTheName() throws Exception {
    DurableFiles.removeTree(node.store.quarantine().list().get(0).path());
    assertThat(node.store.findOrCreate("bad-1.db").pos()).isEqualTo(Pos.ZERO);
  }

  @Test
  void aDatabaseThatIsFineOnAMachineThatIsNotStaysInItsPlace() {
    Path place = node.dir.resolve("dbs").resolve("fine.db");
    node.store.quarantine().leave(place, "no space left on device");
    assertThatThrownBy(() -> node.store.findOrCreate("fine.db"))
        .hasMessageContaining("no space left on device")
        .hasMessageContaining("tried again every few seconds");
    assertThatThrownBy(() -> node.importFile("fine.db", source))
        .hasMessageContaining("tried again every few seconds");
  }
}
