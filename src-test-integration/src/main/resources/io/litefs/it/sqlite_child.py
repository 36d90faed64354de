"""A connection of Python's sqlite3 module that does as the lines of its input say; see LineSession for the protocol."""
import sqlite3
import sys
import time


def escape(text):
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")


def unescape(line):
    out, i = [], 0
    while i < len(line):
        if line[i] == "\\":
            i += 1
            out.append({"n": "\n", "r": "\r"}.get(line[i], line[i]))
        else:
            out.append(line[i])
        i += 1
    return "".join(out)


def text(value):
    if value is None:
        return ""
    return value.hex() if isinstance(value, bytes) else str(value)


def answer(connection, request):
    start = time.perf_counter_ns()
    if request[0] == "N":
        times, sql = request[1:].split(" ", 1)
        for i in range(int(times)):
            connection.execute(sql, (i,) if "?" in sql else ()).fetchall()
    else:
        for row in connection.execute(request[1:]):
            print("R" + escape("|".join(text(v) for v in row)))
    print("K%d" % (time.perf_counter_ns() - start), flush=True)


def main():
    connection = None
    for line in sys.stdin:
        try:
            if connection is None:
                connection = sqlite3.connect(sys.argv[1], timeout=30, isolation_level=None)
            answer(connection, unescape(line.rstrip("\n")))
        except sqlite3.Error as e:
            print("E" + escape(str(e)), flush=True)
    if connection is not None:
        connection.close()


main()
