package io.litefs.ltx;

/** A header component out of range, as the records' constructors say it; knows field and offset. */
final class HeaderFieldException extends IllegalArgumentException {

  private static final long serialVersionUID = 1L;

  private final String field;
  private final int offset;
  private final String problem;

  HeaderFieldException(String field, int offset, String problem) {
    super("LTX header: " + field + ": " + problem);
    this.field = field;
    this.offset = offset;
    this.problem = problem;
  }

  /** The same as the decoder of a file says it. */
  LtxException in(String file) {
    return new LtxException(file, field, offset, problem);
  }
}
