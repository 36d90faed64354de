package io.litefs.daemon;

import io.litefs.fuse.Keepers;
import java.io.PrintStream;
import java.util.List;
import java.util.function.Supplier;
import picocli.CommandLine;

/** Makes commands with what they need from outside; picocli's own factory makes the rest. */
final class CommandFactory implements CommandLine.IFactory {

  private final PrintStream out;
  private final PrintStream err;
  private final Supplier<Keepers> keepers;
  private final boolean separator;
  private final List<String> afterSeparator;

  /**
   * @param separator whether the command line has a {@code --}
   * @param afterSeparator the words after it
   */
  CommandFactory(
      PrintStream out,
      PrintStream err,
      Supplier<Keepers> keepers,
      boolean separator,
      List<String> afterSeparator) {
    this.out = out;
    this.err = err;
    this.keepers = keepers;
    this.separator = separator;
    this.afterSeparator = afterSeparator;
  }

  @Override
  public <K> K create(Class<K> type) throws Exception {
    if (type == MountCommand.class) {
      return type.cast(new MountCommand(keepers, separator, afterSeparator));
    }
    if (type == StatusCommand.class) {
      return type.cast(new StatusCommand(out));
    }
    if (type == DatabasesCommand.class) {
      return type.cast(new DatabasesCommand(out));
    }
    if (type == DoctorCommand.class) {
      return type.cast(new DoctorCommand(out));
    }
    if (type == ConfigCommand.Check.class) {
      return type.cast(new ConfigCommand.Check(out));
    }
    if (type == ConfigCommand.Show.class) {
      return type.cast(new ConfigCommand.Show(out));
    }
    if (LtxCommand.OnFiles.class.isAssignableFrom(type)) {
      return type.cast(ltx(type));
    }
    if (type == RunCommand.class) {
      return type.cast(new RunCommand(err, afterSeparator));
    }
    if (type == WaitCommand.class) {
      return type.cast(new WaitCommand(out));
    }
    if (type == ImportCommand.class) {
      return type.cast(new ImportCommand(err));
    }
    if (type == ExportCommand.class) {
      return type.cast(new ExportCommand(err));
    }
    if (type == VerifyCommand.class) {
      return type.cast(new VerifyCommand(out, err));
    }
    if (type == DivergedListCommand.class) {
      return type.cast(new DivergedListCommand(out));
    }
    if (type == DivergedExportCommand.class) {
      return type.cast(new DivergedExportCommand(err));
    }
    if (type == ClusterAdoptCommand.class) {
      return type.cast(new ClusterAdoptCommand(out));
    }
    if (type == VersionCommand.class) {
      return type.cast(new VersionCommand(out));
    }
    if (type == DemoCommand.class) {
      return type.cast(new DemoCommand(out, err));
    }
    return CommandLine.defaultFactory().create(type);
  }

  private Object ltx(Class<?> type) {
    if (type == LtxCommand.ListFiles.class) {
      return new LtxCommand.ListFiles(out);
    }
    if (type == LtxCommand.Dump.class) {
      return new LtxCommand.Dump(out);
    }
    if (type == LtxCommand.Verify.class) {
      return new LtxCommand.Verify(out);
    }
    return type == LtxCommand.Apply.class ? new LtxCommand.Apply(out) : new LtxCommand.Compact(out);
  }
}
