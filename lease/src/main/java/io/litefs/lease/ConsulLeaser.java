package io.litefs.lease;

import java.io.IOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.UUID;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.FutureTask;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The lease as a lock in Consul: a key, locked with a session that ends if it is not renewed.
 *
 * <p>Consul ends a session up to twice its time to live after the last renewal. A holder's lease
 * ends after one. So that nobody waits for the rest, the holder changes the key's value with each
 * renewal, and a candidate that has seen the same version for the time to live and the lock delay
 * takes the key away, on the condition, checked by Consul, that it is still that version. A holder
 * that does not count its renewals (another implementation) is left to Consul.
 *
 * <p>Keys: {@code <key>} the lock, see {@link Holder}; {@code <key>/clusterid}; {@code
 * <key>/nodes/<id>} an advertise URL for each node that ever announced itself; {@code
 * <key>/rehearsals/<session>} for a moment, see {@link #rehearse}.
 */
public final class ConsulLeaser implements Leaser {

  private static final Logger log = LoggerFactory.getLogger(ConsulLeaser.class);
  private static final Duration LONGEST_CALL = Duration.ofSeconds(3);

  private static final long UNKNOWN_INDEX = -1;

  /** Takeovers in a rehearsal, so that the JVM has compiled some of what is run. */
  private static final int REHEARSALS = 10;

  private final ConsulOptions options;
  private final ConsulApi api;
  private final String key;
  private volatile boolean closed;

  /** Whether it was said where the lease is looked for. */
  private boolean announcing;

  /** The version of the key that was seen last, and since when. Guarded by this. */
  private long seenIndex = -1;

  private long seenSinceNanos;

  public ConsulLeaser(ConsulOptions options) {
    this.options = options;
    this.api = new ConsulApi(options, shorter(options.ttl().dividedBy(3), LONGEST_CALL));
    this.key = options.fullKey();
  }

  private static Duration shorter(Duration a, Duration b) {
    return a.compareTo(b) < 0 ? a : b;
  }

  @Override
  public Optional<Lease> acquire() throws IOException {
    ConsulApi.Read read = read();
    Optional<ConsulApi.Entry> held = read.entry().filter(e -> e.session().isPresent());
    if (held.isPresent() && !isAbandoned(held.get())) {
      return Optional.empty();
    }
    long start = System.nanoTime();
    String session = api.createSession();
    boolean done = false;
    try {
      String value = value(0).toJson();
      boolean acquired =
          held.isPresent()
              ? api.seize(key, held.get().index(), value, session)
              : api.acquire(key, value, session);
      if (!acquired) {
        return Optional.empty();
      }
      Lease lease = new ConsulLease(api, options, key, session, start, index(session), 0);
      done = true;
      held.ifPresent(
          e -> log.info("took the lease from a holder that has let it end: {}", e.value()));
      return Optional.of(lease);
    } finally {
      if (!done) {
        // Nobody here holds what the key may name this node for.
        destroy(session);
      }
    }
  }

  private long index(String session) throws IOException {
    ConsulApi.Entry entry =
        api.read(key)
            .entry()
            .filter(e -> e.session().equals(Optional.of(session)))
            .orElseThrow(() -> new LeaseException("the lease was lost as soon as it was taken"));
    return entry.index();
  }

  private Holder value(long renewal) {
    return new Holder(options.self(), Optional.of(options.ttl()), renewal);
  }

  private void destroy(String session) {
    try {
      api.destroySession(session);
    } catch (IOException e) {
      log.debug("session {} is left to its time to live", session, e);
    }
  }

  @Override
  public Lease takeOver(String leaseId) throws IOException {
    long start = System.nanoTime();
    // Consul leaves a key as it is that is to be written as it is. Then its version would not tell
    // that the lease lives, and another node could take it away.
    long renewal = System.currentTimeMillis();
    boolean answered = false;
    try {
      boolean ours = takeOver(key, leaseId, renewal);
      answered = true;
      if (!ours) {
        throw new LeaseException("the lease that was handed over has ended");
      }
      // For the same reason the key's version is left to the first renewal to find out.
      return new ConsulLease(api, options, key, leaseId, start, UNKNOWN_INDEX, renewal);
    } finally {
      if (!answered) {
        // As in acquire(): the key may name this node, which does not hold it.
        destroy(leaseId);
      }
    }
  }

  /** Whether the session lives and has {@code locked} now. */
  private boolean takeOver(String locked, String session, long renewal) throws IOException {
    // At the same time, because writers wait.
    Future<Boolean> renewed = begin(() -> api.renewSession(session));
    Future<Boolean> acquired = begin(() -> api.acquire(locked, value(renewal).toJson(), session));
    return answer(renewed) && answer(acquired);
  }

  @Override
  public void rehearse() throws IOException {
    String session = api.createSession();
    try {
      // Of this session alone: one that was killed in a rehearsal has its key for a while.
      String rehearsal = key + "/rehearsals/" + session;
      for (int i = 0; i < REHEARSALS; i++) {
        takeOver(rehearsal, session, i);
      }
      try (Lease lease =
          new ConsulLease(
              api, options, rehearsal, session, System.nanoTime(), UNKNOWN_INDEX, REHEARSALS)) {
        lease.renewNow();
      }
    } finally {
      destroy(session);
    }
  }

  private static Future<Boolean> begin(Callable<Boolean> call) {
    FutureTask<Boolean> task = new FutureTask<>(call);
    Thread thread = new Thread(task, "litefs-lease-takeover");
    thread.setDaemon(true);
    thread.start();
    return task;
  }

  private static boolean answer(Future<Boolean> call) throws IOException {
    try {
      return call.get();
    } catch (ExecutionException e) {
      if (e.getCause() instanceof IOException failure) {
        throw failure;
      }
      throw new IllegalStateException(e.getCause());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted", e);
    }
  }

  // ------------------------------------------------------------ who holds it

  private ConsulApi.Read read() throws IOException {
    return seen(api.read(key));
  }

  private synchronized ConsulApi.Read seen(ConsulApi.Read read) {
    long index = read.entry().map(ConsulApi.Entry::index).orElse(-1L);
    if (index != seenIndex) {
      seenIndex = index;
      seenSinceNanos = System.nanoTime(); // Not before the holder sent it: later is safe.
    }
    return read;
  }

  /** How long until the holder of this version counts as gone; empty if it never will. */
  private synchronized Optional<Duration> untilAbandoned(ConsulApi.Entry entry) {
    Optional<Duration> ttl = Holder.parse(entry.value()).flatMap(Holder::ttl);
    if (ttl.isEmpty() || entry.session().isEmpty() || entry.index() != seenIndex) {
      return Optional.empty();
    }
    long left =
        ttl.get().plus(options.lockDelay()).toNanos() - (System.nanoTime() - seenSinceNanos);
    return Optional.of(Duration.ofNanos(Math.max(0, left)));
  }

  private boolean isAbandoned(ConsulApi.Entry entry) {
    return untilAbandoned(entry).filter(Duration::isZero).isPresent();
  }

  private Optional<PrimaryInfo> holder(ConsulApi.Read read) {
    return read.entry()
        .filter(e -> e.session().isPresent() && !isAbandoned(e))
        .flatMap(e -> Holder.parse(e.value()))
        .map(Holder::info);
  }

  @Override
  public Optional<PrimaryInfo> primary() throws IOException {
    ConsulApi.Read read = read();
    Optional<ConsulApi.Entry> foreign =
        read.entry().filter(e -> e.session().isPresent() && Holder.parse(e.value()).isEmpty());
    if (foreign.isPresent()) {
      throw new IOException(
          "key "
              + key
              + " in Consul at "
              + options.address()
              + " is locked by something that is no litefs node (\""
              + shortened(foreign.get().value())
              + "\"); set another lease.consul.key");
    }
    return holder(read);
  }

  private static String shortened(String value) {
    String line = value.replaceAll("\\s+", " ");
    return line.length() > 60 ? line.substring(0, 60) + "..." : line;
  }

  @Override
  public Optional<PrimaryInfo> awaitPrimaryOtherThan(Optional<PrimaryInfo> known, Duration timeout)
      throws IOException, InterruptedException {
    long deadline = System.nanoTime() + timeout.toNanos();
    ConsulApi.Read read = read();
    while (true) {
      Optional<PrimaryInfo> now = holder(read);
      Duration left = Duration.ofNanos(Math.max(0, deadline - System.nanoTime()));
      if (!now.equals(known) || left.isZero() || closed) {
        return now;
      }
      Duration wait =
          read.entry().flatMap(this::untilAbandoned).map(d -> shorter(d, left)).orElse(left);
      if (Thread.interrupted()) {
        throw new InterruptedException();
      }
      try {
        read = seen(api.awaitChange(key, read, wait));
      } catch (IOException e) {
        if (closed) {
          return now;
        }
        throw e;
      }
    }
  }

  // ------------------------------------------------------------ the cluster

  @Override
  public Optional<String> clusterId() throws IOException {
    return api.read(key + "/clusterid").entry().map(ConsulApi.Entry::value);
  }

  @Override
  public String establishClusterId(String proposed) throws IOException {
    api.create(key + "/clusterid", proposed);
    return clusterId()
        .orElseThrow(() -> new IOException("key " + key + "/clusterid vanishes from Consul"));
  }

  @Override
  public void announce() throws IOException {
    if (!announcing) {
      announcing = true;
      log.info("looking for the primary in Consul at {}, key {}", options.url(), key);
    }
    api.put(key + "/nodes/" + nodeName(), options.self().advertiseUrl().toString());
  }

  private String nodeName() {
    String url = options.self().advertiseUrl().toString();
    return UUID.nameUUIDFromBytes(url.getBytes(StandardCharsets.UTF_8)).toString();
  }

  @Override
  public Set<URI> peers() throws IOException {
    Set<URI> peers = new TreeSet<>();
    for (String value : api.values(key + "/nodes/")) {
      try {
        peers.add(URI.create(value));
      } catch (IllegalArgumentException e) {
        log.debug("{} has no URL: {}", key, value);
      }
    }
    peers.remove(options.self().advertiseUrl());
    return peers;
  }

  @Override
  public void close() {
    closed = true;
    api.close();
  }
}
