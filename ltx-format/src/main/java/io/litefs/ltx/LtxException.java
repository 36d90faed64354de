package io.litefs.ltx;

import java.io.IOException;

/**
 * An LTX file that cannot be used: damaged, truncated, or not an LTX file. The message is one line
 * and names the file, the field and the offset.
 */
public class LtxException extends IOException {

  private static final long serialVersionUID = 1L;

  private final String file;
  private final String field;
  private final long offset;

  /**
   * Describes one problem.
   *
   * @param file name of the file as the caller of the decoder gave it
   * @param field the field that is wrong, in the words of the format's documentation
   * @param offset where the field starts in the file, in bytes; for a field of a compressed page
   *     block, where it would start if the file were not compressed
   * @param problem what is wrong with it
   */
  public LtxException(String file, String field, long offset, String problem) {
    this(file, field, offset, problem, null);
  }

  /** The same, with the exception that revealed it. */
  public LtxException(String file, String field, long offset, String problem, Throwable cause) {
    super(file + ": " + field + " at offset " + offset + ": " + problem, cause);
    this.file = file;
    this.field = field;
    this.offset = offset;
  }

  /** The file, as named by whoever opened it. */
  public String file() {
    return file;
  }

  /** The field that is wrong. */
  public String field() {
    return field;
  }

  /** Where the field starts, in bytes from the start of the (uncompressed) file. */
  public long offset() {
    return offset;
  }
}
