"""The program of a Python writer of the soak harness: database, script, notes, stop file,
busy timeout, and after how many errors in a row it gives up. See Workload.java."""
import os
import sqlite3
import sys
import time

SECONDS_AFTER_ERROR = 0.01


class Writer:
    def __init__(self, database, notes, busy_millis, give_up_after_errors):
        self.database = database
        self.notes_file = notes
        self.notes = os.open(notes, os.O_WRONLY | os.O_APPEND)
        self.busy_seconds = busy_millis / 1000
        self.give_up_after_errors = give_up_after_errors
        self.connection = None
        self.errors_in_a_row = 0

    def note(self, line):
        os.write(self.notes, (line + "\n").encode())

    def note_error(self, transaction, what, error):
        self.note("E %s %d %s: %s" % (transaction, time.time_ns() // 1000, what, error))
        if "malformed" in str(error):
            self.keep_files()

    def keep_files(self):
        """Copies what the mount shows now, next to the notes."""
        path = self.database.split(":", 1)[1].split("?")[0]
        for suffix in ("", "-wal", "-shm", "-journal", "-pos"):
            try:
                with open(path + suffix, "rb") as file, open("%s.malformed%s" % (self.notes_file, suffix), "wb") as copy:
                    copy.write(file.read())
            except OSError as e:
                self.note("# %s%s: %s" % (path, suffix, e))

    def open(self):
        if self.connection is not None:
            self.connection.close()
            self.connection = None
        self.connection = sqlite3.connect(self.database, timeout=self.busy_seconds, isolation_level=None, uri=True)

    def execute(self, sql):
        if self.connection is None:
            self.open()
        return self.connection.execute(sql).fetchall()

    def roll_back(self):
        # A failed COMMIT may have left the transaction open or not: either is fine.
        try:
            if self.connection is not None and self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
        except sqlite3.Error as e:
            self.note_error("0", "rollback", e)

    def run(self, script, stop):
        transaction, failed = None, False
        for step in script:
            kind, rest = step[0], step[2:]
            if kind == "B":
                if os.path.exists(stop) or self.errors_in_a_row >= self.give_up_after_errors:
                    break
                transaction, failed = rest, False
                self.note("B " + transaction)
                continue
            if failed and kind in "SCRX":
                continue
            try:
                if kind == "O":
                    self.open()
                elif kind == "C":
                    self.execute("COMMIT")
                    self.note("A %s %d" % (transaction, time.time_ns() // 1000))
                    self.errors_in_a_row = 0
                elif kind == "R":
                    self.execute("ROLLBACK")
                    self.note("R " + transaction)
                    self.errors_in_a_row = 0
                elif kind == "X":
                    for row in self.execute(rest):
                        self.note("V %s" % row[0])
                else:
                    self.execute(rest)
            except sqlite3.Error as e:
                in_transaction = kind in "SCRX"
                self.note_error(transaction if in_transaction else "0", step.split("(")[0], e)
                self.errors_in_a_row += 1
                failed = in_transaction
                if in_transaction:
                    self.roll_back()
                time.sleep(SECONDS_AFTER_ERROR)
        try:
            if self.connection is not None:
                self.connection.close()
        except sqlite3.Error as e:
            self.note_error("0", "close", e)


def main():
    database, script, notes, stop, busy_millis, give_up_after_errors = sys.argv[1:7]
    with open(script) as lines:
        steps = lines.read().splitlines()
    Writer(database, notes, int(busy_millis), int(give_up_after_errors)).run(steps, stop)


main()
