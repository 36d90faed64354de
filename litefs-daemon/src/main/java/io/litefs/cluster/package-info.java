/**
 * The role of this node: {@link io.litefs.cluster.Cluster} is the state machine, the only place
 * where the role changes, {@link io.litefs.cluster.Role} its states. It asks the lease who is
 * primary, tells the store what it may do, and keeps the stream from the primary going while this
 * node is none.
 */
package io.litefs.cluster;
