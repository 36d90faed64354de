package io.litefs.store;

/** placeholder until WalIndex */
final class WalIndexPublisher {
  WalIndexPublisher(Database database) {}
  void publishEmptyWal(int pageSize, long pageCount) {}
  void disown() {}
}
