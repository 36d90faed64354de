package io.litefs.store;

import io.litefs.ltx.Pos;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;

/**
 * The calls of a replica to its primary by which it writes for a while (formats.md, "Halt lock").
 * Implemented over HTTP by the daemon. Thread-safe.
 */
public interface WriteForwarder {

  /**
   * Takes the database's halt lock on the primary, or renews it. Blocks as long as the primary
   * waits for its own writers, some seconds at most.
   *
   * @param id the caller's choice, the same for each renewal
   * @return the primary's position, which nobody moves but the holder
   * @throws HaltRefusedException if the primary answers that it does not grant it
   * @throws IOException if there is no answer
   */
  Pos halt(String database, long id) throws IOException;

  /** Gives the lock back. What has gone wrong does not matter: the lock expires. */
  void release(String database, long id) throws IOException;

  /**
   * Sends a transaction. Does not block.
   *
   * @param file an LTX file, to stay until the answer is there
   * @return empty once the primary has it durably; the reason if it has refused it and will not
   *     have it. Completed exceptionally if it is not known which of both: to send it again is
   *     harmless then
   */
  CompletableFuture<Optional<String>> send(String database, long id, Path file);
}
