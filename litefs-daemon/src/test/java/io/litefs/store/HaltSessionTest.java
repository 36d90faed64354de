package io.litefs.store;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.litefs.ltx.Checksum;
import io.litefs.ltx.Pos;
import io.litefs.ltx.Txid;
import io.litefs.posix.ErrnoException;
import java.nio.file.Path;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** The answer to a transaction and the transaction itself may come back in either order. */
@Timeout(60)
class HaltSessionTest {

  private static final long HERE = 1;
  private static final long ELSEWHERE = 2;
  private static final Path FILE = Path.of("unread.ltx");
  private static final Pos BEFORE = pos(7);
  private static final Pos AFTER = pos(8);

  private final SilentPrimary primary = new SilentPrimary(BEFORE);
  private final HaltSession session =
      new HaltSession(
          "a.db", 42, HERE, primary, System.nanoTime() + TimeUnit.MINUTES.toNanos(1), s -> {});

  private static Pos pos(long txid) {
    return new Pos(new Txid(txid), new Checksum(1L << 63 | txid));
  }

  @Test
  void whatComesBackAfterTheAnswerAndBeforeTheCommitIsOurs() throws Exception {
    primary.answer.complete(Optional.empty());
    session.forward(FILE, AFTER);
    assertThat(session.isOurs(HERE, AFTER, BEFORE)).isTrue();
    assertThat(session.isOurs(HERE, AFTER, AFTER)).isTrue();
    assertThat(session.isActive()).isTrue();
  }

  @Test
  void whatComesBackBeforeTheAnswerIsTheAnswer() throws Exception {
    CompletableFuture<Void> forwarded =
        CompletableFuture.runAsync(
            () -> {
              try {
                session.forward(FILE, AFTER);
              } catch (ErrnoException e) {
                throw new AssertionError(e);
              }
            });
    primary.sent.await();
    assertThat(session.isOurs(HERE, AFTER, BEFORE)).isTrue();
    forwarded.get();
    assertThat(session.isActive()).isTrue();
  }

  @Test
  void whatWasRefusedIsNotOursAndEndsTheSession() {
    primary.answer.complete(Optional.of("no"));
    assertThatThrownBy(() -> session.forward(FILE, AFTER))
        .isInstanceOf(ErrnoException.class)
        .hasMessageContaining("no");
    assertThat(session.isOurs(HERE, AFTER, BEFORE)).isFalse();
    assertThat(session.isActive()).isFalse();
  }

  @Test
  void whatAnotherNodeMadeIsNotOurs() throws Exception {
    primary.answer.complete(Optional.empty());
    session.forward(FILE, AFTER);
    assertThat(session.isOurs(ELSEWHERE, AFTER, AFTER)).isFalse();
    assertThat(session.isOurs(HERE, pos(9), AFTER)).isFalse();
  }
}
