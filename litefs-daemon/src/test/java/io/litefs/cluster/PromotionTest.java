package io.litefs.cluster;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.litefs.fuse.KernelCache;
import io.litefs.lease.LeaseException;
import io.litefs.lease.Leaser;
import io.litefs.lease.PrimaryInfo;
import java.io.IOException;
import java.lang.reflect.Proxy;
import java.net.URI;
import java.time.Duration;
import java.time.InstantSource;
import java.util.Optional;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.FutureTask;
import java.util.concurrent.LinkedBlockingQueue;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(30)
class PromotionTest {

  private static final PrimaryInfo PRIMARY = new PrimaryInfo("one", URI.create("http://one:20202"));

  private final BlockingQueue<String> calls = new LinkedBlockingQueue<>();
  private volatile boolean keeperAnswers = true;
  private volatile CountDownLatch rehearsalEnds = new CountDownLatch(0);
  private final CurrentRole role =
      new CurrentRole(
          (KernelCache) proxy(KernelCache.class, name -> null), () -> "id", InstantSource.system());

  @Test
  void thePrimaryIsAskedOnceThisNodeHasGotThroughToTheLease() throws IOException {
    role.follow(PRIMARY);
    promotion(true, false).promote();
    assertThat(calls).containsExactly("primary", "ask http://one:20202");
  }

  /** Writers would wait for a node that cannot take the lease. */
  @Test
  void nobodyIsAskedForALeaseThatThisNodeCannotGetThroughTo() {
    keeperAnswers = false;
    role.follow(PRIMARY);
    Promotion promotion = promotion(true, false);
    assertThatThrownBy(promotion::promote).hasMessage("no answer");
    assertThat(calls).containsExactly("primary");
  }

  @Test
  void aPrimaryHasNobodyToAsk() throws IOException {
    role.change(Role.PRIMARY);
    promotion(true, false).promote();
    assertThat(calls).isEmpty();
  }

  @Test
  void oneThatIsNoCandidateSaysSo() {
    role.follow(PRIMARY);
    Promotion promotion = promotion(false, false);
    assertThatThrownBy(promotion::promote)
        .isInstanceOf(NoCandidateException.class)
        .hasMessageContaining("lease.candidate: true");
    assertThat(calls).isEmpty();
  }

  /** As right after a handoff between two others. */
  @Test
  void itWaitsForAPrimaryThatIsAboutToBeFound() throws Exception {
    FutureTask<Void> promoted = promoteUntilItWaits(promotion(true, false));
    role.follow(PRIMARY);
    promoted.get();
    assertThat(calls).containsExactly("primary", "ask http://one:20202");
  }

  /** Writers would wait for code that runs for the first time. */
  @Test
  void itWaitsForARehearsalThatIsUnderWay() throws Exception {
    rehearsalEnds = new CountDownLatch(1);
    role.follow(PRIMARY);
    Promotion promotion = promotion(true, false);
    promotion.inSync();
    assertThat(calls.take()).isEqualTo("rehearse");
    FutureTask<Void> promoted = promoteUntilItWaits(promotion);
    assertThat(calls).isEmpty();
    rehearsalEnds.countDown();
    promoted.get();
    assertThat(calls).containsExactly("primary", "ask http://one:20202");
  }

  private static FutureTask<Void> promoteUntilItWaits(Promotion promotion) {
    FutureTask<Void> promoted =
        new FutureTask<>(
            () -> {
              promotion.promote();
              return null;
            });
    Thread thread = new Thread(promoted);
    thread.start();
    while (thread.isAlive() && thread.getState() != Thread.State.TIMED_WAITING) {
      Thread.onSpinWait();
    }
    return promoted;
  }

  @Test
  void aCandidateRehearsesOnceWhenItIsInSync() throws Exception {
    role.follow(PRIMARY);
    Promotion promotion = promotion(true, true);
    promotion.inSync();
    promotion.inSync();
    assertThat(calls.take()).isEqualTo("rehearse");
    assertThat(calls.take()).isEqualTo("primary");
    assertThat(calls.take()).isEqualTo("ask http://one:20202");
    assertThat(calls).isEmpty();
  }

  private Promotion promotion(boolean candidate, boolean promote) {
    return new Promotion(
        (Leaser) proxy(Leaser.class, this::leaser),
        new Peers() {
          @Override
          public Standing standing(URI node) {
            throw new AssertionError("nobody asks how far others are");
          }

          @Override
          public void askForLease(URI primary) {
            calls.add("ask " + primary);
            role.change(Role.PRIMARY);
          }
        },
        new ClusterOptions(PRIMARY, true, candidate, promote, Duration.ZERO, Duration.ZERO),
        role,
        new CountDownLatch(1));
  }

  private Object leaser(String method) throws LeaseException {
    calls.add(method);
    return switch (method) {
      case "rehearse" -> {
        await(rehearsalEnds);
        yield null;
      }
      case "primary" -> {
        if (!keeperAnswers) {
          throw new LeaseException("no answer");
        }
        yield Optional.of(PRIMARY);
      }
      default -> throw new AssertionError(method);
    };
  }

  private static void await(CountDownLatch latch) {
    try {
      latch.await();
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  private interface Answer {
    Object to(String method) throws IOException;
  }

  private static Object proxy(Class<?> type, Answer answer) {
    return Proxy.newProxyInstance(
        type.getClassLoader(),
        new Class<?>[] {type},
        (self, method, arguments) -> answer.to(method.getName()));
  }
}
