package io.litefs.daemon.client;

import java.nio.file.AccessDeniedException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;

/** The JDK's file exceptions say only the path; this adds the reason. */
public final class FileReason {

  private FileReason() {}

  public static String of(String what, Exception e) {
    if (e instanceof NoSuchFileException) {
      return what + ": no such file or directory";
    }
    if (e instanceof AccessDeniedException) {
      return what + ": permission denied";
    }
    if (e instanceof FileAlreadyExistsException) {
      return what + ": it exists and is not a directory";
    }
    if (e instanceof FileSystemException file && file.getReason() != null) {
      return what + ": " + file.getReason();
    }
    return what + ": " + (e.getMessage() == null ? e.getClass().getSimpleName() : e.getMessage());
  }
}
