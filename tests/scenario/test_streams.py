"""Streams that break behind their first token: continued where that is safe, and otherwise ended with an error of the
caller's protocol. Never spliced, never presented as complete."""
import json
import time

import pytest

from lib import openai, raw, sse
from lib.ask import EVERY_CALLER, PATHS, ask, body_of
from lib.fault import PRIMARY, Fault, answered, broken, play, several
from lib.process import wait_until
from lib.script import (ANTHROPIC, CALL, OLLAMA, OPENAI, WIRES, Stage, continuing, cut, drip, error_after, malformed_after,
                        no_finish, ok, stall, unexplained)
from lib.sdk import openai_tool

HTTP = [OPENAI, ANTHROPIC]
TEXT = "One way to see it is this: a stream that breaks in the middle of a sentence has said something, and the rest is missing."
CALLS = [(CALL[0], json.loads(CALL[1]))]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
          "required": ["city", "days"], "additionalProperties": False}
DOCUMENT = '{"city": "Ulm an der Donau", "days": 3}'
REASONING = "First the question, then the answer."


# --- what callers ask for, in their own protocol ---

def tools(caller):
    if caller == "anthropic":
        return {"tools": [{"name": CALL[0], "input_schema": SCHEMA}]}
    return {"tools": [openai_tool(CALL[0], SCHEMA)]}


def schema(caller):
    if caller == "ollama":
        return {"format": SCHEMA}
    if caller == "anthropic":
        return {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}}
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "trip", "strict": True, "schema": SCHEMA}}}


def thinking(caller):
    if caller == "ollama":
        return {"think": True}
    if caller == "anthropic":
        return {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 4096}
    return {"reasoning_effort": "high"}


# --- ends with an error ---

ERROR = {"on_stream_break": "error"}
GAP = {"timeouts": {"between_tokens": "400ms"}}
BREAKS = {"reset": cut(text=TEXT), "close": cut(how="close", text=TEXT), "clean end": cut(how="end", text=TEXT),
          "no finish reason": no_finish(text=TEXT), "terminator without a finish reason": unexplained(text=TEXT),
          "error event": error_after(text=TEXT), "overload": error_after(kind="overloaded_error", text=TEXT),
          "malformed": malformed_after(text=TEXT)}

TOLD = [
    *(Fault(f"{name} in a text", [step], broken(TEXT), asked=(1, 0), streams=(True,), alias=ERROR)
      for name, step in BREAKS.items()),
    Fault("stall in a text", [stall(text=TEXT)], broken(TEXT), asked=(1, 0), streams=(True,), provider=GAP, alias=ERROR,
          cancelled=True),
    Fault("tokens for ever, until the total limit", [drip(0.3)], broken("from" * 50), asked=(1, 0), streams=(True,),
          provider={"timeouts": {"total": "2s"}}, cancelled=True, alias=ERROR),
]


@pytest.mark.parametrize("fault", TOLD, ids=str)
def test_a_stream_that_breaks_is_told_if_it_shall_not_be_continued(make, fault):
    play(make, fault)


def ends_with_error(*, text="", reasoning="", call=False):
    """A stream that had begun with a part of this and tells that it is not complete; nothing of the backup in it."""
    def look(got, caller, stream):
        assert got.status == 200 and got.error and not got.complete and not got.broke, got
        assert text.startswith(got.text) and reasoning.startswith(got.reasoning), got
        assert got.text or got.reasoning or call, got
        assert b"from-the-backup" not in got.body, got.body
    return look


NEVER_SPLICED = [
    Fault("cut inside reasoning", [cut("reasoning", text=TEXT, reasoning=REASONING)], ends_with_error(reasoning=REASONING),
          asked=(1, 0), streams=(True,), request=thinking),
    Fault("cut inside a schema's JSON", [cut(text=DOCUMENT)], ends_with_error(text=DOCUMENT), asked=(1, 0), streams=(True,),
          request=schema),
    Fault("cut inside text of a request with tools", [cut(text=TEXT)], ends_with_error(text=TEXT), asked=(1, 0),
          streams=(True,), request=tools),
]


@pytest.mark.parametrize("fault", NEVER_SPLICED, ids=str)
def test_what_cannot_be_spliced_ends_with_an_error(make, fault):
    play(make, fault)


@pytest.mark.parametrize("how", ["reset", "close", "end"])
@pytest.mark.parametrize("wire", HTTP)
@pytest.mark.parametrize("caller", EVERY_CALLER)
def test_a_call_that_was_cut_is_never_completed_with_another(make, caller, wire, how):
    whole = {"text": "", "call": CALL, "finish": "call"}
    stage, gateway = several(make, {"primary": (wire, cut("arguments", 2, how, **whole)), "backup": (OPENAI, ok(**whole))})
    got = ask(gateway, caller, "all", True, **tools(caller))
    assert got.error and not got.complete and not got.broke, got
    assert all(arguments != CALLS[0][1] for _, arguments in got.calls), got
    assert not stage.received("backup")


# --- continued ---

def continued(name, *primary, **more):
    return Fault(name, list(primary), answered(TEXT), streams=(True,), **more)


CONTINUED = [
    # A text block of Anthropic's that was closed, and passed on as it came, is not opened again.
    *(continued(f"{name}, continued", step, backup=[continuing(TEXT)],
                wires=[OPENAI, OLLAMA] if "finish reason" in name else WIRES) for name, step in BREAKS.items()),
    continued("stall, continued", stall(text=TEXT), backup=[continuing(TEXT)], provider=GAP, cancelled=True),
    continued("cut, and the backup repeats a few words", cut(text=TEXT), backup=[continuing(TEXT, again=12)]),
    continued("cut, and the backup begins once more", cut(text=TEXT), backup=[continuing(TEXT, again=None)]),
    continued("cut late", cut(after=3, text=TEXT), backup=[continuing(TEXT)]),
]


@pytest.mark.parametrize("fault", CONTINUED, ids=str)
def test_a_plain_text_is_continued_by_the_next_target(make, fault):
    play(make, fault)


def broken_streams(gateway):
    """How many streams broke, were gone on with, and came to their end."""
    metrics = gateway.metrics()
    return tuple(metrics.value(f"openclaw_{name}_total")
                 for name in ("stream_breaks", "stream_continuations", "streams_continued"))


@pytest.mark.parametrize("caller", EVERY_CALLER)
@pytest.mark.parametrize("first, second", [(a, b) for a in WIRES for b in WIRES])
def test_a_continued_stream_has_one_start_one_end_and_the_sum_of_both_usages(make, caller, first, second):
    _, gateway = several(make, {"primary": (first, cut(text=TEXT)), "backup": (second, continuing(TEXT, usage=(40, 9)))})
    more = {"stream_options": {"include_usage": True}} if caller == "openai" else {}
    got = ask(gateway, caller, "all", True, **more)
    answered(TEXT)(got, caller, True)
    line = gateway.access(got.id)
    assert line["tokens_input"] > 40 and line["tokens_output"] > 9, line
    assert got.usage and got.usage[1] == line["tokens_output"], (got.usage, line)
    assert len(line["attempts"]) == 2 and line["attempts"][1]["outcome"] == "ok", line
    assert broken_streams(gateway) == (1, 1, 1)
    if caller == "openai":
        documents = [f.json() for f in sse.frames(got.body) if f.data and f.data != "[DONE]"]
        assert len({d["id"] for d in documents}) == 1, "two answers in one"
        assert sum(bool(c["finish_reason"]) for d in documents for c in d["choices"]) == 1
        assert got.body.count(b"[DONE]") == 1


@pytest.mark.parametrize("caller", EVERY_CALLER)
def test_a_stream_is_continued_once(make, caller):
    stage, gateway = several(make, {"primary": (OPENAI, cut(text=TEXT)), "backup": (ANTHROPIC, cut(text=TEXT[60:])),
                                    "third": (OPENAI, continuing(TEXT))})
    got = ask(gateway, caller, "all", True)
    assert got.status == 200 and got.error and not got.complete and not got.broke, got
    assert got.text, got
    assert not stage.received("third")
    assert broken_streams(gateway) == (2, 1, 0)


@pytest.mark.parametrize("caller", EVERY_CALLER)
def test_a_caller_of_no_stream_gets_a_whole_answer_of_the_next_target(make, caller):
    _, gateway = several(make, {"primary": (OPENAI, cut()), "backup": (OLLAMA, ok(TEXT))})
    answered(TEXT)(ask(gateway, caller, "all"), caller, False)


@pytest.mark.parametrize("caller", EVERY_CALLER)
@pytest.mark.parametrize("wire", HTTP)
def test_a_provider_that_never_says_why_it_ends_can_be_used(make, caller, wire):
    """Its trait says so; callers get a finish reason all the same."""
    stage = Stage(make)
    odd = stage.provider("odd", wire, unexplained(text=TEXT), settings={"traits": {"no_finish_reason": True}})
    gateway = make.gateway({"providers": {"odd": odd}})
    answered(TEXT)(ask(gateway, caller, "odd/m", True), caller, True)


# --- a slow reader ---

def test_a_slow_reader_is_held_against_nobody(make):
    """It reads nothing for longer than the provider may be silent."""
    long = "word " * 400_000
    stage, gateway = several(make, {"primary": (OPENAI, ok(long, pieces=400)), "backup": (ANTHROPIC, ok(PRIMARY))}, **GAP)
    for _ in range(2):
        with gateway.raw() as client:
            client.send(raw.request("POST", PATHS["openai"], body_of("all", True), gateway.authorization()))
            assert client.read_head().status == 200
            first = client.read_chunk()
            wait_until(lambda: stage.received("primary"), "the provider to be asked")
            time.sleep(1.5)
            body = first
            while chunk := client.read_chunk():
                body += chunk
        facts = openai.facts_of_stream(body)
        assert facts.done and facts.choice().text == long
    assert len(stage.received("primary")) == 2 and not stage.received("backup")
