"""One question in a client's protocol, and its result.

    result = ask(gateway, "anthropic", "lab/model", stream=True)
    assert result.complete and result.text == "..."
"""
import dataclasses
import json
from concurrent.futures import ThreadPoolExecutor

from lib import anthropic, ollama, openai
from lib.process import PROMPT

CALLERS = ("openai", "anthropic")
EVERY_CALLER = (*CALLERS, "ollama")
PATHS = {"openai": "/v1/chat/completions", "anthropic": "/v1/messages", "ollama": "/api/chat"}


@dataclasses.dataclass
class Result:
    status: int
    headers: dict              # names in lower case
    body: bytes
    broke: bool                # the connection ended before the answer was whole
    text: str = ""
    reasoning: str = ""
    calls: list = dataclasses.field(default_factory=list)     # (name, arguments as an object, or text that is none)
    finish: str | None = None  # in the protocol's own word
    usage: tuple | None = None # tokens in and out
    complete: bool = False     # it has its finish reason and its terminator
    error: dict | None = None  # of the document, or of the stream's error event

    @property
    def id(self):
        return self.headers["x-request-id"]

    @property
    def code(self):
        """Our own word for the failure, when the answer never began."""
        return self.headers.get("x-openclaw-error")


def _arguments(text):
    try:
        return json.loads(text or "{}")
    except ValueError:
        return text


def _read_openai(result, stream):
    facts = openai.facts_of_stream(result.body) if stream else openai.facts_of_answer(result.body)
    result.error = facts.error
    choice = facts.choices.get(0) or openai.Choice()
    result.text, result.reasoning, result.finish = choice.text, choice.reasoning, choice.finish
    result.calls = [(c["name"], _arguments(c["arguments"])) for c in choice.tool_calls()]
    result.usage = (facts.usage["prompt_tokens"], facts.usage["completion_tokens"]) if facts.usage else None
    result.complete = facts.error is None and facts.finished and (facts.done or not stream)
    if result.error:
        assert {"message", "type", "code"} <= set(result.error), result.error


def _read_anthropic(result, stream):
    facts = anthropic.facts_of_stream(result.body) if stream else anthropic.facts_of_answer(result.body)
    result.error = facts.error
    result.text, result.reasoning, result.finish = facts.text, facts.thinking, facts.stop_reason
    result.calls = [(b["name"], b.get("input", b.get("json"))) for b in facts.of("tool_use")]
    result.usage = (facts.usage["input_tokens"], facts.usage["output_tokens"]) if facts.usage else None
    result.complete = facts.error is None and facts.done and facts.stop_reason is not None
    if result.error:
        assert {"message", "type"} <= set(result.error), result.error


def _read_ollama(result, stream):
    facts = ollama.facts_of_stream(result.body) if stream else ollama.facts_of_answer(result.body)
    result.error = {"message": facts.error} if facts.error else None
    result.text, result.reasoning, result.finish = facts.text, facts.reasoning, facts.finish
    result.calls = [(c["name"], c["arguments"]) for c in facts.calls]
    result.usage = tuple(facts.usage.values()) or None
    result.complete = facts.error is None and facts.done and facts.finish is not None


READERS = {"openai": _read_openai, "anthropic": _read_anthropic, "ollama": _read_ollama}


def body_of(model, stream=False, **more):
    body = {"model": model, "messages": [{"role": "user", "content": PROMPT}], "max_tokens": 200, **more}
    return {**body, "stream": True} if stream else body


def ask(gateway, caller, model, stream=False, headers=None, **more):
    """Asks on a connection of its own."""
    body = body_of(model, stream, **more)
    if caller == "ollama":
        body["stream"] = stream    # which is its default
    with gateway.raw() as client:
        answer, broke = client.ask("POST", PATHS[caller], body, {**gateway.authorization(), **(headers or {})})
    fields = {name.lower(): value for name, value in answer.headers}
    gateway.heads.append(str(answer.headers))
    result = Result(answer.status, fields, answer.body, broke)
    is_stream = fields.get("content-type", "").startswith(("text/event-stream", "application/x-ndjson"))
    if answer.body and (is_stream or not broke):
        assert is_stream or json.loads(answer.body)
        READERS[caller](result, is_stream)
    return result


def ask_all(gateway, questions):
    """Many at once: a list of (caller, model, stream) gives a list of results, in order."""
    with ThreadPoolExecutor(max_workers=max(1, len(questions))) as pool:
        return list(pool.map(lambda q: ask(gateway, *q), questions))
