package io.litefs.store;

import io.litefs.ltx.Checksum;
import io.litefs.ltx.LtxHeader;
import io.litefs.ltx.Pos;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.UUID;

/**
 * What of a database is durable without its log: recovery starts here and plays the log's later
 * files over it.
 *
 * @param state the database's state that its file together with its WAL up to {@code wal} holds
 * @param wal where the WAL ended then
 * @param clean whether the daemon ended in order after this: nothing happened since
 * @param boot which boot of the machine it was written in, see {@link #currentBoot}
 * @param last what the log's last file was, which leads to this state and was on disk; null if the
 *     daemon did not end in order, or this is not known
 */
record Base(DatabaseState state, WalEnd wal, boolean clean, long boot, LastFile last) {

  /** One after which the daemon goes on. */
  Base(DatabaseState state, WalEnd wal, long boot) {
    this(state, wal, false, boot, null);
  }

  /**
   * Whether it says nothing, because a snapshot has taken the place of the log or is to be applied:
   * {@link BaseKeeper#logIsReplaced}. The whole log is played then.
   */
  boolean givesWay() {
    return state.pos().equals(Pos.ZERO);
  }

  /**
   * By what a file of the log is known again without reading it.
   *
   * @param size in bytes
   * @param checksum of all that is in it, as its trailer has it
   */
  record LastFile(long size, Checksum checksum) {}

  /** Differs from boot to boot of this machine; 0 if the kernel does not tell. */
  static long currentBoot() {
    try {
      UUID id =
          UUID.fromString(Files.readString(Path.of("/proc/sys/kernel/random/boot_id")).strip());
      return id.getMostSignificantBits() ^ id.getLeastSignificantBits();
    } catch (IOException | IllegalArgumentException e) {
      return 0;
    }
  }

  /**
   * A place in the WAL up to which its frames are in the log.
   *
   * @param offset in bytes; 0 if there was no WAL
   * @param applied whether the frames are the daemon's own, written on a replica: then the WAL
   *     never has a transaction that the log lacks, and the log's files do not say where they are
   *     in it
   */
  record WalEnd(int salt1, int salt2, long offset, boolean applied) {

    static final WalEnd NONE = new WalEnd(0, 0, 0, false);

    /** Where a transaction of the log ends in the WAL that it was captured from. */
    static WalEnd of(LtxHeader header) {
      return header.walSize() == 0
          ? NONE
          : new WalEnd(
              header.walSalt1(), header.walSalt2(), header.walOffset() + header.walSize(), false);
    }

    boolean isIn(int otherSalt1, int otherSalt2) {
      return offset > 0 && salt1 == otherSalt1 && salt2 == otherSalt2;
    }
  }
}
