/** {@code litefs ltx}: transaction files as files, without a node. */
package io.litefs.daemon.ltx;
