"""The contents of a request, independent of its protocol: asked(wire, body) in the words of expect.json's "request".

meaning() makes two of them comparable: neighbouring texts of one role are one, ids go by position, what no
other protocol can hold is left out. assert_lawful() holds a request against rules that Anthropic enforces.
"""
import json
import re


def asked(wire, body):
    return {"openai-chat": _of_openai, "mistral": _of_openai, "anthropic-messages": _of_anthropic,
            "openai-responses": _of_responses, "gemini": _of_gemini, "cohere-v2": _of_cohere,
            "bedrock-converse": _of_bedrock, "ollama": _of_ollama}[wire](body)


def _item(role, kind, **more):
    return {"role": role, "kind": kind, **{k: v for k, v in more.items() if v is not None}}


def _parsed(text):
    return json.loads(text) if (text or "").strip() else {}


def _texts(content):
    return [content] if isinstance(content, str) else [p["text"] for p in content if p["type"] == "text"]


# --- OpenAI ---

OPENAI_KINDS = {"thinking": "reasoning", "image_url": "image", "file": "file", "file_url": "file", "input_audio": "audio", "video_url": "video", "document_url": "file"}


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
    return {"name": choice["function"]["name"]} if isinstance(choice, dict) else {"any": "required"}.get(choice, choice)


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
    result["seed"] = body.get("random_seed", result["seed"])      # Mistral
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


# --- OpenAI Responses ---

RESPONSES_KINDS = {"input_image": "image", "input_file": "file", "input_audio": "audio"}


def _responses_content(role, content):
    for part in [{"type": "input_text", "text": content}] if isinstance(content, str) else content or []:
        if part["type"] in ("input_text", "output_text", "text"):
            if part["text"]:
                yield _item(role, "text", text=part["text"])
        elif part["type"] == "refusal":
            yield _item(role, "text", text=part["refusal"])
        else:
            yield _item(role, RESPONSES_KINDS.get(part["type"], part["type"]))


def _responses_item(item):
    kind = item.get("type", "message")
    if kind == "message":
        yield from _responses_content(item["role"], item.get("content"))
    elif kind == "function_call":
        yield _item("assistant", "tool_call", id=item["call_id"], name=item["name"], arguments=_parsed(item["arguments"]))
    elif kind == "custom_tool_call":
        yield _item("assistant", "tool_call", id=item["call_id"], name=item["name"], arguments=item["input"])
    elif kind in ("function_call_output", "custom_tool_call_output"):
        output = item["output"]
        parts = [{"type": "input_text", "text": output}] if isinstance(output, str) else output
        yield _item("tool", "tool_result", id=item["call_id"],
                    text="\n".join(p["text"] for p in parts if p["type"] == "input_text"))
        yield from _responses_content("tool", [p for p in parts if p["type"] != "input_text"])
    else:
        yield _item("assistant", kind)


def _of_responses(body):
    result = {}
    entries = [{"role": "user", "content": body["input"]}] if isinstance(body["input"], str) else body["input"]
    instructs = [e for e in entries if e.get("role") in ("system", "developer")]
    system = [body["instructions"]] if body.get("instructions") else []
    for entry in instructs:
        system += [i["text"] for i in _responses_content("system", entry["content"])]
    if system:
        result["system"] = "\n".join(system)
    result["items"] = [i for e in entries if e not in instructs for i in _responses_item(e)]
    tools = [{"name": t["name"], "custom": True} if t["type"] == "custom" else
             {"name": t["name"], "has_description": bool(t.get("description")), "parameters": t.get("parameters")}
             for t in body.get("tools") or [] if t["type"] in ("function", "custom")]
    if tools:
        result["tools"] = tools
    choice = body.get("tool_choice")
    if choice:
        result["tool_choice"] = {"name": choice["name"]} if isinstance(choice, dict) and "name" in choice else choice
    if body.get("parallel_tool_calls") is False:
        result["parallel_tool_calls"] = False
    form = (body.get("text") or {}).get("format") or {}
    if form.get("type") in ("json_schema", "json_object"):
        result["response_format"] = form["type"]
    if form.get("type") == "json_schema":
        result["json_schema"] = form["schema"]
    result["max_tokens"] = body.get("max_output_tokens")
    result["reasoning_effort"] = (body.get("reasoning") or {}).get("effort")
    result.update({k: body.get(k) for k in ("temperature", "top_p")})
    return {k: v for k, v in result.items() if v is not None}


# --- Gemini ---

def _camel(value):
    """The same with members in camelCase; a caller may write both. What is not Gemini's own stays."""
    if isinstance(value, list):
        return [_camel(v) for v in value]
    if not isinstance(value, dict):
        return value
    own = ("args", "response", "parameters", "parametersJsonSchema", "responseSchema", "responseJsonSchema",
           "_responseJsonSchema")
    result = {}
    for key, v in value.items():
        name = re.sub(r"(?<=[a-z])_([a-z])", lambda m: m[1].upper(), key)
        result[name] = v if name in own else _camel(v)
    return result


def _gemini_media(mime):
    return next((kind for kind in ("image", "audio", "video") if (mime or "").startswith(kind)), "file")


def _gemini_items(contents):
    """Ids are the calls' own where they have some; else the first unanswered call of that name."""
    waiting = []
    for number, content in enumerate(contents):
        role = "assistant" if content.get("role") == "model" else "user"
        for place, part in enumerate(content.get("parts") or []):
            if "functionCall" in part:
                call = part["functionCall"]
                ident = call.get("id") or f"{number}.{place}"
                waiting.append((call["name"], ident))
                yield _item(role, "tool_call", id=ident, name=call["name"], arguments=call.get("args") or {})
            elif "functionResponse" in part:
                result = part["functionResponse"]
                same = [w for w in waiting if w[0] == result["name"]]
                ident = result.get("id") or (same[0][1] if same else "?")
                waiting = [w for w in waiting if w[1] != ident]
                yield _item("tool", "tool_result", id=ident, name=result["name"], response=result["response"])
                for inner in result.get("parts") or []:
                    media = inner.get("inlineData") or inner.get("fileData")
                    yield _item("tool", _gemini_media(media.get("mimeType")))
            elif part.get("thought"):
                yield _item(role, "reasoning")
            elif "text" in part:
                if part["text"]:
                    yield _item(role, "text", text=part["text"])
            elif "inlineData" in part or "fileData" in part:
                media = part.get("inlineData") or part.get("fileData")
                yield _item(role, _gemini_media(media.get("mimeType")))
            elif set(part) - {"thoughtSignature"}:
                yield _item(role, next(iter(part)))


def _of_gemini(body):
    body = _camel(body)
    result = {}
    system = (body.get("systemInstruction") or {}).get("parts") or []
    texts = [p["text"] for p in (system if isinstance(system, list) else [system]) if p.get("text")]
    if texts:
        result["system"] = "\n".join(texts)
    result["items"] = list(_gemini_items(body["contents"]))
    tools = [{"name": f["name"], "has_description": bool(f.get("description")),
              "parameters": f.get("parametersJsonSchema", f.get("parameters"))}
             for t in body.get("tools") or [] for f in t.get("functionDeclarations") or []]
    if tools:
        result["tools"] = tools
    calling = (body.get("toolConfig") or {}).get("functionCallingConfig") or {}
    if calling.get("mode"):
        names = calling.get("allowedFunctionNames") or []
        mode = {"AUTO": "auto", "ANY": "required", "NONE": "none", "VALIDATED": "auto"}[calling["mode"].upper()]
        result["tool_choice"] = {"name": names[0]} if len(names) == 1 and mode == "required" else mode
    config = body.get("generationConfig") or {}
    schema = next((config[k] for k in ("responseJsonSchema", "_responseJsonSchema", "responseSchema") if k in config), None)
    if config.get("responseMimeType") == "application/json":
        result["response_format"] = "json_object" if schema is None else "json_schema"
    result["json_schema"] = schema
    result["reasoning_effort"] = (config.get("thinkingConfig") or {}).get("thinkingLevel")
    result["thinking_budget"] = (config.get("thinkingConfig") or {}).get("thinkingBudget")
    for ours, theirs in (("max_tokens", "maxOutputTokens"), ("temperature", "temperature"), ("top_p", "topP"),
                         ("top_k", "topK"), ("stop", "stopSequences"), ("seed", "seed"), ("n", "candidateCount")):
        result[ours] = config.get(theirs)
    return {k: v for k, v in result.items() if v is not None}


# --- Cohere ---

COHERE_KINDS = {"image_url": "image", "document": "file", "thinking": "reasoning"}


def _cohere_result(content):
    """The text of a tool's result: documents count as what they say."""
    if isinstance(content, str):
        return content
    texts = []
    for part in content:
        data = (part.get("document") or {}).get("data")
        texts.append(part["text"] if part["type"] == "text" else data if isinstance(data, str) else
                     next(iter(data.values())) if len(data or {}) == 1 else json.dumps(data))
    return "\n".join(texts)


def _cohere_items(message):
    role = message["role"]
    if role == "tool":
        yield _item("tool", "tool_result", id=message["tool_call_id"], text=_cohere_result(message["content"]))
        return
    content = message.get("content") or ""
    for part in [{"type": "text", "text": content}] if isinstance(content, str) else content:
        if part["type"] == "text":
            if part["text"]:
                yield _item(role, "text", text=part["text"])
        else:
            yield _item(role, COHERE_KINDS.get(part["type"], part["type"]))
    for call in message.get("tool_calls") or []:
        yield _item(role, "tool_call", id=call["id"], name=call["function"]["name"],
                    arguments=_parsed(call["function"]["arguments"]))


def _of_cohere(body):
    result = {}
    system = [t for m in body["messages"] if m["role"] == "system" for t in _texts(m["content"])]
    if system:
        result["system"] = "\n".join(system)
    result["items"] = [i for m in body["messages"] if m["role"] != "system" for i in _cohere_items(m)]
    tools = [_openai_tool(t) for t in body.get("tools") or []]
    if tools:
        result["tools"] = tools
    if body.get("tool_choice"):
        result["tool_choice"] = body["tool_choice"].lower()
    form = body.get("response_format") or {}
    if form.get("type") == "json_object":
        schema = form.get("json_schema", form.get("schema"))
        result["response_format"] = "json_object" if schema is None else "json_schema"
        result["json_schema"] = schema
    result["stop"] = body.get("stop_sequences")
    result["thinking_budget"] = (body.get("thinking") or {}).get("token_budget")
    result.update({"top_p": body.get("p"), "top_k": body.get("k")})
    result.update({k: body.get(k) for k in ("max_tokens", "temperature", "seed")})
    return {k: v for k, v in result.items() if v is not None}


# --- Bedrock Converse ---

BEDROCK_KINDS = {"document": "file", "reasoningContent": "reasoning"}


def _bedrock_block(role, block):
    kind, value = next(iter(block.items()))
    if kind == "text":
        yield _item(role, "text", text=value)
    elif kind == "toolUse":
        yield _item(role, "tool_call", id=value["toolUseId"], name=value["name"], arguments=value["input"])
    elif kind == "toolResult":
        texts = [b["text"] if "text" in b else json.dumps(b["json"]) for b in value["content"] if set(b) & {"text", "json"}]
        yield _item("tool", "tool_result", id=value["toolUseId"], text="\n".join(texts),
                    is_error=value.get("status") == "error" or None)
        for inner in value["content"]:
            if not set(inner) & {"text", "json"}:
                yield from _bedrock_block("tool", inner)
    elif kind != "cachePoint":
        yield _item(role, BEDROCK_KINDS.get(kind, kind))


def _of_bedrock(body):
    result = {}
    system = [b["text"] for b in body.get("system") or [] if "text" in b]
    if system:
        result["system"] = "\n".join(system)
    result["items"] = [i for m in body["messages"] for b in m["content"] for i in _bedrock_block(m["role"], b)]
    config = body.get("toolConfig") or {}
    specs = [t["toolSpec"] for t in config.get("tools") or [] if "toolSpec" in t]
    if specs:
        result["tools"] = [{"name": t["name"], "has_description": bool(t.get("description")),
                            "parameters": t["inputSchema"]["json"]} for t in specs]
    if config.get("toolChoice"):
        kind, value = next(iter(config["toolChoice"].items()))
        result["tool_choice"] = {"name": value["name"]} if kind == "tool" else {"any": "required"}.get(kind, kind)
    form = (body.get("outputConfig") or {}).get("textFormat") or {}
    if form.get("type") == "json_schema":
        result["response_format"] = "json_schema"
        schema = form["structure"]["jsonSchema"]["schema"]
        result["json_schema"] = json.loads(schema) if isinstance(schema, str) else schema
    inference, more = body.get("inferenceConfig") or {}, body.get("additionalModelRequestFields") or {}
    for ours, theirs in (("max_tokens", "maxTokens"), ("temperature", "temperature"), ("top_p", "topP"),
                         ("stop", "stopSequences")):
        result[ours] = inference.get(theirs)
    thinking = more.get("thinking") or more.get("reasoning_config") or {}
    result["thinking_budget"] = thinking.get("budget_tokens")
    result["top_k"] = more.get("top_k") or (more.get("inferenceConfig") or {}).get("topK")
    return {k: v for k, v in result.items() if v is not None}


# --- Ollama ---

def _ollama_items(messages):
    """Calls have no ids that must be repeated: results answer them in order, or by the tool's name."""
    waiting = []
    for number, message in enumerate(messages):
        role = message["role"]
        if role == "tool":
            name = message.get("tool_name") or message.get("name")
            ident = message.get("tool_call_id") or next((i for n, i in waiting if n == name), waiting[0][1] if waiting else "?")
            waiting = [w for w in waiting if w[1] != ident]
            yield _item("tool", "tool_result", id=ident, text=message.get("content") or "")
            yield from [_item("tool", "image")] * len(message.get("images") or [])
            continue
        if role == "assistant" and message.get("thinking"):
            yield _item(role, "reasoning")
        if message.get("content"):
            yield _item(role, "text", text=message["content"])
        for _ in message.get("images") or []:
            yield _item(role, "image")
        for place, call in enumerate(message.get("tool_calls") or []):
            ident = call.get("id") or f"{number}.{place}"
            waiting.append((call["function"]["name"], ident))
            yield _item(role, "tool_call", id=ident, name=call["function"]["name"], arguments=call["function"]["arguments"])


def _of_ollama(body):
    result = {}
    messages = body.get("messages") or [{"role": "user", "content": body.get("prompt", "")}]
    system = [m["content"] for m in messages if m["role"] == "system"]
    if system:
        result["system"] = "\n".join(system)
    result["items"] = list(_ollama_items([m for m in messages if m["role"] != "system"]))
    tools = [_openai_tool(t) for t in body.get("tools") or []]
    if tools:
        result["tools"] = tools
    if body.get("format"):
        schema = body["format"] if isinstance(body["format"], dict) else None
        result["response_format"] = "json_object" if schema is None else "json_schema"
        result["json_schema"] = schema
    options = body.get("options") or {}
    for ours, theirs in (("max_tokens", "num_predict"), ("temperature", "temperature"), ("top_p", "top_p"),
                         ("top_k", "top_k"), ("stop", "stop"), ("seed", "seed")):
        result[ours] = options.get(theirs)
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
