"""The contents of an Ollama answer or stream, parsed independently of the gateway.

A stream is checked against the protocol's grammar: one JSON object on each line, the last one `done`, nothing after it
or after an error.
"""
import dataclasses
import json


@dataclasses.dataclass
class Facts:
    model: str | None = None
    text: str = ""
    reasoning: str = ""
    calls: list = dataclasses.field(default_factory=list)     # {"name", "arguments"}; the arguments are an object
    finish: str | None = None
    usage: dict = dataclasses.field(default_factory=dict)     # prompt_eval_count, eval_count
    error: str | None = None
    done: bool = False


def _add(facts, doc):
    assert not facts.done and facts.error is None, f"after the end: {doc}"
    if "error" in doc:
        assert isinstance(doc["error"], str) and doc["error"], doc
        facts.error = doc["error"]
        return
    message = doc["message"]
    assert message["role"] == "assistant", doc
    facts.model = facts.model or doc["model"]
    facts.text += message.get("content") or ""
    facts.reasoning += message.get("thinking") or ""
    facts.calls += [call["function"] for call in message.get("tool_calls") or []]
    if doc["done"]:
        facts.done, facts.finish = True, doc.get("done_reason")
        facts.usage = {k: doc[k] for k in ("prompt_eval_count", "eval_count") if k in doc}


def facts_of_answer(body):
    facts = Facts()
    _add(facts, json.loads(body))
    return facts


def facts_of_stream(stream):
    facts = Facts()
    for line in stream.split(b"\n"):
        if line.strip():
            _add(facts, json.loads(line))
    return facts
