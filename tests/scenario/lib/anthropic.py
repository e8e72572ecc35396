"""The contents of an Anthropic answer or stream, parsed independently of the gateway.

A stream is checked against the protocol's grammar: named events, one block open at a time, numbered from 0
without gaps, deltas that fit their block, the stop reason before message_stop, nothing after the terminator.
"""
import dataclasses
import json

from lib import sse

DELTAS = {"text_delta": ("text",), "input_json_delta": ("tool_use", "server_tool_use"),
          "thinking_delta": ("thinking",), "signature_delta": ("thinking",), "citations_delta": ("text",)}


@dataclasses.dataclass
class Facts:
    id: str | None = None
    model: str | None = None
    blocks: list = dataclasses.field(default_factory=list)    # as in a whole answer; calls have "json" beside
    stop_reason: str | None = None
    stop_sequence: str | None = None
    usage: dict = dataclasses.field(default_factory=dict)
    error: dict | None = None
    done: bool = False         # message_stop came, or the document was whole
    pings: int = 0
    open: bool = False

    def of(self, *kinds):
        return [b for b in self.blocks if b["type"] in kinds]

    @property
    def text(self):
        return "".join(b["text"] for b in self.of("text"))

    @property
    def thinking(self):
        return "".join(b["thinking"] for b in self.of("thinking"))


def _add_usage(facts, usage):
    facts.usage.update({k: v for k, v in (usage or {}).items() if v is not None})


def facts_of_answer(body):
    doc = json.loads(body)
    if doc.get("type") == "error":
        return Facts(error=doc["error"])
    assert (doc["type"], doc["role"]) == ("message", "assistant"), doc
    facts = Facts(doc["id"], doc["model"], doc["content"], doc["stop_reason"], doc["stop_sequence"], done=True)
    _add_usage(facts, doc["usage"])
    return facts


def _start(facts, doc):
    message = doc["message"]
    assert facts.id is None, "a second message_start"
    assert message["content"] == [] and message["role"] == "assistant" and message["type"] == "message", message
    assert isinstance(message["usage"]["input_tokens"], int) and isinstance(message["usage"]["output_tokens"], int)
    facts.id, facts.model = message["id"], message["model"]
    _add_usage(facts, message["usage"])


def _block_start(facts, doc):
    assert facts.id and not facts.open and facts.stop_reason is None, doc
    assert doc["index"] == len(facts.blocks), f"block {doc['index']} after {len(facts.blocks)}"
    block = dict(doc["content_block"])
    if block["type"] in ("tool_use", "server_tool_use"):
        assert block["input"] == {}, "arguments at the start of a block are lost for the SDKs"
        block["json"] = ""
    facts.blocks.append(block)
    facts.open = True


def _block_delta(facts, doc):
    assert facts.open and doc["index"] == len(facts.blocks) - 1, doc
    block, delta = facts.blocks[-1], doc["delta"]
    kind = delta["type"]
    assert block["type"] in DELTAS[kind], f"{kind} in a block of {block['type']}"
    if kind == "text_delta":
        block["text"] += delta["text"]
    elif kind == "thinking_delta":
        block["thinking"] += delta["thinking"]
    elif kind == "signature_delta":
        block["signature"] = block.get("signature", "") + delta["signature"]
    elif kind == "input_json_delta":
        block["json"] += delta["partial_json"]


def _block_stop(facts, doc):
    assert facts.open and doc["index"] == len(facts.blocks) - 1, doc
    facts.open = False
    block = facts.blocks[-1]
    if "json" in block:
        block["input"] = json.loads(block["json"] or "{}")


def _delta(facts, doc):
    assert facts.id and not facts.open, doc
    _add_usage(facts, doc["usage"])
    facts.stop_reason = doc["delta"].get("stop_reason") or facts.stop_reason
    facts.stop_sequence = doc["delta"].get("stop_sequence") or facts.stop_sequence


def _stop(facts, doc):
    assert facts.id and not facts.open and facts.stop_reason, "message_stop too early"
    facts.done = True


EVENTS = {"message_start": _start, "content_block_start": _block_start, "content_block_delta": _block_delta,
          "content_block_stop": _block_stop, "message_delta": _delta, "message_stop": _stop}


def add_events(facts, stream):
    """Folds more events of a stream into what is known so far."""
    for frame in sse.frames(stream):
        if frame.data is None:
            continue
        doc = frame.json()
        assert not facts.done and facts.error is None, f"after the terminator: {doc}"
        assert frame.event == doc["type"], f"event {frame.event!r} holds {doc['type']!r}"
        if doc["type"] == "ping":
            facts.pings += 1
        elif doc["type"] == "error":
            facts.error = doc["error"]
        else:
            EVENTS[doc["type"]](facts, doc)


def facts_of_stream(stream):
    facts = Facts()
    add_events(facts, stream)
    return facts
