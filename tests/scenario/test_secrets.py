"""No secret is ever seen where it does not belong: keys, prompts, proxy credentials; whatever goes wrong.

Every other scenario test plants canaries as well, and its gateway's end looks for them (lib/gateway.py). Here
the secrets are pushed to the surface on purpose.
"""
import base64
import html
import json
import signal
import ssl
import subprocess
import threading
import urllib.parse

import pytest

from lib import process, raw
from lib.ask import CALLERS, PATHS, ask, ask_all, body_of
from lib.process import CANARY, canary, wait_until

# Every shape of a key that an echoing provider may quote and a scrubber must not miss.
SHAPES = {
    "plain": "{canary}", "openai": "sk-proj-{canary}", "anthropic": "sk-ant-api03-{canary}",
    "short words": "correct horse {canary}", "punctuation": "a.b:c/d+{canary}==",
}


def echoing(how):
    """A provider that quotes the credentials it got, in every part of its answer."""
    def handler(conn):
        fields = [v for n, v in conn.request.headers if n.lower() in ("authorization", "x-api-key", "x-team-secret")]
        quoted = " and ".join(fields) + " or " + " ".join(v.split(" ", 1)[-1] for v in fields)
        status = 500 if how == "500" else 400 if how == "400" else 200 if how.startswith("stream") else 401
        error = {"error": {"message": f"Incorrect API key provided: {quoted}. You sent {quoted}!", "type": quoted,
                           "code": quoted, "param": quoted}}
        if how == "prose":
            conn.answer(401, f"wrong key {quoted}".encode(), "text/plain")
        elif how == "html":
            conn.answer(403, f"<html>{quoted}</html>".encode(), "text/html")
        elif how == "stream-error":
            conn.head(200, "text/event-stream")
            conn.chunk(f"event: error\ndata: {json.dumps(error)}\n\n".encode())
            conn.end_chunks()
        elif how == "stream-broken":
            conn.head(200, "text/event-stream")
            conn.chunk(f"data: {quoted} is no JSON\n\n".encode())
            conn.end_chunks()
        elif how == "reason":
            conn.send(f"HTTP/1.1 401 {quoted}\r\nContent-Length: 0\r\n\r\n".encode())
        elif how == "garbage":
            conn.send(f"{quoted}\r\n\r\n".encode())
            conn.close()
        elif how == "fields":
            conn.answer(401, error, fields=[("WWW-Authenticate", quoted), ("Set-Cookie", quoted), ("X-Echo", quoted)])
        else:
            conn.answer(status, error)
    return handler


ECHOES = ("401", "400", "500", "prose", "html", "stream-error", "stream-broken", "reason", "garbage", "fields")


@pytest.mark.parametrize("shape", SHAPES)
def test_a_key_quoted_by_a_provider_is_removed(make, shape):
    secret = SHAPES[shape].format(canary=canary("provider"))
    if shape == "short words":
        secret = secret.replace(" ", "_")
    team = canary("team")
    config = {"providers": {}}
    for how in ECHOES:
        for wire in ("openai-chat", "anthropic-messages"):
            config["providers"][f"{how}-{wire}"] = make.upstream(echoing(how)).provider(
                wire, api_key=secret, headers={"x-team-secret": team})
    gateway = make.gateway(config)
    questions = [(c, f"{p}/m", s) for p in config["providers"] for c in CALLERS for s in (False, True)]
    for question, got in zip(questions, ask_all(gateway, questions)):
        shown = got.body.decode(errors="replace") + str(got.headers)
        assert CANARY not in shown, (question, shown)
        assert got.error and not got.complete, (question, got)
        gateway.access(got.id)
    # close() looks through logs, metrics and fields


@pytest.mark.parametrize("how", ["401", "400", "500", "html"])
@pytest.mark.parametrize("path", ["/v1/files", "/v1/responses/compact", "/v1/messages/batches"])
def test_a_refused_key_quoted_on_a_passed_through_route_is_removed(make, path, how):
    wire = "anthropic-messages" if "messages" in path else "openai-chat"
    gateway = make.gateway({"providers": {"lab": make.upstream(echoing(how)).provider(wire)}})
    with gateway.raw() as client:
        version = {"anthropic-version": "2023-06-01"} if "messages" in path else {}
        answer, broke = client.ask("POST", path, {"input": "x"}, {**gateway.authorization(), **version})
    assert not broke and answer.status == 502, answer
    assert CANARY not in answer.body.decode() + str(answer.headers)


def b64(text):
    return base64.b64encode(text.encode()).decode()


# How a provider may spell a key that it quotes, as a program that decodes or a reader sees it again.
SPELLINGS = {
    "upper case": str.upper,
    "JSON escapes": lambda s: "".join(f"\\u{ord(c):04x}" for c in s),
    "JSON escapes of one letter": lambda s: f"\\u{ord(s[0]):04X}{s[1:]}",
    "JSON escapes twice": lambda s: "".join(f"\\\\u{ord(c):04x}" for c in s),
    "percent": lambda s: "".join(f"%{ord(c):02x}" for c in s),
    "percent twice": lambda s: urllib.parse.quote("".join(f"%{ord(c):02X}" for c in s)),
    "query": lambda s: urllib.parse.urlencode({"key": s}).replace("-", "%2D"),
    "HTML": lambda s: "".join(f"&#{ord(c)};" for c in s),
    "HTML, hexadecimal": lambda s: "".join(f"&#x{ord(c):X};" for c in s),
    "HTML, then percent": lambda s: urllib.parse.quote("".join(f"&#{ord(c)};" for c in s)),
    "base64": b64,
    "base64 without padding": lambda s: b64(s).rstrip("="),
    "base64 for URLs": lambda s: base64.urlsafe_b64encode(f"Bearer {s}".encode()).decode(),
    "base64 with a user": lambda s: b64(f"user:{s}"),
    "base64 with two letters before": lambda s: b64(f"ab{s}c"),
    "hexadecimal": lambda s: s.encode().hex(),
    "hexadecimal with colons": lambda s: s.encode().hex(":").upper(),
    "blanks": " ".join,
    "lines": lambda s: "\\n".join(s[i:i + 7] for i in range(0, len(s), 7)),
    "the last half": lambda s: s[len(s) // 2:],
    "all but the first letters": lambda s: s[6:],
}


def spelled_error(text, kind="error"):
    """Bytes of an error document; `text` stands in it as it is, escapes and all."""
    return b'{"error": {"message": "Incorrect key: %b", "type": "%b", "code": "bad"}}' % (text.encode(), kind.encode())


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_quoted_key_is_recognised_however_it_is_spelled(make, spelling):
    secret = f"sk-proj-{canary('provider')}"
    quoted = SPELLINGS[spelling](secret)
    frames = {"event": b"event: error\ndata: " + spelled_error(quoted) + b"\n\n",
              "unnamed": b"data: " + spelled_error(quoted) + b"\n\n",
              "comment": f": {quoted}\n\n".encode()}

    def handler(conn):
        how = conn.request.header("x-how") or conn.request.json()["model"]
        status = int(how[:3])
        if how.endswith("fields"):
            conn.answer(status, {"error": {"message": "no"}} if status != 200 else {"data": []}, fields=[
                ("x-ratelimit-limit-requests", quoted), ("OpenAI-Processing-Ms", quoted), ("openai-version", "1"),
                ("retry-after", quoted), ("Content-Disposition", f"attachment; filename={quoted}")])
        elif "stream" in how:
            conn.head(status, "text/event-stream")
            frame = frames[how.split("-")[-1]]
            conn.chunk(b'data: {"type": "response.created", "error": null}\n\n')
            for i in range(0, len(frame), 11):
                conn.chunk(frame[i:i + 11])
            conn.end_chunks()
        elif how.endswith("pieces"):
            conn.head(status, "application/json")
            body = b" " * 3000 + spelled_error(quoted)
            for i in range(0, len(body), 501):
                conn.chunk(body[i:i + 501])
            conn.end_chunks()
        else:
            conn.answer(status, spelled_error(quoted, quoted))
    upstream = make.upstream(handler)
    gateway = make.gateway({"providers": {"lab": upstream.provider(api_key=secret)},
                            "observe": {"log": {"path": "stderr", "level": "debug"}}})
    shown = []
    for how in ("400", "401", "422", "429", "500", "200", "400-fields", "200-fields", "200-stream-event",
                "200-stream-unnamed", "200-stream-comment"):
        for caller in CALLERS:
            for stream in (False, True):
                got = ask(gateway, caller, f"lab/{how}", stream)
                shown.append((how, got.body.decode(), str(got.headers)))
                shown.append((how, json.dumps(gateway.access(got.id)), ""))
    for how in ("400", "404", "500", "200", "200-pieces", "400-fields", "200-fields", "200-stream-event",
                "200-stream-unnamed", "200-stream-comment"):
        with gateway.raw() as client:
            answer, _ = client.ask("POST", "/v1/responses/compact", {"model": f"lab/{how}"}, gateway.authorization())
        shown.append((how, answer.body.decode(), str(answer.headers)))
        if how.endswith("fields"):
            assert answer.status != 400 or "openai-version" in str(answer.headers).lower()
    shown.append(("log", gateway.stderr(), json.dumps(gateway.access_log())))
    shown.append(("metrics", gateway.metrics().text, ""))
    for how, body, fields in shown:
        assert quoted not in body and quoted.replace("\\\\", "\\") not in body, (how, body)
        assert html.unescape(quoted) not in body and secret[8:] not in body, (how, body)
        assert quoted not in fields and CANARY not in fields.lower(), (how, fields)


def test_scanning_for_secrets_does_not_delay_answers(make):
    """Text and binary answers of any shape arrive byte for byte; words that stand in a header's value may be said."""
    bodies = [b"", b"x", b"{}", b"\\" * 1000, b"%&\\" * 1000, b"a" * 100_000, b"\n" * 999, bytes(range(256)) * 50,
              b"data: " + b"y" * 50_000 + b"\n\ndata: z", b"acme-research-team says: hello\n\n"]
    types = ["text/event-stream", "application/json", "text/plain", "audio/mpeg", "application/octet-stream", ""]

    def handler(conn):
        body, kind, piece = [int(n) for n in conn.request.target.split("/")[-1].split("-")]
        conn.head(200, types[kind])
        for i in range(0, len(bodies[body]), piece):
            conn.chunk(bodies[body][i:i + piece])
        conn.end_chunks()
    upstream = make.upstream(handler)
    gateway = make.gateway({"providers": {"lab": upstream.provider(headers={"x-team": "acme-research-team"})}})
    with gateway.raw() as client:
        for body in range(len(bodies)):
            for kind in range(len(types)):
                for piece in (997, 10_000_000):
                    answer, broke = client.ask("GET", f"/v1/files/{body}-{kind}-{piece}", b"", gateway.authorization())
                    assert not broke and answer.status == 200 and answer.body == bodies[body], (body, kind, piece)


@pytest.mark.parametrize("wire", ["openai-chat", "anthropic-messages"])
def test_an_event_that_nobody_understands_is_not_forwarded_with_a_key(make, wire):
    """The rest of the stream is; without a key, so are such events."""
    secret = f"sk-proj-{canary('provider')}"
    note = {"type": "x_note", "object": "x.note", "text": "harmless-note"}
    told = [note, {**note, "text": f"your key is {secret}"}]
    if wire == "openai-chat":
        chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
        events = [{**chunk, "choices": [{"index": 0, "delta": {"role": "assistant", "content": "Hi"}}]}, *told,
                  {**chunk, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}]
        stream = "".join(f"data: {json.dumps(e)}\n\n" for e in events) + "data: [DONE]\n\n"
    else:
        events = [{"type": "message_start", "message": {"id": "m", "type": "message", "role": "assistant", "model": "c",
                                                        "content": [], "stop_reason": None,
                                                        "usage": {"input_tokens": 3, "output_tokens": 1}}},
                  {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
                  {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}}, *told,
                  {"type": "content_block_stop", "index": 0},
                  {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}},
                  {"type": "message_stop"}]
        stream = "".join(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n" for e in events)
    upstream = make.upstream(lambda conn: conn.answer(200, stream.encode(), "text/event-stream"))
    gateway = make.gateway({"providers": {"lab": upstream.provider(wire, api_key=secret)}})
    path, end = ("/v1/chat/completions", "[DONE]") if wire == "openai-chat" else ("/v1/messages", "message_stop")
    answer = gateway.post(path, {**body_of("lab/m"), "max_tokens": 9, "stream": True})
    assert answer.status_code == 200 and "Hi" in answer.text and end in answer.text, answer.text
    assert "harmless-note" in answer.text and secret not in answer.text


def test_a_compressed_error_is_not_forwarded_unread(make):
    body = b"\x1f\x8b not really"
    upstream = make.upstream(lambda conn: conn.answer(400, body, fields=[("Content-Encoding", "gzip")]))
    gateway = make.gateway({"providers": {"lab": upstream.provider()}})
    with gateway.raw() as client:
        answer, _ = client.ask("GET", "/v1/files", b"", gateway.authorization())
    assert answer.status == 400 and body not in answer.body and json.loads(answer.body)["error"]["message"]
    assert "content-encoding" not in str(answer.headers).lower()


def test_keys_in_place_of_names_do_not_reach_the_logs(make):
    mock = make.mock()
    gateway = make.gateway({"providers": {"lab": mock.provider(), "other": mock.provider()}})
    key = gateway.key
    for method, target, body in (("GET", f"/nowhere/{key}", b""), ("POST", PATHS["openai"], body_of(f"no-{key}/m")),
                                 ("POST", PATHS["anthropic"], body_of(f"no/{key}"))):
        with gateway.raw() as client:
            client.ask(method, target, body, gateway.authorization())
    # close() looks through the logs


def test_keys_in_wrong_places_are_not_shown(make):
    mock = make.mock()
    gateway = make.gateway({"providers": {"lab": mock.provider()}})
    secret = canary("client")
    attempts = [
        ("GET", "/v1/models", {"Authorization": f"Bearer {secret}"}),
        ("GET", "/v1/models", {"x-api-key": secret}),
        ("GET", "/v1/models", {"api-key": secret}),
        ("GET", "/v1/models", {"Authorization": f"Basic {base64.b64encode(b'u:' + secret.encode()).decode()}"}),
        ("GET", "/v1/models", {"Authorization": secret}),
        ("GET", "/v1/models", {"Cookie": f"session={secret}"}),
        ("GET", f"/v1/models?api_key={secret}", gateway.authorization()),
        ("GET", f"/v1/models?key={secret}", gateway.authorization()),
        ("GET", f"/nowhere?access_token={secret}", {}),
        ("POST", f"/v1/chat/completions?key={secret}", gateway.authorization()),
        ("POST", "/v1/chat/completions", {"Authorization": f"Bearer {secret}", "Content-Length": "nonsense"}),
        ("BREW", "/v1/models", {"Authorization": f"Bearer {secret}"}),
    ]
    for method, target, headers in attempts:
        with gateway.raw() as client:
            answer, _ = client.ask(method, target, body_of("lab/m") if method == "POST" else b"", headers)
        gateway.heads.append(str(answer.headers))
        assert secret not in answer.body.decode(), (target, answer)
        assert "Basic" not in str(answer.headers)


def test_no_query_takes_a_caller_s_key_to_the_provider(make):
    """A parameter named like a credential does not go on, nor one of another name whose value is a key of ours."""
    upstream = make.upstream(lambda conn: conn.answer(200, {"object": "list", "data": []}))
    gateway = make.gateway({"providers": {"lab": upstream.provider()}})
    key = gateway.key
    cases = {
        f"limit=5&key={key}&after=x": "limit=5&after=x", "api_key=other": "", "KEY=other&a=b": "a=b",
        f"a=b;access_token={key}": "a=b", f"a=b&{key}": "a=b", f"%6bey={key}&a=%20": "a=%20",
        f"note={key}&a=b": "a=b", f"note=%{ord(key[0]):02x}{key[1:]}&a=b": "a=b", f"auth=Bearer%20{key}": "",
        "keys=1&monkey=2&key2": "keys=1&monkey=2&key2", "a=%zz&b": "a=%zz&b", "a&&b=": "a&&b=",
    }
    for query, wanted in cases.items():
        for method, path in (("GET", "/v1/files"), ("POST", "/v1/chat/completions"), ("POST", "/v1/moderations")):
            body = json.dumps(body_of("lab/m")).encode() if method == "POST" else b""
            with gateway.raw() as client:
                client.ask(method, f"{path}?{query}", body, {**gateway.authorization(), "Content-Type": "application/json"})
            request = upstream.last_request()
            # a malformed query may name a model in nobody knows what way: it ends with calls of a model
            if "%zz" not in query or method == "GET":
                assert request.target.partition("?")[2] == wanted, (query, request.target)
            assert key not in request.target


def test_no_path_or_field_takes_a_caller_s_key_to_the_provider(make):
    upstream = make.upstream(lambda conn: conn.answer(200, {"object": "list", "data": []}))
    gateway = make.gateway({"providers": {"lab": upstream.provider(),
                                          "claude": upstream.provider("anthropic-messages")}, "default_provider": "lab"})
    key = gateway.key
    for path in (f"/v1/files/{key}", f"/v1/files/{key}/content", f"/v1/files/%{ord(key[0]):02x}{key[1:]}"):
        with gateway.raw() as client:
            answer, _ = client.ask("GET", path, b"", gateway.authorization())
        assert answer.status == 400 and key not in answer.body.decode(), answer
    assert not upstream.requests
    fields = {"Range": key, "If-Match": f'"{key}"', "If-None-Match": '"v1"', "Accept": f"text/{key}",
              "OpenAI-Beta": f"a, {key}", "tracestate": f"a={key}"}
    with gateway.raw() as client:
        client.ask("GET", "/v1/files/f", b"", {**gateway.authorization(), **fields})
        client.ask("POST", "/v1/messages", json.dumps({**body_of("claude/m"), "max_tokens": 5}).encode(),
                   {"x-api-key": key, "anthropic-beta": f"a,{key}", "anthropic-version": "2023-06-01",
                    "Content-Type": "application/json"})
    first, second = upstream.requests
    assert key not in str(first.headers) and first.header("if-none-match") == '"v1"'
    assert key not in str(second.headers) and second.header("anthropic-version") == "2023-06-01"


def test_prompts_and_answers_are_not_logged(make):
    """Also when the request is refused, the provider quotes it, or it is broken in the middle."""
    def quoting(conn):
        conn.answer(400, {"error": {"message": f"Invalid content: {conn.request.body.decode()[:4000]}", "type": "x"}})
    mock = make.mock()
    gateway = make.gateway({"providers": {"lab": mock.provider(), "ant": mock.provider("anthropic-messages"),
                                          "quoting": make.upstream(quoting).provider()},
                            "observe": {"log": {"path": "stderr", "level": "debug"}}})
    prompts = ["lab/m;echo", "ant/m;echo", "lab/fault-500", "lab/fault-context", "lab/m;echo;fault=reset-mid",
               "lab/m;echo;fault=malformed", "nowhere-at-all"]
    for got in ask_all(gateway, [(c, m, s) for m in prompts for c in CALLERS for s in (False, True)]):
        gateway.access(got.id)
    for broken in (b'{"model": "lab/m", "messages": [{"role": "user", "content": "' + process.PROMPT.encode(),
                   json.dumps({**body_of("lab/m"), "messages": process.PROMPT}).encode(),
                   json.dumps({**body_of("lab/m"), "messages": [{"role": process.PROMPT}]}).encode(),
                   json.dumps({**body_of("lab/m"), process.PROMPT: 1}).encode()):
        for caller in CALLERS:
            with gateway.raw() as client:
                client.ask("POST", PATHS[caller], broken, gateway.authorization())
    for caller in CALLERS:
        got = ask(gateway, caller, "quoting/m")
        assert got.status == 400 and process.PROMPT in got.error["message"], "the caller may see its own words"
        line = gateway.access(got.id)
        assert process.PROMPT not in json.dumps(line), line


def test_a_proxy_s_credentials_are_used_and_never_shown(make):
    secret = canary("proxy")

    def proxy(conn):
        conn.answer(407, {"error": {"message": f"no: {conn.request.header('proxy-authorization')}"}},
                    fields=[("Proxy-Authenticate", f"Basic realm=\"{conn.request.header('proxy-authorization')}\"")])
    upstream = make.upstream(proxy)
    env = {name: f"http://user:{secret}@{upstream.host}" for name in ("http_proxy", "https_proxy", "HTTPS_PROXY")}
    gateway = make.gateway({"providers": {
        "plain": {"wire": "openai-chat", "base_url": "http://provider.invalid/v1"},
        "tls": {"wire": "openai-chat", "base_url": "https://provider.invalid/v1"}}}, env=env)
    encoded = base64.b64encode(f"user:{secret}".encode()).decode()
    for model in ("plain/m", "tls/m"):
        for caller in CALLERS:
            got = ask(gateway, caller, model)
            shown = got.body.decode() + str(got.headers) + json.dumps(gateway.access(got.id)) + gateway.stderr()
            assert got.error and secret not in shown and encoded not in shown, shown
    assert {r.header("proxy-authorization") for r in upstream.requests} == {f"Basic {encoded}"}


@pytest.mark.parametrize("arguments", [("check",), ("check", "--json"), ("serve",), ("config", "schema")])
def test_configuration_errors_quote_no_secret(tmp_path, arguments):
    """Each key is wrong in a way of its own: the complaint names its place, never its text."""
    secrets = {n: canary(n) for n in ("a", "b", "c", "d", "e", "f", "g")}
    path = tmp_path / "openclaw.yaml"
    path.write_text(f"""
auth:
  keys:
    - {{name: x, key: "{secrets['a']}", models: 5}}
    - {{name: y, key: ["{secrets['b']}"]}}
    - {{nmae: z, key: "{secrets['c']}"}}
providers:
  openai: {{api_key: {{nested: "{secrets['d']}"}}}}
  anthropic: {{api_key: "{secrets['e']} with\\ta blank", base_url: "http://user:{secrets['f']}@[/v1"}}
  lab: {{wire: openai-chat, base_url: "http://127.0.0.1:1/v1", headers: {{"bad name": "{secrets['g']}"}}}}
""")
    flag = [] if arguments[0] == "config" else ["-c", path]
    done = subprocess.run([process.BIN, *arguments, *flag], capture_output=True, text=True, timeout=process.PATIENCE,
                          env=process.environment())
    if arguments[0] != "config":
        assert done.returncode == 2, done
        assert "openclaw.yaml" in done.stdout + done.stderr
    for name, secret in secrets.items():
        assert secret not in done.stdout + done.stderr, (name, done.stdout + done.stderr)


def test_a_refused_reload_quotes_no_secret(make):
    mock = make.mock()
    gateway = make.gateway({"providers": {"lab": mock.provider()}})
    for text in ('auth: {keys: [{name: x, key: "%s", oops: 1}]}\n', "auth: %s\n", "providers: {lab: {api_key: [%s}\n",
                 '"%s": 1\n'):
        gateway.reload(text % canary("reload"), accepted=False)
    # close() looks through what it said


def test_a_file_of_secrets_that_is_missing_or_empty_is_named_and_not_quoted(tmp_path):
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "two").write_text(canary("file") + "\n" + canary("file") + "\n")
    for name in ("empty", "two", "missing"):
        path = tmp_path / "openclaw.yaml"
        path.write_text(f"providers: {{openai: {{api_key: 'file:{tmp_path}/{name}'}}}}\n")
        done = subprocess.run([process.BIN, "check", "-c", path], capture_output=True, text=True,
                              env=process.environment(), timeout=process.PATIENCE)
        assert CANARY not in done.stdout + done.stderr
        if name != "two":
            assert done.returncode == 2 and name in done.stdout + done.stderr, done


def test_secrets_are_not_in_the_command_line_and_not_in_what_a_crash_leaves(make):
    """The output of a crashing process contains no secret either."""
    mock = make.mock()
    gateway = make.gateway({"providers": {"lab": mock.provider()}})
    with open(f"/proc/{gateway.program.pid}/cmdline", "rb") as f:
        assert CANARY.encode() not in f.read()
    with gateway.raw() as client:
        client.send(raw.request("POST", "/v1/chat/completions", body_of("lab/m;ttft=30s", True),
                                gateway.authorization()))
        wait_until(lambda: mock.stats()["open"] == 1, "the request to be under way")
        gateway.checks = False
        gateway.stop(signal.SIGABRT)
    said = gateway.stderr() + gateway.program.stdout()
    assert CANARY not in said and process.PROMPT not in said


def test_a_tls_failure_tells_nothing_of_the_request(make, tmp_path):
    cert, key = process.certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    upstream = make.upstream(lambda conn: conn.answer(200, {}), tls=context)
    gateway = make.gateway({"providers": {"lab": {"wire": "openai-chat", "base_url": upstream.openai_url}}})
    got = ask(gateway, "openai", "lab/m")
    assert got.code == "upstream_tls" and not upstream.requests, got
    assert "certificate" in got.error["message"], got.error
    assert got.headers["x-should-retry"] == "false"        # it will be the same the next time


def test_text_is_forwarded_at_once_but_never_the_start_of_a_secret(make):
    """Each byte arrives before the next one is sent, but for the beginning of a secret."""
    secret = f"sk-proj-{canary('provider')}"
    said = f'{{"text": "no line end here, only words", "key": "{secret}"}}'.encode()
    go = threading.Semaphore(0)

    def handler(conn):
        conn.head(200, "application/json", len(said))
        for i in range(len(said)):
            assert go.acquire(timeout=process.PATIENCE)
            conn.send(said[i:i + 1])
    gateway = make.gateway({"providers": {"lab": make.upstream(handler).provider(api_key=secret)}})
    clean = said.index(secret.encode())
    with gateway.raw() as client:
        client.send(raw.request("GET", "/v1/files/f", b"", gateway.authorization()))
        got = b""
        for i in range(clean):
            go.release()
            got += client._bytes(1) if i else (client.read_head(), client._bytes(1))[1]
        for _ in range(len(secret)):
            go.release()
        with pytest.raises(raw.Cut):
            while True:
                client._more()
    assert got == said[:clean] and secret[:8] not in (got + client.buffer).decode()
    assert gateway.last_access()["error"] == "upstream_error"
