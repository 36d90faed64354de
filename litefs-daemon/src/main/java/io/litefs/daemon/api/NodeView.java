package io.litefs.daemon.api;

/**
 * What the API tells about this node at one moment.
 *
 * @param clusterId null or empty if it belongs to none yet
 * @param isPrimary whether it is the primary
 * @param candidate whether it may be
 * @param path the mount point
 * @param primaryHostname the primary's name; null or empty if none is known, or if this node is it
 */
public record NodeView(
    String clusterId, boolean isPrimary, boolean candidate, String path, String primaryHostname) {}
