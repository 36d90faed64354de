package io.litefs.it;

import java.util.function.UnaryOperator;
import org.junit.jupiter.api.extension.AfterAllCallback;
import org.junit.jupiter.api.extension.AfterTestExecutionCallback;
import org.junit.jupiter.api.extension.BeforeAllCallback;
import org.junit.jupiter.api.extension.ExtensionContext;

/**
 * A cluster that lives as long as the tests of one class; each test uses databases of its own
 * names. At the end every node must stop cleanly and none may have logged a stack trace. The logs
 * are printed with each failure.
 */
final class Nodes implements BeforeAllCallback, AfterAllCallback, AfterTestExecutionCallback {

  private final int size;
  private final UnaryOperator<NodeConfig> change;
  private Cluster cluster;

  private Nodes(int size, UnaryOperator<NodeConfig> change) {
    this.size = size;
    this.change = change;
  }

  static Nodes of(int size) {
    return new Nodes(size, UnaryOperator.identity());
  }

  static Nodes of(int size, UnaryOperator<NodeConfig> change) {
    return new Nodes(size, change);
  }

  Cluster cluster() {
    return cluster;
  }

  Node primary() {
    return cluster.primary();
  }

  Node replica() {
    return cluster.replica();
  }

  @Override
  public void beforeAll(ExtensionContext context) {
    cluster = Cluster.start(size, change);
  }

  @Override
  public void afterTestExecution(ExtensionContext context) {
    if (context.getExecutionException().isPresent()) {
      System.err.println(
          "logs at the failure of " + context.getDisplayName() + ":\n" + cluster.logs());
    }
  }

  @Override
  public void afterAll(ExtensionContext context) {
    if (cluster == null) {
      return;
    }
    try {
      for (Node node : cluster.nodes()) {
        if (node.isRunning()) {
          int code = node.stop();
          if (code != 0) {
            throw new AssertionError("exit code " + code + " after SIGTERM; log:\n" + node.log());
          }
          if (node.log().contains("\n\tat ")) {
            throw new AssertionError("a stack trace in the log:\n" + node.log());
          }
        }
      }
    } finally {
      cluster.close();
    }
  }
}
