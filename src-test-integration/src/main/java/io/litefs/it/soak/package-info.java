/**
 * Random faults against real nodes under real SQLite writers, for as long as one likes, and the
 * states that a power cut can leave. Read {@link io.litefs.it.soak.Soak} first (kills and full
 * disks), then {@link io.litefs.it.soak.PowerCut}.
 *
 * <p>Both decide by what the writers were told: {@link io.litefs.it.soak.Workload} says what a
 * transaction leaves in the database, {@link io.litefs.it.soak.Ledger} what must be there.
 */
package io.litefs.it.soak;
