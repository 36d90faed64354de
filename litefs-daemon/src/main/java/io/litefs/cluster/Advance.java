package io.litefs.cluster;

import io.litefs.ltx.Pos;
import java.util.Map;

/**
 * How far a node is, as one number: of two whose histories have not parted, the one with the
 * greater sum has what the other has. With several databases each may lead in one; the sum then
 * decides for the fewer transactions that must be given up.
 */
final class Advance {

  private Advance() {}

  /** The sum of all TXIDs. */
  static long of(Map<String, Pos> positions) {
    return positions.values().stream().mapToLong(pos -> pos.txid().value()).sum();
  }
}
