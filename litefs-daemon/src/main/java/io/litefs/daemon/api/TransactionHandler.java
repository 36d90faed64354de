package io.litefs.daemon.api;

import io.litefs.ltx.LtxException;
import io.litefs.replication.Exchange;
import io.litefs.store.HaltLocks;
import io.litefs.store.HaltRefusedException;
import java.io.IOException;
import java.util.Optional;
import java.util.OptionalLong;

/**
 * {@code POST /tx?name=&lockID=}: a transaction of the halt lock's holder, as an LTX file. 200: it
 * is in the primary's log, on disk, and visible. Another status: the holder must not commit it.
 */
public final class TransactionHandler implements Exchange.Handler {

  private final HaltLocks locks;

  public TransactionHandler(HaltLocks locks) {
    this.locks = locks;
  }

  @Override
  public void handle(Exchange exchange) throws IOException {
    Optional<String> name = DatabaseName.of(exchange);
    OptionalLong id = HaltHandler.number(exchange, "lockID");
    if (name.isEmpty() || id.isEmpty()) {
      exchange.respondText(
          400,
          name.isEmpty()
              ? DatabaseName.REQUIRED
              : "the query must have the halt lock's id, a decimal number: ?lockID=N");
      return;
    }
    try {
      locks.apply(name.get(), id.getAsLong(), exchange.body());
    } catch (HaltRefusedException e) {
      exchange.respondText(HaltHandler.status(e), e.getMessage());
      return;
    } catch (LtxException e) {
      exchange.respondText(400, e.getMessage());
      return;
    }
    exchange.respond(200, "text/plain", 0).close();
  }
}
