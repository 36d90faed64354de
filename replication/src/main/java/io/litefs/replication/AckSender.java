package io.litefs.replication;

import io.litefs.ltx.Pos;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Sends acknowledgements on a stream's request, one piece at a time: while the primary does not
 * take them they are gathered, so that memory does not grow.
 */
final class AckSender implements Acknowledger {

  private final StreamConnection connection;
  private final boolean durable;

  // Guarded by this.
  private final Map<String, Pos> waiting = new LinkedHashMap<>();
  private boolean inSync;
  private boolean sending;

  AckSender(StreamConnection connection, boolean durable) {
    this.connection = connection;
    this.durable = durable;
  }

  @Override
  public boolean wantsDurable() {
    return durable;
  }

  @Override
  public void acknowledge(String database, Pos pos) {
    synchronized (this) {
      waiting.put(database, pos);
    }
    send();
  }

  @Override
  public void inSync() {
    synchronized (this) {
      inSync = true;
    }
    send();
  }

  private void send() {
    byte[] frames;
    synchronized (this) {
      if (sending || waiting.isEmpty() && !inSync) {
        return;
      }
      frames = AckFrame.encode(waiting, inSync);
      waiting.clear();
      inSync = false;
      sending = true;
    }
    connection.send(frames, this::sent);
  }

  private void sent() {
    synchronized (this) {
      sending = false;
    }
    send();
  }
}
