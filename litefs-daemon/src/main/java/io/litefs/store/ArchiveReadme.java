package io.litefs.store;

/** The file README of an archive: for whoever finds it, perhaps years later. */
final class ArchiveReadme {

  private ArchiveReadme() {}

  static String of(DivergedArchive archive) {
    String primary =
        archive.primaryPosition() == null
            ? "no such database"
            : archive.primaryPosition().toString();
    return """
        litefs kept this copy of the database %s before it replaced or removed what was here by
        what the primary had, because %s.

          time of the archive (UTC)        %s
          position of this node            %s
          last position known to agree     %s
          position of the primary          %s
          id of the primary's process      %s
          cluster                          %s

        A position is the number of the last transaction (hexadecimal) and the checksum of the
        database after it. What the application wrote here after the histories parted is not in
        the cluster any more: it is here, and nowhere else.

        To look inside:

          litefs diverged list
          litefs diverged export '%s' %s FILE
          sqlite3 FILE

        (both with '-config litefs.yml' or '-data-dir DIR' as needed; the daemon may run.) To bring
        something back, compare FILE with the present database, for example with sqldiff, and write
        what is missing through the primary as an application would. 'litefs import' replaces the
        whole database.

        What is in this directory:

          ltx/                 transactions as this node had them, one LTX file each, as far as
                               data.retention had left them
        %s  archive.properties   the facts above, for litefs

        Archives are removed, the oldest first, when all of them together exceed
        data.diverged-size. This one may be removed or moved at any time.
        """
        .formatted(
            archive.database(),
            archive.reason().text(),
            archive.time(),
            archive.position(),
            agreed(archive),
            primary,
            archive.primaryNode(),
            archive.clusterId(),
            archive.database().replace("'", "'\\''"),
            archive.time(),
            content(archive));
  }

  private static String agreed(DivergedArchive archive) {
    if (archive.agreed() == null) {
      return "all of it had been received from a primary";
    }
    return archive.agreed().txid().value() == 0 ? "none" : archive.agreed().toString();
  }

  private static String content(DivergedArchive archive) {
    return switch (archive.content()) {
      case DATABASE ->
          archive.position().equals(archive.databasePos())
              ? """
              database             the database: a plain SQLite file, 'sqlite3 database' opens it
                                   (copy it first: SQLite writes beside it)
            """
              : """
              database             the database as it was at position %s; the files
                                   of ltx/ after that were not applied yet, export applies them
            """
                  .formatted(archive.databasePos());
      case LOG ->
          """
            (no copy of the database: it would exceed data.diverged-size, and export can rebuild it
                                   from ltx/, which begins with the first transaction)
          """;
      case PAGES ->
          """
            pages.ltx            the pages that differ from the primary's database at its position
                                   above: the whole database would exceed data.diverged-size.
                                   Applied to the primary's database as of that position, this LTX
                                   file leads to what was here
          """;
    };
  }
}
