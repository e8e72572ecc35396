"""A provider that sends exactly the bytes a test wants, and records every byte that it receives.

    def handler(conn):                  # once for each request
        conn.answer(200, b'{"object": "list"}')
        conn.send(b"HTTP/1.1 200 OK\\r\\n"); conn.stall(); conn.reset()
    upstream = RawUpstream(handler)
"""
import dataclasses
import json
import socket
import ssl
import struct
import threading
import time

from lib.process import CANARY, PATIENCE

REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 429: "Too Many Requests",
           500: "Internal Server Error", 503: "Service Unavailable"}


@dataclasses.dataclass
class Request:
    raw: bytes                 # head and body as received
    method: str = ""
    target: str = ""
    headers: list = dataclasses.field(default_factory=list)
    body: bytes = b""

    def header(self, name, default=None):
        found = [v for n, v in self.headers if n.lower() == name.lower()]
        assert len(found) <= 1, f"{name} came {len(found)} times"
        return found[0] if found else default

    def json(self):
        return json.loads(self.body)


class Connection:
    """The handler's end of one connection. `request` is the request being answered."""

    def __init__(self, upstream, sock):
        self.upstream = upstream
        self.socket = sock
        self.request = None
        self.open = True
        self.buffer = b""

    # --- reading ---

    def _more(self):
        data = self.socket.recv(262144)
        if not data:
            raise ConnectionError("closed")
        self.buffer += data

    def _read_body(self, headers):
        fields = {n.lower(): v for n, v in headers}
        if fields.get("transfer-encoding", "").lower() == "chunked":
            body, raw = b"", b""
            while True:
                while b"\r\n" not in self.buffer:
                    self._more()
                line, self.buffer = self.buffer.split(b"\r\n", 1)
                size = int(line.split(b";")[0], 16)
                while len(self.buffer) < size + 2:
                    self._more()
                raw += line + b"\r\n" + self.buffer[:size + 2]
                body += self.buffer[:size]
                self.buffer = self.buffer[size + 2:]
                if size == 0:
                    return body, raw
        length = int(fields.get("content-length", 0))
        while len(self.buffer) < length:
            self._more()
        body, self.buffer = self.buffer[:length], self.buffer[length:]
        return body, body

    def read_request(self):
        while b"\r\n\r\n" not in self.buffer:
            self._more()
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        method, target, _ = lines[0].split(" ")
        headers = [(n, v.strip()) for n, v in (line.split(":", 1) for line in lines[1:])]
        body, raw = self._read_body(headers)
        return Request(head + b"\r\n\r\n" + raw, method, target, headers, body)

    # --- writing ---

    def send(self, data, piece=None, pause=0.0):
        """Raw bytes; `piece` at a time, one system call each, when given."""
        if piece is None:
            self.socket.sendall(data)
            return
        for i in range(0, len(data), piece):
            self.socket.sendall(data[i:i + piece])
            if pause:
                time.sleep(pause)

    def head(self, status=200, content_type="application/json", length=None, fields=()):
        """A status line and fields; chunked when no length is given."""
        lines = [f"HTTP/1.1 {status} {REASONS.get(status, 'Status')}"]
        if content_type:
            lines.append(f"Content-Type: {content_type}")
        lines.append("Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}")
        lines += [f"{n}: {v}" for n, v in fields]
        self.send(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))

    def chunk(self, data):
        if data:
            self.send(b"%x\r\n%b\r\n" % (len(data), data))

    def end_chunks(self):
        self.send(b"0\r\n\r\n")

    def answer(self, status, body, content_type="application/json", fields=()):
        """A whole answer with its length."""
        if isinstance(body, (dict, list)):
            body = json.dumps(body).encode()
        self.head(status, content_type, len(body), fields)
        self.send(body)

    # --- ending ---

    def close(self):
        self.open = False
        self.socket.close()

    def reset(self):
        """Closes with RST."""
        self.open = False
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def stall(self, seconds=PATIENCE * 4):
        """Says nothing more. True when the peer hung up meanwhile."""
        deadline = time.monotonic() + seconds
        self.socket.settimeout(0.05)
        while time.monotonic() < deadline and not self.upstream.closing.is_set():
            try:
                if not self.socket.recv(65536):
                    return True
            except TimeoutError:
                continue
            except OSError:
                return True
        return False


class RawUpstream:
    """Listens on a free port of 127.0.0.1. `handler(connection)` runs in a thread, once for each request;
    unless it closed, the connection is then read for the next one."""

    def __init__(self, handler, tls=None, at=("127.0.0.1", 0)):
        self.handler = handler
        self.tls = tls                 # an ssl.SSLContext of a server
        self.requests = []
        self.errors = []
        self.connections = 0
        self.closing = threading.Event()
        self.lock = threading.Lock()
        self.sockets = set()
        self.listener = socket.create_server(at, backlog=512)
        self.address = self.listener.getsockname()
        self.host = f"{self.address[0]}:{self.address[1]}"
        self.url = f"{'https' if tls else 'http'}://{self.host}"
        self.openai_url = self.url + "/v1"
        threading.Thread(target=self._accept, daemon=True).start()

    def provider(self, wire="openai-chat", **more):
        """A provider's section for a configuration."""
        return {"wire": wire, "base_url": self.openai_url, **more}

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                self.connections += 1
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        conn = None
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.tls is not None:
                sock = self.tls.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
                try:
                    sock.do_handshake()
                except ssl.SSLError:
                    self._let_alert_arrive(sock)
                    return
            conn = Connection(self, sock)
            with self.lock:
                self.sockets.add(sock)
            while conn.open:
                try:
                    conn.request = conn.read_request()
                except OSError:
                    break
                with self.lock:
                    self.requests.append(conn.request)
                self.handler(conn)
        except (OSError, ssl.SSLError):
            pass               # the gateway hung up in the middle, as many tests want
        except Exception as e:    # a mistake in the test's handler: told by close()
            self.errors.append(e)
        finally:
            with self.lock:
                self.sockets.discard(sock)
            if conn is None or conn.open:
                sock.close()

    @staticmethod
    def _let_alert_arrive(sock):
        """Closing with unread bytes would reset the connection, and the peer might lose the alert."""
        with socket.socket(fileno=sock.detach()) as plain:
            plain.shutdown(socket.SHUT_WR)
            plain.settimeout(PATIENCE)
            while plain.recv(65536):
                pass

    def last_request(self):
        with self.lock:
            return self.requests[-1]

    def close(self):
        """Ends, and asserts that no caller's key reached it and that the handler made no mistake."""
        self.closing.set()
        self.listener.close()
        with self.lock:
            for sock in self.sockets:
                try:
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
            requests = list(self.requests)
        assert not self.errors, f"the handler failed: {self.errors!r}"
        for request in requests:
            assert (CANARY + "client").encode() not in request.raw, "a caller's key went on to the provider"
