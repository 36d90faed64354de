package io.litefs.replication;

/**
 * What sent frames are counted by: metric {@code litefs_http_frame_send_count{db,type}}.
 *
 * @param database empty for frames that are of no database
 * @param type {@code ltx}, {@code ltx:snapshot}, {@code drop}, {@code ready}, {@code end}, {@code
 *     handoff} or {@code heartbeat}
 */
public record FrameKind(String database, String type) {

  // As in io.litefs.ltx.Txid.
  @Override
  public boolean equals(Object other) {
    return other instanceof FrameKind that
        && database.equals(that.database)
        && type.equals(that.type);
  }

  @Override
  public int hashCode() {
    return 31 * database.hashCode() + type.hashCode();
  }
}
