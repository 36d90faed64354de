package io.litefs.daemon.ltx;

import io.litefs.daemon.client.CommandException;
import io.litefs.ltx.Checksum;
import io.litefs.ltx.LtxReader;
import io.litefs.ltx.PageChecksum;
import io.litefs.ltx.PageSize;
import io.litefs.ltx.Pos;
import io.litefs.ltx.TransactionHeader;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.List;

/** Applies LTX files to a plain database file, by way of a copy that takes its place at the end. */
public final class LtxApply {

  private final Path database;
  private final boolean version3;

  public LtxApply(Path database, boolean version3) {
    this.database = database;
    this.version3 = version3;
  }

  /**
   * Returns the position after the last file.
   *
   * @throws CommandException if a file does not follow the database or the one before, or if the
   *     result does not have the checksum that it should have; the database is as it was then
   */
  public Pos apply(List<Path> files) throws IOException, CommandException {
    for (String suffix : List.of("-wal", "-journal")) {
      Path companion = database.resolveSibling(database.getFileName() + suffix);
      if (Files.exists(companion) && Files.size(companion) > 0) {
        throw new CommandException(
            companion
                + " has parts of the database; open it once with SQLite and close it, so that it goes");
      }
    }
    Path copy = database.resolveSibling(database.getFileName() + ".apply.tmp");
    try (FileChannel out =
        FileChannel.open(
            copy,
            StandardOpenOption.CREATE,
            StandardOpenOption.TRUNCATE_EXISTING,
            StandardOpenOption.READ,
            StandardOpenOption.WRITE)) {
      if (Files.exists(database)) {
        try (FileChannel in = FileChannel.open(database)) {
          long size = in.size();
          for (long at = 0; at < size; ) {
            at += in.transferTo(at, size - at, out.position(at));
          }
        }
      }
      Pos pos = Pos.ZERO;
      for (Path file : files) {
        pos = apply(file, out, pos);
      }
      out.force(true);
      Files.move(copy, database, StandardCopyOption.ATOMIC_MOVE);
      return pos;
    } finally {
      Files.deleteIfExists(copy);
    }
  }

  private Pos apply(Path file, FileChannel out, Pos before) throws IOException, CommandException {
    try (LtxReader reader = LtxFiles.open(file, version3)) {
      TransactionHeader header = reader.header();
      int pageSize = header.pageSize();
      if (!header.isSnapshot() && header.hasDatabaseChecksums()) {
        Checksum here = before.equals(Pos.ZERO) ? checksum(out, pageSize) : before.checksum();
        if (!here.equals(header.preApply())) {
          throw new CommandException(
              file
                  + " follows a database with checksum "
                  + header.preApply()
                  + ", but "
                  + database
                  + " has "
                  + here);
        }
      }
      ByteBuffer page = ByteBuffer.allocate(pageSize);
      for (long pgno = reader.next(page); pgno != 0; pgno = reader.next(page.clear())) {
        page.rewind().limit(pageSize);
        long at = (pgno - 1) * pageSize;
        while (page.hasRemaining()) {
          at += out.write(page, at);
        }
      }
      long size = header.commit() * pageSize;
      if (out.size() < size) {
        out.write(ByteBuffer.allocate(1), size - 1); // pages that were never written are empty
      }
      out.truncate(size);
      Checksum expected = reader.trailer().postApply();
      if (header.hasDatabaseChecksums()) {
        Checksum here = checksum(out, pageSize);
        if (!here.equals(expected)) {
          throw new CommandException(
              file + " should lead to checksum " + expected + ", but leads to " + here);
        }
      }
      return new Pos(header.maxTxid(), expected);
    }
  }

  private static Checksum checksum(FileChannel in, int pageSize) throws IOException {
    long lockPage = new PageSize(pageSize).lockPage();
    ByteBuffer page = ByteBuffer.allocate(pageSize);
    long sum = 0;
    for (long pgno = 1; (pgno - 1) * pageSize < in.size(); pgno++) {
      page.clear();
      long at = (pgno - 1) * pageSize;
      while (page.hasRemaining() && in.read(page, at + page.position()) > 0) {
        // until it is full
      }
      if (pgno != lockPage) {
        sum ^= PageChecksum.of(pgno, page.rewind().limit(pageSize));
      }
    }
    return new Checksum(sum | Checksum.FLAG);
  }
}
