"""One conversation, as callers of each protocol send it.

    talk = Talk([user("hi"), assistant("yes", calls=[call("c1", "f", {"a": 1})]), result("c1", "f", "done")], tools=["f"])
    path, body = asking("gemini", "lab", talk, stream=True)
"""
import dataclasses
import json

CALLERS = ("openai-chat", "openai-responses", "anthropic-messages", "ollama", "bedrock-converse", "gemini", "cohere-v2")
SCHEMA = {"type": "object", "properties": {"id": {"type": "string"}}}


@dataclasses.dataclass
class Turn:
    role: str                   # user, assistant, system or result
    text: str = ""
    calls: list = dataclasses.field(default_factory=list)     # (id, name, arguments)
    id: str = ""                # of the call that a result answers
    name: str = ""
    thinking: str = ""


@dataclasses.dataclass
class Talk:
    turns: list
    system: str = ""
    tools: list = dataclasses.field(default_factory=list)      # names
    choice: str | None = None   # "required" or a tool's name
    schema: dict | None = None  # of the answer
    think: bool | None = None


def user(text):
    return Turn("user", text)


def assistant(text="", calls=(), thinking=""):
    return Turn("assistant", text, list(calls), thinking=thinking)


def system(text):
    return Turn("system", text)


def result(call, name, text):
    return Turn("result", text, id=call, name=name)


def _some(**members):
    return {k: v for k, v in members.items() if v not in (None, "", [])}


# --- OpenAI ---

def _openai_message(t):
    if t.role == "result":
        return {"role": "tool", "tool_call_id": t.id, "content": t.text}
    calls = [{"id": i, "type": "function", "function": {"name": n, "arguments": json.dumps(a)}} for i, n, a in t.calls]
    return {"role": t.role, "content": t.text or None, **_some(tool_calls=calls, reasoning_content=t.thinking)}


def _function(name):
    return {"name": name, "description": "d", "parameters": SCHEMA}


def _openai(talk):
    choice = talk.choice if talk.choice in (None, "required") else {"type": "function", "function": {"name": talk.choice}}
    head = [{"role": "system", "content": talk.system}] if talk.system else []
    return {"messages": head + [_openai_message(t) for t in talk.turns], **_some(
        tools=[{"type": "function", "function": _function(n)} for n in talk.tools], tool_choice=choice,
        response_format=talk.schema and {"type": "json_schema", "json_schema": {"name": "r", "schema": talk.schema}},
        reasoning_effort={False: "none", True: "medium"}.get(talk.think))}


def _responses_items(t):
    if t.thinking:
        yield {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": t.thinking}]}
    if t.role == "result":
        yield {"type": "function_call_output", "call_id": t.id, "output": t.text}
    elif t.text:
        yield {"role": t.role, "content": t.text}
    for i, n, a in t.calls:
        yield {"type": "function_call", "call_id": i, "name": n, "arguments": json.dumps(a)}


def _responses(talk):
    choice = talk.choice if talk.choice in (None, "required") else {"type": "function", "name": talk.choice}
    return {"input": [i for t in talk.turns for i in _responses_items(t)], **_some(
        instructions=talk.system, tools=[{"type": "function", **_function(n)} for n in talk.tools], tool_choice=choice,
        text=talk.schema and {"format": {"type": "json_schema", "name": "r", "schema": talk.schema}},
        reasoning={False: {"effort": "none"}, True: {"effort": "medium"}}.get(talk.think))}


# --- Anthropic and Bedrock: the results of a turn are one message ---

def _joined(turns, blocks, sides=("user", "assistant")):
    messages = []
    for t in turns:
        role = sides[1] if t.role == "assistant" else t.role if t.role == "system" else sides[0]
        if messages and messages[-1][0] == role:
            messages[-1][1].extend(blocks(t))
        else:
            messages.append((role, list(blocks(t))))
    return messages


def _anthropic_blocks(t):
    if t.role == "result":
        yield {"type": "tool_result", "tool_use_id": t.id, "content": t.text}
        return
    if t.thinking:
        yield {"type": "thinking", "thinking": t.thinking, "signature": ""}
    if t.text:
        yield {"type": "text", "text": t.text}
    for i, n, a in t.calls:
        yield {"type": "tool_use", "id": i, "name": n, "input": a}


def _anthropic(talk):
    choice = {None: None, "required": {"type": "any"}}.get(talk.choice, {"type": "tool", "name": talk.choice})
    return {"max_tokens": 9000, "messages": [{"role": r, "content": c} for r, c in _joined(talk.turns, _anthropic_blocks)],
            **_some(system=talk.system, tool_choice=choice, tools=[
                {"name": n, "description": "d", "input_schema": SCHEMA} for n in talk.tools],
                output_config=talk.schema and {"format": {"type": "json_schema", "schema": talk.schema}},
                thinking={False: {"type": "disabled"}, True: {"type": "enabled", "budget_tokens": 4096}}.get(talk.think))}


def _bedrock_blocks(t):
    if t.role == "result":
        yield {"toolResult": {"toolUseId": t.id, "content": [{"text": t.text}]}}
        return
    if t.thinking:
        yield {"reasoningContent": {"reasoningText": {"text": t.thinking}}}
    if t.text:
        yield {"text": t.text}
    for i, n, a in t.calls:
        yield {"toolUse": {"toolUseId": i, "name": n, "input": a}}


def _bedrock(talk):
    tools = [{"toolSpec": {"name": n, "description": "d", "inputSchema": {"json": SCHEMA}}} for n in talk.tools]
    choice = {None: None, "required": {"any": {}}}.get(talk.choice, {"tool": {"name": talk.choice}})
    turns = [t for t in talk.turns if t.role != "system"]
    return {"messages": [{"role": r, "content": c} for r, c in _joined(turns, _bedrock_blocks)], **_some(
        system=[{"text": s} for s in [talk.system, *(t.text for t in talk.turns if t.role == "system")] if s],
        toolConfig=tools and {"tools": tools, **_some(toolChoice=choice)},
        outputConfig=talk.schema and {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": {
            "schema": json.dumps(talk.schema), "name": "r"}}}},
        additionalModelRequestFields={False: {"thinking": {"type": "disabled"}}}.get(talk.think))}


# --- Gemini, Cohere, Ollama ---

def _gemini_parts(t):
    if t.role == "result":
        yield {"functionResponse": {"id": t.id, "name": t.name, "response": {"result": t.text}}}
        return
    if t.thinking:
        yield {"text": t.thinking, "thought": True}
    if t.text:
        yield {"text": t.text}
    for i, n, a in t.calls:
        yield {"functionCall": {"id": i, "name": n, "args": a}}


def _gemini(talk):
    calling = {None: None, "required": {"mode": "ANY"}}.get(talk.choice, {"mode": "ANY", "allowedFunctionNames": [talk.choice]})
    turns = [t for t in talk.turns if t.role != "system"]
    text = [s for s in [talk.system, *(t.text for t in talk.turns if t.role == "system")] if s]
    config = {**({"responseMimeType": "application/json", "responseJsonSchema": talk.schema} if talk.schema else {}),
              **_some(thinkingConfig={False: {"thinkingBudget": 0}, True: {"thinkingBudget": 4096}}.get(talk.think))}
    return {"contents": [{"role": r, "parts": c} for r, c in _joined(turns, _gemini_parts, ("user", "model"))], **_some(
        systemInstruction=text and {"parts": [{"text": s} for s in text]}, generationConfig=config or None,
        toolConfig=calling and {"functionCallingConfig": calling},
        tools=talk.tools and [{"functionDeclarations": [{"name": n, "description": "d", "parametersJsonSchema": SCHEMA}
                                                        for n in talk.tools]}])}


def _cohere_message(t):
    message = _openai_message(t)
    thinking = message.pop("reasoning_content", "")
    if thinking:
        message["content"] = [{"type": "thinking", "thinking": thinking}, *([{"type": "text", "text": t.text}] if t.text else [])]
    return {k: v for k, v in message.items() if v is not None}


def _cohere(talk):
    head = [{"role": "system", "content": talk.system}] if talk.system else []
    choice = None if talk.choice is None else "REQUIRED"
    tools = talk.tools if talk.choice in (None, "required") else [talk.choice]
    return {"messages": head + [_cohere_message(t) for t in talk.turns], **_some(
        tools=[{"type": "function", "function": _function(n)} for n in tools], tool_choice=choice,
        response_format=talk.schema and {"type": "json_object", "json_schema": talk.schema},
        thinking={False: {"type": "disabled"}, True: {"type": "enabled"}}.get(talk.think))}


def _ollama_message(t):
    if t.role == "result":
        return {"role": "tool", "tool_name": t.name, "content": t.text}
    return {"role": t.role, "content": t.text, **_some(
        thinking=t.thinking, tool_calls=[{"function": {"name": n, "arguments": a}} for _, n, a in t.calls])}


def _ollama(talk):
    head = [{"role": "system", "content": talk.system}] if talk.system else []
    return {"messages": head + [_ollama_message(t) for t in talk.turns], **_some(
        tools=[{"type": "function", "function": _function(n)} for n in talk.tools], format=talk.schema),
        **({} if talk.think is None else {"think": talk.think})}


BODIES = {"openai-chat": ("/v1/chat/completions", _openai), "openai-responses": ("/v1/responses", _responses),
          "anthropic-messages": ("/v1/messages", _anthropic), "ollama": ("/api/chat", _ollama),
          "cohere-v2": ("/v2/chat", _cohere), "gemini": ("/v1beta/models/{}:{}", _gemini),
          "bedrock-converse": ("/model/{}/{}", _bedrock)}


def asking(caller, model, talk, stream=False):
    """The path and the body of a request; `model` is an alias, fit for a path."""
    path, make = BODIES[caller]
    body = make(talk)
    if caller == "gemini":
        return path.format(model, "streamGenerateContent?alt=sse" if stream else "generateContent"), body
    if caller == "bedrock-converse":
        return path.format(model, "converse-stream" if stream else "converse"), body
    return path, {"model": model, **body, **({"stream_options": {"include_usage": True}} if caller == "openai-chat" and stream else {}),
                  "stream": stream}
