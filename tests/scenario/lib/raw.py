"""A client that sends exactly the bytes a test wants, with its own HTTP parser.

    with RawClient(gateway.address) as c:
        c.send(b"GET /livez HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
        answer = c.read()
        assert answer.status == 200 and not c.closed_by_peer(0.1)
"""
import dataclasses
import json
import socket
import ssl
import struct
import time

from lib.process import PATIENCE


class Cut(Exception):
    """The peer closed before the message was complete; `.so_far` is the part of the Answer that arrived."""

    def __init__(self, message, so_far=None):
        super().__init__(message)
        self.so_far = so_far


@dataclasses.dataclass
class Answer:
    status: int
    reason: str
    headers: list             # (name, value), as received
    body: bytes = b""
    chunks: list = dataclasses.field(default_factory=list)
    trailers: list = dataclasses.field(default_factory=list)

    def header(self, name, default=None):
        found = [v for n, v in self.headers if n.lower() == name.lower()]
        assert len(found) <= 1, f"{name} came {len(found)} times"
        return found[0] if found else default

    def json(self):
        return json.loads(self.body)


def request(method, target, body=b"", headers=None, host="localhost"):
    """The bytes of an ordinary request. A dict as body becomes JSON; a header of None is left out."""
    fields = {"Host": host}
    if isinstance(body, (dict, list)):
        body = json.dumps(body).encode()
        fields["Content-Type"] = "application/json"
    if body or method == "POST":
        fields["Content-Length"] = str(len(body))
    fields.update(headers or {})
    lines = [f"{method} {target} HTTP/1.1"] + [f"{n}: {v}" for n, v in fields.items() if v is not None]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


class RawClient:
    """One connection to (host, port) or to a unix socket's path."""

    def __init__(self, address, tls=None, seconds=PATIENCE, server_hostname="localhost"):
        family = socket.AF_UNIX if isinstance(address, str) else (
            socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.settimeout(seconds)
        self.socket.connect(address)
        if family != socket.AF_UNIX:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if isinstance(tls, ssl.SSLContext):
            self.socket = tls.wrap_socket(self.socket, server_hostname=server_hostname)
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()

    def close(self):
        self.socket.close()

    def reset(self):
        """Closes with RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def send(self, data, piece=None, pause=0.0):
        """Sends all of it; `piece` bytes at a time when given."""
        if piece is None:
            self.socket.sendall(data)
            return
        for i in range(0, len(data), piece):
            self.socket.sendall(data[i:i + piece])
            if pause:
                time.sleep(pause)

    def _more(self):
        try:
            data = self.socket.recv(65536)
        except (ConnectionResetError, ssl.SSLError) as e:
            raise Cut(f"connection broke: {e}") from None
        if not data:
            raise Cut("connection closed")
        self.buffer += data

    def _line(self):
        while b"\n" not in self.buffer:
            self._more()
        line, self.buffer = self.buffer.split(b"\n", 1)
        assert line.endswith(b"\r"), f"a line of the answer ends without CR: {line!r}"
        return line[:-1]

    def _bytes(self, n):
        while len(self.buffer) < n:
            self._more()
        data, self.buffer = self.buffer[:n], self.buffer[n:]
        return data

    def _fields(self):
        """Header or trailer fields, to the empty line."""
        fields = []
        while line := self._line():
            name, value = line.decode("latin-1").split(":", 1)
            fields.append((name, value.strip()))
        return fields

    def read_head(self):
        """Status line and header fields; informational answers included."""
        line = self._line().decode("latin-1")
        version, status, *reason = line.split(" ", 2)
        assert version == "HTTP/1.1", line
        return Answer(int(status), reason[0] if reason else "", self._fields())

    def read_chunk(self):
        """One chunk of a chunked body, or b"" for the last, with which self.trailers are there."""
        size = int(self._line(), 16)
        data = self._bytes(size)
        if size == 0:
            self.trailers = self._fields()
        else:
            assert self._line() == b""
        return data

    def read(self, head=False):
        """A whole answer. `head`: it answers HEAD. Cut when it does not become whole."""
        answer = self.read_head()
        while answer.status == 100:
            answer = self.read_head()
        try:
            if head or answer.status in (204, 304):
                pass
            elif (answer.header("transfer-encoding") or "").lower() == "chunked":
                assert answer.header("content-length") is None
                while data := self.read_chunk():
                    answer.chunks.append(data)
                    answer.body += data
                answer.trailers = self.trailers
            elif answer.header("content-length") is not None:
                answer.body = self._bytes(int(answer.header("content-length")))
            else:
                answer.body = self.read_to_end()
        except Cut as cut:
            cut.so_far = answer
            raise
        return answer

    def read_to_end(self):
        """Everything until the peer closes. Cut when it resets."""
        while True:
            try:
                self._more()
            except Cut as cut:
                if str(cut) != "connection closed":
                    raise
                data, self.buffer = self.buffer, b""
                return data

    def ask(self, method, target, body=b"", headers=None):
        """Sends a request and reads what comes: (Answer, did the connection break before it was whole)."""
        self.send(request(method, target, body, headers))
        try:
            return self.read(head=method == "HEAD"), False
        except Cut as cut:
            if cut.so_far is None:
                raise
            return cut.so_far, True

    def closed_by_peer(self, seconds=PATIENCE):
        """Does the peer close (or reset) within this time, without sending anything more?"""
        assert not self.buffer, f"unread: {self.buffer[:200]!r}"
        self.socket.settimeout(seconds)
        try:
            data = self.socket.recv(4096)
        except (TimeoutError, ssl.SSLWantReadError):
            return False
        except (ConnectionError, ssl.SSLError):
            return True
        assert not data, f"more came: {data[:200]!r}"
        return True
