package io.litefs.store;

import static org.assertj.core.api.Assertions.assertThat;

import io.litefs.ltx.Checksum;
import io.litefs.ltx.Pos;
import io.litefs.ltx.Txid;
import io.litefs.store.DivergedArchive.Reason;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What counts as agreed with a primary, through changes of role and restarts. */
class AgreedPositionsTest {

  @TempDir Path temp;
  private StoreFixture node;
  private Database database;
  private Path dir;

  private static Pos pos(long txid, int checksum) {
    return new Pos(new Txid(txid), new Checksum(Checksum.FLAG | checksum));
  }

  @BeforeEach
  void open() throws Exception {
    node = new StoreFixture(temp.resolve("node"));
    Path source = temp.resolve("source.db");
    StoreFixture.execute(source, "CREATE TABLE t(x)");
    node.importFile("a b.db", source);
    database = node.store.find("a b.db");
    dir = Files.createDirectory(temp.resolve("elsewhere"));
  }

  @AfterEach
  void close() {
    node.close();
  }

  private AgreedPositions opened() throws StoreException {
    return new AgreedPositions(dir);
  }

  @Test
  void ofAnUnknownHistoryNothingIsAgreed() throws Exception {
    AgreedPositions agreed = opened();
    agreed.becameReplica(List.of(database));
    assertThat(agreed.of("a b.db")).isEqualTo(Pos.ZERO);
    assertThat(opened().of("a b.db")).isEqualTo(Pos.ZERO);
  }

  @Test
  void whatAReplicaReceivedIsAgreedAndStaysSo() throws Exception {
    AgreedPositions agreed = opened();
    agreed.becameReplica(List.of());
    // A database that comes from the primary has no line.
    assertThat(agreed.of("a b.db")).isNull();
    AgreedPositions again = opened();
    again.becameReplica(List.of(database));
    assertThat(again.of("a b.db")).isNull();
  }

  @Test
  void whatIsMadeAsPrimaryIsNotAgreedUntilItIsReceivedFromAnother() throws Exception {
    AgreedPositions agreed = opened();
    agreed.becameReplica(List.of());
    agreed.becamePrimary(List.of(database));
    assertThat(opened().of("a b.db")).isEqualTo(database.pos());
    // A second term does not move the point.
    AgreedPositions again = opened();
    again.becamePrimary(List.of(database));
    again.becameReplica(List.of(database));
    assertThat(again.of("a b.db")).isEqualTo(database.pos());
    again.agree("a b.db");
    again.write();
    assertThat(opened().of("a b.db")).isNull();
  }

  @Test
  void aDatabaseThatAPrimaryCreatedIsNotAgreedAtAll() throws Exception {
    AgreedPositions agreed = opened();
    agreed.becameReplica(List.of());
    agreed.becamePrimary(List.of());
    AgreedPositions again = opened();
    again.becameReplica(List.of(database));
    assertThat(again.of("a b.db")).isEqualTo(Pos.ZERO);
  }

  /** As a lease that was sent and did not arrive: the primary's transactions stay the primary's. */
  @Test
  void whoPreparesToLeadAndDoesNotHasNothingOfItsOwn() throws Exception {
    AgreedPositions agreed = opened();
    agreed.becameReplica(List.of());
    agreed.becamePrimary(List.of(database));
    agreed.becameReplica(List.of(database));
    assertThat(opened().of("a b.db")).isEqualTo(database.pos());
    agreed.agree("a b.db");
    agreed.write();
    AgreedPositions again = opened();
    again.becameReplica(List.of(database));
    assertThat(again.of("a b.db")).isNull();
    again.becamePrimary(List.of(database));
    assertThat(opened().of("a b.db")).isEqualTo(database.pos());
  }

  @Test
  void aFileThatCannotBeReadMeansThatNothingIsAgreed() throws Exception {
    AgreedPositions agreed = opened();
    agreed.becameReplica(List.of());
    Files.writeString(dir.resolve("agreed"), "followed\nrubbish rubbish\n");
    AgreedPositions again = opened();
    again.becameReplica(List.of(database));
    assertThat(again.of("a b.db")).isEqualTo(Pos.ZERO);
  }

  @Test
  void historiesAreComparedByPositionAndByWhatIsAgreed() {
    assertThat(Reason.of(Pos.ZERO, null, pos(5, 5))).isNull();
    assertThat(Reason.of(pos(5, 5), Pos.ZERO, pos(5, 5))).isNull();
    assertThat(Reason.of(pos(6, 6), null, pos(5, 5))).isEqualTo(Reason.AHEAD);
    assertThat(Reason.of(pos(5, 6), null, pos(5, 5))).isEqualTo(Reason.DIFFERENT);
    assertThat(Reason.of(pos(4, 4), null, pos(5, 5))).isNull();
    assertThat(Reason.of(pos(4, 4), pos(4, 4), pos(5, 5))).isNull();
    assertThat(Reason.of(pos(4, 4), pos(3, 3), pos(5, 5))).isEqualTo(Reason.OWN);
  }
}
