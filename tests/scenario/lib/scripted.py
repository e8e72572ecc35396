"""A provider that streams what a test says, in any of the protocols, and breaks where the test wants.

    first = Scripted(make, "openai-chat", [["Once upon", " a time", CUT]])     # one script for each request
    gateway = make.gateway({"providers": {"first": first.provider}, ...})
    got = first.read("anthropic-messages", body)                    # any caller's stream, by its grammar
"""
import dataclasses
import json

from lib import anthropic, openai, sse

WIRES = ("openai-chat", "anthropic-messages", "ollama")
PATHS = {"openai-chat": "/v1/chat/completions", "anthropic-messages": "/v1/messages", "ollama": "/api/chat"}

# Steps of a script besides pieces of text (a tuple of them comes at once). A script that ends without one of them is
# a complete answer.
CUT, RESET, ENDED, STALL, ERROR, MALFORMED, HALF = "\0cut", "\0reset", "\0ended", "\0stall", "\0error", "\0bad", "\0half"
REFUSED = "\0refused"          # an error status instead of an answer
USAGE = {"input": 20, "output": 7}      # of every complete answer


@dataclasses.dataclass
class Reasoning:
    text: str


@dataclasses.dataclass
class Call:
    """The beginning of a call: its arguments are not whole."""
    name: str
    arguments: str


def _sse(event, doc):
    name = f"event: {event}\n" if event else ""
    return (name + "data: " + (doc if isinstance(doc, str) else json.dumps(doc)) + "\n\n").encode()


# --- OpenAI ---

def _openai(delta, reason=None, **more):
    return _sse("", {"id": "chatcmpl-first", "object": "chat.completion.chunk", "created": 1700000000, "model": "said",
                     "choices": [{"index": 0, "delta": delta, "finish_reason": reason}], **more})


class OpenAI:
    begin = staticmethod(lambda: _openai({"role": "assistant", "content": ""}))
    text = staticmethod(lambda t: _openai({"content": t}))
    reasoning = staticmethod(lambda t: _openai({"reasoning_content": t}))
    call = staticmethod(lambda c: _openai({"tool_calls": [
        {"index": 0, "id": "call_1", "type": "function", "function": {"name": c.name, "arguments": c.arguments}}]}))
    error = staticmethod(lambda: _sse("", {"error": {"message": "it broke", "type": "server_error", "code": None}}))

    @staticmethod
    def end():
        usage = {"prompt_tokens": USAGE["input"], "completion_tokens": USAGE["output"], "total_tokens": 27}
        return _openai({}, "stop") + _sse("", {
            "id": "chatcmpl-first", "object": "chat.completion.chunk", "created": 1700000000, "model": "said",
            "choices": [], "usage": usage}) + _sse("", "[DONE]")


# --- Anthropic ---

class Anthropic:
    @staticmethod
    def begin():
        return _sse("message_start", {"type": "message_start", "message": {
            "id": "msg_first", "type": "message", "role": "assistant", "model": "said", "content": [], "stop_reason": None,
            "stop_sequence": None, "usage": {"input_tokens": USAGE["input"], "output_tokens": 1}}})

    @staticmethod
    def open(index, block):
        return _sse("content_block_start", {"type": "content_block_start", "index": index, "content_block": block})

    @staticmethod
    def delta(index, delta):
        return _sse("content_block_delta", {"type": "content_block_delta", "index": index, "delta": delta})

    @staticmethod
    def stop(index):
        return _sse("content_block_stop", {"type": "content_block_stop", "index": index})

    text = staticmethod(lambda t: Anthropic.delta(0, {"type": "text_delta", "text": t}))
    error = staticmethod(lambda: _sse("error", {"type": "error", "error": {"type": "api_error", "message": "it broke"}}))

    @staticmethod
    def reasoning(t):
        return (Anthropic.open(0, {"type": "thinking", "thinking": "", "signature": ""})
                + Anthropic.delta(0, {"type": "thinking_delta", "thinking": t}))

    @staticmethod
    def call(c, index=0):
        return (Anthropic.open(index, {"type": "tool_use", "id": "toolu_1", "name": c.name, "input": {}})
                + Anthropic.delta(index, {"type": "input_json_delta", "partial_json": c.arguments}))

    @staticmethod
    def end():
        return Anthropic.stop(0) + _sse("message_delta", {
            "type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": USAGE["output"]}}) + _sse("message_stop", {"type": "message_stop"})


# --- Ollama ---

def _line(message, **more):
    return json.dumps({"model": "said", "created_at": "2026-01-01T00:00:00Z",
                       "message": {"role": "assistant", "content": "", **message}, "done": False, **more}).encode() + b"\n"


class Ollama:
    begin = staticmethod(lambda: b"")
    text = staticmethod(lambda t: _line({"content": t}))
    reasoning = staticmethod(lambda t: _line({"thinking": t}))
    call = staticmethod(lambda c: _line({"tool_calls": [{"function": {"name": c.name, "arguments": {}}}]}))
    error = staticmethod(lambda: b'{"error": "it broke"}\n')

    @staticmethod
    def end():
        return _line({}, done=True, done_reason="stop", prompt_eval_count=USAGE["input"], eval_count=USAGE["output"])


SPEAKS = {"openai-chat": OpenAI, "anthropic-messages": Anthropic, "ollama": Ollama}


def whole(wire, text):
    """The same as one document."""
    if wire == "ollama":
        return json.loads(_line({"content": text}, done=True, done_reason="stop", prompt_eval_count=20, eval_count=7))
    if wire == "openai-chat":
        return {"id": "c", "object": "chat.completion", "created": 1, "model": "said", "choices": [
            {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 20, "completion_tokens": 7, "total_tokens": 27}}
    return {"id": "msg_1", "type": "message", "role": "assistant", "model": "said", "stop_reason": "end_turn",
            "stop_sequence": None, "content": [{"type": "text", "text": text}],
            "usage": {"input_tokens": 20, "output_tokens": 7}}


class Scripted:
    """Attributes: provider (a section of a configuration), requests."""

    def __init__(self, make, wire, *scripts, **settings):
        self.wire, self.scripts = wire, list(scripts)
        self.upstream = make.upstream(self._answer)
        base = self.upstream.url if wire == "ollama" else self.upstream.openai_url
        self.provider = {"wire": wire, "base_url": base, **settings}

    @property
    def requests(self):
        """The bodies that it got."""
        return [r.json() for r in self.upstream.requests]

    def _answer(self, conn):
        count = len(self.upstream.requests)
        script = self.scripts[min(count, len(self.scripts)) - 1]
        says = SPEAKS[self.wire]
        if script == [REFUSED]:
            conn.answer(503, {"error": {"message": "come back later", "type": "overloaded"}})
            return
        if not conn.request.json().get("stream", self.wire == "ollama"):
            self._whole(conn, script)
            return
        conn.head(200, "application/x-ndjson" if self.wire == "ollama" else "text/event-stream")
        conn.chunk(says.begin())
        opened = False
        for step in script:
            if isinstance(step, Reasoning):
                conn.chunk(says.reasoning(step.text))
            elif isinstance(step, Call):
                conn.chunk(says.call(step) if not opened else Anthropic.stop(0) + Anthropic.call(step, 1))
            elif isinstance(step, str) and step[:1] == "\0":
                self._break(conn, step)
                return
            else:
                if self.wire == "anthropic-messages" and not opened:
                    conn.chunk(Anthropic.open(0, {"type": "text", "text": ""}))
                    opened = True
                conn.chunk(b"".join(map(says.text, [step] if isinstance(step, str) else step)))
        if self.wire == "anthropic-messages" and not opened:
            conn.chunk(Anthropic.open(0, {"type": "text", "text": ""}))
        conn.chunk(says.end())
        conn.end_chunks()

    def _whole(self, conn, script):
        text = "".join(s for s in script if isinstance(s, str) and s[:1] != "\0")
        body = json.dumps(whole(self.wire, text)).encode()
        if any(not isinstance(s, str) or s[:1] == "\0" for s in script):
            conn.head(200, "application/json", len(body))
            conn.send(body[:len(body) // 2])
            conn.close()
        else:
            conn.answer(200, body)

    def _break(self, conn, step):
        says = SPEAKS[self.wire]
        if step == HALF:
            conn.chunk(says.text("and half an event")[:-20])
        if step == ERROR:
            conn.chunk(says.error())
            conn.end_chunks()
        elif step == MALFORMED:
            conn.chunk(b"data: {{{{\n\n" if self.wire != "ollama" else b"{{{{\n")
            conn.stall()
        elif step == ENDED:
            conn.end_chunks()
        elif step == STALL:
            conn.stall()
        elif step == RESET:
            conn.reset()
        else:
            conn.close()


@dataclasses.dataclass
class Got:
    text: str
    complete: bool             # a finish reason and the terminator
    error: object
    starts: int
    stops: int
    usage: tuple | None        # input, output
    comments: list             # of the stream
    looks_finished: bool       # anything of an end


def read(caller, body):
    """A caller's stream, by its protocol's grammar."""
    if caller == "ollama":
        lines = [json.loads(line) for line in body.splitlines()]
        done = [d for d in lines if d.get("done")]
        error = next((d["error"] for d in lines if "error" in d), None)
        assert not done or lines[-1] == done[0], "something follows the end"
        return Got("".join(d["message"]["content"] for d in lines if "message" in d), bool(done) and error is None,
                   error, 1, len(done),
                   (done[0]["prompt_eval_count"], done[0]["eval_count"]) if done else None, [], bool(done))
    frames = sse.frames(body)
    assert all(f.complete for f in frames), frames[-1]
    comments = [f.raw.decode().strip() for f in frames if f.comments]
    if caller == "openai-chat":
        facts = openai.facts_of_stream(body)
        docs = [json.loads(d) for d in sse.data(body) if d != "[DONE]"]
        chunks = [d for d in docs if "choices" in d]
        assert len({(d["id"], d["model"], d["created"]) for d in chunks}) <= 1, "the parts have names of their own"
        stops = [c for d in chunks for c in d["choices"] if c["finish_reason"]]
        usage = facts.usage and (facts.usage["prompt_tokens"], facts.usage["completion_tokens"])
        return Got(facts.choice().text, facts.finished and facts.done and facts.error is None, facts.error,
                   sum(1 for d in chunks for c in d["choices"] if c.get("delta", {}).get("role")), len(stops), usage,
                   comments, facts.finished or facts.done)
    facts = anthropic.facts_of_stream(body)
    names = [f.event for f in frames]
    usage = (facts.usage["input_tokens"], facts.usage["output_tokens"]) if facts.usage else None
    return Got(facts.text, facts.done and facts.error is None, facts.error, names.count("message_start"),
               names.count("message_stop"), usage, comments, facts.done or facts.stop_reason is not None)


def body_of(caller, model, prompt, **more):
    body = {"model": model, "messages": [{"role": "user", "content": prompt}], "stream": True, **more}
    if caller == "anthropic-messages":
        body.setdefault("max_tokens", 500)
    if caller == "openai-chat":
        body.setdefault("stream_options", {"include_usage": True})
    return body
