package io.litefs.it.soak;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.litefs.it.Cluster;
import io.litefs.it.Commands;
import io.litefs.it.sqlite.Driver;
import io.litefs.it.sqlite.Session;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What the soak looks at finds what is wrong, and nothing else. */
class EveryStateTest {

  private static final String DB = "s.db";

  private static void make(Session application, String mode) {
    application.run("PRAGMA journal_mode = " + mode);
    Workload.SCHEMA.forEach(application::run);
  }

  private static EveryState follower(Cluster cluster) {
    return new EveryState(
        cluster.replica(), DB, Commands.workDirectory("states").resolve("followed"));
  }

  @ParameterizedTest
  @ValueSource(strings = {"DELETE", "WAL"})
  void findsAStateThatTheNextTransactionPutsRight(String mode) {
    try (Cluster cluster = Cluster.start(2);
        EveryState states = follower(cluster);
        Session application = Driver.SHELL.open(cluster.primary().db(DB))) {
      make(application, mode);
      cluster.sync(DB);
      states.follow();
      application.run("UPDATE bank SET v = v + 1 WHERE k = 1");
      application.run("UPDATE bank SET v = v - 1 WHERE k = 1");
      cluster.sync(DB);
      assertThatThrownBy(states::follow)
          .isInstanceOf(AssertionError.class)
          .hasMessageContaining("the bank has 5001");
    }
  }

  @Test
  void followsEachTransactionOnce() {
    try (Cluster cluster = Cluster.start(2);
        EveryState states = follower(cluster);
        Session application = Driver.SHELL.open(cluster.primary().db(DB))) {
      make(application, "DELETE");
      cluster.sync(DB);
      states.follow();
      for (int i = 0; i < 5; i++) {
        application.runAll(
            "BEGIN",
            "UPDATE bank SET v = v + 1 WHERE k = 1",
            "UPDATE bank SET v = v - 1 WHERE k = 2",
            "COMMIT");
      }
      cluster.sync(DB);
      assertThat(states.follow()).isEqualTo(5);
      assertThat(states.follow()).isZero();
    }
  }
}
