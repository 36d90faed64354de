package io.litefs.store;

import java.util.List;
import java.util.function.Predicate;

/**
 * Which names a database can have: it is a file name in the mount and a directory's name in the
 * data directory, and may come from another machine.
 */
final class DatabaseNames {

  /** Bytes; leaves room for the suffixes of companion files in a file name. */
  private static final int MAX_BYTES = 255 - "-mj000000000".length();

  private static final List<String> RESERVED = List.of("", ".", "..", ".primary", ".lag");
  private static final List<String> SUFFIXES = List.of("-journal", "-wal", "-shm");

  /** Of files that litefs itself provides beside each database. */
  private static final List<String> VIRTUAL_SUFFIXES = List.of("-pos", "-lock");

  private DatabaseNames() {}

  /**
   * @param exists whether a database of this name exists
   * @throws StoreException if a database cannot have this name
   */
  static void require(String name, Predicate<String> exists) throws StoreException {
    if (name.indexOf('/') >= 0 || name.indexOf('\0') >= 0) {
      throw refused(name, "all databases are files of one directory, with no '/' in their names");
    }
    if (name.getBytes(java.nio.charset.StandardCharsets.UTF_8).length > MAX_BYTES) {
      throw refused(name, "it is longer than " + MAX_BYTES + " bytes");
    }
    if (RESERVED.contains(name) || VIRTUAL_SUFFIXES.stream().anyMatch(name::endsWith)) {
      throw refused(name, "litefs uses such names itself");
    }
    for (String suffix : SUFFIXES) {
      if (name.endsWith(suffix)
          && exists.test(name.substring(0, name.length() - suffix.length()))) {
        throw refused(name, "it is a companion file of another database");
      }
    }
  }

  private static StoreException refused(String name, String reason) {
    return new StoreException(
        "\""
            + name.replaceAll("\\p{Cntrl}", "?")
            + "\" cannot be the name of a database: "
            + reason);
  }
}
