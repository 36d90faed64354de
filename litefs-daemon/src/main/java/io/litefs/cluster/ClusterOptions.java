package io.litefs.cluster;

import java.time.Duration;

/**
 * @param candidate whether this node may be primary
 * @param reconnectDelay time between attempts to get the lease or to find a primary; positive
 */
public record ClusterOptions(boolean candidate, Duration reconnectDelay) {}
