"""The rules of test_reported.py, for callers of every protocol and providers of every kind that they hold for: what was
reported of one pair goes wrong between others in the same way."""
import json
import re

import pytest

from lib.converse import CALLERS, Talk, asking, assistant, result, system, user
from lib.said import Said

LONG = "mcp__plugin_yt-content-strategist_youtube-analytics__get_video_enhanced_transcript"
BILLING = "x-anthropic-billing-header: cc_version=2.1.117.48f; cc_entrypoint=cli; cch=71fea;"

# The plainest answer of each protocol.
USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}


def openai_answer(message, finish="stop"):
    return {"id": "c1", "object": "chat.completion", "created": 1, "model": "m", "usage": USAGE, "choices": [
        {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}]}


def anthropic_answer(*content, stop="end_turn"):
    return {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": list(content),
            "stop_reason": stop, "stop_sequence": None, "usage": {"input_tokens": 10, "output_tokens": 5}}


TEXT = {
    "openai-chat": openai_answer({"content": "hello"}),
    "anthropic-messages": anthropic_answer({"type": "text", "text": "hello"}),
    "openai-responses": {
        "id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": "m", "error": None,
        "incomplete_details": None, "usage": {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}, "output": [
            {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [
                {"type": "output_text", "text": "hello", "annotations": []}]}]},
    "gemini": {"candidates": [{"content": {"role": "model", "parts": [{"text": "hello"}]}, "finishReason": "STOP", "index": 0}],
               "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 15}},
    "bedrock-converse": {"output": {"message": {"role": "assistant", "content": [{"text": "hello"}]}}, "stopReason": "end_turn",
                         "usage": {"inputTokens": 10, "outputTokens": 5, "totalTokens": 15}, "metrics": {"latencyMs": 1}},
    "cohere-v2": {"id": "c1", "finish_reason": "COMPLETE", "message": {
        "role": "assistant", "content": [{"type": "text", "text": "hello"}]}, "usage": {
            "tokens": {"input_tokens": 10, "output_tokens": 5}, "billed_units": {"input_tokens": 10, "output_tokens": 5}}},
    "ollama": {"model": "m", "created_at": "2026-01-01T00:00:00Z", "message": {"role": "assistant", "content": "hello"},
               "done": True, "done_reason": "stop", "prompt_eval_count": 10, "eval_count": 5},
}
# Targets: alias -> (provider, its wire, model). Those that the gateway knows have another base_url.
TARGETS = {
    "vllm": ("vllm", "openai-chat", "qwen3"), "llamacpp": ("llamacpp", "openai-chat", "m"),
    "deepseek": ("deepseek", "openai-chat", "deepseek-v4-pro"), "moonshot": ("moonshot", "openai-chat", "kimi-k2.5"),
    "mistral": ("mistral", "openai-chat", "mistral-large-latest"), "minimax": ("minimax", "openai-chat", "m"),
    "openai": ("openai", "openai-chat", "gpt-4o"), "responses": ("other-responses", "openai-responses", "m"),
    "fable": ("anthropic", "anthropic-messages", "claude-fable-5-1"), "opus": ("anthropic", "anthropic-messages", "claude-opus-4-6"),
    "sonnet": ("anthropic", "anthropic-messages", "claude-sonnet-4-5"),
    "routed-fable": ("openrouter", "openai-chat", "anthropic/claude-fable-5.1"),
    "aws-fable": ("bedrock", "bedrock-converse", "anthropic.claude-fable-5"),
    "aws-opus": ("bedrock", "bedrock-converse", "anthropic.claude-opus-4-6-v1"),
    "aws-sonnet": ("bedrock", "bedrock-converse", "anthropic.claude-sonnet-4-5-20250929-v1:0"),
    "gemini": ("other-gemini", "gemini", "m"), "cohere": ("other-cohere", "cohere-v2", "m"),
    "ollama": ("other-ollama", "ollama", "m"),
}
KNOWN = ("vllm", "llamacpp", "deepseek", "moonshot", "mistral", "minimax", "openai", "anthropic", "bedrock", "openrouter")
PLAIN = {"ollama", "bedrock-converse"}      # whose base URL has no path


class Provider:
    """Every one: answers with `document`, or what its protocol has for "hello"; `raw` is a whole HTTP answer."""

    def __init__(self, make):
        self.upstream = make.upstream(self.answer)
        self.document = self.raw = None

    def answer(self, conn):
        if self.raw is not None:
            conn.send(self.raw)
            conn.close()
            return
        document = self.document(conn.request.json()) if callable(self.document) else self.document
        conn.answer(200, document)


@pytest.fixture(scope="module")
def provider(make_shared):
    return Provider(make_shared)


@pytest.fixture(scope="module")
def gateway(make_shared, provider):
    def base(wire):
        return provider.upstream.url if wire in PLAIN else provider.upstream.openai_url
    providers = {}
    for name, wire, _ in TARGETS.values():
        providers[name] = {"base_url": base(wire), "api_key": "any", **({} if name in KNOWN else {"wire": wire})}
    return make_shared.gateway({"providers": providers, "models": {
        alias: {"targets": [f"{name}/{model}"]} for alias, (name, _, model) in TARGETS.items()}})


class Exchange:
    def __init__(self, gateway, provider, caller, alias, talk, document=None, stream=False, raw=None, **changes):
        self.caller, self.alias = caller, alias
        provider.raw = raw
        provider.document = document if document is not None else TEXT[TARGETS[alias][1]]
        before = len(provider.upstream.requests)
        path, body = asking(caller, alias, talk, stream)
        answer = gateway.post(path, {**body, **changes})
        news = provider.upstream.requests[before:]
        self.status, self.content, self.headers = answer.status_code, answer.content, answer.headers
        self.sent = news[-1].json() if news else None
        self.stream = stream

    @property
    def said(self):
        assert self.status == 200, self.content
        return Said.of(self.caller, self.content, self.stream)

    @property
    def dropped(self):
        return set(filter(None, self.headers.get("x-openclaw-dropped", "").split(", ")))


@pytest.fixture
def exchange(gateway, provider):
    return lambda *args, **more: Exchange(gateway, provider, *args, **more)


# Those that have OpenAI's Responses beside the protocol they are asked in here.
WITH_RESPONSES = ("vllm", "llamacpp", "openai", "openrouter", "deepseek")


def skip_own(caller, alias):
    name, wire, _ = TARGETS[alias]
    if caller == wire or (caller == "openai-responses" and name in WITH_RESPONSES):
        pytest.skip("its own protocol: as the caller wrote it")


def text_of(sent):
    return json.dumps(sent, ensure_ascii=False)


# --- requests ---

@pytest.mark.parametrize("alias", ["vllm", "responses", "gemini", "cohere", "ollama", "aws-sonnet"])
@pytest.mark.parametrize("form", ["blocks", "first line"])
def test_the_accounting_line_stays_with_anthropic(exchange, alias, form):
    text = "You are Claude Code"
    prompt = [{"type": "text", "text": BILLING}, {"type": "text", "text": text}] if form == "blocks" else f"{BILLING}\n{text}"
    x = exchange("anthropic-messages", alias, Talk([user("hi")]), system=prompt)
    assert x.status == 200 and text in text_of(x.sent) and "billing" not in text_of(x.sent), x.sent


@pytest.mark.parametrize("caller", [c for c in CALLERS if c != "ollama"])     # which cannot force a call
@pytest.mark.parametrize("alias", ["fable", "routed-fable"])
@pytest.mark.parametrize("choice", ["required", "g"])
def test_a_model_that_cannot_be_forced_is_not(exchange, caller, alias, choice):
    skip_own(caller, alias)
    x = exchange(caller, alias, Talk([user("hi")], tools=["f", "g"], choice=choice))
    tools = [t.get("name") or t["function"]["name"] for t in x.sent["tools"]]
    assert x.sent.get("tool_choice", "auto") in ("auto", {"type": "auto"}), x.sent
    assert tools == (["f", "g"] if choice == "required" else ["g"])
    assert "tool_choice" in x.dropped


@pytest.mark.parametrize("caller", CALLERS)
def test_mistral_gets_ids_of_nine_letters(exchange, caller):
    calls = [("toolu_01ABCdef", "f", {"id": "a"}), ("call-2", "f", {"id": "b"})]
    x = exchange(caller, "mistral", Talk([user("hi"), assistant(calls=calls), result("toolu_01ABCdef", "f", "1"),
                                          result("call-2", "f", "2")], tools=["f"]))
    ids = [c["id"] for m in x.sent["messages"] for c in m.get("tool_calls") or []]
    assert all(re.fullmatch("[a-zA-Z0-9]{9}", i) for i in ids) and len(set(ids)) == 2
    assert [(m["tool_call_id"], m["content"]) for m in x.sent["messages"] if m["role"] == "tool"] == list(zip(ids, "12"))


@pytest.mark.parametrize("caller", [c for c in CALLERS if c != "bedrock-converse"])    # whose callers ask with a user's turn last
@pytest.mark.parametrize("alias", ["opus", "aws-opus"])
def test_a_model_that_refuses_prefill_is_asked_to_go_on(exchange, caller, alias):
    skip_own(caller, alias)
    x = exchange(caller, alias, Talk([user("hi"), assistant("Sure, here")]))
    assert [m["role"] for m in x.sent["messages"]] == ["user", "assistant", "user"], x.sent
    assert "Sure, here" in text_of(x.sent["messages"][1])


@pytest.mark.parametrize("caller", [c for c in CALLERS if c != "openai-chat"])
def test_reasoning_goes_back_to_the_host_that_gave_it(exchange, caller):
    skip_own(caller, "deepseek")
    x = exchange(caller, "deepseek", Talk([user("hi"), assistant(calls=[("c1", "f", {"id": "a"})], thinking="I must call it"),
                                           result("c1", "f", "1")], tools=["f"]))
    assert [m.get("reasoning_content") for m in x.sent["messages"] if m["role"] == "assistant"] == ["I must call it"]


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("alias", ["vllm", "llamacpp"])
def test_open_models_get_system_text_in_front(exchange, caller, alias):
    skip_own(caller, alias)
    x = exchange(caller, alias, Talk([user("hi"), assistant("yes"), system("Available agent types: x"), user("go on")],
                                     system="You are CC"))
    roles = [m["role"] for m in x.sent["messages"]]
    assert roles[0] == "system" and roles.count("system") == 1, x.sent
    assert "You are CC" in text_of(x.sent["messages"][0]) and text_of(x.sent).count("Available agent types: x") == 1


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("alias", ["deepseek", "moonshot"])
def test_thinking_switched_off_stays_off(exchange, caller, alias):
    skip_own(caller, alias)
    x = exchange(caller, alias, Talk([user("hi")], think=False))
    assert x.sent["thinking"] == {"type": "disabled"}, x.sent


@pytest.mark.parametrize("caller", ["openai-chat", "openai-responses", "anthropic-messages", "gemini"])
def test_what_a_model_refuses_it_refuses_at_every_host(exchange, caller):
    """Newer Claude models think by effort alone, and take no temperature."""
    sampling = ({"generationConfig": {"temperature": 0.5, "thinkingConfig": {"thinkingBudget": 4096}}} if caller == "gemini"
                else {"temperature": 0.5})
    x = exchange(caller, "aws-fable", Talk([user("hi")], think=True), **sampling)
    assert x.sent["additionalModelRequestFields"]["thinking"] == {"type": "adaptive"}, x.sent
    assert "temperature" not in x.sent.get("inferenceConfig", {}) and "temperature" in x.dropped


def call_back(wire):
    """An answer that calls the first tool by the name under which it was offered."""
    def openai(sent):
        return openai_answer({"content": None, "tool_calls": [{"id": "c9", "type": "function", "function": {
            "name": sent["tools"][0]["function"]["name"], "arguments": '{"id":"a"}'}}]}, "tool_calls")

    def anthropic(sent):
        return anthropic_answer({"type": "tool_use", "id": "c9", "name": sent["tools"][0]["name"], "input": {"id": "a"}}, stop="tool_use")

    def responses(sent):
        return {**TEXT[wire], "output": [{"type": "function_call", "id": "fc_1", "call_id": "c9", "status": "completed",
                                          "name": sent["tools"][0]["name"], "arguments": '{"id":"a"}'}]}

    def gemini(sent):
        name = sent["tools"][0]["functionDeclarations"][0]["name"]
        return {**TEXT[wire], "candidates": [{"index": 0, "finishReason": "STOP", "content": {"role": "model", "parts": [
            {"functionCall": {"name": name, "args": {"id": "a"}}}]}}]}

    def bedrock(sent):
        name = sent["toolConfig"]["tools"][0]["toolSpec"]["name"]
        return {**TEXT[wire], "stopReason": "tool_use", "output": {"message": {"role": "assistant", "content": [
            {"toolUse": {"toolUseId": "c9", "name": name, "input": {"id": "a"}}}]}}}
    return {"openai-chat": openai, "anthropic-messages": anthropic, "openai-responses": responses, "gemini": gemini,
            "bedrock-converse": bedrock}[wire]


@pytest.mark.parametrize("caller", [c for c in CALLERS if c != "bedrock-converse"])     # whose names are as short
@pytest.mark.parametrize("alias", ["openai", "responses", "aws-sonnet", "gemini"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_long_name_of_a_tool_is_shortened_and_comes_back(exchange, caller, alias, stream):
    wire = TARGETS[alias][1]
    skip_own(caller, alias)
    talk = Talk([user("hi"), assistant(calls=[("c1", LONG, {"id": "a"})]), result("c1", LONG, "none")], tools=[LONG], choice=LONG)
    x = exchange(caller, alias, talk, call_back(wire), stream)
    assert LONG not in text_of(x.sent) or wire == "gemini"      # which takes up to 128 since 2025
    names = set(re.findall(r'"(?:name)": "(mcp__[^"]*)"', text_of(x.sent)))
    assert len(names) == 1 and len(names.pop()) <= (128 if wire == "gemini" else 64), x.sent
    if caller != "bedrock-converse":
        assert [(c.name, c.arguments) for c in x.said.calls] == [(LONG, {"id": "a"})]


def parts_of(schema):
    yield schema
    for part in [*schema.get("properties", {}).values(), *schema.get("anyOf", []), *([schema["items"]] if "items" in schema else [])]:
        yield from parts_of(part)


LIMITED = {"type": "object", "required": ["age"], "properties": {
    "age": {"type": "integer", "minimum": 0, "maximum": 150}, "kind": {"oneOf": [{"type": "string"}, {"type": "null"}]},
    "tags": {"type": "array", "maxItems": 3, "items": {"type": "string", "minLength": 1}}}}
REFUSED = {"minimum", "maximum", "minLength", "maxItems", "oneOf"}


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("alias", ["sonnet", "aws-sonnet"])
def test_claude_gets_schemas_as_it_takes_them(exchange, caller, alias):
    skip_own(caller, alias)
    x = exchange(caller, alias, Talk([user("hi")], schema=LIMITED))
    schema = (x.sent["output_config"]["format"]["schema"] if alias == "sonnet" else
              json.loads(x.sent["outputConfig"]["textFormat"]["structure"]["jsonSchema"]["schema"]))
    for part in parts_of(schema):
        assert not REFUSED & set(part), part
        assert part.get("type") != "object" or part["additionalProperties"] is False
    assert "150" in schema["properties"]["age"]["description"] and schema["required"] == ["age"]


@pytest.mark.parametrize("alias", ["sonnet", "aws-sonnet", "gemini", "cohere", "ollama", "responses"])
def test_mistral_s_thinking_parts_in_a_history_are_no_text(exchange, alias):
    content = [{"type": "thinking", "thinking": [{"type": "text", "text": "SECRET"}]}, {"type": "text", "text": "yes"}]
    x = exchange("openai-chat", alias, Talk([]), messages=[
        {"role": "user", "content": "hi"}, {"role": "assistant", "content": content}, {"role": "user", "content": "go on"}])
    assert x.status == 200 and "yes" in text_of(x.sent)
    assert "SECRET" not in text_of(x.sent) or TARGETS[alias][1] in ("cohere-v2", "ollama"), x.sent    # which have thinking


# --- answers ---

def sse(*docs, done=True):
    body = "".join("data: " + json.dumps(d) + "\n\n" for d in docs) + ("data: [DONE]\n\n" if done else "")
    return http(body, "text/event-stream")


def events(*docs):
    return http("".join(f"event: {d['type']}\ndata: {json.dumps(d)}\n\n" for d in docs), "text/event-stream")


def lines(*docs):
    return http("".join(json.dumps(d) + "\n" for d in docs), "application/x-ndjson")


def http(body, kind):
    data = body.encode()
    return (f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(data)}\r\nConnection: close\r\n\r\n").encode() + data


def chunk(delta, finish=None):
    return {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [
        {"index": 0, "delta": delta, "finish_reason": finish}]}


def candidate(text, finish):
    return {"candidates": [{"content": {"role": "model", "parts": [{"text": text}]}, "finishReason": finish, "index": 0}]}


START = {"type": "message_start", "message": {**anthropic_answer(stop=None), "usage": {"input_tokens": 15, "output_tokens": 1}}}
WORDS = [{"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
         {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "abc"}},
         {"type": "content_block_stop", "index": 0}]


def ended(reason, **usage):
    return {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None}, "usage": {"output_tokens": 7, **usage}}


# Streams that say "null" where they mean null: whole, and cut before the reason came.
NULLS = {
    "openai": (sse(chunk({"role": "assistant", "content": ""}, "null"), chunk({"content": "abc"}, "null"), chunk({}, "length")),
               sse(chunk({"content": "abc"}, "null"), done=False)),
    "sonnet": (events(START, *WORDS, ended("null"), ended("max_tokens"), {"type": "message_stop"}),
               events(START, *WORDS, ended("null"))),
    "gemini": (sse(candidate("abc", "null"), candidate("", "MAX_TOKENS"), done=False), sse(candidate("abc", "null"), done=False)),
    "cohere": (events({"type": "message-start", "id": "c1", "delta": {"message": {"role": "assistant"}}},
                      {"type": "content-start", "index": 0, "delta": {"message": {"content": {"type": "text", "text": ""}}}},
                      {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": "abc"}}}},
                      {"type": "content-end", "index": 0}, {"type": "message-end", "delta": {"finish_reason": "MAX_TOKENS"}}),
               events({"type": "message-start", "id": "c1", "delta": {"message": {"role": "assistant"}}},
                      {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": "abc"}}}},
                      {"type": "message-end", "delta": {"finish_reason": "null"}})),
    "ollama": (lines({"model": "m", "message": {"role": "assistant", "content": "abc"}, "done": False, "done_reason": "null"},
                     {"model": "m", "message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "length"}),
               lines({"model": "m", "message": {"role": "assistant", "content": "abc"}, "done": False, "done_reason": "null"})),
}


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("alias", NULLS)
def test_the_text_null_is_no_reason_to_end(exchange, caller, alias):
    skip_own(caller, alias)
    whole, cut = NULLS[alias]
    said = exchange(caller, alias, Talk([user("hi")]), stream=True, raw=whole).said
    assert (said.text, said.finish, said.complete, said.error) == ("abc", "length", True, None)
    said = exchange(caller, alias, Talk([user("hi")]), stream=True, raw=cut).said
    assert said.error and not said.complete


@pytest.mark.parametrize("caller", [c for c in CALLERS if c != "anthropic-messages"])
def test_a_later_count_of_zero_is_no_correction_unless_cache_counts_stand_beside_it(exchange, caller):
    def usage(**late):
        raw = events(START, *WORDS, ended("end_turn", **late), {"type": "message_stop"})
        return exchange(caller, "sonnet", Talk([user("hi")]), stream=True, raw=raw).said.usage
    assert (usage(input_tokens=0)["prompt_tokens"], usage(input_tokens=0)["completion_tokens"]) == (15, 7)
    late = usage(input_tokens=0, cache_read_input_tokens=15)
    assert late["prompt_tokens"] == 15 and (caller == "ollama" or late["cached_tokens"] == 15)


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_failure_under_status_200_is_one(exchange, caller, stream):
    document = {"id": "x", "choices": None, "base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}}
    x = exchange(caller, "minimax", Talk([user("hi")]), document, stream)
    assert x.status >= 400 and "insufficient balance" in x.content.decode()
    assert x.headers["x-openclaw-error"] in ("insufficient_quota", "upstream_quota"), x.headers


@pytest.mark.parametrize("caller", [c for c in CALLERS if c != "openai-chat"])
def test_calls_that_only_their_names_tell_apart_are_two(exchange, caller):
    skip_own(caller, "openai")
    raw = sse(chunk({"tool_calls": [{"index": 0, "type": "function", "function": {"name": "get_weather", "arguments": '{"city":"Paris"}'}}]}),
              chunk({"tool_calls": [{"index": 0, "type": "function", "function": {"name": "get_time", "arguments": '{"city":"Rome"}'}}]}),
              chunk({}, "tool_calls"))
    said = exchange(caller, "openai", Talk([user("hi")], tools=["get_weather", "get_time"]), stream=True, raw=raw).said
    assert [(c.name, c.arguments) for c in said.calls] == [("get_weather", {"city": "Paris"}), ("get_time", {"city": "Rome"})]
    ids = [c.id for c in said.calls if c.id]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("alias", ["sonnet", "responses", "aws-sonnet", "gemini"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_callers_of_functions_get_a_function_call(exchange, alias, stream):
    x = exchange("openai-chat", alias, Talk([user("hi")]), call_back(TARGETS[alias][1]), stream,
                 functions=[{"name": "search", "parameters": {"type": "object", "properties": {"id": {"type": "string"}}}}],
                 function_call={"name": "search"})
    assert x.status == 200, x.content
    docs = [json.loads(l[6:]) for l in x.content.decode().splitlines() if l.startswith("data: {")] if stream else [json.loads(x.content)]
    messages = [c.get("delta") or c.get("message") or {} for d in docs for c in d["choices"]]
    parts = [m["function_call"] for m in messages if m.get("function_call")]
    assert "".join(p.get("name", "") for p in parts) == "search"
    assert json.loads("".join(p.get("arguments", "") for p in parts)) == {"id": "a"}
    assert not any("tool_calls" in m for m in messages)
    assert [c["finish_reason"] for d in docs for c in d["choices"] if c.get("finish_reason")] == ["function_call"]
