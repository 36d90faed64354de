package io.litefs.store;

import java.nio.file.Path;
import java.time.Duration;
import java.util.Set;

/**
 * How a store keeps its data.
 *
 * @param dir the data directory
 * @param compress whether the pages of LTX files are compressed (LZ4)
 * @param retention how long LTX files stay; the last one of each database always does
 * @param retentionMonitorInterval time between two looks at the retention
 * @param retentionSize bytes of one database's LTX files beyond which the oldest go before their
 *     time; 0 is no bound
 * @param divergedSize bytes of all archives of diverged databases beyond which the oldest go; 0
 *     archives nothing
 * @param replicated names of the databases that this node asks a primary for; empty is all
 * @param strictVerify whether each transaction's checksum is compared with all pages of the
 *     database after it was applied
 * @param replicaWalLimit bytes of a replica's WAL beyond which the log names the reader that keeps
 *     it; 0 for never
 */
public record StoreOptions(
    Path dir,
    boolean compress,
    Durability durability,
    Duration retention,
    Duration retentionMonitorInterval,
    long retentionSize,
    long divergedSize,
    Set<String> replicated,
    boolean strictVerify,
    long replicaWalLimit) {

  public StoreOptions {
    replicated = Set.copyOf(replicated);
  }
}
