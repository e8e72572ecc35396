"""Logs and metrics are exact, bounded, and cannot be forged by clients or providers."""
import decimal
import itertools
import json
import re

import pytest

from lib import raw
from lib.ask import CALLERS, PATHS, ask, ask_all, body_of
from lib.metrics import Metrics
from lib.process import PROMPT, wait_until



@pytest.fixture(scope="module")
def mock(make_shared):
    return make_shared.mock()


@pytest.fixture(scope="module")
def gateway(make_shared, mock):
    return make_shared.gateway({"providers": {"lab": mock.provider(), "ant": mock.provider("anthropic-messages")},
                                "models": {"nice": {"targets": ["lab/m-of-the-config"]}}})


# --- counters ---

def test_a_known_mix_is_counted_exactly(make, mock):
    gateway = make.gateway({"providers": {"lab": mock.provider(models=["m"]),
                                          "ant": mock.provider("anthropic-messages", models=["claude-sonnet-4-5"])},
                            "models": {"two": {"targets": ["lab/fault-500", "ant/claude-sonnet-4-5"]}}})
    mock.reset()
    mix = [("openai", "lab/m", False)] * 3 + [("openai", "lab/m", True)] * 2 \
        + [("anthropic", "lab/m", True)] * 4 + [("anthropic", "ant/claude-sonnet-4-5", False)] * 2 \
        + [("openai", "lab/fault-429", False)] * 2 + [("openai", "lab/fault-404", True)] \
        + [("openai", "two", False)] * 5
    ask_all(gateway, mix)
    gateway.key, real = "wrong", gateway.key
    assert ask(gateway, "openai", "lab/m").status == 401
    gateway.key = real
    assert gateway.get("/nowhere").status_code == 404
    with gateway.raw() as client:
        client.send(b"nonsense\r\n\r\n")
        assert client.read().status == 400
    gateway.idle()
    m = gateway.metrics()
    assert m.value("openclaw_requests_total", endpoint="chat_completions", status=200) == 3 + 2 + 5
    assert m.value("openclaw_requests_total", endpoint="messages", status=200) == 4 + 2
    assert m.value("openclaw_requests_total", endpoint="chat_completions", status=429) == 2
    assert m.value("openclaw_requests_total", endpoint="chat_completions", status=404) == 1
    assert m.value("openclaw_requests_total", endpoint="chat_completions", status=401) == 1
    assert m.value("openclaw_requests_total", endpoint="none") == 2
    errors = {labels["code"]: value for labels, value in m["openclaw_errors_total"] if value}
    assert errors == {"rate_limit_exceeded": 2, "upstream_model_not_found": 1, "invalid_api_key": 1,
                      "no_route": 1, "bad_request": 1}
    attempts = {(a["provider"], a["model"], a["outcome"]): v for a, v in m["openclaw_upstream_attempts_total"]}
    assert attempts == {
        ("lab", "m", "ok"): 9, ("ant", "claude-sonnet-4-5", "ok"): 2 + 5, ("lab", "fault-500", "upstream_error"): 5,
        ("lab", "other", "rate_limit_exceeded"): 2, ("lab", "other", "upstream_model_not_found"): 1}
    stats = mock.stats()
    assert m.value("openclaw_tokens_output_total") == stats["output_tokens"]
    assert m.value("openclaw_tokens_input_total") == stats["input_tokens"]
    assert m.value("gen_ai_server_time_to_first_token_seconds_count") == 2 + 4
    assert m.value("gen_ai_client_operation_duration_seconds_count") == sum(attempts.values())
    assert m.value("openclaw_upstream_connections_total") \
        + m.value("openclaw_upstream_connection_reuses_total") == sum(attempts.values())
    assert m.value("openclaw_client_aborts_total") == m.value("openclaw_usage_estimated_total") == 0


def test_the_exposition_is_well_formed(gateway):
    ask_all(gateway, [(c, m, s) for c in CALLERS for m in ("lab/x", "nice", "ant/y") for s in (False, True)])
    text = gateway.get("/metrics").text
    metrics = Metrics(text)
    for name in metrics:
        base = re.sub("_(bucket|sum|count)$", "", name)
        family = name if name in metrics.types else base
        assert family in metrics.types and family in metrics.helps, name
    assert text.endswith("\n") and "\n\n" not in text
    # A series appears once, and a family in one piece.
    assert len(set(re.findall(r"^[a-z].*(?= )", text, re.M))) == len(re.findall(r"^[a-z].*(?= )", text, re.M))
    families = [re.sub("_(bucket|sum|count)$", "", n) if n not in metrics.types else n
                for n in re.findall(r"^([a-z_]+)", text, re.M)]
    runs = [f for i, f in enumerate(families) if i == 0 or families[i - 1] != f]
    assert len(runs) == len(set(runs))
    for family, kind in metrics.types.items():
        if kind == "histogram":
            check_histogram(metrics, family)
        if kind == "counter":
            assert family.endswith("_total")


def check_histogram(metrics, family):
    series = {}
    for labels, value in metrics[family + "_bucket"]:
        series.setdefault(tuple(sorted((k, v) for k, v in labels.items() if k != "le")), []).append(
            (float(labels["le"]), value))
    for labels, buckets in series.items():
        assert buckets == sorted(buckets) and buckets[-1][0] == float("inf"), (family, labels)
        values = [v for _, v in buckets]
        assert values == sorted(values), (family, labels)
        assert metrics.value(family + "_count", **dict(labels)) == values[-1]


def test_counters_only_grow(gateway):
    def counters():
        metrics = gateway.metrics()
        return {(name, tuple(sorted(labels.items()))): value for name, kind in metrics.types.items()
                if kind == "counter" for labels, value in metrics.get(name, [])}
    before = counters()
    for got in ask_all(gateway, [(c, m, True) for c in CALLERS for m in ("lab/x", "lab/fault-500")] * 3):
        assert got.status
    after = counters()
    assert all(after[key] >= value for key, value in before.items())


# --- bounds ---

def test_ten_thousand_model_names_are_one_series(make, mock, sanitized):
    gateway = make.gateway({"providers": {"lab": mock.provider()}, "server": {"limits": {"metric_series": 20}}})
    count = 500 if sanitized else 10000
    with gateway.raw() as client:
        for at in range(0, count, 50):
            client.send(b"".join(raw.request("POST", "/v1/chat/completions", body_of(f"lab/model-{i}"),
                                             gateway.authorization()) for i in range(at, at + 50)))
            for _ in range(50):
                assert client.read().status == 200
    gateway.idle()
    metrics = gateway.metrics()
    assert {labels["model"] for labels, _ in metrics["openclaw_upstream_attempts_total"]} == {"other"}
    assert metrics.value("openclaw_upstream_attempts_total", provider="lab", model="other", outcome="ok") == count
    assert len(metrics.text) < 100_000


def test_a_model_is_one_series_whatever_name_is_used(make, mock):
    gateway = make.gateway({"providers": {"lab": mock.provider()}, "default_provider": "lab",
                            "models": {"fast": {"targets": ["lab/quick"]}}})
    for name in ("fast", "lab/quick", "quick", "lab/unheard-of"):
        assert ask(gateway, "openai", name).complete
    gateway.idle()
    metrics = gateway.metrics()
    attempts = {labels["model"]: value for labels, value in metrics["openclaw_upstream_attempts_total"]}
    assert attempts == {"quick": 3, "other": 1}


def test_names_of_the_configuration_beyond_the_limit_are_counted_together(make, mock):
    names = [f"known-{i}" for i in range(60)]
    gateway = make.gateway({"providers": {"lab": mock.provider(models=names)},
                            "server": {"limits": {"metric_series": 20}}})
    for got in ask_all(gateway, [("openai", f"lab/{n}", False) for n in names]):
        assert got.complete
    gateway.idle()
    metrics = gateway.metrics()
    models = {labels["model"] for labels, _ in metrics["openclaw_upstream_attempts_total"]}
    assert "other" in models and len(models) <= 21
    assert metrics.value("openclaw_upstream_attempts_total") == 60
    assert metrics.value("openclaw_metric_series_overflow_total") >= 40
    assert all(line["model"] in names for line in gateway.access_log())      # the log knows them all


# --- forgery ---

EVIL = {
    "a new line": 'x"}\n{"ts":"2026-01-01T00:00:00Z","status":200,"forged":true}',
    "carriage return": "x\r\nforged: 1", "quotes": '"},{"a":"', "backslash": "\\", "NUL": "a\x00b",
    "controls": "".join(map(chr, range(1, 32))), "escape sequence": "\x1b[2J\x1b]0;owned\x07", "DEL": "\x7f",
    "line separators": "\u2028\u2029\u0085", "right to left": "\u202egnp.exe", "an emoji": "\U0001f980",
    "a lone surrogate": "\ud800x", "percent": "%n%s%s%s%n%d{}", "labels": '",model="other"} 1\nforged_total 7',
    "long": "y" * 250,
}


def assert_log_is_sound(gateway, count):
    gateway.last_access(count)
    data = gateway.access_path.read_bytes()
    text = data.decode("utf-8", errors="strict")
    lines = text.split("\n")
    assert lines[-1] == "" and len(lines) - 1 == count, "lines were added or lost"
    for line in lines[:-1]:
        assert not re.search(r"[\x00-\x1f]", line), repr(line)
        record = json.loads(line, parse_constant=lambda word: pytest.fail(word))
        assert "forged" not in record and list(record)[0] == "ts"
        pairs = json.loads(line, object_pairs_hook=list)
        assert len({k for k, _ in pairs}) == len(pairs), "the same field twice"
    return [json.loads(line) for line in lines[:-1]]


@pytest.mark.parametrize("where", ["model", "alias", "message"])
def test_a_body_cannot_forge_a_line_or_a_field(make, mock, where):
    gateway = make.gateway({"providers": {"lab": mock.provider()}})
    count = 0
    for evil in EVIL.values():
        for caller in CALLERS:
            for stream in (False, True):
                model = f"lab/{evil}" if where == "model" else evil if where == "alias" else "lab/m"
                body = body_of(model, stream, messages=[{"role": evil, "content": evil}]) \
                    if where == "message" else body_of(model, stream)
                path = "/v1/messages" if caller == "anthropic" else "/v1/chat/completions"
                with gateway.raw() as client:
                    answer, broke = client.ask("POST", path, json.dumps(body).encode(), gateway.authorization())
                count += 1
                assert not broke and answer.status in (200, 400, 404), answer
                for name, value in answer.headers:
                    assert not re.search(r"[\x00-\x1f\x7f-\xff]", name + value), (name, value)
                    assert name.lower() != "forged"
    assert_log_is_sound(gateway, count)
    metrics = gateway.metrics()
    assert "forged_total" not in metrics


@pytest.mark.parametrize("path", [
    '/v1/"},{"x":"', "/v1/%0a%0d%00", "/v1/models/%0aforged%22", "/v1/models/%ff%fe", "/v1/models/%", "/v1/models/%zz",
    "/v1/models/%E2%80%AE", "/nowhere?x=%0a", "/v1/models/" + "x" * 4000,
])
def test_a_path_cannot_forge_a_line(make, mock, path):
    gateway = make.gateway({"providers": {"lab": mock.provider()}})
    with gateway.raw() as client:
        answer, broke = client.ask("GET", path, headers=gateway.authorization())
    # A name is a model when it can be asked for, and any name up to 256 bytes can.
    assert not broke and answer.status in ((200, 400, 404) if len(path) < 256 else (404,)), answer
    json.loads(answer.body.decode("utf-8", errors="strict"))
    if answer.header("x-request-id"):
        assert_log_is_sound(gateway, 1)


def test_header_fields_cannot_forge_a_line(make, mock):
    """Obsolete but allowed bytes (0x80-0xff, tabs), quotes, braces, in every field that is looked at."""
    gateway = make.gateway({"providers": {"lab": mock.provider()}})
    fields = ["x-request-id", "traceparent", "tracestate", "user-agent", "referer", "x-forwarded-for", "origin",
              "anthropic-version", "anthropic-beta", "openai-organization", "accept", "content-type", "x-team"]
    values = ['"},{"a":"b', "\xff\xfe\x80", "a\tb", "\\", "'; DROP TABLE", "%s%n", "{" * 300, "\xe2\x80\xae", "a" * 3000]
    count = 0
    for field in fields:
        for value in values:
            with gateway.raw() as client:
                answer, broke = client.ask("POST", "/v1/chat/completions", json.dumps(body_of("lab/m")).encode(),
                                           {**gateway.authorization(), field: value})
            count += 1
            assert not broke and answer.status in (200, 400, 415), (field, value, answer)
    for line in assert_log_is_sound(gateway, count):
        assert re.fullmatch(r"[A-Za-z0-9._:-]{1,128}", line["request_id"]), line


def test_a_provider_cannot_forge_a_line_or_a_field(make):
    """Its status line, fields, model, finish reason and error are as hostile as a caller's."""
    evil = EVIL["a new line"] + EVIL["labels"] + "\x1b\x00"

    def handler(conn):
        kind = json.loads(conn.request.body)["model"]
        document = {"id": evil, "object": evil, "created": 1, "model": evil, "system_fingerprint": evil,
                    "choices": [{"index": 0, "message": {"role": evil, "content": PROMPT}, "finish_reason": evil}],
                    "usage": {"prompt_tokens": 2**63, "completion_tokens": -5, "total_tokens": 1e400}}
        if kind == "answer":
            conn.answer(200, json.dumps(document).replace("Infinity", "1e999").encode())
        elif kind == "error":
            conn.answer(422, {"error": {"message": evil, "type": evil, "code": evil, "param": evil}})
        elif kind == "stream":
            conn.head(200, "text/event-stream")
            chunk = {**document, "choices": [{"index": 0, "delta": {"content": "x"}, "finish_reason": None}]}
            last = {**document, "choices": [{"index": 0, "delta": {}, "finish_reason": evil}]}
            for part in (chunk, last):
                conn.chunk(b"data: " + json.dumps(part).replace("Infinity", "1e999").encode() + b"\n\n")
            conn.chunk(b"data: [DONE]\n\n")
            conn.end_chunks()
        else:
            conn.send(b"HTTP/1.1 429 \"},{\"\xff\r\nRetry-After: 5\"},{\"a\":\"\r\nx-ratelimit-\"evil: \xff\xfe\r\n"
                      b"x-ratelimit-reset: \xff\"\r\nContent-Length: 0\r\n\r\n")
    gateway = make.gateway({"providers": {"lab": make.upstream(handler).provider(),
                                          "ant": make.upstream(handler).provider("anthropic-messages")}})
    questions = [(c, f"lab/{m}", m == "stream") for c in CALLERS for m in ("answer", "error", "stream", "head")]
    for question, got in zip(questions, ask_all(gateway, questions)):
        for name, value in got.headers.items():
            assert not re.search(r"[\x00-\x1f\x7f]", name + value) and name != "forged", (question, name, value)
    for line in assert_log_is_sound(gateway, len(questions)):
        for kind in ("input", "output", "cached", "reasoning"):
            assert line.get(f"tokens_{kind}", 0) >= 0, line
    for name, samples in gateway.metrics().items():
        assert all(value >= 0 for _, value in samples), name


# --- ids and traces ---

@pytest.mark.parametrize("given, kept", [
    ("abc", True), ("A.b_c:d-9", True), ("x" * 128, True), ("x" * 129, False), ("", False), ("a b", False),
    ('a"b', False), ("a\tb", False), ("\xe9", False), ("{}", False), ("../../etc", False), ("%0a", False),
])
def test_a_caller_s_request_id_is_kept_when_it_is_harmless(gateway, given, kept):
    with gateway.raw() as client:
        answer, _ = client.ask("POST", "/v1/chat/completions", body_of("lab/m"),
                               {**gateway.authorization(), "x-request-id": given})
    found = answer.header("x-request-id")
    assert (found == given) == kept and re.fullmatch(r"[A-Za-z0-9._:-]{1,128}", found)
    assert [line for line in gateway.access_log() if line["request_id"] == found] or gateway.access(found)


def test_request_ids_differ(gateway):
    ids = [got.id for got in ask_all(gateway, [("openai", "lab/m", False)] * 20)]
    assert len(set(ids)) == 20


ID, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.parametrize("given, continued", [
    (f"00-{ID}-{SPAN}-01", True), (f"00-{ID}-{SPAN}-00", True), (f"00-{ID}-{SPAN}-ff", True),
    (f"01-{ID}-{SPAN}-01", True), (f"cc-{ID}-{SPAN}-01-what-the-future-brings", True),
    (f"ff-{ID}-{SPAN}-01", False), (f"00-{'0' * 32}-{SPAN}-01", False), (f"00-{ID}-{'0' * 16}-01", False),
    (f"00-{ID.upper()}-{SPAN}-01", False), (f"00-{ID}-{SPAN}-01-extra", False), (f"00-{ID}-{SPAN}-1", False),
    (f"00-{ID}-{SPAN}", False), (f"00-{ID[:-1]}-{SPAN}-01", False), (f"0-{ID}-{SPAN}-01", False),
    (f"00-{ID}-{SPAN}-01.", False), (f"cc-{ID}-{SPAN}-01.x", False), (f"00_{ID}_{SPAN}_01", False),
    (f"00-{ID[:-1]}g-{SPAN}-01", False), ("", False), ("nonsense", False),
])
def test_a_valid_trace_is_continued_and_an_invalid_one_replaced(gateway, mock, given, continued):
    with gateway.raw() as client:
        answer, _ = client.ask("POST", "/v1/chat/completions", body_of("lab/m"),
                               {**gateway.authorization(), "traceparent": given, "tracestate": "vendor=value,b=1"})
    ours = answer.header("traceparent")
    version, trace, span, flags = ours.split("-")
    assert re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", ours)
    assert (trace == ID) == continued and span != SPAN and set(trace) != {"0"} and set(span) != {"0"}
    assert gateway.access(answer.header("x-request-id"))["trace_id"] == trace
    asked = mock.last_request()["headers"]
    assert asked["traceparent"] == ours
    assert asked.get("tracestate") == ("vendor=value,b=1" if continued else None)
    if continued and given.startswith("00"):
        assert int(flags, 16) & 1 == int(given[53:55], 16) & 1, "sampling is the caller's choice"


# --- the line ---

def test_a_line_describes_the_request(make, mock):
    gateway = make.gateway({"providers": {"lab": mock.provider(), "ant": mock.provider("anthropic-messages")},
                            "models": {"two": {"targets": ["lab/fault-503", "ant/m;cached=4;reasoning=3"]}}})
    got = ask(gateway, "openai", "two", True)
    assert got.complete
    line = gateway.access(got.id)
    assert (line["method"], line["path"], line["endpoint"]) == ("POST", "/v1/chat/completions", "chat_completions")
    assert line["key"] == "tester" and re.fullmatch("[0-9a-f]{8,}", line["key_hash"])
    assert line["client_ip"] == "127.0.0.1" and line["status"] == 200 and line["stream"] is True
    assert (line["model_requested"], line["provider"], line["model"]) == ("two", "ant", "m;cached=4;reasoning=3")
    assert [(a["provider"], a["outcome"], a["status"]) for a in line["attempts"]] \
        == [("lab", "upstream_overloaded", 503), ("ant", "ok", 200)]
    assert line["tokens_cached"] == 4 and line["tokens_output"] > 3 and line["finish_reason"] == "stop"
    assert line["bytes_out"] == len(got.body) and line["bytes_in"] > 50
    assert 0 < line["ttft_ms"] <= line["duration_ms"] and 0 <= line["gateway_ms"] <= line["duration_ms"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["ts"])
    assert "error" not in line and "client_abort" not in line


def test_probes_and_scrapes_leave_no_line_but_the_api_does(make, mock):
    gateway = make.gateway({"providers": {"lab": mock.provider()}})
    for path in ("/livez", "/readyz", "/healthz", "/metrics", "/"):
        assert gateway.get(path).status_code == 200
    assert gateway.get("/v1/models").status_code == 200
    assert gateway.get("/v1/models/lab/x").status_code == 200
    gateway.last_access(2)
    assert [line["endpoint"] for line in gateway.access_log()] == ["models", "model"]


def test_an_unknown_price_is_not_a_cost_of_zero(make, mock):
    gateway = make.gateway({"providers": {"lab": mock.provider(), "openai": mock.provider()}})
    unknown, known = ask(gateway, "openai", "lab/m"), ask(gateway, "openai", "openai/gpt-4o-mini")
    assert "cost_nanousd" not in gateway.access(unknown.id)
    line = gateway.access(known.id)
    assert line["cost_nanousd"] == line["tokens_input"] * 150 + line["tokens_output"] * 600, line
    metrics = gateway.metrics()
    assert metrics.value("openclaw_cost_unknown_total", provider="lab") == 1
    assert metrics.value("openclaw_cost_nanousd_total") == line["cost_nanousd"]


def usd(line):
    return f"{decimal.Decimal(line['cost_nanousd']).scaleb(-9).normalize():f}"


@pytest.mark.parametrize("caller", CALLERS)
def test_the_cost_comes_in_a_field_or_after_a_stream_in_a_trailer(make, mock, caller):
    gateway = make.gateway({"providers": {"lab": mock.provider(), "openai": mock.provider()}})
    for model, stream, te in itertools.product(("lab/m", "openai/gpt-4o-mini"), (False, True), (None, "trailers")):
        with gateway.raw() as connection:
            answer, broken = connection.ask("POST", PATHS[caller], body_of(model, stream),
                                            {**gateway.authorization(), "TE": te})
            assert answer.status == 200 and not broken
            again, _ = connection.ask("GET", "/livez")    # what follows is not taken for a part of it
            assert again.status == 200
        line = gateway.access(answer.header("x-request-id"))
        field, trailers = answer.header("x-openclaw-cost-usd"), dict(answer.trailers)
        assert answer.header("trailer") == ("x-openclaw-cost-usd" if stream and te else None)
        assert field == (usd(line) if "cost_nanousd" in line and not stream else None)
        assert trailers == ({"x-openclaw-cost-usd": usd(line)} if "cost_nanousd" in line and stream and te else {})


def test_gauges_show_what_is_in_flight(make, mock):
    gateway = make.gateway({"providers": {"lab": mock.provider()}})
    clients = []
    for i in range(5):
        client = gateway.raw()
        client.send(raw.request("POST", "/v1/chat/completions", body_of("lab/m;tokens=100000;tps=20", True),
                                gateway.authorization()))
        assert client.read_head().status == 200
        clients.append(client)

    def shows(streams):
        m = gateway.metrics()
        return (m.value("openclaw_streams_in_flight"), m.value("openclaw_exchanges_in_flight"),
                m.value("openclaw_upstream_calls_open")) == (streams,) * 3
    wait_until(lambda: shows(5), "five streams")
    assert gateway.metrics().value("openclaw_connections_open") == 6        # and the one that asks
    for client in clients:
        client.close()
    wait_until(lambda: shows(0), "none")
    wait_until(lambda: gateway.metrics().value("openclaw_connections_open") == 1, "only the one that asks")


def test_a_passed_through_request_is_logged_with_its_model(make):
    """Its body is long gone when the line is written."""
    upstream = make.upstream(lambda conn: conn.answer(200, {"object": "response", "output": "x" * 3000}))
    gateway = make.gateway({"providers": {"lab": upstream.provider()}})
    for name in ("gpt-" + "x" * 50, "m", "n" * 256):
        answer = gateway.post("/v1/responses/compact", {"input": "y" * 20000, "model": f"lab/{name}"[:256]})
        assert answer.status_code == 200
        assert gateway.access_of(answer)["model_requested"] == f"lab/{name}"[:256]
        assert upstream.last_request().json()["model"] == name[:252]


def test_connections_and_heads_that_are_refused_are_logged(make, mock):
    """400, 408 and 431 for heads, 503 for connections: the line has the answer's id, and metrics count it."""
    gateway = make.gateway({"providers": {"lab": mock.provider()}, "server": {"limits": {
        "header_deadline": "300ms", "header": "2KB", "connections": 4}}}, workers=1)
    refused = {400: b"nonsense\r\n\r\n", 431: b"GET / HTTP/1.1\r\nx: " + b"y" * 3000 + b"\r\n\r\n",
               408: b"GET / HTTP/1.1\r\nHost: x\r\n"}
    codes = {400: "bad_request", 408: "request_timeout", 431: "headers_too_large", 503: "overloaded"}
    gateway.clients.clear()
    gateway._kept = None
    answers = {}
    for status, head in refused.items():
        with gateway.raw() as client:
            client.send(head)
            answers[status] = client.read()
    wait_until(lambda: gateway.metrics().value("openclaw_connections_open") <= 1, "the connections to be closed")
    held = [gateway.raw() for _ in range(4)]
    with gateway.raw() as client:
        answers[503] = client.read()
    for client in held:
        client.close()
    for status, answer in answers.items():
        assert answer.status == status and answer.header("x-openclaw-error") == codes[status], answer
        line = gateway.access(answer.header("x-request-id"))
        assert line["status"] == status and line["error"] == codes[status] and line["client_ip"] == "127.0.0.1", line
        assert line["error_message"] == answer.json()["error"]["message"] and line["bytes_out"] == len(answer.body), line
        assert "tokens_input" not in line and "path" not in line, line
        assert status != 408 or line["duration_ms"] > 200, line    # the clocks of timers and logs differ a little
    m = gateway.metrics()
    for status, code in codes.items():
        assert m.value("openclaw_requests_total", endpoint="none", status=status) >= 1
        assert m.value("openclaw_errors_total", code=code) >= 1
