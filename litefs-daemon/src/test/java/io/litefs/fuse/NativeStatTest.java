package io.litefs.fuse;

import static org.assertj.core.api.Assertions.assertThat;

import jnr.ffi.Memory;
import jnr.ffi.Pointer;
import jnr.ffi.Runtime;
import org.junit.jupiter.api.Test;
import ru.serce.jnrfuse.struct.FileStat;

class NativeStatTest {

  private final Pointer memory = Memory.allocateDirect(Runtime.getSystemRuntime(), 256, true);
  private final FileStat stat = FileStat.of(memory);

  @Test
  void aFilesAttributesAreWhereTheCLibraryLooks() {
    new NativeStat().file(memory, new FileAttributes(5_000_000_000L, 0644, 1_700_000_000_123L));
    assertThat(stat.st_mode.intValue()).isEqualTo(0100644);
    assertThat(stat.st_nlink.intValue()).isEqualTo(1);
    assertThat(stat.st_size.longValue()).isEqualTo(5_000_000_000L);
    assertThat(stat.st_blocks.longValue()).isEqualTo(9_765_625);
    assertThat(stat.st_uid.intValue()).isEqualTo(Syscalls.CALLS.geteuid());
    assertThat(stat.st_mtim.tv_sec.longValue()).isEqualTo(1_700_000_000L);
    assertThat(stat.st_mtim.tv_nsec.longValue()).isEqualTo(123_000_000L);
  }

  @Test
  void theRootIsADirectory() {
    new NativeStat().directory(memory);
    assertThat(stat.st_mode.intValue()).isEqualTo(0040755);
    assertThat(stat.st_nlink.intValue()).isEqualTo(2);
  }
}
