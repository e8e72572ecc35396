"""Valid and unusual forms of answers: clients of both protocols get the same from all of them."""
import functools
import json
import re

import pytest

from lib import anthropic
from lib.said import Said

OPENAI, ANTHROPIC = "openai-chat", "anthropic-messages"
WIRES = (OPENAI, ANTHROPIC)
PATHS = {OPENAI: "/v1/chat/completions", ANTHROPIC: "/v1/messages"}
STRAWBERRY = "Ünï 🍓 日本語 👩‍🚀 end"


def other(wire):
    return ANTHROPIC if wire == OPENAI else OPENAI


@pytest.fixture(scope="module")
def upstream(make_shared):
    def handler(conn):
        name = conn.request.json()["model"]
        status, content_type, body, piece, ending = upstream.answers[name]
        if callable(body):
            body = body(conn.request.json())
        if ending == "length":
            conn.head(status, content_type, len(body))
            conn.send(body, piece)
        else:
            conn.head(status, content_type)
            for i in range(0, len(body), piece or max(len(body), 1)):
                conn.chunk(body[i:i + (piece or len(body))])
            conn.end_chunks()
    upstream = make_shared.upstream(handler)
    upstream.answers = {}
    return upstream


@pytest.fixture(scope="module")
def gateway(make_shared, upstream):
    return make_shared.gateway({"providers": {wire: upstream.provider(wire) for wire in WIRES}})


class Seen:
    def __init__(self, gateway, upstream, wire, caller, body, stream=True, piece=None, status=200,
                 content_type=None, ending="chunks", **more):
        name = f"odd-{len(upstream.answers)}"
        if content_type is None:
            content_type = "text/event-stream" if stream else "application/json"
        upstream.answers[name] = (status, content_type, body, piece, ending)
        asked = {"model": f"{wire}/{name}", "messages": [{"role": "user", "content": "Hi"}], "stream": stream,
                 "max_tokens": 500, **more}
        if caller == OPENAI and stream:
            asked["stream_options"] = {"include_usage": True}
        with gateway.raw() as client:
            answer, self.broken = client.ask("POST", PATHS[caller], asked, gateway.authorization())
        self.status, self.body, self.answer = answer.status, answer.body, answer
        self.said = Said.of(caller, self.body, stream) if self.status == 200 \
            else Said(error=json.loads(self.body)["error"])
        self.gateway = gateway

    @functools.cached_property
    def line(self):
        return self.gateway.access(self.answer.header("x-request-id"))


# --- how providers write ---

def sse(*docs, end="\n", done=False):
    """Events as OpenAI writes them."""
    lines = [f"data: {d if isinstance(d, str) else json.dumps(d, ensure_ascii=False)}{end}{end}" for d in docs]
    return ("".join(lines) + (f"data: [DONE]{end}{end}" if done else "")).encode()


def delta(finish=None, index=0, **more):
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1700000000, "model": "m-1",
            "choices": [{"index": index, "delta": more, "finish_reason": finish}]}


def usage(**more):
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1700000000, "model": "m-1",
            "choices": [], "usage": {"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16, **more}}


def call(index, name=None, arguments=None, **more):
    function = {k: v for k, v in (("name", name), ("arguments", arguments)) if v is not None}
    return {"tool_calls": [{"index": index, **({"id": f"call_{index}", "type": "function"} if name else {}),
                            "function": function, **more}]}


def named(*docs, end="\n"):
    """Events as Anthropic writes them."""
    return "".join(f"event: {d['type']}{end}data: {json.dumps(d, ensure_ascii=False)}{end}{end}" for d in docs).encode()


START = {"type": "message_start", "message": {
    "id": "msg_1", "type": "message", "role": "assistant", "model": "m-1", "content": [], "stop_reason": None,
    "stop_sequence": None, "usage": {"input_tokens": 11, "output_tokens": 1}}}
STOP = {"type": "message_stop"}
PING = {"type": "ping"}


def block(index, start, *deltas):
    kinds = {"text": "text_delta", "thinking": "thinking_delta", "signature": "signature_delta",
             "partial_json": "input_json_delta"}
    return [{"type": "content_block_start", "index": index, "content_block": start},
            *[{"type": "content_block_delta", "index": index, "delta": {"type": kinds[k], k: v}} for k, v in deltas],
            {"type": "content_block_stop", "index": index}]


def text(index, *pieces):
    return block(index, {"type": "text", "text": ""}, *[("text", p) for p in pieces])


def tool(index, name, *fragments, **start):
    return block(index, {"type": "tool_use", "id": f"toolu_{index}", "name": name, "input": {}, **start},
                 *[("partial_json", f) for f in fragments])


def ended(reason="end_turn", **more):
    return {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None},
            "usage": {"output_tokens": 5, **more}}


# --- the frames of a stream ---

OPENAI_BODY = (delta(role="assistant", content=""), delta(content=STRAWBERRY[:5]), delta(content=STRAWBERRY[5:]),
               delta("stop"), usage())
ANTHROPIC_BODY = (START, *text(0, STRAWBERRY[:5], STRAWBERRY[5:]), ended(), STOP)

FRAMINGS = {
    "lf": (sse(*OPENAI_BODY, done=True), named(*ANTHROPIC_BODY)),
    "crlf": (sse(*OPENAI_BODY, end="\r\n", done=True), named(*ANTHROPIC_BODY, end="\r\n")),
    "cr": (sse(*OPENAI_BODY, end="\r", done=True), named(*ANTHROPIC_BODY, end="\r")),
    "a-byte-order-mark": (b"\xef\xbb\xbf" + sse(*OPENAI_BODY, done=True), b"\xef\xbb\xbf" + named(*ANTHROPIC_BODY)),
    "no-last-blank-line": (sse(*OPENAI_BODY, done=True)[:-2], named(*ANTHROPIC_BODY)[:-2]),
    "no-last-line-end": (sse(*OPENAI_BODY, done=True)[:-1], named(*ANTHROPIC_BODY)[:-1]),
    "no-blank-behind-the-colon": (sse(*OPENAI_BODY, done=True).replace(b"data: ", b"data:"),
                                  named(*ANTHROPIC_BODY).replace(b"data: ", b"data:").replace(b"event: ", b"event:")),
    "comments": (b": OPENROUTER PROCESSING\n\n" + sse(*OPENAI_BODY, done=True).replace(b"data:", b": hush\ndata:"),
                 b": one\n\n" + named(*ANTHROPIC_BODY).replace(b"data:", b": hush\ndata:")),
    "other-fields": (sse(*OPENAI_BODY, done=True).replace(b"data:", b"id: 7\nretry: 500\nunknown\ndata:"),
                     named(*ANTHROPIC_BODY).replace(b"data:", b"id: 7\nretry: 500\nunknown\ndata:")),
    "data-in-several-lines": (sse(*OPENAI_BODY, done=True).replace(b'"choices"', b'\ndata: "choices"'),
                              named(*ANTHROPIC_BODY).replace(b', "', b',\ndata: "')),
    "blanks-behind-the-json": (sse(*OPENAI_BODY, done=True).replace(b"}\n\n", b"}   \n\n"),
                               named(*ANTHROPIC_BODY).replace(b"}\n\n", b" }   \n\n")),
    "extra-blank-lines": (sse(*OPENAI_BODY, done=True).replace(b"\n\n", b"\n\n\n\n\n"),
                          named(*ANTHROPIC_BODY).replace(b"\n\n", b"\n\n\n\n\n")),
    "events-without-data": (b"event: hello\n\n" + sse(*OPENAI_BODY, done=True), b"event: hello\n\n" + named(*ANTHROPIC_BODY)),
    "pings": (sse(*OPENAI_BODY, done=True),
              named(START, PING, *[d for e in ANTHROPIC_BODY[1:-1] for d in (e, PING)], STOP)),
    "unknown-events": (sse(*OPENAI_BODY[:3], {"type": "brand.new", "id": "x", "choices": []}, *OPENAI_BODY[3:], done=True),
                       named(START, {"type": "brand_new", "x": 1}, *ANTHROPIC_BODY[1:])),
    "no-event-names": (sse(*OPENAI_BODY, done=True), sse(*ANTHROPIC_BODY)),
    "no-done": (sse(*OPENAI_BODY), named(*ANTHROPIC_BODY)),
    "done-twice": (sse(*OPENAI_BODY, done=True) + b"data: [DONE]\n\n", named(*ANTHROPIC_BODY) + named(STOP)),
}


@pytest.mark.parametrize("piece", [None, 1, 7], ids=["whole", "bytes", "sevens"])
@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("framing", FRAMINGS)
def test_a_stream_is_read_however_it_is_framed(gateway, upstream, wire, framing, piece):
    """By callers of the other protocol; those of the same get the bytes as they are."""
    seen = Seen(gateway, upstream, wire, other(wire), FRAMINGS[framing][WIRES.index(wire)], piece=piece)
    said = seen.said
    assert (seen.status, said.complete, said.error) == (200, True, None), seen.body
    assert (said.text, said.finish) == (STRAWBERRY, "stop")
    assert (said.usage["prompt_tokens"], said.usage["completion_tokens"]) == (11, 5)


# --- what an answer may hold ---

def whole(**message):
    finish = message.pop("finish", "stop")
    return {"id": "chatcmpl-1", "object": "chat.completion", "created": 1700000000, "model": "m-1", "choices": [
        {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}],
        "usage": {"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16}}


def message(*content, stop_reason="end_turn", **more):
    return {"id": "msg_1", "type": "message", "role": "assistant", "model": "m-1", "content": list(content),
            "stop_reason": stop_reason, "stop_sequence": None, "usage": {"input_tokens": 11, "output_tokens": 5}, **more}


SERVER_TOOL = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}}
SERVER_RESULT = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [
    {"type": "web_search_result", "title": "T", "url": "https://a.example", "encrypted_content": "abc"}]}
CALL = {"id": "call_0", "type": "function", "function": {"name": "look", "arguments": '{"at": 1.50}'}}

# name: (provider's wire, its stream, its whole answer, what is said: text, reasoning, [(name, arguments)], finish)
ANSWERS = {
    "nothing at all, from Anthropic": (ANTHROPIC, named(START, ended(), STOP), message(), ("", "", [], "stop")),
    "nothing at all, from OpenAI": (OPENAI, sse(delta(role="assistant"), delta("stop"), usage(), done=True),
                                    whole(content=None), ("", "", [], "stop")),
    "a call alone, from Anthropic": (
        ANTHROPIC, named(START, *tool(0, "look", "", '{"at":', " 1.50}"), ended("tool_use"), STOP),
        message({"type": "tool_use", "id": "toolu_0", "name": "look", "input": {"at": 1.5}}, stop_reason="tool_use"),
        ("", "", [("look", {"at": 1.5})], "tool_calls")),
    "a call alone, from OpenAI": (
        OPENAI, sse(delta(role="assistant", content=None, **call(0, "look", "")), delta(**call(0, None, '{"at":')),
                    delta(**call(0, None, " 1.50}")), delta("tool_calls"), done=True),
        whole(content=None, tool_calls=[CALL], finish="tool_calls"), ("", "", [("look", {"at": 1.5})], "tool_calls")),
    "a call without arguments, from Anthropic": (
        ANTHROPIC, named(START, *tool(0, "look"), *tool(1, "look", ""), ended("tool_use"), STOP),
        message({"type": "tool_use", "id": "toolu_0", "name": "look", "input": {}},
                {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}}, stop_reason="tool_use"),
        ("", "", [("look", {}), ("look", {})], "tool_calls")),
    "a call without arguments, from OpenAI": (
        OPENAI, sse(delta(**call(0, "look", "")), delta(**call(1, "look")), delta("tool_calls"), done=True),
        whole(content="", finish="tool_calls", tool_calls=[
            {"id": "a", "type": "function", "function": {"name": "look", "arguments": ""}},
            {"id": "b", "type": "function", "function": {"name": "look"}}]),
        ("", "", [("look", {}), ("look", {})], "tool_calls")),
    "arguments with the start of the call, from Anthropic": (
        ANTHROPIC, named(START, *tool(0, "look", input={"at": 2}), ended("tool_use"), STOP),
        message({"type": "tool_use", "id": "toolu_0", "name": "look", "input": {"at": 2}}, stop_reason="tool_use"),
        ("", "", [("look", {"at": 2})], "tool_calls")),
    "arguments with the start of the call, from OpenAI": (
        OPENAI, sse(delta(**call(0, "look", '{"at": 2}')), delta("tool_calls"), done=True),
        whole(content=None, finish="tool_calls",
              tool_calls=[{**CALL, "function": {"name": "look", "arguments": {"at": 2}}}]),
        ("", "", [("look", {"at": 2})], "tool_calls")),
    "calls mixed in their fragments": (
        OPENAI, sse(delta(**call(0, "look", "")), delta(**call(1, "hear", "")), delta(**call(1, None, '{"b":')),
                    delta(**call(0, None, '{"a":')), delta(**call(1, None, "2}")), delta(**call(0, None, "1}")),
                    delta(content="and text"), delta("tool_calls"), done=True),
        whole(content="and text", finish="tool_calls", tool_calls=[
            {**CALL, "function": {"name": "look", "arguments": '{"a":1}'}},
            {**CALL, "id": "call_1", "function": {"name": "hear", "arguments": '{"b":2}'}}]),
        ("and text", "", [("look", {"a": 1}), ("hear", {"b": 2})], "tool_calls")),
    "calls that end with the word stop": (
        OPENAI, sse(delta(**call(0, "look", "{}")), delta("stop"), done=True),
        whole(content=None, tool_calls=[{**CALL, "function": {"name": "look", "arguments": "{}"}}], finish="stop"),
        ("", "", [("look", {})], "tool_calls")),
    "text around a call": (
        ANTHROPIC, named(START, *text(0, "be", "fore"), *tool(1, "look", '{"a":1}'), *text(2, " after"),
                         ended("tool_use"), STOP),
        message({"type": "text", "text": "before"},
                {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"a": 1}},
                {"type": "text", "text": " after"}, stop_reason="tool_use"),
        ("before after", "", [("look", {"a": 1})], "tool_calls")),
    "tools that the provider runs": (
        ANTHROPIC, named(START, *text(0, "I look. "), *block(1, {**SERVER_TOOL, "input": {}}, ("partial_json", '{"query":"x"}')),
                         *block(2, SERVER_RESULT), *text(3, "Found."), ended(), STOP),
        message({"type": "text", "text": "I look. "}, SERVER_TOOL, SERVER_RESULT, {"type": "text", "text": "Found."}),
        ("I look. Found.", "", [], "stop")),
    "a turn that was paused": (ANTHROPIC, named(START, *text(0, "wait"), ended("pause_turn"), STOP),
                               message({"type": "text", "text": "wait"}, stop_reason="pause_turn"),
                               ("wait", "", [], "stop")),
    "a reason that nobody knows": (ANTHROPIC, named(START, *text(0, "x"), ended("brand_new_reason"), STOP),
                                   message({"type": "text", "text": "x"}, stop_reason="brand_new_reason"),
                                   ("x", "", [], "stop")),
    "a refusal, from Anthropic": (ANTHROPIC, named(START, *text(0, "I can"), ended("refusal"), STOP),
                                  message({"type": "text", "text": "I can"}, stop_reason="refusal"),
                                  ("I can", "", [], "content_filter")),
    "content as a list of parts": (
        OPENAI, sse(delta(content=[{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]), delta("stop"), done=True),
        whole(content=[{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
                       {"type": "text", "text": "ab"}]), None),
    "the text once more beside the delta": (
        OPENAI, sse(*[{**d, "choices": [{**d["choices"][0], "text": d["choices"][0]["delta"]["content"]}]}
                      for d in (delta(content="al"), delta("stop", content="l"))], done=True),
        whole(content="all"), ("all", "", [], "stop")),
    "a call whose name comes late": (
        OPENAI, sse(delta(tool_calls=[{"index": 0, "id": "call_0", "function": {"arguments": ""}}]),
                    delta(tool_calls=[{"index": 0, "function": {"name": "look"}}]),
                    delta(tool_calls=[{"index": 0, "function": {"arguments": '{"at": 2}'}}]),
                    delta("tool_calls"), done=True),
        whole(content=None, finish="tool_calls",
              tool_calls=[{**CALL, "function": {"name": "look", "arguments": '{"at": 2}'}}]),
        ("", "", [("look", {"at": 2})], "tool_calls")),
    "the finish reason in the first chunk": (OPENAI, sse(delta("stop", content="all"), done=True), whole(content="all"),
                                             ("all", "", [], "stop")),
    "the finish reason twice": (OPENAI, sse(delta(content="all"), delta("stop"), delta("stop"), usage(), done=True),
                                whole(content="all"), ("all", "", [], "stop")),
    "reasoning by another name": (
        OPENAI, sse(delta(reasoning="h"), delta(reasoning="m"), delta(content="x"), delta("stop"), done=True),
        whole(content="x", reasoning="hm"), ("x", "hm", [], "stop")),
    "reasoning by two names at once": (
        OPENAI, sse(delta(reasoning="hm", reasoning_content="hm"), delta(content="x"), delta("stop"), done=True),
        whole(content="x", reasoning="hm", reasoning_content="hm"), ("x", "hm", [], "stop")),
}


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_means_the_same_in_the_other_protocol(gateway, upstream, name, stream):
    wire, streamed, document, expected = ANSWERS[name]
    caller = other(wire)
    seen = Seen(gateway, upstream, wire, caller, streamed if stream else json.dumps(document).encode(), stream)
    said = seen.said
    assert (seen.status, said.complete, said.error) == (200, True, None), seen.body
    if expected is None:
        assert said.text == "ab"
        return
    assert (said.text, said.reasoning, [(c.name, c.arguments) for c in said.calls], said.finish) == expected
    assert len({c.id for c in said.calls}) == len(said.calls)
    assert "srvtoolu" not in seen.body.decode()
    if caller == OPENAI and not stream:
        choice = json.loads(seen.body)["choices"][0]["message"]
        assert choice["content"] == (expected[0] or (None if expected[2] else ""))
        assert all(isinstance(c["function"]["arguments"], str) for c in choice.get("tool_calls", []))


def test_redacted_and_signed_thinking_keeps_its_order(gateway, upstream):
    blocks = [*block(0, {"type": "thinking", "thinking": "", "signature": ""}, ("thinking", "a"), ("thinking", "b"),
                     ("signature", "c2ln")),
              *block(1, {"type": "redacted_thinking", "data": "aGlkZGVu"}),
              *block(2, {"type": "thinking", "thinking": "", "signature": ""}, ("signature", "c2lnMg==")),
              *text(3, "x")]
    seen = Seen(gateway, upstream, ANTHROPIC, OPENAI, named(START, *blocks, ended(), STOP))
    assert (seen.said.text, seen.said.reasoning) == ("x", "ab")
    assert seen.said.proofs == ["c2ln", "aGlkZGVu", "c2lnMg=="]
    document = message({"type": "thinking", "thinking": "ab", "signature": "c2ln"},
                       {"type": "redacted_thinking", "data": "aGlkZGVu"},
                       {"type": "thinking", "thinking": "", "signature": "c2lnMg=="}, {"type": "text", "text": "x"})
    seen = Seen(gateway, upstream, ANTHROPIC, OPENAI, json.dumps(document).encode(), stream=False)
    details = json.loads(seen.body)["choices"][0]["message"]["reasoning_details"]
    assert [(d["type"], d.get("text"), d.get("signature") or d["data"]) for d in details] == [
        ("reasoning.text", "ab", "c2ln"), ("reasoning.encrypted", None, "aGlkZGVu"), ("reasoning.text", "", "c2lnMg==")]

    # The same conversation goes back, as clients of whole answers and of streams would send it.
    text_block = document["content"][-1]

    def send(said):
        name = f"odd-{len(upstream.answers)}"
        upstream.answers[name] = (200, "application/json", json.dumps(message()).encode(), None, "length")
        answer = gateway.post("/v1/chat/completions", {"model": f"{ANTHROPIC}/{name}", "messages": [
            {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "x", **said},
            {"role": "user", "content": "go on"}]})
        assert answer.status_code == 200
        return upstream.last_request().json()["messages"][1]["content"]
    assert send({"reasoning_content": "ab", "reasoning_details": details}) == document["content"]
    bare = [{**d, "text": ""} if "text" in d else d for d in details]
    assert send({"reasoning_content": "ab", "reasoning_details": bare[:2]}) == document["content"][:2] + [text_block]
    # Whose text it was nobody knows any more: no block is better than one that its proof does not fit.
    assert send({"reasoning_content": "ab", "reasoning_details": bare}) == [document["content"][1], text_block]


def test_a_split_surrogate_pair_is_harmless(gateway, upstream):
    """Hosts that count in UTF-16 cut an emoji in two."""
    body = sse(*[json.dumps(delta(content=c)) for c in ("a", "\ud83c", "\udf53", "b")], delta("stop"), done=True)
    seen = Seen(gateway, upstream, OPENAI, ANTHROPIC, body)
    assert seen.said.complete and seen.said.text[0] == "a" and seen.said.text[-1] == "b"
    seen.body.decode("utf-8")


# --- usage ---

@pytest.mark.parametrize("caller", WIRES)
def test_cumulative_counts_are_never_added(gateway, upstream, caller):
    start = {**START, "message": {**START["message"], "usage": {
        "input_tokens": 100, "cache_read_input_tokens": 40, "cache_creation_input_tokens": 7, "output_tokens": 1}}}
    body = named(start, *text(0, "x"), ended(None, output_tokens=3), ended("end_turn", output_tokens=9, input_tokens=53,
                 cache_read_input_tokens=40, cache_creation_input_tokens=7), STOP)
    seen = Seen(gateway, upstream, ANTHROPIC, caller, body)
    assert seen.said.usage == {"prompt_tokens": 100, "completion_tokens": 9, "total_tokens": 109, "cached_tokens": 40,
                               "cache_write_tokens": 7, "reasoning_tokens": 0}
    assert (seen.line["tokens_input"], seen.line["tokens_output"], seen.line["tokens_cached"],
            seen.line["tokens_cache_write"]) == (100, 9, 40, 7)


def test_more_cached_tokens_than_input_tokens_are_handled(gateway, upstream):
    body = {**whole(content="x"), "usage": {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12,
                                            "prompt_tokens_details": {"cached_tokens": 25}}}
    seen = Seen(gateway, upstream, OPENAI, ANTHROPIC, json.dumps(body).encode(), stream=False)
    counts = json.loads(seen.body)["usage"]
    assert (counts["input_tokens"], counts["cache_read_input_tokens"], counts["output_tokens"]) == (0, 25, 2)
    assert seen.line["tokens_input"] == 10


@pytest.mark.parametrize("usage_at", ["before the finish", "with the finish", "behind the finish", "nowhere"])
def test_anthropic_clients_get_counts_wherever_the_provider_reports_them(gateway, upstream, usage_at):
    counts = usage()["usage"]
    events = {"before the finish": [delta(content="x"), usage(), delta("stop")],
              "with the finish": [delta(content="x"), {**delta("stop"), "usage": counts}],
              "behind the finish": [delta(content="x"), delta("stop"), usage()],
              "nowhere": [delta(content="x"), delta("stop")]}[usage_at]
    seen = Seen(gateway, upstream, OPENAI, ANTHROPIC, sse(*events, done=True))
    facts = anthropic.facts_of_stream(seen.body)
    assert facts.done and facts.stop_reason == "end_turn"
    if usage_at == "nowhere":
        assert seen.line["tokens_estimated"] is True
    else:
        assert (facts.usage["input_tokens"], facts.usage["output_tokens"]) == (11, 5)
        assert "tokens_estimated" not in seen.line


# --- errors ---

ERRORS = [
    (OPENAI, 400, {"error": {"message": "bad thing", "type": "invalid_request_error", "param": "x", "code": None}}, 400),
    (OPENAI, 500, {"error": "just a string"}, 502),
    (OPENAI, 502, "<html><body>Bad Gateway</body></html>", 502),
    (OPENAI, 503, "", 529),
    (OPENAI, 400, [{"error": {"code": 400, "message": "in a list", "status": "INVALID_ARGUMENT"}}], 400),
    (OPENAI, 422, {"detail": [{"loc": ["body", "x"], "msg": "wrong", "type": "value_error"}]}, 400),
    (OPENAI, 429, {"message": "slow down"}, 429),
    (OPENAI, 418, {"error": {"message": "teapot"}}, 400),
    (ANTHROPIC, 400, {"type": "error", "error": {"type": "invalid_request_error", "message": "bad thing"}}, 400),
    (ANTHROPIC, 529, {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, 529),
    (ANTHROPIC, 502, "<html>nginx</html>", 502),
    (ANTHROPIC, 500, {"error": "string"}, 502),
    (ANTHROPIC, 404, "not here", 404),
    (ANTHROPIC, 403, {"type": "error", "error": {"type": "permission_error", "message": "no"}}, 502),
]


@pytest.mark.parametrize("wire, status, body, expected", ERRORS)
@pytest.mark.parametrize("caller", WIRES)
def test_an_error_of_any_shape_is_reported_properly(gateway, upstream, wire, status, body, expected, caller):
    raw = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    seen = Seen(gateway, upstream, wire, caller, raw, stream=False, status=status, ending="length",
                content_type="text/html" if isinstance(body, str) else None)
    if caller == OPENAI:
        expected = {529: 503}.get(expected, status if status in (418, 422) else expected)
    assert seen.status == expected, seen.body
    assert seen.said.error["message"] and seen.said.error["type"]
    assert "<" not in seen.said.error["message"], "nobody reads HTML in an error"
    assert seen.answer.header("content-type") == "application/json"


@pytest.mark.parametrize("ending, whole", [([], False), (["[DONE]"], True), ([delta("stop", 1)], True)])
def test_one_finished_choice_of_two_is_not_a_complete_answer(gateway, upstream, ending, whole):
    """The body ends cleanly in each case; only the terminator shows that it is complete."""
    seen = Seen(gateway, upstream, OPENAI, OPENAI, sse(delta(content="x"), delta("stop"), *ending), n=2)
    assert (b"[DONE]" in seen.body) == whole and bool(seen.said.error) != whole


@pytest.mark.parametrize("wire, body", [
    (OPENAI, sse(delta(content="be"), delta(content="gun"), {"error": {"message": "it broke", "type": "server_error"}})),
    (OPENAI, sse(delta(content="be"), delta(content="gun")) + b'event: error\ndata: {"error": {"message": "it broke"}}\n\n'),
    (OPENAI, sse(delta(content="be"), delta(content="gun"),
                 {**delta("error"), "error": {"message": "it broke", "code": 502}})),
    (OPENAI, sse(delta(content="be"), delta(content="gun")) + b'error: {"message": "it broke"}\n\n'),
    (ANTHROPIC, named(START, *text(0, "be", "gun")[:-1],
                      {"type": "error", "error": {"type": "overloaded_error", "message": "it broke"}})),
    (ANTHROPIC, named(START, *text(0, "be", "gun")) + b'event: error\ndata: {"error": {"message": "it broke"}}\n\n'),
])
@pytest.mark.parametrize("caller", WIRES)
def test_an_error_in_the_middle_ends_the_stream(gateway, upstream, wire, body, caller):
    whole_first = body.index(b"gun")      # what came with the error in one piece could still be a status
    seen = Seen(gateway, upstream, wire, caller, body, piece=whole_first)
    assert "it broke" in seen.said.error["message"]
    assert not seen.said.complete and not seen.broken
    assert seen.status >= 400 or "begun".startswith(seen.said.text)
    assert seen.line["error"]


@pytest.mark.parametrize("wire, body", [
    (OPENAI, b'data: {"choices": [{"index": 0, "delta": {"content": "x"}}\n\n'),
    (OPENAI, b'data: {"choices": [{"index": 999999, "delta": {"content": "x"}}]}\n\n'),
    (OPENAI, b"data: 7\n\n"),
    (ANTHROPIC, b"event: message_start\ndata: {}\n\n"),
    (ANTHROPIC, named({"type": "message_start", "message": []})),
    (ANTHROPIC, named(START) + b"event: content_block_delta\ndata: {{\n\n"),
    (ANTHROPIC, named(START, {"type": "content_block_start", "index": 0, "content_block": 5})),
    (ANTHROPIC, named(START, {"type": "content_block_delta", "index": 3,
                              "delta": {"type": "input_json_delta", "partial_json": "{}"}})),
    (ANTHROPIC, b""), (OPENAI, b""), (OPENAI, b"data: [DONE]\n\n"), (ANTHROPIC, b"data: [DONE]\n\n"),
    (OPENAI, b"\x00\xff" * 500), (ANTHROPIC, b"\x00\xff" * 500),
])
@pytest.mark.parametrize("caller", WIRES)
def test_an_invalid_answer_is_the_provider_s_fault(gateway, upstream, wire, body, caller):
    seen = Seen(gateway, upstream, wire, caller, body)
    assert seen.said.error["message"] and not seen.said.complete
    error = ("upstream_empty" if body == b"data: [DONE]\n\n" and wire == OPENAI else
             "upstream_truncated" if body in (b"", b"data: [DONE]\n\n") or body.startswith(b"\x00") else
             "upstream_protocol")
    assert (seen.status, seen.line["error"]) == (502, error)


@pytest.mark.parametrize("wire, body", [
    (OPENAI, sse(delta(content="one ")) + sse(delta(content="two")).rstrip() + b"\n"),
    (ANTHROPIC, named(START, *text(0, "one ", "two")[:3]).rstrip() + b"\n"),
])
def test_the_last_event_of_a_stream_that_was_cut_is_not_lost(gateway, upstream, wire, body):
    """It lacks its blank line, but is whole."""
    seen = Seen(gateway, upstream, wire, other(wire), body)
    assert seen.said.text == "one two" and seen.said.error and not seen.said.complete
    assert seen.line["error"] == "upstream_truncated"


@pytest.mark.parametrize("caller", WIRES)
@pytest.mark.parametrize("wire", WIRES)
def test_a_very_long_event_passes(gateway, upstream, wire, caller):
    long = "é" * 1500000
    body = sse(delta(content=long), delta("stop"), done=True) if wire == OPENAI \
        else named(START, *text(0, long), ended(), STOP)
    seen = Seen(gateway, upstream, wire, caller, body, piece=65537)
    assert seen.said.complete and seen.said.text == long


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/json", "text/event-stream"])
@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("wire", WIRES)
def test_a_mislabelled_answer_is_recognized(gateway, upstream, wire, content_type, stream):
    streamed, document = FRAMINGS["lf"][WIRES.index(wire)], whole(content=STRAWBERRY)
    if wire == ANTHROPIC:
        document = message({"type": "text", "text": STRAWBERRY})
    for body in (streamed, json.dumps(document).encode()):
        if body is streamed and not stream and content_type != "text/event-stream":
            continue      # a stream that nobody asked for and nobody announced
        if body is not streamed and content_type == "text/event-stream":
            continue
        seen = Seen(gateway, upstream, wire, other(wire), body, stream, content_type=content_type)
        assert (seen.status, seen.said.text, seen.said.complete) == (200, STRAWBERRY, True), (body[:20], seen.body)


# --- names of tools ---

@pytest.mark.parametrize("large", [False, True], ids=["small", "large"])
@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("wire", WIRES)
def test_tools_keep_their_names_where_the_provider_takes_shorter_ones(gateway, upstream, wire, stream, large):
    asked = ["plain", "files.read/all", "l" * 200]
    sent = []

    def answer(request):
        if wire == OPENAI:
            sent.extend(t["function"]["name"] for t in request["tools"])
            assert request["tool_choice"]["function"]["name"] == sent[1]
            calls = [call(i, name, "{}")["tool_calls"][0] for i, name in enumerate(sent)]
            if stream:
                return sse(delta(tool_calls=calls), delta("tool_calls"), usage(), done=True)
            return json.dumps(whole(tool_calls=calls, finish="tool_calls")).encode()
        sent.extend(t["name"] for t in request["tools"])
        assert request["tool_choice"]["name"] == sent[1]
        if stream:
            return named(START, *[e for i, name in enumerate(sent) for e in tool(i, name, "{}")], ended("tool_use"), STOP)
        blocks = [{"type": "tool_use", "id": f"toolu_{i}", "name": name, "input": {}} for i, name in enumerate(sent)]
        return json.dumps(message(*blocks, stop_reason="tool_use")).encode()

    if wire == OPENAI:
        more = {"tools": [{"name": name, "input_schema": {"type": "object"}} for name in asked],
                "tool_choice": {"type": "tool", "name": asked[1]}}
    else:
        more = {"tools": [{"type": "function", "function": {"name": name}} for name in asked],
                "tool_choice": {"type": "function", "function": {"name": asked[1]}}}
    if large:
        more["messages"] = [{"role": "user", "content": "x" * 600_000}]
    seen = Seen(gateway, upstream, wire, other(wire), answer, stream, **more)
    assert seen.status == 200, seen.body
    assert sent[0] == "plain" and len(set(sent)) == 3
    assert all(re.fullmatch("[a-zA-Z0-9_-]{1,%d}" % (64 if wire == OPENAI else 128), name) for name in sent)
    assert [c.name for c in seen.said.calls] == asked
