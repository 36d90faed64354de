package io.litefs.store;

import io.litefs.fuse.Keepers;
import io.litefs.fuse.KernelCache;
import io.litefs.posix.ErrnoException;
import io.litefs.posix.PosixFile;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.Set;
import java.util.function.Consumer;
import java.util.stream.Stream;

/** A store on a data directory without a mount, and databases made by SQLite elsewhere. */
final class StoreFixture implements AutoCloseable {

  /** One that has cached nothing, and tells a test what it hears. */
  static final class Kernel implements KernelCache {

    /** Gets the name of a file whenever a page of it was written, before the next one is. */
    volatile Consumer<String> stored = name -> {};

    /** Gets the name of a file that was cut, removed or made. */
    volatile Consumer<String> invalidated = name -> {};

    @Override
    public void store(String name, long offset, ByteBuffer data) {
      stored.accept(name);
    }

    /**
     * The next page but one that this thread writes to the database file does not go through; after
     * that all is well.
     */
    void failOnce(Database database) {
      Thread thread = Thread.currentThread();
      stored =
          name -> {
            if (name.equals(database.name()) && Thread.currentThread() == thread) {
              stored = any -> {};
              reopen(database, PosixFile.O_RDWR);
            }
          };
    }

    /** Has everybody who has the database file open now fail. */
    static void reopen(Database database, int flags) {
      BackingFile file = database.file(FileKind.DATABASE);
      try {
        file.swap(PosixFile.open(file.path(), flags, 0)).close();
      } catch (ErrnoException e) {
        throw new UncheckedIOException(e);
      }
    }

    @Override
    public void invalidate(String name, long offset, long length) {
      invalidated.accept(name);
    }

    @Override
    public void invalidateAttributes(String name) {}

    @Override
    public void invalidateEntry(String name) {
      invalidated.accept(name);
    }

    @Override
    public void later(Runnable notification) {}
  }

  final Path dir;
  Store store;

  /** Takes effect when the store is opened again. */
  long divergedSize = 1L << 30;

  private final KernelCache kernel;
  private final Keepers keepers;
  private final Path mount;

  StoreFixture(Path dir) throws IOException {
    this(dir, null, dir.resolve("no-mount"));
  }

  /**
   * @param mount where {@code keepers} find the files in the place of a mount
   */
  StoreFixture(Path dir, Keepers keepers, Path mount) throws IOException {
    this(dir, new Kernel(), keepers, mount);
  }

  StoreFixture(Path dir, KernelCache kernel, Keepers keepers, Path mount) throws IOException {
    this.dir = dir;
    this.kernel = kernel;
    this.keepers = keepers;
    this.mount = mount;
    open();
  }

  void open() throws IOException {
    store =
        Store.open(
            new StoreOptions(
                dir,
                true,
                Durability.APPLICATION,
                Duration.ofMinutes(10),
                Duration.ofMinutes(1),
                0,
                divergedSize,
                Set.of(),
                false,
                0),
            kernel,
            keepers,
            mount);
    store.becomePrimary();
  }

  Path file(String database, String name) {
    return dir.resolve("dbs").resolve(database).resolve(name);
  }

  void importFile(String name, Path database) throws IOException {
    store.importDatabase(name, new ByteArrayInputStream(Files.readAllBytes(database)));
  }

  /** Writes over a database as cp does it: nothing of this needs a mount. */
  void overwrite(String name, Path with) throws IOException {
    byte[] content = Files.readAllBytes(with);
    Database database = store.find(name);
    BackingFile file = database.acquire(FileKind.DATABASE, false);
    database.truncateDatabase(file, 0);
    database.writeDatabase(file, direct(content, 0, content.length), 0);
    database.closedAfterWriting(file, true);
    file.release();
  }

  /**
   * Writes to a database what SQLite would in a transaction, all but the end of its journal.
   *
   * @param copy the database as it is; it has the transaction afterwards
   * @return what the database is then
   */
  static byte[] writeUnderAJournal(Database database, Path copy, String statement)
      throws IOException, SQLException {
    byte[] journal;
    try (Connection connection = connect(copy)) {
      execute(
          connection,
          "PRAGMA synchronous = OFF", // so that the journal's header counts at once
          "BEGIN",
          "PRAGMA user_version = 1", // page 1 now, not with the commit
          statement);
      journal = Files.readAllBytes(copy.resolveSibling(copy.getFileName() + "-journal"));
      execute(connection, "COMMIT");
    }
    byte[] content = Files.readAllBytes(copy);
    BackingFile undo = database.acquire(FileKind.JOURNAL, true);
    database.journal().write(undo, direct(journal, 0, journal.length), 0);
    BackingFile file = database.acquire(FileKind.DATABASE, false);
    database.writeDatabase(file, direct(content, 0, content.length), 0);
    file.release();
    undo.release();
    return content;
  }

  byte[] export(String name) throws IOException {
    try (Export export = store.export(name, false)) {
      return export.stream().readAllBytes();
    }
  }

  static Connection connect(Path database) throws SQLException {
    return DriverManager.getConnection("jdbc:sqlite:" + database);
  }

  static void execute(Path database, String... statements) throws SQLException {
    try (Connection connection = connect(database)) {
      execute(connection, statements);
    }
  }

  static void execute(Connection connection, String... statements) throws SQLException {
    try (Statement statement = connection.createStatement()) {
      for (String sql : statements) {
        statement.execute(sql);
      }
    }
  }

  /** Copies a directory with all that is in it. */
  static void copy(Path from, Path to) throws IOException {
    try (Stream<Path> all = Files.walk(from)) {
      for (Path each : (Iterable<Path>) all::iterator) {
        Path target = to.resolve(from.relativize(each).toString());
        if (Files.isDirectory(each)) {
          Files.createDirectories(target);
        } else {
          Files.copy(each, target, StandardCopyOption.COPY_ATTRIBUTES);
        }
      }
    }
  }

  static ByteBuffer direct(byte[] bytes, int from, int to) {
    return ByteBuffer.allocateDirect(to - from).put(bytes, from, to - from).flip();
  }

  @Override
  public void close() {
    try {
      store.close();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
