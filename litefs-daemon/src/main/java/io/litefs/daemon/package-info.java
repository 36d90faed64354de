/**
 * The executable: command line, wiring, life cycle. Read {@link io.litefs.daemon.Main} for the
 * commands, {@code Node} for the order in which the parts of a node start and stop. {@code client}
 * deals with a running node and with the user, {@code api} answers HTTP requests, {@code exec} runs
 * the application, {@code demo} is the demonstration.
 *
 * <p>Exit codes: see {@link io.litefs.daemon.client.ExitCode}.
 */
package io.litefs.daemon;
