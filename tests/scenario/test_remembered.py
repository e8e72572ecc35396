"""Reasoning with proofs, for clients that keep none: the gateway remembers them, and puts them back into the history."""
import base64
import json

import pytest

from lib.process import PROMPT, canary

TOOLS = [{"type": "function", "function": {"name": "weather", "description": "d",
                                           "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}}]
KEYS = (canary("client"), canary("client"))
CITIES = ("Paris", "Rome")


def sig(number):
    return base64.b64encode(f"signature {number}".encode()).decode()


def turn(number):
    """The blocks of Claude's answer in turn 0, 1 (both call) and 2 (which only talks)."""
    thinking = {"type": "thinking", "thinking": f"Thought {number}.", "signature": sig(number)}
    if number < len(CITIES):
        return [thinking, {"type": "text", "text": "I look."},
                {"type": "tool_use", "id": f"toolu_{number}", "name": "weather", "input": {"city": CITIES[number]}}]
    return [thinking, {"type": "redacted_thinking", "data": "eHl6"}, {"type": "text", "text": "Mild, \n everywhere."}]


def as_stream(message):
    """A message as events, thinking and arguments in pieces."""
    yield "message_start", {"message": {**message, "content": [], "stop_reason": None}}
    for index, block in enumerate(message["content"]):
        kind = block["type"]
        empty = {"thinking": {"thinking": "", "signature": ""}, "text": {"text": ""}, "tool_use": {"input": {}}}.get(kind, {})
        yield "content_block_start", {"index": index, "content_block": {**block, **empty}}
        if kind == "thinking":
            deltas = [{"type": "thinking_delta", "thinking": block["thinking"][:4]},
                      {"type": "thinking_delta", "thinking": block["thinking"][4:]},
                      {"type": "signature_delta", "signature": block["signature"]}]
        elif kind == "text":
            deltas = [{"type": "text_delta", "text": c} for c in block["text"]]
        elif kind == "tool_use":
            deltas = [{"type": "input_json_delta", "partial_json": json.dumps(block["input"])}]
        else:
            deltas = []
        for delta in deltas:
            yield "content_block_delta", {"index": index, "delta": delta}
        yield "content_block_stop", {"index": index}
    yield "message_delta", {"delta": {"stop_reason": message["stop_reason"], "stop_sequence": None}, "usage": message["usage"]}
    yield "message_stop", {}


class Claude:
    """Answers by how many turns of its own the history has."""

    def __init__(self, make):
        self.upstream = make.upstream(self.answer)

    def answer(self, conn):
        asked = conn.request.json()
        number = min(sum(1 for m in asked["messages"] if m["role"] == "assistant"), len(CITIES))
        blocks = turn(number)
        calls = any(b["type"] == "tool_use" for b in blocks)
        message = {"id": f"msg_{number}", "type": "message", "role": "assistant", "model": asked["model"], "content": blocks,
                   "stop_reason": "tool_use" if calls else "end_turn", "stop_sequence": None,
                   "usage": {"input_tokens": 10, "output_tokens": 5}}
        if not asked.get("stream"):
            conn.answer(200, message)
            return
        body = "".join(f"event: {kind}\ndata: {json.dumps({'type': kind, **doc})}\n\n" for kind, doc in as_stream(message))
        conn.answer(200, body.encode(), "text/event-stream")

    def sent(self):
        """The assistant's turns of the last request."""
        return [m["content"] for m in self.upstream.last_request().json()["messages"] if m["role"] == "assistant"]


@pytest.fixture
def claude(make):
    return Claude(make)


def gateway_for(make, claude, **server):
    gateway = make.gateway({"providers": {"anthropic": {"base_url": claude.upstream.openai_url, "api_key": "any"}},
                            "server": server, "auth": {"keys": [{"name": "tester", "key": "${TESTER}"},
                                                                {"name": "other", "key": "${OTHER}"}]}},
                           env={"TESTER": KEYS[0], "OTHER": KEYS[1]})
    gateway.key = KEYS[0]
    return gateway


def say(client, messages, stream):
    """What an ordinary client keeps of an answer: its text and its calls."""
    asked = {"model": "anthropic/claude-sonnet-4-5", "messages": messages, "tools": TOOLS, "reasoning_effort": "low"}
    if not stream:
        message = client.chat.completions.create(**asked).choices[0].message
        calls = [{"id": c.id, "type": "function", "function": {"name": c.function.name, "arguments": c.function.arguments}}
                 for c in message.tool_calls or []]
        return message.content, calls
    text, calls = "", []
    for chunk in client.chat.completions.create(stream=True, **asked):
        for choice in chunk.choices:
            text += choice.delta.content or ""
            for piece in choice.delta.tool_calls or []:
                if piece.id:
                    calls.append({"id": piece.id, "type": "function", "function": {"name": piece.function.name, "arguments": ""}})
                calls[piece.index]["function"]["arguments"] += piece.function.arguments or ""
    return text, calls


def loop(client, stream, until=len(CITIES) + 1):
    """A tool loop; the history that the client has then."""
    history = [{"role": "user", "content": f"{PROMPT}: weather?"}]
    for _ in range(until):
        text, calls = say(client, history, stream)
        message = {"role": "assistant", "content": text.strip() if text else None}
        history.append({**message, "tool_calls": calls} if calls else message)
        history += [{"role": "tool", "tool_call_id": c["id"], "content": "22C"} for c in calls]
    return history


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_thinking_comes_back_in_every_turn_of_a_tool_loop(make, claude, stream):
    gateway = gateway_for(make, claude)
    history = loop(gateway.openai(), stream)
    assert claude.sent() == [turn(0), turn(1)]
    say(gateway.openai(), [*history, {"role": "user", "content": "Sure?"}], stream)
    assert [[b for b in t if "thinking" in b["type"]] for t in claude.sent()] == \
        [[b for b in turn(n) if "thinking" in b["type"]] for n in range(3)], "recognised by its text, where there is no call"


def test_thinking_is_kept_for_the_key_that_got_it_only(make, claude):
    gateway = gateway_for(make, claude)
    history = loop(gateway.openai(), False)
    other = gateway.openai(api_key=KEYS[1])
    say(other, history[:-1], False)
    assert b"thinking" not in json.dumps(claude.sent()).encode()
    say(gateway.openai(), history[:-1], False)
    assert claude.sent() == [turn(0), turn(1)]


def test_thinking_is_not_put_into_another_conversation(make, claude):
    gateway = gateway_for(make, claude)
    history = loop(gateway.openai(), False)
    for message in history:
        for call in message.get("tool_calls", []):
            call["id"] = "x" + call["id"]
            call["function"]["arguments"] = '{"city":"Oslo"}'
        if "tool_call_id" in message:
            message["tool_call_id"] = "x" + message["tool_call_id"]
    say(gateway.openai(), history[:-1], False)
    assert b"thinking" not in json.dumps(claude.sent()).encode()


def test_without_memory_nothing_is_remembered(make, claude):
    gateway = gateway_for(make, claude, reasoning_memory=0)
    loop(gateway.openai(), False)
    assert b"thinking" not in json.dumps(claude.sent()).encode()


def test_what_a_client_sends_back_itself_is_not_doubled(make, claude):
    gateway = gateway_for(make, claude)
    history = loop(gateway.openai(), False)
    history[1]["reasoning_details"] = [{"type": "reasoning.text", "text": "Thought 0.", "signature": sig(0),
                                        "format": "anthropic-claude-v1", "index": 0}]
    say(gateway.openai(), history[:-1], False)
    assert claude.sent() == [turn(0), turn(1)]


def test_callers_of_ollama_s_protocol_have_no_place_for_proofs_either(make, claude):
    gateway = gateway_for(make, claude)
    client = gateway.ollama()
    history = [{"role": "user", "content": "weather?"}]
    for _ in range(2):
        message = client.chat("anthropic/claude-sonnet-4-5", messages=history, tools=TOOLS, think=True).message
        calls = [{"function": {"name": c.function.name, "arguments": c.function.arguments}} for c in message.tool_calls]
        history += [{"role": "assistant", "content": message.content, "tool_calls": calls},
                    {"role": "tool", "tool_name": "weather", "content": "22C"}]
    client.chat("anthropic/claude-sonnet-4-5", messages=history, tools=TOOLS, think=True)
    assert [[b["type"] for b in t] for t in claude.sent()] == [["thinking", "text", "tool_use"]] * 2
