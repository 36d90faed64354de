package io.litefs.daemon.metrics;

import io.micrometer.core.instrument.DistributionSummary;
import io.micrometer.core.instrument.FunctionCounter;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Timer;
import io.micrometer.prometheusmetrics.PrometheusConfig;
import io.micrometer.prometheusmetrics.PrometheusMeterRegistry;
import java.time.Duration;
import java.util.concurrent.TimeUnit;

/**
 * The distributions, node-wide: one per database and bucket would be a thousand lines where there
 * are many databases. Thread-safe.
 */
final class Meters {

  private static final Duration[] TIMES = {
    Duration.ofNanos(100_000),
    Duration.ofNanos(250_000),
    Duration.ofNanos(500_000),
    Duration.ofMillis(1),
    Duration.ofNanos(2_500_000),
    Duration.ofMillis(5),
    Duration.ofMillis(10),
    Duration.ofMillis(25),
    Duration.ofMillis(50),
    Duration.ofMillis(100),
    Duration.ofMillis(250),
    Duration.ofSeconds(1),
    Duration.ofSeconds(5)
  };

  private static final double[] SIZES = {
    512, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20, 16 << 20, 256 << 20, 1 << 30
  };

  private final PrometheusMeterRegistry registry =
      new PrometheusMeterRegistry(PrometheusConfig.DEFAULT);
  private final Timer commit =
      timer("litefs.commit", "From a transaction's last page to its place in the log.");
  private final Timer sync =
      timer("litefs.log.sync", "Syncs of the log that an application waited for.");
  private final Timer apply =
      timer("litefs.apply", "To apply a transaction of the primary's, waits for locks included.");
  private final Timer visible =
      timer("litefs.visible", "From the commit on the primary until it can be read here.");
  private final Timer lockWait =
      timer("litefs.lock.wait", "To get SQLite's locks on a database, or to give up.");
  private final DistributionSummary ltxSize =
      DistributionSummary.builder("litefs.ltx.size")
          .description("Sizes of LTX files, made or received.")
          .baseUnit("bytes")
          .serviceLevelObjectives(SIZES)
          .register(registry);

  Meters() {
    ProcessInfo process = new ProcessInfo();
    gauge("process.resident.memory.bytes", "Resident memory.", process, ProcessInfo::residentBytes);
    gauge("process.open.fds", "Open descriptors.", process, ProcessInfo::openDescriptors);
    gauge("process.threads", "Threads.", process, ProcessInfo::threads);
    gauge("process.start.time.seconds", "Start, in Unix time.", process, ProcessInfo::startSeconds);
    gauge("jvm.heap.used.bytes", "Heap in use.", process, ProcessInfo::heapUsed);
    gauge("jvm.heap.committed.bytes", "Heap taken from the system.", process, ProcessInfo::heap);
    gauge("jvm.heap.max.bytes", "Largest heap allowed.", process, ProcessInfo::heapMax);
    FunctionCounter.builder("process.cpu.seconds", process, ProcessInfo::cpuSeconds)
        .description("CPU time used.")
        .register(registry);
  }

  private Timer timer(String name, String description) {
    return Timer.builder(name)
        .description(description)
        .serviceLevelObjectives(TIMES)
        .register(registry);
  }

  private void gauge(
      String name,
      String description,
      ProcessInfo process,
      java.util.function.ToDoubleFunction<ProcessInfo> value) {
    Gauge.builder(name, process, value)
        .description(description)
        .strongReference(true)
        .register((MeterRegistry) registry);
  }

  void committed(long nanos, long ltxBytes) {
    commit.record(nanos, TimeUnit.NANOSECONDS);
    ltxSize.record(ltxBytes);
  }

  void synced(long nanos) {
    sync.record(nanos, TimeUnit.NANOSECONDS);
  }

  void received(long ltxBytes) {
    ltxSize.record(ltxBytes);
  }

  void applied(long nanos) {
    apply.record(nanos, TimeUnit.NANOSECONDS);
  }

  void visible(long millis) {
    visible.record(millis, TimeUnit.MILLISECONDS);
  }

  void waitedForLocks(long nanos) {
    lockWait.record(nanos, TimeUnit.NANOSECONDS);
  }

  String text() {
    return registry.scrape();
  }
}
