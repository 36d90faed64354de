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
    if (type == ImportCommand.class) {
      return type.cast(new ImportCommand(err));
    }
    if (type == ExportCommand.class) {
      return type.cast(new ExportCommand(err));
    }
    if (type == VersionCommand.class) {
      return type.cast(new VersionCommand(out));
    }
    if (type == DemoCommand.class) {
      return type.cast(new DemoCommand(out, err));
    }
    return CommandLine.defaultFactory().create(type);
  }
}
