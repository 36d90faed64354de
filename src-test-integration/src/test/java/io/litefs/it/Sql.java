package io.litefs.it;

/** Statements that many tests share. */
final class Sql {

  static final String CREATE = "CREATE TABLE t(id INTEGER PRIMARY KEY, a INTEGER, b BLOB)";

  private Sql() {}

  /**
   * Inserts {@code count} rows with {@code blobBytes} incompressible bytes each, in one
   * transaction.
   */
  static String insert(int count, int blobBytes) {
    return "INSERT INTO t(a, b) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < "
        + count
        + ") SELECT i, randomblob("
        + blobBytes
        + ") FROM n";
  }
}
