/**
 * Real SQLite in processes of its own: the {@code sqlite3} shell, Python's module and sqlite-jdbc,
 * all behind {@link io.litefs.it.sqlite.Session}. SQLite's locks belong to a process, so an
 * in-process client would test something else.
 */
package io.litefs.it.sqlite;
