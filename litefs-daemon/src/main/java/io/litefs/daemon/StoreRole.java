package io.litefs.daemon;

import io.litefs.cluster.RoleStore;
import io.litefs.replication.ChangeSink;
import io.litefs.store.ReplicaListener;
import io.litefs.store.Store;
import java.io.IOException;

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
  public void becomePrimary() throws IOException {
    store.becomePrimary();
  }

  @Override
  public void becomeReplica(boolean candidate) {
    store.becomeReplica(candidate);
  }

  @Override
  public ChangeSink replicaSink(ReplicaListener listener) {
    return store.replicaSink(listener);
  }
}
