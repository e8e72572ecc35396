"""The contents of a request, independent of its protocol: asked(wire, body) in the words of expect.json's "request".

meaning() makes two of them comparable: neighbouring texts of one role are one, ids go by position, what no
other protocol can hold is left out. assert_lawful() holds a request against rules that Anthropic enforces.
"""
import json
import re


def asked(wire, body):
    return {"openai-chat": _of_openai, "anthropic-messages": _of_anthropic}[wire](body)


def _item(role, kind, **more):
    return {"role": role, "kind": kind, **{k: v for k, v in more.items() if v is not None}}


def _parsed(text):
    return json.loads(text) if (text or "").strip() else {}


def _texts(content):
    return [content] if isinstance(content, str) else [p["text"] for p in content if p["type"] == "text"]


# --- OpenAI ---

OPENAI_KINDS = {"image_url": "image", "file": "file", "file_url": "file", "input_audio": "audio", "video_url": "video"}


def _openai_content(role, content):
    for part in [{"type": "text", "text": content}] if isinstance(content, str) else content or []:
        if part["type"] == "text":
            if part["text"]:
                yield _item(role, "text", text=part["text"])
        else:
            yield _item(role, OPENAI_KINDS.get(part["type"], part["type"]))


def _openai_items(message):
    role = message["role"]
    if role == "tool":
        yield _item("tool", "tool_result", id=message["tool_call_id"], text="\n".join(_texts(message["content"])))
        return
    if role == "assistant" and any(message.get(k) for k in ("reasoning", "reasoning_content", "reasoning_details")):
        yield _item(role, "reasoning")
    yield from _openai_content(role, message.get("content"))
    for call in message.get("tool_calls") or []:
        function = call["function"]
        yield _item(role, "tool_call", id=call["id"], name=function["name"], arguments=_parsed(function["arguments"]))


def _openai_tool(tool):
    if tool["type"] == "custom":
        return {"name": tool["custom"]["name"], "custom": True}
    function = tool["function"]
    return {"name": function["name"], "has_description": bool(function.get("description")),
            "parameters": function.get("parameters")}


def _openai_choice(choice):
    return {"name": choice["function"]["name"]} if isinstance(choice, dict) else choice


def _of_openai(body):
    result = {}
    system = [t for m in body["messages"] if m["role"] in ("system", "developer") for t in _texts(m["content"])]
    if system:
        result["system"] = "\n".join(system)
    result["items"] = [i for m in body["messages"] if m["role"] not in ("system", "developer")
                       for i in _openai_items(m)]
    tools = [_openai_tool(t) for t in body.get("tools") or [] if t["type"] in ("function", "custom")]
    if tools:
        result["tools"] = tools
    if body.get("tool_choice"):
        result["tool_choice"] = _openai_choice(body["tool_choice"])
    if body.get("parallel_tool_calls") is False:
        result["parallel_tool_calls"] = False
    form = body.get("response_format") or {}
    if form.get("type") in ("json_schema", "json_object"):
        result["response_format"] = form["type"]
    if form.get("type") == "json_schema":
        result["json_schema"] = form["json_schema"]["schema"]
    result["max_tokens"] = body.get("max_completion_tokens") or body.get("max_tokens")
    stop = body.get("stop")
    result["stop"] = [stop] if isinstance(stop, str) else stop
    result.update({k: body.get(k) for k in ("temperature", "top_p", "seed", "n", "reasoning_effort")})
    return {k: v for k, v in result.items() if v is not None}


# --- Anthropic ---

ANTHROPIC_KINDS = {"document": "file", "thinking": "reasoning", "redacted_thinking": "reasoning"}


def _anthropic_block(role, block):
    kind = block["type"]
    if kind == "text":
        yield _item(role, "text", text=block["text"])
    elif kind == "tool_use":
        yield _item(role, "tool_call", id=block["id"], name=block["name"], arguments=block["input"])
    elif kind == "tool_result":
        content = block.get("content") or ""
        yield _item("tool", "tool_result", id=block["tool_use_id"], text="\n".join(_texts(content)),
                    is_error=block.get("is_error") or None)
        for part in content if isinstance(content, list) else []:
            if part["type"] != "text":
                yield from _anthropic_block("tool", part)
    else:
        yield _item(role, ANTHROPIC_KINDS.get(kind, kind))


def _anthropic_items(message):
    content = message["content"]
    for block in [{"type": "text", "text": content}] if isinstance(content, str) else content:
        yield from _anthropic_block(message["role"], block)


def _anthropic_choice(choice):
    kind = choice["type"]
    return {"name": choice["name"]} if kind == "tool" else {"any": "required"}.get(kind, kind)


def _of_anthropic(body):
    result = {}
    if body.get("system"):
        result["system"] = "\n".join(_texts(body["system"]))
    result["items"] = [i for m in body["messages"] for i in _anthropic_items(m)]
    tools = [{"name": t["name"], "has_description": bool(t.get("description")), "parameters": t["input_schema"]}
             for t in body.get("tools") or [] if t.get("type", "custom") == "custom"]
    if tools:
        result["tools"] = tools
    choice = body.get("tool_choice")
    if choice:
        result["tool_choice"] = _anthropic_choice(choice)
        if choice.get("disable_parallel_tool_use"):
            result["parallel_tool_calls"] = False
    config = body.get("output_config") or {}
    form = config.get("format") or body.get("output_format")
    if form:
        result["response_format"] = "json_schema"
        result["json_schema"] = form["schema"]
    result["reasoning_effort"] = config.get("effort")
    result["stop"] = body.get("stop_sequences")
    result.update({k: body.get(k) for k in ("max_tokens", "temperature", "top_p")})
    if body.get("thinking"):
        result["thinking"] = body["thinking"]["type"]
        result["thinking_budget"] = body["thinking"].get("budget_tokens")
    return {k: v for k, v in result.items() if v is not None}


# --- comparing ---

SAID_BY_ALL = ("text", "image", "file", "tool_call", "tool_result")
MEDIA = ("image", "file")


def meaning(items, keep=SAID_BY_ALL, media_after_results=False):
    """Items without ids and without what only one protocol has. `media_after_results`: what a tool showed stands
    behind all the results, as the user's, for protocols whose tools only talk."""
    result, ids, waiting = [], {}, []
    for item in items:
        item = dict(item)
        if item["kind"] not in keep:
            continue
        if media_after_results and item["role"] == "tool" and item["kind"] in MEDIA:
            waiting.append({**item, "role": "user"})
            continue
        if item["role"] != "tool":
            result += waiting
            waiting = []
        if "id" in item:
            item["id"] = ids.setdefault(item["id"], len(ids))
        item.pop("is_error", None)
        last = result[-1] if result else {}
        if item["kind"] == last.get("kind") == "text" and item["role"] == last["role"]:
            last["text"] += item["text"]
        else:
            result.append(item)
    return result + waiting


def assert_lawful(body):
    """Rules of the Messages API that a request by another protocol's caller easily breaks."""
    assert body["max_tokens"] > 0
    messages = body["messages"]
    assert messages[0]["role"] == "user"
    waiting = []
    for before, message in zip([None, *messages], messages):
        content = message["content"]
        assert before is None or before["role"] != message["role"], "turns alternate"
        assert content, "no turn is empty"
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        assert all(b["text"].strip() for b in blocks if b["type"] == "text"), "text without text"
        results = [b["tool_use_id"] for b in blocks if b["type"] == "tool_result"]
        assert results == waiting, "every call is answered at once, in order"
        assert all(b["type"] == "tool_result" for b in blocks[:len(results)]), "results come first"
        waiting = [b["id"] for b in blocks if b["type"] == "tool_use"]
        assert all(re.fullmatch(r"[a-zA-Z0-9_-]+", i) for i in waiting)
        assert all(isinstance(b["input"], dict) for b in blocks if b["type"] == "tool_use")
    assert not waiting, "a call without an answer"
    assert not ("temperature" in body and "top_p" in body)
    assert body.get("temperature", 0) <= 1
    assert all(t["input_schema"]["type"] == "object" for t in body.get("tools") or [] if "input_schema" in t)
