package io.litefs.cluster;

import static org.assertj.core.api.Assertions.assertThat;

import io.litefs.lease.Lease;
import io.litefs.lease.Leaser;
import io.litefs.lease.PrimaryInfo;
import io.litefs.ltx.Checksum;
import io.litefs.ltx.Pos;
import io.litefs.ltx.Txid;
import io.litefs.replication.ChangeSink;
import io.litefs.store.ReplicaListener;
import java.io.IOException;
import java.net.URI;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.Test;

/** Who may take a lease that is free. */
class ElectionTest {

  private static final String CLUSTER = "LFSC0000000000000001";
  private static final URI PEER = URI.create("http://peer:20202");

  private final Map<URI, Peers.Standing> answers = new HashMap<>();
  private final Map<String, Pos> own = new TreeMap<>();
  private String ownCluster;
  private Optional<String> knownCluster = Optional.empty();

  private final Election election =
      new Election(new FakeLeaser(), new FakeStore(), new FakePeers());

  private static Pos at(long txid) {
    return new Pos(new Txid(txid), new Checksum(1L << 63 | txid));
  }

  private void peerIsAt(long txid, boolean candidate) {
    answers.put(
        PEER, new Peers.Standing("peer", CLUSTER, false, candidate, Map.of("a.db", at(txid))));
  }

  private void memberAt(long txid) {
    ownCluster = CLUSTER;
    knownCluster = Optional.of(CLUSTER);
    own.put("a.db", at(txid));
  }

  @Test
  void theFirstNodeOfANewClusterMayLead() throws IOException {
    assertThat(election.obstacle()).isEmpty();
  }

  @Test
  void aNodeThatIsAsFarAsTheOthersMayLead() throws IOException {
    memberAt(7);
    peerIsAt(7, true);
    assertThat(election.obstacle()).isEmpty();
    peerIsAt(6, true);
    assertThat(election.obstacle()).isEmpty();
  }

  @Test
  void aNodeLeavesTheLeaseToOneThatIsFurther() throws IOException {
    memberAt(7);
    peerIsAt(9, true);
    assertThat(election.obstacle().orElseThrow())
        .contains("peer", PEER.toString(), "2 transactions");
  }

  @Test
  void aFurtherNodeThatIsNoCandidateIsAskedOnceForWhatItHas() throws IOException {
    memberAt(7);
    peerIsAt(9, false);
    assertThat(election.obstacle().orElseThrow()).contains("2 transactions", "asking it");
    assertThat(election.toFetchFrom()).contains(PEER);
    memberAt(8);
    assertThat(election.obstacle().orElseThrow()).contains("no candidate");
    assertThat(election.toFetchFrom()).isEmpty();
    memberAt(9);
    assertThat(election.obstacle()).isEmpty();
    assertThat(election.toFetchFrom()).isEmpty();
  }

  @Test
  void aFurtherCandidateIsLeftToLead() throws IOException {
    memberAt(7);
    peerIsAt(9, true);
    assertThat(election.obstacle()).isPresent();
    assertThat(election.toFetchFrom()).isEmpty();
  }

  @Test
  void aNodeThatDoesNotAnswerIsNotWaitedFor() throws IOException {
    memberAt(7);
    assertThat(election.obstacle()).isEmpty();
  }

  @Test
  void aNodeOfAnotherClusterDoesNotCount() throws IOException {
    memberAt(7);
    answers.put(
        PEER,
        new Peers.Standing("peer", "LFSC0000000000000002", false, true, Map.of("a.db", at(9))));
    assertThat(election.obstacle()).isEmpty();
  }

  @Test
  void anEmptyNodeDoesNotLeadAClusterThatHasData() throws IOException {
    knownCluster = Optional.of(CLUSTER);
    assertThat(election.obstacle().orElseThrow()).contains("empty", CLUSTER);
  }

  @Test
  void dataWithoutAClusterIdIsNotTakenForTheClusters() throws IOException {
    memberAt(7);
    ownCluster = null;
    assertThat(election.obstacle().orElseThrow())
        .contains(CLUSTER, "no cluster id", "litefs cluster adopt " + CLUSTER);
  }

  @Test
  void dataOfAnotherClusterIsNamedByBothIds() throws IOException {
    memberAt(7);
    ownCluster = "LFSC0000000000000002";
    assertThat(election.obstacle().orElseThrow())
        .contains(CLUSTER, "LFSC0000000000000002", "lease.consul.key");
  }

  private final class FakePeers implements Peers {
    @Override
    public Standing standing(URI node) throws IOException {
      Standing standing = answers.get(node);
      if (standing == null) {
        throw new IOException("nobody");
      }
      return standing;
    }

    @Override
    public void askForLease(URI primary) {
      throw new AssertionError("an election asks nobody for a lease");
    }
  }

  private final class FakeLeaser implements Leaser {
    @Override
    public Optional<Lease> acquire() {
      throw new AssertionError("the election decides, it does not act");
    }

    @Override
    public Lease takeOver(String leaseId) {
      throw new AssertionError("the election decides, it does not act");
    }

    @Override
    public Optional<PrimaryInfo> primary() {
      return Optional.empty();
    }

    @Override
    public Optional<PrimaryInfo> awaitPrimaryOtherThan(
        Optional<PrimaryInfo> known, Duration timeout) {
      return known;
    }

    @Override
    public Optional<String> clusterId() {
      return knownCluster;
    }

    @Override
    public String establishClusterId(String proposed) {
      return proposed;
    }

    @Override
    public void announce() {}

    @Override
    public Set<URI> peers() {
      return Set.of(PEER);
    }

    @Override
    public void close() {}
  }

  private final class FakeStore implements RoleStore {
    @Override
    public String clusterId() {
      return ownCluster;
    }

    @Override
    public void adoptClusterId(String clusterId) {
      ownCluster = clusterId;
    }

    @Override
    public void prepareToLead() {
      // Nothing needs the disk here.
    }

    @Override
    public void becomePrimary(BooleanSupplier mayCommit) {}

    @Override
    public void becomeReplica(boolean candidate) {}

    @Override
    public void holdWriters(Duration patience) {}

    @Override
    public void releaseWriters() {}

    @Override
    public void awaitCommits(Duration patience) {}

    @Override
    public Map<String, Pos> positions() {
      return own;
    }

    @Override
    public ChangeSink replicaSink(ReplicaListener listener) {
      return null;
    }
  }
}
