package io.litefs.daemon;

import io.litefs.cluster.RoleStore;
import io.litefs.ltx.Pos;
import io.litefs.replication.ChangeSink;
import io.litefs.store.ReplicaListener;
import io.litefs.store.Store;
import java.io.IOException;
import java.time.Duration;
import java.util.Map;
import java.util.function.BooleanSupplier;

/** The store, as the cluster sees it. */
record StoreRole(Store store) implements RoleStore {

  @Override
  public String clusterId() {
    return store.clusterId();
  }

  @Override
  public void adoptClusterId(String clusterId) throws IOException {
    store.adoptClusterId(clusterId);
  }

  @Override
  public void prepareToLead() {
    store.prepareToLead();
  }

  @Override
  public void becomePrimary(BooleanSupplier mayCommit) throws IOException {
    store.becomePrimary(mayCommit);
  }

  @Override
  public void becomeReplica(boolean candidate) {
    store.becomeReplica(candidate);
  }

  @Override
  public void holdWriters(Duration patience) throws IOException {
    store.holdWriters(patience);
  }

  @Override
  public void releaseWriters() {
    store.releaseWriters();
  }

  @Override
  public void awaitCommits(Duration patience) throws IOException {
    store.awaitCommits(patience);
  }

  @Override
  public Map<String, Pos> positions() {
    return store.receivedPositions();
  }

  @Override
  public ChangeSink replicaSink(ReplicaListener listener) {
    return store.replicaSink(listener);
  }
}
