/**
 * The HTTP proxy in front of an application: a client reads its own writes on any node, and writes
 * on any node.
 *
 * <p>What the proxy needs to know of the node it runs on comes through two small interfaces that
 * the daemon implements: {@link io.litefs.proxy.PositionSource}, how far a database has come and a
 * way to wait for it, and {@link io.litefs.proxy.PrimaryLocator}, who is primary. It knows nothing
 * of stores, mounts and leases, and can be tested with fakes. So far these interfaces are all that
 * is here.
 */
package io.litefs.proxy;
