package io.litefs.daemon;

import io.litefs.daemon.api.ExportHandler.Exported;
import io.litefs.ltx.Pos;
import io.litefs.store.Export;
import io.litefs.store.Store;
import java.io.IOException;
import java.io.InputStream;

/** An export of the store's, as the API sees it. */
record StoreExport(Export export) implements Exported {

  /** Null if there is no such database. */
  static StoreExport of(Store store, String name, boolean damaged) throws IOException {
    Export export = store.export(name, damaged);
    return export == null ? null : new StoreExport(export);
  }

  @Override
  public long size() {
    return export.size();
  }

  @Override
  public InputStream stream() {
    return export.stream();
  }

  @Override
  public Pos pos() {
    return export.pos();
  }

  @Override
  public void close() throws IOException {
    export.close();
  }
}
