package io.litefs.daemon.api;

import io.litefs.replication.Exchange;
import io.litefs.store.HaltLocks;
import io.litefs.store.HaltRefusedException;
import java.io.IOException;
import java.io.OutputStream;
import java.util.Optional;
import java.util.OptionalLong;

/**
 * {@code POST /halt?name=&id=} and {@code DELETE /halt?name=&id=}: the halt lock of a database, for
 * a replica that wants to write. The primary answers.
 */
public final class HaltHandler {

  static final String ID_REQUIRED = "the query must have a lock's id, a decimal number: ?id=N";

  private final HaltLocks locks;

  public HaltHandler(HaltLocks locks) {
    this.locks = locks;
  }

  /** Takes the lock, or renews it. */
  public void acquire(Exchange exchange) throws IOException {
    Optional<String> name = DatabaseName.of(exchange);
    OptionalLong id = number(exchange, "id");
    if (name.isEmpty() || id.isEmpty()) {
      exchange.respondText(400, name.isEmpty() ? DatabaseName.REQUIRED : ID_REQUIRED);
      return;
    }
    HaltLocks.Grant grant;
    try {
      grant = locks.acquire(name.get(), id.getAsLong());
    } catch (HaltRefusedException e) {
      exchange.respondText(status(e), e.getMessage());
      return;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      exchange.respondText(503, "this node is stopping");
      return;
    }
    byte[] body = body(grant);
    try (OutputStream out = exchange.respond(200, Json.CONTENT_TYPE, body.length)) {
      out.write(body);
    }
  }

  static byte[] body(HaltLocks.Grant grant) {
    return Json.line(
        out -> {
          out.writeNumberField("id", grant.id());
          out.writeObjectFieldStart("pos");
          out.writeStringField("TXID", grant.pos().txid().toString());
          out.writeStringField("PostApplyChecksum", grant.pos().checksum().toString());
          out.writeEndObject();
          out.writeStringField("expires", grant.expires().toString());
        });
  }

  /** Gives the lock back; that somebody else has it, or nobody, is no error. */
  public void release(Exchange exchange) throws IOException {
    Optional<String> name = DatabaseName.of(exchange);
    OptionalLong id = number(exchange, "id");
    if (name.isEmpty() || id.isEmpty()) {
      exchange.respondText(400, name.isEmpty() ? DatabaseName.REQUIRED : ID_REQUIRED);
      return;
    }
    locks.release(name.get(), id.getAsLong());
    exchange.respond(200, "text/plain", 0).close();
  }

  static int status(HaltRefusedException e) {
    return switch (e.reason()) {
      case NO_DATABASE -> 404;
      case NOT_PRIMARY -> 503;
      case BUSY, NOT_HELD, DOES_NOT_FOLLOW -> 409;
    };
  }

  /** A query parameter that is a number of 64 bits, with a sign or without. */
  static OptionalLong number(Exchange exchange, String parameter) {
    String text = exchange.query(parameter).orElse("");
    try {
      return OptionalLong.of(
          text.startsWith("-") ? Long.parseLong(text) : Long.parseUnsignedLong(text));
    } catch (NumberFormatException e) {
      return OptionalLong.empty();
    }
  }
}
