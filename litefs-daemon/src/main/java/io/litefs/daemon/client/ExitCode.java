package io.litefs.daemon.client;

/**
 * What the process tells the shell. {@code mount} with a command ends with the command's own code
 * instead, 128 plus the number of the signal that ended it, 126 if it cannot be run, 127 if it is
 * not there.
 */
public final class ExitCode {

  public static final int OK = 0;

  /** What was asked for could not be done. */
  public static final int FAILURE = 1;

  /** The command line or the configuration is wrong. */
  public static final int USAGE = 2;

  /** For the help texts. */
  public static final String HELP_OK = "0:done";

  public static final String HELP_FAILURE = "1:failed; the reason is on standard error";
  public static final String HELP_USAGE = "2:the command line or the configuration is wrong";

  private ExitCode() {}
}
