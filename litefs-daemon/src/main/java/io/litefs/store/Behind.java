package io.litefs.store;

/**
 * What a replica of a database lacks.
 *
 * @param transactions how many
 * @param bytes size of their LTX files; of the whole database if the replica will get that. An
 *     estimate when there are more than {@value #EXACT} transactions
 * @param since when the first of them was committed, ms since the epoch; 0 if its file is gone
 */
public record Behind(long transactions, long bytes, long since) {

  /** How many files are looked at; the rest is taken to be as large on average. */
  static final int EXACT = 256;

  /** Nothing. */
  public static final Behind NOTHING = new Behind(0, 0, 0);
}
