package io.litefs.store;

import io.litefs.ltx.LtxFileName;
import io.litefs.ltx.Txid;
import java.io.IOException;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.BitSet;
import java.util.Collections;
import java.util.Comparator;
import java.util.Iterator;
import java.util.Map;
import java.util.NavigableMap;
import java.util.NoSuchElementException;
import java.util.Optional;
import java.util.TreeMap;
import java.util.TreeSet;

/**
 * The names of a log's files, in order: by the TXID that they begin with, of those that begin alike
 * the one that reaches further first. A log can have a million files, nearly all of one transaction
 * each and without gaps: of those a bit each is kept.
 *
 * <p>Not thread-safe.
 */
final class LogNames implements Iterable<LtxFileName> {

  static final Comparator<LtxFileName> ORDER =
      Comparator.comparing(LtxFileName::min)
          .thenComparing(Comparator.comparing(LtxFileName::max).reversed());

  private static final int CHUNK_BITS = 12;
  private static final long CHUNK_MASK = (1L << CHUNK_BITS) - 1;

  /** Files of one transaction: which of 4096 TXIDs have one, by the TXIDs' upper bits. */
  private final TreeMap<Long, BitSet> singles = new TreeMap<>();

  /** Files of several. */
  private final TreeSet<LtxFileName> spans = new TreeSet<>(ORDER);

  private long size;

  /** Those in a directory; other files are of no interest. */
  static LogNames in(Path dir) throws IOException {
    LogNames names = new LogNames();
    try (DirectoryStream<Path> files = Files.newDirectoryStream(dir)) {
      for (Path file : files) {
        LtxFileName.parse(file.getFileName().toString()).ifPresent(names::add);
      }
    } catch (DirectoryIteratorException e) {
      throw e.getCause();
    }
    return names;
  }

  void add(LtxFileName name) {
    if (contains(name)) {
      return;
    }
    size++;
    if (isSpan(name)) {
      spans.add(name);
    } else {
      singles.computeIfAbsent(chunk(name), index -> new BitSet()).set(bit(name));
    }
  }

  void remove(LtxFileName name) {
    if (!contains(name)) {
      return;
    }
    size--;
    if (isSpan(name)) {
      spans.remove(name);
      return;
    }
    BitSet chunk = singles.get(chunk(name));
    chunk.clear(bit(name));
    if (chunk.isEmpty()) {
      singles.remove(chunk(name));
    }
  }

  boolean contains(LtxFileName name) {
    if (isSpan(name)) {
      return spans.contains(name);
    }
    BitSet chunk = singles.get(chunk(name));
    return chunk != null && chunk.get(bit(name));
  }

  long size() {
    return size;
  }

  boolean isEmpty() {
    return size == 0;
  }

  /** The last in order; there must be one. */
  LtxFileName last() {
    return descending().iterator().next();
  }

  /** The one that reaches furthest, of several the one that begins first; empty if none does. */
  Optional<LtxFileName> furthest() {
    if (isEmpty()) {
      return Optional.empty();
    }
    LtxFileName furthest =
        spans.isEmpty()
            ? null
            : Collections.max(
                spans,
                Comparator.comparing(LtxFileName::max)
                    .thenComparing(Comparator.comparing(LtxFileName::min).reversed()));
    Iterator<LtxFileName> single = new Singles(singles.descendingMap(), true);
    if (single.hasNext()) {
      LtxFileName last = single.next();
      if (furthest == null || last.max().compareTo(furthest.max()) > 0) {
        furthest = last;
      }
    }
    return Optional.of(furthest);
  }

  /** The names must not change meanwhile. */
  @Override
  public Iterator<LtxFileName> iterator() {
    return new Merged(spans.iterator(), new Singles(singles, false), ORDER);
  }

  /** From the last to the first; the names must not change meanwhile. */
  Iterable<LtxFileName> descending() {
    return () ->
        new Merged(
            spans.descendingIterator(),
            new Singles(singles.descendingMap(), true),
            ORDER.reversed());
  }

  private static boolean isSpan(LtxFileName name) {
    return !name.min().equals(name.max());
  }

  private static long chunk(LtxFileName name) {
    return name.min().value() >>> CHUNK_BITS;
  }

  private static int bit(LtxFileName name) {
    return (int) (name.min().value() & CHUNK_MASK);
  }

  /** Files of one transaction each. */
  private static final class Singles implements Iterator<LtxFileName> {
    private final Iterator<Map.Entry<Long, BitSet>> chunks;
    private final boolean descending;
    private Map.Entry<Long, BitSet> chunk;

    /** In the chunk; -1 if it has no more. */
    private int bit = -1;

    Singles(NavigableMap<Long, BitSet> map, boolean descending) {
      this.chunks = map.entrySet().iterator();
      this.descending = descending;
      nextChunk();
    }

    private void nextChunk() {
      if (chunks.hasNext()) {
        chunk = chunks.next();
        BitSet bits = chunk.getValue();
        bit = descending ? bits.previousSetBit((int) CHUNK_MASK) : bits.nextSetBit(0);
      }
    }

    @Override
    public boolean hasNext() {
      return bit >= 0;
    }

    @Override
    public LtxFileName next() {
      if (bit < 0) {
        throw new NoSuchElementException();
      }
      Txid txid = new Txid((chunk.getKey() << CHUNK_BITS) + bit);
      BitSet bits = chunk.getValue();
      bit = descending ? bits.previousSetBit(bit - 1) : bits.nextSetBit(bit + 1);
      if (bit < 0) {
        nextChunk();
      }
      return new LtxFileName(txid, txid);
    }
  }

  private static final class Merged implements Iterator<LtxFileName> {
    private final Iterator<LtxFileName> spans;
    private final Iterator<LtxFileName> singles;
    private final Comparator<LtxFileName> order;
    private LtxFileName span;
    private LtxFileName single;

    Merged(
        Iterator<LtxFileName> spans, Iterator<LtxFileName> singles, Comparator<LtxFileName> order) {
      this.spans = spans;
      this.singles = singles;
      this.order = order;
      span = next(spans);
      single = next(singles);
    }

    private static LtxFileName next(Iterator<LtxFileName> of) {
      return of.hasNext() ? of.next() : null;
    }

    @Override
    public boolean hasNext() {
      return span != null || single != null;
    }

    @Override
    public LtxFileName next() {
      if (!hasNext()) {
        throw new NoSuchElementException();
      }
      LtxFileName next;
      if (single == null || span != null && order.compare(span, single) < 0) {
        next = span;
        span = next(spans);
      } else {
        next = single;
        single = next(singles);
      }
      return next;
    }
  }
}
