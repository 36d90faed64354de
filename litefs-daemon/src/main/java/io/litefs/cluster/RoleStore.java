package io.litefs.cluster;

import io.litefs.replication.ChangeSink;
import io.litefs.store.ReplicaListener;
import java.io.IOException;

/**
 * What the role needs of the databases of this node; {@link io.litefs.store.Store} has all of it.
 */
public interface RoleStore {

  /** The id of the cluster that the data belongs to; null if none. */
  String clusterId();

  /** Makes the data belong to a cluster; it belongs to none yet. */
  void adoptClusterId(String clusterId) throws IOException;

  /** Accepts writes from now on. Creates a cluster id if there is none. */
  void becomePrimary() throws IOException;

  /**
   * Refuses writes from now on.
   *
   * @param candidate whether this node may become primary later
   */
  void becomeReplica(boolean candidate) throws IOException;

  /** Where the primary's changes go. */
  ChangeSink replicaSink(ReplicaListener listener);
}
