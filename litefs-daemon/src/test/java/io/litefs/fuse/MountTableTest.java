package io.litefs.fuse;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;

class MountTableTest {

  @Test
  void readsDeviceMountPointTypeAndSource() {
    assertThat(
            MountTable.read(
                List.of(
                    "22 27 0:21 / /proc rw,nosuid,relatime shared:13 - proc proc rw",
                    "31 22 0:46 / /data/my\\040db rw,nosuid - fuse.litefs litefs rw,user_id=0",
                    "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 shared:7 - ext3 /dev/root rw,errors=continue")))
        .containsExactly(
            new MountTable.Entry(21, Path.of("/proc"), "proc", "proc"),
            new MountTable.Entry(46, Path.of("/data/my db"), "fuse.litefs", "litefs"),
            new MountTable.Entry(0, Path.of("/mnt2"), "ext3", "/dev/root"));
  }

  @Test
  void findsTheUppermostMount() throws Exception {
    assertThat(MountTable.at(Path.of("/proc")))
        .hasValueSatisfying(entry -> assertThat(entry.type()).isEqualTo("proc"));
    assertThat(MountTable.at(Path.of("/proc/self"))).isEmpty();
  }
}
