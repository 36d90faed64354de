package io.litefs.daemon.api;

import io.litefs.replication.Exchange;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;

/** A request in memory, and what was answered. */
final class FakeExchange implements Exchange {

  final Map<String, String> query = new HashMap<>();
  final Map<String, String> responseHeaders = new HashMap<>();
  final ByteArrayOutputStream response = new ByteArrayOutputStream();
  byte[] requestBody = new byte[0];
  int status;
  String contentType;
  long length;
  volatile String abortReason;
  volatile Runnable onClose = () -> {};

  FakeExchange name(String name) {
    query.put("name", name);
    return this;
  }

  String text() {
    return response.toString(StandardCharsets.UTF_8);
  }

  @Override
  public String method() {
    throw new UnsupportedOperationException();
  }

  @Override
  public String path() {
    throw new UnsupportedOperationException();
  }

  @Override
  public Optional<String> query(String name) {
    return Optional.ofNullable(query.get(name));
  }

  @Override
  public Optional<String> header(String name) {
    return Optional.empty();
  }

  @Override
  public boolean isHttp2() {
    return false;
  }

  @Override
  public InputStream body() {
    return new ByteArrayInputStream(requestBody);
  }

  @Override
  public void setHeader(String name, String value) {
    responseHeaders.put(name, value);
  }

  @Override
  public OutputStream respond(int status, String contentType, long length) {
    this.status = status;
    this.contentType = contentType;
    this.length = length;
    return response;
  }

  @Override
  public void respondText(int status, String line) throws IOException {
    respond(status, "text/plain", line.length()).write(line.getBytes(StandardCharsets.UTF_8));
  }

  @Override
  public void onClose(Runnable action) {
    onClose = action;
  }

  @Override
  public void abort(String reason) {
    abortReason = reason;
  }
}
