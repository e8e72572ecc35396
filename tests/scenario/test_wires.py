"""Recorded requests and answers, written for every protocol that the gateway speaks, and read by readers of our own.

print_wires (tests/wire/print_wires.c) walks wires.def, so a protocol is covered as soon as it has its row there. What a
provider is sent must say what the recorded request said (expect.json) and be valid by the provider's description;
what a caller gets must say what the recorded answer said. What a protocol cannot say is listed here with its reason.
"""
import base64
import collections
import functools
import json
import os
import pathlib
import subprocess

import pytest

from lib import process, schemas
from lib.asked import asked, meaning
from lib.replay import WIRES as RECORDED
from lib.said import Said

PRINT = pathlib.Path(process.BIN).parent / "tests" / "print_wires"

# Protocols whose tools only talk: pictures that a tool shows stand behind the results.
TALKING = ("openai-chat", "mistral", "ollama", "cohere-v2", "gemini", "bedrock-converse")
# Facts that a protocol has no words for. What was asked for is named in x-openclaw-dropped.
SILENT = {
    "openai-chat": {"top_k"},
    "mistral": {"top_k"},
    "anthropic-messages": {"seed", "logprobs"},
    "openai-responses": {"seed", "stop", "top_k"},
    "gemini": {"parallel_tool_calls"},
    "cohere-v2": {"parallel_tool_calls"},
    "bedrock-converse": {"seed", "parallel_tool_calls", "top_k"},
    "ollama": {"parallel_tool_calls", "tool_choice"},
}
# A recorded request that cannot be sent to a protocol at all, and why.
REFUSABLE = {
    "one choice only": lambda want, to: want.get("n", 1) > 1,
    "free-form tools": lambda want, to: any(t.get("custom") for t in want.get("tools", [])),
    "tools that a provider runs itself": lambda want, to: bool(want.get("server_tools")) and not want.get("tools"),
    "files": lambda want, to: any(i["kind"] == "file" for i in want["items"]),
    "media": lambda want, to: any(i["kind"] in ("audio", "video", "image") for i in want["items"]),
}


# Blocks and tools that only some hosts of their own protocol have, sent on as they came, and not in its description.
NEWER = {"container_upload", "bash_code_execution_tool_result", "openrouter:web_search"}


def skip_without_recordings():
    if not RECORDED.is_dir() or not PRINT.exists():
        why = f"no recorded traffic at {RECORDED}, or {PRINT} is not built"
        assert "CI" not in os.environ, why
        pytest.skip(why)


@functools.cache
def printed(what):
    """The lines of print_wires, as dicts."""
    skip_without_recordings()
    done = subprocess.run([PRINT, what], capture_output=True, check=True, timeout=process.PATIENCE * 10,
                          env={**os.environ, "OPENCLAW_SHARED": str(process.SHARED)})
    return [json.loads(line) for line in done.stdout.splitlines()]


def wires(side):
    """The protocols that have this side; none if nothing is built."""
    if not PRINT.exists():
        return ["none"]
    out = subprocess.run([PRINT, "wires"], capture_output=True, check=False, timeout=process.PATIENCE).stdout
    return [w["name"] for w in map(json.loads, out.splitlines()) if w[side]]


@functools.cache
def expect(folder, name):
    return json.loads((RECORDED / folder / name / "expect.json").read_text())


class Wrong:
    """Collects what is wrong, so that one run tells of all cases."""

    def __init__(self):
        self.found, self.counts = [], collections.Counter()

    def check(self, line, what, got, want):
        if got != want:
            self.found.append(f"{line['folder']}/{line['case']} -> {line['to']}: {what}\n  got  {str(got)[:600]}\n"
                              f"  want {str(want)[:600]}")

    def end(self, title):
        print(f"{title}: " + ", ".join(f"{n} {what}" for what, n in sorted(self.counts.items())))
        assert not self.found, f"{len(self.found)} wrong:\n" + "\n".join(self.found[:30])


# --- requests ---

def result_text(item):
    """What a tool said, where the protocol wants an object: its only member, or the object."""
    value = item.get("response")
    if isinstance(value, dict) and len(value) == 1 and set(value) <= {"output", "result", "content", "error"}:
        value = next(iter(value.values()))
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def comparable(items, media_after):
    """meaning(), with results as text, without what a protocol calls what."""
    result = []
    for item in meaning(items, media_after_results=media_after):
        item = dict(item)
        if item["kind"] == "tool_result":
            text = item.get("text", "") if "response" not in item else result_text(item)
            text = "" if text == "(see the next message)" else text
            try:
                text = json.dumps(json.loads(text), sort_keys=True)
            except ValueError:
                pass
            item = {"role": item["role"], "kind": item["kind"], "id": item.get("id"), "text": text}
        result.append(item)
    return result


def numbered(items):
    """Gemini's and Ollama's recordings have no ids: results answer calls in order."""
    waiting, result = [], []
    for number, item in enumerate(items):
        item = dict(item)
        if item["kind"] == "tool_call":
            item.setdefault("id", f"#{number}")
            waiting.append(item["id"])
        elif item["kind"] == "tool_result":
            item.setdefault("id", waiting[0] if waiting else "?")
            waiting = [w for w in waiting if w != item["id"]]
        result.append(item)
    return result


def words_first(items):
    """In these protocols an assistant's message has a text, and calls behind it."""
    result, calls = [], []
    for item in items:
        if item["role"] == "assistant" and item["kind"] == "tool_call":
            calls.append(item)
            continue
        if item["role"] != "assistant":
            result += calls
            calls = []
        result.append(item)
    return meaning(result + calls)


def pictures_last(items):
    """Ollama's messages have a text, and pictures beside it; those of results belong to the results. So their place
    among the other items means nothing, only their number; texts around them are joined with a blank line."""
    pictures = [i for i in items if i["kind"] == "image"]
    others = meaning([i for i in items if i["kind"] != "image"])
    return [{**i, "text": "".join(i["text"].split("\n"))} if i["kind"] == "text" else i for i in others] + [len(pictures)]


def schema_facts(schema):
    """The names of a schema's properties and what must be there: dialects spell the rest in their ways."""
    schema = schema or {}
    return sorted(schema.get("properties", {})), sorted(schema.get("required", []))


def same_request(wrong, line, want, got):
    to = line["to"]
    silent = SILENT.get(to, set())
    mine, theirs = numbered(got["items"]), numbered(want["items"])
    mine, theirs = (comparable(i, to in TALKING) for i in (mine, theirs))
    if to == "gemini":      # calls and results of one name are told apart by their order
        mine, theirs = ([{k: v for k, v in i.items() if k != "id"} for i in items] for items in (mine, theirs))
    if to in TALKING and to not in ("gemini", "bedrock-converse"):
        mine, theirs = words_first(mine), words_first(theirs)
    if to == "ollama":
        mine, theirs = pictures_last(mine), pictures_last(theirs)
    if mine and mine[0].get("text") == "(start of the conversation)":
        mine = mine[1:]
    mine = [i for i in mine if not isinstance(i, dict) or i.get("text") != "(see the document)"]
    kinds = {i["kind"] for i in want["items"]}
    # text that only guards look at stays text; text documents become text, with their names
    if not ("guardContent" in kinds or line["from"] == "bedrock-converse" and "file" in kinds):
        wrong.check(line, "items", mine, theirs)
    # asked for JSON without a schema, some models have to be told in words
    wrong.check(line, "system", got.get("system", "").startswith(want.get("system", "")), True)
    tools = want.get("tools", [])
    choice = want.get("tool_choice")
    if "tool_choice" not in silent and to == "cohere-v2" and isinstance(choice, dict):
        tools, choice = [t for t in tools if t["name"] == choice["name"]], "required"
    if to == "ollama" and isinstance(choice, dict):
        tools = [t for t in tools if t["name"] == choice["name"]]
    # free-form tools are functions of one text where there are no others
    tools = [t if not t.get("custom") or to in ("openai-chat", "openai-responses") else {
        "name": t["name"], "has_description": True, "parameters": {
            "type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]}} for t in tools]
    # tools of the history are declared where calls need them
    declared = not tools and (got.get("tool_choice") == "none" or to == "bedrock-converse")
    if to == "bedrock-converse" and choice == "none":      # it has no such choice: nothing is offered
        choice, tools = None, []
    if not declared and not (to in ("ollama", "cohere-v2") and choice == "none"):
        wrong.check(line, "tools", [(t["name"], t.get("has_description")) for t in got.get("tools", [])],
                    [(t["name"], t.get("has_description")) for t in tools])
        for one, other in zip(got.get("tools", []), tools):
            wrong.check(line, f"parameters of {one['name']}", schema_facts(one.get("parameters")),
                        schema_facts(other.get("parameters")))
    if tools and "tool_choice" not in silent and choice not in (None, "auto"):
        wrong.check(line, "tool_choice", got.get("tool_choice"), choice)
    if want.get("response_format") == "json_schema" and want.get("json_schema"):
        wrong.check(line, "schema", schema_facts(got.get("json_schema")), schema_facts(want["json_schema"]))
    if want.get("max_tokens"):
        least = 16 if to == "openai-responses" else 1      # it refuses fewer
        wrong.check(line, "max_tokens", got.get("max_tokens"), max(want["max_tokens"], least))
    dropped = " ".join(line["dropped"]).lower().replace("_", "").replace("topk", "k").replace("topp", "p")
    for name in ("temperature", "top_p", "top_k", "stop", "seed"):
        # Nova's top_k is a field of the model's own, deep in what other protocols' models do not get
        if want.get(name) in (None, []) or (name == "top_k" and line["from"] == "bedrock-converse"):
            continue
        value, other = got.get(name), want[name]
        if name == "stop" and line["stops"]:       # the gateway itself ends the text there
            value = (value or []) + line["stops"]
        if name == "temperature" and to in ("anthropic-messages", "bedrock-converse", "cohere-v2"):
            other = min(other, 1)
        if name == "top_p" and to == "cohere-v2":
            other = min(other, 0.99)               # which is the most that it takes
        word = name.replace("_", "").replace("topk", "k").replace("topp", "p")
        if value is None and (name in silent or word in dropped):
            wrong.check(line, f"{name} goes without a word: dropped is {line['dropped']}", word in dropped, True)
        else:
            wrong.check(line, name, value, other)


@pytest.mark.parametrize("to", [*wires("provider"), "mistral"])
def test_what_a_provider_is_sent_says_what_the_caller_said(to):
    wrong = Wrong()
    for line in printed("requests"):
        if line["to"] != to:
            continue
        want = expect(line["folder"], line["case"])["request"]
        if "error" in want or not want.get("items"):
            wrong.counts["without a conversation"] += 1
            continue
        if line["error"]:
            why = next((why for why, refuses in REFUSABLE.items() if refuses(want, to)), None)
            if line["fault"].startswith("tools: only providers of the protocol"):
                why = "tools that a provider runs itself"
            # the provider of the recording refused it, too
            if why is None and expect(line["folder"], line["case"])["status"] >= 400:
                why = "refused by its own provider"
            wrong.counts[f"refused: {why}"] += 1
            wrong.check(line, f"refused: {line['fault']}", why is not None, True)
            continue
        wrong.counts[f"from {line['from']}"] += 1
        same_request(wrong, line, want, asked(to, line["body"]))
    wrong.end(f"requests to {to}")


@pytest.mark.parametrize("to", [*wires("provider"), "mistral"])
def test_what_a_provider_is_sent_is_valid_by_its_own_description(to):
    skip_without_recordings()
    assert schemas.known(to), f"say in lib/schemas.py where the description of {to} is"
    wrong = Wrong()
    for line in printed("requests"):
        if line["to"] == to and not line["error"]:
            want = expect(line["folder"], line["case"])["request"]
            kinds = {i["kind"] for i in want.get("items", [])}
            if line["from"] == to == "openai-responses" and "reasoning" in kinds:
                wrong.counts["with reasoning as it was sent back, without the id that its description wants"] += 1
                continue
            if line["from"] in (to, "openai-chat") and (kinds & NEWER or set(map(str, want.get("server_tools", []))) & NEWER):
                wrong.counts["with what is newer than the description"] += 1
                continue
            wrong.counts["valid"] += 1
            wrong.check(line, "its description", schemas.problems(to, line["body"]), [])
    wrong.end(f"requests to {to}")


# --- answers ---

# What a caller's protocol cannot say of an answer.
NARROW = {
    "ollama": {"cached_tokens", "cache_write_tokens", "reasoning_tokens", "content_filter"},
    "gemini": {"cache_write_tokens"},
    "openai-responses": {"cache_write_tokens"},
    "cohere-v2": {"cache_write_tokens", "reasoning_tokens", "content_filter"},
    "bedrock-converse": {"reasoning_tokens"},
}
REFUSES = ("openai-chat", "openai-responses")     # which have a place of its own for a refusal


def same_answer(wrong, line, want, said):
    to, narrow = line["to"], NARROW.get(line["to"], set())
    refusal = want.get("refusal") or ""
    wrong.check(line, "complete", (said.error, said.complete), (None, True))
    wrong.check(line, "text", said.text + said.refusal, want["text"] + refusal)
    if to in REFUSES and refusal:
        wrong.check(line, "refusal", said.refusal, refusal)
    # what Cohere's models plan to do with tools is the reasoning of answers that call some
    wrong.check(line, "reasoning", said.reasoning, want.get("reasoning", "") + want.get("tool_plan", ""))
    calls = [c for c in want.get("tool_calls") or [] if c["name"]]
    wrong.check(line, "calls", [(c.name, c.arguments) for c in said.calls],
                [(c["name"], {"input": c["arguments_raw"]} if c.get("custom") and to not in REFUSES else
                  c["arguments_raw"] if c.get("custom") else c["arguments"] or {}) for c in calls])
    if want["finish_openai"] and want["finish_openai"] not in narrow:
        wrong.check(line, "finish", said.finish, want["finish_openai"])
    for key in ("prompt_tokens", "completion_tokens", "cached_tokens", "cache_write_tokens", "reasoning_tokens"):
        count = (want.get("usage") or {}).get(key)
        # xAI counts thoughts beside the answer; Gemini's counts cannot say that
        beside = key == "reasoning_tokens" and to == "gemini" and (count or 0) > ((want.get("usage") or {}).get("completion_tokens") or 0)
        if count is not None and key not in narrow and said.usage is not None and not beside:
            wrong.check(line, key, said.usage[key], count)
    if any((want.get("usage") or {}).values()):
        wrong.check(line, "usage", said.usage is not None, True)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("to", wires("caller"))
def test_what_a_caller_gets_says_what_the_provider_said(to, stream):
    wrong = Wrong()
    for line in printed("answers"):
        if line["to"] != to or line["stream"] != stream:
            continue
        want = expect(line["folder"], line["case"])
        body = base64.b64decode(line["body"])
        try:
            if want.get("error"):
                wrong.counts["errors"] += 1
                said = Said.of(to, body, stream) if stream else None
                wrong.check(line, "error", bool(said.error and not said.complete) if stream else line["failed"], True)
                continue
            wrong.counts[f"from {line['from']}"] += 1
            same_answer(wrong, line, want, Said.of(to, body, stream))
        except (AssertionError, KeyError, ValueError, TypeError) as e:
            wrong.check(line, f"cannot be read: {e!r} in {body[-400:]!r}", False, True)
    wrong.end(f"answers for {to}, {'streamed' if stream else 'whole'}")


# --- the readers ---

REQUESTS = ("openai-chat", "mistral", "anthropic-messages", "openai-responses", "gemini", "cohere-v2",
            "bedrock-converse", "ollama")


def cases_of(wire, op="chat"):
    folder = RECORDED / wire
    for one in sorted(folder.iterdir()) if folder.is_dir() else []:
        about = json.loads((one / "case.json").read_text())
        if about["op"] == op:
            yield one, about


@pytest.mark.parametrize("wire", REQUESTS)
def test_the_readers_of_requests_read_recorded_ones_right(wire):
    """Else the rest would only show that two readers make the same mistake."""
    skip_without_recordings()
    for folder, _ in cases_of(wire):
        want = expect(wire, folder.name).get("request")
        if not want or not (folder / "request.json").exists():
            continue
        got = asked(wire, json.loads((folder / "request.json").read_text()))
        for name in ("system", "tools", "tool_choice", "max_tokens", "temperature", "top_p", "stop", "seed"):
            assert got.get(name) == want.get(name), (folder.name, name)
        kept = ("role", "kind", "text", "name", "arguments")
        strip = [[{k: v for k, v in i.items() if k in kept and (k, i["kind"]) not in
                   (("name", "tool_result"), ("text", "tool_result"))} for i in items] for items in
                 (got["items"], want["items"])]
        assert strip[0] == strip[1], folder.name


@pytest.mark.parametrize("wire", REQUESTS)
def test_the_readers_of_answers_read_recorded_ones_right(wire):
    skip_without_recordings()
    for folder, about in cases_of(wire):
        want = expect(wire, folder.name)
        if want["status"] != 200 or want.get("error"):
            continue
        stream = about["response_file"] != "response.json"
        said = Said.of(wire, (folder / about["response_file"]).read_bytes(), stream)
        assert (said.text, said.refusal) == (want["text"], want.get("refusal") or ""), folder.name
        assert said.reasoning == want.get("reasoning", ""), folder.name
        assert [c.name for c in said.calls if c.name] == [c["name"] for c in want.get("tool_calls") or [] if c["name"]], folder.name
        if want.get("usage") and said.usage:
            assert said.usage["prompt_tokens"] == want["usage"]["prompt_tokens"], folder.name
            assert said.usage["completion_tokens"] == want["usage"]["completion_tokens"], folder.name
