package io.litefs.store;

import io.litefs.fuse.LockHolder;
import io.litefs.ltx.Txid;
import java.time.Instant;
import java.util.Optional;

/**
 * A transaction that waits for applications before it can be applied to a replica's database.
 *
 * @param txid of the transaction
 * @param since when it began to wait
 * @param holder who held the lock when it was last looked for; empty if nobody did
 */
public record LockWait(Txid txid, Instant since, Optional<LockHolder> holder) {}
