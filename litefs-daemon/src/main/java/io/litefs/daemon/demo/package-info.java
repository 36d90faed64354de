/**
 * {@code litefs demo}: a primary and a replica on this machine, each a process of its own. {@link
 * io.litefs.daemon.demo.Demo} is the whole, {@code DemoNode} one of the two, {@code DemoCheck} what
 * {@code --check} does, with SQLite in this process: it is no daemon, so it may open the mounts'
 * files.
 */
package io.litefs.daemon.demo;
