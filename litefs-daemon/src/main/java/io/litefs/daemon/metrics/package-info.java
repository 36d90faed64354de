/**
 * What is measured, as opposed to counted: distributions of times and sizes, and the process. They
 * are Micrometer's; the counters of the original keep their own names and are written by {@link
 * io.litefs.daemon.api.PrometheusText} (decision 70).
 */
package io.litefs.daemon.metrics;
