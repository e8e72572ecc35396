"""Providers and clients that send arbitrary bytes: each exchange ends once, in the client's protocol.

The bytes are valid ones with seeded mutations, so that a run can be repeated; a failure names its seed.
"""
import json
import os
import pathlib
import random
import ssl
import time

import pytest

from lib import raw, sse
from lib.process import certificate, wait_until

ROUNDS = 150

CHAT_STREAM = b"".join(b"data: " + json.dumps(d).encode() + b"\n\n" for d in [
    {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [
        {"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}]},
    *[{"id": "c", "choices": [{"index": 0, "delta": {"content": word}}]} for word in ("Hi ", "\U0001f353", " you\n")],
    {"id": "c", "choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "id": "t", "type": "function",
                                                                  "function": {"name": "f", "arguments": ""}}]}}]},
    {"id": "c", "choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"arguments": "{\"a\":"}}]}}]},
    {"id": "c", "choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"arguments": "1}"}}]}}]},
    {"id": "c", "choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]},
    {"id": "c", "choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}},
]) + b"data: [DONE]\n\n"
CHAT_WHOLE = json.dumps({"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [
    {"index": 0, "message": {"role": "assistant", "content": "Hi", "tool_calls": [
        {"id": "t", "type": "function", "function": {"name": "f", "arguments": "{\"a\": 1}"}}]},
     "finish_reason": "tool_calls"}], "usage": {"prompt_tokens": 3, "completion_tokens": 5}}).encode()
MESSAGE_STREAM = b"".join(f"event: {d['type']}\ndata: {json.dumps(d)}\n\n".encode() for d in [
    {"type": "message_start", "message": {"id": "m", "type": "message", "role": "assistant", "model": "m", "content": [],
                                          "stop_reason": None, "usage": {"input_tokens": 3, "output_tokens": 1}}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "ping"},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "content_block_start", "index": 1, "content_block": {"type": "tool_use", "id": "t", "name": "f", "input": {}}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": "{\"a\":1}"}},
    {"type": "content_block_stop", "index": 1},
    {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 9}},
    {"type": "message_stop"},
])
MESSAGE_WHOLE = json.dumps({"id": "m", "type": "message", "role": "assistant", "model": "m", "stop_reason": "tool_use",
                            "content": [{"type": "text", "text": "Hi"}, {"type": "tool_use", "id": "t", "name": "f",
                                                                        "input": {"a": 1}}],
                            "usage": {"input_tokens": 3, "output_tokens": 9}}).encode()
SOUND = {("openai-chat", True): CHAT_STREAM, ("openai-chat", False): CHAT_WHOLE,
         ("anthropic-messages", True): MESSAGE_STREAM, ("anthropic-messages", False): MESSAGE_WHOLE}

TOKENS = [b"null", b"[]", b"{}", b'""', b"-1", b"1e999", b"99999999999999999999", b"true", b"\\ud800", b"\xff\xfe", b"\0",
          b"\n\n", b"\r", b"data: ", b"event: error\n", b"[DONE]", b'{"error":{"message":"m"}}', b"}", b"]", b",", b'"',
          b"[" * 200, b"data:" * 50, b"\xef\xbb\xbf", b": hush\n\n"]


def accident(rng, data):
    """One to three small accidents somewhere in the bytes."""
    data = bytearray(data)
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(data) + 1)
        end = min(len(data), at + rng.choice([1, 2, 10, 100]))
        kind = rng.randrange(6)
        if kind == 0:
            del data[at:end]
        elif kind == 1:
            data[at:at] = rng.choice(TOKENS)
        elif kind == 2:
            data[at:end] = rng.choice(TOKENS)
        elif kind == 3:
            data[at:at] = data[at:end]
        elif kind == 4 and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        else:
            del data[at:]
    return bytes(data)


def head(rng, stream, body):
    """The head of the answer, now and then a strange one, and the framing."""
    status = rng.choice([b"200 OK"] * 12 + [b"204 No Content", b"206 Partial Content", b"302 Found", b"418 Teapot",
                                            b"500 Oops", b"429 Slow", b"099 Low", b"1000 High", b"200"])
    kind = b"text/event-stream" if stream else b"application/json"
    kind = rng.choice([kind] * 8 + [b"text/event-stream", b"application/json", b"text/plain", b"", b"x" * 5000])
    lines = [b"HTTP/1.1 " + status, b"Content-Type: " + kind]
    lines += rng.choice([[]] * 8 + [[b"Retry-After: soon"], [b"X-A: " + b"a" * 40000], [b"Set-Cookie: a=b"] * 150,
                                    [b"Location: http://127.0.0.1/"], [b"Content-Encoding: gzip"], [b"Broken"]])
    framing = rng.choice(["chunked"] * 6 + ["length"] * 4 + ["short", "long", "close", "badchunk"])
    if framing == "chunked":
        piece = rng.choice([1, 7, 100, 100000])
        body = b"".join(b"%x\r\n%b\r\n" % (len(body[i:i + piece]), body[i:i + piece])
                        for i in range(0, len(body), piece)) + b"0\r\n\r\n"
        lines.append(b"Transfer-Encoding: chunked")
    elif framing == "badchunk":
        body = b"zz\r\n" + body
        lines.append(b"Transfer-Encoding: chunked")
    elif framing != "close":
        wrong = {"length": 0, "short": -1, "long": 5}[framing]
        lines.append(b"Content-Length: %d" % max(0, len(body) + wrong))
    return b"\r\n".join(lines) + b"\r\n\r\n" + body, framing in ("long", "close", "badchunk")


def sound_end(caller, frames):
    """Does the stream, as this client reads it, end with its terminator or an error?"""
    last = [f for f in frames if f.data is not None][-1]
    if caller == "openai-chat":
        return any(f.data == "[DONE]" for f in frames) or "error" in last.json()
    words = ("message_stop", "error")
    return last.event in words or last.json().get("type") in words


def assert_lawful(caller, asked_stream, answer, broken, seed):
    if broken:
        return
    if not 200 <= answer.status < 300:
        assert 400 <= answer.status < 600, seed
        error = answer.json()["error"]
        assert error["message"] and "type" in error, seed
        return
    kind = answer.header("content-type") or ""
    if asked_stream:
        assert kind.startswith("text/event-stream"), seed
        frames = sse.frames(answer.body)
        assert all(f.complete for f in frames), seed
        assert sound_end(caller, frames), f"{seed}: {answer.body[-300:]!r}"
    else:
        answer.json()


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("provider", ["openai-chat", "anthropic-messages"])
@pytest.mark.parametrize("caller", ["openai-chat", "anthropic-messages"])
def test_any_provider_bytes_are_harmless(make, caller, provider, stream):
    current = {}

    def handler(conn):
        rng = current["rng"]
        data, close = head(rng, stream, accident(rng, SOUND[provider, stream]))
        conn.send(data, rng.choice([None, None, 1000, 13]))
        if close or rng.random() < 0.1:
            conn.reset() if rng.random() < 0.5 else conn.close()
    upstream = make.upstream(handler)
    gateway = make.gateway({"providers": {"lab": upstream.provider(provider, timeouts={
        "first_byte": "500ms", "first_token": "500ms", "between_tokens": "500ms", "total": "1s"})}})
    path = "/v1/chat/completions" if caller == "openai-chat" else "/v1/messages"
    tools = ([{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
             if caller == "openai-chat" else [{"name": "f", "input_schema": {"type": "object"}}])
    for number in range(ROUNDS):
        seed = f"{caller}-{provider}-{stream}-{number}"
        current["rng"] = random.Random(seed)
        with gateway.raw() as client:
            answer, broken = client.ask("POST", path, {
                "model": "lab/m", "max_tokens": 100, "stream": stream, "tools": tools,
                "messages": [{"role": "user", "content": "Hello"}]},
                {**gateway.authorization(), "anthropic-version": "2023-06-01"})
        assert_lawful(caller, stream, answer, broken, seed)
    gateway.idle()
    lines = wait_until(lambda: len(gateway.access_log()) >= ROUNDS and gateway.access_log(), "every line")
    assert len(lines) == ROUNDS == len({line["request_id"] for line in lines})
    assert gateway.metrics().value("openclaw_requests_total", endpoint="chat_completions" if caller == "openai-chat"
                                   else "messages") == ROUNDS


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("path", ["chat/completions", "completions", "embeddings", "responses", "messages",
                                  "messages/count_tokens"])
def test_any_provider_bytes_fall_back_or_fail(make, path, stream):
    """Three hostile targets of both protocols, then a good one: an answer is one target's, or an error."""
    current = {}

    def handler(conn):
        rng = current["rng"]
        wire = rng.choice(["openai-chat", "anthropic-messages"])
        data, close = head(rng, stream, accident(rng, SOUND[wire, stream]))
        conn.send(data, rng.choice([None, None, 1000, 13]))
        if close or rng.random() < 0.1:
            conn.reset() if rng.random() < 0.5 else conn.close()
    upstream, mock = make.upstream(handler), make.mock()
    timeouts = {"first_byte": "500ms", "first_token": "500ms", "between_tokens": "500ms", "total": "2s"}
    gateway = make.gateway({
        "providers": {"a": upstream.provider(timeouts=timeouts), "c": mock.provider(),
                      "b": upstream.provider("anthropic-messages", timeouts=timeouts)},
        "models": {"x": {"targets": ["a/m", "b/m", "a/n", "c/mock-gpt"]}}})
    for number in range(ROUNDS):
        seed = f"{path}-{stream}-{number}"
        current["rng"] = random.Random(seed)
        with gateway.raw() as client:
            answer, broken = client.ask("POST", f"/v1/{path}", {
                "model": "x", "max_tokens": 9, "stream": stream, "input": "x", "prompt": "x",
                "messages": [{"role": "user", "content": "Hi"}]},
                {**gateway.authorization(), "anthropic-version": "2023-06-01"})
        if path == "chat/completions":
            assert_lawful("openai-chat", stream, answer, broken, seed)
        elif path == "messages":
            assert_lawful("anthropic-messages", stream, answer, broken, seed)
        else:
            assert broken or 200 <= answer.status < 600, seed
    gateway.idle()
    gateway.last_access(ROUNDS)
    assert len(gateway.access_log()) == ROUNDS


REQUEST = json.dumps({
    "model": "lab/mock-gpt", "stream": True, "temperature": 0.5, "stop": ["a", "b"], "max_tokens": 10, "n": 1,
    "stream_options": {"include_usage": True}, "tool_choice": "auto", "metadata": {"a": "b"},
    "messages": [{"role": "system", "content": "Be brief."},
                 {"role": "user", "content": [{"type": "text", "text": "Hi \U0001f353"}, {
                     "type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]},
                 {"role": "assistant", "content": None, "tool_calls": [{"id": "t", "type": "function", "function": {
                     "name": "f", "arguments": "{\"a\": 1}"}}]},
                 {"role": "tool", "tool_call_id": "t", "content": "done"}],
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}],
    "response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object"}}},
}, ensure_ascii=False).encode()


@pytest.mark.parametrize("model", [b"lab/mock-gpt", b"claude/mock-claude"])
def test_any_client_bytes_are_answered_or_refused(make, model):
    mock = make.mock()
    gateway = make.gateway({"providers": {"lab": mock.provider(), "claude": mock.provider("anthropic-messages")}})
    statuses = set()
    with gateway.raw() as client:
        for number in range(ROUNDS * 2):
            seed = f"{model}-{number}"
            rng = random.Random(seed)
            body = accident(rng, REQUEST.replace(b"lab/mock-gpt", model))
            client.send(raw.request("POST", "/v1/chat/completions", body,
                                    {**gateway.authorization(), "Content-Type": "application/json"}),
                        rng.choice([None, None, 500]))
            answer = client.read()
            statuses.add(answer.status)
            assert answer.status in (200, 400, 404, 413, 422), f"{seed}: {answer}"
            if answer.status != 200:
                assert answer.json()["error"]["message"], seed
    assert statuses >= {200, 400}
    gateway.idle()
    stats = mock.stats()
    assert stats["open"] == 0 and stats["aborted"] == 0


HEAD = (b"POST /v1/chat/completions HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer KEY\r\nContent-Type: "
        b"application/json\r\nContent-Length: %d\r\nAccept: */*\r\nX-Request-Id: abc\r\ntraceparent: 00-4bf92f3577b34da6"
        b"a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n\r\n")


def test_heads_of_any_kind_are_answered_or_refused(make):
    mock = make.mock()
    gateway = make.gateway({"providers": {"lab": mock.provider()},
                            "server": {"limits": {"header_deadline": "1s", "idle": "1s"}}})
    body = b'{"model":"lab/mock-gpt","messages":[{"role":"user","content":"Hi"}]}'
    sound = (HEAD % len(body) + body).replace(b"KEY", gateway.key.encode())
    for number in range(ROUNDS * 2):
        rng = random.Random(f"head-{number}")
        with gateway.raw() as client:
            try:
                client.send(accident(rng, sound) + b"\r\n\r\n", rng.choice([None, None, 1, 50]))
                client.socket.shutdown(1)
                answer = client.read()
                assert answer.status in (200, 400, 401, 404, 405, 408, 413, 417, 431, 501), number
            except (raw.Cut, OSError):
                pass           # it hung up on us: lawful, too
    assert gateway.chat("lab/mock-gpt").status_code == 200
    gateway.idle()


def test_clients_that_disconnect_at_any_moment_are_settled_once(make):
    """Hostile providers, and callers that hang up wherever it hurts: every exchange ends, each once."""
    current = {}

    def handler(conn):
        rng = current["rng"]
        data, close = head(rng, True, accident(rng, SOUND["openai-chat", True]))
        at = rng.randrange(len(data))
        conn.send(data[:at])
        if rng.random() < 0.5:
            conn.send(data[at:])
        if close or rng.random() < 0.3:
            conn.reset() if rng.random() < 0.5 else conn.close()
    upstream, mock = make.upstream(handler), make.mock()
    gateway = make.gateway({
        "providers": {"a": upstream.provider(timeouts={"first_byte": "200ms", "first_token": "200ms",
                                                       "between_tokens": "200ms", "total": "500ms"}), "c": mock.provider()},
        "models": {"x": {"targets": ["a/m", "c/mock;tokens=200"]}}})
    sent = 0
    for number in range(ROUNDS * 2):
        rng = current["rng"] = random.Random(f"leave-{number}")
        data = raw.request("POST", "/v1/chat/completions", {"model": "x", "stream": rng.random() < 0.7, "messages": [
            {"role": "user", "content": "Hi"}]}, gateway.authorization())
        client = gateway.raw(seconds=1)
        whole = rng.random() < 0.9
        client.send(data * rng.choice([1, 1, 2]) if whole else data[:rng.randrange(len(data))])
        sent += whole
        try:
            if whole and rng.random() < 0.7:
                client.socket.recv(rng.choice([1, 100, 10000]))
        except OSError:
            pass
        client.reset() if rng.random() < 0.5 else client.close()
    gateway.idle()
    wait_until(lambda: mock.stats()["open"] == 0, "nothing open at the provider")
    assert gateway.chat("c/mock-gpt").status_code == 200
    gateway.idle()
    wait_until(lambda: gateway.metrics().value("openclaw_requests_total", endpoint="chat_completions")
               == len(gateway.access_log()), "as many lines as requests were counted")
    assert len({line["request_id"] for line in gateway.access_log()}) == len(gateway.access_log())
    assert len(gateway.access_log()) <= 2 * sent + 1


# --- callers who send first and read then ---

LONG = 30 << 20


@pytest.fixture(scope="module", params=["tcp", "tls"])
def strict(request, make_shared, tmp_path_factory):
    """A gateway that refuses easily, plain or with TLS: (gateway, options of its raw clients)."""
    server, options = {"workers": 1, "limits": {"body": "64KB", "header": "8KB", "connections": 10,
                                                "header_deadline": "1s"}}, {}
    if request.param == "tls":
        cert, key = certificate(tmp_path_factory.mktemp("tls"))
        server["tls"] = {"cert": str(cert), "key": str(key)}
        options["tls"] = ssl.create_default_context(cafile=cert)
    mock = make_shared.mock()
    return make_shared.gateway({"providers": {"lab": mock.provider()}, "server": server}), options


@pytest.mark.parametrize("status", [400, 401, 404, 408, 413, 431, 503])
def test_a_client_that_sends_everything_before_reading_gets_the_error(strict, status):
    """Closing while bytes come in resets the connection: the sender fails, and the answer is lost on its way."""
    gateway, options = strict
    fields = {"Content-Length": str(LONG), **gateway.authorization()}
    target, held = "/v1/chat/completions", []
    if status == 400:
        fields["Transfer-Encoding"] = "chunked"
    elif status == 401:
        fields["Authorization"] = "Bearer wrong"
    elif status == 404:
        target = "/nowhere"
    elif status == 431:
        fields["X-Large"] = "x" * 9000
    elif status == 503:
        held = [gateway.raw(**options) for _ in range(10)]
        for one in held:
            one.send(raw.request("GET", "/livez"))
    head = raw.request("POST", target, b"", fields)
    with gateway.raw(**options) as client:
        if status == 408:
            client.send(head[:-10])
            answer = client.read()
            client.send(b"x" * LONG)
        else:
            client.send(head + b"x" * LONG)
            answer = client.read()
        assert answer.status == status and answer.header("connection") == "close", answer
        assert answer.json()["error"]["message"]
        assert client.closed_by_peer()
    for one in held:
        one.close()
    gateway.idle()


def test_a_refused_body_may_arrive_slowly(strict):
    """It is swallowed as long as it comes, up to a limit."""
    gateway, options = strict
    with gateway.raw(**options) as client:
        client.send(raw.request("POST", "/v1/chat/completions", b"", {"Content-Length": str(LONG)}))
        for _ in range(14):
            time.sleep(0.5)
            client.send(b"x" * 100_000)
        assert client.read().status == 401
        assert client.closed_by_peer()


# --- callers who take what they can ---

def resident_bytes(gateway):
    """As the kernel counts it now."""
    pages = pathlib.Path(f"/proc/{gateway.program.pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize("target", ["/metrics", "/livez"])
def test_pipelining_without_reading_is_bounded(make, target, sanitized):
    """Pipelined requests whose answers nobody takes: the sender has to wait, not our memory to grow."""
    gateway = make.gateway({"providers": {"lab": {"wire": "openai-chat", "base_url": "http://127.0.0.1:1/v1"}}})
    before = resident_bytes(gateway)
    questions = raw.request("GET", target) * 1000
    with gateway.raw() as client:
        client.socket.settimeout(1)
        with pytest.raises(TimeoutError):
            for _ in range(10_000):
                client.send(questions)
                assert resident_bytes(gateway) - before < 100e6
        grown = resident_bytes(gateway) - before
    assert sanitized or grown < 10e6, f"{grown / 1e6} MB"


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_many_silent_connections_are_cheap_and_get_closed(make, tmp_path, tls, sanitized):
    server = {"workers": 1, "limits": {"idle": "2s"}}
    if tls:
        cert, key = certificate(tmp_path)
        server["tls"] = {"cert": str(cert), "key": str(key)}
    gateway = make.gateway({"providers": {"lab": {"wire": "openai-chat", "base_url": "http://127.0.0.1:1/v1"}},
                            "server": server})
    before = resident_bytes(gateway)
    crowd = [raw.RawClient(gateway.address) for _ in range(800)]
    began = time.monotonic()
    for one in crowd[::2]:
        one.send(b"\x16\x03\x01" if tls else b"GET / HT")      # half of them begin, and leave it at that
    assert gateway.get("/livez").status_code == 200
    assert time.monotonic() - began < 2
    grown = resident_bytes(gateway) - before
    assert sanitized or grown < len(crowd) * (40e3 if tls else 4e3), f"{grown / 1e6} MB"
    wait_until(lambda: gateway.metrics().value("openclaw_connections_open") <= (1 if tls else 401), "the idle to be sent away")
    for one in crowd[1::2]:
        assert one.closed_by_peer()
    for one in crowd:
        one.close()
