/**
 * The replication stream and the HTTP server that carries it.
 *
 * <p>Read in this order: {@link io.litefs.replication.StreamFrame} has the protocol byte by byte,
 * {@code PositionMap} its request; {@link io.litefs.replication.StreamHandler} with {@code
 * ReplicaStream} is the primary's end, {@link io.litefs.replication.StreamClient} with {@code
 * StreamConnection} the replica's. What a node has and what it does with what it gets lies behind
 * {@link io.litefs.replication.ChangeSource} and {@link io.litefs.replication.ChangeSink}.
 *
 * <p>{@link io.litefs.replication.ApiServer} is a small HTTP server with blocking handlers ({@link
 * io.litefs.replication.Exchange}) over Netty: {@code ProtocolDetector} tells HTTP/1.1 from HTTP/2,
 * {@code Http1Connection} and {@code Http2Exchange} feed a {@code BodyInput} and drain a {@code
 * BodyOutput}, which are where event loops, that never wait, meet threads that do. Both are
 * bounded: a peer that does not read costs memory of a fixed size and one thread, nothing else.
 */
package io.litefs.replication;
