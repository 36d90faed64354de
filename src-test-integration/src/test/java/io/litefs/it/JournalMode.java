package io.litefs.it;

import java.util.Locale;

/** SQLite's journal modes that have a file; each survives a crash of the application. */
enum JournalMode {
  DELETE,
  TRUNCATE,
  PERSIST,
  WAL;

  String pragma() {
    return "PRAGMA journal_mode = " + name();
  }

  /** What SQLite answers to the pragma if it did as told. */
  String answer() {
    return name().toLowerCase(Locale.ROOT);
  }
}
