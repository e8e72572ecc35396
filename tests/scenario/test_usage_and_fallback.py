"""Tokens are always counted, and shown on request; fallback to the next target."""
import json
import socket
import time

import pytest

from lib import openai, sse
from lib.process import free_port

ASK = [{"role": "user", "content": "Hello"}]


def chunk(content=None, finish=None, **more):
    delta = {} if content is None else {"content": content}
    return b"data: " + json.dumps({"id": "c", "object": "chat.completion.chunk", "model": "m", "choices": [
        {"index": 0, "delta": delta, "finish_reason": finish}], **more}).encode() + b"\n\n"


USAGE = {"prompt_tokens": 11, "completion_tokens": 22, "total_tokens": 33}


@pytest.fixture(scope="module")
def mock(make_shared):
    return make_shared.mock()


@pytest.fixture(scope="module")
def gateway(make_shared, mock):
    """`dead` refuses connections; `mute` accepts them and never answers."""
    mute = socket.create_server(("127.0.0.1", 0))
    gateway = make_shared.gateway({
        "providers": {
            "lab": mock.provider(),
            "claude": mock.provider("anthropic-messages"),
            "dead": {"wire": "openai-chat", "base_url": f"http://127.0.0.1:{free_port()}/v1"},
            "mute": {"wire": "openai-chat", "base_url": f"http://127.0.0.1:{mute.getsockname()[1]}/v1",
                     "timeouts": {"first_byte": "200ms", "first_token": "200ms"}},
            "nameless": {"wire": "openai-chat", "base_url": "http://no-such-host.invalid/v1"}},
        "models": {
            "brave": {"targets": ["dead/a", "lab/fault-429", "lab/fault-500", "lab/mock-gpt"]},
            "patient": {"targets": ["mute/a", "lab/mock-gpt"]},
            "lost": {"targets": ["nameless/a", "lab/mock-gpt"]},
            "hopeless": {"targets": ["dead/a", "lab/fault-503;retry-after=9"]},
            "searching": {"targets": ["lab/mock-gpt", "claude/mock-claude"]},
            "strict": {"targets": ["lab/fault-400", "lab/mock-gpt"]},
            "long": {"targets": ["lab/fault-context", "lab/mock-gpt"]},
            "nested": {"targets": ["hopeless", "lab/mock-gpt"]},
            "set": {"targets": [{"model": "lab/mock-gpt", "params": {"temperature": 0.25, "seed": 5}}]},
        }})
    gateway.mute = mute
    return gateway


# --- usage ---

@pytest.mark.parametrize("asked", [True, False])
def test_usage_is_always_counted_and_shown_on_request(gateway, mock, asked):
    more = {"stream_options": {"include_usage": True}} if asked else {}
    answer = gateway.chat("lab/mock;tokens=17", stream=True, **more)
    facts = openai.facts_of_stream(answer.content)
    assert facts.usage_frames == (1 if asked else 0)
    assert (facts.usage is not None) is asked
    assert facts.done
    assert gateway.access_of(answer)["tokens_output"] == 17
    assert mock.last_request()["json"]["stream_options"]["include_usage"] is True


@pytest.mark.parametrize("options", [None, {}, {"include_usage": None}, {"include_usage": False}])
def test_usage_may_be_declined_in_many_ways(gateway, options):
    answer = gateway.chat("lab/mock;tokens=4", stream=True, stream_options=options)
    assert openai.facts_of_stream(answer.content).usage is None
    line = gateway.access_of(answer)
    assert line["tokens_output"] == 4 and "tokens_estimated" not in line


def test_usage_in_the_last_chunk_is_kept(make):
    """Some hosts put usage in the chunk that also says why the answer ended."""
    def handler(conn):
        conn.answer(200, chunk("Hi") + chunk(finish="stop", usage=USAGE) + b"data: [DONE]\n\n", "text/event-stream")
    upstream = make.upstream(handler)
    gateway = make.gateway({"providers": {"lab": upstream.provider()}})
    answer = gateway.chat("lab/m", stream=True)
    assert openai.facts_of_stream(answer.content).choice().finish == "stop"
    line = gateway.access_of(answer)
    assert (line["tokens_input"], line["tokens_output"]) == (11, 22)


def test_usage_that_a_provider_never_reports_is_estimated(make):
    def handler(conn):
        conn.answer(200, chunk("Hello there, how are you today?") + chunk(finish="stop") + b"data: [DONE]\n\n",
                    "text/event-stream")
    upstream = make.upstream(handler)
    gateway = make.gateway({"providers": {"lab": upstream.provider()}})
    line = gateway.access_of(gateway.chat("lab/m", stream=True, stream_options={"include_usage": True}))
    assert line["tokens_estimated"] is True and 4 <= line["tokens_output"] <= 12 and line["tokens_input"] > 0
    assert gateway.metrics().value("openclaw_usage_estimated_total") == 1


def test_cached_and_thinking_tokens_are_counted_once(gateway):
    line = gateway.access_of(gateway.chat("lab/mock;tokens=10;reasoning=6;cached=3"))
    assert line["tokens_cached"] == 3 and line["tokens_input"] >= 3
    assert line["tokens_reasoning"] == 6 and line["tokens_output"] >= 16 - 6


def test_a_known_model_has_its_price_in_the_line(make, mock):
    gateway = make.gateway({"providers": {"openai": {"base_url": mock.openai_url}}})
    line = gateway.access_of(gateway.chat("openai/gpt-4o-mini"))
    # 0.15 and 0.60 dollars for a million tokens are 150 and 600 nano-dollars for one.
    cached = line.get("tokens_cached", 0)
    assert cached == 0
    assert line["cost_nanousd"] == 150 * line["tokens_input"] + 600 * line["tokens_output"]
    unknown = gateway.access_of(gateway.chat("openai/some-model-that-nobody-knows"))
    assert "cost_nanousd" not in unknown, "an unknown price is never zero"
    assert gateway.metrics().value("openclaw_cost_unknown_total") == 1


# --- the next target ---

@pytest.mark.parametrize("stream", [False, True])
def test_the_fourth_target_answers_when_three_cannot(gateway, stream):
    answer = gateway.chat("brave", stream=stream)
    assert answer.status_code == 200
    assert answer.headers["x-openclaw-attempts"] == "4"
    assert answer.headers["x-openclaw-model"] == "mock-gpt"
    line = gateway.access_of(answer)
    assert [a["outcome"] for a in line["attempts"]] == ["upstream_connect", "rate_limit_exceeded", "upstream_error",
                                                        "ok"]
    assert [a["status"] for a in line["attempts"]] == [0, 429, 500, 200]
    assert "error" not in line and line["model"] == "mock-gpt"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("alias, outcome", [("patient", "upstream_timeout"), ("lost", "upstream_dns"),
                                            ("long", "context_length_exceeded")])
def test_the_next_one_answers_after(gateway, alias, outcome, stream):
    answer = gateway.chat(alias, stream=stream)
    assert answer.status_code == 200, answer.text
    assert [a["outcome"] for a in gateway.access_of(answer)["attempts"]] == [outcome, "ok"]


@pytest.mark.parametrize("fault", ["reset-before", "reset-mid;after=0", "truncated;after=0", "empty", "html",
                                   "error-first", "429", "500", "502", "503", "529", "401", "404", "quota"])
@pytest.mark.parametrize("stream", [False, True])
def test_failures_before_the_first_token_are_invisible_to_the_client(make, mock, fault, stream):
    gateway = make.gateway({"providers": {"lab": mock.provider()},
                            "models": {"safe": {"targets": [f"lab/mock;fault={fault}", "lab/mock-gpt"]}}})
    answer = gateway.chat("safe", stream=stream)
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-openclaw-attempts"] == "2"
    if stream:
        facts = openai.facts_of_stream(answer.content)
        assert facts.done and facts.finished and facts.choice().text
        assert len({f.json()["id"] for f in sse.frames(answer.content) if f.data and f.data != "[DONE]"}) == 1


def test_a_bad_request_is_not_tried_elsewhere(gateway):
    answer = gateway.chat("strict")
    assert answer.status_code == 400 and answer.headers["x-openclaw-attempts"] == "1"


def test_a_stream_that_has_started_is_not_restarted(gateway, make, mock):
    own = make.gateway({"providers": {"lab": mock.provider()}, "models": {
        "broken": {"on_stream_break": "error", "targets": ["lab/mock;tokens=20;tps=500;fault=error-mid;after=5", "lab/mock-gpt"]}}})
    answer = own.chat("broken", stream=True)
    facts = openai.facts_of_stream(answer.content)
    assert facts.error and not facts.done and not facts.finished and facts.choice().text
    line = own.access_of(answer)
    assert len(line["attempts"]) == 1 and line["error"] and line["tokens_output"] > 0


@pytest.mark.parametrize("tail", [b"", b"data: {broken\n\n", b'data: {"error":{"message":"m"}}\n\n'])
def test_a_stream_that_starts_and_breaks_in_one_packet_is_not_restarted(make, mock, tail):
    def handler(conn):
        body = chunk("Hi") + tail
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: %d\r\n\r\n%b" %
                  (len(body), body))
    upstream = make.upstream(handler)
    gateway = make.gateway({"providers": {"a": upstream.provider(), "lab": mock.provider()},
                            "models": {"x": {"on_stream_break": "error", "targets": ["a/m", "lab/mock-gpt"]}}})
    answer = gateway.chat("x", stream=True)
    facts = openai.facts_of_stream(answer.content)
    if len(gateway.access_of(answer)["attempts"]) == 1:
        assert facts.choice().text == "Hi" and facts.error and not facts.done
    else:
        assert tail, "it had begun"
        assert not facts.choice().text.startswith("Hi") and facts.done and not facts.error


def test_absurd_counts_are_harmless(make):
    huge = {"prompt_tokens": 9223372036854775807, "completion_tokens": 9223372036854775807}
    upstream = make.upstream(lambda conn: conn.answer(200, {"id": "c", "model": "m", "choices": [{
        "index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}], "usage": huge}))
    gateway = make.gateway({"providers": {"openai": {"base_url": upstream.openai_url}}})
    for _ in range(3):
        line = gateway.access_of(gateway.chat("openai/gpt-4o-mini"))
        assert line["tokens_input"] == line["tokens_output"] == 10 ** 12 and line["cost_nanousd"] > 0
    answer = gateway.post("/v1/messages", {"model": "openai/gpt-4o-mini", "max_tokens": 5, "messages": [
        {"role": "user", "content": "Hi"}]})
    assert answer.json()["usage"]["output_tokens"] == 10 ** 12


def test_when_all_targets_fail_the_error_says_how(gateway):
    answer = gateway.chat("hopeless")
    assert answer.status_code == 502, "the first cause is told"
    message = answer.json()["error"]["message"]
    assert "dead/a: upstream_connect" in message and "upstream_overloaded" in message
    assert answer.headers["retry-after"] == "9" and answer.headers["x-should-retry"] == "true"


def test_an_alias_may_name_another(gateway):
    answer = gateway.chat("nested")
    assert answer.status_code == 200 and answer.headers["x-openclaw-attempts"] == "3"


def test_a_target_s_parameters_are_set(gateway, mock):
    gateway.chat("set", temperature=1.5)
    sent = mock.last_request()["json"]
    assert sent["temperature"] == 0.25 and sent["seed"] == 5 and sent["model"] == "mock-gpt"


def test_timeouts_are_independent(make, mock):
    gateway = make.gateway({"providers": {"lab": mock.provider(timeouts={
        "first_byte": "10s", "first_token": "400ms", "between_tokens": "300ms", "total": "3s"})}})
    slow_start = gateway.chat("lab/mock;ttft=5s", stream=True)
    assert slow_start.status_code == 504 and slow_start.json()["error"]["code"] == "timeout"
    stalled = gateway.chat("lab/mock;tokens=20;fault=stall;after=5", stream=True)
    assert stalled.status_code == 200 and openai.facts_of_stream(stalled.content).error["code"] == "timeout"
    assert gateway.access_of(stalled)["error"] == "upstream_stalled"
    endless = gateway.chat("lab/mock;tokens=1000;tps=20", stream=True)
    assert openai.facts_of_stream(endless.content).error
    line = gateway.access_of(endless)
    assert line["error"] == "deadline_exceeded" and 2900 <= line["duration_ms"] < 6000


# --- what SDKs call their timeout ---

def silent(conn):
    """A token, then nothing, or only comments; model "mute" says nothing at all."""
    model = conn.request.json()["model"]
    if model == "mute":
        conn.stall()
        return
    conn.head(200, "text/event-stream")
    conn.chunk(chunk("Hi"))
    if model == "stalls":
        conn.stall()
        return
    for _ in range(6 if model == "thinks" else 0):
        time.sleep(0.4)
        conn.chunk(b": thinking\n\n")
    conn.chunk(chunk(finish="stop") + b"data: [DONE]\n\n")
    conn.end_chunks()


@pytest.fixture(scope="module")
def waiting(make_shared):
    """All clocks of its own are long, and its keep-alives are frequent."""
    long = {"first_byte": "5m", "first_token": "5m", "between_tokens": "5m", "total": "10m"}
    lab = make_shared.upstream(silent).provider(timeouts=long)
    return make_shared.gateway({"providers": {"lab": lab}, "server": {"keepalive": "200ms"},
                                "models": {"mute": {"targets": ["lab/mute", "lab/speaks"]}},
                                "retry": {"slow": "0s"}})


def test_the_read_timeout_of_an_sdk_bounds_the_provider_s_silence(waiting):
    """Our own keep-alives would hide from httpx that the provider is dead."""
    answer = waiting.chat("lab/stalls", stream=True, headers={"x-stainless-read-timeout": "0.2"})
    facts = openai.facts_of_stream(answer.content)
    assert facts.choice().text == "Hi" and facts.error["code"] == "timeout" and not facts.done
    line = waiting.access_of(answer)
    assert line["error"] == "upstream_stalled" and 1100 <= line["duration_ms"] < 4000, line


def test_any_byte_from_the_provider_resets_its_timeout(waiting):
    answer = waiting.chat("lab/thinks", stream=True, headers={"x-stainless-read-timeout": "0.2"})
    facts = openai.facts_of_stream(answer.content)
    assert facts.done and facts.choice().text == "Hi" and not facts.error
    assert waiting.access_of(answer)["duration_ms"] > 2000


def test_keep_alives_do_not_prevent_fallback_from_a_silent_target(waiting):
    answer = waiting.chat("mute", stream=True, headers={"x-stainless-read-timeout": "0.2"})
    assert b": keep-alive" in answer.content and openai.facts_of_stream(answer.content).choice().text == "Hi"
    assert [a["outcome"] for a in waiting.access_of(answer)["attempts"]] == ["upstream_timeout", "ok"]


def test_the_timeout_of_an_sdk_that_stops_at_the_head_ends_with_it(waiting):
    """In JavaScript the clock is stopped when the head is there."""
    answer = waiting.chat("lab/thinks", stream=True, headers={"x-stainless-timeout": "1"})
    assert openai.facts_of_stream(answer.content).done
    answer = waiting.chat("lab/mute", headers={"x-stainless-timeout": "1"})
    assert answer.status_code == 504 and answer.headers["x-openclaw-error"] == "deadline_exceeded"


def test_a_target_without_the_only_tool_is_skipped(gateway):
    """An answer given without the web search that was asked for looks like one given with it."""
    body = {"model": "searching", "max_tokens": 50, "messages": ASK,
            "tools": [{"type": "web_search_20250305", "name": "web_search"}]}
    answer = gateway.post("/v1/messages", body)
    assert (answer.status_code, answer.headers["x-openclaw-provider"]) == (200, "claude")
    function = {"name": "look", "input_schema": {"type": "object"}}
    answer = gateway.post("/v1/messages", {**body, "tools": [*body["tools"], function]})
    assert (answer.status_code, answer.headers["x-openclaw-provider"]) == (200, "lab")
    assert "tools.web_search" in answer.headers["x-openclaw-dropped"]
    answer = gateway.post("/v1/messages", {**body, "model": "lab/mock-gpt"})
    assert answer.status_code == 400 and "web_search" in answer.json()["error"]["message"]
