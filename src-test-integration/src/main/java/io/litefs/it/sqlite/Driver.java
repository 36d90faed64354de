package io.litefs.it.sqlite;

import java.nio.file.Path;

/** The ways in which an application may use SQLite here. */
public enum Driver {
  SHELL {
    @Override
    public Session open(Path database) {
      return new ShellSession(database);
    }
  },
  PYTHON {
    @Override
    public Session open(Path database) {
      return LineSession.python(database);
    }
  },
  JDBC {
    @Override
    public Session open(Path database) {
      return LineSession.jdbc(database);
    }
  };

  /** Starts a process with a connection to {@code database}, which SQLite creates if need be. */
  public abstract Session open(Path database);
}
