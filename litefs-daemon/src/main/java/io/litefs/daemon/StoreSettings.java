package io.litefs.daemon;

import io.litefs.config.DataConfig;
import io.litefs.config.LitefsConfig;
import io.litefs.store.Durability;
import io.litefs.store.StoreOptions;
import java.util.Set;

/** The part of the configuration that the store needs, in its own words. */
final class StoreSettings {

  private StoreSettings() {}

  static StoreOptions of(LitefsConfig config) {
    DataConfig data = config.data();
    Durability durability =
        switch (data.durability()) {
          case APPLICATION -> Durability.APPLICATION;
          case ALWAYS -> Durability.ALWAYS;
        };
    return new StoreOptions(
        data.dir(),
        data.compress(),
        durability,
        data.retention(),
        data.retentionMonitorInterval(),
        data.retentionSize(),
        data.divergedSize(),
        Set.copyOf(config.lease().databases()),
        config.strictVerify(),
        data.replicaWalLimit());
  }
}
