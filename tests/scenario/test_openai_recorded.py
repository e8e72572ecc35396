"""Recorded OpenAI traffic, replayed to an OpenAI client: every byte arrives, and every cut is visible."""
import json
import re

import pytest

from lib import openai, raw, sse
from lib.replay import cases

PATHS = {"chat": "/v1/chat/completions", "completion": "/v1/completions", "embeddings": "/v1/embeddings"}
MANY = 300       # a stream of more events is cut in one way at each boundary, others in both


@pytest.fixture(scope="module")
def server(make_shared):
    return make_shared.fixture_server()


@pytest.fixture(scope="module")
def gateway(make_shared, server):
    return make_shared.gateway({"providers": {"rec": server.provider()}})


def of_all_wires(keep=None):
    return [p for wire in ("openai-chat", "openai-completions", "openai-embeddings") for p in cases(wire, keep)]


STREAMS = of_all_wires(lambda c: c.stream and c.status == 200)


class Seen:
    """What the caller saw of an answer."""

    def __init__(self, gateway, server, case, **how):
        name = server.model(case, **how)
        self.asked = case.request("rec/" + name)
        if case.stream:
            self.asked["stream"] = True
        with gateway.raw() as client:
            self.answer, self.broken = client.ask("POST", PATHS[case.op], self.asked, gateway.authorization())
        self.status, self.body = self.answer.status, self.answer.body
        self.request = server.received.get(name)
        self.id = self.answer.header("x-request-id")
        self.wants_usage = bool((self.asked.get("stream_options") or {}).get("include_usage"))

    def error(self):
        """The error that it told, in a document or in the stream; None when it told none."""
        if self.status != 200:
            return json.loads(self.body)["error"]
        return openai.facts_of_stream(self.body).error if self.body else None


def is_usage_only(event):
    """A chunk that is there only because somebody asked for usage."""
    frame = sse.frames(event)[0]
    if frame.data is None or frame.data == "[DONE]":
        return False
    doc = frame.json()
    return doc.get("choices") == [] and bool(doc.get("usage"))


def expected_stream(case, wants_usage):
    """The recorded bytes as a caller may see them: usage only for those who asked, [DONE] always."""
    events = [e for e in case.events if wants_usage or not is_usage_only(e)]
    whole = b"".join(events)
    if not any(sse.frames(e)[0].data == "[DONE]" for e in case.events):
        whole += b"data: [DONE]\n\n"
    return whole


def assert_calls(calls, expected):
    expected = [c for c in expected if c["name"]]      # one host fills in an empty call
    assert len(calls) == len(expected)
    for call, want in zip(calls, expected):
        assert call["name"] == want["name"]
        assert call["id"] == want.get("id")
        if "arguments_raw" in want:
            assert call["arguments"] == want["arguments_raw"]
        elif want.get("custom"):
            assert call["arguments"] in (want["arguments"], json.dumps(want["arguments"]))
        else:
            assert json.loads(call["arguments"] or "{}") == want["arguments"]


def assert_facts(facts, expect):
    choice = facts.choice()
    assert choice.text == expect["text"]
    assert choice.reasoning == expect.get("reasoning", "")
    assert_calls(choice.tool_calls(), expect.get("tool_calls") or [])
    assert choice.finish == (expect["finish"] or None)
    assert facts.model == expect["model"]
    for number, want in enumerate(expect.get("choices") or []):
        assert facts.choice(want.get("index", number)).text == want.get("text", "")


def assert_logged(line, expect):
    """What the access log says agrees with the facts."""
    assert line["status"] == 200 and "error" not in line
    if expect.get("finish_openai"):
        assert line["finish_reason"] == expect["finish_openai"]
    usage = expect.get("usage")
    if not usage:
        return
    assert line["tokens_input"] == usage["prompt_tokens"]
    assert line.get("tokens_output", 0) == usage.get("completion_tokens", 0)
    for name in ("cached", "reasoning"):
        if usage.get(f"{name}_tokens") is not None:
            assert line.get(f"tokens_{name}", 0) == usage[f"{name}_tokens"]
    assert "tokens_estimated" not in line


@pytest.mark.parametrize("case", of_all_wires(lambda c: not c.stream and c.status == 200))
@pytest.mark.parametrize("by", ["whole", "bytes"])
def test_a_whole_answer_is_relayed_byte_for_byte(gateway, server, case, by):
    if by == "bytes" and len(case.body) > 20000:
        by = "events"      # one chunk without a length
    seen = Seen(gateway, server, case, by=by, framing="length" if by == "whole" else "chunked")
    assert (seen.status, seen.broken) == (200, False)
    assert seen.body == case.body
    if case.op == "chat":
        assert_facts(openai.facts_of_answer(seen.body), case.expect)
    assert_logged(gateway.access(seen.id), case.expect)


@pytest.mark.parametrize("case", STREAMS)
@pytest.mark.parametrize("by", ["whole", "events", "bytes"])
def test_a_stream_is_relayed_byte_for_byte(gateway, server, case, by):
    seen = Seen(gateway, server, case, by=by)
    line = gateway.access(seen.id)
    if case.expect.get("error"):
        assert seen.error()["message"] == case.expect["error"]["message"]
        assert line["error"]
        return
    assert (seen.status, seen.broken) == (200, False)
    assert seen.body == expected_stream(case, seen.wants_usage)
    if case.op == "chat":
        assert_facts(openai.facts_of_stream(seen.body), case.expect)
    assert_logged(line, case.expect)
    assert line["bytes_out"] == len(seen.body)


def assert_cut_shows(seen, shown, over, reset, where):
    """`shown` is what the client may have received before the cut; `over`: the terminator had been sent by then."""
    if seen.broken:
        assert shown.startswith(seen.body) or seen.body.startswith(shown), where
        return
    if seen.status != 200:
        assert seen.error()["message"], where
        return
    if reset and not seen.body.startswith(shown):
        # A reset takes with it what the gateway had not read yet.
        before = b"".join(f.raw for f in sse.frames(seen.body)[:-1])
        assert shown.startswith(before), where
        shown, over = before, False
    assert seen.body.startswith(shown), where
    rest = openai.facts_of_stream(seen.body[len(shown):])
    if over:
        assert not rest.choices, where
        return
    assert rest.error and rest.error["message"], where
    assert not rest.finished and not rest.done, where


@pytest.mark.parametrize("case", STREAMS)
def test_a_cut_stream_never_looks_complete(gateway, server, case):
    choices = len(openai.facts_of_stream(case.body).choices)
    part, shown = openai.Facts(), b""
    for cut, event in enumerate([b"", *case.events[:-1]]):
        openai.add_events(part, event)
        finished = sum(1 for c in part.choices.values() if c.finish) == choices > 0
        hows = ("reset", "close", "end") if len(case.events) <= MANY else (("reset", "close", "end")[cut % 3],)
        for how in hows:
            seen = Seen(gateway, server, case, cut=cut, how=how)
            if cut > 0 and how == hows[0] and (seen.wants_usage or not is_usage_only(event)):
                shown += event
            if part.error:
                assert seen.error(), "the provider's own error went lost"
                continue
            assert_cut_shows(seen, shown, part.done or finished, how == "reset",
                             f"cut after event {cut} by {how}: {seen.status} {seen.body[-300:]!r}")


@pytest.mark.parametrize("case", of_all_wires(lambda c: not c.stream and c.status == 200))
def test_a_cut_document_is_an_error(gateway, server, case):
    size = len(case.body)
    for cut in {0, 1, size // 3, size // 2, size - 1}:
        if not case.body[cut:].strip():
            continue
        for how in ("reset", "close", "end"):
            seen = Seen(gateway, server, case, cut=cut, how=how)
            assert seen.broken or seen.status >= 500, f"cut at {cut} by {how}: {seen.status} {seen.body!r}"
            if not seen.broken:
                assert seen.error()["type"] == "server_error"


@pytest.mark.parametrize("case", of_all_wires(lambda c: c.status >= 400))
def test_an_error_keeps_its_message(gateway, server, case):
    seen = Seen(gateway, server, case)
    want = case.expect["error"]
    error = seen.error()
    assert set(error) >= {"message", "type", "param", "code"}
    words = re.sub(r"(API key provided:) \S+\.", r"\1 ***.", want["message"])     # keys are masked
    assert words in error["message"]
    if case.status == 401:
        # The gateway's own key was refused: not something the caller can mend.
        assert seen.status == 502 and error["code"] == "upstream_auth"
    else:
        assert seen.status == case.status
    assert gateway.access(seen.id)["error"]
    retry_after = case.headers.get("retry-after")
    if retry_after:
        assert int(seen.answer.header("retry-after")) >= 1


@pytest.mark.parametrize("case", of_all_wires(lambda c: c.request_body is not None and c.status == 200))
def test_the_request_is_forwarded_unchanged(gateway, server, case):
    """Byte for byte but for the model's name and the wish for usage."""
    model = server.model(case)
    sent = json.dumps(case.request("rec/" + model), ensure_ascii=False).encode()
    with gateway.raw() as client:
        client.ask("POST", PATHS[case.op], sent, {**gateway.authorization(), "Content-Type": "application/json"})
    got = server.request(model)
    assert got.target == PATHS[case.op]
    want = sent.replace(f'"rec/{model}"'.encode(), f'"{model}"'.encode())
    if b'"stream": true' not in sent:
        assert got.body == want
        return
    mine, theirs = json.loads(got.body), json.loads(want)
    assert mine.pop("stream_options")["include_usage"] is True
    theirs.pop("stream_options", None)
    assert mine == theirs
    assert len(got.body) - len(want) in range(-1, 60)


def test_an_answer_that_ends_with_its_connection_is_complete(gateway, server):
    """HTTP/1.0 ways: no length, no chunks; the end of the connection is the end."""
    parameters = cases("openai-chat", lambda c: not c.stream and c.status == 200)
    case = parameters[0].values[0]
    if case is None:
        pytest.skip("no recorded traffic")
    seen = Seen(gateway, server, case, framing="close")
    assert (seen.status, seen.broken, seen.body) == (200, False, case.body)


def test_the_reader_of_this_file_is_not_lenient():
    assert raw.request("GET", "/x", host="h") == b"GET /x HTTP/1.1\r\nHost: h\r\n\r\n"
    facts = openai.facts_of_stream(b'data: {"choices":[{"delta":{"content":"a"},"finish_reason":null}]}\n\n')
    assert not facts.finished and not facts.done and facts.choice().text == "a"
