package io.litefs.fuse;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.litefs.posix.ErrnoException;
import java.nio.ByteBuffer;
import org.junit.jupiter.api.Test;

class HandleTableTest {

  private final HandleTable handles = new HandleTable();

  @Test
  void numbersAreUsedAgain() throws Exception {
    HandleTable.Handle first = handle(5);
    long number = handles.add(first);
    assertThat(handles.get(number)).isSameAs(first);
    assertThat(handles.remove(number)).isSameAs(first);
    assertThat(handles.remove(number)).isNull();
    assertThat(handles.add(handle(6))).isEqualTo(number);
    assertThat(handles.size()).isEqualTo(1);
  }

  @Test
  void holdsAsManyAsThereAre() throws Exception {
    for (int i = 1; i <= 1000; i++) {
      assertThat(handles.add(handle(i))).isEqualTo(i);
    }
    assertThat(handles.get(777).node).isEqualTo(777);
    assertThat(handles.anyOf(500)).isEqualTo(500);
    assertThat(handles.anyOf(1001)).isZero();
  }

  @Test
  void refusesNumbersThatItDidNotGive() {
    for (long number : new long[] {0, -1, 1, 64, 65, Long.MAX_VALUE}) {
      assertThatThrownBy(() -> handles.get(number))
          .isInstanceOf(ErrnoException.class)
          .hasMessageContaining("EBADF");
    }
  }

  private static HandleTable.Handle handle(long node) {
    return new HandleTable.Handle(new NoFile(), "name", node);
  }

  private static final class NoFile implements OpenFile {
    @Override
    public CachePolicy cachePolicy() {
      return CachePolicy.KEEP;
    }

    @Override
    public FileAttributes attributes() {
      return new FileAttributes(0, 0, 0);
    }

    @Override
    public void read(ByteBuffer into, long offset) {}

    @Override
    public void write(ByteBuffer from, long offset) {}

    @Override
    public void truncate(long size) {}

    @Override
    public void fsync(boolean dataOnly) {}

    @Override
    public void flush(int pid) {}

    @Override
    public void release() {}
  }
}
