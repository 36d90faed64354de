package io.litefs.config;

import java.net.URI;
import java.net.URISyntaxException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;
import org.yaml.snakeyaml.nodes.MappingNode;
import org.yaml.snakeyaml.nodes.Node;
import org.yaml.snakeyaml.nodes.ScalarNode;

/** Knows the keys of {@code litefs.yml}, their defaults, and the rules between them. Used once. */
final class ConfigReader {
  private static final long MEGABYTE = 1L << 20;
  private static final Duration CONSUL_TTL = Duration.ofSeconds(10);

  /** Consul's own minimum is 10 s unless its configuration says otherwise; it refuses less. */
  private static final Duration CONSUL_MIN_TTL = Duration.ofSeconds(1);

  private static final Duration CONSUL_MAX_TTL = Duration.ofHours(24);
  private static final Duration CONSUL_MAX_LOCK_DELAY = Duration.ofSeconds(60);

  private final Problems problems;
  private final Supplier<String> machineName;
  private final List<Section> sections = new ArrayList<>();

  ConfigReader(Problems problems, Supplier<String> machineName) {
    this.problems = problems;
    this.machineName = machineName;
  }

  /**
   * Reads the tree; {@code root} null is an empty file. What is wrong is in the problems
   * afterwards.
   */
  LitefsConfig read(Node root) {
    Section top = new Section(problems, "", root);
    FuseConfig fuse = fuse(open(top, "fuse"));
    DataConfig data = data(open(top, "data"), fuse);
    HttpConfig http = http(open(top, "http"), data);
    ProxyConfig proxy = proxy(open(top, "proxy"), http);
    LitefsConfig config =
        new LitefsConfig(
            exec(top),
            top.bool("exit-on-error", true),
            top.bool("skip-sync", false),
            top.bool("strict-verify", false),
            fuse,
            data,
            http,
            proxy,
            lease(open(top, "lease"), http, proxy),
            backup(open(top, "backup"), fuse),
            log(open(top, "log")),
            tracing(open(top, "tracing"), fuse));
    sections.add(top);
    sections.forEach(Section::finish);
    return config;
  }

  /** The full names of all keys, once something has been read. */
  List<String> knownKeys() {
    return sections.stream().flatMap(section -> section.knownKeys().stream()).toList();
  }

  private Section open(Section parent, String key) {
    Section section = parent.section(key);
    sections.add(section);
    return section;
  }

  private List<ExecCommand> exec(Section top) {
    List<ExecCommand> commands = new ArrayList<>();
    for (Node item : top.items("exec")) {
      if (item instanceof ScalarNode scalar) {
        commands.add(new ExecCommand(scalar.getValue(), false));
      } else if (item instanceof MappingNode) {
        Section section = new Section(problems, "exec.", item);
        sections.add(section);
        Optional<String> cmd = section.string("cmd");
        boolean ifCandidate = section.bool("if-candidate", false);
        if (cmd.isEmpty()) {
          section.problem("cmd", "is missing; each command needs one");
        } else {
          commands.add(new ExecCommand(cmd.get(), ifCandidate));
        }
      } else {
        problems.add(
            item,
            "exec",
            "has "
                + Section.kind(item)
                + " in it; commands, or cmd: with if-candidate:, are allowed");
      }
    }
    return commands;
  }

  private FuseConfig fuse(Section fuse) {
    return new FuseConfig(
        fuse.path("dir").orElse(Path.of("/litefs")),
        fuse.bool("allow-other", false),
        fuse.bool("debug", false));
  }

  private DataConfig data(Section data, FuseConfig fuse) {
    Path dir = data.path("dir").orElse(Path.of("/var/lib/litefs"));
    refuseInsideMount(data, "dir", dir, fuse);
    return new DataConfig(
        dir,
        data.bool("compress", true),
        data.duration("retention", Duration.ofMinutes(10)),
        data.positiveDuration("retention-monitor-interval", Duration.ofMinutes(1)),
        data.oneOf("durability", Durability.class).orElse(Durability.APPLICATION),
        data.bytes("retention-size", 1, 0),
        data.bytes("diverged-size", 1, 1L << 30),
        data.bytes("replica-wal-limit", 1, 1L << 30));
  }

  private HttpConfig http(Section http, DataConfig data) {
    HostPort addr = http.hostPort("addr").orElse(new HostPort("", 20202));
    Duration timeout = http.duration("snapshot-timeout", Duration.ZERO);
    return new HttpConfig(addr, timeout.isZero() ? data.retention() : timeout);
  }

  private ProxyConfig proxy(Section proxy, HttpConfig http) {
    Optional<HostPort> addr = proxy.hostPort("addr");
    Optional<HostPort> target = proxy.hostPort("target");
    List<String> databases = databaseNames(proxy, "db", proxy.stringOrStrings("db"));
    if (addr.isPresent() && !proxy.has("target")) {
      proxy.problem(
          "target",
          "is missing; give the application's address, or remove proxy.addr to have no proxy");
    }
    if (addr.isPresent() && target.isEmpty()) {
      addr = Optional.empty(); // an empty target switches the proxy off
    }
    if (addr.isPresent() && databases.isEmpty()) {
      proxy.problem("db", "is missing; give the name of the application's database");
    }
    if (addr.isPresent() && addr.get().port() != 0 && addr.get().equals(http.addr())) {
      proxy.problem("addr", "is the same as http.addr; they need different ports");
    }
    return new ProxyConfig(
        addr,
        target,
        databases,
        proxy.positiveDuration("max-lag", Duration.ofSeconds(10)),
        proxy.bool("debug", false),
        proxy.strings("passthrough"),
        proxy.strings("always-forward"),
        proxy.duration("primary-redirect-timeout", Duration.ofSeconds(5)),
        proxy.duration("read-timeout", Duration.ZERO),
        proxy.duration("read-header-timeout", Duration.ofSeconds(10)),
        proxy.duration("write-timeout", Duration.ZERO),
        proxy.duration("idle-timeout", Duration.ofSeconds(30)),
        proxy.oneOf("forward", ProxyConfig.Forward.class).orElse(ProxyConfig.Forward.AUTO),
        proxy.url("advertise-url"));
  }

  private LeaseConfig lease(Section lease, HttpConfig http, ProxyConfig proxy) {
    LeaseConfig.Type type =
        lease.oneOf("type", LeaseConfig.Type.class).orElse(LeaseConfig.Type.STATIC);
    if (lease.isPresent() && !lease.has("type")) {
      lease.problem("type", "is missing; allowed: consul, static");
    }
    boolean candidate = lease.bool("candidate", true);
    Optional<URI> advertiseUrl = lease.url("advertise-url");
    boolean elsewhere = type == LeaseConfig.Type.STATIC && !candidate;
    if (elsewhere && advertiseUrl.isEmpty() && !lease.has("advertise-url")) {
      lease.problem(
          "advertise-url",
          "is missing; a replica with a static lease needs the primary's, as in http://primary:20202");
    }
    if (advertiseUrl.filter(url -> !"http".equalsIgnoreCase(url.getScheme())).isPresent()) {
      lease.problem(
          "advertise-url",
          "'" + advertiseUrl.get() + "' is of no use to other nodes; write it as http://HOST:PORT");
    }
    String hostname =
        lease
            .string("hostname")
            .or(() -> elsewhere ? advertiseUrl.map(URI::getHost) : Optional.empty())
            .orElseGet(machineName);
    // Nobody asks the one node of a static lease that has no proxy where it is.
    boolean isAsked =
        type == LeaseConfig.Type.CONSUL
            || !candidate
            || proxy.enabled() && proxy.advertiseUrl().isEmpty();
    List<String> databases = databaseNames(lease, "databases", lease.strings("databases"));
    if (candidate && !databases.isEmpty()) {
      lease.problem(
          "databases", "is only allowed with candidate: false; a candidate needs all databases");
    }
    return new LeaseConfig(
        type,
        hostname,
        advertiseUrl.orElseGet(() -> defaultUrl(lease, hostname, http.addr().port(), isAsked)),
        candidate,
        lease.bool("promote", false),
        lease.positiveDuration("reconnect-delay", Duration.ofSeconds(1)),
        lease.duration("demote-delay", Duration.ofSeconds(10)),
        databases,
        consul(open(lease, "consul"), type),
        lease.count("sync-replicas", 0),
        lease.positiveDuration("sync-timeout", Duration.ofSeconds(5)),
        lease
            .oneOf("on-timeout", LeaseConfig.OnTimeout.class)
            .orElse(LeaseConfig.OnTimeout.CONTINUE));
  }

  /** The API at {@code hostname}, which is a name that URLs allow if others are told of it. */
  private static URI defaultUrl(Section lease, String hostname, int port, boolean told) {
    try {
      URI url = new URI("http://" + new HostPort(hostname, port));
      if (url.getHost() != null || !told) {
        return url;
      }
    } catch (URISyntaxException e) {
      if (!told) {
        return localUrl(port);
      }
    }
    lease.problem(
        "hostname",
        "'"
            + hostname
            + "' is no name for a URL (letters, digits, '-' and '.' are allowed); set lease.advertise-url");
    return localUrl(port);
  }

  private static URI localUrl(int port) {
    return URI.create("http://localhost:" + port);
  }

  private ConsulConfig consul(Section consul, LeaseConfig.Type type) {
    Optional<URI> url = consul.url("url");
    Optional<String> key = consul.string("key");
    Duration ttl = consul.duration("ttl", CONSUL_TTL);
    Duration lockDelay = consul.duration("lock-delay", Duration.ofSeconds(1));
    if (type == LeaseConfig.Type.CONSUL) {
      if (url.isEmpty() && !consul.has("url")) {
        consul.problem("url", "is missing; give Consul's address, as in http://127.0.0.1:8500");
      }
      if (key.isEmpty()) {
        consul.problem(
            "key", "is missing; give a key of its own to each cluster, as in myapp/primary");
      }
      if (ttl.compareTo(CONSUL_MIN_TTL) < 0 || ttl.compareTo(CONSUL_MAX_TTL) > 0) {
        consul.problem(
            "ttl", "is out of range; allowed are 1s to 24h, and at least Consul's session_ttl_min");
      }
      if (lockDelay.compareTo(CONSUL_MAX_LOCK_DELAY) > 0) {
        consul.problem("lock-delay", "is out of range; Consul allows 0 to 60s");
      }
    }
    return new ConsulConfig(url, key.orElse(""), ttl, lockDelay);
  }

  private BackupConfig backup(Section backup, FuseConfig fuse) {
    Optional<String> type = backup.string("type");
    Optional<Path> path = backup.path("path");
    if (type.isPresent() && !type.get().equals("file")) {
      backup.problem("type", "'" + type.get() + "' is not known; allowed: file");
    } else if (type.isPresent() && path.isEmpty()) {
      backup.problem("path", "is missing; give the directory for the backup");
    } else if (type.isEmpty() && path.isPresent()) {
      backup.problem("type", "is missing; allowed: file");
    }
    path.ifPresent(dir -> refuseInsideMount(backup, "path", dir, fuse));
    return new BackupConfig(path);
  }

  private static LogConfig log(Section log) {
    return new LogConfig(
        log.oneOf("format", LogConfig.Format.class).orElse(LogConfig.Format.TEXT),
        log.bool("timestamp", true),
        log.bool("debug", false));
  }

  private TracingConfig tracing(Section tracing, FuseConfig fuse) {
    boolean enabled = tracing.bool("enabled", true);
    Optional<Path> path = tracing.path("path");
    path.ifPresent(file -> refuseInsideMount(tracing, "path", file, fuse));
    long maxSize = tracing.bytes("max-size", MEGABYTE, 64 * MEGABYTE);
    if (maxSize == 0) {
      tracing.problem("max-size", "is 0; more than 0 is allowed");
    }
    return new TracingConfig(
        enabled, path, maxSize, tracing.count("max-count", 8), tracing.bool("compress", true));
  }

  /** The daemon must not write into its own mount: it would wait for itself. */
  private static void refuseInsideMount(Section section, String key, Path path, FuseConfig fuse) {
    Path mount = fuse.dir().toAbsolutePath().normalize();
    if (path.toAbsolutePath().normalize().startsWith(mount)) {
      section.problem(
          key,
          path
              + " is inside the mount point "
              + fuse.dir()
              + " (fuse.dir); choose a place outside");
    }
  }

  private static List<String> databaseNames(Section section, String key, List<String> names) {
    for (String name : names) {
      if (name.indexOf('/') >= 0) {
        section.problem(
            key,
            "'"
                + name
                + "' is no database; write the name of the file in the mount, without a directory");
      }
    }
    return names;
  }
}
