package io.litefs.daemon.status;

import static org.assertj.core.api.Assertions.assertThat;

import io.litefs.ltx.Checksum;
import io.litefs.ltx.Pos;
import io.litefs.ltx.Txid;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import org.junit.jupiter.api.Test;

/** What the three forms do with values that are rare in life. */
class StatusFormsTest {

  private static final Instant NOW = Instant.parse("2026-03-14T12:00:00Z");
  private static final String EVIL = "</script><script>alert(1)</script>\u001b[31m";

  private static NodeStatus status(LeaseStatus lease, Optional<NodeStatus.Primary> primary) {
    Pos pos = new Pos(new Txid(0x113), new Checksum(1L << 63 | 5));
    NodeStatus.DatabaseStatus database =
        new NodeStatus.DatabaseStatus(
            EVIL,
            3,
            4096,
            true,
            pos,
            NOW.minusSeconds(90).toEpochMilli(),
            1,
            2,
            300,
            List.of(new NodeStatus.NamedLock("WAL_WRITE", true, true, 4711, EVIL)),
            Optional.of(
                new NodeStatus.Waiting("0000000000000114", NOW.minusSeconds(7), "sqlite3 (pid 9)")),
            List.of());
    NodeStatus.Replica replica =
        new NodeStatus.Replica(
            "00000000000000AA",
            EVIL,
            "10.0.0.2:40000",
            NOW.minusSeconds(100),
            true,
            12345,
            List.of(
                new NodeStatus.ReplicaPosition(EVIL, Optional.of(pos), 2, 700, 15_000),
                new NodeStatus.ReplicaPosition("new", Optional.empty(), 1, 4096, 500)));
    return new NodeStatus(
        NOW,
        new NodeStatus.Node(
            "00000000000000FF",
            "db1",
            "1",
            NOW.minusSeconds(3600 * 5),
            "primary",
            NOW.minusSeconds(60),
            true,
            "",
            Path.of("/litefs"),
            Path.of("/data"),
            "FUSE"),
        lease,
        primary,
        OptionalLong.empty(),
        List.of(database),
        List.of(new NodeStatus.Quarantined("bad.db", NOW, Path.of("/data/quarantine/x"), EVIL)),
        List.of(replica),
        new History.Series(2000, new double[] {1, 2}, new double[] {3, 4}, new double[] {-1, -1}),
        List.of(new EventLog.Event(NOW, "WARN", EVIL)));
  }

  @Test
  void aLeaseThatEndsIsShownWithItsTime() {
    LeaseStatus lease =
        new LeaseStatus(
            "consul", Optional.of(Duration.ofSeconds(10)), Optional.of(NOW.plusSeconds(7)));
    NodeStatus status = status(lease, Optional.empty());
    assertThat(new String(StatusJson.all(status), StandardCharsets.UTF_8))
        .contains("\"type\" : \"consul\"", "\"ttlMillis\" : 10000", "\"expiresInMillis\" : 7000");
    assertThat(StatusText.all(status)).contains("consul lease, ends in 7.0 s");
    assertThat(StatusPage.document(status)).contains("consul lease, ends in 7.0 s");
  }

  @Test
  void nothingFromOutsideBecomesMarkupOrControlsTheTerminal() {
    NodeStatus status = status(LeaseStatus.of("static"), Optional.empty());
    assertThat(StatusPage.document(status)).doesNotContain("<script>alert", "\u001b");
    assertThat(StatusText.all(status)).doesNotContain("\u001b");
  }

  @Test
  void onlyWebAddressesBecomeLinks() {
    NodeStatus evil =
        status(
            LeaseStatus.of("static"),
            Optional.of(new NodeStatus.Primary("other", URI.create("javascript:alert(1)"))));
    assertThat(StatusPage.document(evil)).doesNotContain("javascript:");
  }

  @Test
  void whatAReplicaLacksIsAddedUpAndTheOldestCounts() {
    String text = StatusText.all(status(LeaseStatus.of("static"), Optional.empty()));
    assertThat(text).contains("3 transactions, 4.8 kB, 15 s");
    assertThat(text)
        .contains("transaction 0000000000000114 has waited 7.0 s for sqlite3 (pid 9)")
        .contains("waits for WAL_WRITE")
        .contains("bad.db: NOT SERVED")
        .contains("lag unknown: not in sync yet");
  }
}
