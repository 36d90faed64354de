package io.litefs.mount;

import static org.assertj.core.api.Assertions.assertThat;

import io.litefs.fuse.RangeLock;
import org.junit.jupiter.api.Test;

class LockTableTest {

  private static final long END = Long.MAX_VALUE;

  private final LockTable table = new LockTable();
  private final Object handle = new Object();

  private static RangeLock write(long owner, long first, long last) {
    return new RangeLock(first, last, true, owner, (int) owner);
  }

  private static RangeLock read(long owner, long first, long last) {
    return new RangeLock(first, last, false, owner, (int) owner);
  }

  @Test
  void writersExcludeEverybodyElseOnTheirBytesOnly() {
    table.take(write(1, 10, 19), handle);
    assertThat(table.conflict(write(2, 19, 30))).contains(write(1, 10, 19));
    assertThat(table.conflict(read(2, 0, 10))).isPresent();
    assertThat(table.conflict(write(2, 20, END))).isEmpty();
    assertThat(table.conflict(write(2, 0, 9))).isEmpty();
    assertThat(table.conflict(write(1, 0, END))).isEmpty();
  }

  @Test
  void readersExcludeOnlyWriters() {
    table.take(read(1, 0, 9), handle);
    assertThat(table.conflict(read(2, 0, 9))).isEmpty();
    table.take(read(2, 5, 9), handle);
    assertThat(table.conflict(write(1, 0, 9))).contains(read(2, 5, 9));
    assertThat(table.conflict(write(1, 0, 4))).isEmpty();
  }

  @Test
  void theLowestOfSeveralConflictsIsTold() {
    table.take(read(2, 50, 50), handle);
    table.take(read(3, 20, 20), handle);
    assertThat(table.conflict(write(1, 0, END))).contains(read(3, 20, 20));
  }

  @Test
  void givingUpTheMiddleLeavesTheEnds() {
    table.take(write(1, 0, 99), handle);
    table.giveUp(read(1, 40, 59));
    assertThat(table.all()).containsExactlyInAnyOrder(write(1, 0, 39), write(1, 60, 99));
    table.giveUp(read(2, 0, END));
    assertThat(table.all()).hasSize(2);
    table.giveUp(read(1, 0, END));
    assertThat(table.all()).isEmpty();
  }

  @Test
  void aNewLockReplacesWhatItsOwnerHadThere() {
    table.take(write(1, 0, END), handle);
    table.take(read(1, 72, 72), handle);
    assertThat(table.all())
        .containsExactlyInAnyOrder(write(1, 0, 71), read(1, 72, 72), write(1, 73, END));
    assertThat(table.writer(72)).isEmpty();
    assertThat(table.writer(71)).isPresent();
  }

  @Test
  void locksEndWithTheirOwnerOrTheirHandle() {
    Object other = new Object();
    table.take(write(1, 1, 1), handle);
    table.take(write(1, 2, 2), other);
    table.take(write(2, 3, 3), handle);
    table.giveUpAllThrough(handle);
    assertThat(table.all()).containsExactly(write(1, 2, 2));
    table.take(write(2, 3, 3), other);
    table.giveUpAllOf(1);
    assertThat(table.all()).containsExactly(write(2, 3, 3));
  }

  @Test
  void endsKeepTheHandleTheyWereTakenThrough() {
    table.take(write(1, 0, 9), handle);
    table.take(write(1, 5, 5), new Object());
    table.giveUpAllThrough(handle);
    assertThat(table.all()).containsExactly(write(1, 5, 5));
  }

  @Test
  void hasABound() {
    for (int i = 0; i < LockTable.MAX_LOCKS; i++) {
      assertThat(table.isFull()).isFalse();
      table.take(write(1, 2L * i, 2L * i), handle);
    }
    assertThat(table.isFull()).isTrue();
  }
}
