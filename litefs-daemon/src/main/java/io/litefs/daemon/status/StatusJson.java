package io.litefs.daemon.status;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import io.litefs.daemon.status.NodeStatus.DatabaseStatus;
import io.litefs.daemon.status.NodeStatus.NamedLock;
import io.litefs.daemon.status.NodeStatus.Replica;
import io.litefs.daemon.status.NodeStatus.ReplicaPosition;
import io.litefs.daemon.status.NodeStatus.Waiting;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.time.Duration;
import java.time.Instant;

/**
 * The status as JSON; its schema is in {@code docs/monitoring.md}. Fields without a value are left
 * out. TXIDs and checksums are strings of 16 hex digits, times RFC 3339 in UTC.
 */
final class StatusJson {

  private static final JsonFactory FACTORY = new JsonFactory();

  private final NodeStatus status;
  private final JsonGenerator out;

  private StatusJson(NodeStatus status, JsonGenerator out) {
    this.status = status;
    this.out = out;
  }

  @FunctionalInterface
  private interface Body {
    void write(StatusJson json) throws IOException;
  }

  /** All of it. */
  static byte[] all(NodeStatus status) {
    return object(status, StatusJson::everything);
  }

  /** {@code databases} and {@code quarantine}. */
  static byte[] databases(NodeStatus status) {
    return object(status, StatusJson::databases);
  }

  private static byte[] object(NodeStatus status, Body body) {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream(4096);
    try (JsonGenerator out = FACTORY.createGenerator(bytes).useDefaultPrettyPrinter()) {
      out.writeStartObject();
      body.write(new StatusJson(status, out));
      out.writeEndObject();
      out.writeRaw('\n');
    } catch (IOException e) {
      throw new UncheckedIOException("writing to memory failed", e);
    }
    return bytes.toByteArray();
  }

  private void everything() throws IOException {
    time("time", status.time());
    node();
    lease();
    if (status.primary().isPresent()) {
      out.writeObjectFieldStart("primary");
      out.writeStringField("hostname", status.primary().get().hostname());
      out.writeStringField("url", status.primary().get().url().toString());
      out.writeEndObject();
    }
    if (status.lagMillis().isPresent()) {
      out.writeNumberField("lagMillis", status.lagMillis().getAsLong());
    }
    databases();
    replicas();
    history();
    out.writeArrayFieldStart("events");
    for (EventLog.Event event : status.events()) {
      out.writeStartObject();
      time("time", event.time());
      out.writeStringField("level", event.level());
      out.writeStringField("message", event.message());
      out.writeEndObject();
    }
    out.writeEndArray();
  }

  private void node() throws IOException {
    NodeStatus.Node node = status.node();
    out.writeObjectFieldStart("node");
    out.writeStringField("id", node.id());
    out.writeStringField("hostname", node.hostname());
    out.writeStringField("version", node.version());
    time("startedAt", node.started());
    out.writeNumberField("uptimeMillis", status.uptime().toMillis());
    out.writeStringField("role", node.role());
    time("roleSince", node.roleSince());
    out.writeBooleanField("candidate", node.candidate());
    if (!node.clusterId().isEmpty()) {
      out.writeStringField("clusterID", node.clusterId());
    }
    out.writeStringField("mount", node.mount().toString());
    out.writeStringField("dataDir", node.dataDir().toString());
    out.writeStringField("transport", node.transport());
    out.writeEndObject();
  }

  private void lease() throws IOException {
    LeaseStatus lease = status.lease();
    out.writeObjectFieldStart("lease");
    out.writeStringField("type", lease.type());
    if (lease.timeToLive().isPresent()) {
      out.writeNumberField("ttlMillis", lease.timeToLive().get().toMillis());
    }
    if (lease.expires().isPresent()) {
      time("expiresAt", lease.expires().get());
      out.writeNumberField(
          "expiresInMillis", Duration.between(status.time(), lease.expires().get()).toMillis());
    }
    out.writeEndObject();
  }

  private void databases() throws IOException {
    out.writeArrayFieldStart("databases");
    for (DatabaseStatus database : status.databases()) {
      database(database);
    }
    out.writeEndArray();
    out.writeArrayFieldStart("quarantine");
    for (NodeStatus.Quarantined entry : status.quarantine()) {
      out.writeStartObject();
      out.writeStringField("name", entry.name());
      time("since", entry.since());
      out.writeStringField("path", entry.path().toString());
      out.writeStringField("reason", entry.reason());
      out.writeEndObject();
    }
    out.writeEndArray();
  }

  private void database(DatabaseStatus database) throws IOException {
    out.writeStartObject();
    out.writeStringField("name", database.name());
    out.writeNumberField("bytes", database.bytes());
    out.writeNumberField("pages", database.pages());
    out.writeNumberField("pageSize", database.pageSize());
    out.writeStringField("journalMode", database.walMode() ? "wal" : "rollback");
    out.writeStringField("txID", database.pos().txid().toString());
    out.writeStringField("checksum", database.pos().checksum().toString());
    if (database.lastTransactionMillis() > 0) {
      time("lastTransactionAt", Instant.ofEpochMilli(database.lastTransactionMillis()));
    }
    out.writeNumberField("commits", database.commits());
    out.writeNumberField("ltxFiles", database.ltxFiles());
    out.writeNumberField("ltxBytes", database.ltxBytes());
    out.writeArrayFieldStart("locks");
    for (NamedLock lock : database.locks()) {
      out.writeStartObject();
      out.writeStringField("lock", lock.name());
      out.writeBooleanField("exclusive", lock.exclusive());
      out.writeBooleanField("waiting", lock.waiting());
      out.writeNumberField("pid", lock.pid());
      out.writeStringField("command", lock.command());
      out.writeEndObject();
    }
    out.writeEndArray();
    if (database.waiting().isPresent()) {
      Waiting waiting = database.waiting().get();
      out.writeObjectFieldStart("waitingToApply");
      out.writeStringField("txID", waiting.txid());
      time("since", waiting.since());
      out.writeStringField("holder", waiting.holder());
      out.writeEndObject();
    }
    out.writeArrayFieldStart("notes");
    for (String note : database.notes()) {
      out.writeString(note);
    }
    out.writeEndArray();
    out.writeEndObject();
  }

  private void replicas() throws IOException {
    out.writeArrayFieldStart("replicas");
    for (Replica replica : status.replicas()) {
      out.writeStartObject();
      out.writeStringField("id", replica.id());
      if (!replica.hostname().isEmpty()) {
        out.writeStringField("hostname", replica.hostname());
      }
      out.writeStringField("address", replica.address());
      time("connectedAt", replica.since());
      out.writeBooleanField("inSync", replica.ready());
      out.writeNumberField("bytesSent", replica.bytesSent());
      out.writeArrayFieldStart("databases");
      for (ReplicaPosition position : replica.databases()) {
        out.writeStartObject();
        out.writeStringField("name", position.database());
        if (position.pos().isPresent()) {
          out.writeStringField("txID", position.pos().get().txid().toString());
          out.writeStringField("checksum", position.pos().get().checksum().toString());
        }
        out.writeNumberField("behindTransactions", position.transactions());
        out.writeNumberField("behindBytes", position.bytes());
        out.writeNumberField("behindMillis", position.millis());
        out.writeEndObject();
      }
      out.writeEndArray();
      out.writeEndObject();
    }
    out.writeEndArray();
  }

  private void history() throws IOException {
    History.Series history = status.history();
    out.writeObjectFieldStart("history");
    out.writeNumberField("intervalMillis", history.intervalMillis());
    numbers("transactionsPerSecond", history.transactionsPerSecond());
    numbers("bytesPerSecond", history.bytesPerSecond());
    numbers("lagMillis", history.lagMillis());
    out.writeEndObject();
  }

  private void numbers(String name, double[] values) throws IOException {
    out.writeArrayFieldStart(name);
    for (double value : values) {
      out.writeNumber(Math.round(value * 10) / 10.0);
    }
    out.writeEndArray();
  }

  private void time(String name, Instant time) throws IOException {
    out.writeStringField(name, time.toString());
  }
}
