/*
 * Preloaded into a SQLite process: kills it right after the write that completes a commit frame in a WAL, which is before SQLite
 * publishes the transaction in the wal-index. SQLite writes a frame as a header of 24 bytes, whose bytes 4 to 7 hold
 * the size of the database in a commit frame, and then the page. DIE_AFTER_COMMITS commits are let through first.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static int is_wal(int fd) {
  char link[64], path[4096];
  strcpy(link, "/proc/self/fd/");
  char digits[12];
  int n = 0;
  do digits[n++] = '0' + fd % 10; while ((fd /= 10) > 0);
  char *end = link + strlen(link);
  while (n > 0) *end++ = digits[--n];
  *end = 0;
  ssize_t length = readlink(link, path, sizeof path);
  return length > 4 && !memcmp(path + length - 4, "-wal", 4);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t offset) {
  static ssize_t (*real)(int, const void *, size_t, off64_t);
  static int commit_page_is_next, commits;
  if (!real) real = (ssize_t(*)(int, const void *, size_t, off64_t))dlsym(RTLD_NEXT, "pwrite64");
  ssize_t written = real(fd, bytes, count, offset);
  if (is_wal(fd)) {
    if (commit_page_is_next) {
      const char *spared = getenv("DIE_AFTER_COMMITS");
      commit_page_is_next = 0;
      if (commits++ == (spared ? atoi(spared) : 0)) kill(getpid(), SIGKILL);
    } else if (count == 24 && memcmp((const char *)bytes + 4, "\0\0\0\0", 4)) {
      commit_page_is_next = 1;
    }
  }
  return written;
}
