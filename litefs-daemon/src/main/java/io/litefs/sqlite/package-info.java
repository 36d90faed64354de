/**
 * SQLite's file formats, as far as a filesystem under SQLite must understand them: the database
 * header, the rollback journal, the write-ahead log and the wal-index. Nothing here opens a file,
 * takes a lock or knows what a transaction of ours is; files are seen through {@link
 * io.litefs.sqlite.ByteSource}, {@link io.litefs.sqlite.ReadableFile} and {@link
 * io.litefs.sqlite.WritableFile}.
 *
 * <p>The authority is SQLite's documentation: "Database File Format" (fileformat2.html), "WAL-mode
 * File Format" (walformat.html), "File Locking And Concurrency In SQLite Version 3"
 * (lockingv3.html). Javadoc here names them by these file names.
 *
 * <p>Reading order: {@link io.litefs.sqlite.DatabaseHeader}; {@link io.litefs.sqlite.Journal},
 * {@link io.litefs.sqlite.JournalReader}, {@link io.litefs.sqlite.JournalRollback}; {@link
 * io.litefs.sqlite.Wal}, {@link io.litefs.sqlite.WalScanner}, {@link io.litefs.sqlite.WalEncoder};
 * {@link io.litefs.sqlite.WalIndex} and its parts; {@link io.litefs.sqlite.LockBytes}.
 *
 * <p>Page numbers, page counts and frame numbers are unsigned 32-bit in the files and {@code long}
 * here. Records are immutable; everything else belongs to one thread at a time.
 */
package io.litefs.sqlite;
