package io.litefs.config;

/** When a committed transaction survives a power cut. */
public enum Durability {
  /** When the application's {@code PRAGMA synchronous} would make it so without the mount. */
  APPLICATION,
  /** Before each commit returns, whatever the application set. */
  ALWAYS
}
