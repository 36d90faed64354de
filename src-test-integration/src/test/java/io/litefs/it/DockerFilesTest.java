package io.litefs.it;

import static org.assertj.core.api.Assertions.assertThat;

import io.litefs.config.ConfigLoader;
import io.litefs.config.LeaseConfig;
import io.litefs.config.LitefsConfig;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.yaml.snakeyaml.LoaderOptions;
import org.yaml.snakeyaml.Yaml;
import org.yaml.snakeyaml.constructor.SafeConstructor;

/** What cannot be run here is read: files that are named exist, and everything parses. */
class DockerFilesTest {

  private static final Path ROOT = Path.of(Node.launcher().get(0)).getParent();
  private static final Path DOCKER = ROOT.resolve("docker");

  private static List<Object> yaml(Path file) throws IOException {
    List<Object> documents = new ArrayList<>();
    new Yaml(new SafeConstructor(new LoaderOptions()))
        .loadAll(Files.readString(file))
        .forEach(documents::add);
    return documents;
  }

  /** Instructions with their continuation lines joined, without comments. */
  private static List<String> instructions(Path dockerfile) throws IOException {
    String text =
        Files.readString(dockerfile).replaceAll("(?m)^#.*\n", "").replaceAll("\\\\\n\\s*", "");
    return text.lines().filter(line -> !line.isBlank()).toList();
  }

  @ParameterizedTest
  @ValueSource(strings = {"Dockerfile", "compose/Dockerfile"})
  void dockerfilesNameWhatIsThere(String name) throws IOException {
    List<String> instructions = instructions(DOCKER.resolve(name));
    assertThat(instructions)
        .allMatch(
            line ->
                line.matches(
                    "(FROM|RUN|WORKDIR|COPY|EXPOSE|VOLUME|HEALTHCHECK|ENTRYPOINT|CMD) \\S.*"));
    for (String line : instructions) {
      if (line.startsWith("COPY ") && !line.startsWith("COPY --from")) {
        assertThat(ROOT.resolve(line.split(" ")[1])).exists();
      }
      if (line.startsWith("RUN ")) {
        assertThat(Commands.run("sh", "-n", "-c", line.substring(4)).exitCode()).as(line).isZero();
      }
    }
    // What DistributionTest runs is what the image is built from.
    assertThat(instructions).anyMatch(line -> line.contains("./mvnw") && line.contains("-Pdist"));
    assertThat(Files.readString(ROOT.resolve("litefs-daemon/pom.xml"))).contains("docker/dist");
  }

  @Test
  void bothDockerfilesBuildTheSame() throws IOException {
    List<String> image = instructions(DOCKER.resolve("Dockerfile"));
    List<String> demo = instructions(DOCKER.resolve("compose/Dockerfile"));
    assertThat(demo.subList(0, 5)).isEqualTo(image.subList(0, 5));
  }

  @ParameterizedTest
  @ValueSource(strings = {"dist", "healthcheck"})
  void scriptsParse(String name) {
    Path script = DOCKER.resolve(name);
    assertThat(script).isExecutable();
    assertThat(Commands.run("bash", "-n", script.toString()).exitCode()).isZero();
  }

  @Test
  @SuppressWarnings("unchecked")
  void theComposeFilesNameWhatIsThere() throws IOException {
    Map<String, Object> compose =
        (Map<String, Object>) yaml(DOCKER.resolve("compose/compose.yml")).get(0);
    Map<String, Map<String, Object>> services =
        (Map<String, Map<String, Object>>) compose.get("services");
    assertThat(services).containsOnlyKeys("consul", "node1", "node2", "node3");
    for (String node : List.of("node1", "node2", "node3")) {
      Map<String, Object> build = (Map<String, Object>) services.get(node).get("build");
      Path context = DOCKER.resolve("compose").resolve((String) build.get("context"));
      assertThat(context.resolve((String) build.get("dockerfile"))).exists();
      for (String volume : (List<String>) services.get(node).get("volumes")) {
        if (volume.startsWith("./")) {
          assertThat(DOCKER.resolve("compose").resolve(volume.split(":")[0])).exists();
        } else {
          assertThat((Map<String, Object>) compose.get("volumes"))
              .containsKey(volume.split(":")[0]);
        }
      }
    }
    assertThat(yaml(DOCKER.resolve("sidecar/compose.yml"))).hasSize(1);
  }

  @Test
  void theConfigurationsAreRight(@TempDir Path dir) throws Exception {
    Map<String, String> env = Map.of("HOSTNAME", "node1");
    LitefsConfig compose = ConfigLoader.load(DOCKER.resolve("compose/litefs.yml"), true, env);
    assertThat(compose.lease().type()).isEqualTo(LeaseConfig.Type.CONSUL);
    assertThat(compose.lease().advertiseUrl()).hasToString("http://node1:20202");
    assertThat(compose.proxy().enabled()).isTrue();
    assertThat(
            ConfigLoader.load(DOCKER.resolve("sidecar/litefs.yml"), true, env).fuse().allowOther())
        .isTrue();
    LitefsConfig kubernetes =
        ConfigLoader.load(Files.writeString(dir.resolve("litefs.yml"), embedded()), true, env);
    assertThat(kubernetes.lease().advertiseUrl()).hasToString("http://node1.litefs:20202");
  }

  @SuppressWarnings("unchecked")
  private static String embedded() throws IOException {
    List<Object> documents = yaml(DOCKER.resolve("kubernetes/litefs.yml"));
    assertThat(documents)
        .extracting(document -> ((Map<String, Object>) document).get("kind"))
        .containsExactly("ConfigMap", "Service", "Service", "StatefulSet");
    Map<String, Object> map = (Map<String, Object>) documents.get(0);
    return ((Map<String, String>) map.get("data")).get("litefs.yml");
  }

  @Test
  void theUnitHasOnlyKnownSections() throws IOException {
    try (Stream<String> lines = Files.lines(DOCKER.resolve("systemd/litefs.service"))) {
      assertThat(lines.filter(line -> !line.isBlank() && !line.startsWith("#")))
          .allMatch(line -> line.matches("\\[(Unit|Service|Install)]|[A-Z][A-Za-z]+=.+"));
    }
  }
}
