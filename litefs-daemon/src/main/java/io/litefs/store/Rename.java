package io.litefs.store;

import io.litefs.posix.Errno;
import io.litefs.posix.ErrnoException;
import io.litefs.sqlite.DatabaseHeader;
import java.io.IOException;
import java.util.Optional;

/**
 * Has a database take over the content of another one, which ceases to exist: replicated as
 * creation there and drop here.
 */
final class Rename {

  private final Store store;
  private final Database source;
  private final Database target;

  Rename(Store store, Database source, Database target) {
    this.store = store;
    this.source = source;
    this.target = target;
  }

  /**
   * The caller holds no lock.
   *
   * @throws ErrnoException EBUSY if the source has a WAL or a journal, EIO if it is no complete
   *     database
   */
  void run() throws ErrnoException {
    store.requireWritable(target.name());
    target.access().requireNotHalted();
    source.access().requireNotHalted();
    boolean hasWal =
        source.file(FileKind.WAL) != null && (source.wal().isActive() || source.wal().isApplied());
    if (hasWal || source.journal().isActive()) {
      throw new ErrnoException(
          Errno.EBUSY,
          "rename of "
              + source.name()
              + ": it has a WAL or a journal; close its connections first");
    }
    target.change(true, this::move);
    source.drop();
    store.namesChanged(target.name());
  }

  /** Under both of the target's locks. */
  private void move() throws IOException {
    BackingFile moved = source.file(FileKind.DATABASE);
    Optional<String> reason =
        moved.size() == 0
            ? Optional.empty()
            : DatabaseHeader.incompleteReason(target.pages().beginning(moved), moved.size());
    if (reason.isPresent()) {
      throw new ErrnoException(
          Errno.EIO, "rename of " + source.name() + " to " + target.name() + ": " + reason.get());
    }
    if (moved.size() > 0) {
      DatabaseHeader header = target.pages().header(moved);
      moved.file().fsync(); // as for what arrives otherwise
      target.access().irrevocably(() -> target.recordWhole(moved, header));
    }
    target.removeFiles();
    target.files().adopt(FileKind.DATABASE, source.files());
  }
}
