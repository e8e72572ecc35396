"""One question in either client protocol, and its result.

    result = ask(gateway, "anthropic", "lab/model", stream=True)
    assert result.complete and result.text == "..."
"""
import dataclasses
import json
from concurrent.futures import ThreadPoolExecutor

from lib import anthropic, openai
from lib.process import PROMPT

CALLERS = ("openai", "anthropic")
PATHS = {"openai": "/v1/chat/completions", "anthropic": "/v1/messages"}


@dataclasses.dataclass
class Result:
    status: int
    headers: dict              # names in lower case
    body: bytes
    broke: bool                # the connection ended before the answer was whole
    text: str = ""
    complete: bool = False     # it has its finish reason and its terminator
    error: dict | None = None  # of the document, or of the stream's error event

    @property
    def id(self):
        return self.headers["x-request-id"]

    @property
    def code(self):
        """Our own word for the failure, when the answer never began."""
        return self.headers.get("x-openclaw-error")


def _read_openai(result, stream):
    facts = openai.facts_of_stream(result.body) if stream else openai.facts_of_answer(result.body)
    result.error = facts.error
    result.text = facts.choices[0].text if 0 in facts.choices else ""
    result.complete = facts.error is None and facts.finished and (facts.done or not stream)
    if result.error:
        assert {"message", "type", "code"} <= set(result.error), result.error


def _read_anthropic(result, stream):
    facts = anthropic.facts_of_stream(result.body) if stream else anthropic.facts_of_answer(result.body)
    result.error = facts.error
    result.text = facts.text
    result.complete = facts.error is None and facts.done and facts.stop_reason is not None
    if result.error:
        assert {"message", "type"} <= set(result.error), result.error


def body_of(model, stream=False, **more):
    body = {"model": model, "messages": [{"role": "user", "content": PROMPT}], "max_tokens": 200, **more}
    return {**body, "stream": True} if stream else body


def ask(gateway, caller, model, stream=False, headers=None, **more):
    """Asks on a connection of its own."""
    with gateway.raw() as client:
        answer, broke = client.ask("POST", PATHS[caller], body_of(model, stream, **more),
                                   {**gateway.authorization(), **(headers or {})})
    fields = {name.lower(): value for name, value in answer.headers}
    gateway.heads.append(str(answer.headers))
    result = Result(answer.status, fields, answer.body, broke)
    is_stream = fields.get("content-type", "").startswith("text/event-stream")
    if answer.body and (is_stream or not broke):
        assert is_stream or json.loads(answer.body)
        (_read_openai if caller == "openai" else _read_anthropic)(result, is_stream)
    return result


def ask_all(gateway, questions):
    """Many at once: a list of (caller, model, stream) gives a list of results, in order."""
    with ThreadPoolExecutor(max_workers=max(1, len(questions))) as pool:
        return list(pool.map(lambda q: ask(gateway, *q), questions))
