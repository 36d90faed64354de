package io.litefs.cluster;

import io.litefs.fuse.KernelCache;
import io.litefs.lease.PrimaryInfo;
import java.io.IOException;
import java.time.Duration;
import java.time.InstantSource;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;
import java.util.function.Predicate;
import java.util.function.Supplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The role as others see it. Each change is logged on one line, told to the kernel ({@code
 * .primary}), and told to listeners, in this order and one after the other. Thread-safe.
 */
final class CurrentRole {

  private static final Logger log = LoggerFactory.getLogger(CurrentRole.class);

  private final KernelCache kernel;
  private final Supplier<String> clusterId;
  private final InstantSource clock;
  private final List<Consumer<RoleState>> listeners = new CopyOnWriteArrayList<>();
  private final CompletableFuture<Void> ready = new CompletableFuture<>();

  /** Held during a change, its announcement included. */
  private final ReentrantLock changing = new ReentrantLock();

  private final Condition changed = changing.newCondition();

  private volatile RoleState state;

  CurrentRole(KernelCache kernel, Supplier<String> clusterId, InstantSource clock) {
    this.kernel = kernel;
    this.clusterId = clusterId;
    this.clock = clock;
    this.state = new RoleState(Role.SEARCHING, Optional.empty(), clock.instant());
  }

  RoleState state() {
    return state;
  }

  /** See {@link Cluster#onChange}. */
  void onChange(Consumer<RoleState> listener) {
    listeners.add(listener);
  }

  /** Completes when this node is primary, or {@link #inSync}, for the first time. */
  CompletableFuture<Void> ready() {
    return ready.copy();
  }

  /** This node has all that the primary has. */
  void inSync() {
    ready.complete(null);
  }

  /** To a role without a primary that this node follows. */
  void change(Role role) {
    change(role, Optional.empty());
  }

  void follow(PrimaryInfo primary) {
    change(Role.REPLICA, Optional.of(primary));
  }

  private void change(Role role, Optional<PrimaryInfo> primary) {
    changing.lock();
    try {
      RoleState before = state;
      if (before.sameAs(role, primary)) {
        return;
      }
      RoleState now = new RoleState(role, primary, clock.instant());
      state = now;
      log.info("role: {} -> {}{}", before.role(), role, describe(now));
      // After the change: the kernel asks again as soon as it has forgotten.
      if (!Objects.equals(before.primaryHostname(), now.primaryHostname())) {
        kernel.invalidateEntry(".primary");
      }
      kernel.invalidateAttributes(".lag");
      for (Consumer<RoleState> listener : listeners) {
        listener.accept(now);
      }
      changed.signalAll();
    } finally {
      changing.unlock();
    }
    if (role == Role.PRIMARY) {
      ready.complete(null);
    }
  }

  private String describe(RoleState now) {
    return switch (now.role()) {
      case SEARCHING, HANDING_OVER, DEMOTED -> "";
      case REPLICA ->
          now.primary().map(p -> " of " + p.hostname() + " (" + p.advertiseUrl() + ")").orElse("");
      case PRIMARY -> " of cluster " + clusterId.get();
    };
  }

  /** False if the role is no such within {@code limit}. */
  boolean await(Predicate<RoleState> wanted, Duration limit) throws IOException {
    long nanos = limit.toNanos();
    changing.lock();
    try {
      while (!wanted.test(state)) {
        if (nanos <= 0) {
          return false;
        }
        nanos = changed.awaitNanos(nanos);
      }
      return true;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted", e);
    } finally {
      changing.unlock();
    }
  }
}
