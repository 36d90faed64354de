package io.litefs.cluster;

import io.litefs.lease.PrimaryInfo;
import java.time.Duration;

/**
 * @param self what the other nodes know of this one
 * @param elected whether nodes compete for the lease; if not, the configuration has given it away
 * @param candidate whether this node may be primary
 * @param promote whether this node asks for the lease once it is in sync
 * @param reconnectDelay time between attempts to get the lease or to find a primary; positive
 * @param demoteDelay how long this node leaves the lease to others after it has handed it over
 */
public record ClusterOptions(
    PrimaryInfo self,
    boolean elected,
    boolean candidate,
    boolean promote,
    Duration reconnectDelay,
    Duration demoteDelay) {}
