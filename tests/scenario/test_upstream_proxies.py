"""Proxies on the way to providers: HTTP, HTTP over TLS, SOCKS5."""
import contextlib
import select
import socket
import ssl
import threading

import pytest

from lib.early import ANSWER, EarlyProvider
from lib.process import PATIENCE, certificate

LARGE = "y" * 3_000_000
VERY_LARGE = "y" * 16_000_000                    # more than all sockets on the way can hold
NAME, ADDRESS = "lab.test", "198.51.100.7"       # of the provider; only the proxy can resolve it


class Proxy:
    """Forwards everything to one upstream. `asked`: what for, `logins`: with which user and password."""

    def __init__(self, target, tls=None, login=None):
        self.target, self.tls, self.login = target, tls, login
        self.asked, self.logins = [], []
        self.refuse = []                  # SOCKS replies for the next requests
        self.leaves = False               # as soon as it has opened the tunnel
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._run, args=(sock,), daemon=True).start()

    def _run(self, sock):
        try:
            sock.settimeout(PATIENCE)
            if self.tls is not None:
                sock = self.tls.wrap_socket(sock, server_side=True)
            first = self._exactly(sock, 1)
            rest = self._socks(sock) if first == b"\x05" else self._http(sock, first)
            if rest is not None:
                self._forward(sock, rest)
        except (OSError, ssl.SSLError):
            pass
        finally:
            sock.close()

    @staticmethod
    def _exactly(sock, n):
        data = b""
        while len(data) < n:
            more = sock.recv(n - len(data))
            if not more:
                raise ConnectionError
            data += more
        return data

    def _http(self, sock, head):
        while b"\r\n\r\n" not in head:
            head += sock.recv(65536)
        line, fields = head.split(b"\r\n", 1)
        self.asked.append(line.decode())
        self.logins += [f.split(b" ")[2].decode() for f in fields.split(b"\r\n") if f.startswith(b"Proxy-Auth")]
        if not line.startswith(b"CONNECT"):
            return head                   # a request for the proxy itself: our upstream takes it as it is
        sock.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        if self.leaves:
            self._leave(sock)
        return None if self.leaves else b""

    def _leave(self, sock):
        """Closes, after close_notify. What the other side still sends is read: else a close is a reset."""
        if self.tls is not None:
            sock.setblocking(False)
            with contextlib.suppress(ssl.SSLError):
                sock.unwrap()             # does not wait for the other side's
        with socket.socket(fileno=sock.detach()) as raw:
            raw.settimeout(PATIENCE)
            raw.shutdown(socket.SHUT_WR)
            while raw.recv(65536):
                pass

    def _socks(self, sock):
        methods = self._exactly(sock, self._exactly(sock, 1)[0])
        if self.login is None:
            sock.sendall(b"\x05\x00")
        elif 2 not in methods:
            sock.sendall(b"\x05\xff")
            return None
        else:
            sock.sendall(b"\x05\x02")
            user = self._exactly(sock, self._exactly(sock, 2)[1]).decode()
            password = self._exactly(sock, self._exactly(sock, 1)[0]).decode()
            self.logins.append((user, password))
            sock.sendall(b"\x01" + (b"\x00" if (user, password) == self.login else b"\x01"))
            if (user, password) != self.login:
                return None
        kind = self._exactly(sock, 4)[3]
        if kind == 3:
            host = self._exactly(sock, self._exactly(sock, 1)[0]).decode()
        else:
            host = socket.inet_ntop({1: socket.AF_INET, 4: socket.AF_INET6}[kind],
                                    self._exactly(sock, 4 if kind == 1 else 16))
        self.asked.append((host, int.from_bytes(self._exactly(sock, 2), "big")))
        reply = self.refuse.pop(0) if self.refuse else 0
        sock.sendall(b"\x05" + bytes([reply]) + b"\x00\x01" + bytes(6))
        return None if reply else b""

    def _forward(self, sock, first):
        """In one thread: two must not use an SSL object at the same time."""
        with socket.create_connection(self.target, PATIENCE) as upstream:
            other = {sock: upstream, upstream: sock}
            unsent = {sock: bytearray(), upstream: bytearray(first)}
            reading = {sock, upstream}
            for s in other:
                s.setblocking(False)
            while upstream in reading or unsent[sock]:
                wanted = [s for s in reading if len(unsent[other[s]]) < 65536]
                if not (self.tls is not None and sock in wanted and sock.pending()):
                    poll = select.poll()    # not select(), which takes no descriptor above 1023
                    for s in other:
                        poll.register(s, (select.POLLIN if s in wanted else 0) | (select.POLLOUT if unsent[s] else 0))
                    poll.poll(PATIENCE * 1000)
                for s in wanted:
                    try:
                        data = s.recv(65536)
                    except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                        continue
                    unsent[other[s]] += data
                    if not data:
                        reading.discard(s)
                for s in other:
                    try:
                        if unsent[s]:
                            del unsent[s][:s.send(unsent[s][:65536])]
                    except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                        continue
                    if s is upstream and sock not in reading and not unsent[s]:
                        s.shutdown(socket.SHUT_WR)
            sock.shutdown(socket.SHUT_RDWR)

    def close(self):
        self.listener.close()


def server_context(cert, key):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context


@pytest.fixture
def place(make, tmp_path):
    """An upstream with TLS and one without, and proxies to them."""
    class Place:
        cert, key = certificate(tmp_path, "provider", hosts=(NAME,), ips=(ADDRESS,))
        proxy_cert, proxy_key = certificate(tmp_path, "proxy")
        secure = make.upstream(lambda conn: conn.answer(200, ANSWER), tls=server_context(cert, key))
        plain = make.upstream(lambda conn: conn.answer(200, ANSWER))
        proxies = []

        def proxy(self, upstream, tls=False, login=None):
            context = server_context(self.proxy_cert, self.proxy_key) if tls else None
            self.proxies.append(Proxy(upstream.address, context, login))
            return self.proxies[-1]

        def gateway(self, url, base_url, server=None, **env):
            provider = {"wire": "openai-chat", "base_url": base_url}
            if base_url.startswith("https"):
                provider["ca_file"] = str(self.cert)
            return make.gateway({"providers": {"lab": provider}, "server": server or {}}, workers=1,
                                env={"ALL_PROXY": url, "SSL_CERT_FILE": str(self.proxy_cert), **env})
    made = Place()
    yield made
    for proxy in made.proxies:
        proxy.close()


def ask_twice(gateway, upstream):
    """A large request, then one on the same connection."""
    assert gateway.chat("lab/m", user=LARGE).status_code == 200
    answer = gateway.chat("lab/m")
    assert answer.status_code == 200 and gateway.access_of(answer)["attempts"][0]["reused"]
    assert upstream.requests[0].json()["user"] == LARGE
    assert upstream.connections == 1


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_tunnel_through_an_http_proxy(place, scheme):
    proxy = place.proxy(place.secure, tls=scheme == "https")
    gateway = place.gateway(f"{scheme}://user:p%40ss@{proxy.address}", f"https://{NAME}:8443/v1", https_proxy="")
    ask_twice(gateway, place.secure)
    assert proxy.asked == [f"CONNECT {NAME}:8443 HTTP/1.1"] and proxy.logins == ["Basic dXNlcjpwQHNz".split()[1]]


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_an_answer_during_an_upload_ends_the_tunnel(place, scheme):
    """Whatever went through it next would be read as the rest of the first body."""
    answer = b'{"error":{"message":"slow down","type":"rate_limit_error"}}'
    provider = EarlyProvider(lambda send, rest: send(
        b"HTTP/1.1 429 Too Many\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(answer) + answer),
        server_context(place.cert, place.key))
    with contextlib.closing(provider):
        proxy = place.proxy(provider, tls=scheme == "https")
        gateway = place.gateway(f"{scheme}://{proxy.address}", f"https://{NAME}/v1")
        assert gateway.chat("lab/m", user=VERY_LARGE).status_code == 429
        gateway.idle()
        for _ in range(3):
            assert gateway.chat("lab/m", user="somebody else").status_code == 200
        assert len(provider.bodies) == 4 and len(provider.bodies[0]) < len(VERY_LARGE)
        assert b"somebody else" not in provider.bodies[0] and b"uthorization" not in provider.bodies[0]
        assert proxy.asked == [f"CONNECT {NAME}:443 HTTP/1.1"] * 2


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_plain_http_is_forwarded_by_the_http_proxy(place, scheme):
    proxy = place.proxy(place.plain, tls=scheme == "https")
    gateway = place.gateway(f"{scheme}://{proxy.address}", f"http://{NAME}/v1")
    ask_twice(gateway, place.plain)
    assert {r.target for r in place.plain.requests} == {f"http://{NAME}/v1/chat/completions"}


def test_a_proxy_with_a_wrong_certificate_gets_nothing(place):
    proxy = place.proxy(place.secure, tls=True)
    gateway = place.gateway(f"https://u:p@{proxy.address}", f"https://{NAME}/v1", SSL_CERT_FILE=str(place.cert))
    answer = gateway.chat("lab/m")
    assert answer.status_code == 502 and answer.headers["x-openclaw-error"] == "upstream_connect"
    assert "proxy: TLS" in answer.json()["error"]["message"]
    assert proxy.asked == [] and proxy.logins == []


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_opens_the_tunnel_and_closes_is_a_failure(place, scheme):
    proxy = place.proxy(place.secure, tls=scheme == "https")
    proxy.leaves = True
    gateway = place.gateway(f"{scheme}://{proxy.address}", f"https://{NAME}/v1")
    for _ in range(5):
        answer = gateway.chat("lab/m")
        assert answer.status_code == 502 and answer.headers["x-openclaw-error"] == "upstream_tls"
        assert "closed during the TLS handshake" in answer.json()["error"]["message"]


@pytest.mark.parametrize("secure", [True, False], ids=["https", "http"])
def test_socks5h_leaves_names_to_the_proxy(place, secure):
    upstream = place.secure if secure else place.plain
    proxy = place.proxy(upstream, login=("us:er", "p@ss"))
    gateway = place.gateway(f"socks5h://us%3Aer:p%40ss@{proxy.address}", f"http{'s' * secure}://{NAME}/v1")
    ask_twice(gateway, upstream)
    assert proxy.asked == [(NAME, 443 if secure else 80)] and proxy.logins == [("us:er", "p@ss")]
    assert upstream.requests[0].target == "/v1/chat/completions"


def test_socks5_gets_addresses(place):
    proxy = place.proxy(place.secure)
    gateway = place.gateway(f"socks5://{proxy.address}", f"https://{ADDRESS}/v1")
    ask_twice(gateway, place.secure)
    assert proxy.asked == [(ADDRESS, 443)]


def test_socks5_does_not_find_a_name_that_only_the_proxy_knows(make, place):
    proxy = place.proxy(place.secure)
    gateway = place.gateway(f"socks5://{proxy.address}", f"https://{NAME}/v1", {"dns": make.name_server().address})
    answer = gateway.chat("lab/m")
    assert answer.headers["x-openclaw-error"] == "upstream_dns"
    assert proxy.asked == []


@pytest.mark.parametrize("user, login, refuse, words", [
    ("", ("a", "b"), [], "wants a user and a password"),
    ("a:wrong@", ("a", "b"), [], "refused the user or the password"),
    ("", None, [2], "does not allow it"),
    ("", None, [5], "was refused the connection"),
])
def test_a_socks_refusal_is_explained(place, user, login, refuse, words):
    proxy = place.proxy(place.secure, login=login)
    proxy.refuse += refuse
    gateway = place.gateway(f"socks5h://{user}{proxy.address}", f"https://{NAME}/v1")
    answer = gateway.chat("lab/m")
    assert answer.status_code == 502 and answer.headers["x-openclaw-error"] == "upstream_connect"
    message = answer.json()["error"]["message"]
    assert words in message and "wrong" not in message
