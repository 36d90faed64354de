/**
 * What an operator sees of a node. {@link io.litefs.daemon.status.StatusCollector} looks at all
 * parts and makes one {@code NodeStatus}, a tree of values; {@code StatusPage}, {@code StatusJson}
 * and {@code StatusText} each put it into another form; {@link
 * io.litefs.daemon.status.StatusHandler} and {@link io.litefs.daemon.status.StatusStreamHandler}
 * answer requests with it.
 *
 * <p>To look must not disturb: no lock is taken that a commit waits for, and the mount is not
 * touched.
 */
package io.litefs.daemon.status;
