"""A reverse proxy (nginx) in front of the gateway, as in most installations."""
import os
import shutil
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from lib.process import PATIENCE, SLOW, Program, canary, free_port, wait_until

NGINX = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed: the real proxy of these tests")

CHAT = "/v1/chat/completions"

CONFIG = """
daemon off; master_process off; worker_processes 1; pid {dir}/nginx.pid; error_log stderr warn;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {dir}; proxy_temp_path {dir}; fastcgi_temp_path {dir};
    uwsgi_temp_path {dir}; scgi_temp_path {dir};
    upstream gateways {{ {servers} keepalive 16; }}
    server {{
        listen 127.0.0.1:{port};
        client_max_body_size 64m;
        {more}
        location / {{ proxy_pass http://gateways; }}
    }}
}}
"""
KEPT = 'proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; proxy_request_buffering off;'
PLAIN = ""      # as nginx does it by itself: HTTP/1.0, everything buffered


class Proxy:
    """nginx before gateways."""

    def __init__(self, directory, gateways, more):
        directory.mkdir()
        port = free_port()
        config = directory / "nginx.conf"
        servers = " ".join("server %s:%d;" % g.address for g in gateways)
        config.write_text(CONFIG.format(dir=directory, port=port, servers=servers, more=more))
        self.program = Program([NGINX, "-p", directory, "-c", config], directory, "nginx")
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE, trust_env=False,
                                   headers=gateways[0].authorization(), limits=httpx.Limits(max_connections=50))
        wait_until(self.answers, "nginx to answer")

    def answers(self):
        assert self.program.running(), self.program.stderr()
        try:
            return self.client.get("/livez").status_code == 200
        except httpx.ConnectError:
            return False

    def chat(self, model="lab/m", **more):
        return self.client.post(CHAT, json=body(model, **more))

    def close(self):
        self.client.close()
        self.program.end()


def body(model, text="Hello", **more):
    return {"model": model, "messages": [{"role": "user", "content": text}], **more}


@pytest.fixture
def mock(make):
    return make.mock()


@pytest.fixture
def proxy(tmp_path):
    made = []

    def start(*gateways, more=KEPT):
        made.append(Proxy(tmp_path / f"nginx-{len(made)}", gateways, more))
        return made[-1]
    yield start
    for one in made:
        one.close()


def gateway_of(make, mock, **server):
    return make.gateway({"providers": {"lab": mock.provider()}, "server": server})


@pytest.mark.parametrize("more", [KEPT, PLAIN], ids=["kept", "plain"])
def test_answers_streams_and_large_bodies_pass(make, mock, proxy, more):
    front = proxy(gateway_of(make, mock), more=more)
    assert front.chat().json()["choices"][0]["message"]["content"]
    assert front.chat("lab/m;tokens=300", stream=True).text.endswith("data: [DONE]\n\n")
    large = "z" * 5_000_000
    assert front.chat("lab/m;echo", text=large).json()["choices"][0]["message"]["content"] == large


def test_a_stream_is_not_held_back(make, mock, proxy):
    front = proxy(gateway_of(make, mock))
    with front.client.stream("POST", CHAT, json=body("lab/m;tokens=20;tps=10", stream=True)) as answer:
        times = [time.monotonic() for _ in answer.iter_lines()]
    assert times[-1] - times[0] > 1.5


def test_the_proxy_s_connections_are_kept_alive(make, mock, proxy):
    gateway = gateway_of(make, mock)
    front = proxy(gateway)
    before = gateway.metrics().value("openclaw_connections_accepted_total")
    for i in range(30):
        assert front.chat(stream=i % 2 == 0).status_code == 200
    assert gateway.metrics().value("openclaw_connections_accepted_total") - before <= 2


@pytest.mark.parametrize("more", [KEPT, PLAIN], ids=["kept", "plain"])
def test_an_early_error_passes_the_proxy_although_the_body_was_unread(make, mock, proxy, more):
    """nginx says 502 when its connection is reset while it sends."""
    front = proxy(gateway_of(make, mock, limits={"body": "1MB"}), more=more)
    for _ in range(5):
        answer = front.client.post(CHAT, content=b"x" * (30 << 20), headers={"Content-Type": "application/json"})
        assert answer.status_code == 413 and answer.json()["error"]["message"]


def test_a_client_that_disconnects_from_the_proxy_cancels_the_upstream_request(make, mock, proxy):
    front = proxy(gateway_of(make, mock))
    with front.client.stream("POST", CHAT, json=body("lab/m;tokens=100000;tps=50", stream=True)) as answer:
        lines = answer.iter_lines()
        next(lines)
        assert mock.stats()["open"] == 1
    wait_until(lambda: mock.stats()["open"] == 0, "the provider's work to be cancelled")


def test_gateways_are_replaced_under_load_without_a_failed_request(make, mock, proxy):
    """One of two leaves: the proxy hears it with the answers, never through a request that failed."""
    key = canary("client")
    auth = {"keys": [{"name": "both", "key": key}]}
    gateways = [make.gateway({"auth": auth, "providers": {"lab": mock.provider()},
                              "server": {"drain_grace": "500ms", "drain_deadline": "60s"}}) for _ in range(2)]
    for gateway in gateways:
        gateway.key = key
    front = proxy(*gateways)
    until = time.monotonic() + 3 * SLOW
    statuses = []

    def go(n):
        while time.monotonic() < until:
            answer = front.chat("lab/m;tokens=10;tps=200", stream=n % 2 == 0)
            statuses.append(answer.status_code)
            assert answer.status_code != 200 or n % 2 or answer.text.endswith("data: [DONE]\n\n")

    with ThreadPoolExecutor(8) as pool:
        done = pool.map(go, range(8))
        wait_until(lambda: len(statuses) > 40, "some answers")
        assert gateways[1].stop(signal.SIGTERM) == 0
        after = len(statuses)
        list(done)
    assert len(statuses) > after
    assert set(statuses) == {200}
