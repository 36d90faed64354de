package io.litefs.store;

import java.nio.file.Path;
import java.time.Duration;

/**
 * How a store keeps its data.
 *
 * @param dir the data directory
 * @param compress whether the pages of LTX files are compressed (LZ4)
 * @param retention how long LTX files stay; the last one of each database always does
 * @param retentionMonitorInterval time between two looks at the retention
 * @param strictVerify whether each transaction's checksum is compared with all pages of the
 *     database after it was applied
 */
public record StoreOptions(
    Path dir,
    boolean compress,
    Durability durability,
    Duration retention,
    Duration retentionMonitorInterval,
    boolean strictVerify) {}
