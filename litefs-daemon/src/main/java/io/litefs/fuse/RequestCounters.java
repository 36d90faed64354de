package io.litefs.fuse;

import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.atomic.LongAdder;

/**
 * How many requests of each kind the kernel has sent. Every one costs its sender about 10 us, so
 * tests and operators count them. Thread-safe.
 */
public final class RequestCounters {

  private static final int OPCODES = 64;

  private final LongAdder[] counts = new LongAdder[OPCODES];

  RequestCounters() {
    for (int i = 0; i < OPCODES; i++) {
      counts[i] = new LongAdder();
    }
  }

  void count(int opcode) {
    counts[opcode >= 0 && opcode < OPCODES ? opcode : 0].increment();
  }

  /**
   * Requests so far by name in lower case (lookup, getattr, read, write, ...); kinds that never
   * came are absent.
   */
  public Map<String, Long> snapshot() {
    Map<String, Long> snapshot = new TreeMap<>();
    for (int opcode = 0; opcode < OPCODES; opcode++) {
      long count = counts[opcode].sum();
      if (count > 0) {
        snapshot.put(Opcode.name(opcode).toLowerCase(Locale.ROOT), count);
      }
    }
    return snapshot;
  }

  /** All requests so far. */
  public long total() {
    long total = 0;
    for (LongAdder count : counts) {
      total += count.sum();
    }
    return total;
  }
}
