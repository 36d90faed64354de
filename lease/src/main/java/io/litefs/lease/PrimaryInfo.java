package io.litefs.lease;

import java.net.URI;
import java.util.Objects;

/**
 * What a holder of the lease tells the other nodes about itself.
 *
 * @param hostname its name for people, in {@code .primary} and in answers; not empty
 * @param advertiseUrl base URL of its API, without a slash at the end
 */
public record PrimaryInfo(String hostname, URI advertiseUrl) {
  public PrimaryInfo {
    Objects.requireNonNull(hostname, "hostname");
    Objects.requireNonNull(advertiseUrl, "advertiseUrl");
  }

  // Written out: a record's own way is linked at its first use, while writers wait in a handoff.
  @Override
  public boolean equals(Object other) {
    return other instanceof PrimaryInfo that
        && hostname.equals(that.hostname)
        && advertiseUrl.equals(that.advertiseUrl);
  }

  @Override
  public int hashCode() {
    return 31 * hostname.hashCode() + advertiseUrl.hashCode();
  }
}
