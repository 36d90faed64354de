/** JMH benchmarks of LTX: page checksums, encoding, decoding. */
package io.litefs.it.bench.ltx;
