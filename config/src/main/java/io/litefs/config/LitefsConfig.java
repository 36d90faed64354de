package io.litefs.config;

import java.nio.file.Path;
import java.util.List;

/**
 * The whole configuration of a node, complete and checked: every key that the file leaves out has
 * its default.
 *
 * @param exec commands to run once the node is primary or in sync, in order; the daemon ends with
 *     the last one. Empty: none
 * @param exitOnError whether the daemon ends when it cannot start, rather than staying up to be
 *     looked at
 * @param skipSync whether {@code exec} starts without waiting for the node to be primary or in sync
 * @param strictVerify whether every transaction is followed by a check of the whole database; slow,
 *     for debugging
 */
public record LitefsConfig(
    List<ExecCommand> exec,
    boolean exitOnError,
    boolean skipSync,
    boolean strictVerify,
    FuseConfig fuse,
    DataConfig data,
    HttpConfig http,
    ProxyConfig proxy,
    LeaseConfig lease,
    BackupConfig backup,
    LogConfig log,
    TracingConfig tracing) {

  public LitefsConfig {
    exec = List.copyOf(exec);
  }

  /**
   * What holds without any file: a static lease with this node as its primary, mount point {@code
   * /litefs}, data in {@code /var/lib/litefs}, no proxy, no commands.
   */
  public static LitefsConfig defaults() {
    return ConfigLoader.defaults();
  }

  /**
   * The defaults for {@code litefs mount DIR}: mounted at {@code mountDir}, with the data beside it
   * in {@code <mountDir>.litefs}.
   */
  public static LitefsConfig defaultsFor(Path mountDir) {
    Path dir = mountDir.toAbsolutePath().normalize();
    if (dir.getFileName() == null) {
      throw new IllegalArgumentException("cannot mount on the root directory");
    }
    LitefsConfig defaults = defaults();
    return defaults
        .withFuse(defaults.fuse().withDir(dir))
        .withData(defaults.data().withDir(dir.resolveSibling(dir.getFileName() + ".litefs")));
  }

  public LitefsConfig withExec(List<ExecCommand> exec) {
    return new LitefsConfig(
        exec,
        exitOnError,
        skipSync,
        strictVerify,
        fuse,
        data,
        http,
        proxy,
        lease,
        backup,
        log,
        tracing);
  }

  public LitefsConfig withFuse(FuseConfig fuse) {
    return new LitefsConfig(
        exec,
        exitOnError,
        skipSync,
        strictVerify,
        fuse,
        data,
        http,
        proxy,
        lease,
        backup,
        log,
        tracing);
  }

  public LitefsConfig withData(DataConfig data) {
    return new LitefsConfig(
        exec,
        exitOnError,
        skipSync,
        strictVerify,
        fuse,
        data,
        http,
        proxy,
        lease,
        backup,
        log,
        tracing);
  }

  public LitefsConfig withHttp(HttpConfig http) {
    return new LitefsConfig(
        exec,
        exitOnError,
        skipSync,
        strictVerify,
        fuse,
        data,
        http,
        proxy,
        lease,
        backup,
        log,
        tracing);
  }

  public LitefsConfig withLease(LeaseConfig lease) {
    return new LitefsConfig(
        exec,
        exitOnError,
        skipSync,
        strictVerify,
        fuse,
        data,
        http,
        proxy,
        lease,
        backup,
        log,
        tracing);
  }

  public LitefsConfig withLog(LogConfig log) {
    return new LitefsConfig(
        exec,
        exitOnError,
        skipSync,
        strictVerify,
        fuse,
        data,
        http,
        proxy,
        lease,
        backup,
        log,
        tracing);
  }
}
