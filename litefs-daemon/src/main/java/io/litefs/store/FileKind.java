package io.litefs.store;

/** The files of a database that SQLite makes, and their names in the database's directory. */
public enum FileKind {
  DATABASE("database"),
  JOURNAL("journal"),
  WAL("wal"),
  SHM("shm");

  private final String fileName;

  FileKind(String fileName) {
    this.fileName = fileName;
  }

  String fileName() {
    return fileName;
  }
}
