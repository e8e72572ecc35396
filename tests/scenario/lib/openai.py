"""The contents of an OpenAI answer or stream, parsed independently of the gateway.

facts_of_answer(body) and facts_of_stream(bytes) give a Facts whose fields are named as in expect.json.
"""
import dataclasses
import json

from lib import sse


@dataclasses.dataclass
class Choice:
    text: str = ""
    reasoning: str = ""
    refusal: str = ""
    calls: dict = dataclasses.field(default_factory=dict)     # index -> {"id", "name", "arguments"}
    finish: str | None = None

    def tool_calls(self):
        return [self.calls[i] for i in sorted(self.calls)]


@dataclasses.dataclass
class Facts:
    choices: dict = dataclasses.field(default_factory=dict)
    usage: dict | None = None
    usage_frames: int = 0      # chunks that carry nothing but usage
    model: str | None = None
    id: str | None = None
    error: dict | None = None
    done: bool = False         # [DONE] came

    def choice(self, index=0):
        return self.choices.setdefault(index, Choice())

    @property
    def finished(self):
        return any(c.finish for c in self.choices.values())


def _add_call(choice, call, position):
    kind = call.get("custom") or call.get("function") or {}
    index = call.get("index")
    index = position if index is None else index
    mine = choice.calls.setdefault(index, {"id": None, "name": "", "arguments": ""})
    mine["id"] = mine["id"] or call.get("id")
    mine["name"] = mine["name"] or kind.get("name") or ""
    mine["arguments"] += kind.get("arguments") or kind.get("input") or ""


def _text(content):
    if isinstance(content, list):
        return "".join(part.get("text") or "" for part in content if part.get("type") == "text")
    return content or ""


def _add_message(choice, m):
    choice.text += _text(m.get("content"))
    choice.reasoning += m.get("reasoning_content") or m.get("reasoning") or ""
    choice.refusal += m.get("refusal") or ""
    for position, call in enumerate(m.get("tool_calls") or []):
        _add_call(choice, call, position)


def _add_document(facts, doc):
    facts.model = facts.model or doc.get("model")
    facts.id = facts.id or doc.get("id")
    if doc.get("usage"):
        facts.usage = doc["usage"]
    if doc.get("error"):
        facts.error = doc["error"]
    for c in doc.get("choices") or []:
        choice = facts.choice(c.get("index") or 0)
        _add_message(choice, c.get("message") or c.get("delta") or {"content": c.get("text")})
        choice.finish = c.get("finish_reason") or choice.finish


def facts_of_answer(body):
    facts = Facts()
    _add_document(facts, json.loads(body))
    return facts


def add_events(facts, stream):
    """Folds more events of a stream into what is known so far."""
    for frame in sse.frames(stream):
        if frame.data is None:
            continue
        if frame.data.strip() == "[DONE]":
            facts.done = True
            continue
        doc = frame.json()
        if frame.event == "error" and "error" not in doc:
            doc = {"error": doc}
        if doc.get("usage") and not doc.get("choices"):
            facts.usage_frames += 1
        _add_document(facts, doc)


def facts_of_stream(stream):
    facts = Facts()
    add_events(facts, stream)
    return facts
