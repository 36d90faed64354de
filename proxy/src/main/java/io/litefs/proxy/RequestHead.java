package io.litefs.proxy;

import io.netty.handler.codec.TooLongFrameException;
import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpHeaders;
import io.netty.handler.codec.http.HttpRequest;
import io.netty.handler.codec.http.HttpResponseStatus;
import io.netty.handler.codec.http.HttpVersion;
import io.netty.handler.codec.http.TooLongHttpHeaderException;
import io.netty.handler.codec.http.TooLongHttpLineException;
import java.util.List;

/**
 * The head of a request that keeps to RFC 9112. Whatever two programs could read differently is
 * refused, so that none behind this one sees another request than was meant (request smuggling);
 * the connection ends with it, since nobody can say where the next request would begin.
 *
 * @param method as the client wrote it
 * @param target path and query, in origin form; or {@code *}
 * @param host the authority that the request is for; empty if an HTTP/1.0 client named none
 * @param framing of its body; never {@code CLOSE}
 * @param contentLength only if the framing is {@code LENGTH}
 * @param keepAlive whether the client wants to send another request afterwards
 * @param http10 whether the client speaks HTTP/1.0: no chunks, no interim answers
 * @param expectsContinue whether the client waits for {@code 100 Continue} before it sends the body
 * @param upgrade the protocols that it offers to switch to; null if none
 */
record RequestHead(
    String method,
    String target,
    String host,
    Framing framing,
    long contentLength,
    boolean keepAlive,
    boolean http10,
    boolean expectsContinue,
    String upgrade,
    HttpHeaders headers) {

  /** 18 digits: no long overflows. */
  private static final int MAX_LENGTH_DIGITS = 18;

  static RequestHead of(HttpRequest request, ProxyOptions.Limits limits) throws Rejected {
    if (request.decoderResult().isFailure()) {
      throw unreadable(request.decoderResult().cause(), limits);
    }
    HttpHeaders headers = request.headers();
    if (headers.size() > limits.maxHeaderCount()) {
      throw new Rejected(
          HttpResponseStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
          "more than " + limits.maxHeaderCount() + " header fields");
    }
    boolean http10 = request.protocolVersion().equals(HttpVersion.HTTP_1_0);
    if (!http10 && !request.protocolVersion().equals(HttpVersion.HTTP_1_1)) {
      throw new Rejected(
          HttpResponseStatus.HTTP_VERSION_NOT_SUPPORTED, "the proxy speaks HTTP/1.1 only");
    }
    String method = method(request);
    String host = host(headers, http10);
    String target = request.uri();
    requirePrintable(target);
    int authority = authority(target);
    if (authority > 0) {
      // The authority in the target replaces the Host field (RFC 9112, section 3.2.2).
      int path = endOfAuthority(target, authority);
      host = target.substring(authority, path);
      requireHost(host);
      target = target.substring(path);
      target = target.startsWith("/") ? target : "/" + target;
    } else if (!target.startsWith("/") && !(target.equals("*") && method.equals("OPTIONS"))) {
      throw bad("the request target is no path");
    }
    List<String> lengths = headers.getAll(HttpHeaderNames.CONTENT_LENGTH);
    boolean chunked = chunked(headers, http10, lengths);
    long length = lengths.isEmpty() ? 0 : length(lengths);
    Framing framing = chunked ? Framing.CHUNKED : lengths.isEmpty() ? Framing.NONE : Framing.LENGTH;
    return new RequestHead(
        method,
        target,
        host,
        framing,
        length,
        keepAlive(headers, http10),
        http10,
        expectsContinue(headers) && !http10 && framing != Framing.NONE,
        upgrade(headers, http10 || chunked || length > 0),
        headers);
  }

  /** Path without query. */
  String path() {
    int query = target.indexOf('?');
    return query < 0 ? target : target.substring(0, query);
  }

  boolean isHead() {
    return method.equals("HEAD");
  }

  /** Whether it asks and changes nothing, as far as its method says. */
  boolean isRead() {
    return method.equals("GET") || method.equals("HEAD");
  }

  boolean hasBody() {
    return framing == Framing.CHUNKED || contentLength > 0;
  }

  private static Rejected unreadable(Throwable cause, ProxyOptions.Limits limits) {
    if (cause instanceof TooLongHttpLineException) {
      return new Rejected(
          HttpResponseStatus.REQUEST_URI_TOO_LONG,
          "the request line is longer than " + limits.maxRequestLine() + " bytes");
    }
    if (cause instanceof TooLongHttpHeaderException || cause instanceof TooLongFrameException) {
      return new Rejected(
          HttpResponseStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
          "the header fields are longer than " + limits.maxHeaderBytes() + " bytes");
    }
    return bad("malformed request");
  }

  private static Rejected bad(String reason) {
    return new Rejected(HttpResponseStatus.BAD_REQUEST, reason);
  }

  private static String method(HttpRequest request) throws Rejected {
    String method = request.method().name();
    for (int i = 0; i < method.length(); i++) {
      char c = method.charAt(i);
      if (!(c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c == '-' || c == '_')) {
        throw bad("malformed method");
      }
    }
    if (method.equals("CONNECT")) {
      throw new Rejected(HttpResponseStatus.NOT_IMPLEMENTED, "the proxy opens no tunnels");
    }
    return method;
  }

  private static String host(HttpHeaders headers, boolean http10) throws Rejected {
    List<String> hosts = headers.getAll(HttpHeaderNames.HOST);
    if (hosts.size() > 1) {
      throw bad("more than one Host field");
    }
    if (hosts.isEmpty()) {
      if (http10) {
        return "";
      }
      throw bad("no Host field");
    }
    requireHost(hosts.get(0));
    return hosts.get(0);
  }

  private static void requireHost(String host) throws Rejected {
    for (int i = 0; i < host.length(); i++) {
      char c = host.charAt(i);
      if (c <= ' ' || c >= 0x7f || "/\\@?#,<>\"".indexOf(c) >= 0) {
        throw bad("malformed Host");
      }
    }
  }

  private static void requirePrintable(String target) throws Rejected {
    for (int i = 0; i < target.length(); i++) {
      char c = target.charAt(i);
      // Bytes above ASCII are not allowed either, but sent by many, and no program splits at them.
      if (c <= ' ' || c == 0x7f || c == '#') {
        throw bad("malformed request target");
      }
    }
  }

  /** Where the authority begins in an absolute target; 0 if it is none. */
  private static int authority(String target) {
    for (String scheme : new String[] {"http://", "https://"}) {
      if (target.regionMatches(true, 0, scheme, 0, scheme.length())) {
        return scheme.length();
      }
    }
    return 0;
  }

  private static int endOfAuthority(String target, int from) {
    int end = from;
    while (end < target.length() && target.charAt(end) != '/' && target.charAt(end) != '?') {
      end++;
    }
    return end;
  }

  private static boolean chunked(HttpHeaders headers, boolean http10, List<String> lengths)
      throws Rejected {
    List<String> encodings = headers.getAll(HttpHeaderNames.TRANSFER_ENCODING);
    if (encodings.isEmpty()) {
      return false;
    }
    if (http10) {
      throw bad("Transfer-Encoding in an HTTP/1.0 request");
    }
    if (!lengths.isEmpty()) {
      throw bad("both Content-Length and Transfer-Encoding");
    }
    if (encodings.size() > 1 || !HopByHop.is(encodings.get(0), "chunked")) {
      throw new Rejected(
          HttpResponseStatus.NOT_IMPLEMENTED, "the only Transfer-Encoding is 'chunked'");
    }
    return true;
  }

  private static long length(List<String> lengths) throws Rejected {
    String digits = lengths.get(0);
    if (lengths.size() > 1 || digits.isEmpty() || digits.length() > MAX_LENGTH_DIGITS) {
      throw bad("invalid Content-Length");
    }
    for (int i = 0; i < digits.length(); i++) {
      if (digits.charAt(i) < '0' || digits.charAt(i) > '9') {
        throw bad("invalid Content-Length");
      }
    }
    return Long.parseLong(digits);
  }

  private static boolean keepAlive(HttpHeaders headers, boolean http10) {
    return http10
        ? headers.containsValue(HttpHeaderNames.CONNECTION, "keep-alive", true)
        : !headers.containsValue(HttpHeaderNames.CONNECTION, "close", true);
  }

  private static boolean expectsContinue(HttpHeaders headers) throws Rejected {
    String expect = headers.get(HttpHeaderNames.EXPECT);
    if (expect != null && !HopByHop.is(expect, "100-continue")) {
      throw new Rejected(
          HttpResponseStatus.EXPECTATION_FAILED, "the only expectation is '100-continue'");
    }
    return expect != null;
  }

  /**
   * HTTP/2 is left out: behind the proxy it would carry requests that the proxy cannot see. So is
   * an upgrade of a request with a body, which no protocol has.
   */
  private static String upgrade(HttpHeaders headers, boolean impossible) {
    String upgrade = headers.get(HttpHeaderNames.UPGRADE);
    boolean possible =
        upgrade != null
            && !impossible
            && headers.containsValue(HttpHeaderNames.CONNECTION, "upgrade", true)
            && !upgrade.toLowerCase(java.util.Locale.ROOT).contains("h2c");
    return possible ? upgrade : null;
  }
}
