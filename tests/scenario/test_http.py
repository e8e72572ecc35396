"""HTTP/1.1 of the gateway: connections, bodies, methods, browsers, slow and vanishing clients."""
import gzip
import json
import subprocess
import threading
import time

import pytest

from lib import raw
from lib.process import PATIENCE, wait_until

CHAT = "/v1/chat/completions"


def body(**more):
    return {"model": "lab/mock-gpt", "messages": [{"role": "user", "content": "Hello"}], **more}


@pytest.fixture(scope="module")
def mock(make_shared):
    return make_shared.mock()


@pytest.fixture(scope="module")
def gateway(make_shared, mock):
    return make_shared.gateway({"providers": {"lab": mock.provider()},
                                "server": {"cors_origins": ["https://app.example"]}})


@pytest.fixture
def impatient(make, mock):
    """A gateway with small limits."""
    return make.gateway({"providers": {"lab": mock.provider()}, "server": {"workers": 1, "limits": {
        "header_deadline": "300ms", "idle": "300ms", "body": "64KB", "connections_per_address": 4}}})


def send_chat(gateway, client, **more):
    client.send(raw.request("POST", CHAT, body(**more), gateway.authorization()))


# --- connections ---

def test_a_connection_is_kept(gateway):
    with gateway.raw() as client:
        for _ in range(20):
            send_chat(gateway, client)
            answer = client.read()
            assert answer.status == 200 and answer.header("connection") in (None, "keep-alive")


def test_a_caller_may_close_it(gateway):
    with gateway.raw() as client:
        client.send(raw.request("POST", CHAT, body(), {**gateway.authorization(), "Connection": "close"}))
        answer = client.read()
        assert answer.status == 200 and answer.header("connection") == "close"
        assert client.closed_by_peer(PATIENCE)


def test_http_1_0_is_answered_and_closed(gateway):
    with gateway.raw() as client:
        client.send(b"GET /livez HTTP/1.0\r\nHost: a\r\n\r\n")
        answer = client.read()
        assert answer.status == 200 and answer.header("transfer-encoding") is None
        assert client.closed_by_peer(PATIENCE)


def test_a_stream_over_http_1_0_ends_with_the_connection(gateway):
    data = json.dumps(body(stream=True)).encode()
    with gateway.raw() as client:
        client.send(b"POST /v1/chat/completions HTTP/1.0\r\nHost: a\r\nAuthorization: Bearer %b\r\nContent-Length: "
                    b"%d\r\n\r\n%b" % (gateway.key.encode(), len(data), data))
        answer = client.read()
        assert answer.header("transfer-encoding") is None
        assert answer.body.endswith(b"data: [DONE]\n\n")


def test_pipelined_requests_are_answered_in_order(gateway):
    texts = [f"pipelined {i}" for i in range(30)]
    with gateway.raw() as client:
        client.send(b"".join(raw.request("POST", CHAT, {
            "model": "lab/mock;echo" + (";head=20ms" if i % 7 == 0 else ""), "stream": i % 3 == 0,
            "messages": [{"role": "user", "content": text}]}, gateway.authorization())
            for i, text in enumerate(texts)))
        for i, text in enumerate(texts):
            answer = client.read()
            assert answer.status == 200
            if i % 3:
                assert answer.json()["choices"][0]["message"]["content"] == text
            else:
                assert answer.body.endswith(b"data: [DONE]\n\n")


def test_a_request_may_arrive_in_any_pieces(gateway):
    data = raw.request("POST", CHAT, body(), gateway.authorization())
    for piece in (1, 2, 7, 50, len(data) - 1):
        with gateway.raw() as client:
            client.send(data + data, piece)
            assert client.read().status == 200 and client.read().status == 200


def test_idle_connections_are_closed(impatient):
    with impatient.raw() as client:
        client.send(raw.request("GET", "/livez"))
        assert client.read().status == 200
        began = time.monotonic()
        assert client.closed_by_peer(PATIENCE)
        assert time.monotonic() - began > 0.25


def test_a_head_that_is_too_slow_is_408(impatient):
    with impatient.raw() as client:
        client.send(b"GET /livez HTTP/1.1\r\nHo")
        answer = client.read()
        assert answer.status == 408 and answer.json()["error"]["code"] == "request_timeout"
        assert client.closed_by_peer(PATIENCE)


def test_a_silent_connection_is_closed(impatient):
    with impatient.raw() as client:
        assert client.closed_by_peer(PATIENCE)


def test_connections_of_one_address_are_limited(impatient):
    impatient._kept.close()
    impatient._kept = None
    time.sleep(0.05)
    kept = [impatient.raw() for _ in range(4)]
    for client in kept:
        client.send(raw.request("GET", "/livez"))
        assert client.read().status == 200
    with impatient.raw() as fifth:
        try:
            fifth.send(raw.request("GET", "/livez"))
            answer = fifth.read()
            assert answer.status == 503 and answer.header("connection") == "close"
        except (raw.Cut, ConnectionError):
            pass
    for client in kept:
        client.close()
    wait_until(lambda: impatient.get("/livez").status_code == 200, "room for a new connection")


# --- bodies ---

def test_continue_is_sent_when_the_client_waits(gateway):
    data = json.dumps(body()).encode()
    with gateway.raw() as client:
        client.send(raw.request("POST", CHAT, headers={**gateway.authorization(), "Expect": "100-continue",
                                                       "Content-Length": str(len(data))}))
        assert client.read_head().status == 100
        client.send(data)
        assert client.read().status == 200


def test_continue_is_not_sent_for_an_unused_body(gateway):
    with gateway.raw() as client:
        client.send(raw.request("POST", CHAT, headers={"Expect": "100-continue", "Content-Length": "1000",
                                                       "Authorization": "Bearer wrong"}))
        assert client.read_head().status == 401


def test_another_expectation_is_refused(gateway):
    with gateway.raw() as client:
        client.send(raw.request("POST", CHAT, body(), {**gateway.authorization(), "Expect": "200-ok"}))
        assert client.read().status == 400


@pytest.mark.parametrize("framing", ["length", "chunked", "expect"])
def test_a_body_over_the_limit_is_413(impatient, framing):
    headers = {**impatient.authorization(), "Content-Length": "100000"}
    if framing == "chunked":
        headers.update({"Content-Length": None, "Transfer-Encoding": "chunked"})
    if framing == "expect":
        headers["Expect"] = "100-continue"
    with impatient.raw() as client:
        client.send(raw.request("POST", CHAT, headers=headers))
        if framing == "chunked":
            try:
                for _ in range(30):
                    client.send(b"1000\r\n" + b"x" * 4096 + b"\r\n")
            except OSError:
                pass
        answer = client.read()
        assert answer.status == 413 and answer.json()["error"]["code"] == "request_too_large"


def test_a_large_body_is_relayed_whole(gateway, mock):
    text = "x" * 5_000_000
    with gateway.raw() as client:
        client.send(raw.request("POST", CHAT, {"model": "lab/mock;echo", "messages": [
            {"role": "user", "content": text}]}, gateway.authorization()))
        assert client.read().json()["choices"][0]["message"]["content"] == text


@pytest.mark.parametrize("data, code", [
    (b"", "invalid_json"),
    (b"{", "invalid_json"),
    (b"{}", None),
    (b"[]", None),
    (b'"text"', None),
    (b'{"model":"lab/m","messages":[]} x', "invalid_json"),
    (b'{"model":"lab/m","model":"lab/n","messages":[]}', "invalid_json"),
    (b'{"model":"lab/\xff","messages":[]}', "invalid_json"),
    (b'{"model":"lab/m","messages":' + b"[" * 100 + b"]" * 100 + b"}", "request_too_large"),
    (b'{"model":7,"messages":[]}', None),
    (b'{"messages":[{"role":"user","content":"Hi"}]}', None),
    (b"model=lab/m", "invalid_json"),
    (b"\xef\xbb\xbf{}", "invalid_json"),
], ids=lambda v: repr(v[:40]) if isinstance(v, bytes) else None)
def test_an_invalid_body_is_explained(gateway, data, code):
    with gateway.raw() as client:
        client.send(raw.request("POST", CHAT, data, {**gateway.authorization(), "Content-Type": "application/json"}))
        answer = client.read()
        assert answer.status == (413 if code == "request_too_large" else 400), answer
        error = answer.json()["error"]
        assert error["message"] and (code is None or error["code"] == code), error
        send_chat(gateway, client)
        assert client.read().status == 200, "the connection should still be good"


def test_an_unknown_coding_is_named(gateway):
    body = gzip.compress(b'{"model":"lab/m","messages":[]}')
    with gateway.raw() as client:
        client.send(raw.request("POST", CHAT, body, {**gateway.authorization(), "Content-Encoding": "compress"}))
        answer = client.read()
    assert answer.status == 415 and "Content-Encoding" in answer.json()["error"]["message"]


# --- methods ---

def test_head_has_the_fields_of_get_and_no_body(gateway):
    with gateway.raw() as client:
        client.send(raw.request("GET", "/livez") + raw.request("HEAD", "/livez") + raw.request("GET", "/livez"))
        get, head, again = client.read(), client.read(head=True), client.read()
        assert head.status == 200 and head.header("content-length") == get.header("content-length")
        assert again.body == get.body


@pytest.mark.parametrize("method, path, allow", [
    ("GET", CHAT, "POST"), ("PUT", CHAT, "POST"), ("DELETE", "/v1/messages", "POST"), ("POST", "/v1/models", "GET, HEAD"),
    ("POST", "/livez", "GET, HEAD"), ("PATCH", "/metrics", "GET, HEAD"),
])
def test_a_wrong_method_gets_allow(gateway, method, path, allow):
    with gateway.raw() as client:
        client.send(raw.request(method, path, headers=gateway.authorization()))
        answer = client.read()
        assert answer.status == 405 and answer.header("allow") == allow
        assert (answer.json().get("type") == "error") is path.startswith("/v1/messages"), "the caller's own protocol"


@pytest.mark.parametrize("path", ["/nowhere", "/v3/chat", "/v1", "/V1/models", "/v1/Models"])
def test_an_unknown_path_is_404(gateway, path):
    with gateway.raw() as client:
        client.send(raw.request("GET", path, headers=gateway.authorization()))
        assert client.read().status == 404


@pytest.mark.parametrize("path", ["/../etc/passwd", "//v1/models", "/v1//models", "/v1/models//", "/v1/./models",
                                  "/v1/%2e%2e/models", "/v1%2Fmodels", "/v1/chat%2fcompletions", "/v1/chat%5ccompletions",
                                  "/v1/files/%00", "/v1/files/%0a", "/v1/files/%zz", "/v1/files/%4", "/v1/files/%c0%af",
                                  "/v1/files;a=b"])
@pytest.mark.parametrize("form", ["", "http://localhost"])
def test_an_ambiguous_path_is_400_and_never_sent_on(gateway, path, form):
    with gateway.raw() as client:
        client.send(raw.request("GET", form + path, headers=gateway.authorization()))
        answer = client.read()
        assert answer.status == (404 if path == "/v1%2Fmodels" else 400)
        assert answer.header("x-openclaw-provider") is None


def test_the_version_may_be_left_out_of_the_path(gateway):
    assert gateway.post("/chat/completions", body()).status_code == 200
    assert gateway.get("/models").json()["object"] == "list"


@pytest.mark.parametrize("method", ["CONNECT", "TRACE"])
def test_proxy_methods_are_refused(gateway, method):
    with gateway.raw() as client:
        client.send(raw.request(method, "a:443" if method == "CONNECT" else "/livez"))
        assert client.read().status == 405


def test_every_answer_has_browser_and_cache_fields(gateway):
    for answer in (gateway.get("/livez"), gateway.post(CHAT, body()), gateway.get("/nowhere"),
                   gateway.post(CHAT, {"model": "lab/fault-500", "messages": [{"role": "user", "content": "x"}]})):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert "server" not in answer.headers and answer.headers["date"]


# --- browsers ---

def test_a_browser_s_preflight_is_answered(gateway):
    answer = gateway.http().request("OPTIONS", CHAT, headers={
        "Origin": "https://app.example", "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type"})
    assert answer.status_code == 204 and not answer.content
    assert answer.headers["access-control-allow-origin"] == "https://app.example"
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert answer.headers["access-control-allow-headers"] == "authorization,content-type"
    assert answer.headers["vary"] == "Origin"


def test_a_page_of_a_known_origin_may_read_the_answer(gateway):
    for answer in (gateway.post(CHAT, body(), {"Origin": "https://app.example"}),
                   gateway.post(CHAT, body(stream=True), {"Origin": "https://app.example"}),
                   gateway.post(CHAT, {}, {"Origin": "https://app.example"}),
                   gateway.http().post(CHAT, json=body(), headers={"Origin": "https://app.example"})):
        assert answer.headers["access-control-allow-origin"] == "https://app.example"


@pytest.mark.parametrize("origin", ["https://evil.example", "https://app.example.evil.example", "null",
                                    "http://app.example", "https://app.example:8443"])
def test_other_pages_may_not(gateway, origin):
    assert "access-control-allow-origin" not in gateway.post(CHAT, body(), {"Origin": origin}).headers
    preflight = gateway.http().request("OPTIONS", CHAT, headers={"Origin": origin,
                                                                 "Access-Control-Request-Method": "POST"})
    assert "access-control-allow-origin" not in preflight.headers


def test_without_the_setting_no_page_may(make, mock):
    gateway = make.gateway({"providers": {"lab": mock.provider()}})
    answer = gateway.post(CHAT, body(), {"Origin": "https://app.example"})
    assert answer.status_code == 200 and "access-control-allow-origin" not in answer.headers


# --- streams ---

def test_a_stream_begins_with_its_head_and_first_event_in_one_packet(gateway):
    with gateway.raw() as client:
        send_chat(gateway, client, model="lab/mock;tokens=3", stream=True)
        first = client.socket.recv(65536)
        assert first.startswith(b"HTTP/1.1 200 ") and b"\r\n\r\n" in first
        assert b"data: {" in first
        answer_fields = first.split(b"\r\n\r\n")[0].lower()
        assert b"content-type: text/event-stream" in answer_fields and b"x-accel-buffering: no" in answer_fields


def test_a_silent_stream_is_kept_alive_with_comments(make, mock):
    gateway = make.gateway({"providers": {"lab": mock.provider()}, "server": {"keepalive": "200ms"}})
    answer = gateway.chat("lab/mock;tokens=2;tps=1;ttft=1s", stream=True)
    assert answer.content.count(b": keep-alive\n\n") >= 3 or answer.content.count(b"\n:") >= 3
    assert answer.content.endswith(b"data: [DONE]\n\n")


def test_a_slow_reader_gets_everything_and_slows_the_provider(make):
    event = b'data: {"choices":[{"index":0,"delta":{"content":"%b"}}]}\n\n' % (b"x" * 1000)
    total, sent = 20000, []

    def handler(conn):
        conn.head(200, "text/event-stream")
        for _ in range(total):
            conn.chunk(event)
            sent.append(1)
        conn.chunk(b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n')
        conn.end_chunks()
    upstream = make.upstream(handler)
    gateway = make.gateway({"providers": {"lab": upstream.provider()}})
    with gateway.raw() as client:
        send_chat(gateway, client, stream=True)
        client.socket.recv(1000)
        time.sleep(1)
        held = len(sent)
        assert held < total, "20 MB went into a gateway whose caller did not read"
        time.sleep(0.3)
        assert len(sent) == held
        received = b""
        while not received.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n"):
            more = client.socket.recv(1 << 20)
            assert more
            received = (received + more)[-100:]
    assert len(sent) == total


def test_clients_that_vanish_leave_nothing_behind(gateway, mock):
    before = mock.stats()["aborted"]

    def vanish(number):
        client = gateway.raw()
        send_chat(gateway, client, model="lab/mock;tokens=10000;tps=100", stream=True)
        client.socket.recv(500)
        client.reset() if number % 2 else client.close()
    threads = [threading.Thread(target=vanish, args=(i,)) for i in range(30)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(4 * PATIENCE)
    wait_until(lambda: mock.stats()["aborted"] == before + 30, "the provider to notice all of them")
    gateway.idle()
    assert gateway.metrics().value("openclaw_client_aborts_total") >= 30


# --- curl ---

def curl(gateway, *args, stdin=None):
    done = subprocess.run(["curl", "-sS", "--max-time", str(PATIENCE), "--noproxy", "*", *args], input=stdin,
                          capture_output=True, env={"PATH": "/usr/bin:/bin"}, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def curl_chat(gateway, *args, path=CHAT, stdin=None):
    return curl(gateway, gateway.url + path, "-H", f"Authorization: Bearer {gateway.key}",
                "-H", "Content-Type: application/json", *args, stdin=stdin)


def test_curl_is_answered(gateway):
    answer = json.loads(curl_chat(gateway, "-d", json.dumps(body())))
    assert answer["choices"][0]["message"]["content"]


def test_curl_streams(gateway):
    out = curl_chat(gateway, "-N", "-d", json.dumps(body(stream=True)))
    assert out.startswith(b"data: {") and out.endswith(b"data: [DONE]\n\n")


def test_curl_sends_a_big_body_after_100_continue(gateway):
    data = json.dumps(body(user="x" * 3_000_000)).encode()
    out = curl_chat(gateway, "-H", "Expect: 100-continue", "-v", "--data-binary", "@-", stdin=data)
    assert json.loads(out)["choices"]


def test_curl_uploads_in_chunks(gateway):
    data = json.dumps(body(user="y" * 300_000)).encode()
    out = curl_chat(gateway, "-H", "Transfer-Encoding: chunked", "-X", "POST", "-T", "-", stdin=data)
    assert json.loads(out)["choices"]


def test_curl_uses_one_connection_for_many_requests(gateway):
    out = curl(gateway, *[gateway.url + "/livez"] * 10, "-w", "%{num_connects}", "-o", "/dev/null",
               *["-o", "/dev/null"] * 9)
    assert out == b"1" + b"0" * 9
