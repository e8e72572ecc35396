"""Streams that break behind their first token end with an error of the caller's protocol: never spliced, never presented as
complete."""
import json
import time

import pytest

from lib import openai, raw
from lib.ask import EVERY_CALLER, PATHS, ask, body_of
from lib.fault import PRIMARY, Fault, answered, play, several
from lib.process import wait_until
from lib.script import ANTHROPIC, CALL, OLLAMA, OPENAI, cut, ok
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

GAP = {"timeouts": {"between_tokens": "400ms"}}


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


@pytest.mark.parametrize("caller", EVERY_CALLER)
def test_a_caller_of_no_stream_gets_a_whole_answer_of_the_next_target(make, caller):
    _, gateway = several(make, {"primary": (OPENAI, cut()), "backup": (OLLAMA, ok(TEXT))})
    answered(TEXT)(ask(gateway, caller, "all"), caller, False)


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
