package io.litefs.store;

/** When a committed transaction must survive a power cut. */
public enum Durability {
  /** When the application syncs, as without the mount; else within 100 ms. */
  APPLICATION,
  /** Before its commit returns. */
  ALWAYS
}
