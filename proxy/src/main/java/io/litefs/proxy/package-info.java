/**
 * The HTTP proxy in front of an application: a client reads its own writes on any node, and writes
 * on any node.
 *
 * <p>What the proxy needs to know of the node it runs on comes through two small interfaces that
 * the daemon implements: {@link io.litefs.proxy.PositionSource}, how far a database has come and a
 * way to wait for it, and {@link io.litefs.proxy.PrimaryLocator}, who is primary. It knows nothing
 * of stores, mounts and leases.
 *
 * <p>To read in this order: {@code Router} decides where a request goes; {@code Exchange} is one
 * request and its answer on their way; {@code ClientConnection} and {@code UpstreamConnection} are
 * its two ends, {@code UpstreamPool} keeps the latter; {@code RequestHead} is the gate that refuses
 * what is not plainly HTTP/1.1; {@code TxidMarks} is what clients carry.
 */
package io.litefs.proxy;
