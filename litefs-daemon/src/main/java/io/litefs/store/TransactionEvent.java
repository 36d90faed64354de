package io.litefs.store;

import io.litefs.ltx.Checksum;
import io.litefs.ltx.Txid;

/**
 * A database has a new position.
 *
 * @param commit size of the database in pages; 0 if it was dropped
 * @param timestampMillis when the transaction was made, ms since the epoch
 */
public record TransactionEvent(
    String database,
    Txid txid,
    Checksum postApply,
    int pageSize,
    long commit,
    long timestampMillis) {}
