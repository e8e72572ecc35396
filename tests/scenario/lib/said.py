"""The contents of an answer, independent of its protocol: Said.of("openai-chat" or another wire, body, stream).

Words of finish and usage are those of expect.json: OpenAI's, with the cache inside the prompt.
"""
import dataclasses
import json
import zlib

from lib import anthropic, ollama, openai, sse

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
        return {"openai-chat": _of_openai, "mistral": _of_mistral, "anthropic-messages": _of_anthropic,
                "openai-responses": _of_responses, "gemini": _of_gemini, "cohere-v2": _of_cohere,
                "bedrock-converse": _of_bedrock, "ollama": _of_ollama}[wire](body, stream)


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


# --- Mistral: as OpenAI, but content may be a list with thoughts in it ---

def _of_mistral(body, stream):
    docs = [json.loads(d) for d in sse.data(body) if d.strip() != "[DONE]"] if stream else [json.loads(body)]
    said, calls = Said(), {}
    for doc in docs:
        said.usage = _openai_usage(doc.get("usage")) or said.usage
        for choice in doc.get("choices") or []:
            message = choice.get("message") or choice.get("delta") or {}
            content = message.get("content") or []
            for part in [{"type": "text", "text": content}] if isinstance(content, str) else content:
                if part["type"] == "text":
                    said.text += part["text"]
                elif part["type"] == "thinking":
                    said.reasoning += "".join(p["text"] for p in part["thinking"])
            for place, call in enumerate(message.get("tool_calls") or []):
                one = calls.setdefault(call.get("index", place) if stream else place, Call("", "", None, ""))
                one.name += call["function"].get("name") or ""
                one.id = one.id or call.get("id")
                one.raw += call["function"].get("arguments") or ""
            said.finish = choice.get("finish_reason") or said.finish
    said.calls = [dataclasses.replace(c, arguments=_parsed(c.raw)) for _, c in sorted(calls.items())]
    said.complete = said.finish is not None
    return said


# --- OpenAI Responses ---

def _responses_usage(u):
    if not u:
        return None
    return {"prompt_tokens": u["input_tokens"], "completion_tokens": u["output_tokens"],
            "total_tokens": u.get("total_tokens"),
            "cached_tokens": (u.get("input_tokens_details") or {}).get("cached_tokens") or 0,
            "cache_write_tokens": (u.get("input_tokens_details") or {}).get("cache_write_tokens") or 0,
            "reasoning_tokens": (u.get("output_tokens_details") or {}).get("reasoning_tokens") or 0}


def _responses_document(doc):
    said = Said(model=doc.get("model"), id=doc.get("id"), error=doc.get("error"), usage=_responses_usage(doc.get("usage")))
    for item in doc.get("output") or []:
        kind = item["type"]
        if kind == "message":
            said.text += "".join(c["text"] for c in item["content"] if c["type"] == "output_text")
            said.refusal += "".join(c["refusal"] for c in item["content"] if c["type"] == "refusal")
        elif kind == "reasoning":
            said.reasoning += "".join(s["text"] for s in item.get("summary") or item.get("content") or [])
            said.proofs += [item["encrypted_content"]] if item.get("encrypted_content") else []
        elif kind == "function_call":
            said.calls.append(Call(item["name"], item["call_id"], _parsed(item["arguments"]), item["arguments"]))
        elif kind == "custom_tool_call":
            said.calls.append(Call(item["name"], item["call_id"], item["input"], item["input"]))
    why = (doc.get("incomplete_details") or {}).get("reason")
    said.finish = {"max_output_tokens": "length", "content_filter": "content_filter"}.get(why) or \
        ("tool_calls" if said.calls else "stop")
    said.complete = doc.get("status") in ("completed", "incomplete") and said.error is None
    return said


def _of_responses(body, stream):
    """A stream's deltas must add up to what its last event has."""
    if not stream:
        return _responses_document(json.loads(body))
    text, args, last, error, numbers = "", {}, None, None, []
    for data in sse.data(body):
        if data.strip() == "[DONE]":
            continue
        event = json.loads(data)
        numbers.append(event.get("sequence_number"))
        kind = event["type"]
        if kind == "response.output_text.delta":
            text += event["delta"]
        elif kind == "response.function_call_arguments.delta":
            args[event["item_id"]] = args.get(event["item_id"], "") + event["delta"]
        elif kind in ("response.completed", "response.incomplete"):
            last = event["response"]
        elif kind == "response.failed":
            last, error = event["response"], event["response"].get("error") or {"message": "failed"}
        elif kind == "error":
            error = event.get("error") or event
    assert numbers == sorted(set(numbers)) or None in numbers, "numbers of events ascend"
    if last is None:
        return Said(text, error=error)
    said = _responses_document(last)
    said.error, said.complete = error, said.complete and error is None
    assert not said.complete or text == said.text, "deltas add up"
    for item in last.get("output") or []:
        if item["type"] == "function_call" and item["id"] in args:
            assert args[item["id"]] == item["arguments"], "deltas of arguments add up"
    return said


# --- Gemini ---

GEMINI_FINISH = {"STOP": "stop", "MAX_TOKENS": "length", **dict.fromkeys(
    ("SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "LANGUAGE", "IMAGE_SAFETY", "MODEL_ARMOR"), "content_filter")}


def _of_gemini(body, stream):
    """Streamed as server-sent events, or as one list."""
    if not stream:
        docs = [json.loads(body)]
    else:
        docs = [json.loads(d) for d in sse.data(body)] if b"data:" in body[:20] else json.loads(body)
    said = Said()
    for doc in docs:
        said.error = doc.get("error") or said.error
        said.model, said.id = doc.get("modelVersion") or said.model, doc.get("responseId") or said.id
        u = doc.get("usageMetadata")
        if u:
            thoughts = u.get("thoughtsTokenCount") or 0
            prompt = (u.get("promptTokenCount") or 0) + (u.get("toolUsePromptTokenCount") or 0)
            said.usage = {"prompt_tokens": prompt, "completion_tokens": (u.get("candidatesTokenCount") or 0) + thoughts,
                          "total_tokens": u.get("totalTokenCount"), "cache_write_tokens": 0,
                          "cached_tokens": u.get("cachedContentTokenCount") or 0, "reasoning_tokens": thoughts}
        for candidate in doc.get("candidates") or []:
            if candidate.get("index") or 0:
                continue
            for part in (candidate.get("content") or {}).get("parts") or []:
                said.proofs += [part["thoughtSignature"]] if part.get("thoughtSignature") else []
                if "functionCall" in part:
                    call = part["functionCall"]
                    said.calls.append(Call(call["name"], call.get("id"), call.get("args") or {}))
                elif part.get("thought"):
                    said.reasoning += part.get("text") or ""
                else:
                    said.text += part.get("text") or ""
            reason = candidate.get("finishReason")
            if reason:
                said.finish = GEMINI_FINISH.get(reason, "stop")
        if (doc.get("promptFeedback") or {}).get("blockReason"):
            said.finish = "content_filter"
    if said.calls and said.finish == "stop":
        said.finish = "tool_calls"
    said.complete = said.finish is not None and said.error is None
    return said


# --- Cohere ---

COHERE_FINISH = {"COMPLETE": "stop", "STOP_SEQUENCE": "stop", "MAX_TOKENS": "length", "TOOL_CALL": "tool_calls"}


def _cohere_usage(u):
    tokens = (u or {}).get("tokens") or (u or {}).get("billed_units")
    if not tokens:
        return None
    return {"prompt_tokens": int(tokens.get("input_tokens") or 0), "completion_tokens": int(tokens.get("output_tokens") or 0),
            "total_tokens": None, "cached_tokens": int((u or {}).get("cached_tokens") or 0), "cache_write_tokens": 0,
            "reasoning_tokens": 0}


def _of_cohere(body, stream):
    said = Said()
    if not stream:
        doc = json.loads(body)
        message = doc["message"]
        for part in message.get("content") or []:
            said.text += part.get("text") or ""
            said.reasoning += part.get("thinking") or ""
        said.calls = [Call(c["function"]["name"], c["id"], _parsed(c["function"]["arguments"]), c["function"]["arguments"])
                      for c in message.get("tool_calls") or []]
        said.finish, said.usage, said.id = COHERE_FINISH.get(doc["finish_reason"]), _cohere_usage(doc.get("usage")), doc["id"]
        said.complete = True
        return said
    for data in sse.data(body):
        if data.strip() == "[DONE]":
            continue
        event = json.loads(data)
        kind, delta = event.get("type"), event.get("delta") or {}
        message = delta.get("message") or {}
        if kind in ("content-start", "content-delta"):
            said.text += message["content"].get("text") or ""
            said.reasoning += message["content"].get("thinking") or ""
        elif kind == "tool-call-start":
            call = message["tool_calls"]
            said.calls.append(Call(call["function"]["name"], call["id"], None, call["function"].get("arguments") or ""))
        elif kind == "tool-call-delta":
            said.calls[-1].raw += message["tool_calls"]["function"]["arguments"]
        elif kind == "message-end":
            said.finish, said.usage = COHERE_FINISH.get(delta.get("finish_reason")), _cohere_usage(delta.get("usage"))
            said.error = {"message": delta["error"]} if delta.get("error") else None
            said.complete = said.error is None
        elif kind is None or kind == "error":
            said.error = event
    for call in said.calls:
        call.arguments = _parsed(call.raw)
    return said


# --- Bedrock Converse ---

BEDROCK_FINISH = {"end_turn": "stop", "stop_sequence": "stop", "max_tokens": "length", "tool_use": "tool_calls",
                  "guardrail_intervened": "content_filter", "content_filtered": "content_filter",
                  "model_context_window_exceeded": "length"}


def _aws_frames(body):
    """(headers, payload) of each message of an AWS event stream."""
    while body:
        total, head = int.from_bytes(body[:4], "big"), int.from_bytes(body[4:8], "big")
        assert zlib.crc32(body[:8]) == int.from_bytes(body[8:12], "big"), "the prelude's checksum"
        assert zlib.crc32(body[:total - 4]) == int.from_bytes(body[total - 4:total], "big"), "the message's checksum"
        headers, rest = {}, body[12:12 + head]
        while rest:
            n = rest[0]
            name, kind, size = rest[1:1 + n].decode(), rest[1 + n], int.from_bytes(rest[2 + n:4 + n], "big")
            assert kind == 7, "a header is a string"
            headers[name], rest = rest[4 + n:4 + n + size].decode(), rest[4 + n + size:]
        yield headers, body[12 + head:total - 4]
        body = body[total:]


def _bedrock_usage(u):
    if not u:
        return None
    cached, written = u.get("cacheReadInputTokens") or 0, u.get("cacheWriteInputTokens") or 0
    prompt = u["inputTokens"] + cached + written
    return {"prompt_tokens": prompt, "completion_tokens": u["outputTokens"], "total_tokens": u.get("totalTokens"),
            "cached_tokens": cached, "cache_write_tokens": written, "reasoning_tokens": 0}


def _bedrock_reasoning(said, content):
    said.reasoning += (content.get("reasoningText") or {}).get("text") or content.get("text") or ""
    proof = (content.get("reasoningText") or {}).get("signature") or content.get("signature") or content.get("redactedContent")
    said.proofs += [proof] if proof else []


def _of_bedrock(body, stream):
    said = Said()
    if not stream:
        doc = json.loads(body)
        for block in doc["output"]["message"]["content"]:
            said.text += block.get("text") or ""
            if "toolUse" in block and block["toolUse"].get("type") != "server_tool_use":
                call = block["toolUse"]
                said.calls.append(Call(call["name"], call["toolUseId"], call["input"]))
            if "reasoningContent" in block:
                _bedrock_reasoning(said, block["reasoningContent"])
        said.finish, said.usage, said.complete = BEDROCK_FINISH.get(doc["stopReason"]), _bedrock_usage(doc.get("usage")), True
        return said
    served = False
    for headers, payload in _aws_frames(body):
        if headers.get(":message-type") in ("exception", "error"):
            said.error = {"message": payload.decode(errors="replace"), "type": headers.get(":exception-type")}
            continue
        event, doc = headers[":event-type"], json.loads(payload)
        if event == "contentBlockStart" and "toolUse" in (doc.get("start") or {}):
            call = doc["start"]["toolUse"]
            served = call.get("type") == "server_tool_use"      # the provider runs it
            if not served:
                said.calls.append(Call(call["name"], call["toolUseId"], None, ""))
        elif event == "contentBlockDelta":
            delta = doc["delta"]
            said.text += delta.get("text") or ""
            if "toolUse" in delta and not served:
                said.calls[-1].raw += delta["toolUse"].get("input") or ""
            if "reasoningContent" in delta:
                _bedrock_reasoning(said, delta["reasoningContent"])
        elif event == "messageStop":
            said.finish, said.complete = BEDROCK_FINISH.get(doc["stopReason"]), True
        elif event == "metadata":
            said.usage = _bedrock_usage(doc.get("usage"))
    for call in said.calls:
        call.arguments = _parsed(call.raw)
    said.complete = said.complete and said.error is None
    return said


# --- Ollama ---

def _of_ollama(body, stream):
    facts = (ollama.facts_of_stream if stream else ollama.facts_of_answer)(body)
    said = Said(facts.text, facts.reasoning, model=facts.model, error={"message": facts.error} if facts.error else None)
    said.calls = [Call(c["name"], None, c["arguments"]) for c in facts.calls]
    said.finish = "tool_calls" if facts.calls and facts.finish == "stop" else facts.finish
    if facts.usage:
        said.usage = {"prompt_tokens": facts.usage.get("prompt_eval_count", 0),
                      "completion_tokens": facts.usage.get("eval_count", 0), "total_tokens": None, "cached_tokens": 0,
                      "cache_write_tokens": 0, "reasoning_tokens": 0}
    said.complete = facts.done and facts.error is None
    return said
