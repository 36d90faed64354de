package io.litefs;

import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAnyPackage;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideOutsideOfPackages;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;

import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.junit.AnalyzeClasses;
import com.tngtech.archunit.junit.ArchTest;
import com.tngtech.archunit.lang.ArchRule;

/** Who may use whom: a package uses only those before it. */
@AnalyzeClasses(packages = "io.litefs", importOptions = ImportOption.DoNotIncludeTests.class)
class PackageDirectionTest {

  private static final String POSIX = "io.litefs.posix..";
  private static final String SQLITE = "io.litefs.sqlite..";
  private static final String FUSE = "io.litefs.fuse..";
  private static final String STORE = "io.litefs.store..";
  private static final String MOUNT = "io.litefs.mount..";
  private static final String CLUSTER = "io.litefs.cluster..";
  private static final String LTX = "io.litefs.ltx..";
  private static final String CONFIG = "io.litefs.config..";
  private static final String LEASE = "io.litefs.lease..";
  private static final String REPLICATION = "io.litefs.replication..";
  private static final String PROXY = "io.litefs.proxy..";

  @ArchTest static final ArchRule posixWrapsLibcAndUsesNothingOfOurs = onlyUses(POSIX);

  @ArchTest
  static final ArchRule fileFormatsUseNothingButTheJdk =
      noClasses()
          .that()
          .resideInAPackage(SQLITE)
          .should()
          .dependOnClassesThat(resideOutsideOfPackages(SQLITE, "java.."));

  @ArchTest static final ArchRule fuseUsesPosix = onlyUses(FUSE, POSIX);

  @ArchTest
  static final ArchRule storeUsesWhatIsBelowIt =
      onlyUses(STORE, POSIX, SQLITE, FUSE, LTX, REPLICATION);

  @ArchTest
  static final ArchRule mountUsesTheStore =
      onlyUses(MOUNT, POSIX, SQLITE, FUSE, STORE, LTX, REPLICATION);

  @ArchTest
  static final ArchRule clusterIsBelowTheDaemon =
      onlyUses(CLUSTER, POSIX, SQLITE, FUSE, STORE, MOUNT, LTX, REPLICATION, LEASE);

  @ArchTest static final ArchRule ltxStandsAlone = onlyUses(LTX);

  @ArchTest static final ArchRule configStandsAlone = onlyUses(CONFIG);

  @ArchTest static final ArchRule leaseStandsAlone = onlyUses(LEASE);

  @ArchTest static final ArchRule replicationUsesLtx = onlyUses(REPLICATION, LTX);

  @ArchTest static final ArchRule proxyStandsAlone = onlyUses(PROXY).allowEmptyShould(true);

  @ArchTest
  static final ArchRule theDaemonsRoomsHaveNoCycles =
      slices().matching("io.litefs.daemon.(*)..").should().beFreeOfCycles();

  @ArchTest
  static final ArchRule roomsOfTheDaemonDoNotKnowItsEntrance =
      noClasses()
          .that()
          .resideInAnyPackage(
              "io.litefs.daemon.api..",
              "io.litefs.daemon.client..",
              "io.litefs.daemon.demo..",
              "io.litefs.daemon.exec..")
          .should()
          .dependOnClassesThat()
          .resideInAPackage("io.litefs.daemon");

  /** Only the transport knows libfuse. */
  @ArchTest
  static final ArchRule onlyFuseUsesJnrFuse =
      noClasses()
          .that()
          .resideOutsideOfPackage(FUSE)
          .should()
          .dependOnClassesThat()
          .resideInAPackage("ru.serce.jnrfuse..");

  private static ArchRule onlyUses(String user, String... used) {
    String[] allowed = new String[used.length + 1];
    allowed[0] = user;
    System.arraycopy(used, 0, allowed, 1, used.length);
    return noClasses()
        .that()
        .resideInAPackage(user)
        .should()
        .dependOnClassesThat(
            resideInAnyPackage("io.litefs..").and(resideOutsideOfPackages(allowed)));
  }
}
