package io.litefs.mount;

import io.litefs.fuse.FileSystem;
import io.litefs.fuse.MountedFile;
import io.litefs.fuse.OpenFile;
import io.litefs.fuse.OpenRequest;
import io.litefs.posix.Errno;
import io.litefs.posix.ErrnoException;
import io.litefs.store.BackingFile;
import io.litefs.store.Database;
import io.litefs.store.FileKind;
import io.litefs.store.Store;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The mounted directory: databases, their companions, and the virtual files. */
public final class Namespace implements FileSystem {

  private static final Logger log = LoggerFactory.getLogger(Namespace.class);

  private final Store store;
  private final PrimaryView primary;
  private final LockLinks locks;

  /**
   * @param locks where {@code <db>-lock} leads to
   */
  public Namespace(Store store, PrimaryView primary, LockLinks locks) {
    this.store = store;
    this.primary = primary;
    this.locks = locks;
  }

  private FileName parse(String name) {
    return FileName.parse(name, this::exists);
  }

  private boolean exists(String name) {
    Database database = store.find(name);
    return database != null && database.file(FileKind.DATABASE) != null;
  }

  @Override
  public MountedFile lookup(String name) throws ErrnoException {
    FileName file = parse(name);
    if (file.kind() == FileName.Kind.PRIMARY) {
      return primary.primaryHostname() == null
          ? null
          : VirtualFile.of(() -> primary.primaryHostname() + "\n", primary::lastHeardMillis);
    }
    if (file.kind() == FileName.Kind.LAG) {
      return VirtualFile.of(
          () -> "%+010d\n".formatted(primary.lagMillis()), primary::lastHeardMillis);
    }
    Database database = store.find(file.database());
    if (database == null || database.file(FileKind.DATABASE) == null) {
      store.requireNotQuarantined(file.database());
      return null;
    }
    return switch (file.kind()) {
      case DATABASE -> new DatabaseFile(store, database);
      case JOURNAL -> ifPresent(database, FileKind.JOURNAL, new JournalFile(database));
      case WAL -> ifPresent(database, FileKind.WAL, new WalFile(database));
      case SHM -> ifPresent(database, FileKind.SHM, new ShmFile(database));
      case POSITION ->
          VirtualFile.of(() -> database.settledPos() + "\n", database::lastTransactionMillis);
      case LOCK -> new LockLink(name, locks, database::lastTransactionMillis);
      case SUPER_JOURNAL -> SuperJournalFile.find(store, database, name);
      case PRIMARY, LAG -> throw new AssertionError("handled above");
    };
  }

  private static MountedFile ifPresent(Database database, FileKind kind, MountedFile file) {
    return database.file(kind) == null ? null : file;
  }

  @Override
  public OpenFile create(String name, int mode, OpenRequest request) throws ErrnoException {
    FileName file = parse(name);
    MountedFile existing = lookup(name);
    if (existing != null) {
      if (request.exclusive()) {
        throw new ErrnoException(Errno.EEXIST, name);
      }
      return existing.open(request);
    }
    return switch (file.kind()) {
      case DATABASE -> {
        store.requireWritable(name);
        yield new DatabaseFile(store, store.findOrCreate(name)).create(request);
      }
      case JOURNAL -> new JournalFile(store.find(file.database())).create(request);
      case WAL -> new WalFile(store.find(file.database())).create(request);
      case SHM -> new ShmFile(store.find(file.database())).create(request);
      case SUPER_JOURNAL ->
          SuperJournalFile.create(store, store.find(file.database()), name, request);
      case POSITION, LOCK, PRIMARY, LAG -> throw refused("create", name);
    };
  }

  @Override
  public void unlink(String name, OpenRequest request) throws ErrnoException {
    FileName file = parse(name);
    MountedFile existing = lookup(name);
    if (existing == null) {
      throw new ErrnoException(Errno.ENOENT, name);
    }
    Database database = store.find(file.database());
    switch (file.kind()) {
      case DATABASE -> database.drop();
      case JOURNAL -> database.journal().unlink();
      case WAL -> database.wal().unlink();
      case SHM -> database.wal().unlinkIndex();
      case SUPER_JOURNAL -> SuperJournalFile.unlink(store, database, name);
      case POSITION, LOCK, PRIMARY, LAG -> throw refused("unlink", name);
    }
  }

  @Override
  public void rename(String from, String to, OpenRequest request) throws ErrnoException {
    FileName source = parse(from);
    if (source.kind() != FileName.Kind.DATABASE || parse(to).kind() != FileName.Kind.DATABASE) {
      throw refused("rename to " + to + " of", from);
    }
    store.requireWritable(from);
    store.rename(from, to);
  }

  private ErrnoException refused(String operation, String name) {
    log.warn("refused to {} {}: litefs itself provides this file", operation, name);
    return new ErrnoException(Errno.EPERM, operation + " " + name);
  }

  @Override
  public List<String> list() {
    List<String> names = new ArrayList<>();
    if (primary.primaryHostname() != null) {
      names.add(FileName.PRIMARY_NAME);
    }
    names.add(FileName.LAG_NAME);
    for (Database database : store.databaseList()) {
      String name = database.name();
      if (database.file(FileKind.DATABASE) == null) {
        continue;
      }
      names.add(name);
      names.add(name + "-pos");
      addIfPresent(names, database, FileKind.JOURNAL, "-journal");
      addIfPresent(names, database, FileKind.WAL, "-wal");
      addIfPresent(names, database, FileKind.SHM, "-shm");
    }
    return names;
  }

  private static void addIfPresent(
      List<String> names, Database database, FileKind kind, String suffix) {
    Optional.ofNullable(database.file(kind))
        .map((BackingFile file) -> database.name() + suffix)
        .ifPresent(names::add);
  }
}
