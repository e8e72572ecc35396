"""Streams that break after their first token: another target goes on with plain text, and the caller sees one
answer; everything else ends with an error in the caller's protocol, and nothing looks complete."""
import json
import time

import pytest

from lib import raw
from lib.process import PROMPT, wait_until
from lib.scripted import (CUT, ENDED, ERROR, HALF, MALFORMED, PATHS, REFUSED, RESET, STALL, USAGE, WIRES, Call, Reasoning,
                          Scripted, body_of, read)

BEGIN = ["Once upon a time ", "there was a small fox ", "who lived"]
REST = [" in a wood", " near the river."]
STORY = "".join(BEGIN + REST)

SHORT = {"between_tokens": "300ms", "first_token": "5m", "total": "10m"}


def world(make, first, second=None, alias=None, retry=None, **server):
    providers = {"first": first.provider, **({"second": second.provider} if second else {})}
    targets = ["first/m", "second/m"] if second else ["first/m"]
    return make.gateway({"providers": providers, "models": {"story": {"targets": targets, **(alias or {})}},
                         "server": server, **({"retry": retry} if retry else {})})


def ask(gateway, caller="openai-chat", **more):
    answer = gateway.post(PATHS[caller], body_of(caller, "story", PROMPT, **more))
    assert answer.status_code == 200, answer.text
    return answer, read(caller, answer.content)


def said_so_far(wire, request):
    """What the request adds to the conversation: the assistant's words, and whether the user asks to go on."""
    def text(m):
        return m["content"] if isinstance(m["content"], str) else "".join(p["text"] for p in m["content"])
    added = request["messages"][1:]
    assert [m["role"] for m in added] in (["assistant"], ["assistant", "user"]), added
    assert wire != "openai-chat" or len(added) == 2
    return text(added[0]), len(added) == 1


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("second_wire", WIRES)
def test_a_broken_stream_is_continued_by_the_next_target(make, wire, second_wire):
    first, second = Scripted(make, wire, [*BEGIN, CUT]), Scripted(make, second_wire, REST)
    gateway = world(make, first, second)
    for caller in WIRES:
        answer, got = ask(gateway, caller)
        assert got.text == STORY and got.complete and got.error is None, (caller, answer.content)
        assert (got.starts, got.stops) == (1, 1), (caller, answer.content)
        assert got.comments == ([] if caller == "ollama" else [": continued by second/m"])
        words, prefill = said_so_far(second_wire, second.requests[-1])
        assert words == "".join(BEGIN) and prefill is (second_wire != "openai-chat")
        line = gateway.access_of(answer)
        assert line["continued"] is True and line["status"] == 200 and "error" not in line
        assert [a["provider"] for a in line["attempts"]] == ["first", "second"]
        assert line["attempts"][0]["outcome"] in ("upstream_truncated", "upstream_reset")
        assert line["attempts"][1]["outcome"] == "ok"
        assert (line["tokens_input"], line["tokens_output"]) == got.usage
        assert line["tokens_input"] > USAGE["input"] and line["tokens_output"] > USAGE["output"]
        assert line["tokens_estimated"] is True


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("how", [CUT, RESET, ENDED, ERROR, MALFORMED, STALL, HALF])
def test_every_way_of_breaking_is_continued(make, wire, how):
    first, second = Scripted(make, wire, [*BEGIN, how], timeouts=SHORT), Scripted(make, "openai-chat", REST)
    gateway = world(make, first, second)
    for caller in WIRES:
        answer, got = ask(gateway, caller)
        assert got.text == STORY and got.complete, (caller, answer.content)
        assert len(gateway.access_of(answer)["attempts"]) == 2


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("rest", [
    BEGIN + REST,                                # from the start
    [c for c in STORY],                          # the same, letter by letter
    ["small fox who lived in a wood", " near the river."],
    ["".join(BEGIN) + "".join(REST)],
], ids=["restarted", "letters", "last words", "at once"])
def test_what_the_next_target_repeats_is_dropped(make, wire, rest):
    first, second = Scripted(make, "openai-chat", [*BEGIN, CUT]), Scripted(make, wire, rest)
    gateway = world(make, first, second)
    for caller in WIRES:
        answer, got = ask(gateway, caller)
        assert got.text == STORY and got.complete, (caller, answer.content)


def test_a_model_that_is_asked_to_go_on_is_asked_for_its_last_words(make):
    first = Scripted(make, "openai-chat", [*BEGIN, CUT])
    second = Scripted(make, "openai-chat", ["lived in a wood near the river."])
    answer, got = ask(world(make, first, second))
    assert got.text == STORY and got.complete
    assert "fox who lived" in second.requests[0]["messages"][-1]["content"]


@pytest.mark.parametrize("wire", ["anthropic-messages", "ollama"])
def test_blanks_between_the_parts_are_kept_once(make, wire):
    first, second = Scripted(make, "openai-chat", ["A fox.\n", CUT]), Scripted(make, wire, ["\n\n", "A bear."])
    answer, got = ask(world(make, first, second))
    assert got.text == "A fox.\n\nA bear." and said_so_far(wire, second.requests[0]) == ("A fox.", True)


def test_an_answer_that_begins_again_in_other_words_is_not_appended(make):
    first = Scripted(make, "openai-chat", [*BEGIN, CUT])
    second = Scripted(make, "openai-chat", ["Once upon a time there", " were two bears.", " They slept."])
    gateway = world(make, first, second)
    for caller in WIRES:
        answer, got = ask(gateway, caller)
        assert got.text == "".join(BEGIN) and got.error and not got.looks_finished, answer.content
        line = gateway.access_of(answer)
        assert line["error"] in ("upstream_truncated", "upstream_reset") and len(line["attempts"]) == 2


@pytest.mark.parametrize("caller", WIRES)
def test_a_second_break_is_told(make, caller):
    first = Scripted(make, "openai-chat", [*BEGIN, CUT])
    second = Scripted(make, "anthropic-messages", [" in a wood", CUT])
    gateway = world(make, first, second, {"on_stream_break": "continue"})
    answer, got = ask(gateway, caller)
    assert got.text == "".join(BEGIN) + " in a wood" and got.error and not got.looks_finished
    assert len(first.requests) == len(second.requests) == 1
    line = gateway.access_of(answer)
    assert line["error"] and [a["provider"] for a in line["attempts"]] == ["first", "second"]
    assert "first/m" in str(got.error) and "second/m" in str(got.error)


def test_a_target_that_does_not_begin_is_passed_over(make):
    first, second = Scripted(make, "openai-chat", [*BEGIN, CUT]), Scripted(make, "openai-chat", [REFUSED])
    third = Scripted(make, "anthropic-messages", REST)
    gateway = make.gateway({
        "providers": {"first": first.provider, "second": second.provider, "third": third.provider},
        "models": {"story": {"targets": ["first/m", "second/m", "third/m"]}}})
    answer, got = ask(gateway)
    assert got.text == STORY and got.complete and got.comments == [": continued by third/m"]
    assert [a["outcome"] for a in gateway.access_of(answer)["attempts"]][1:] == ["upstream_overloaded", "ok"]


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("what", [
    [Reasoning("Let me think"), CUT], [Call("weather", '{"city": "Par'), CUT], ["Wait: ", Call("weather", '{"ci'), CUT],
], ids=["reasoning", "call", "text and call"])
def test_reasoning_and_calls_are_never_continued(make, wire, what):
    first, second = Scripted(make, wire, what), Scripted(make, "openai-chat", REST)
    gateway = world(make, first, second, {"on_stream_break": "continue"})
    for caller in WIRES:
        answer, got = ask(gateway, caller)
        assert got.error and not got.looks_finished, (caller, answer.content)
        assert not second.requests
        assert "continued" not in gateway.access_of(answer)


TOOL = {"openai-chat": {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}},
        "ollama": {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}},
        "anthropic-messages": {"name": "f", "input_schema": {"type": "object"}}}
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}
BEYOND = {
    "openai-chat": [{"tools": [TOOL["openai-chat"]]}, {"reasoning_effort": "low"},
                    {"response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": SCHEMA}}},
                    {"messages": [{"role": "user", "content": "x" * 70000}]}],
    "anthropic-messages": [{"tools": [TOOL["anthropic-messages"]]},
                           {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 4000}],
    "ollama": [{"tools": [TOOL["ollama"]]}, {"format": SCHEMA}, {"think": True}],
}


@pytest.mark.parametrize("caller, more", [(c, m) for c in WIRES for m in BEYOND[c]],
                         ids=[f"{c} {next(iter(m))}" for c in WIRES for m in BEYOND[c]])
def test_requests_for_more_than_short_plain_text_are_not_continued(make, caller, more):
    first, second = Scripted(make, caller, [*BEGIN, CUT]), Scripted(make, caller, REST)
    gateway = world(make, first, second)
    answer, got = ask(gateway, caller, **more)
    assert got.text == "".join(BEGIN) and got.error and not got.looks_finished
    assert not second.requests


@pytest.mark.parametrize("caller", WIRES)
def test_an_alias_may_ask_for_more_but_not_for_schemas(make, caller):
    first, second = Scripted(make, caller, [*BEGIN, CUT]), Scripted(make, caller, REST)
    gateway = world(make, first, second, {"on_stream_break": "continue"})
    for more in BEYOND[caller]:
        answer, got = ask(gateway, caller, **more)
        continued = not {"response_format", "format", "messages"} & set(more)
        assert got.complete is continued, (more, answer.content)
        assert got.text == (STORY if continued else "".join(BEGIN))


def test_the_same_target_is_asked_again_if_there_is_no_other(make):
    first = Scripted(make, "openai-chat", [*BEGIN, CUT], REST)
    answer, got = ask(world(make, first, alias={"on_stream_break": "continue"}, retry={"attempts": 6}))
    assert got.text == STORY and got.complete and got.comments == [": continued by first/m"]
    one = Scripted(make, "openai-chat", [*BEGIN, CUT], REST)
    answer, got = ask(world(make, one))
    assert got.error and len(one.requests) == 1, "not by default"


@pytest.mark.parametrize("caller", WIRES)
def test_switched_off_a_break_is_told(make, caller):
    first, second = Scripted(make, caller, [*BEGIN, CUT]), Scripted(make, "openai-chat", REST)
    for options in ({"alias": {"on_stream_break": "error"}}, {"limits": {"continued": 0}}):
        answer, got = ask(world(make, first, second, **options), caller)
        assert got.text == "".join(BEGIN) and got.error and not got.looks_finished
    assert not second.requests


@pytest.mark.parametrize("caller", WIRES)
@pytest.mark.parametrize("wire", WIRES)
def test_a_caller_without_a_stream_gets_a_whole_answer_from_the_next_target(make, caller, wire):
    first = Scripted(make, wire, [*BEGIN, CUT], [Call("weather", '{"ci'), CUT])
    second = Scripted(make, "openai-chat", [STORY])
    gateway = world(make, first, second)
    for _ in range(2):
        body = {**body_of(caller, "story", PROMPT), "stream": False}
        body.pop("stream_options", None)
        answer = gateway.post(PATHS[caller], body)
        assert answer.status_code == 200 and STORY in json.dumps(answer.json())
        assert "".join(BEGIN) * 2 not in answer.text and answer.text.count("Once upon") == 1
    assert len(second.requests) == 2


def test_the_limit_of_tokens_holds_for_both_parts(make):
    first, second = Scripted(make, "openai-chat", [*BEGIN, CUT]), Scripted(make, "openai-chat", REST)
    gateway = world(make, first, second)
    ask(gateway, max_tokens=100)
    asked = second.requests[0]
    assert 16 <= asked.get("max_completion_tokens", asked.get("max_tokens")) < 100


def held(gateway):
    return gateway.metrics().value("openclaw_held_bytes")


def test_what_is_kept_is_given_back(make):
    text = ["word number %d, " % i for i in range(2000)]
    first, second = Scripted(make, "openai-chat", [*text, CUT]), Scripted(make, "openai-chat", REST)
    gateway = world(make, first, second)
    gateway.idle()
    before = held(gateway)
    for _ in range(4):
        answer, got = ask(gateway)
        assert got.text == "".join(text + REST) and got.complete
    wait_until(lambda: held(gateway) <= before + 65536, "memory given back")


def test_a_text_longer_than_the_limit_is_not_continued(make):
    first, second = Scripted(make, "openai-chat", ["x" * 3000, "y" * 3000, CUT]), Scripted(make, "openai-chat", REST)
    gateway = world(make, first, second, limits={"continued": "4KB"})
    answer, got = ask(gateway)
    assert got.text == "x" * 3000 + "y" * 3000 and got.error and not got.looks_finished
    assert not second.requests


def unchunked(body):
    """In time that is linear, for a large one."""
    parts, at = [], 0
    while size := int(body[at:(line := body.index(b"\r\n", at))], 16):
        parts.append(body[line + 2:line + 2 + size])
        at = line + size + 4
    return b"".join(parts)


@pytest.mark.parametrize("caller", WIRES)
def test_a_slow_reader_gets_all_of_it_in_order(make, caller):
    text = "".join("%05d " % i for i in range(3000))       # in letters, more than the kernel takes at once
    first = Scripted(make, "openai-chat", [*(tuple(text[i:i + 500]) for i in range(0, len(text), 500)), CUT])
    second = Scripted(make, "openai-chat", REST)
    gateway = world(make, first, second)
    with gateway.raw() as client:
        client.send(raw.request("POST", PATHS[caller], body_of(caller, "story", PROMPT), gateway.authorization()))
        assert client.read_head().status == 200
        time.sleep(1)
        body = bytearray(client.buffer)
        while not body.endswith(b"\r\n0\r\n\r\n"):
            body += client.socket.recv(1 << 20)
    got = read(caller, unchunked(bytes(body)))
    assert got.text == text + "".join(REST) and got.complete


def test_the_caller_may_leave_while_it_is_continued(make):
    first, second = Scripted(make, "openai-chat", [*BEGIN, CUT]), Scripted(make, "openai-chat", [STALL])
    gateway = world(make, first, second)
    with gateway.raw() as client:
        client.send(raw.request("POST", PATHS["openai-chat"], body_of("openai-chat", "story", PROMPT),
                                gateway.authorization()))
        assert client.read_head().status == 200
        wait_until(lambda: len(second.requests) == 1, "the continuation is asked for")
    line = gateway.last_access()
    assert line["client_abort"] is True and line["tokens_output"] > 0
    gateway.idle()


def test_a_name_written_with_escapes_asks_for_anything(make):
    first, second = Scripted(make, "openai-chat", [*BEGIN, CUT]), Scripted(make, "openai-chat", REST)
    gateway = world(make, first, second)
    body = json.dumps(body_of("openai-chat", "story", PROMPT, xtools=[TOOL["openai-chat"]]))
    answer = gateway._keeping().post(PATHS["openai-chat"], content=body.replace('"xtools"', '"t\\u006fols"'),
                                     headers={**gateway.authorization(), "content-type": "application/json"})
    got = read("openai-chat", answer.content)
    assert got.error and not got.looks_finished and not second.requests
