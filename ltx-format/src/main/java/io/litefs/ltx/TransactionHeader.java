package io.litefs.ltx;

/** What the headers of both versions say; the components are explained in {@link LtxHeader}. */
public sealed interface TransactionHeader permits LtxHeader, Ltx3Header {

  /** In bytes. */
  int pageSize();

  /** Size of the database in pages after the last transaction. */
  long commit();

  /** First transaction in the file. */
  Txid minTxid();

  /** Last transaction in the file. */
  Txid maxTxid();

  /** In ms since the epoch. */
  long timestampMillis();

  /** Checksum of the database before the first transaction. */
  Checksum preApply();

  /** In bytes; 0 in rollback-journal mode. */
  long walOffset();

  /** In bytes. */
  long walSize();

  /** First salt of the WAL. */
  int walSalt1();

  /** Second salt of the WAL. */
  int walSalt2();

  /** The node that made the file. */
  long nodeId();

  /** Whether the file holds the whole database, which it does if its min TXID is 1. */
  default boolean isSnapshot() {
    return minTxid().value() == 1;
  }

  /** Whether the file says what checksum the database has before and after. Always in version 1. */
  default boolean hasDatabaseChecksums() {
    return true;
  }
}
