"""Recorded traffic of OpenAI and Anthropic providers, replayed to clients of both protocols.

Whatever protocol a caller speaks, it must learn what the recording says: text, thinking, calls, why it ended,
what it cost, what went wrong. Facts come from the recordings' expect.json.
"""
import json
import re

import pytest

from lib import anthropic, openai
from lib.replay import cases
from lib.said import Said

OPENAI, ANTHROPIC = "openai-chat", "anthropic-messages"
WIRES = (OPENAI, ANTHROPIC)
PATHS = {OPENAI: "/v1/chat/completions", ANTHROPIC: "/v1/messages"}
MANY = 120       # of a longer stream not every boundary is cut
MESSAGES = [{"role": "user", "content": "Hello"}]


@pytest.fixture(scope="module")
def server(make_shared):
    return make_shared.fixture_server()


@pytest.fixture(scope="module")
def gateway(make_shared, server):
    return make_shared.gateway({"providers": {wire: server.provider(wire) for wire in WIRES}})


def fails(case):
    return case.status >= 400 or bool(case.expect.get("error"))


def of_both(keep=None):
    return [p for wire in WIRES for p in cases(wire, lambda c: c.op == "chat" and (keep is None or keep(c)))]


def crossing(keep=None):
    """(case, caller) for callers of the protocol that the provider does not speak."""
    return [pytest.param(*p.values, next(w for w in WIRES if not p.values[0] or w != p.values[0].wire), id=p.id,
                         marks=p.marks) for p in of_both(keep)]


class Seen:
    """What a caller of one protocol saw of a recorded answer of another, or of the same."""

    def __init__(self, gateway, server, case, caller, stream=None, request_id=None, **how):
        self.case, self.caller = case, caller
        self.stream = case.stream if stream is None else stream
        name = server.model(case, **how)
        asked = {"model": f"{case.wire}/{name}", "messages": MESSAGES}
        if caller == ANTHROPIC:
            asked["max_tokens"] = 1000
        if self.stream:
            asked["stream"] = True
            if caller == OPENAI:
                asked["stream_options"] = {"include_usage": True}
        fields = {"x-api-key": gateway.key} if caller == ANTHROPIC else gateway.authorization()
        if request_id:
            fields["x-request-id"] = request_id
        with gateway.raw() as client:
            self.answer, self.broken = client.ask("POST", PATHS[caller], asked, fields)
        self.status, self.body = self.answer.status, self.answer.body
        self.id = self.answer.header("x-request-id")

    @property
    def said(self):
        """Nobody reads an error's document as an answer, so neither does this."""
        if self.status != 200:
            return Said(error=json.loads(self.body)["error"])
        return Said.of(self.caller, self.body, self.stream)

    def timeless(self):
        """The body without what may differ between two answers of the same."""
        return re.sub(rb'"created":\d+', b'"created":0', self.body.replace(self.id.removeprefix("req_").encode(), b"ID"))


def provider_said(case):
    """What the recorded bytes say, read here."""
    return Said.of(case.wire, case.body, case.stream)


# --- what must be seen ---

COUNTS = {"input": "prompt", "output": "completion", "cached": "cached", "cache_write": "cache_write",
          "reasoning": "reasoning"}


def expected_count(case, key):
    """One host counts cached tokens where the facts do not look."""
    return case.expect["usage"].get(key) or case.expect["usage_raw"].get(key) or 0


def assert_calls(calls, case, as_it_is):
    # One host ends with a call of nothing: no name, no id.
    expected = [c for c in case.expect.get("tool_calls") or [] if c["name"]]
    assert [c.name for c in calls] == [c["name"] for c in expected]
    assert len({c.id for c in calls}) == len(calls) and all(c.id for c in calls), "each answer needs its call"
    for call, want, recorded in zip(calls, expected, provider_said(case).calls):
        if want.get("custom"):
            text = want["arguments_raw"]
            assert call.arguments in (text, {"input": text})
            continue
        assert call.id == want["id"]
        assert call.arguments == (want["arguments"] or {})
        if as_it_is or recorded.raw and call.raw is not None:
            assert call.raw == recorded.raw, "the arguments' own spelling"
        elif call.raw is not None:
            assert call.raw.encode() in case.body or call.raw == "{}"


def assert_usage(usage, case, caller):
    want = case.expect.get("usage")
    if not want:
        return
    for key in (f"{theirs}_tokens" for theirs in COUNTS.values()):
        assert usage[key] == expected_count(case, key), key


def assert_said(said, case, caller, as_it_is):
    """`as_it_is`: the provider's own bytes are relayed."""
    expect = case.expect
    refusal = expect.get("refusal") or ""
    assert said.error is None and said.complete
    assert (said.text, said.refusal) == (expect["text"] + refusal, "") if caller == ANTHROPIC \
        else (expect["text"], refusal)
    assert said.reasoning == expect.get("reasoning", "")
    assert_calls(said.calls, case, as_it_is)
    if expect["finish_openai"]:
        assert said.finish == expect["finish_openai"]
    elif as_it_is:
        assert said.finish == (expect["finish"] or None)
    else:
        assert said.finish in ("stop", "tool_calls")
    if case.wire == ANTHROPIC:
        assert said.proofs == provider_said(case).proofs
        assert bool(said.proofs) == bool(expect.get("reasoning_signature") or expect.get("redacted_thinking"))
    if expect["model"]:
        assert said.model == expect["model"]
    assert_usage(said.usage, case, caller)


def assert_logged(line, seen):
    """The line says the recorded usage and why the answer ended."""
    expect = seen.case.expect
    assert line["status"] == 200 and "error" not in line and line["bytes_out"] == len(seen.body)
    if expect["finish_openai"]:
        assert line["finish_reason"] == expect["finish_openai"]
    if expect.get("usage"):
        for ours, theirs in COUNTS.items():
            assert line.get(f"tokens_{ours}", 0) == expected_count(seen.case, f"{theirs}_tokens"), ours
        assert "tokens_estimated" not in line


@pytest.fixture(scope="module")
def ledger(gateway):
    """Answers whose lines are looked at when all are there; then log and metrics must have counted the same."""
    answers = []
    yield answers
    for seen in answers:
        assert_logged(gateway.access(seen.id), seen)
    gateway.idle()
    lines, metrics = gateway.access_log(), gateway.metrics()
    for ours in COUNTS:
        assert metrics.value(f"openclaw_tokens_{ours}_total") == sum(li.get(f"tokens_{ours}", 0) for li in lines), ours


# --- whole answers and streams ---

@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("caller", WIRES)
@pytest.mark.parametrize("case", of_both(lambda c: not fails(c)))
def test_clients_of_both_protocols_get_the_same_answer(gateway, server, ledger, case, caller, stream):
    """Also from a provider that streams when nobody asked, or does not when somebody did."""
    seen = Seen(gateway, server, case, caller, stream)
    assert (seen.status, seen.broken) == (200, False), seen.body
    assert_said(seen.said, case, caller, as_it_is=caller == case.wire and stream == case.stream)
    ledger.append(seen)


@pytest.mark.parametrize("case", cases(ANTHROPIC, lambda c: not fails(c)))
def test_anthropic_s_bytes_reach_its_clients_unchanged(gateway, server, case):
    seen = Seen(gateway, server, case, ANTHROPIC)
    assert seen.body == case.body
    assert seen.answer.header("content-type").split(";")[0] == case.content_type.split(";")[0]


@pytest.mark.parametrize("by", ["events", "bytes"])
@pytest.mark.parametrize("case, caller", crossing(lambda c: c.stream and not fails(c)))
def test_chunk_boundaries_do_not_matter(gateway, server, case, caller, by):
    whole = Seen(gateway, server, case, caller)
    pieces = Seen(gateway, server, case, caller, by=by)
    assert pieces.timeless() == whole.timeless()


@pytest.mark.parametrize("case", cases(ANTHROPIC, lambda c: c.stream and c.status == 200))
def test_anthropic_s_stream_is_the_same_byte_by_byte(gateway, server, case):
    assert Seen(gateway, server, case, ANTHROPIC, by="bytes").body == case.body


@pytest.mark.parametrize("stop", ["stop_sequence"])
@pytest.mark.parametrize("case", cases(ANTHROPIC, lambda c: c.expect.get("stop_sequence")))
def test_the_stop_sequence_is_reported(gateway, server, case, stop):
    doc = json.loads(Seen(gateway, server, case, ANTHROPIC).body)
    assert (doc["stop_reason"], doc["stop_sequence"]) == (stop, case.expect["stop_sequence"])
    assert Seen(gateway, server, case, OPENAI).said.finish == "stop"


@pytest.mark.parametrize("caller", WIRES)
@pytest.mark.parametrize("case", cases(ANTHROPIC, lambda c: c.expect.get("server_items")))
def test_server_tools_are_not_calls_for_the_client(gateway, server, case, caller):
    seen = Seen(gateway, server, case, caller)
    assert not any(c.id.startswith("srvtoolu") for c in seen.said.calls)
    if caller == OPENAI:
        assert b"srvtoolu" not in seen.body


@pytest.mark.parametrize("case", cases(ANTHROPIC, lambda c: c.expect.get("reasoning_signature") and not fails(c)))
def test_recorded_thinking_returns_to_anthropic_unchanged(gateway, server, case):
    """By way of an OpenAI caller, who has no place for them but reasoning_details."""
    facts = (anthropic.facts_of_stream if case.stream else anthropic.facts_of_answer)(case.body)
    thoughts = [{k: v for k, v in b.items() if k in ("type", "thinking", "signature", "data")}
                for b in facts.of("thinking", "redacted_thinking")]
    seen = Seen(gateway, server, case, OPENAI)
    model = server.model(case)
    history = [*MESSAGES, {"role": "assistant", "content": seen.said.text, "reasoning_content": seen.said.reasoning,
                           "reasoning_details": seen.said.details}, {"role": "user", "content": "Go on."}]
    answer = gateway.post(PATHS[OPENAI], {"model": f"{ANTHROPIC}/{model}", "messages": history})
    assert answer.status_code == 200
    sent = server.request(model).json()["messages"][1]["content"]
    assert [b for b in sent if b["type"] != "text"] == thoughts


# --- cut streams ---

def boundaries(events):
    """After how many events to cut; every boundary, unless there are very many."""
    every = range(len(events))
    return every if len(events) <= MANY else [*every[:15], *every[15:-15:199], *every[-15:]]


def is_over(case, cut):
    """Whether the provider had sent its terminator by then."""
    body = b"".join(case.events[:cut])
    if case.wire == ANTHROPIC:
        return anthropic.facts_of_stream(body).done
    facts = openai.facts_of_stream(body)
    return facts.done or bool(facts.choices) and all(c.finish for c in facts.choices.values())


def is_error_told(case, cut):
    return Said.of(case.wire, b"".join(case.events[:cut]), True).error is not None


def assert_cut_shows(seen, whole, told, where):
    """An error in the caller's protocol behind some beginning of the answer, and nothing that ends an answer."""
    said = seen.said
    assert said.error and said.error["message"] and said.error["type"], where
    assert not said.complete, where
    if seen.status != 200:
        assert seen.status >= (400 if told else 500), where
        return
    assert not seen.broken, where
    assert whole.text.startswith(said.text) and whole.reasoning.startswith(said.reasoning), where
    assert b"message_stop" not in seen.body and b"[DONE]" not in seen.body, where
    assert seen.body.endswith(b"}\n\n"), where


@pytest.mark.parametrize("case, caller", [
    *crossing(lambda c: c.stream and c.status == 200),      # from OpenAI to OpenAI: see test_openai_recorded.py
    *[pytest.param(*p.values, ANTHROPIC, id=p.id + "-as-it-is", marks=p.marks)
      for p in cases(ANTHROPIC, lambda c: c.stream and c.status == 200)]])
def test_a_cut_stream_is_an_error_for_every_client(gateway, server, case, caller):
    whole = provider_said(case)
    hows = ("reset", "close", "end")
    for cut in boundaries(case.events):
        for how in hows if len(case.events) <= MANY else hows[cut % 3:cut % 3 + 1]:
            seen = Seen(gateway, server, case, caller, cut=cut, how=how)
            where = f"cut after event {cut} by {how}: {seen.status} {seen.body[-300:]!r}"
            told = is_error_told(case, cut)      # by the provider itself
            if told or not is_over(case, cut):
                assert_cut_shows(seen, whole, told, where)
            elif seen.said.complete:
                assert seen.said.text in (whole.text, whole.text + whole.refusal), where
                assert seen.said.finish == whole.finish, where
            else:
                assert seen.said.error, where


@pytest.mark.parametrize("case", cases(ANTHROPIC, lambda c: not c.stream and c.status == 200))
def test_a_cut_document_is_an_error_for_every_client(gateway, server, case):
    size = len(case.body.rstrip())
    for caller in WIRES:
        for cut, how in ((0, "end"), (1, "close"), (size // 2, "end"), (size - 1, "end"), (size - 1, "reset")):
            seen = Seen(gateway, server, case, caller, cut=cut, how=how)
            assert seen.broken or seen.status >= 500, f"cut at {cut} by {how}: {seen.status} {seen.body!r}"
            assert seen.broken or seen.said.error["message"]


# --- errors ---

# Status at the provider, what the gateway tells: status, OpenAI's type and code, Anthropic's type.
ERRORS = {
    400: (400, "invalid_request_error", None, "invalid_request_error"),
    401: (502, "server_error", "upstream_auth", "api_error"),     # the gateway's own key
    404: (404, "invalid_request_error", "model_not_found", "not_found_error"),
    429: (429, "rate_limit_exceeded", "rate_limit_exceeded", "rate_limit_error"),
}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("caller", WIRES)
@pytest.mark.parametrize("case", of_both(lambda c: c.status >= 400))
def test_a_provider_s_error_is_translated_for_the_client(gateway, server, case, caller, stream):
    seen = Seen(gateway, server, case, caller, stream)
    status, openai_type, openai_code, anthropic_type = ERRORS[case.status]
    doc = seen.answer.json()
    error = doc["error"]
    words = re.sub(r"(API key provided:) \S+\.", r"\1 ***.", case.expect["error"]["message"])     # keys are masked
    assert seen.status == status
    assert words in error["message"]
    if caller == ANTHROPIC:
        assert (doc["type"], error["type"]) == ("error", anthropic_type)
        assert doc["request_id"] == seen.id == seen.answer.header("request-id")
    else:
        assert set(error) == {"message", "type", "param", "code"}
        if "context" in case.name and case.status == 400:
            openai_code = "context_length_exceeded"
        if case.status != 400 or openai_code:      # what a provider blamed on the caller keeps its own words
            assert (error["type"], error["code"]) == (openai_type, openai_code)
    line = gateway.access(seen.id)
    assert line["status"] == status and line["error"] and line.get("tokens_output", 0) == 0


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("caller", WIRES)
@pytest.mark.parametrize("case", of_both(lambda c: c.status == 200 and fails(c)))
def test_an_error_with_status_200_is_an_error_for_every_client(gateway, server, case, caller, stream):
    seen = Seen(gateway, server, case, caller, stream)
    assert case.expect["error"]["message"] in seen.said.error["message"]
    assert not seen.said.complete and b"message_stop" not in seen.body and b"[DONE]" not in seen.body
    assert seen.status >= 400 or (stream and case.expect["text"].startswith(seen.said.text)
                                  and case.expect["reasoning"].startswith(seen.said.reasoning))
    assert gateway.access(seen.id)["error"]


# --- the readers of these tests ---

@pytest.mark.parametrize("case", of_both(lambda c: not fails(c)))
def test_the_recordings_are_read_right(case):
    """Else all of the above would only show that two readers make the same mistake."""
    said = provider_said(case)
    assert (said.text, said.refusal) == (case.expect["text"], case.expect.get("refusal") or "")
    assert said.reasoning == case.expect.get("reasoning", "")
    assert [c.arguments for c in said.calls if c.name] == \
        [c["arguments_raw"] if c.get("custom") else c["arguments"]
         for c in case.expect.get("tool_calls") or [] if c["name"]]


@pytest.mark.parametrize("events, mistake", [
    ([("content_block_start", {"index": 0, "content_block": {"type": "text", "text": ""}})], "block without a message"),
    ([("message_start", None), ("message_stop", {})], "no stop reason"),
    ([("message_start", None), ("content_block_delta", {"index": 0, "delta": {"type": "text_delta", "text": "x"}})],
     "delta without a block"),
    ([("message_start", None), ("content_block_start", {"index": 1, "content_block": {"type": "text", "text": ""}})],
     "a gap in the numbers"),
])
def test_a_stream_against_anthropic_s_grammar_is_noticed(events, mistake):
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [],
               "usage": {"input_tokens": 0, "output_tokens": 0}}
    stream = b"".join(f"event: {kind}\ndata: {json.dumps({'type': kind, **(doc or {'message': message})})}\n\n".encode()
                      for kind, doc in events)
    try:
        anthropic.facts_of_stream(stream)
    except AssertionError:
        return
    pytest.fail(f"not noticed: {mistake}")
