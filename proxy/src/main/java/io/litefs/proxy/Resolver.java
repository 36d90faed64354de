package io.litefs.proxy;

import io.netty.util.NetUtil;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;

/**
 * Names to addresses by the system's resolver, which blocks: on threads of its own, so that no
 * event loop waits for a name server. The JDK remembers what it found for a while.
 */
final class Resolver implements AutoCloseable {

  private static final int THREADS = 4;
  private static final int IDLE_SECONDS = 10;

  private final ExecutorService threads;

  Resolver() {
    ThreadPoolExecutor pool =
        new ThreadPoolExecutor(
            THREADS,
            THREADS,
            IDLE_SECONDS,
            TimeUnit.SECONDS,
            new LinkedBlockingQueue<>(),
            task -> {
              Thread thread = new Thread(task, "litefs-proxy-resolver");
              thread.setDaemon(true);
              return thread;
            });
    pool.allowCoreThreadTimeOut(true);
    threads = pool;
  }

  /** All addresses, at least one; completes at once for what is an address already. */
  CompletionStage<List<InetAddress>> resolve(String host) {
    String name = host.isEmpty() ? "localhost" : host;
    byte[] address = NetUtil.createByteArrayFromIpAddressString(name);
    if (address != null) {
      try {
        return CompletableFuture.completedFuture(List.of(InetAddress.getByAddress(address)));
      } catch (UnknownHostException e) {
        return CompletableFuture.failedFuture(e);
      }
    }
    return CompletableFuture.supplyAsync(() -> lookUp(name), threads);
  }

  private static List<InetAddress> lookUp(String name) {
    try {
      return List.of(InetAddress.getAllByName(name));
    } catch (UnknownHostException e) {
      throw new CompletionException(e);
    }
  }

  @Override
  public void close() {
    threads.shutdownNow();
  }
}
