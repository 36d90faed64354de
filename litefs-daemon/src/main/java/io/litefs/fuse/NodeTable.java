package io.litefs.fuse;

import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/**
 * The nodes that the kernel knows: names, and the ids libfuse gave them. Kept from the replies to
 * LOOKUP and CREATE and from FORGET, counted as the kernel counts, so it is as large as the
 * kernel's inode cache and not larger.
 *
 * <p>Thread-safe. Several ids can have had one name (a journal is created and unlinked again and
 * again); the name stands for the latest.
 */
final class NodeTable {

  /** The id of the root directory. */
  static final long ROOT = 1;

  /** No such node. */
  static final long NONE = 0;

  private static final class Node {
    final long id;
    long lookups;

    /** Null once unlinked or replaced. Read without the lock, too. */
    volatile String name;

    Node(long id) {
      this.id = id;
    }
  }

  private final Map<String, Node> byName = new HashMap<>();

  /** Changed under the lock, read without it, too. */
  private final Map<Long, Node> byId = new ConcurrentHashMap<>();

  /** The kernel is about to be told that {@code name} is node {@code id}. */
  synchronized void learn(String name, long id) {
    Node node = byId.computeIfAbsent(id, Node::new);
    node.lookups++;
    if (!name.equals(node.name)) {
      drop(name);
      node.name = name;
      byName.put(name, node);
    }
  }

  /** The kernel has dropped {@code lookups} of its references (or was never given them). */
  synchronized void forget(long id, long lookups) {
    Node node = byId.get(id);
    if (node == null) {
      return; // the root, which is never learnt
    }
    node.lookups -= lookups;
    if (node.lookups <= 0) {
      byId.remove(id);
      if (node.name != null) {
        byName.remove(node.name, node);
      }
    }
  }

  synchronized void unlink(String name) {
    drop(name);
  }

  synchronized void rename(String from, String to) {
    Node node = byName.get(from);
    drop(to);
    if (node != null) {
      byName.remove(from);
      node.name = to;
      byName.put(to, node);
    }
  }

  /** The node that {@code name} stands for, or {@link #NONE} if the kernel does not know one. */
  synchronized long id(String name) {
    Node node = byName.get(name);
    return node == null ? NONE : node.id;
  }

  /**
   * The name of node {@code id}; null if the kernel does not know it, or if its name is gone. Takes
   * no lock, so that who looks on holds up no request.
   */
  String name(long id) {
    Node node = byId.get(id);
    return node == null ? null : node.name;
  }

  /** Whether the kernel knows this node but its name is gone. */
  synchronized boolean isUnlinked(long id) {
    Node node = byId.get(id);
    return node != null && node.name == null;
  }

  synchronized int size() {
    return byId.size();
  }

  private void drop(String name) {
    Node node = byName.remove(name);
    if (node != null) {
      node.name = null;
    }
  }
}
