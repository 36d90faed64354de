package io.litefs.daemon.api;

import io.litefs.replication.Exchange;
import io.litefs.store.NotADatabaseException;
import java.io.IOException;
import java.io.InputStream;
import java.util.Optional;
import java.util.function.BooleanSupplier;

/**
 * {@code POST /import?name=}: replaces or creates a database by the request's body, in one
 * transaction.
 */
public final class ImportHandler implements Exchange.Handler {

  /** Imports a database; the message of what it throws is fit for the client. */
  @FunctionalInterface
  public interface Importer {
    void importDatabase(String name, InputStream database) throws IOException;
  }

  private final BooleanSupplier isPrimary;
  private final Importer importer;

  public ImportHandler(BooleanSupplier isPrimary, Importer importer) {
    this.isPrimary = isPrimary;
    this.importer = importer;
  }

  @Override
  public void handle(Exchange exchange) throws IOException {
    Optional<String> name = DatabaseName.of(exchange);
    if (name.isEmpty()) {
      exchange.respondText(400, DatabaseName.REQUIRED);
      return;
    }
    if (!isPrimary.getAsBoolean()) {
      exchange.respondText(503, "cannot import on a node that is not the primary");
      return;
    }
    try {
      importer.importDatabase(name.get(), exchange.body());
    } catch (NotADatabaseException e) {
      exchange.respondText(400, e.getMessage());
      return;
    }
    exchange.respond(200, "text/plain", 0).close();
  }
}
