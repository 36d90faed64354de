/**
 * The replication stream by hand: HTTP/2 frames over a plain socket, for the things that no
 * well-behaved peer does. Knows just enough of RFC 9113 and RFC 7541 for one request and its
 * answer.
 */
package io.litefs.it.net;
