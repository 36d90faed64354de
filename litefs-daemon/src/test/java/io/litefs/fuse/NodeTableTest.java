package io.litefs.fuse;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class NodeTableTest {

  private final NodeTable nodes = new NodeTable();

  @Test
  void forgetsWhatTheKernelForgets() {
    nodes.learn("db", 2);
    nodes.learn("db", 2);
    nodes.forget(2, 1);
    assertThat(nodes.id("db")).isEqualTo(2);
    nodes.forget(2, 1);
    assertThat(nodes.id("db")).isEqualTo(NodeTable.NONE);
    assertThat(nodes.size()).isZero();
  }

  @Test
  void aNameStandsForItsLatestNode() {
    nodes.learn("journal", 2);
    nodes.unlink("journal");
    assertThat(nodes.isUnlinked(2)).isTrue();
    assertThat(nodes.id("journal")).isEqualTo(NodeTable.NONE);
    nodes.learn("journal", 3);
    nodes.forget(2, 1);
    assertThat(nodes.id("journal")).isEqualTo(3);
    assertThat(nodes.isUnlinked(3)).isFalse();
  }

  @Test
  void aRenamedNodeKeepsItsIdAndReplacesAnother() {
    nodes.learn("a", 2);
    nodes.learn("b", 3);
    nodes.rename("a", "b");
    assertThat(nodes.id("a")).isEqualTo(NodeTable.NONE);
    assertThat(nodes.id("b")).isEqualTo(2);
    assertThat(nodes.isUnlinked(3)).isTrue();
  }

  @Test
  void ignoresTheRoot() {
    nodes.forget(NodeTable.ROOT, 5);
    assertThat(nodes.size()).isZero();
  }
}
