package io.litefs.store;

import java.io.IOException;
import java.nio.file.Path;

/** The cluster id of a data directory that no daemon uses. */
public final class DataDirectoryCluster {

  private DataDirectoryCluster() {}

  /**
   * Makes the data belong to a cluster.
   *
   * @throws StoreException if it belongs to another one, or {@code id} is no cluster id
   */
  public static void adopt(Path dataDir, String id) throws IOException {
    ClusterIdFile file = new ClusterIdFile(dataDir);
    if (file.get() != null && !file.get().equals(id)) {
      throw new StoreException(
          dataDir + " belongs to cluster " + file.get() + " already, which is not " + id);
    }
    file.adopt(id);
  }
}
