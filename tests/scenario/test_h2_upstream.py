"""Providers that speak HTTP/2: a real server (nginx) with TLS before the simulated provider."""
import collections
import concurrent.futures
import os
import shutil
import time

import pytest

from lib.names import Name
from lib.process import PATIENCE, Program, certificate, free_port, wait_until
from lib.raw import request

NGINX = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed: the real HTTP/2 server of these tests")

ASK = [{"role": "user", "content": "Hello"}]

CONFIG = """
daemon off; master_process off; worker_processes 1; pid {dir}/nginx.pid; error_log stderr warn;
events {{ worker_connections 512; }}
http {{
    log_format lines '$server_protocol $connection $status $request_length $server_addr';
    access_log {dir}/lines.log lines;
    client_body_temp_path {dir}; proxy_temp_path {dir}; fastcgi_temp_path {dir};
    uwsgi_temp_path {dir}; scgi_temp_path {dir};
    server {{
        listen 127.0.0.1:{port} ssl http2;
        listen 127.0.0.2:{port} ssl http2;
        ssl_certificate {cert}; ssl_certificate_key {key};
        client_max_body_size 64m; proxy_buffering off; proxy_request_buffering off;
        {more}
        location / {{ proxy_pass {mock}; proxy_http_version 1.1; proxy_set_header Connection ""; }}
    }}
}}
"""


class Front:
    """nginx before a mock: port, url, ca, lines()."""

    def __init__(self, directory, mock, more=""):
        directory.mkdir()
        self.directory = directory
        cert, key = certificate(directory, hosts=("localhost", "moves.test"))
        port = self.port = free_port()
        config = directory / "nginx.conf"
        config.write_text(CONFIG.format(dir=directory, port=port, cert=cert, key=key, mock=mock.url, more=more))
        self.program = Program([NGINX, "-p", directory, "-c", config], directory, "nginx")
        self.url, self.ca = f"https://127.0.0.1:{port}/v1", str(cert)
        wait_until(lambda: (directory / "nginx.pid").exists(), "nginx to start")
        time.sleep(0.1)
        assert self.program.running(), self.program.stderr()

    def provider(self, **more):
        return {"wire": "openai-chat", "base_url": self.url, "ca_file": self.ca, **more}

    def lines(self):
        """What was asked: [protocol, connection, status, bytes of the request, our address] each."""
        return [line.split() for line in (self.directory / "lines.log").read_text().splitlines()]

    def protocols(self, count):
        """Of the first requests, once there are so many."""
        wait_until(lambda: len(self.lines()) >= count, f"{count} requests")
        return [line[0] for line in self.lines()]

    def connections(self):
        """How many requests each connection carried."""
        return collections.Counter(line[1] for line in self.lines())


@pytest.fixture
def mock(make):
    return make.mock()


@pytest.fixture
def front(tmp_path, mock):
    fronts = []

    def start(more=""):
        fronts.append(Front(tmp_path / f"nginx-{len(fronts)}", mock, more))
        return fronts[-1]
    yield start
    for one in fronts:
        one.program.end()


def gateway_before(make, front, **more):
    return make.gateway({"providers": {"lab": front.provider(**more)}}, workers=1)


def stream(client, model="lab/mock-gpt;tokens=40;tps=400"):
    parts = client.chat.completions.create(model=model, messages=ASK, stream=True)
    return [p.choices[0].finish_reason for p in parts if p.choices][-1]


def test_the_openai_sdk_streams_over_it(make, front):
    nginx = front()
    gateway = gateway_before(make, nginx)
    client = gateway.openai()
    assert stream(client) == "stop"
    assert client.chat.completions.create(model="lab/mock-gpt", messages=ASK).choices[0].message.content
    assert nginx.protocols(2) == ["HTTP/2.0"] * 2
    assert len(nginx.connections()) == 1
    metrics = gateway.metrics()
    assert metrics.value("openclaw_upstream_connections_total") == 1
    assert metrics.value("openclaw_upstream_connection_reuses_total") == 1
    wait_until(lambda: gateway.metrics().value("openclaw_upstream_connections_idle") == 1, "the gauge")


def test_many_streams_share_a_connection(make, front):
    nginx = front()
    gateway = gateway_before(make, nginx)
    client = gateway.openai()
    stream(client)
    with concurrent.futures.ThreadPoolExecutor(40) as pool:
        assert list(pool.map(lambda _: stream(client), range(80))) == ["stop"] * 80
    assert len(nginx.connections()) == 1


def test_a_stream_limit_opens_more_connections(make, front):
    nginx = front("http2_max_concurrent_streams 4;")
    gateway = gateway_before(make, nginx)
    client = gateway.openai()
    stream(client)
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        assert list(pool.map(lambda _: stream(client), range(60))) == ["stop"] * 60
    assert 2 <= len(nginx.connections()) <= 6
    assert {line[2] for line in nginx.lines()} == {"200"}


def test_a_connection_closed_by_the_server_loses_no_request(make, front):
    nginx = front("keepalive_requests 7;")
    gateway = gateway_before(make, nginx)
    client = gateway.openai(max_retries=0)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda _: stream(client, "lab/mock-gpt;tokens=5"), range(100)))
    assert done == ["stop"] * 100
    assert len(nginx.connections()) >= 100 // 8


def test_many_clients_share_a_server_with_few_requests_per_connection(make, front):
    """The server ignores streams above the last one of its GOAWAY: each client may hit that several times."""
    nginx = front("keepalive_requests 20;")
    gateway = gateway_before(make, nginx)
    clients = [gateway.http() for _ in range(100)]

    def ask(client):
        answer = client.post("/v1/chat/completions", headers=gateway.authorization(),
                             json={"model": "lab/mock-gpt;tokens=5", "messages": ASK})
        return answer.status_code
    with concurrent.futures.ThreadPoolExecutor(100) as pool:
        statuses = [s for _ in range(3) for s in pool.map(ask, clients)]
    assert collections.Counter(statuses) == {200: 300}
    gateway.last_access(300)
    attempts = [line["attempts"] for line in gateway.access_log() if line["endpoint"] == "chat_completions"]
    assert all(len(a) == 1 for a in attempts)
    resent = sum(a[0].get("resent", 0) for a in attempts)
    assert resent > 0
    assert gateway.metrics().value("openclaw_upstream_resends_total") == resent
    assert {line[2] for line in nginx.lines()} == {"200"}
    assert len(nginx.lines()) == 300              # none was processed twice


def test_a_large_request_arrives_whole(make, front, mock):
    nginx = front()
    gateway = gateway_before(make, nginx)
    text = "0123456789abcdef" * 200_000
    answer = gateway.openai().chat.completions.create(
        model="lab/mock-gpt", messages=[{"role": "user", "content": text}])
    assert answer.choices[0].message.content
    assert mock.last_request()["json"]["messages"][0]["content"] == text


def test_a_client_that_disconnects_ends_only_its_own_stream(make, front, mock):
    nginx = front()
    gateway = gateway_before(make, nginx)
    client = gateway.openai()
    parts = client.chat.completions.create(model="lab/mock-gpt;tokens=100000;tps=50", messages=ASK, stream=True)
    next(iter(parts))
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        other = pool.submit(stream, client, "lab/mock-gpt;tokens=60;tps=60")
        time.sleep(0.3)
        parts.close()
        wait_until(lambda: mock.stats()["aborted"] == 1, "the provider to be told")
        assert other.result(PATIENCE) == "stop"
    assert stream(client) == "stop"
    assert len(nginx.connections()) == 1


def test_a_server_that_dies_is_an_error_and_its_successor_is_used(make, front, mock, tmp_path):
    nginx = front()
    gateway = gateway_before(make, nginx)
    client = gateway.openai(max_retries=0)
    assert stream(client) == "stop"
    nginx.program.kill()
    raised = None
    try:
        stream(client)
    except Exception as error:          # the SDK's, whichever it is
        raised = error
    assert getattr(raised, "status_code", None) == 502, raised


def test_a_connection_to_an_address_that_the_name_no_longer_has_takes_no_more_requests(make, front):
    """Streams that are open on it go on to their end."""
    nginx = front()
    names = make.name_server(**{"moves.test": Name(["127.0.0.1"], ttl=1)})
    gateway = make.gateway({"server": {"dns": names.address}, "providers": {
        "lab": {**nginx.provider(), "base_url": f"https://moves.test:{nginx.port}/v1"}}}, workers=1)
    client = gateway.openai()
    assert stream(client) == "stop"
    open_stream = client.chat.completions.create(model="lab/mock-gpt;tokens=2000;tps=100", messages=ASK, stream=True)
    next(open_stream)
    names.zone["moves.test"] = Name(["127.0.0.2"], ttl=1)
    asked = names.asked["moves.test"]
    wait_until(lambda: names.asked["moves.test"] >= asked + 4, "the name to be looked up again")
    for _ in range(2):
        assert stream(client) == "stop"
    assert next(open_stream).choices
    open_stream.close()
    wait_until(lambda: len(nginx.lines()) == 4, "all requests")
    lines = sorted(nginx.lines(), key=lambda line: line[4])
    assert [line[4] for line in lines] == ["127.0.0.1"] * 2 + ["127.0.0.2"] * 2
    assert {line[0] for line in lines} == {"HTTP/2.0"} and len(nginx.connections()) == 2


def test_http_1_only_never_offers_it(make, front):
    nginx = front()
    gateway = gateway_before(make, nginx, http=1)
    assert stream(gateway.openai()) == "stop"
    assert nginx.protocols(1) == ["HTTP/1.1"]


class Endless:
    """Answers that are longer than all buffers between a provider and a caller."""

    BYTES = 64 * 1024 * 1024

    def __init__(self, make):
        self.upstream = make.upstream(self.answer)
        self.url = self.upstream.url

    def answer(self, conn):
        conn.head(200, "application/octet-stream", length=self.BYTES)
        conn.send(bytes(self.BYTES))


def callers_that_read_nothing(gateway, count):
    callers = [gateway.raw() for _ in range(count)]
    for caller in callers:
        caller.send(request("GET", "/v1/files/f/content", headers=gateway.authorization()))
    return callers


def test_what_a_provider_sends_into_a_pause_counts(make, tmp_path):
    nginx = Front(tmp_path / "nginx", Endless(make))
    try:
        gateway = gateway_before(make, nginx)
        callers = callers_that_read_nothing(gateway, 16)
        wait_until(lambda: gateway.metrics().value("openclaw_held_bytes") > 16 * 192 * 1024,
                   "a window for each of them to be counted")
        for caller in callers:
            caller.socket.close()
        wait_until(lambda: gateway.metrics().value("openclaw_held_bytes") < 192 * 1024, "all of it to be given back")
    finally:
        nginx.program.end()
