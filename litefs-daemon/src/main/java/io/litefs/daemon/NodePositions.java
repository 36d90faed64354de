package io.litefs.daemon;

import io.litefs.daemon.api.WaitHandler;
import io.litefs.ltx.Pos;
import io.litefs.ltx.Txid;
import io.litefs.replication.StreamHandler;
import io.litefs.store.Database;
import io.litefs.store.Store;
import java.time.Duration;

/** Positions of this node and of its replicas, to wait for. */
record NodePositions(Store store, StreamHandler streams) implements WaitHandler.Positions {

  @Override
  public boolean awaitHere(String database, Txid txid, Duration timeout)
      throws InterruptedException {
    return store.awaitTxid(database, txid, timeout);
  }

  @Override
  public boolean awaitReplicas(String database, Txid txid, int replicas, Duration timeout)
      throws InterruptedException {
    return streams.acknowledgements().await(database, txid, replicas, timeout);
  }

  @Override
  public Pos position(String database) {
    Database found = store.find(database);
    return found == null ? null : found.pos();
  }

  @Override
  public boolean isPrimary() {
    return store.isPrimary();
  }
}
