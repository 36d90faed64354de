"""A small application behind the proxy: notes in SQLite. It knows nothing of litefs.

    notes.py PORT DATABASE

    GET  /               a page that shows the notes as they come, and can write one
    POST /notes          the body is a new note; answers with its number
    GET  /notes          how many there are, and the last ten
    GET  /notes/NUMBER   one note, or 404
    POST /bytes          answers with the size of the body
    GET  /bytes/COUNT    so many bytes
    GET  /events         server-sent events: the number of notes, each time it changes
    GET  /socket         a WebSocket that says back what it hears
"""
import base64, hashlib, json, signal, sqlite3, sys, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PAGE = """<!doctype html><meta charset=utf-8><title>Notes</title>
<form id=form><input id=text autofocus><button>Write</button></form>
<p><span id=count>no</span> notes; <span id=heard></span></p><ol id=last></ol>
<script>
const show = id => document.getElementById(id);
async function write(text) {
  const number = await (await fetch("/notes", {method: "POST", body: text})).text();
  const read = await (await fetch("/notes/" + number.trim())).text();
  show("last").prepend(Object.assign(document.createElement("li"), {textContent: read.trim()}));
  return read.trim();
}
show("form").onsubmit = e => { e.preventDefault(); write(show("text").value); };
const event = new Promise(seen => {
  new EventSource("/events").onmessage = e => { show("count").textContent = e.data; seen(); };
});
const echo = new Promise(heard => {
  const socket = new WebSocket("ws://" + location.host + "/socket");
  socket.onmessage = e => { show("heard").textContent = e.data; heard(e.data); };
  socket.onopen = () => socket.send("the socket works");
});
if (location.hash) (async () => {  // shows to a test that all of this works
  const read = await write(decodeURIComponent(location.hash.slice(1)));
  await event;
  write("read '" + read + "', got an event, " + await echo);
})();
</script>
"""
PORT, DATABASE = int(sys.argv[1]), sys.argv[2]
PIECE = bytes(1 << 16)
local = threading.local()


def database():
    if not hasattr(local, "connection"):
        # isolation_level=None: each statement is a transaction of its own.
        local.connection = sqlite3.connect(DATABASE, timeout=30, isolation_level=None)
    return local.connection


class Notes(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 16

    def do_GET(self):
        kind, _, rest = self.path.lstrip("/").partition("/")
        if kind == "notes" and rest:
            row = database().execute("SELECT text FROM notes WHERE id = ?", (int(rest),)).fetchone()
            self.answer(200, row[0]) if row else self.answer(404, "no such note")
        elif kind == "notes":
            count = database().execute("SELECT count(*) FROM notes").fetchone()[0]
            last = database().execute("SELECT id, text FROM notes ORDER BY id DESC LIMIT 10").fetchall()
            self.answer(200, json.dumps({"count": count, "last": last}))
        elif kind == "":
            self.answer(200, PAGE, "text/html; charset=utf-8")
        elif kind == "bytes":
            self.send_bytes(int(rest))
        elif kind == "events":
            self.send_events()
        elif kind == "socket":
            self.socket()
        else:
            self.answer(404, "no such page")

    def do_POST(self):
        length = int(self.headers.get("Content-Length", "0"))
        if self.path == "/notes":
            text = self.rfile.read(length).decode()
            try:
                cursor = database().execute("INSERT INTO notes(text) VALUES (?)", (text,))
            except sqlite3.OperationalError as e:
                self.answer(500, str(e))
                return
            self.answer(201, str(cursor.lastrowid))
        elif self.path == "/bytes":
            left = length
            while left:
                left -= len(self.rfile.read(min(left, len(PIECE))))
            self.answer(200, str(length))
        else:
            self.answer(404, "no such page")

    def answer(self, status, text, content_type="text/plain; charset=utf-8"):
        body = text.encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def send_bytes(self, count):
        self.send_response(200)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(count))
        self.end_headers()
        while count:
            piece = PIECE[:count]
            self.wfile.write(piece)
            count -= len(piece)
        self.wfile.flush()

    def send_events(self):
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        seen = None
        while True:
            count = database().execute("SELECT count(*) FROM notes").fetchone()[0]
            if count != seen:
                seen = count
                self.wfile.write(b"data: %d\n\n" % count)
                self.wfile.flush()
            time.sleep(0.02)

    def socket(self):
        self.close_connection = True
        key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(hashlib.sha1(key.encode()).digest()).decode())
        self.end_headers()
        self.wfile.flush()
        while True:
            head = self.rfile.read(2)
            if len(head) < 2:
                return
            length = head[1] & 0x7F
            size = b""
            if length >= 126:
                size = self.rfile.read(2 if length == 126 else 8)
                length = int.from_bytes(size, "big")
            mask = self.rfile.read(4)
            data = self.rfile.read(length)
            # The client masks; the answer must not be masked.
            pad = (mask * (length // 4 + 1))[:length]
            data = (int.from_bytes(data, "big") ^ int.from_bytes(pad, "big")).to_bytes(length, "big")
            self.wfile.write(bytes([head[0], head[1] & 0x7F]) + size + data)
            self.wfile.flush()
            if head[0] & 0x0F == 8:
                return

    def log_message(self, *args):
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 128

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], OSError):  # the other side has gone
            super().handle_error(request, client_address)


def create():
    """On the primary; a replica gets the table from there."""
    connection = sqlite3.connect(DATABASE, timeout=30, isolation_level=None)
    try:
        if connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'notes'").fetchone()[0] == 0:
            connection.execute("PRAGMA journal_mode = wal")
            connection.execute("CREATE TABLE notes(id INTEGER PRIMARY KEY, text)")
    finally:
        connection.close()


try:
    create()
except sqlite3.OperationalError as error:
    print("no table made here:", error, flush=True)
server = Server(("127.0.0.1", PORT), Notes)
for stop in signal.SIGTERM, signal.SIGINT:
    signal.signal(stop, lambda *_: threading.Thread(target=server.shutdown).start())
server.serve_forever()
server.socket.close()
