package io.litefs.it;

import java.util.Optional;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.extension.AfterAllCallback;
import org.junit.jupiter.api.extension.AfterTestExecutionCallback;
import org.junit.jupiter.api.extension.BeforeAllCallback;
import org.junit.jupiter.api.extension.ExtensionContext;

/**
 * A cluster that lives as long as the tests of one class; each test uses databases of its own
 * names. None may crash, at the end every node must stop cleanly, and none may have logged a stack
 * trace. The logs are printed with each failure.
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
    context
        .getExecutionException()
        .ifPresent(
            failure -> {
              System.err.println(
                  "logs at the failure of " + context.getDisplayName() + ":\n" + cluster.logs());
              crash().ifPresent(failure::addSuppressed);
            });
  }

  /** What a node said last that has ended by a signal of its own, which no test sends. */
  private Optional<AssertionError> crash() {
    return cluster.nodes().stream()
        .filter(Node::hasCrashed)
        .map(node -> new AssertionError(node.home() + " has crashed; log:\n" + node.log()))
        .findFirst();
  }

  @Override
  public void afterAll(ExtensionContext context) {
    if (cluster == null) {
      return;
    }
    try {
      if (crash().isPresent()) {
        throw crash().get();
      }
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
