package io.litefs.daemon.api;

import io.litefs.replication.Exchange;
import io.litefs.store.ForwardedWrites;
import io.litefs.store.HaltRefusedException;
import io.litefs.store.HaltSession;
import java.io.IOException;
import java.io.OutputStream;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.function.BooleanSupplier;

/**
 * {@code POST /litefs/hold?name=}, an addition of this implementation: holds a database's halt lock
 * on this node for as long as the client reads the answer, so that a client that dies gives it
 * back. {@code DELETE /litefs/hold?name=&id=} gives it back and answers when that is done.
 *
 * <p>The answer is lines of JSON: {@code {"id":n}} once programs on this node may write, and {@code
 * {"lost":"why"}} if the lock is lost. On the primary programs may write anyway: the answer is
 * {@code {"primary":true}} and ends.
 */
public final class HoldHandler {

  private static final Duration PATIENCE = Duration.ofSeconds(30);
  private static final String NDJSON = "application/x-ndjson";

  private final BooleanSupplier isPrimary;
  private final ForwardedWrites writes;
  private final Map<Long, Held> held = new ConcurrentHashMap<>();

  private record Held(HaltSession session, CompletableFuture<Void> end) {}

  public HoldHandler(BooleanSupplier isPrimary, ForwardedWrites writes) {
    this.isPrimary = isPrimary;
    this.writes = writes;
  }

  /** Takes the lock and holds it. */
  public void hold(Exchange exchange) throws IOException {
    Optional<String> name = DatabaseName.of(exchange);
    if (name.isEmpty()) {
      exchange.respondText(400, DatabaseName.REQUIRED);
      return;
    }
    if (isPrimary.getAsBoolean()) {
      byte[] body = Json.line(out -> out.writeBooleanField("primary", true));
      try (OutputStream out = exchange.respond(200, NDJSON, body.length)) {
        out.write(body);
      }
      return;
    }
    CompletableFuture<Void> end = new CompletableFuture<>();
    exchange.onClose(() -> end.complete(null));
    HaltSession session;
    try {
      session = writes.acquire(name.get(), PATIENCE);
    } catch (HaltRefusedException e) {
      exchange.respondText(HaltHandler.status(e), e.getMessage());
      return;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      exchange.respondText(503, "this node is stopping");
      return;
    }
    held.put(session.id(), new Held(session, end));
    try (OutputStream out = exchange.respond(200, NDJSON, -1)) {
      out.write(Json.line(json -> json.writeNumberField("id", session.id())));
      out.flush();
      CompletableFuture.anyOf(end, session.ended()).get();
      if (!end.isDone()) {
        out.write(Json.line(json -> json.writeStringField("lost", session.reason())));
      }
    } catch (ExecutionException e) {
      throw new IllegalStateException(e); // nobody completes them so
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } finally {
      held.remove(session.id());
      writes.release(session);
    }
  }

  /** Gives the lock back. */
  public void release(Exchange exchange) throws IOException {
    OptionalLong id = HaltHandler.number(exchange, "id");
    if (id.isEmpty()) {
      exchange.respondText(400, HaltHandler.ID_REQUIRED);
      return;
    }
    Held found = held.remove(id.getAsLong());
    if (found != null) {
      writes.release(found.session());
      found.end().complete(null);
    }
    exchange.respond(200, "text/plain", 0).close();
  }
}
