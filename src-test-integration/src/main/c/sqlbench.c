/*
 * A SQLite client for the benchmarks, in C so that what is measured is SQLite and the filesystem.
 *
 *   sqlbench fill   DB ROWS BYTES PRAGMA...       creates table t with ROWS rows of BYTES random bytes
 *   sqlbench select DB COUNT PRAGMA...            point SELECTs by rowid, one read transaction each; prints SELECTs per second
 *   sqlbench insert DB COUNT PRAGMA...            one-row INSERTs of 100 bytes, one transaction each; prints INSERTs per second
 *   sqlbench update DB COUNT PRAGMA...            one-page UPDATEs of random rows, one transaction each; prints the median in us
 *   sqlbench lag    DB COUNT OTHER PRAGMA...      commits to DB, waits until OTHER shows it; prints p50 and p99 in us
 *
 * Each PRAGMA is "name=value" and runs first.
 */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec * 1e-9;
}

static void die(sqlite3 *db, const char *what) {
  fprintf(stderr, "%s: %s\n", what, sqlite3_errmsg(db));
  exit(1);
}

static void run(sqlite3 *db, const char *sql) {
  if (sqlite3_exec(db, sql, 0, 0, 0) != SQLITE_OK) die(db, sql);
}

static sqlite3_stmt *prepare(sqlite3 *db, const char *sql) {
  sqlite3_stmt *s;
  if (sqlite3_prepare_v2(db, sql, -1, &s, 0) != SQLITE_OK) die(db, sql);
  return s;
}

static sqlite3 *open_with(const char *file, char **pragmas, int count) {
  sqlite3 *db;
  char sql[256];
  if (sqlite3_open(file, &db) != SQLITE_OK) die(db, file);
  sqlite3_busy_timeout(db, 30000);
  for (int i = 0; i < count; i++) {
    snprintf(sql, sizeof sql, "PRAGMA %s", pragmas[i]);
    run(db, sql);
  }
  return db;
}

static sqlite3_int64 number(sqlite3 *db, sqlite3_stmt *s) {
  if (sqlite3_step(s) != SQLITE_ROW) die(db, "step");
  sqlite3_int64 n = sqlite3_column_int64(s, 0);
  sqlite3_reset(s);
  return n;
}

static void once(sqlite3 *db, sqlite3_stmt *s) {
  int rc;
  while ((rc = sqlite3_step(s)) == SQLITE_ROW) {
  }
  if (rc != SQLITE_DONE) die(db, "step");
  sqlite3_reset(s);
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

static unsigned long long state = 88172645463325252ULL;

static unsigned long long next_random(void) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state;
}

int main(int argc, char **argv) {
  if (argc < 4) {
    fprintf(stderr, "usage: see the head of sqlbench.c\n");
    return 2;
  }
  const char *what = argv[1];
  int count = atoi(argv[3]);
  int fixed = !strcmp(what, "fill") || !strcmp(what, "lag") ? 5 : 4;
  sqlite3 *db = open_with(argv[2], argv + fixed, argc - fixed);

  if (!strcmp(what, "fill")) {
    run(db, "CREATE TABLE t(id INTEGER PRIMARY KEY, b BLOB)");
    run(db, "BEGIN");
    sqlite3_stmt *s = prepare(db, "INSERT INTO t(b) VALUES (randomblob(?))");
    sqlite3_bind_int(s, 1, atoi(argv[4]));
    for (int i = 0; i < count; i++) once(db, s);
    run(db, "COMMIT");
    sqlite3_finalize(s);
  } else if (!strcmp(what, "select")) {
    sqlite3_stmt *max = prepare(db, "SELECT max(id) FROM t");
    sqlite3_int64 rows = number(db, max);
    sqlite3_stmt *s = prepare(db, "SELECT b FROM t WHERE id = ?");
    double start = 0;
    for (int i = -count / 5; i < count; i++) {
      if (i == 0) start = now();
      sqlite3_bind_int64(s, 1, 1 + next_random() % rows);
      once(db, s);
    }
    printf("%.1f\n", count / (now() - start));
    sqlite3_finalize(max);
    sqlite3_finalize(s);
  } else if (!strcmp(what, "insert")) {
    run(db, "CREATE TABLE IF NOT EXISTS i(id INTEGER PRIMARY KEY, b BLOB)");
    sqlite3_stmt *s = prepare(db, "INSERT INTO i(b) VALUES (randomblob(100))");
    double start = 0;
    for (int i = -count / 10; i < count; i++) {
      if (i == 0) start = now();
      once(db, s);
    }
    printf("%.1f\n", count / (now() - start));
    sqlite3_finalize(s);
  } else if (!strcmp(what, "update")) {
    sqlite3_stmt *max = prepare(db, "SELECT max(id) FROM t");
    sqlite3_int64 rows = number(db, max);
    sqlite3_stmt *s = prepare(db, "UPDATE t SET b = randomblob(length(b)) WHERE id = ?");
    double *times = malloc(count * sizeof *times);
    for (int i = -count / 5; i < count; i++) {
      sqlite3_bind_int64(s, 1, 1 + next_random() % rows);
      double start = now();
      once(db, s);
      if (i >= 0) times[i] = now() - start;
    }
    qsort(times, count, sizeof *times, ascending);
    printf("%.1f\n", times[count / 2] * 1e6);
    free(times);
    sqlite3_finalize(max);
    sqlite3_finalize(s);
  } else if (!strcmp(what, "lag")) {
    run(db, "CREATE TABLE IF NOT EXISTS l(id INTEGER PRIMARY KEY)");
    sqlite3_stmt *s = prepare(db, "INSERT INTO l DEFAULT VALUES");
    once(db, s);
    sqlite3 *other = 0;
    sqlite3_stmt *seen = 0;
    for (int i = 0; i < 5000 && !seen; i++) {
      sqlite3_close(other);
      sqlite3_open_v2(argv[4], &other, SQLITE_OPEN_READONLY, 0);
      if (sqlite3_prepare_v2(other, "SELECT coalesce(max(id), 0) FROM l", -1, &seen, 0) != SQLITE_OK) {
        seen = 0;
        usleep(1000);
      }
    }
    sqlite3_busy_timeout(other, 30000);
    if (!seen) die(other, "the table never came");
    double *times = malloc(count * sizeof *times);
    for (int i = -20; i < count; i++) {
      usleep(2000);
      once(db, s);
      double start = now();
      sqlite3_int64 id = sqlite3_last_insert_rowid(db);
      while (number(other, seen) < id) {
        if (now() - start > 30) die(other, "not visible after 30 s");
        usleep(20);
      }
      if (i >= 0) times[i] = now() - start;
    }
    qsort(times, count, sizeof *times, ascending);
    printf("%.1f %.1f\n", times[count / 2] * 1e6, times[(int)(count * 0.99)] * 1e6);
    free(times);
    sqlite3_finalize(s);
    sqlite3_finalize(seen);
    sqlite3_close(other);
  } else {
    fprintf(stderr, "unknown workload %s\n", what);
    return 2;
  }
  sqlite3_close(db);
  return 0;
}
