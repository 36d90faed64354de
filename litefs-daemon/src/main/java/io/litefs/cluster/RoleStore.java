package io.litefs.cluster;

import io.litefs.ltx.Pos;
import io.litefs.replication.ChangeSink;
import io.litefs.store.ReplicaListener;
import java.io.IOException;
import java.time.Duration;
import java.util.Map;
import java.util.function.BooleanSupplier;

/**
 * What the role needs of the databases of this node; {@link io.litefs.store.Store} has all of it.
 */
public interface RoleStore {

  /** The id of the cluster that the data belongs to; null if none. */
  String clusterId();

  /** Makes the data belong to a cluster; it belongs to none yet. */
  void adoptClusterId(String clusterId) throws IOException;

  /**
   * On a replica that is about to lead: does beforehand what {@link #becomePrimary} would wait for.
   * If it comes to nothing, {@link #becomeReplica} and the next transaction undo it.
   */
  void prepareToLead();

  /**
   * Accepts writes from now on, as long as {@code mayCommit} says so at the instant of each commit.
   * Creates a cluster id if there is none.
   */
  void becomePrimary(BooleanSupplier mayCommit) throws IOException;

  /**
   * On a primary: waits for the writers that are at work and keeps others waiting, until {@link
   * #releaseWriters} or {@link #becomeReplica}.
   *
   * @throws IOException naming the writer that does not end in time; none is kept waiting then
   */
  void holdWriters(Duration patience) throws IOException;

  void releaseWriters();

  /**
   * Waits until every commit that the lease has let pass can be seen by replicas. Not all writers
   * can be held: some take no locks, and a database may just be coming into being.
   *
   * @throws IOException naming the database, if a commit does not end in time
   */
  void awaitCommits(Duration patience) throws IOException;

  /** The position of each database, as far as it was received. */
  Map<String, Pos> positions();

  /**
   * Refuses writes from now on.
   *
   * @param candidate whether this node may become primary later
   */
  void becomeReplica(boolean candidate) throws IOException;

  /** Where the primary's changes go. */
  ChangeSink replicaSink(ReplicaListener listener);
}
