package io.litefs.proxy;

import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpHeaders;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalLong;

/**
 * What a client carries of what it has written: a TXID per database.
 *
 * <p>As cookies: {@code __txid} for the first database, which is all that the original has, and
 * {@code __txid.NAME} for each further one; 16 hex digits. As header {@code Litefs-Txid}, both
 * ways: {@code NAME=TXID, NAME=TXID}; a TXID alone is that of the first database. Names are
 * percent-encoded. What cannot be read is as if it were not there.
 */
final class TxidMarks {

  static final String HEADER = "Litefs-Txid";

  private static final String COOKIE = "__txid";
  private static final String ATTRIBUTES = "; Path=/; Max-Age=300; HttpOnly";
  private static final int DIGITS = 16;

  private final List<String> databases;
  private final String[] cookieNames;
  private final String[] encodedNames;
  private final PositionSource positions;

  TxidMarks(List<String> databases, PositionSource positions) {
    this.databases = databases;
    this.positions = positions;
    this.encodedNames = databases.stream().map(TxidMarks::encode).toArray(String[]::new);
    this.cookieNames =
        Arrays.stream(encodedNames).map(name -> COOKIE + "." + name).toArray(String[]::new);
    cookieNames[0] = COOKIE;
  }

  int count() {
    return databases.size();
  }

  String database(int index) {
    return databases.get(index);
  }

  /** TXIDs that the client must see, per database, 0 for none; null if it carries none at all. */
  long[] required(HttpHeaders headers) {
    long[] required = null;
    for (String cookies : headers.getAll(HttpHeaderNames.COOKIE)) {
      if (cookies.contains(COOKIE)) {
        required = collect(required, cookies, ";", cookieNames, COOKIE);
      }
    }
    for (String marks : headers.getAll(HEADER)) {
      required = collect(required, marks, ",", encodedNames, encodedNames[0]);
    }
    return required;
  }

  private static long[] collect(
      long[] sofar, String list, String separator, String[] names, String defaultName) {
    long[] required = sofar;
    for (String item : list.split(separator)) {
      int equals = item.indexOf('=');
      String name = equals < 0 ? defaultName : item.substring(0, equals).strip();
      long txid = parse(item.substring(equals + 1).strip());
      for (int i = 0; i < names.length && txid != 0; i++) {
        if (names[i].equals(name)) {
          required = required == null ? new long[names.length] : required;
          // There can be several of one name, of other paths: the furthest counts.
          required[i] = Math.max(required[i], txid);
        }
      }
    }
    return required;
  }

  /** 0 if it is no TXID. */
  private static long parse(String text) {
    if (text.length() != DIGITS) {
      return 0;
    }
    for (int i = 0; i < DIGITS; i++) {
      if (Character.digit(text.charAt(i), 16) < 0) {
        return 0;
      }
    }
    return Math.max(0, Long.parseUnsignedLong(text, 16));
  }

  /** Where the databases are now; 0 for one that does not exist. */
  long[] now() {
    long[] now = new long[databases.size()];
    for (int i = 0; i < now.length; i++) {
      OptionalLong txid = positions.txid(databases.get(i));
      now[i] = txid.orElse(0);
    }
    return now;
  }

  /** The header fields that give a client these TXIDs to carry; may be empty. */
  String fields(long[] txids) {
    StringBuilder fields = new StringBuilder();
    StringBuilder header = new StringBuilder();
    for (int i = 0; i < txids.length; i++) {
      if (txids[i] != 0) {
        String txid = String.format("%016x", txids[i]);
        fields.append("Set-Cookie: ").append(cookieNames[i]).append('=').append(txid);
        fields.append(ATTRIBUTES).append("\r\n");
        header.append(header.isEmpty() ? "" : ", ").append(encodedNames[i]);
        header.append('=').append(txid);
      }
    }
    if (!header.isEmpty()) {
      fields.append(HEADER).append(": ").append(header).append("\r\n");
    }
    return fields.toString();
  }

  /** Letters, digits and what is safe in a cookie's name as they are. */
  private static String encode(String name) {
    StringBuilder encoded = new StringBuilder();
    for (byte b : name.getBytes(StandardCharsets.UTF_8)) {
      char c = (char) (b & 0xff);
      if (c < 0x80 && (Character.isLetterOrDigit(c) || "-_.~".indexOf(c) >= 0)) {
        encoded.append(c);
      } else {
        encoded.append(String.format("%%%02X", (int) c));
      }
    }
    return encoded.toString();
  }
}
