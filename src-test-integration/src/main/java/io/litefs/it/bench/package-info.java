/**
 * The benchmarks of {@code io.litefs.it.bench.Benchmarks}: ratios between the mount and a bare
 * directory, measured in turns. Not part of the tests; {@code io.litefs.it.bench.ltx} holds the
 * micro-benchmarks of the LTX code.
 */
package io.litefs.it.bench;
