/**
 * Running the commands that the daemon was told to run: {@link io.litefs.daemon.exec.ShellWords}
 * splits a command line, {@link io.litefs.daemon.exec.Supervisor} runs the commands one after the
 * other and passes signals on, {@link io.litefs.daemon.exec.ForwardedSignal} says which.
 */
package io.litefs.daemon.exec;
