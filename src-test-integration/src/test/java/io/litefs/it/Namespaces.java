package io.litefs.it;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ThreadLocalRandom;

/**
 * Hosts on one machine: network namespaces on a bridge, each with an address of its own. The tests
 * themselves stay outside and reach all of them; what is cut is the way from one to another.
 */
final class Namespaces implements AutoCloseable {

  private final String id = "lf%04x".formatted(ThreadLocalRandom.current().nextInt(1 << 16));

  /** Third part of the addresses, so that two runs on one machine do not meet. */
  private final int subnet = ThreadLocalRandom.current().nextInt(1, 255);

  private final List<String> names = new ArrayList<>();

  Namespaces() {
    ip("link", "add", id, "type", "bridge");
    try {
      ip("addr", "add", "10.213." + subnet + ".1/24", "dev", id);
      ip("link", "set", id, "up");
    } catch (Throwable e) {
      close();
      throw e;
    }
  }

  private static void ip(String... arguments) {
    List<String> command = new ArrayList<>(List.of("ip"));
    command.addAll(List.of(arguments));
    Commands.run(command.toArray(String[]::new)).orThrow();
  }

  /** Adds a host; returns its number. */
  int add() {
    int host = names.size();
    String name = id + "-" + host;
    ip("netns", "add", name);
    names.add(name);
    String outside = id + "v" + host;
    ip("link", "add", outside, "type", "veth", "peer", "name", "eth0", "netns", name);
    ip("link", "set", outside, "master", id, "up");
    ip("-n", name, "addr", "add", address(host) + "/24", "dev", "eth0");
    ip("-n", name, "link", "set", "eth0", "up");
    ip("-n", name, "link", "set", "lo", "up");
    return host;
  }

  String address(int host) {
    return "10.213." + subnet + "." + (host + 10);
  }

  /** What starts a command on the host. Only its network is another: mounts are seen by all. */
  List<String> around(int host) {
    return List.of("nsenter", "--net=/run/netns/" + names.get(host), "--");
  }

  /** Drops all packets between two hosts; neither is told. */
  void cut(int one, int other) {
    ip("-n", names.get(one), "route", "add", "blackhole", address(other));
    ip("-n", names.get(other), "route", "add", "blackhole", address(one));
  }

  void heal(int one, int other) {
    ip("-n", names.get(one), "route", "del", "blackhole", address(other));
    ip("-n", names.get(other), "route", "del", "blackhole", address(one));
  }

  @Override
  public void close() {
    for (String name : names) {
      Commands.run("ip", "netns", "del", name);
    }
    Commands.run("ip", "link", "del", id);
  }
}
