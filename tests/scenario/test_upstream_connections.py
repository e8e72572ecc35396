"""Connections to providers: when one may carry the next request, and when it must not."""
import socket
import threading
import time

import pytest

from lib.process import PATIENCE

LARGE = "y" * 8_000_000
ANSWER = b'{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":' \
         b'{"role":"assistant","content":"Hi"},"finish_reason":"stop"}]}'
REFUSAL = b'{"error":{"message":"slow down","type":"rate_limit_error"}}'


class Provider:
    """Parses requests by HTTP's rules: a body is as long as its Content-Length, whatever its contents. `early(send, rest)`
    is called when the beginning of a large body is there; `rest()` reads on until nothing more comes."""

    def __init__(self, early):
        self.early = early
        self.bodies = []                  # of each request: what was read as its body
        self.connections = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = "http://127.0.0.1:%d/v1" % self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def provider(self):
        return {"wire": "openai-chat", "base_url": self.url}

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        sock.settimeout(PATIENCE)
        came = b""
        try:
            while True:
                while b"\r\n\r\n" not in came:
                    data = sock.recv(65536)
                    if not data:
                        return
                    came += data
                head, came = came.split(b"\r\n\r\n", 1)
                length = int(next(line.split(b":")[1] for line in head.lower().split(b"\r\n")
                                  if line.startswith(b"content-length")))
                body = bytearray(came[:length])
                came = came[length:]
                self.bodies.append(body)

                def rest(seconds=0.3):
                    sock.settimeout(seconds)
                    try:
                        while len(body) < length:
                            data = sock.recv(min(262144, length - len(body)))
                            if not data:
                                return
                            body.extend(data)
                    except TimeoutError:
                        pass
                    finally:
                        sock.settimeout(PATIENCE)
                if length > 1_000_000:
                    self.early(sock.sendall, rest)
                    rest(PATIENCE)        # whatever comes is this body, until it is complete
                    if len(body) < length:
                        return
                else:
                    rest(PATIENCE)
                    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
                                 % len(ANSWER) + ANSWER)
        except OSError:
            pass
        finally:
            sock.close()

    def close(self):
        self.listener.close()


@pytest.fixture
def provider():
    made = []

    def start(early):
        made.append(Provider(early))
        return made[-1]
    yield start
    for one in made:
        one.close()


def sized(status, body):
    return b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (status, len(body)), body


def chunked(status, body):
    head = b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n" % status
    return head, b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


@pytest.mark.parametrize("head, rest", [
    sized(b"429 Too Many Requests", REFUSAL), chunked(b"429 Too Many Requests", REFUSAL),
    sized(b"413 Content Too Large", REFUSAL), sized(b"401 Unauthorized", b"{}"), sized(b"500 Failed", REFUSAL),
    sized(b"200 OK", ANSWER), chunked(b"200 OK", ANSWER),
], ids=["429", "429 chunked", "413", "401", "500", "200", "200 chunked"])
@pytest.mark.parametrize("reads", [True, False], ids=["after reading", "at once"])
def test_an_answer_during_an_upload_never_lets_the_next_request_into_the_body(make, provider, head, rest, reads):
    """The provider's key and another caller's words would be read as the rest of the first body."""
    def early(send, read_on):
        send(head)
        if reads:
            read_on()
        send(rest)

    lab = provider(early)
    gateway = make.gateway({"providers": {"lab": lab.provider()}}, workers=1)
    first = gateway.chat("lab/m", user=LARGE)
    assert first.status_code in (200, 413, 429, 502), first.text
    gateway.idle()
    for _ in range(3):
        answer = gateway.chat("lab/m", user="somebody else")
        assert answer.status_code == 200, answer.text
    time.sleep(0.1)
    assert b"somebody else" not in lab.bodies[0] and b"uthorization" not in lab.bodies[0]
    assert len(lab.bodies) == 4 and lab.connections <= 2


# --- requests that are lost with a connection ---


class Closing:
    """A handler for RawUpstream: answers the first request of each connection, reads the second and closes."""

    def __init__(self, also_fresh=False):
        self.also_fresh = also_fresh      # from the second connection on, closes on the first request too
        self.seen = set()

    def __call__(self, conn):
        if conn in self.seen or (self.also_fresh and len(self.seen) >= 1):
            conn.close()
            return
        self.seen.add(conn)
        conn.answer(200, ANSWER)


def test_a_model_call_lost_with_its_connection_is_retried_as_another_attempt(make):
    upstream = make.upstream(Closing())
    gateway = make.gateway({"providers": {"lab": upstream.provider()}}, workers=1)
    assert gateway.chat("lab/m").status_code == 200
    answer = gateway.chat("lab/m")
    assert answer.status_code == 200 and answer.headers["x-openclaw-attempts"] == "2"
    lost, made = gateway.access_of(answer)["attempts"]
    assert (lost["outcome"], lost["reused"]) == ("upstream_stale", True)
    assert (made["outcome"], made["reused"]) == ("ok", False)
    assert lost["provider"] == made["provider"] == "lab"
    metrics = gateway.metrics()
    assert metrics.value("openclaw_upstream_attempts_total", outcome="upstream_stale") == 1
    assert metrics.value("openclaw_upstream_attempts_total", outcome="ok") == 2
    assert len(upstream.requests) == 3


def test_it_is_retried_once_and_then_falls_back(make):
    upstream, other = make.upstream(Closing(also_fresh=True)), make.mock()
    gateway = make.gateway({"providers": {"lab": upstream.provider(), "other": other.provider()},
                            "models": {"both": {"targets": ["lab/m", "other/m"]}}}, workers=1)
    assert gateway.chat("lab/m").status_code == 200
    answer = gateway.chat("both")
    assert answer.status_code == 200
    assert [a["outcome"] for a in gateway.access_of(answer)["attempts"]] == ["upstream_stale", "upstream_reset", "ok"]
    assert len(upstream.requests) == 3


@pytest.mark.parametrize("method, path", [("POST", "/v1/files"), ("POST", "/v1/batches"), ("POST", "/v1/responses"),
                                          ("DELETE", "/v1/files/f"), ("GET", "/v1/batches")])
def test_other_requests_are_never_sent_twice(make, method, path):
    upstream = make.upstream(Closing())
    gateway = make.gateway({"providers": {"lab": upstream.provider()}, "default_provider": "lab"}, workers=1)
    with gateway.http() as client:
        def ask():
            return client.request(method, path, json={"model": "lab/m"} if method == "POST" else None,
                                  headers=gateway.authorization())
        assert ask().status_code == 200
        answer = ask()
    assert answer.status_code == 502 and answer.headers["x-openclaw-error"] == "upstream_stale"
    assert len(upstream.requests) == 2
    assert [a["outcome"] for a in gateway.access_of(answer)["attempts"]] == ["upstream_stale"]


def test_other_requests_survive_a_connection_that_was_closed_before(make):
    """Nothing was sent on it: the request goes to a new one."""
    closed = threading.Event()

    def handler(conn):
        conn.answer(200, b"{}")
        if not closed.is_set():
            conn.close()
            closed.set()

    upstream = make.upstream(handler)
    gateway = make.gateway({"providers": {"lab": upstream.provider()}, "default_provider": "lab"}, workers=1)
    assert gateway.get("/v1/files").status_code == 200
    closed.wait(PATIENCE)
    assert gateway.get("/v1/files").status_code == 200
    assert len(upstream.requests) == 2


# --- how long a connection may be idle ---


def ask_after(gateway, seconds):
    """A chat after a rest: does its attempt say that the connection was reused?"""
    time.sleep(seconds)
    answer = gateway.chat("lab/m")
    assert answer.status_code == 200, answer.text
    attempts = gateway.access_of(answer)["attempts"]
    assert len(attempts) == 1, attempts
    return attempts[0]["reused"]


def test_a_connection_is_not_used_near_the_idle_timeout_that_the_provider_announces(make):
    upstream = make.upstream(lambda conn: conn.answer(200, ANSWER, fields=[("Keep-Alive", "timeout=2, max=100")]))
    gateway = make.gateway({"providers": {"lab": upstream.provider()}}, workers=1)
    assert not ask_after(gateway, 0)
    assert ask_after(gateway, 0.2)
    assert not ask_after(gateway, 1.3)      # the margin is a second


def test_a_connection_is_not_used_near_the_idle_time_after_which_the_provider_closed_one(make):
    idle = 1.0

    def handler(conn):
        conn.answer(200, ANSWER)
        conn.socket.settimeout(idle)
        try:
            conn.buffer += conn.socket.recv(65536)
            conn.socket.settimeout(None)
        except TimeoutError:
            conn.close()

    upstream = make.upstream(handler)
    gateway = make.gateway({"providers": {"lab": upstream.provider()}}, workers=1)
    assert not ask_after(gateway, 0)
    assert not ask_after(gateway, idle + 0.3)      # it was closed, and we have seen it
    assert ask_after(gateway, 0.1)
    assert not ask_after(gateway, idle * 0.75)     # not near it any more
    assert ask_after(gateway, 0.1)
