package io.litefs.config;

import java.nio.file.Path;
import java.time.Duration;

/**
 * Where and how databases and transactions are kept.
 *
 * @param dir data directory (default {@code /var/lib/litefs})
 * @param compress whether LTX files are compressed with LZ4 (default true)
 * @param retention how long LTX files are kept (default 10 minutes); the newest file of a database
 *     always is
 * @param retentionMonitorInterval how often expired LTX files are looked for (default 1 minute);
 *     positive
 * @param durability when a commit is durable
 * @param retentionSize bytes of LTX files beyond which the oldest go before their time; 0 (default)
 *     is no such bound
 * @param divergedSize bytes that archives of diverged databases may take in all before the oldest
 *     go (default 1 GiB); 0 archives nothing
 * @param replicaWalLimit bytes that a replica's WAL may grow to while a reader keeps it from
 *     restarting, before the log warns of that reader (default 1 GiB); 0 never warns
 */
public record DataConfig(
    Path dir,
    boolean compress,
    Duration retention,
    Duration retentionMonitorInterval,
    Durability durability,
    long retentionSize,
    long divergedSize,
    long replicaWalLimit) {

  public DataConfig withDir(Path dir) {
    return new DataConfig(
        dir,
        compress,
        retention,
        retentionMonitorInterval,
        durability,
        retentionSize,
        divergedSize,
        replicaWalLimit);
  }
}
