/**
 * Who is primary: the lease.
 *
 * <p>At any time at most one node of a cluster holds the lease, and only its holder may accept
 * writes. {@link io.litefs.lease.Leaser} is one node's access to it, {@link io.litefs.lease.Lease}
 * what the holder has in hand. {@link io.litefs.lease.StaticLeaser} takes the answer from the
 * configuration.
 *
 * <p>This module decides nothing: when to ask for the lease, what to do when it is lost, and in
 * which order, is for the role's state machine in the daemon. It depends on no other module of
 * ours.
 */
package io.litefs.lease;
