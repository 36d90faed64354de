package io.litefs.it.bench;

import io.litefs.it.Cluster;
import io.litefs.it.Node;
import io.litefs.it.NodeConfig;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;
import java.util.function.UnaryOperator;

/**
 * What is compared: a bare directory, a cluster of litefs, and one of the peer if there is one, all
 * on the same filesystem and all up at the same time.
 */
final class Contest implements AutoCloseable {

  private final List<Cluster> clusters = new ArrayList<>();

  /**
   * @param where the filesystem
   * @param size number of nodes of each cluster
   * @param change of the nodes' configurations
   */
  Contest(Path where, int size, Optional<Path> peer, UnaryOperator<NodeConfig> change) {
    System.setProperty("litefs.it.dir", where.toString());
    try {
      clusters.add(Cluster.start(size, change));
      if (peer.isPresent()) {
        clusters.add(
            Cluster.start(size, config -> change.apply(config).launcher(peer.orElseThrow())));
      }
    } catch (Throwable e) {
      close();
      throw e;
    }
  }

  /** Litefs, then the peer. */
  List<Cluster> clusters() {
    return clusters;
  }

  Cluster litefs() {
    return clusters.get(0);
  }

  <T> List<T> each(Function<Cluster, T> what) {
    return clusters.stream().map(what).toList();
  }

  /** A file in a bare directory beside the clusters. */
  Path bare(String db) throws IOException {
    Node node = litefs().primary();
    return Files.createDirectories(node.home().resolve("bare")).resolve(db);
  }

  @Override
  public void close() {
    clusters.forEach(Cluster::close);
  }
}
