package io.litefs.daemon.client;

/** Ends a command. The message is one line for the user: what, why, what to do. */
public final class CommandException extends Exception {

  private static final long serialVersionUID = 1L;

  private final int exitCode;

  CommandException(int exitCode, String message, Throwable cause) {
    super(message, cause);
    this.exitCode = exitCode;
  }

  /** A failure with exit code 1. */
  public CommandException(String message, Throwable cause) {
    this(ExitCode.FAILURE, message, cause);
  }

  /** A failure with exit code 1. */
  public CommandException(String message) {
    this(message, null);
  }

  /** A wrong command line or configuration. */
  public static CommandException usage(String message, Throwable cause) {
    return new CommandException(ExitCode.USAGE, message, cause);
  }

  public int exitCode() {
    return exitCode;
  }
}
