package io.litefs.it;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

/** {@code lease.databases}: a replica of some databases only. */
class DatabaseFilterTest {

  @Test
  void aReplicaReceivesOnlyTheDatabasesThatItNames() throws Exception {
    try (Cluster cluster = Cluster.start(2)) {
      Node filtered =
          cluster.addReplica(
              NodeConfig.replicaOf(cluster.primary().port())
                  .set("lease", "databases", "[\"b.db\", \"d.db\"]"));
      for (String db : new String[] {"a.db", "b.db", "c.db", "d.db"}) {
        Commands.run(
                "sqlite3",
                cluster.primary().db(db).toString(),
                Sql.CREATE + ";" + Sql.insert(10, 100))
            .orThrow();
      }
      for (String db : new String[] {"b.db", "d.db"}) {
        cluster.assertIdentical(db);
      }
      cluster.replica().awaitPos("c.db", cluster.primary().pos("c.db"));
      assertThat(filtered.db("a.db")).doesNotExist();
      assertThat(filtered.db("c.db")).doesNotExist();

      filtered.stop();
      filtered.configure(NodeConfig.replicaOf(cluster.primary().port())).start();
      for (String db : new String[] {"a.db", "b.db", "c.db", "d.db"}) {
        cluster.assertIdentical(db);
      }
    }
  }
}
