package io.litefs.daemon.api;

import io.litefs.ltx.Pos;
import io.litefs.replication.Exchange;
import java.io.Closeable;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.util.Optional;

/**
 * {@code GET /export?name=}: a database as of one position, refused if it is damaged unless {@code
 * damaged=true} is said.
 */
public final class ExportHandler implements Exchange.Handler {

  /**
   * The header that says which position the exported database has (an addition of this
   * implementation).
   */
  public static final String POSITION_HEADER = "Litefs-Pos";

  /** A database that is being exported. */
  public interface Exported extends Closeable {
    /** Bytes. */
    long size();

    InputStream stream() throws IOException;

    Pos pos();
  }

  /** Begins an export. */
  @FunctionalInterface
  public interface Exporter {
    /**
     * Null if there is no such database.
     *
     * @param damaged whether it is wanted even if its pages are not what its position says
     */
    Exported export(String name, boolean damaged) throws IOException;
  }

  private final Exporter exporter;

  public ExportHandler(Exporter exporter) {
    this.exporter = exporter;
  }

  @Override
  public void handle(Exchange exchange) throws IOException {
    Optional<String> name = DatabaseName.of(exchange);
    if (name.isEmpty()) {
      exchange.respondText(400, DatabaseName.REQUIRED);
      return;
    }
    boolean damaged = exchange.query("damaged").map("true"::equals).orElse(false);
    try (Exported exported = exporter.export(name.get(), damaged)) {
      if (exported == null) {
        exchange.respondText(404, "no such database: " + name.get());
        return;
      }
      exchange.setHeader(POSITION_HEADER, exported.pos().toString());
      try (InputStream in = exported.stream();
          OutputStream out = exchange.respond(200, "application/octet-stream", exported.size())) {
        in.transferTo(out);
      }
    }
  }
}
