"""Connections to providers: when one may carry the next request, and when it must not."""
import threading
import time

import pytest

from lib.early import ANSWER, EarlyProvider
from lib.process import PATIENCE

LARGE = "y" * 8_000_000
REFUSAL = b'{"error":{"message":"slow down","type":"rate_limit_error"}}'


@pytest.fixture
def provider():
    made = []

    def start(early):
        made.append(EarlyProvider(early))
        return made[-1]
    yield start
    for one in made:
        one.close()


def sized(status, body):
    return b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (status, len(body)), body


def chunked(status, body):
    head = b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n" % status
    return head, b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


@pytest.mark.parametrize("head, rest, status", [
    (*sized(b"429 Too Many Requests", REFUSAL), 429), (*chunked(b"429 Too Many Requests", REFUSAL), 429),
    (*sized(b"413 Content Too Large", b"{}"), 413), (*sized(b"401 Unauthorized", b"{}"), 502),
    (*sized(b"500 Failed", REFUSAL), 502), (*sized(b"200 OK", ANSWER), 200), (*chunked(b"200 OK", ANSWER), 200),
], ids=["429", "429 chunked", "413", "401", "500", "200", "200 chunked"])
@pytest.mark.parametrize("reads", [True, False], ids=["after reading", "at once"])
def test_an_answer_during_an_upload_never_lets_the_next_request_into_the_body(make, provider, head, rest, status, reads):
    """The provider's key and another caller's words would be read as the rest of the first body."""
    def early(send, read_on):
        send(head)
        if reads:
            read_on()
        send(rest)

    lab = provider(early)
    gateway = make.gateway({"providers": {"lab": lab.provider()}}, workers=1)
    first = gateway.chat("lab/m", user=LARGE)
    assert first.status_code == status, first.text
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


@pytest.mark.parametrize("method, path", [("POST", "/v1/files"), ("POST", "/v1/batches"), ("POST", "/v1/responses/compact"),
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
