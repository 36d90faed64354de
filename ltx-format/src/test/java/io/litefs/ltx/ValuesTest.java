package io.litefs.ltx;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.LongRange;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Txid, Checksum, Pos, PageSize and LtxFileName. */
class ValuesTest {

  @Property
  void textFormsAreReadBack(@ForAll @LongRange(min = 0) long txid, @ForAll long checksum) {
    Pos pos = new Pos(new Txid(txid), new Checksum(checksum));
    assertThat(pos).hasToString(String.format("%016x/%016x", txid, checksum));
    assertThat(Pos.parse(pos.toString())).isEqualTo(pos);
    assertThat(Txid.parse(pos.txid().toString())).isEqualTo(pos.txid());
    assertThat(Checksum.parse(pos.checksum().toString())).isEqualTo(pos.checksum());
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "1", "000000000000000g", "00000000000000001", "+000000000000001"})
  void whatIsNotSixteenHexDigitsIsRefused(String text) {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> Txid.parse(text))
        .withMessageContaining("16 hex digits");
    assertThatIllegalArgumentException().isThrownBy(() -> Checksum.parse(text));
    assertThatIllegalArgumentException().isThrownBy(() -> Pos.parse(text));
  }

  @Test
  void txidsCountUp() {
    assertThat(Txid.ZERO.next()).isEqualTo(new Txid(1)).isGreaterThan(Txid.ZERO);
    assertThatIllegalArgumentException().isThrownBy(() -> new Txid(-1));
    assertThatThrownBy(() -> new Txid(Long.MAX_VALUE).next())
        .isInstanceOf(ArithmeticException.class);
  }

  @Test
  void positionsNeedTheirSlash() {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> Pos.parse("0000000000000001-8000000000000000"));
    assertThat(Pos.ZERO).hasToString("0000000000000000/0000000000000000");
  }

  @Test
  void pageSizesArePowersOfTwoFrom512To65536() {
    for (int bytes : List.of(512, 1024, 2048, 4096, 8192, 16384, 32768, 65536)) {
      assertThat(new PageSize(bytes).lockPage()).isEqualTo((1L << 30) / bytes + 1);
    }
    for (int bytes : List.of(Integer.MIN_VALUE, -512, 0, 1, 256, 513, 3072, 131072)) {
      assertThat(PageSize.isValid(bytes)).isFalse();
      assertThatIllegalArgumentException().isThrownBy(() -> new PageSize(bytes));
    }
  }

  @Test
  void fileNamesAreReadBack() {
    LtxFileName name = new LtxFileName(new Txid(1), new Txid(0xab));
    assertThat(name).hasToString("0000000000000001-00000000000000ab.ltx");
    assertThat(LtxFileName.parse(name.toString())).contains(name);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "0000000000000001-00000000000000AB.ltx",
        "0000000000000001-00000000000000ab.ltx.tmp",
        "0000000000000001-00000000000000ab.LTX",
        "0000000000000001_00000000000000ab.ltx",
        "0000000000000002-0000000000000001.ltx",
        "0000000000000000-0000000000000001.ltx",
        "0000000000000001-ffffffffffffffff.ltx"
      })
  void otherNamesAreNotThoseOfLtxFiles(String name) {
    assertThat(LtxFileName.parse(name)).isEmpty();
  }

  @Test
  void fileNamesSortInTheOrderOfTheirTransactions() {
    LtxFileName one = new LtxFileName(new Txid(1), new Txid(1));
    LtxFileName oneToTwo = new LtxFileName(new Txid(1), new Txid(2));
    LtxFileName two = new LtxFileName(new Txid(2), new Txid(2));
    assertThat(List.of(two, oneToTwo, one).stream().sorted()).containsExactly(one, oneToTwo, two);
  }
}
