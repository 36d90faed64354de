package io.litefs.lease;

import com.fasterxml.jackson.annotation.JsonInclude;
import java.io.IOException;
import java.math.BigInteger;
import java.net.ConnectException;
import java.net.SocketTimeoutException;
import java.net.UnknownHostException;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;
import org.kiwiproject.consul.Consul;
import org.kiwiproject.consul.ConsulException;
import org.kiwiproject.consul.config.CacheConfig;
import org.kiwiproject.consul.config.ClientConfig;
import org.kiwiproject.consul.model.ConsulResponse;
import org.kiwiproject.consul.model.catalog.ImmutableCatalogRegistration;
import org.kiwiproject.consul.model.kv.Operation;
import org.kiwiproject.consul.model.kv.Value;
import org.kiwiproject.consul.model.kv.Verb;
import org.kiwiproject.consul.model.session.ImmutableSession;
import org.kiwiproject.consul.option.ConsistencyMode;
import org.kiwiproject.consul.option.ImmutablePutOptions;
import org.kiwiproject.consul.option.ImmutableQueryOptions;
import org.kiwiproject.consul.util.Jackson;

/**
 * The calls to Consul that a lease needs. Each takes a bounded time, and fails with an {@link
 * IOException} that says on one line what is wrong and what to do.
 */
final class ConsulApi implements AutoCloseable {

  private static final int NOT_FOUND = 404;
  private static final int CONFLICT = 409;
  private static final int FORBIDDEN = 403;

  /** Longest single wait for a change; Consul adds up to a sixteenth. */
  static final Duration LONGEST_WAIT = Duration.ofSeconds(30);

  private static final Duration WAIT_GRACE = Duration.ofSeconds(5);

  static {
    // Before its first use. The client leaves an empty list of checks out, and Consul then adds the
    // health check of the session's node, which a node that is only in the catalog does not have.
    Jackson.MAPPER.addMixIn(ImmutableSession.class, WithNoChecks.class);
  }

  private interface WithNoChecks {
    @JsonInclude(JsonInclude.Include.ALWAYS)
    List<String> getChecks();
  }

  /** The client would read the wait again, which it cannot in milliseconds. */
  private static final CacheConfig NO_ADJUSTMENT =
      CacheConfig.builder().withTimeoutAutoAdjustmentEnabled(false).build();

  private final ConsulOptions options;
  private final Duration timeout;
  private Consul calls;
  private Consul waits;
  private boolean nodeRegistered;
  private volatile boolean closed;

  /**
   * @param timeout for connecting, and for an answer
   */
  ConsulApi(ConsulOptions options, Duration timeout) {
    this.options = options;
    this.timeout = timeout;
  }

  /** A key with its version. */
  record Entry(String value, Optional<String> session, long index) {}

  /** A key as of {@code queryIndex}, which a wait for its next change goes on from. */
  record Read(Optional<Entry> entry, BigInteger queryIndex) {}

  // ------------------------------------------------------------ sessions

  /** A new session that deletes its keys when it ends. */
  String createSession() throws IOException {
    registerNode();
    ImmutableSession.Builder session =
        ImmutableSession.builder()
            .name("litefs")
            .behavior("delete")
            .ttl(options.ttl().toMillis() + "ms")
            .lockDelay(options.lockDelay().toMillis() + "ms");
    if (!options.prefix().isEmpty()) {
      session.node(catalogNode());
    }
    return call(() -> calls().sessionClient().createSession(session.build()).getId());
  }

  private String catalogNode() {
    return options.prefix() + "/litefs";
  }

  /** With a prefix the session belongs to a node of its own in the catalog, not to the agent's. */
  private synchronized void registerNode() throws IOException {
    if (options.prefix().isEmpty() || nodeRegistered) {
      return;
    }
    call(
        () -> {
          calls()
              .catalogClient()
              .register(
                  ImmutableCatalogRegistration.builder()
                      .node(catalogNode())
                      .address("localhost")
                      .build());
          return null;
        });
    nodeRegistered = true;
  }

  /** False if there is no such session any more. */
  boolean renewSession(String session) throws IOException {
    try {
      return call(() -> calls().sessionClient().renewSession(session).isPresent());
    } catch (NotFoundException e) {
      return false;
    }
  }

  void destroySession(String session) throws IOException {
    call(
        () -> {
          calls().sessionClient().destroySession(session);
          return null;
        });
  }

  // ------------------------------------------------------------ keys

  /** The key as the cluster has agreed on it, not as one server remembers it. */
  Read read(String key) throws IOException {
    return read(
        calls(),
        key,
        ImmutableQueryOptions.builder().consistencyMode(ConsistencyMode.CONSISTENT).build());
  }

  /** Waits until the key is another version than {@code after}, or the time is over. */
  Read awaitChange(String key, Read after, Duration wait) throws IOException {
    Duration bounded = wait.compareTo(LONGEST_WAIT) > 0 ? LONGEST_WAIT : wait;
    return read(
        waits(),
        key,
        ImmutableQueryOptions.builder()
            .index(after.queryIndex())
            .wait(Math.max(1, bounded.toMillis()) + "ms")
            .build());
  }

  private Read read(Consul consul, String key, ImmutableQueryOptions query) throws IOException {
    // The list, because it tells the index also when there is no such key.
    ConsulResponse<List<Value>> response =
        call(() -> consul.keyValueClient().getConsulResponseWithValues(key, query));
    List<Value> values = response.getResponse() == null ? List.of() : response.getResponse();
    Optional<Entry> entry =
        values.stream()
            .filter(v -> v.getKey().equals(key))
            .findAny()
            .map(
                v ->
                    new Entry(v.getValueAsString().orElse(""), v.getSession(), v.getModifyIndex()));
    return new Read(entry, response.getIndex());
  }

  /** Values of all keys that begin with {@code prefix}. */
  List<String> values(String prefix) throws IOException {
    try {
      return call(() -> calls().keyValueClient().getValues(prefix)).stream()
          .map(v -> v.getValueAsString().orElse(""))
          .toList();
    } catch (NotFoundException e) {
      return List.of();
    }
  }

  void put(String key, String value) throws IOException {
    if (!call(() -> calls().keyValueClient().putValue(key, value))) {
      throw new IOException("Consul at " + options.address() + " does not write key " + key);
    }
  }

  /** Writes the key if there is none. */
  boolean create(String key, String value) throws IOException {
    return call(
        () ->
            calls()
                .keyValueClient()
                .putValue(key, value, 0L, ImmutablePutOptions.builder().cas(0L).build()));
  }

  /** Locks the key for the session, or writes it if the session has it locked already. */
  boolean acquire(String key, String value, String session) throws IOException {
    return call(
        () ->
            calls()
                .keyValueClient()
                .putValue(key, value, 0L, ImmutablePutOptions.builder().acquire(session).build()));
  }

  /** Takes the key from whoever has it locked, if it is still the version {@code index}. */
  boolean seize(String key, long index, String value, String session) throws IOException {
    return transaction(
        Operation.builder(Verb.DELETE_CHECK_AND_SET)
            .key(key)
            .index(BigInteger.valueOf(index))
            .build(),
        Operation.builder(Verb.LOCK).key(key).value(value).session(session).build());
  }

  /** Writes the key if the session has it locked and it is still the version {@code index}. */
  boolean rewrite(String key, long index, String value, String session) throws IOException {
    return transaction(
        Operation.builder(Verb.CHECK_SESSION).key(key).session(session).build(),
        Operation.builder(Verb.CHECK_AND_SET)
            .key(key)
            .value(value)
            .index(BigInteger.valueOf(index))
            .build());
  }

  /** Deletes the key if the session has it locked. Without a lock delay, which an end has. */
  boolean deleteLocked(String key, String session) throws IOException {
    return transaction(
        Operation.builder(Verb.CHECK_SESSION).key(key).session(session).build(),
        Operation.builder(Verb.DELETE).key(key).build());
  }

  private boolean transaction(Operation... operations) throws IOException {
    try {
      return call(() -> calls().keyValueClient().performTransaction(operations))
          .getResponse()
          .errors()
          .isEmpty();
    } catch (ConflictException e) {
      return false;
    }
  }

  // ------------------------------------------------------------ failures

  private static final class NotFoundException extends IOException {
    private static final long serialVersionUID = 1L;

    NotFoundException(String message, Throwable cause) {
      super(message, cause);
    }
  }

  private static final class ConflictException extends IOException {
    private static final long serialVersionUID = 1L;

    ConflictException(String message, Throwable cause) {
      super(message, cause);
    }
  }

  private synchronized Consul calls() {
    if (calls == null) {
      calls = client(timeout);
    }
    return calls;
  }

  private synchronized Consul waits() {
    if (waits == null) {
      waits = client(LONGEST_WAIT.plus(LONGEST_WAIT.dividedBy(16)).plus(WAIT_GRACE));
    }
    return waits;
  }

  private Consul client(Duration readTimeout) {
    Consul.Builder builder =
        Consul.builder()
            .withUrl(options.address())
            .withPing(false)
            .withClientConfiguration(new ClientConfig(NO_ADJUSTMENT))
            .withConnectTimeoutMillis(timeout.toMillis())
            .withWriteTimeoutMillis(timeout.toMillis())
            .withReadTimeoutMillis(readTimeout.toMillis());
    if (!options.effectiveToken().isEmpty()) {
      builder.withTokenAuth(options.effectiveToken());
    }
    return builder.build();
  }

  private <T> T call(Supplier<T> call) throws IOException {
    if (closed) {
      throw new IOException("closed");
    }
    try {
      return call.get();
    } catch (ConsulException e) {
      throw translate(e);
    }
  }

  private IOException translate(ConsulException e) {
    String at = "Consul at " + options.address();
    if (e.hasCode()) {
      String reason = reason(e);
      return switch (e.getCode()) {
        case NOT_FOUND -> new NotFoundException(at + ": " + reason, e);
        case CONFLICT -> new ConflictException(at + ": " + reason, e);
        case FORBIDDEN ->
            new IOException(
                at
                    + " refuses the token ("
                    + reason
                    + "); it needs session:write, and key:write on "
                    + options.fullKey()
                    + "; set CONSUL_HTTP_TOKEN, or the token as the password in lease.consul.url",
                e);
        default ->
            reason.contains("Invalid Session TTL")
                ? new IOException(
                    at
                        + " refuses lease.consul.ttl: "
                        + reason
                        + "; it is the agent's session_ttl_min",
                    e)
                : new IOException(at + " answers " + e.getCode() + ": " + reason, e);
      };
    }
    Throwable cause = e.getCause() == null ? e : e.getCause();
    String reason;
    if (cause instanceof UnknownHostException) {
      reason = "unknown host";
    } else if (cause instanceof SocketTimeoutException) {
      reason = "no answer within " + timeout.toMillis() + " ms";
    } else if (cause instanceof ConnectException
        && cause.getCause() instanceof ConnectException c) {
      reason = String.valueOf(c.getMessage());
    } else {
      reason = String.valueOf(cause.getMessage());
    }
    return new IOException(
        at
            + " cannot be reached: "
            + reason.replace('\n', ' ')
            + "; check lease.consul.url, and that Consul runs",
        e);
  }

  /** What Consul itself said, without the client's words around it. */
  private static String reason(ConsulException e) {
    String message = String.valueOf(e.getMessage()).replace('\n', ' ').strip();
    int at = message.indexOf("]: ");
    return at < 0 ? message : message.substring(at + 3);
  }

  /** Ends calls that wait. */
  @Override
  public void close() {
    closed = true;
    Consul open;
    Consul waiting;
    synchronized (this) {
      open = calls;
      waiting = waits;
    }
    if (open != null) {
      open.destroy();
    }
    if (waiting != null) {
      waiting.destroy();
    }
  }
}
