package io.litefs.cluster;

import io.litefs.lease.Leaser;
import io.litefs.ltx.Pos;
import java.io.IOException;
import java.net.URI;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Decides whether this node may take a lease that is free: not if its data is of another cluster,
 * not if it has none where there should be some, and not while a reachable candidate is further.
 * Used by the role's thread.
 */
final class Election {

  private static final Logger log = LoggerFactory.getLogger(Election.class);

  /** How long a node that is further is waited for, if it can be reached and does not lead. */
  static final Duration DEFERENCE = Duration.ofSeconds(10);

  private static final Duration ANSWER_LIMIT = Duration.ofMillis(1500);

  private final Leaser leaser;
  private final RoleStore store;
  private final Peers peers;

  /** When a node that is further was first seen; 0 if none is waited for. */
  private long deferringSinceNanos;

  /** Who has transactions that this node lacks and will not lead by itself; null if nobody. */
  private URI tailHolder;

  /** Whom they were asked of in this election. */
  private final Set<URI> asked = new HashSet<>();

  /** What was logged last, so that it is not said at each attempt. */
  private String said = "";

  Election(Leaser leaser, RoleStore store, Peers peers) {
    this.leaser = leaser;
    this.store = store;
    this.peers = peers;
  }

  /** Somebody leads: the next election begins afresh. */
  void over() {
    deferringSinceNanos = 0;
    asked.clear();
    said = "";
  }

  /**
   * After {@link #obstacle}: who is to be asked, once in an election, for transactions that this
   * node lacks before it leads.
   */
  Optional<URI> toFetchFrom() {
    return Optional.ofNullable(tailHolder).filter(asked::add);
  }

  /**
   * Why this node must not lead now; empty if it may.
   *
   * @throws IOException if the lease's keeper cannot be asked
   */
  Optional<String> obstacle() throws IOException {
    tailHolder = null;
    Optional<String> obstacle = clusterMismatch();
    if (obstacle.isEmpty()) {
      obstacle = betterNode();
    }
    obstacle.filter(o -> !o.equals(said)).ifPresent(o -> log.warn("not taking the lease: {}", o));
    said = obstacle.orElse("");
    return obstacle;
  }

  private Optional<String> clusterMismatch() throws IOException {
    Optional<String> known = leaser.clusterId();
    String own = store.clusterId();
    if (known.isEmpty() || known.get().equals(own)) {
      return Optional.empty();
    }
    boolean empty = store.positions().isEmpty();
    if (own == null && empty) {
      return Optional.of(
          "this node is empty, and cluster "
              + known.get()
              + " has data elsewhere; it joins once a node that has it is primary");
    }
    return Optional.of(
        "the lease belongs to cluster "
            + known.get()
            + ", this node's data to "
            + (own == null ? "none (it has no cluster id)" : "cluster " + own)
            + (own == null
                ? "; run 'litefs cluster adopt "
                    + known.get()
                    + "' here if the data is that cluster's, or give this node an empty data directory"
                : "; set another lease.consul.key, or give this node an empty data directory"));
  }

  private record Answer(URI node, Peers.Standing standing) {}

  private Optional<String> betterNode() throws IOException {
    Map<String, Pos> own = store.positions();
    Answer best = null;
    for (Answer answer : ask(leaser.peers())) {
      Peers.Standing standing = answer.standing();
      boolean sameCluster =
          store.clusterId() == null
              || standing.clusterId() == null
              || standing.clusterId().equals(store.clusterId());
      if (sameCluster
          && Advance.of(standing.positions()) > Advance.of(own)
          && (best == null
              || Advance.of(standing.positions()) > Advance.of(best.standing().positions()))) {
        best = answer;
      }
    }
    if (best == null) {
      deferringSinceNanos = 0;
      return Optional.empty();
    }
    String ahead =
        "%s (%s) has %d transactions that this node lacks"
            .formatted(
                best.standing().hostname(),
                best.node(),
                Advance.of(best.standing().positions()) - Advance.of(own));
    long now = System.nanoTime();
    if (deferringSinceNanos == 0) {
      deferringSinceNanos = now;
    }
    boolean deferring = now - deferringSinceNanos < DEFERENCE.toNanos();
    if (!deferring || !best.standing().candidate()) {
      tailHolder = best.node();
      if (!asked.contains(tailHolder)) {
        return Optional.of(ahead + "; asking it for them");
      }
    }
    if (deferring) {
      return Optional.of(
          best.standing().candidate()
              ? ahead
              : ahead + ", but is no candidate; waiting " + DEFERENCE.toSeconds() + " s for one");
    }
    if (own.isEmpty()) {
      return Optional.of(ahead + ", which has all there is");
    }
    log.error(
        "{}, but does not lead after {} s: leading without them; they are archived there",
        ahead,
        DEFERENCE.toSeconds());
    return Optional.empty();
  }

  /** What those say that answer in time. */
  private List<Answer> ask(Set<URI> nodes) {
    List<CompletableFuture<Answer>> asked = new ArrayList<>();
    for (URI node : nodes) {
      asked.add(
          CompletableFuture.supplyAsync(
              () -> {
                try {
                  return new Answer(node, peers.standing(node));
                } catch (IOException e) {
                  throw new CompletionException(e);
                }
              },
              task -> {
                Thread thread = new Thread(task, "litefs-ask-" + node.getHost());
                thread.setDaemon(true);
                thread.start();
              }));
    }
    long deadline = System.nanoTime() + ANSWER_LIMIT.toNanos();
    List<Answer> answers = new ArrayList<>();
    for (CompletableFuture<Answer> each : asked) {
      try {
        answers.add(each.get(Math.max(0, deadline - System.nanoTime()), TimeUnit.NANOSECONDS));
      } catch (ExecutionException e) {
        log.debug("no answer: {}", e.getCause().getMessage());
      } catch (TimeoutException e) {
        log.debug("no answer in time");
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        return answers;
      }
    }
    return answers;
  }
}
