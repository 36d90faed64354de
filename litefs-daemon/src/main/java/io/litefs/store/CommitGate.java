package io.litefs.store;

import io.litefs.ltx.Pos;
import io.litefs.posix.ErrnoException;
import java.nio.file.Path;

/**
 * May refuse a transaction that was made here, before it becomes part of the log. Called under the
 * database's lock.
 */
interface CommitGate {

  /** For databases that no other node has a say in. */
  CommitGate OPEN =
      new CommitGate() {
        @Override
        public void beforeRecording() {}

        @Override
        public void beforeAppend(Path file, Pos after) {}

        @Override
        public void afterAppend() {}

        @Override
        public void revoked() {}
      };

  /**
   * Before the transaction's file is begun: it would replace one of the same TXID.
   *
   * @throws ErrnoException EROFS if this node may make no transactions
   */
  void beforeRecording() throws ErrnoException;

  /**
   * The transaction's file is complete and nothing else has changed: the last moment at which it
   * can be refused without a trace.
   *
   * @param after the position that it leads to
   */
  void beforeAppend(Path file, Pos after) throws ErrnoException;

  /**
   * The transaction is the last of the log, and nobody has seen it yet: it goes again if this
   * throws. Here counts whether this node still is the primary, however long the process was
   * stopped meanwhile.
   *
   * @throws ErrnoException EROFS if it is not
   */
  void afterAppend() throws ErrnoException;

  /**
   * A transaction that {@link #beforeAppend} has let pass is not part of the log, or no longer: it
   * could not be written.
   */
  void revoked();
}
