"""Providers that play a script: one step for each request that they receive; and a log of what they received.

    stage = Stage(make)
    bad = stage.provider("bad", "anthropic-messages", status(503), cut("text", after=2), ok("at last"))
    gateway = make.gateway({"providers": {"bad": bad, ...}})
    ...
    assert [r.step for r in stage.received("bad")] == ["503", "cut"]

A step is a function of a Reply; the last one is repeated for ever.
"""
import dataclasses
import hashlib
import json
import random
import threading
import time

from lib.process import PATIENCE

OPENAI, ANTHROPIC, OLLAMA = WIRES = ("openai-chat", "anthropic-messages", "ollama")
STREAM_TYPES = {OPENAI: "text/event-stream", ANTHROPIC: "text/event-stream", OLLAMA: "application/x-ndjson"}


# --- what is answered ---

@dataclasses.dataclass(frozen=True)
class Answer:
    """What a model says: reasoning, then text, then a call."""
    text: str = "from-the-primary"
    reasoning: str = ""
    call: tuple | None = None      # (name, arguments as text)
    call_number: int = 1           # the end of its id
    finish: str | None = "stop"    # stop, length or call; None: it never says
    usage: tuple | None = (11, 7)  # tokens in and out
    pieces: int = 4                # of each of these


CALL = ("get_weather", '{"city": "Ulm", "days": 3}')
FINISH = {OPENAI: {"stop": "stop", "length": "length", "call": "tool_calls"},
          ANTHROPIC: {"stop": "end_turn", "length": "max_tokens", "call": "tool_use"},
          OLLAMA: {"stop": "stop", "length": "length", "call": "stop"}}


def _pieces(text, count):
    size = max(1, -(-len(text) // count))
    return [text[i:i + size] for i in range(0, len(text), size)]


def _sse(doc, event=None):
    return (f"event: {event}\n" if event else "").encode() + b"data: %b\n\n" % json.dumps(doc).encode()


def _openai_events(a, model):
    def chunk(delta=None, finish=None, **more):
        choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
        return _sse({"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": model, "choices": choices,
                     **more})
    yield "start", chunk({"role": "assistant", "content": ""})
    for piece in _pieces(a.reasoning, a.pieces):
        yield "reasoning", chunk({"reasoning_content": piece})
    for piece in _pieces(a.text, a.pieces):
        yield "text", chunk({"content": piece})
    if a.call:
        yield "call", chunk({"tool_calls": [{"index": 0, "id": f"call_{a.call_number}", "type": "function",
                                             "function": {"name": a.call[0], "arguments": ""}}]})
        for piece in _pieces(a.call[1], a.pieces):
            yield "arguments", chunk({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]})
    if a.finish:
        yield "finish", chunk({}, FINISH[OPENAI][a.finish])
    if a.usage:
        yield "usage", chunk(usage={"prompt_tokens": a.usage[0], "completion_tokens": a.usage[1],
                                    "total_tokens": sum(a.usage)})
    yield "end", b"data: [DONE]\n\n"


def _openai_document(a, model):
    message = {"role": "assistant", "content": a.text or None}
    if a.reasoning:
        message["reasoning_content"] = a.reasoning
    if a.call:
        message["tool_calls"] = [{"id": f"call_{a.call_number}", "type": "function",
                                  "function": {"name": a.call[0], "arguments": a.call[1]}}]
    doc = {"id": "c1", "object": "chat.completion", "created": 1, "model": model, "choices": [
        {"index": 0, "message": message, "finish_reason": FINISH[OPENAI].get(a.finish)}]}
    if a.usage:
        doc["usage"] = {"prompt_tokens": a.usage[0], "completion_tokens": a.usage[1], "total_tokens": sum(a.usage)}
    return doc


def _anthropic_blocks(a):
    """(where, its start, its deltas) of each block."""
    if a.reasoning:
        yield "reasoning", {"type": "thinking", "thinking": "", "signature": ""}, [
            {"type": "thinking_delta", "thinking": p} for p in _pieces(a.reasoning, a.pieces)] + [
            {"type": "signature_delta", "signature": "c2ln"}]
    if a.text:
        yield "text", {"type": "text", "text": ""}, [{"type": "text_delta", "text": p}
                                                     for p in _pieces(a.text, a.pieces)]
    if a.call:
        yield "arguments", {"type": "tool_use", "id": f"toolu_{a.call_number}", "name": a.call[0], "input": {}}, [
            {"type": "input_json_delta", "partial_json": p} for p in _pieces(a.call[1], a.pieces)]


def _anthropic_events(a, model):
    def event(kind, **more):
        return _sse({"type": kind, **more}, kind)
    tokens_in, tokens_out = a.usage or (0, 0)
    yield "start", event("message_start", message={
        "id": "msg_1", "type": "message", "role": "assistant", "model": model, "content": [], "stop_reason": None,
        "stop_sequence": None, "usage": {"input_tokens": tokens_in, "output_tokens": 0}})
    for index, (where, start, deltas) in enumerate(_anthropic_blocks(a)):
        yield "call" if where == "arguments" else "open", event("content_block_start", index=index, content_block=start)
        for delta in deltas:
            yield where, event("content_block_delta", index=index, delta=delta)
        yield "close", event("content_block_stop", index=index)
    if a.finish:
        yield "finish", event("message_delta", delta={"stop_reason": FINISH[ANTHROPIC][a.finish],
                                                      "stop_sequence": None}, usage={"output_tokens": tokens_out})
    yield "end", event("message_stop")


def _anthropic_document(a, model):
    content = []
    if a.reasoning:
        content.append({"type": "thinking", "thinking": a.reasoning, "signature": "c2ln"})
    if a.text:
        content.append({"type": "text", "text": a.text})
    if a.call:
        content.append({"type": "tool_use", "id": f"toolu_{a.call_number}", "name": a.call[0], "input": json.loads(a.call[1])})
    tokens_in, tokens_out = a.usage or (0, 0)
    return {"id": "msg_1", "type": "message", "role": "assistant", "model": model, "content": content,
            "stop_reason": FINISH[ANTHROPIC].get(a.finish), "stop_sequence": None,
            "usage": {"input_tokens": tokens_in, "output_tokens": tokens_out}}


def _ollama_doc(a, model, message, last):
    doc = {"model": model, "created_at": "2026-01-01T00:00:00Z", "message": {"role": "assistant", **message},
           "done": last}
    if last:
        if a.finish:
            doc["done_reason"] = FINISH[OLLAMA][a.finish]
        if a.usage:
            doc["prompt_eval_count"], doc["eval_count"] = a.usage
    return doc


def _ollama_events(a, model):
    def line(last=False, **message):
        return json.dumps(_ollama_doc(a, model, {"content": "", **message}, last)).encode() + b"\n"
    for piece in _pieces(a.reasoning, a.pieces):
        yield "reasoning", line(thinking=piece)
    for piece in _pieces(a.text, a.pieces):
        yield "text", line(content=piece)
    if a.call:
        yield "call", line(tool_calls=[{"function": {"name": a.call[0], "arguments": json.loads(a.call[1])}}])
    if a.finish:
        yield "finish", line(last=True)


def _ollama_document(a, model):
    message = {"content": a.text}
    if a.reasoning:
        message["thinking"] = a.reasoning
    if a.call:
        message["tool_calls"] = [{"function": {"name": a.call[0], "arguments": json.loads(a.call[1])}}]
    return _ollama_doc(a, model, message, True)


_EVENTS = {OPENAI: _openai_events, ANTHROPIC: _anthropic_events, OLLAMA: _ollama_events}
_DOCUMENTS = {OPENAI: _openai_document, ANTHROPIC: _anthropic_document, OLLAMA: _ollama_document}


def error_document(wire, kind, message="the provider's own words", code=None):
    """`kind` is a type of the protocol; Ollama has only sentences."""
    if wire == OPENAI:
        return {"error": {"message": message, "type": kind, "param": None, "code": code}}
    if wire == ANTHROPIC:
        return {"type": "error", "error": {"type": kind, "message": message}}
    return {"error": message}


def error_event(wire, kind, message="the provider's own words"):
    doc = error_document(wire, kind, message)
    return json.dumps(doc).encode() + b"\n" if wire == OLLAMA else _sse(doc, "error" if wire == ANTHROPIC else None)


# --- what was received ---

@dataclasses.dataclass
class Received:
    """One request. Times are of time.monotonic()."""
    provider: str
    at: float
    key: str | None
    model: str
    stream: bool
    digest: str                    # of its body
    body: dict
    step: str = ""                 # the name of the step that answered
    cancelled_at: float | None = None    # when the peer hung up before the step was over
    ended_at: float | None = None

    @property
    def cancelled(self):
        return self.cancelled_at is not None


class Hung(Exception):
    """The peer hung up."""


class Reply:
    """A step's end of one request."""

    def __init__(self, conn, wire, received):
        self.conn, self.wire, self.received = conn, wire, received
        self.stream, self.model = received.stream, received.model

    def wait(self, seconds=PATIENCE * 4):
        """Says nothing for a while; ends the step when the peer hangs up."""
        if self.conn.stall(seconds):
            raise Hung
        self.conn.socket.settimeout(None)

    def events(self, answer):
        return list(_EVENTS[self.wire](answer, self.model))

    def document(self, answer):
        return json.dumps(_DOCUMENTS[self.wire](answer, self.model)).encode()

    def begin_stream(self):
        self.conn.head(200, STREAM_TYPES[self.wire])

    def give(self, answer):
        if self.stream:
            self.begin_stream()
            for _, event in self.events(answer):
                self.conn.chunk(event)
            self.conn.end_chunks()
        else:
            self.conn.answer(200, self.document(answer))

    def break_off(self, how):
        """reset, close (without the framing's end) or end (with it)."""
        if how == "end":
            self.conn.end_chunks()
        else:
            time.sleep(0.05)       # a reset overtakes what was sent before it
            self.conn.reset() if how == "reset" else self.conn.close()


def step(name):
    """Names a step for the log."""
    def named(play):
        play.step = name
        return play
    return named


# --- steps ---

def ok(text="from-the-primary", delay=0, **more):
    """A whole, healthy answer; members of Answer."""
    answer = Answer(text, **more)

    @step("ok")
    def play(reply):
        if delay:
            reply.wait(delay)
        reply.give(answer)
    return play


def status(number, kind="server_error", body=None, fields=(), delay=0, **more):
    """A refusal with the protocol's error document, or with this body (bytes, sent as text/html). `fields`: pairs, or a
    function that gives them when it is sent."""
    @step(str(number))
    def play(reply):
        if delay:
            reply.wait(delay)
        said = fields() if callable(fields) else fields
        if body is None:
            reply.conn.answer(number, error_document(reply.wire, kind, **more), fields=said)
        else:
            reply.conn.answer(number, body, "text/html", said)
    return play


def unending(number):
    """A refusal whose document stops after its first byte, on an open connection."""
    @step(f"unending {number}")
    def play(reply):
        reply.conn.head(number, length=1000)
        reply.conn.send(b"{")
        reply.wait()
    return play


def limited(fields=(), **more):
    return status(429, "rate_limit_error", fields=fields, message="Rate limit reached", **more)


def quota():
    """The account is out of credit, in the words of each protocol's best-known provider."""
    @step("quota")
    def play(reply):
        if reply.wire == ANTHROPIC:
            reply.conn.answer(400, error_document(ANTHROPIC, "invalid_request_error",
                              "Your credit balance is too low to access the Anthropic API."))
        else:
            reply.conn.answer(429, error_document(reply.wire, "insufficient_quota",
                              "You exceeded your current quota, please check your plan and billing details.",
                              **({"code": "insufficient_quota"} if reply.wire == OPENAI else {})))
    return play


def too_long():
    """The request is longer than the model's context, likewise."""
    @step("too_long")
    def play(reply):
        words = {OPENAI: "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000.",
                 ANTHROPIC: "prompt is too long: 250000 tokens > 200000 maximum",
                 OLLAMA: "prompt too long; exceeded max context length by 72 tokens"}
        reply.conn.answer(400, error_document(reply.wire, "invalid_request_error", words[reply.wire],
                          **({"code": "context_length_exceeded"} if reply.wire == OPENAI else {})))
    return play


@step("hang")
def hang(reply):
    """The request is read and never answered."""
    reply.wait()


@step("reset")
def reset(reply):
    """Closed with RST before any byte of the answer."""
    reply.conn.reset()


@step("close")
def close(reply):
    """Closed before any byte of the answer."""
    reply.conn.close()


def _give_until(reply, answer, where, after):
    """A stream up to and with the `after`-th event of that kind; of a whole answer, the half."""
    if not reply.stream:
        body = reply.document(answer)
        reply.conn.head(200)
        reply.conn.chunk(body[:len(body) // 2])
        return
    reply.begin_stream()
    if where == "head":
        return
    left = after
    for kind, event in reply.events(answer):
        if kind == where:
            left -= 1
        elif left <= 0:
            return
        reply.conn.chunk(event)
        if left <= 0:
            return
    raise AssertionError(f"{answer} has no {after} events of {where} in {reply.wire}")


def cut(where="text", after=2, how="reset", **answer):
    """Broken off behind the `after`-th event of a kind: head, start, reasoning, text, call, arguments, finish."""
    @step("cut")
    def play(reply):
        _give_until(reply, Answer(**answer), where, after)
        reply.break_off(how)
    return play


def stall(where="text", after=2, **answer):
    """As cut(), but the connection stays open and nothing more comes."""
    @step("stall")
    def play(reply):
        _give_until(reply, Answer(**answer), where, after)
        reply.wait()
    return play


def error_after(where="text", after=2, kind="server_error", **answer):
    """As cut(), with an error event at the end."""
    @step("error_after")
    def play(reply):
        _give_until(reply, Answer(**answer), where, after)
        if reply.stream:
            reply.conn.chunk(error_event(reply.wire, kind))
        reply.break_off("end")
    return play


def malformed_after(where="text", after=2, **answer):
    @step("malformed_after")
    def play(reply):
        _give_until(reply, Answer(**answer), where, after)
        if reply.stream:
            reply.conn.chunk(b'{"half\n' if reply.wire == OLLAMA else b'data: {"half\n\n')
        reply.break_off("end")
    return play


def error_in_200(kind="server_error", message="the provider's own words"):
    """Status 200 and an error: the document, or a stream's first event."""
    @step("error_in_200")
    def play(reply):
        if reply.stream:
            reply.begin_stream()
            reply.conn.chunk(error_event(reply.wire, kind, message))
            reply.conn.end_chunks()
        else:
            reply.conn.answer(200, error_document(reply.wire, kind, message))
    return play


def error_document_in_200(kind="server_error"):
    """Status 200 and an error's document, labelled as JSON even if a stream was asked for."""
    @step("error_document_in_200")
    def play(reply):
        reply.conn.answer(200, error_document(reply.wire, kind))
    return play


def drip(every, answer=Answer(), comments=False):
    """A token (or a comment, or blanks of a document) every so often, for ever."""
    @step("drip")
    def play(reply):
        if reply.stream:
            reply.begin_stream()
        else:
            reply.conn.head(200)
        events = reply.events(answer)
        token = next(event for kind, event in events if kind == "text")
        if not reply.stream:
            token = b" "
        elif comments:
            token = b"\n" if reply.wire == OLLAMA else b": still here\n\n"
        else:
            for kind, event in events:
                if kind == "text":
                    break
                reply.conn.chunk(event)
        while True:
            reply.conn.chunk(token)
            reply.wait(every)
    return play


def comments(every=0.1):
    """A stream (or a document) that never gets beyond what keeps it alive."""
    return drip(every, comments=True)


def slow(every, text="one.two.three.four.", **more):
    """A healthy answer with a pause before each event; a whole one comes after one pause."""
    answer = Answer(text, **more)

    @step("slow")
    def play(reply):
        if not reply.stream:
            reply.wait(every)
            reply.give(answer)
            return
        reply.begin_stream()
        for _, event in reply.events(answer):
            reply.wait(every)
            reply.conn.chunk(event)
        reply.conn.end_chunks()
    return play


PAGE = b"<!DOCTYPE html><html><head><title>Bad gateway</title></head><body><h1>Error 1016</h1>" \
       b"<p>Origin DNS error. Ray ID: 8f1c</p></body></html>"


def html(code=200):
    """A web page, as from a proxy in between."""
    return status(code, body=PAGE)


def redirect(location, code=302):
    @step("redirect")
    def play(reply):
        reply.conn.answer(code, b"", "text/plain", [("Location", location)])
    return play


def body(data, content_type=None):
    """Status 200 and these bytes."""
    @step("body")
    def play(reply):
        default = STREAM_TYPES[reply.wire] if reply.stream else "application/json"
        reply.conn.answer(200, data, content_type or default)
    return play


def empty(finish=None):
    """An answer without content, call, reasoning, output tokens and, by default, without a reason for its end."""
    return renamed("empty", ok("", finish=finish, usage=(11, 0)))


def no_finish(**more):
    """It ends cleanly, but never says why."""
    @step("no_finish")
    def play(reply):
        answer = Answer(finish=None, **more)
        if not reply.stream:
            text = reply.document(answer)
            reply.conn.head(200)
            reply.conn.chunk(text[:len(text) - 10])
        else:
            reply.begin_stream()
            for kind, event in reply.events(answer):
                if kind != "end":
                    reply.conn.chunk(event)
        reply.conn.end_chunks()
    return play


def unexplained(**more):
    """A stream with its protocol's terminator, but no reason for its end. (Ollama's terminator is its last line, which has
    the reason: there it only ends.)"""
    return renamed("unexplained", ok(**{"finish": None, **more}))


def garbage(data):
    """Bytes that are no HTTP, then the end."""
    @step("garbage")
    def play(reply):
        reply.conn.send(data)
        reply.conn.close()
    return play


def renamed(name, play):
    play.step = name
    return play


def by(choose, **plays):
    """What is done depends on the request: choose(received) is the name of a step here, or else "other" is played."""
    def play(reply):
        chosen = plays.get(choose(reply.received)) or plays["other"]
        reply.received.step = chosen.step
        chosen(reply)
    return step("by")(play)


def by_key(**plays):
    """By the last word of the key: canary-provider-good."""
    return by(lambda received: (received.key or "").rsplit("-", 1)[-1], **plays)


def by_model(**plays):
    return by(lambda received: received.model, **plays)


def sometimes(share, play, otherwise, seed=1):
    """A step with this probability, by a seeded generator."""
    chance = random.Random(seed)
    return by(lambda received: "failing" if chance.random() < share else "other", failing=play, other=otherwise)


def heard(received):
    """The text of an answer that the request wants continued: of its last assistant's message."""
    for message in reversed(received.body["messages"]):
        if message["role"] == "assistant":
            content = message.get("content") or ""
            return content if isinstance(content, str) else "".join(b.get("text", "") for b in content)
    return None


def continuing(text, again=0, **more):
    """The rest of `text` behind what the request says was heard, beginning `again` characters earlier: as models do that
    repeat a little, or (None) begin once more."""
    @step("continuing")
    def play(reply):
        known = heard(reply.received)
        assert known is None or text.startswith(known.rstrip()), f"it never said {known!r}"
        start = max(0, len(known) - again) if known is not None and again is not None else 0
        reply.give(Answer(text[start:], **more))
    return play


# --- the stage ---

class Stage:
    """Scripted providers, each with a listener of its own, so that connections are not shared among them."""

    def __init__(self, make):
        self.make = make
        self.lock = threading.Lock()
        self.log = []
        self.scripts = {}          # name -> [wire, steps, how many were played]
        self.upstreams = {}        # name -> RawUpstream

    def provider(self, name, wire, *steps, settings=None):
        """A section for a configuration, of a provider that plays these steps."""
        assert steps
        self.scripts[name] = [wire, list(steps), 0]
        upstream = self.upstreams[name] = self.make.upstream(lambda conn: self._serve(name, conn))
        return {"wire": wire, "base_url": upstream.url if wire == OLLAMA else upstream.openai_url, **(settings or {})}

    def now(self, name, *steps):
        """From now on it plays these."""
        with self.lock:
            self.scripts[name][1:] = [list(steps), 0]

    def received(self, name=None):
        """What this provider, or all, received so far, in order."""
        with self.lock:
            return [r for r in self.log if name in (None, r.provider)]

    def _serve(self, name, conn):
        at = time.monotonic()
        request = conn.request
        if request.method != "POST":
            conn.answer(404, {"error": {"message": "no list of models"}})
            return
        bearer = request.header("authorization", "")
        document = request.json()
        with self.lock:
            wire, steps, played = script = self.scripts[name]
            script[2] += 1
            play = steps[min(played, len(steps) - 1)]
            received = Received(name, at, request.header("x-api-key") or bearer.removeprefix("Bearer ") or None,
                                document["model"], document.get("stream", wire == OLLAMA),
                                hashlib.sha256(request.body).hexdigest(), document, play.step)
            self.log.append(received)
        try:
            play(Reply(conn, wire, received))
        except (Hung, OSError):
            received.cancelled_at = time.monotonic()
            conn.close()
        finally:
            received.ended_at = time.monotonic()


def gaps(received):
    """Seconds between requests, by the provider's clock."""
    return [b.at - a.at for a, b in zip(received, received[1:])]
