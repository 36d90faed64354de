/**
 * The configuration: {@code litefs.yml} as immutable records.
 *
 * <p>Read {@link io.litefs.config.LitefsConfig} first: it is the whole tree, and each record's
 * Javadoc gives the units, the ranges and the defaults of its keys. {@link
 * io.litefs.config.ConfigLoader} finds and reads a file. Inside the room: {@code EnvExpander}
 * replaces variables in the text, {@code Section} reads typed values out of a YAML mapping and
 * notes every problem with its line, {@code ConfigReader} knows the keys and the rules between
 * them, {@code Durations} and {@code ByteSizes} parse values.
 *
 * <p>This module depends on no other of ours, opens nothing but the file it is told to read, and
 * changes nothing.
 */
package io.litefs.config;
