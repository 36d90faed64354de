package io.litefs.it.soak;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;

/**
 * What a disk may hold after a power cut: files, what is durable of them, and what is not yet.
 *
 * <p>Assumed is ext4 with {@code data=ordered} and delayed allocation, and a disk that keeps what
 * it was told to flush and writes sectors of {@link #SECTOR} bytes whole:
 *
 * <ul>
 *   <li>Names and truncations (creation, unlink, rename, ftruncate) go through the journal: after
 *       the cut a prefix of them, in their order, has happened.
 *   <li>fsync makes the file's bytes durable and commits the journal. fdatasync does the same if
 *       the file's size or allocation changed since the journal was committed last; if not (an
 *       overwrite of allocated blocks, or a mere rename), it makes the bytes durable and no name.
 *       fsync of a directory one of whose names has changed commits the journal.
 *   <li>Bytes that were written and not synced are there or not, sector by sector, whatever was
 *       written before or after; a file ends after the last that is there, and what is missing
 *       before reads as what was there before, or as zeros. (ext4 is kinder: it grows a file's size
 *       in order. Other filesystems are not.)
 *   <li>A write behind a truncation that has not happened has not happened either, if it went
 *       beyond the size that the truncation left.
 * </ul>
 *
 * <p>No credit is given for commits of the journal that files outside the model cause, nor for
 * ext4's flush at a rename over an existing file.
 */
final class DiskModel {

  static final int SECTOR = 512;

  /** How the sectors that may be there are chosen. */
  enum Loss {
    /** Nothing that was not synced is there. */
    ALL,
    /** Everything is. */
    NONE,
    /** Of each file, everything up to one write. */
    AFTER_A_WRITE,
    /** As above, and a part of that write. */
    TORN_WRITE,
    /** Each sector by itself. */
    SECTORS,
    /** Sizes are, but bytes that were added are zeros. */
    ZEROS,
    /** Another way for each file. */
    MIXED
  }

  /** A write, or a truncation ({@code bytes} null). */
  private record Change(long offset, byte[] bytes, MetaChange meta) {}

  /** A change of names or sizes, which the journal orders. */
  private record MetaChange(FileOperation operation, Inode inode) {

    /** Whether it is one of the names in this directory. */
    boolean isIn(String directory) {
      return parent(operation.path()).equals(directory)
          || operation.target() != null && parent(operation.target()).equals(directory);
    }

    private static String parent(String path) {
      return path.substring(0, Math.max(0, path.lastIndexOf('/')));
    }
  }

  /** Bytes that grow and change in place. */
  private static final class Content {
    private byte[] bytes = new byte[0];
    private int size;

    void write(int at, byte[] from, int start, int end) {
      if (end <= start) {
        return;
      }
      resize(Math.max(size, at + end - start));
      System.arraycopy(from, start, bytes, at, end - start);
    }

    void resize(long newSize) {
      int wanted = Math.toIntExact(newSize);
      if (wanted > bytes.length) {
        bytes = Arrays.copyOf(bytes, Math.max(wanted, bytes.length + bytes.length / 2));
      }
      if (wanted < size) {
        Arrays.fill(bytes, wanted, size, (byte) 0);
      }
      size = wanted;
    }

    byte[] copy() {
      return Arrays.copyOf(bytes, size);
    }

    Content duplicate() {
      Content content = new Content();
      content.bytes = bytes.clone();
      content.size = size;
      return content;
    }
  }

  private static final class Inode {
    private final Content durable = new Content();
    private final Content current = new Content();
    private final List<Change> pending = new ArrayList<>();

    /** Since the journal was committed: the file is new, or has another size. */
    private boolean sizeChanged = true;

    void write(long offset, byte[] bytes) {
      int at = Math.toIntExact(offset < 0 ? current.size : offset);
      sizeChanged |= at + bytes.length > current.size;
      current.write(at, bytes, 0, bytes.length);
      pending.add(new Change(at, bytes, null));
    }

    void resize(long size, MetaChange meta) {
      current.resize(size);
      sizeChanged = true;
      pending.add(new Change(size, null, meta));
    }

    void flush() {
      for (Change change : pending) {
        if (change.bytes() == null) {
          durable.resize(change.offset());
        } else {
          durable.write((int) change.offset(), change.bytes(), 0, change.bytes().length);
        }
      }
      pending.clear();
    }
  }

  private final Map<String, Inode> names = new TreeMap<>();
  private Map<String, Inode> durableNames = new TreeMap<>();
  private final List<MetaChange> journal = new ArrayList<>();

  /** A file that was there, and durable, before all operations. */
  void load(String name, byte[] bytes) {
    Inode inode = new Inode();
    inode.current.write(0, bytes, 0, bytes.length);
    inode.durable.write(0, bytes, 0, bytes.length);
    inode.sizeChanged = false;
    names.put(name, inode);
    durableNames.put(name, inode);
  }

  void apply(FileOperation operation) {
    Inode inode = names.get(operation.path());
    switch (operation.kind()) {
      case CREATE -> {
        if (inode == null) {
          create(operation);
        }
      }
      case WRITE -> {
        if (inode != null) {
          inode.write(operation.offset(), operation.bytes());
        }
      }
      case TRUNCATE -> {
        // By open(2) with O_CREAT too.
        Inode truncated = inode == null ? create(operation) : inode;
        if (truncated.current.size != operation.offset()) {
          truncated.resize(operation.offset(), meta(operation, truncated));
        }
      }
      case ALLOCATE -> {
        if (inode != null && operation.offset() > inode.current.size) {
          inode.resize(operation.offset(), meta(operation, inode));
        }
      }
      case FSYNC, FDATASYNC -> {
        if (inode != null) {
          boolean commits = operation.kind() == FileOperation.Kind.FSYNC || inode.sizeChanged;
          inode.flush();
          if (commits) {
            commit();
          }
        } else if (journal.stream().anyMatch(change -> change.isIn(operation.path()))) {
          commit(); // of a directory
        }
      }
      case SYNCFS -> sync();
      case RENAME -> {
        if (inode != null) {
          meta(operation, inode);
          names.remove(operation.path());
          if (operation.target() != null) {
            names.put(operation.target(), inode);
          }
        }
      }
      case UNLINK -> {
        if (inode != null) {
          meta(operation, inode);
          names.remove(operation.path());
        }
      }
      case MKDIR -> {
        // Directories are made as files need them.
      }
    }
  }

  private Inode create(FileOperation operation) {
    Inode inode = new Inode();
    names.put(operation.path(), inode);
    meta(operation, inode);
    return inode;
  }

  private MetaChange meta(FileOperation operation, Inode inode) {
    MetaChange change = new MetaChange(operation, inode);
    journal.add(change);
    return change;
  }

  /** Sizes go with the names; truncations that are durable need not be remembered. */
  private void commit() {
    for (MetaChange change : journal) {
      change.inode.sizeChanged = false;
      change.inode.pending.replaceAll(
          p -> p.meta() == change ? new Change(p.offset(), null, null) : p);
    }
    durableNames = new TreeMap<>(names);
    journal.clear();
    names.values().forEach(inode -> inode.sizeChanged = false);
  }

  /** sync(2): all that there is, is durable. */
  void sync() {
    names.values().forEach(Inode::flush);
    commit();
  }

  /** The files as running programs see them. */
  Map<String, byte[]> current() {
    Map<String, byte[]> files = new TreeMap<>();
    names.forEach((name, inode) -> files.put(name, inode.current.copy()));
    return files;
  }

  /** The files as a power cut now may leave them. */
  Map<String, byte[]> afterPowerCut(Loss loss, Random random) {
    int happened =
        switch (loss) {
          case ALL -> 0;
          case NONE -> journal.size();
          default -> random.nextInt(3) == 0 ? journal.size() : random.nextInt(journal.size() + 1);
        };
    List<MetaChange> lost = journal.subList(happened, journal.size());
    Map<String, Inode> left = new TreeMap<>(durableNames);
    for (MetaChange change : journal.subList(0, happened)) {
      FileOperation operation = change.operation();
      switch (operation.kind()) {
        case CREATE -> left.put(operation.path(), change.inode());
        case TRUNCATE -> left.putIfAbsent(operation.path(), change.inode());
        case RENAME -> {
          left.remove(operation.path());
          if (operation.target() != null) {
            left.put(operation.target(), change.inode());
          }
        }
        case UNLINK -> left.remove(operation.path());
        default -> {
          // A size: see contentOf.
        }
      }
    }
    Map<String, byte[]> files = new TreeMap<>();
    left.forEach((name, inode) -> files.put(name, contentOf(inode, lost, loss, random)));
    return files;
  }

  private static byte[] contentOf(Inode inode, List<MetaChange> lost, Loss wanted, Random random) {
    Loss loss = wanted == Loss.MIXED ? Loss.values()[random.nextInt(Loss.MIXED.ordinal())] : wanted;
    int last = inode.pending.isEmpty() ? 0 : random.nextInt(inode.pending.size());
    Content content = inode.durable.duplicate();
    long barrier = Long.MAX_VALUE;
    for (int i = 0; i < inode.pending.size(); i++) {
      Change change = inode.pending.get(i);
      if (change.bytes() == null) {
        if (change.meta() != null && lost.contains(change.meta())) {
          barrier = Math.min(barrier, change.offset());
        } else {
          content.resize(change.offset());
        }
        continue;
      }
      int end = (int) Math.max(0, Math.min(change.bytes().length, barrier - change.offset()));
      int at = Math.toIntExact(change.offset());
      switch (loss) {
        case NONE -> content.write(at, change.bytes(), 0, end);
        case AFTER_A_WRITE, TORN_WRITE -> {
          if (i < last) {
            content.write(at, change.bytes(), 0, end);
          } else if (i == last && loss == Loss.TORN_WRITE && end > 0) {
            // Up to the end of a sector of the file.
            int torn = (at + random.nextInt(end)) / SECTOR * SECTOR - at;
            content.write(at, change.bytes(), 0, Math.max(0, torn));
          }
        }
        case SECTORS -> {
          for (int from = 0; from < end; ) {
            int to = Math.min(end, ((at + from) / SECTOR + 1) * SECTOR - at);
            if (random.nextBoolean()) {
              content.write(at + from, change.bytes(), from, to);
            }
            from = to;
          }
        }
        case ZEROS -> content.resize(Math.max(content.size, at + end));
        default -> {
          // It is lost.
        }
      }
    }
    return content.copy();
  }
}
