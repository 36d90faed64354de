/**
 * Real mounts and real processes. A {@link io.litefs.it.Node} is a daemon, a {@link
 * io.litefs.it.Cluster} a primary with its replicas, {@link io.litefs.it.sqlite.Session} an
 * application. The daemon is seen only as a user sees it: command line, mount, data directory, HTTP
 * API.
 */
package io.litefs.it;
