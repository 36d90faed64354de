package io.litefs.store;

import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.RejectedExecutionException;
import java.util.function.BooleanSupplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Which databases are known to be damaged: somebody read all of their pages, and they were not what
 * the position says. A start after an orderly stop does not read them, so the first to notice is
 * who copies the whole database.
 *
 * <p>Thread-safe.
 */
final class Soundness {

  private static final Logger log = LoggerFactory.getLogger(Soundness.class);

  private final BooleanSupplier isPrimary;

  /** Reads slowly, one database after the other. */
  private final ExecutorService verification;

  private final Set<String> damaged = ConcurrentHashMap.newKeySet();

  /** Databases whose damaged pages are counted, or being counted: each page counts once. */
  private final Set<String> counted = ConcurrentHashMap.newKeySet();

  Soundness(BooleanSupplier isPrimary, ExecutorService verification) {
    this.isPrimary = isPrimary;
    this.verification = verification;
  }

  /** Whether the database was damaged when all of it was last read. */
  boolean isDamaged(String name) {
    return damaged.contains(name);
  }

  /**
   * All of the database was read and it is damaged; has the pages found that are. In the log once,
   * until it was found sound.
   *
   * @param what is wrong
   * @return what is wrong and what to do, in one line
   */
  String damaged(Database database, String what) {
    String name = database.name();
    String message =
        "%s is damaged: %s; it is neither exported nor sent to replicas that need all of it; 'litefs verify %s' tells more; %s"
            .formatted(name, what, name, remedy(database));
    if (damaged.add(name)) {
      log.error("database {}", message);
      countSoon(database);
    }
    return message;
  }

  private String remedy(Database database) {
    return isPrimary.getAsBoolean()
        ? "'litefs promote' on a replica that has it sound makes that one primary, 'litefs import -name %s FILE' with an export of a replica or a backup replaces it here"
            .formatted(database.name())
        : "stop litefs and move %s elsewhere: it is fetched anew".formatted(database.files().dir());
  }

  /** All of the database was read, or replaced, and it is what its position says. */
  void sound(String name) {
    counted.remove(name);
    if (damaged.remove(name)) {
      log.info("database {} is sound again", name);
    }
  }

  private void countSoon(Database database) {
    try {
      verification.execute(() -> count(database, "since it was found damaged"));
    } catch (RejectedExecutionException e) {
      log.debug("closing: {} is not verified", database.name());
    }
  }

  /**
   * Finds and counts the damaged pages, unless that has been done.
   *
   * @param why in the words of the log
   */
  void count(Database database, String why) {
    if (counted.add(database.name())) {
      BackgroundVerification found = new BackgroundVerification(database, why);
      found.run();
      if (found.damaged().isEmpty()) {
        counted.remove(database.name());
      }
    }
  }
}
