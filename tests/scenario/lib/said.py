"""The contents of an answer, independent of its protocol: Said.of("openai-chat" or "anthropic-messages", body, stream).

Words of finish and usage are those of expect.json: OpenAI's, with the cache inside the prompt.
"""
import dataclasses
import json

from lib import anthropic, openai

FINISH = {"end_turn": "stop", "stop_sequence": "stop", "pause_turn": "stop", "max_tokens": "length",
          "model_context_window_exceeded": "length", "tool_use": "tool_calls", "refusal": "content_filter"}


@dataclasses.dataclass
class Call:
    name: str
    id: str
    arguments: object          # parsed; text that is not JSON stays text
    raw: str | None = None     # the string as it came; None where the wire has an object


@dataclasses.dataclass
class Said:
    text: str = ""
    reasoning: str = ""
    refusal: str = ""
    calls: list = dataclasses.field(default_factory=list)
    proofs: list = dataclasses.field(default_factory=list)      # signatures and encrypted thinking, in order
    details: list = dataclasses.field(default_factory=list)     # OpenAI: reasoning_details as they came
    finish: str | None = None
    usage: dict | None = None
    model: str | None = None
    id: str | None = None
    error: dict | None = None
    complete: bool = False     # its protocol's terminator came

    @staticmethod
    def of(wire, body, stream):
        return {"openai-chat": _of_openai, "anthropic-messages": _of_anthropic}[wire](body, stream)


def _parsed(text):
    try:
        return json.loads(text or "{}")
    except ValueError:
        return text


# --- OpenAI ---

def _openai_usage(u):
    if not u:
        return None
    cached = (u.get("prompt_tokens_details") or u).get("cached_tokens")
    written = (u.get("prompt_tokens_details") or {}).get("cache_write_tokens")
    reasoning = (u.get("completion_tokens_details") or {}).get("reasoning_tokens")
    return {"prompt_tokens": u.get("prompt_tokens"), "completion_tokens": u.get("completion_tokens"),
            "total_tokens": u.get("total_tokens"), "cached_tokens": cached or 0, "cache_write_tokens": written or 0,
            "reasoning_tokens": reasoning or 0}


def _openai_details(body, stream):
    """The reasoning_details of choice 0, as they came."""
    docs = [json.loads(d) for d in openai.sse.data(body) if d.strip() != "[DONE]"] if stream else [json.loads(body)]
    for doc in docs:
        for choice in doc.get("choices") or []:
            if (choice.get("index") or 0) == 0:
                yield from (choice.get("message") or choice.get("delta") or {}).get("reasoning_details") or []


def _of_openai(body, stream):
    facts = openai.facts_of_stream(body) if stream else openai.facts_of_answer(body)
    said = Said(model=facts.model, id=facts.id, error=facts.error, usage=_openai_usage(facts.usage))
    choice = facts.choice()
    said.text, said.reasoning, said.refusal = choice.text, choice.reasoning, choice.refusal
    said.calls = [Call(c["name"], c["id"], _parsed(c["arguments"]), c["arguments"]) for c in choice.tool_calls()]
    said.finish = choice.finish
    said.details = list(_openai_details(body, stream))
    said.proofs = [p for p in (d.get("signature") or d.get("data") for d in said.details) if p]
    said.complete = facts.error is None and (facts.done if stream else bool(facts.choices))
    return said


# --- Anthropic ---

def _anthropic_usage(u):
    if not u:
        return None
    cached, written = u.get("cache_read_input_tokens") or 0, u.get("cache_creation_input_tokens") or 0
    thinking = (u.get("output_tokens_details") or {}).get("thinking_tokens")
    prompt = u["input_tokens"] + cached + written
    return {"prompt_tokens": prompt, "completion_tokens": u["output_tokens"],
            "total_tokens": prompt + u["output_tokens"], "cached_tokens": cached, "cache_write_tokens": written,
            "reasoning_tokens": thinking or 0}


def _of_anthropic(body, stream):
    facts = anthropic.facts_of_stream(body) if stream else anthropic.facts_of_answer(body)
    said = Said(facts.text, facts.thinking, model=facts.model, id=facts.id, error=facts.error,
                usage=_anthropic_usage(facts.usage))
    said.calls = [Call(b["name"], b["id"], b["input"], b.get("json")) for b in facts.of("tool_use") if "input" in b]
    said.finish = FINISH[facts.stop_reason] if facts.stop_reason else None
    said.proofs = [b.get("signature") or b.get("data") for b in facts.of("thinking", "redacted_thinking")
                   if b.get("signature") or b.get("data")]
    said.complete = facts.done
    return said
