package io.litefs.daemon.api;

import io.litefs.replication.Exchange;
import java.util.Optional;

/** The query parameter {@code name}. */
final class DatabaseName {

  static final String REQUIRED = "the query must name a database: ?name=DB";

  private DatabaseName() {}

  static Optional<String> of(Exchange exchange) {
    return exchange.query("name").filter(name -> !name.isEmpty());
  }
}
