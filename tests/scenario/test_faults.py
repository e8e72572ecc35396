"""Faults of providers, as seen through the gateway: an error in the client's protocol, or the next target.

A partial answer never looks complete.
"""
import json
import re
import signal
import socket
import threading
import time

import pytest

from lib import process, raw
from lib.ask import CALLERS, PATHS, ask, ask_all, body_of
from lib.process import wait_until

WIRES = {"oai": "openai-chat", "ant": "anthropic-messages"}
BOTH = (False, True)
EVERY = [(caller, provider, stream) for caller in CALLERS for provider in WIRES for stream in BOTH]

# Each clock alone is short, so that no other can be the one that strikes.
CLOCKS = {"byte": {"first_byte": "300ms"}, "token": {"first_token": "300ms"},
          "gap": {"between_tokens": "300ms"}, "total": {"total": "300ms"}}


@pytest.fixture(scope="module")
def mock(make_shared):
    return make_shared.mock()


@pytest.fixture(scope="module")
def gateway(make_shared, mock):
    """Providers oai and ant, and one more of each for every clock: oai-byte, ant-gap, ..."""
    long = {"first_byte": "5m", "first_token": "5m", "between_tokens": "5m", "total": "10m"}
    providers = {}
    for name, wire in WIRES.items():
        providers[name] = mock.provider(wire, timeouts=long)
        for clock, short in CLOCKS.items():
            providers[f"{name}-{clock}"] = mock.provider(wire, timeouts={**long, **short})
    return make_shared.gateway({"providers": providers,
                                "server": {"limits": {"event": "64KB", "answer": "128KB"}}})


def statuses(caller, status):
    """Anthropic has a status of its own for overload."""
    return {529} if (caller, status) == ("anthropic", 503) else {status}


REFUSED = {
    # fault: (our code, status)
    "400": ("bad_request", 400), "401": ("upstream_auth", 502), "403": ("upstream_forbidden", 502),
    "404": ("upstream_model_not_found", 404),
    "429": ("rate_limit_exceeded", 429), "500": ("upstream_error", 502), "502": ("upstream_error", 502),
    "503": ("upstream_overloaded", 503), "504": ("upstream_timeout", 504), "529": ("upstream_overloaded", 503),
    "quota": ("insufficient_quota", 429), "context": ("context_length_exceeded", 400),
    "reset-before": ("upstream_reset", 502), "html": ("upstream_protocol", 502),
}


def outcomes(line):
    """How the attempts ended, but for those that were lost with a reused connection and made again."""
    return [a["outcome"] for a in line["attempts"] if a["outcome"] != "upstream_stale"]


@pytest.mark.parametrize("fault", REFUSED)
def test_an_error_is_reported_in_the_client_s_protocol(gateway, fault):
    code, status = REFUSED[fault]
    questions = [(c, f"{p}/fault-{fault}", s) for c, p, s in EVERY]
    for (caller, model, stream), got in zip(questions, ask_all(gateway, questions)):
        where = (caller, model, stream, got)
        assert got.code == code and got.status in statuses(caller, status), where
        assert got.error and got.error["message"] and not got.complete and not got.broke, where
        if code == "insufficient_quota":
            assert got.headers["x-should-retry"] == "false", where
        elif got.status in (429, 503, 529):
            assert int(got.headers["retry-after"]) >= 1, where
        line = gateway.access(got.id)
        assert line["status"] == got.status and line["error"] == code, line
        assert outcomes(line) == [code], line


# What breaks an answer that has begun: (the whole answer's code, the stream's code), or our code for each provider.
# A stream that was read in one piece with what broke it has not begun for the caller, so it may be told with a
# status as well.
BROKEN = {
    "reset-mid": ("upstream_truncated", "upstream_truncated"),
    "truncated": ("upstream_protocol", "upstream_truncated"),
    "malformed": ("upstream_protocol", "upstream_protocol"),
    "huge-line": ("upstream_too_large", "upstream_too_large"),
    "empty": ("upstream_truncated", "upstream_truncated"),
    "error-first": ("upstream_overloaded", "upstream_overloaded"),
    "error-mid": ("upstream_error", "upstream_error"),
}


@pytest.mark.parametrize("pace", ["at-once", "with-pauses"])
@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_answer_never_looks_complete(gateway, fault, pace):
    knobs = ";tps=40;huge=1MB" if pace == "with-pauses" else ";huge=1MB"
    questions = [(c, f"{p}/m;fault={fault}{knobs}", s) for c, p, s in EVERY]
    for (caller, model, stream), got in zip(questions, ask_all(gateway, questions)):
        where = (caller, model, stream, got)
        code = BROKEN[fault][stream]
        line = gateway.access(got.id)
        assert not got.complete and not got.broke, where
        assert got.error and got.error["message"], where
        assert line["error"] == line["attempts"][-1]["outcome"] == code, line
        if not stream or fault in ("empty", "error-first"):
            assert got.code == code and not got.text, where
        if stream and pace == "with-pauses" and fault not in ("empty", "error-first"):
            assert got.status == 200 and got.text, where
            assert line["tokens_output"] > 0, line


def test_an_openai_stream_without_done_is_complete_if_it_has_a_finish_reason(gateway):
    """[DONE] carries nothing: the finish reason was there. It is added for callers who wait for it."""
    for caller in CALLERS:
        got = ask(gateway, caller, "oai/m;fault=no-done", True)
        assert got.complete and got.text, got
        assert gateway.access(got.id)["attempts"][0]["outcome"] == "ok"


def test_an_anthropic_stream_without_message_stop_is_broken(gateway):
    for caller in CALLERS:
        got = ask(gateway, caller, "ant/m;fault=no-done", True)
        assert not got.complete and got.error, got
        assert gateway.access(got.id)["error"] == "upstream_truncated"


def test_a_wrong_content_type_is_accepted_if_the_body_is_right(gateway):
    questions = [(c, f"{p}/m;fault=content-type", s) for c, p, s in EVERY]
    for question, got in zip(questions, ask_all(gateway, questions)):
        assert got.complete and got.text, (question, got)


SILENT = [
    # clock, knobs, streams, code, does the caller already have text?
    ("byte", "fault=hang", BOTH, "upstream_timeout", False),
    ("byte", "fault=slow-headers", BOTH, "upstream_timeout", False),
    ("token", "fault=stall;after=0", (True,), "upstream_timeout", False),
    ("token", "fault=hang", (True,), "upstream_timeout", False),
    ("gap", "fault=stall;after=2", (True,), "upstream_stalled", True),
    ("gap", "fault=stall;after=0", (False,), "upstream_stalled", False),
    ("total", "fault=hang", BOTH, "deadline_exceeded", False),
    ("total", "fault=stall;after=0", BOTH, "deadline_exceeded", False),
    ("total", "tokens=100000;tps=20", (True,), "deadline_exceeded", True),
]


@pytest.mark.parametrize("clock, knobs, streams, code, begun", SILENT,
                         ids=[f"{c}-{k.replace(';', '-')}" for c, k, *_ in SILENT])
def test_each_timeout_ends_what_is_too_slow(gateway, mock, clock, knobs, streams, code, begun):
    questions = [(c, f"{p}-{clock}/m;{knobs}", s) for c, p, s in EVERY if s in streams]
    for (caller, model, stream), got in zip(questions, ask_all(gateway, questions)):
        where = (caller, model, stream, got)
        line = gateway.access(got.id)
        assert not got.complete and not got.broke and got.error, where
        # A machine may be so slow that not even the first token made it in time.
        assert line["error"] == code, line
        if begun and got.text:
            assert got.status == 200, where
        else:
            assert (got.code, got.status) == (code, 504), where
    wait_until(lambda: mock.stats()["open"] == 0, "the provider's work to be cancelled")


# --- the next target ---

def fallback_config(mock, first, alias=None, **more):
    """An alias `two`: a target that fails, then a healthy one of the other wire; `same`: both OpenAI. `alias`: more
    settings of both."""
    good = {"good": mock.provider(), "other": mock.provider("anthropic-messages")}
    model = first.pop("model", "m")
    alias = alias or {}
    return {"providers": {"bad": first, **good},
            "models": {"same": {"targets": [f"bad/{model}", "good/second;text=from-the-second"], **alias},
                       "two": {"targets": [f"bad/{model}", "other/second;text=from-the-second"], **alias},
                       "none": {"targets": [f"bad/{model}", f"bad/{model}"]}}, **more}


def assert_second_answered(gateway, outcome):
    """Callers of both protocols, streaming and not, get the second target's answer and nothing else."""
    questions = [(c, alias, s) for c in CALLERS for alias in ("same", "two") for s in BOTH]
    for (caller, alias, stream), got in zip(questions, ask_all(gateway, questions)):
        where = (caller, alias, stream, got)
        assert got.status == 200 and got.complete, where
        assert got.text == "from-the-second", where
        assert got.headers["x-openclaw-provider"] == ("good" if alias == "same" else "other"), where
        line = gateway.access(got.id)
        assert got.headers["x-openclaw-attempts"] == str(len(line["attempts"])), where
        first, *rest = outcomes(line)
        assert first in outcome and rest == ["ok"], line
        assert "error" not in line and line["model_requested"] == alias, line


MOVES_ON = {
    "429": {"rate_limit_exceeded"}, "500": {"upstream_error"}, "503": {"upstream_overloaded"},
    "529": {"upstream_overloaded"}, "401": {"upstream_auth"}, "404": {"upstream_model_not_found"},
    "quota": {"insufficient_quota"}, "context": {"context_length_exceeded"},
    "reset-before": {"upstream_reset"}, "html": {"upstream_protocol"},
    "malformed;after=0": {"upstream_protocol"}, "error-first": {"upstream_overloaded"},
    "empty": {"upstream_truncated", "upstream_protocol"},
    "truncated;after=0": {"upstream_truncated", "upstream_protocol"},
    "reset-mid;after=0": {"upstream_truncated", "upstream_protocol", "upstream_reset"},
    "huge-line;after=0;huge=1MB": {"upstream_too_large"},
}


def named(alias, fault):
    return alias + "-" + re.sub("[;=]", ".", fault)


@pytest.fixture(scope="module")
def falling(make_shared, mock):
    """Aliases for every fault that another target can make good."""
    good = {"bad": mock.provider(), "good": mock.provider(), "other": mock.provider("anthropic-messages")}
    models = {}
    for fault in MOVES_ON:
        for alias, second in (("same", "good"), ("two", "other")):
            models[named(alias, fault)] = {"targets": [f"bad/m;fault={fault}",
                                                      f"{second}/second;text=from-the-second"]}
    return make_shared.gateway({"providers": good, "models": models,
                                "server": {"limits": {"event": "64KB", "answer": "128KB"}}})


@pytest.mark.parametrize("fault", MOVES_ON)
def test_before_the_first_token_the_next_target_answers(falling, fault):
    questions = [(c, named(alias, fault), s) for c in CALLERS for alias in ("same", "two") for s in BOTH]
    for (caller, alias, stream), got in zip(questions, ask_all(falling, questions)):
        where = (caller, alias, stream, got)
        assert got.status == 200 and got.complete and got.text == "from-the-second", where
        assert got.headers["x-openclaw-provider"] == ("good" if alias.startswith("same") else "other"), where
        line = falling.access(got.id)
        assert got.headers["x-openclaw-attempts"] == str(len(line["attempts"])), where
        first, *rest = outcomes(line)
        assert first in MOVES_ON[fault] and rest == ["ok"] and "error" not in line, line


@pytest.mark.parametrize("clock, knobs", [("first_byte", "fault=hang"), ("first_byte", "fault=slow-headers"),
                                          ("first_token", "fault=stall;after=0"),
                                          ("between_tokens", "fault=stall;after=0")])
def test_a_silent_target_is_abandoned_for_the_next(make, mock, clock, knobs):
    bad = {**mock.provider(), "model": f"m;{knobs}", "timeouts": {clock: "300ms"}}
    gateway = make.gateway(fallback_config(mock, bad))
    if clock == "first_byte":
        assert_second_answered(gateway, {"upstream_timeout"})
        return
    for caller in CALLERS:      # a whole answer has no first token; a stream's gaps are counted behind it
        for alias in ("same", "two"):
            got = ask(gateway, caller, alias, clock == "first_token")
            assert got.complete and got.text == "from-the-second", got
            outcome = "upstream_timeout" if clock == "first_token" else "upstream_stalled"
            assert gateway.access(got.id)["attempts"][0]["outcome"] == outcome


def test_a_refused_connection_falls_back(make, mock):
    bad = {"wire": "openai-chat", "base_url": f"http://127.0.0.1:{process.free_port()}/v1"}
    assert_second_answered(make.gateway(fallback_config(mock, bad)), {"upstream_connect"})


def test_a_name_that_does_not_exist_falls_back(make, mock):
    bad = {"wire": "openai-chat", "base_url": "http://no-such-host.invalid/v1", "timeouts": {"connect": "5s"}}
    gateway = make.gateway(fallback_config(mock, bad))
    assert_second_answered(gateway, {"upstream_dns", "upstream_connect_timeout", "upstream_connect"})


def test_a_connection_that_is_never_established_falls_back(make, mock):
    """A listener whose queue is full answers no SYN."""
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        fillers = []
        for _ in range(8):
            s = socket.socket()
            s.setblocking(False)
            s.connect_ex(deaf.getsockname())
            fillers.append(s)
        bad = {"wire": "openai-chat", "base_url": f"http://127.0.0.1:{deaf.getsockname()[1]}/v1",
               "timeouts": {"connect": "200ms"}}
        assert_second_answered(make.gateway(fallback_config(mock, bad)), {"upstream_connect_timeout"})
        for s in fillers:
            s.close()


def test_plain_http_where_tls_is_expected_falls_back(make, mock):
    bad = {"wire": "openai-chat", "base_url": f"https://{mock.host}/v1"}
    assert_second_answered(make.gateway(fallback_config(mock, bad)), {"upstream_tls"})


NOISE = {
    "garbage": b"\x00\xff\x17 this is no HTTP \r\n\r\n",
    "another protocol": b"SSH-2.0-OpenSSH_9.2\r\n",
    "half a head": b"HTTP/1.1 200 OK\r\nContent-Ty",
    "a head and no body": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "a bad chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    "an endless head": b"HTTP/1.1 200 OK\r\n" + b"X-Filler: " + b"a" * 200000,
    "a redirect": b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
    "a switch": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    "a refusal cut short": b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 1000\r\n\r\n{\"err",
}


@pytest.mark.parametrize("noise", NOISE)
def test_garbage_instead_of_an_answer_falls_back(make, mock, noise):
    def handler(conn):
        conn.send(NOISE[noise])
        conn.close()
    upstream = make.upstream(handler)
    gateway = make.gateway(fallback_config(mock, upstream.provider()))
    assert_second_answered(gateway, {"upstream_protocol", "upstream_truncated", "upstream_reset", "upstream_error",
                                     "upstream_overloaded"})


# --- answers that say nothing ---

def said_nothing(wire, stream, finish, tokens):
    """Complete as its framing says: no content, a finish reason (or none), and output tokens as given."""
    if wire == "anthropic-messages":
        usage = {"input_tokens": 3, "output_tokens": tokens}
        message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [], "usage": usage,
                   "stop_reason": None, "stop_sequence": None}
        if not stream:
            return json.dumps({**message, "stop_reason": finish}).encode()
        return b"".join(b"event: %s\ndata: %s\n\n" % (doc["type"].encode(), json.dumps(doc).encode()) for doc in (
            {"type": "message_start", "message": message}, {"type": "ping"},
            {"type": "message_delta", "delta": {"stop_reason": finish, "stop_sequence": None}, "usage": usage},
            {"type": "message_stop"}))
    usage = {"prompt_tokens": 3, "completion_tokens": tokens}
    finish = finish and finish.replace("end_turn", "stop")
    if not stream:
        return json.dumps({"choices": [{"index": 0, "message": {"role": "assistant", "content": ""},
                                        "finish_reason": finish}], "usage": usage}).encode()
    docs = ({"id": "c", "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]},
            {"id": "c", "choices": [{"index": 0, "delta": {}, "finish_reason": finish}]},
            {"id": "c", "choices": [], "usage": usage})
    return b"".join(b"data: %s\n\n" % json.dumps(d).encode() for d in docs) + b"data: [DONE]\n\n"


def saying_nothing(wire, finish, tokens, pause=0.0):
    def handler(conn):
        stream = bool(conn.request.json().get("stream"))
        body = said_nothing(wire, stream, finish, tokens)
        if not stream:
            conn.answer(200, body)
            return
        conn.head(200, "text/event-stream")
        for event in body.split(b"\n\n")[:-1]:
            conn.chunk(event + b"\n\n")
            time.sleep(pause)
        conn.end_chunks()
    return handler


@pytest.mark.parametrize("finish, tokens", [("end_turn", 0), (None, 2)])
@pytest.mark.parametrize("wire", WIRES.values())
def test_an_empty_answer_is_none_and_nothing_of_it_is_sent(make, mock, wire, finish, tokens):
    upstream = make.upstream(saying_nothing(wire, finish, tokens, pause=0.02))
    gateway = make.gateway(fallback_config(mock, upstream.provider(wire)))
    assert_second_answered(gateway, {"upstream_empty"})
    for caller in CALLERS:
        for stream in BOTH:
            got = ask(gateway, caller, "bad/m", stream)
            assert got.code == "upstream_empty" and not got.complete and got.status == 502, got


@pytest.mark.parametrize("finish, tokens", [("end_turn", 2), ("max_tokens", 0), ("refusal", 0)])
def test_an_empty_answer_that_is_meant_passes(make, mock, finish, tokens):
    upstream = make.upstream(saying_nothing("anthropic-messages", finish, tokens))
    gateway = make.gateway(fallback_config(mock, upstream.provider("anthropic-messages")))
    for caller in CALLERS:
        for stream in BOTH:
            got = ask(gateway, caller, "two", stream)
            assert got.status == 200 and got.complete and got.text == "", got
            assert outcomes(gateway.access(got.id)) == ["ok"], got


def test_comments_are_no_sign_of_life_before_the_first_token(make, mock):
    def handler(conn):
        conn.head(200, "text/event-stream")
        for _ in range(100):
            conn.chunk(b": OPENROUTER PROCESSING\n\n")
            time.sleep(0.1)
    upstream = make.upstream(handler)
    gateway = make.gateway(fallback_config(mock, upstream.provider(timeouts={"first_token": "500ms"})))
    for caller in CALLERS:
        got = ask(gateway, caller, "two", True)
        assert got.complete and got.text == "from-the-second", got
        assert outcomes(gateway.access(got.id)) == ["upstream_timeout", "ok"], got


# What a status says of the provider itself is not the caller's fault, whatever type the body names.
STATUSES = {
    # status: (our code, does the next target get its turn?)
    400: ("bad_request", False), 422: ("bad_request", False), 413: ("request_too_large", False),
    401: ("upstream_auth", True), 403: ("upstream_forbidden", True), 404: ("upstream_model_not_found", True),
    408: ("upstream_timeout", True), 409: ("upstream_error", True), 421: ("upstream_error", True),
    425: ("upstream_error", True), 429: ("rate_limit_exceeded", True), 499: ("upstream_error", True),
    500: ("upstream_error", True), 502: ("upstream_error", True), 503: ("upstream_overloaded", True),
    504: ("upstream_timeout", True), 520: ("upstream_error", True), 522: ("upstream_timeout", True),
    524: ("upstream_timeout", True), 529: ("upstream_overloaded", True), 530: ("upstream_error", True),
}


@pytest.mark.parametrize("wire", ["openai-chat", "anthropic-messages"])
def test_the_status_decides_between_fallback_and_error(make, mock, wire):
    def handler(conn):
        conn.answer(int(conn.request.json()["model"]), {"type": "error", "error": {
            "type": "invalid_request_error", "message": "no"}})
    config = {"providers": {"bad": make.upstream(handler).provider(wire), "good": mock.provider()},
              "models": {f"then-{s}": {"targets": [f"bad/{s}", "good/m;text=from-the-second"]} for s in STATUSES}}
    gateway = make.gateway(config)
    questions = [(c, f"{name}{s}", stream) for c in CALLERS for name in ("bad/", "then-") for s in STATUSES
                 for stream in BOTH]
    for (caller, model, stream), got in zip(questions, ask_all(gateway, questions)):
        code, moves_on = STATUSES[int(model.strip("badthen-/"))]
        where = (caller, model, stream, got)
        if moves_on and model.startswith("then"):
            assert got.complete and got.text == "from-the-second", where
        else:
            assert got.code == code and not got.complete, where
        assert gateway.access(got.id)["attempts"][0]["outcome"] == code, where


def test_a_truncated_error_keeps_its_kind(make):
    def handler(conn):
        conn.send(b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 17\r\nContent-Length: 1000\r\n\r\n{\"error\":")
        conn.close()
    gateway = make.gateway({"providers": {"bad": make.upstream(handler).provider()}})
    for stream in BOTH:
        got = ask(gateway, "openai", "bad/m", stream)
        assert (got.status, got.code, got.headers["retry-after"]) == (429, "rate_limit_exceeded", "17"), got


def test_an_error_that_never_ends_is_still_reported(make):
    def handler(conn):
        conn.send(b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 1000\r\n\r\n{\"error\":")
        conn.stall()
    gateway = make.gateway({"providers": {"bad": make.upstream(handler).provider()}})
    got = ask(gateway, "openai", "bad/m")
    assert (got.status, got.code) == (502, "upstream_error"), got


# --- behind the first token there is no way back (where streams are not continued: test_stream_breaks.py) ---

NOT_CONTINUED = {"on_stream_break": "error"}


@pytest.mark.parametrize("fault", ["reset-mid", "truncated", "malformed", "error-mid", "huge-line", "stall"])
def test_after_the_first_token_there_is_no_fallback(make, mock, fault):
    bad = {**mock.provider(), "model": f"m;text=one.two.three.four.five.six.seven.eight.nine.ten;tps=40;huge=1MB;fault={fault}",
           "timeouts": {"between_tokens": "400ms"}}
    gateway = make.gateway(fallback_config(mock, bad, NOT_CONTINUED, server={"limits": {"event": "64KB"}}))
    for caller in CALLERS:
        for alias in ("same", "two"):
            got = ask(gateway, caller, alias, True)
            assert got.status == 200 and got.error and not got.complete and not got.broke, got
            assert got.text and "one.two.three.four.five.six.seven.eight.nine.ten".startswith(got.text), got
            assert "from-the-second" not in got.body.decode(), got
            line = gateway.access(got.id)
            assert len(line["attempts"]) == 1 and line["status"] == 200 and line["error"], line
            assert line["tokens_output"] > 0 and line["tokens_estimated"], line
    attempts = gateway.metrics()["openclaw_upstream_attempts_total"]
    assert {labels["provider"] for labels, _ in attempts} == {"bad"}, "the second target was asked"


def frame(text):
    return b'data: {"id":"1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,' \
           b'"delta":{"content":"%b"},"finish_reason":null}]}\n\n' % text


def test_data_before_the_failure_reaches_the_client_unchanged(make):
    """Good frames and a bad one arrive together, and other streams in the same turn of the loop: the good ones
    are passed on as the provider's own bytes, and nobody else's."""
    good = b"".join(frame(b"%d." % i) for i in range(100))
    others = b"".join(frame(b"somebody-else") for _ in range(300))
    go = threading.Event()

    def handler(conn):
        bad = conn.request.json()["model"] == "bad"
        conn.head(200, "text/event-stream")
        conn.chunk(frame(b"first."))
        go.wait(process.PATIENCE)
        conn.chunk(good + b"data: {\"broken\n\n" + frame(b"never") if bad else others)
        conn.end_chunks()

    def start(model):
        client = gateway.raw()
        client.send(raw.request("POST", "/v1/chat/completions", body_of(f"lab/{model}", True),
                                gateway.authorization()))
        assert client.read_head().status == 200
        assert client.read_chunk() == frame(b"first.")
        return client

    gateway = make.gateway({"providers": {"lab": make.upstream(handler).provider()}}, workers=1)
    for _ in range(4):
        go.clear()
        clients = [start(model) for model in ("other", "bad", "other", "bad", "other")]
        # The loop reads this for a while; then all of them have something to say at once.
        busy = gateway.raw()
        busy.send(raw.request("POST", "/v1/chat/completions", body_of("lab/m", x=["y"] * 900000),
                              gateway.authorization()))
        go.set()
        for client in (clients[1], clients[3]):
            got = b""
            while chunk := client.read_chunk():
                got += chunk
            assert got.startswith(good) and b"never" not in got and b"somebody-else" not in got, got
            assert b'"error"' in got[len(good):], got
        for client in [busy, *clients]:
            client.close()


def test_an_answer_that_starts_and_breaks_at_once_is_not_continued_by_another_target(make, mock):
    """Each event in a chunk of its own, all of them in one segment, the last one broken."""
    def handler(conn):
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
                  + b"".join(b"%x\r\n%b\r\n" % (len(data), data) for data in (
                      frame(b"from-the-first"), b"data: {\"broken\n\n", frame(b"never")))
                  + b"0\r\n\r\n")
    gateway = make.gateway(fallback_config(mock, make.upstream(handler).provider(), NOT_CONTINUED))
    for caller in CALLERS:
        for alias in ("same", "two"):
            got = ask(gateway, caller, alias, True)
            if got.complete:
                assert got.text == "from-the-second", got
            else:
                assert got.error and got.text == "from-the-first" and b"from-the-second" not in got.body, got
            line = gateway.access(got.id)
            assert line["attempts"][0]["outcome"] == "upstream_protocol", line


# --- all of them failed ---

def test_when_all_targets_failed_the_error_names_each_attempt(make, mock):
    gateway = make.gateway({"providers": {"a": mock.provider(), "b": mock.provider("anthropic-messages"),
                                          "c": {"wire": "openai-chat",
                                                "base_url": f"http://127.0.0.1:{process.free_port()}/v1"}},
                            "models": {"all": {"targets": ["a/fault-500", "c/m", "b/fault-429"]}}})
    for caller in CALLERS:
        for stream in BOTH:
            got = ask(gateway, caller, "all", stream)
            assert got.status == 502 and got.code == "upstream_error" and not got.complete, got
            for part in ("a/fault-500: upstream_error", "c/m: upstream_connect", "b/fault-429: rate_limit_exceeded"):
                assert part in got.error["message"], got.error
            line = gateway.access(got.id)
            assert [a["provider"] for a in line["attempts"]] == ["a", "c", "b"], line
            assert got.headers["x-openclaw-attempts"] == "3"


@pytest.mark.parametrize("fault", ["429", "503", "529"])
def test_retry_after_is_forwarded(gateway, fault):
    questions = [(c, f"{p}/m;fault={fault};retry-after=23", s) for c, p, s in EVERY]
    for question, got in zip(questions, ask_all(gateway, questions)):
        assert got.headers["retry-after"] == "23", (question, got)


@pytest.mark.parametrize("field, expected", [
    (("Retry-After", "7"), "7"), (("retry-after-ms", "2500"), "3"), (("Retry-After", "999999999"), "86400"),
    (("Retry-After", "soon"), "1"), (("Retry-After", "-5"), "1"),
    (("Retry-After", "Sun, 06 Nov 1994 08:49:37 GMT"), "1"),
])
def test_every_form_of_retry_after_becomes_seconds(make, field, expected):
    def handler(conn):
        conn.answer(429, {"error": {"message": "slow down", "type": "rate_limit"}}, fields=[field])
    gateway = make.gateway({"providers": {"bad": make.upstream(handler).provider()}})
    assert ask(gateway, "openai", "bad/m").headers["retry-after"] == expected


# --- keep-alives came first ---

def test_a_stream_of_which_only_keep_alives_were_sent_ends_with_an_error(make, mock):
    """The head had to go out before anything was known; then both targets failed."""
    bad = {**mock.provider(), "model": "m;fault=hang", "timeouts": {"first_byte": "1s"}}
    config = fallback_config(mock, bad, server={"keepalive": "100ms"})
    config["providers"]["dead"] = {"wire": "openai-chat", "base_url": f"http://127.0.0.1:{process.free_port()}/v1"}
    config["models"]["none"] = {"targets": ["bad/m;fault=hang", "dead/m"]}
    gateway = make.gateway(config)
    for caller in CALLERS:
        got = ask(gateway, caller, "none", True)
        assert got.status == 200 and b": keep-alive" in got.body, got
        assert got.error and not got.complete, got
    for caller in CALLERS:        # the second still answers, in the stream that has begun
        for alias in ("same", "two"):
            got = ask(gateway, caller, alias, True)
            assert got.status == 200 and got.complete and got.text == "from-the-second", got
            assert b": keep-alive" in got.body


# --- processes that die ---

def test_a_provider_killed_mid_stream_is_an_error_and_its_successor_serves(make, mock):
    victim = make.mock(expect_status=-signal.SIGKILL)
    gateway = make.gateway({"providers": {"victim": victim.provider(), "good": mock.provider()},
                            "models": {"both": {**NOT_CONTINUED, "targets": ["victim/m;tokens=200;tps=5",
                                                                             "good/m;text=from-the-second"]}}})
    questions = [(c, "both", True) for c in CALLERS for _ in range(3)]
    results = []
    asking = threading.Thread(target=lambda: results.extend(ask_all(gateway, questions)))
    asking.start()
    wait_until(lambda: victim.stats()["output_tokens"] > 30, "streams under way")
    victim.program.kill()
    asking.join(4 * process.PATIENCE)
    for got in results:
        assert got.status == 200 and got.text and got.error and not got.complete and not got.broke, got
        assert gateway.access(got.id)["error"] == "upstream_truncated"
    for caller in CALLERS:
        for stream in BOTH:
            got = ask(gateway, caller, "both", stream)
            assert got.complete and got.text == "from-the-second", got


def test_a_killed_gateway_is_noticed_and_its_successor_serves_at_once(make, mock):
    port = process.free_port()
    config = {"providers": {"lab": mock.provider()}, "server": {"listen": f"127.0.0.1:{port}"}}
    first = make.gateway(config)
    first.checks = False
    mock.reset()
    questions = [(c, "lab/m;tokens=200;tps=5", True) for c in CALLERS for _ in range(3)]
    results = []
    asking = threading.Thread(target=lambda: results.extend(ask_all(first, questions)))
    asking.start()
    wait_until(lambda: mock.stats()["output_tokens"] > 30, "streams under way")
    first.program.kill()
    asking.join(4 * process.PATIENCE)
    assert all(got.broke and not got.complete for got in results), results
    second = make.gateway(config)
    got = ask(second, "openai", "lab/m;text=again")
    assert got.complete and got.text == "again"
    wait_until(lambda: mock.stats()["open"] == 0, "the provider to notice")
    assert mock.stats()["aborted"] == len(questions)


def gone(gateway):
    return [line for line in gateway.access_log() if line.get("client_abort")]


def test_a_client_that_disconnects_cancels_the_upstream_request(mock, gateway):
    before, known = mock.stats()["aborted"], len(gone(gateway))
    for caller, provider, stream in EVERY:
        client = gateway.raw()
        client.send(raw.request("POST", PATHS[caller], body_of(f"{provider}/m;tokens=100000;tps=50", stream),
                                gateway.authorization()))
        if stream:
            assert client.read_head().status == 200
            client.read_chunk()
        else:
            wait_until(lambda: mock.stats()["open"] > 0, "the request to arrive")
        client.close()
        wait_until(lambda: mock.stats()["open"] == 0, f"{caller} {provider} {stream}: to be cancelled")
    assert mock.stats()["aborted"] == before + len(EVERY)
    lines = wait_until(lambda: len(gone(gateway)) >= known + len(EVERY) and gone(gateway), "their lines")
    for line in lines[-len(EVERY):]:
        assert line["error"] == "client_gone" and line["attempts"][-1]["outcome"] == "client_gone", line
        if line["status"] == 200:
            assert line["tokens_estimated"] and line["tokens_output"] > 0, line
        else:
            assert line["status"] == 499, line


# --- answers of another shape than was asked for ---

OPENAI_WHOLE = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [{
    "index": 0, "message": {"role": "assistant", "content": "Hi there"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}}
ANTHROPIC_WHOLE = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [
    {"type": "text", "text": "Hi there"}], "stop_reason": "end_turn", "stop_sequence": None,
    "usage": {"input_tokens": 3, "output_tokens": 2}}


def openai_frame(delta, finish=None):
    return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [
        {"index": 0, "delta": delta, "finish_reason": finish}]}


def events(*documents):
    return b"".join((f"event: {d['type']}\n" if "type" in d else "").encode() + b"data: " + json.dumps(d).encode()
                    + b"\n\n" for d in documents)


OPENAI_STREAM = events(openai_frame({"role": "assistant", "content": "Hi"}), openai_frame({"content": " there"}),
                       openai_frame({}, "stop")) + b"data: [DONE]\n\n"
ANTHROPIC_STREAM = events(
    {"type": "message_start", "message": {**ANTHROPIC_WHOLE, "content": [], "stop_reason": None}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi there"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": {"output_tokens": 2}},
    {"type": "message_stop"})
SHAPES = {("openai-chat", False): json.dumps(OPENAI_WHOLE).encode(), ("openai-chat", True): OPENAI_STREAM,
          ("anthropic-messages", False): json.dumps(ANTHROPIC_WHOLE).encode(),
          ("anthropic-messages", True): ANTHROPIC_STREAM}


@pytest.mark.parametrize("wire", WIRES.values())
@pytest.mark.parametrize("blanks", [b"", b"\n \n"])
@pytest.mark.parametrize("piece", [None, 1])
def test_an_answer_is_read_by_its_form_and_sent_as_requested(make, wire, blanks, piece):
    """Whatever its label says, and whatever shape was asked for."""
    def handler(conn):
        shape, label = conn.request.json()["model"].split("-as-")
        body = blanks + SHAPES[wire, shape == "stream"]
        conn.head(200, {"json": "application/json", "sse": "text/event-stream", "none": None}[label], len(body))
        conn.send(body, piece=piece)
    gateway = make.gateway({"providers": {"lab": make.upstream(handler).provider(wire)}})
    questions = [(c, f"lab/{shape}-as-{label}", s) for c in CALLERS for shape in ("whole", "stream")
                 for label in ("json", "sse", "none") for s in BOTH]
    for (caller, model, stream), got in zip(questions, ask_all(gateway, questions)):
        where = (caller, model, stream, got)
        assert got.status == 200 and got.complete and got.text == "Hi there", where
        assert got.headers["content-type"].startswith("text/event-stream" if stream else "application/json"), where
        line = gateway.access(got.id)
        assert line["attempts"][0]["outcome"] == "ok" and "error" not in line, line


TRAILING = {
    # bytes after the terminator: can the connection still be reused?
    b"": True, b"\n\n": True, b": bye\n\n": True, b"data: [DONE]\n\n": True,
    b'data: {"id":"x"}\n\n': False, b"data: nonsense\n\n": False, b'data: {"half': False,
    b'event: error\ndata: {"error":{"message":"m"}}\n\n': False,
}


@pytest.mark.parametrize("wire", WIRES.values())
@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("tail", TRAILING)
def test_nothing_after_the_terminator_is_forwarded(make, wire, tail, together):
    def handler(conn):
        conn.head(200, "text/event-stream")
        good = SHAPES[wire, True]
        if together:
            conn.send(b"%x\r\n%b\r\n0\r\n\r\n" % (len(good + tail), good + tail))
        else:
            conn.chunk(good)
            time.sleep(0.05)
            conn.chunk(tail)
            conn.end_chunks()
    upstream = make.upstream(handler)
    gateway = make.gateway({"providers": {"lab": upstream.provider(wire)}}, workers=1)
    for caller in CALLERS:
        for stream in BOTH:
            got = ask(gateway, caller, "lab/m", stream)
            assert got.complete and got.text == "Hi there", got
            if stream and PATHS[caller].endswith("messages") == (wire == "anthropic-messages"):
                assert got.body == SHAPES[wire, True], got
            assert "error" not in gateway.access(got.id)
    assert upstream.connections == (1 if TRAILING[tail] else 4)


# --- routes that are only passed through ---

def passing(make, mock, first, **more):
    """An alias `x`: a raw provider, then one of another protocol that cannot take the route, then a healthy one."""
    return make.gateway({"providers": {"bad": make.upstream(first).provider(**more), "good": mock.provider(),
                                       "other": mock.provider("anthropic-messages")},
                         "models": {"x": {"targets": ["bad/m", "other/m", "good/omni"]},
                                    "alone": {"targets": ["bad/m", "other/m"]}}})


@pytest.mark.parametrize("failure, outcome", [
    ("reset", "upstream_reset"), ("silent", "upstream_timeout"), ("429", "rate_limit_exceeded"),
    ("500", "upstream_error"), ("503", "upstream_overloaded"), ("404", "upstream_model_not_found"),
    ("401", "upstream_auth"), ("403", "upstream_forbidden"), ("head", "upstream_truncated")])
def test_a_passed_through_request_that_a_provider_may_have_seen_is_sent_to_no_other(make, failure, outcome):
    """It may have an effect that must not happen twice: a stored response, an image."""
    def handler(conn):
        if failure == "reset":
            conn.reset()
        elif failure == "silent":
            conn.stall()
        elif failure == "head":
            conn.head(200, "application/json", 100)
            conn.close()
        else:
            conn.answer(int(failure), {"error": {"message": "no", "type": "x"}})
    good = make.mock()
    gateway = passing(make, good, handler, timeouts={"first_byte": "300ms"})
    answer = gateway.post("/v1/moderations", {"input": "I hate it", "model": "x"})
    assert answer.status_code >= 400 and answer.json()["error"], answer.text
    line = gateway.access_of(answer)
    assert [a["outcome"] for a in line["attempts"]] == [outcome] and line["error"] == outcome, line
    assert not good.requests()


def test_a_passed_through_request_that_could_not_be_sent_goes_to_the_next_target(make, mock):
    gateway = make.gateway({"providers": {"bad": {"wire": "openai-chat", "base_url": f"http://127.0.0.1:{process.free_port()}/v1"},
                                          "good": mock.provider()},
                            "models": {"x": {"targets": ["bad/m", "good/omni"]}}})
    answer = gateway.post("/v1/moderations", {"input": "I hate it", "model": "x"})
    assert answer.status_code == 200 and answer.json()["results"], answer.text
    assert answer.headers["x-openclaw-provider"] == "good" and answer.headers["x-openclaw-attempts"] == "2"
    line = gateway.access_of(answer)
    assert [a["outcome"] for a in line["attempts"]] == ["upstream_connect", "ok"] and "error" not in line, line
    assert mock.last_request()["json"] == {"input": "I hate it", "model": "omni"}


@pytest.mark.parametrize("status, outcome", [(400, "bad_request"), (404, "upstream_model_not_found"),
                                             (409, "upstream_error"), (429, "rate_limit_exceeded"),
                                             (500, "upstream_error"), (503, "upstream_overloaded")])
@pytest.mark.parametrize("model", ["bad/m", "alone"])
def test_an_error_on_a_passed_through_route_is_forwarded_and_counted(make, mock, model, status, outcome):
    body = json.dumps({"error": {"message": "no such file", "type": "odd", "own": [1.0]}}, indent=3).encode()
    gateway = passing(make, mock, lambda conn: conn.answer(status, body, "application/problem+json",
                                                           [("Retry-After", "7")]))
    answer = gateway.post("/v1/moderations", {"input": "x", "model": model})
    assert (answer.status_code, answer.content) == (status, body)
    assert answer.headers["content-type"] == "application/problem+json" and answer.headers["retry-after"] == "7"
    assert answer.headers["x-openclaw-error"] == outcome and answer.headers["x-openclaw-attempts"] == "1"
    line = gateway.access_of(answer)
    assert line["error"] == outcome and [a["outcome"] for a in line["attempts"]] == [outcome], line
    assert line["status"] == status and line["bytes_out"] == len(body), line
    assert gateway.metrics().value("openclaw_upstream_attempts_total", provider="bad", outcome=outcome) == 1


@pytest.mark.parametrize("body, length", [(b"x" * 100000, None), (b"x" * 50, 1000)])
def test_a_truncated_error_is_replaced_by_our_own(make, mock, body, length):
    def handler(conn):
        conn.head(500, "text/plain", length or len(body))
        conn.send(body)
        conn.close()
    answer = passing(make, mock, handler).post("/v1/moderations", {"input": "x", "model": "bad/m"})
    assert answer.status_code == 502 and answer.json()["error"]["code"] == "upstream_error"


def test_an_error_for_a_head_request_is_forwarded(make, mock):
    gateway = make.gateway({"providers": {"lab": make.upstream(lambda conn: conn.head(404, "text/plain", 12))
                                          .provider()}})
    with gateway.raw() as client:
        client.send(raw.request("HEAD", "/v1/files/f", b"", gateway.authorization()))
        head = client.read_head()
        assert head.status == 404 and head.header("content-length") == "12"
        client.send(raw.request("HEAD", "/v1/files/f", b"", gateway.authorization()))
        assert client.read_head().status == 404


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("end", ["close", "reset"])
def test_a_passed_through_answer_that_breaks_is_cut_for_the_client(make, framing, end):
    def handler(conn):
        if framing == "length":
            conn.head(200, "application/json", 1000)
            conn.send(b'{"half": "')
        else:
            conn.head(200, "application/json")
            conn.chunk(b'{"half":\n"way"\n')
        sent.wait(process.PATIENCE)
        conn.close() if end == "close" else conn.reset()
    sent = threading.Event()
    gateway = make.gateway({"providers": {"lab": make.upstream(handler).provider()}})
    with gateway.raw() as client:
        client.send(raw.request("POST", "/v1/responses/compact", {"model": "lab/m", "input": "x", "stream": True},
                                gateway.authorization()))
        assert client.read_head().status == 200
        assert client._bytes(5)
        sent.set()
        with pytest.raises(raw.Cut):
            client.buffer = b""
            while True:
                client._more()
                assert b"\r\n0\r\n\r\n" not in client.buffer
    assert gateway.last_access()["error"] == "upstream_truncated"
    gateway.idle()


@pytest.mark.parametrize("content_type, begun", [("text/event-stream", True), ("text/event-stream", False),
                                                 ("application/json", True), ("application/json", False)])
def test_a_passed_through_answer_that_stalls_is_cut_or_an_error(make, mock, content_type, begun):
    def handler(conn):
        conn.head(200, content_type)
        if begun:
            conn.chunk(b'data: {"type": "response.created"}\n\n')
        gave_up.append(conn.stall())
    gave_up = []
    gateway = passing(make, mock, handler, timeouts={"between_tokens": "300ms", "first_token": "5m"})
    with gateway.raw() as client:
        answer, broke = client.ask("POST", "/v1/moderations", {"model": "x", "input": "x", "stream": True},
                                   gateway.authorization())
    if begun:
        stream = content_type == "text/event-stream"
        assert broke != stream and answer.status == 200 and b"response.created" in answer.body, answer
        assert not stream or b"event: error" in answer.body, answer
        assert gateway.last_access()["error"] == "upstream_stalled"
    else:
        assert not broke and answer.status == 504 and answer.json()["error"], answer
        assert [a["outcome"] for a in gateway.last_access()["attempts"]] == ["upstream_stalled"]
    wait_until(lambda: gave_up == [True], "the provider to be told")


PASSED_STREAMS = {
    "responses": ("openai-chat", "/v1/responses/compact",
                  [b'event: response.created\ndata: {"type":"response.created","sequence_number":0}\n\n',
                   b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"Hi",'
                   b'"sequence_number":1}\n\n']),
    "images": ("openai-chat", "/v1/images/generations",
               [b'event: image_generation.partial_image\ndata: {"type":"image_generation.partial_image"}\n\n',
                b'data: {"type":"more"}\r\n\r\n']),
    "anthropic": ("anthropic-messages", "/v1/complete",
                  [b'event: completion\ndata: {"completion":"Hi"}\n\n', b'event: ping\ndata: {"type":"ping"}\n\n']),
}


def passed_stream(make, route, handler, **server):
    wire, path, _ = PASSED_STREAMS[route]
    gateway = make.gateway({"providers": {"lab": make.upstream(handler).provider(
        wire, timeouts={"between_tokens": "1500ms"})}, "default_provider": "lab", "server": server}, workers=1)
    with gateway.raw() as client:
        answer, broke = client.ask("POST", path, {"model": "lab/m", "input": "x", "prompt": "x", "stream": True},
                                   gateway.authorization())
    assert answer.status == 200 and not broke, answer
    return gateway, answer.body


@pytest.mark.parametrize("end", ["close", "reset", "stall"])
@pytest.mark.parametrize("half", [b"", b"event: half\ndata: {", b"data: {}\n"])
@pytest.mark.parametrize("route", PASSED_STREAMS)
def test_a_passed_through_event_stream_that_breaks_ends_with_an_error_event(make, route, half, end):
    events = PASSED_STREAMS[route][2]

    def handler(conn):
        conn.head(200, "text/event-stream")
        for event in events:
            conn.chunk(event)
        if half:
            conn.chunk(half)
        time.sleep(0.2)
        {"close": conn.close, "reset": conn.reset, "stall": conn.stall}[end]()
    gateway, body = passed_stream(make, route, handler)
    whole = b"".join(events)
    assert body.startswith(whole) and body.endswith(b"\n\n"), body
    name, data = body[len(whole):].split(b"\n", 1)
    assert name == b"event: error" and data.startswith(b"data: ") and data.count(b"\n") == 2, body
    error = json.loads(data[6:])
    if route == "responses":
        assert error["type"] == "error" and error["message"] and error["sequence_number"] == 2 and error["code"], error
    else:
        assert error["error"]["message"] and error["error"]["type"], error
    line = gateway.last_access()
    assert line["error"] == ("upstream_stalled" if end == "stall" else "upstream_truncated"), line
    gateway.idle()


@pytest.mark.parametrize("route", PASSED_STREAMS)
def test_a_passed_through_event_stream_is_kept_alive_between_events(make, route):
    events = PASSED_STREAMS[route][2]

    def handler(conn):
        conn.head(200, "text/event-stream")
        time.sleep(0.7)
        for event in events:
            conn.chunk(event[:9])
            time.sleep(0.7)
            conn.chunk(event[9:])
        conn.end_chunks()
    _, body = passed_stream(make, route, handler, keepalive="200ms")
    assert body.startswith(b": keep-alive\n\n") and body.count(b": keep-alive\n\n") >= 3, body
    assert body.replace(b": keep-alive\n\n", b"") == b"".join(events), body


def test_a_compressed_event_stream_is_passed_through_untouched(make):
    import gzip
    packed = gzip.compress(b"data: {}\n\n" * 100)

    def handler(conn):
        conn.head(200, "text/event-stream", fields=(("Content-Encoding", "gzip"),))
        conn.chunk(packed[:20])
        time.sleep(0.7)
        conn.chunk(packed[20:])
        conn.end_chunks()
    _, body = passed_stream(make, "responses", handler, keepalive="200ms")
    assert body == packed


def test_a_trickling_answer_is_not_idle(make):
    """Hosts that keep a whole answer's connection alive with blanks, and sound that comes slowly."""
    def handler(conn):
        conn.head(200, "application/json")
        for _ in range(10):
            conn.chunk(b"\n")
            time.sleep(0.1)
        conn.chunk(json.dumps({"id": "c", "object": "chat.completion", "model": "m", "choices": [{
            "index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}]}).encode())
        conn.end_chunks()
    gateway = make.gateway({"providers": {"slow": make.upstream(handler).provider(
        timeouts={"between_tokens": "500ms", "first_token": "500ms"})}})
    for caller in CALLERS:
        got = ask(gateway, caller, "slow/m")
        assert got.complete and got.text == "Hi", got
    answer = gateway.post("/v1/responses/compact", {"model": "slow/m", "input": "x"})
    assert answer.status_code == 200 and answer.json()["choices"]


@pytest.mark.parametrize("fault, code", [("fault=reset-before", "upstream_reset"), ("fault=401", "upstream_auth")])
def test_a_passed_through_request_that_fails_at_once_is_an_error(make, mock, fault, code):
    gateway = make.gateway({"providers": {"oai": mock.provider()}})    # without connections that others used
    answer = gateway.post("/v1/moderations", {"model": f"oai/m;{fault}", "input": "x"})
    assert answer.headers["x-openclaw-error"] == code and answer.json()["error"]["code"] == code


# --- callers who leave while they still send ---

@pytest.mark.parametrize("sent", [b"", b'{"model": "oai/m"'])
def test_a_client_that_disconnects_within_its_body_makes_no_upstream_request(gateway, mock, sent):
    asked, known = mock.stats()["requests"], len(gone(gateway))
    client = gateway.raw()
    client.send(raw.request("POST", "/v1/chat/completions", b"", {**gateway.authorization(), "Content-Length": "500"}))
    client.send(sent)
    wait_until(lambda: gateway.metrics().value("openclaw_exchanges_in_flight") > 0, "the request to begin")
    client.close()
    line = wait_until(lambda: len(gone(gateway)) > known and gone(gateway)[-1], "its line")
    assert (line["status"], line["error"]) == (499, "client_gone") and "attempts" not in line, line
    assert mock.stats()["requests"] == asked


def test_the_words_of_a_large_error_are_told_after_it_was_tried_again(make):
    """A helper thread reads a document of that size, in memory that goes with the attempt."""
    document = {"error": {"message": "it is broken here", "type": "server_error", "code": "server_error"}, "pad": "x" * 400000}
    gateway = make.gateway({"providers": {"lab": make.upstream(lambda conn: conn.answer(200, document)).provider()},
                            "retry": {"attempts": 3, "base": "1ms"}})
    for caller in CALLERS:
        for stream in BOTH:
            got = ask(gateway, caller, "lab/m", stream)
            line = gateway.access(got.id)
            assert len(line["attempts"]) == 2 and "it is broken here" in got.error["message"], (line, got)
            assert "code server_error" in line["error_message"], line
