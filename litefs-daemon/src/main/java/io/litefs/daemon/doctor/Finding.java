package io.litefs.daemon.doctor;

/**
 * What a check found.
 *
 * @param what the thing, in a word or two
 * @param text what is so, one line
 * @param remedy what to do; empty if all is well
 */
public record Finding(Level level, String what, String text, String remedy) {

  /** How bad it is. */
  public enum Level {
    OK,
    /** It works, and may hurt later. */
    WARN,
    /** litefs does not work, or not safely. */
    FAIL
  }

  static Finding ok(String what, String text) {
    return new Finding(Level.OK, what, text, "");
  }

  static Finding warn(String what, String text, String remedy) {
    return new Finding(Level.WARN, what, text, remedy);
  }

  static Finding fail(String what, String text, String remedy) {
    return new Finding(Level.FAIL, what, text, remedy);
  }
}
