"""The official OpenAI client for Python against a simulated Anthropic provider."""
import asyncio
import json

import openai
import pytest

from lib.process import wait_until
from lib.sdk import ASK, PIXEL, PIXEL_URL, WEATHER_INPUT, Event, newest_request, openai_tool

WEATHER = openai_tool("get_weather", WEATHER_INPUT, description="The weather somewhere")
CLOCK = {"type": "function", "function": {"name": "get_time"}}
MODEL = "anthropic/mock"


@pytest.fixture(scope="module")
def mock(make_shared):
    return make_shared.mock("--strict")


@pytest.fixture(scope="module")
def gateway(make_shared, mock):
    return make_shared.gateway({"providers": {"anthropic": mock.provider("anthropic-messages"),
                                              "openai": mock.provider()}})


@pytest.fixture
def client(gateway):
    with gateway.openai() as client:
        yield client


def chat(client, model=MODEL, **more):
    return client.chat.completions.create(**{"model": model, "messages": ASK, **more})


def dropped(raw):
    return set(filter(None, raw.headers.get("x-openclaw-dropped", "").split(", ")))


# --- answers ---

def test_an_answer_has_its_text_and_usage(client, gateway):
    answer = chat(client, MODEL + ";cached=4;cache-write=3")
    assert answer.object == "chat.completion" and answer.created > 1700000000 and answer.id
    assert answer.choices[0].message.content and answer.choices[0].finish_reason == "stop"
    usage, line = answer.usage, gateway.access(answer._request_id)
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    assert (usage.prompt_tokens, usage.completion_tokens) == (line["tokens_input"], line["tokens_output"])
    assert usage.prompt_tokens_details.cached_tokens == line["tokens_cached"] == 4
    assert line["tokens_cache_write"] == 3


def test_a_stream_equals_a_whole_answer(client):
    whole = chat(client, MODEL + ";tokens=30").choices[0].message.content
    chunks = list(chat(client, MODEL + ";tokens=30", stream=True))
    assert len({c.id for c in chunks}) == len({c.created for c in chunks}) == 1
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == whole
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert all(c.usage is None and c.choices for c in chunks), "usage that nobody asked for"


def test_a_stream_with_usage_ends_with_it(client, gateway):
    with client.chat.completions.with_streaming_response.create(
            model=MODEL + ";tokens=9", messages=ASK, stream=True, stream_options={"include_usage": True}) as raw:
        request_id, chunks = raw.headers["x-request-id"], list(raw.parse())
    assert chunks[-1].choices == [] and chunks[-1].usage.completion_tokens == 9
    assert gateway.access(request_id)["tokens_output"] == 9


def test_emoji_and_all_scripts_arrive_unchanged(client):
    text = "Ünïcode 🍓 日本語 \u2028 \\u0041 \"quoted\" \t end \U0001f469\u200d\U0001f680"
    asking = {"model": MODEL + ";echo", "messages": [{"role": "user", "content": text}]}
    assert client.chat.completions.create(**asking).choices[0].message.content == text
    chunks = client.chat.completions.create(**asking, stream=True)
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == text


@pytest.mark.parametrize("word, reason", [("length", "length"), ("filter", "content_filter"), ("stop", "stop")])
def test_the_stop_reason_is_reported(client, word, reason):
    assert chat(client, f"{MODEL};finish={word}").choices[0].finish_reason == reason
    assert list(chat(client, f"{MODEL};finish={word}", stream=True))[-1].choices[0].finish_reason == reason


@pytest.mark.parametrize("limit", ["max_tokens", "max_completion_tokens"])
def test_a_limit_is_obeyed_and_there_is_a_default(client, mock, limit):
    answer = chat(client, MODEL + ";tokens=50", **{limit: 7})
    assert answer.choices[0].finish_reason == "length" and answer.usage.completion_tokens == 7
    chat(client, user="unlimited-1")
    assert newest_request(mock, "unlimited-1")["max_tokens"] == 4096
    chat(client, "anthropic/claude-haiku-4-5", user="unlimited-2")
    assert newest_request(mock, "unlimited-2")["max_tokens"] == 64000, "the model's own"


def test_the_conversation_is_reordered_for_the_provider(client, mock):
    messages = [{"role": "system", "content": "Be terse."}, {"role": "developer", "content": "Be kind."},
                {"role": "user", "content": "one"}, {"role": "user", "content": "two", "name": "ann"},
                {"role": "assistant", "content": ""}, {"role": "assistant", "content": "three"},
                {"role": "system", "content": "Be quick."},
                {"role": "user", "content": [{"type": "text", "text": "order-test"}]}]
    raw = client.chat.completions.with_raw_response.create(model=MODEL, messages=messages)
    sent = newest_request(mock, "order-test")
    assert [b["text"] for b in sent["system"]] == ["Be terse.", "Be kind.", "Be quick."]
    assert [(m["role"], [b["text"] for b in m["content"]]) for m in sent["messages"]] == \
        [("user", ["one", "two"]), ("assistant", ["three"]), ("user", ["order-test"])]
    assert dropped(raw) == {"messages.name"}


def test_sampling_parameters_are_adapted_to_the_provider(client, mock):
    chat(client, temperature=1.7, stop=["a", " "], user="sampling-1")
    sent = newest_request(mock, "sampling-1")
    assert (sent["temperature"], sent["stop_sequences"]) == (1, ["a"])
    raw = client.chat.completions.with_raw_response.create(model=MODEL, messages=ASK, temperature=0.25, top_p=0.5,
                                                           stop="end", user="sampling-2")
    sent = newest_request(mock, "sampling-2")
    assert sent["temperature"] == 0.25 and "top_p" not in sent and sent["stop_sequences"] == ["end"]
    assert dropped(raw) == {"top_p"}
    assert sent["metadata"] == {"user_id": "sampling-2"}


def test_unsupported_parameters_are_dropped_and_named(client, mock):
    raw = client.chat.completions.with_raw_response.create(
        model=MODEL, messages=ASK, logprobs=True, top_logprobs=2, seed=7, presence_penalty=0.5, frequency_penalty=0.5,
        logit_bias={"1": 5}, metadata={"a": "b"}, user="left-out", verbosity="low", store=True,
        extra_body={"brand_new": {"x": 1}, "frequency_penalty_2": None})
    answer = raw.parse()
    assert answer.choices[0].message.content and answer.choices[0].logprobs is None
    assert dropped(raw) >= {"logprobs", "top_logprobs", "seed", "presence_penalty", "frequency_penalty", "logit_bias",
                            "metadata", "verbosity", "store", "brand_new"}
    assert set(newest_request(mock, "left-out")) == {"model", "max_tokens", "messages", "metadata"}


def test_images_arrive(client, mock):
    content = [{"type": "text", "text": "What is this? image-test"},
               {"type": "image_url", "image_url": {"url": PIXEL_URL, "detail": "low"}},
               {"type": "image_url", "image_url": {"url": "https://images.example/cat.png"}}]
    assert chat(client, messages=[{"role": "user", "content": content}]).choices[0].message.content
    sent = newest_request(mock, "image-test")["messages"][0]["content"]
    assert sent[1]["source"] == {"type": "base64", "media_type": "image/png", "data": PIXEL}
    assert sent[2]["source"] == {"type": "url", "url": "https://images.example/cat.png"}


def test_an_image_s_bytes_override_its_declared_type(client, mock):
    content = [{"type": "text", "text": "What is this? liar-test"},
               {"type": "image_url", "image_url": {"url": PIXEL_URL.replace("image/png", "image/jpeg")}}]
    assert chat(client, messages=[{"role": "user", "content": content}]).choices
    assert newest_request(mock, "liar-test")["messages"][0]["content"][1]["source"]["media_type"] == "image/png"


# --- structured answers ---

def test_an_answer_by_schema_is_parsed(client, mock):
    answer = client.chat.completions.parse(model=MODEL, messages=ASK, response_format=Event, user="schema-test")
    assert isinstance(answer.choices[0].message.parsed, Event)
    form = newest_request(mock, "schema-test")["output_config"]["format"]
    assert form["type"] == "json_schema" and form["schema"]["additionalProperties"] is False
    with client.chat.completions.stream(model=MODEL, messages=ASK, response_format=Event) as stream:
        for _ in stream:
            pass
        assert isinstance(stream.get_final_completion().choices[0].message.parsed, Event)


def test_json_without_a_schema_is_requested_in_the_prompt(client, mock):
    chat(client, response_format={"type": "json_object"}, user="json-test")
    assert newest_request(mock, "json-test")["system"] == [{"type": "text", "text": "Answer with a single JSON object."}]


# --- tools ---

def test_parallel_calls_arrive_whole(client):
    choice = chat(client, "anthropic/tools-3", tools=[WEATHER, CLOCK]).choices[0]
    calls = choice.message.tool_calls
    assert choice.finish_reason == "tool_calls"
    assert [c.function.name for c in calls] == ["get_weather", "get_time", "get_weather"]
    assert set(json.loads(calls[0].function.arguments)) == {"city", "days"}
    assert calls[1].function.arguments == "{}"
    assert len({c.id for c in calls}) == 3


def test_streamed_call_fragments_fit_together(client):
    calls = {}
    for chunk in chat(client, "anthropic/tools-3", tools=[WEATHER, CLOCK], stream=True):
        for piece in chunk.choices[0].delta.tool_calls or []:
            call = calls.setdefault(piece.index, {"name": "", "arguments": [], "id": None})
            call["id"] = call["id"] or piece.id
            call["name"] += piece.function.name or ""
            call["arguments"].append(piece.function.arguments or "")
    assert [c["name"] for c in calls.values()] == ["get_weather", "get_time", "get_weather"]
    assert list(calls) == [0, 1, 2]
    assert set(json.loads("".join(calls[0]["arguments"]))) == {"city", "days"}
    assert "".join(calls[1]["arguments"]) == "{}"
    assert len(calls[0]["arguments"]) > 2 and len({c["id"] for c in calls.values()}) == 3


def test_tool_results_round_trip(client, mock):
    first = chat(client, "anthropic/tools-2", tools=[WEATHER, CLOCK]).choices[0].message
    one, two = first.tool_calls
    history = [*ASK, first.to_dict(),      # the results in another order than the calls
               {"role": "tool", "tool_call_id": two.id, "content": "round-trip noon"},
               {"role": "tool", "tool_call_id": one.id, "content": [{"type": "text", "text": "sunny"}]},
               {"role": "user", "content": "And now?"}]
    second = chat(client, messages=history, tools=[WEATHER, CLOCK])
    assert second.choices[0].finish_reason == "stop"
    sent = newest_request(mock, "round-trip")["messages"]
    assert [(b["type"], b["id"], b["input"]) for b in sent[1]["content"] if b["type"] == "tool_use"] == \
        [("tool_use", one.id, json.loads(one.function.arguments)), ("tool_use", two.id, {})]
    assert [(b["type"], b.get("tool_use_id")) for b in sent[2]["content"]] == \
        [("tool_result", one.id), ("tool_result", two.id), ("text", None)]
    assert len(sent) == 3


def test_a_history_truncated_within_a_call_is_repaired(client, mock):
    """No result for a call, a result for no call, ids that the provider would refuse."""
    call = {"id": "functions.get_time:0", "type": "function", "function": {"name": "get_time", "arguments": ""}}
    history = [{"role": "tool", "tool_call_id": "gone", "content": "cut-test"},
               {"role": "assistant", "content": None, "tool_calls": [call, {**call, "id": "unanswered"}]},
               {"role": "tool", "tool_call_id": call["id"], "content": "noon"}]
    assert chat(client, messages=history).choices[0].message.content
    sent = newest_request(mock, "cut-test")
    orphan, said, results = sent["messages"]
    assert orphan["role"] == "user" and "cut-test" in orphan["content"][-1]["text"]
    assert [b["tool_use_id"] for b in results["content"]] == [b["id"] for b in said["content"]]
    assert results["content"][1]["is_error"] is True
    assert [t["name"] for t in sent["tools"]] == ["get_time"] and sent["tool_choice"] == {"type": "none"}


@pytest.mark.parametrize("choice, sent_as, called", [
    ("auto", {"type": "auto"}, None), ("none", {"type": "none"}, None),
    ("required", {"type": "any"}, {"get_weather"}),
    ({"type": "function", "function": {"name": "get_time"}}, {"type": "tool", "name": "get_time"}, {"get_time"}),
])
@pytest.mark.parametrize("parallel", [True, False])
def test_tool_choice_is_kept(client, mock, choice, sent_as, called, parallel):
    answer = chat(client, tools=[WEATHER, CLOCK], tool_choice=choice, parallel_tool_calls=parallel, user="choice-test")
    calls = answer.choices[0].message.tool_calls or []
    assert {c.function.name for c in calls} == (called or set())
    if not parallel and choice != "none":
        sent_as = {**sent_as, "disable_parallel_tool_use": True}
    assert newest_request(mock, "choice-test")["tool_choice"] == sent_as


# --- thinking ---

def test_signed_thinking_round_trips(client, mock):
    """As a caller got it, whole or in pieces, it goes back, and reaches the provider with the same signature."""
    model = MODEL + ";reasoning=9;tokens=6"
    whole = chat(client, model, reasoning_effort="low", max_tokens=4000).choices[0].message.to_dict()
    details = whole["reasoning_details"]
    assert whole["reasoning_content"] == details[0]["text"] and details[0]["signature"]

    pieces, text, content = [], "", ""
    for chunk in chat(client, model, reasoning_effort="low", max_tokens=4000, stream=True):
        delta = chunk.choices[0].delta.to_dict()
        pieces += delta.get("reasoning_details", [])
        text += delta.get("reasoning_content", "")
        content += delta.get("content") or ""
    assert (text, content) == (whole["reasoning_content"], whole["content"])
    streamed = {"role": "assistant", "content": content, "reasoning_content": text, "reasoning_details": pieces}

    for said in (whole, streamed):
        history = [*ASK, said, {"role": "user", "content": "go on, proof-test"}]
        chat(client, messages=history, reasoning_effort="low", max_tokens=4000)
        assert newest_request(mock, "proof-test")["messages"][1]["content"] == [
            {"type": "thinking", "thinking": text, "signature": details[0]["signature"]},
            {"type": "text", "text": content}]


def test_signed_thinking_survives_a_tool_call(client, mock):
    message = chat(client, MODEL + ";reasoning=5;tools=1", tools=[CLOCK], reasoning_effort="low",
                   max_tokens=4000).choices[0].message.to_dict()
    history = [*ASK, message, {"role": "tool", "tool_call_id": message["tool_calls"][0]["id"], "content": "loop-test"}]
    chat(client, messages=history, tools=[CLOCK], reasoning_effort="low", max_tokens=4000)
    sent = newest_request(mock, "loop-test")
    thinking = sent["messages"][1]["content"][0]
    assert thinking["signature"] == message["reasoning_details"][0]["signature"]
    assert sent["thinking"]["type"] == "enabled", "the loop still begins with its thoughts"
    del message["reasoning_details"]
    chat(client, messages=history, tools=[CLOCK], reasoning_effort="low", max_tokens=4000)
    sent = newest_request(mock, "loop-test")
    assert sent["messages"][1]["content"][0] == thinking, "the gateway remembers what a client does not keep"
    assert sent["thinking"]["type"] == "enabled"
    call = message["tool_calls"][0]
    call["id"] = history[-1]["tool_call_id"] = "call_of_nobody"
    call["function"]["arguments"] = '{"said": "by nobody"}'
    message["content"] = "Nobody said this."
    chat(client, messages=history, tools=[CLOCK], reasoning_effort="low", max_tokens=4000)
    sent = newest_request(mock, "loop-test")
    assert [block["type"] for block in sent["messages"][1]["content"]] == ["text", "tool_use"]
    assert "thinking" not in sent, "without them the provider would refuse to think"


def test_thinking_of_another_provider_is_not_forwarded(client, mock):
    thought = chat(client, "openai/mock;reasoning=7;tokens=4").choices[0].message.to_dict()
    assert thought["reasoning_content"]
    details = [{"type": "reasoning.encrypted", "data": "c2VjcmV0", "format": "openai-responses-v1", "index": 0},
               {"type": "reasoning.text", "text": "hm", "signature": "Zm9yZWlnbg==", "format": "google-gemini-v1"}]
    for said in (thought, {**thought, "reasoning_details": details}):
        history = [*ASK, said, {"role": "user", "content": "go on, foreign-test"}]
        chat(client, messages=history)
        assert newest_request(mock, "foreign-test")["messages"][1]["content"] == [{"type": "text", "text": thought["content"]}]


@pytest.mark.parametrize("model, effort, expected", [
    ("mock", "low", {"thinking": {"type": "enabled", "budget_tokens": 1536}}),
    ("mock", "none", {}),
    ("claude-haiku-4-5", "high", {"thinking": {"type": "enabled"}}),
    ("claude-opus-4-6", "medium", {"thinking": {"type": "adaptive"}, "output_config": {"effort": "medium"}}),
    ("claude-opus-4-7", "xhigh", {"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}}),
])
def test_effort_is_mapped_to_what_the_model_accepts(client, mock, model, effort, expected):
    raw = client.chat.completions.with_raw_response.create(model=f"anthropic/{model}", messages=ASK, temperature=0.5,
                                                           reasoning_effort=effort, user="effort-test")
    sent = newest_request(mock, "effort-test")
    for key in ("thinking", "output_config"):
        assert (key in sent) == (key in expected)
        assert expected.get(key, {}).items() <= sent.get(key, {}).items()
    assert ("temperature" in sent) == ("temperature" not in dropped(raw)) == ("thinking" not in expected)
    if expected.get("thinking", {}).get("type") == "enabled":
        assert 1024 <= sent["thinking"]["budget_tokens"] < sent["max_tokens"]


# --- refused ---

def test_several_choices_are_refused(client, mock):
    before = mock.stats()["requests"]
    with pytest.raises(openai.BadRequestError) as e:
        chat(client, n=2)
    assert (e.value.param, e.value.code) == ("n", "unsupported_parameter") and "one choice" in e.value.message
    assert chat(client, n=1).choices
    assert mock.stats()["requests"] == before + 1


def test_unsupported_features_are_refused_clearly(client):
    with pytest.raises(openai.BadRequestError) as e:
        client.embeddings.create(model=MODEL, input="x")
    assert "anthropic" in e.value.message and "embeddings" in e.value.message
    with pytest.raises(openai.BadRequestError):
        client.completions.create(model=MODEL, prompt="x")
    with pytest.raises(openai.BadRequestError) as e:
        client.moderations.create(model=MODEL, input="x")
    assert "anthropic" in e.value.message


@pytest.mark.parametrize("part, word", [
    ({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}, "audio"),
    ({"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}, "URL"),
    ({"type": "image_url", "image_url": {"url": "data:image/tiff;base64,SUkqAAAA"}}, "JPEG, PNG, GIF or WebP"),
])
def test_media_that_cannot_be_sent_is_refused_clearly(client, part, word):
    with pytest.raises(openai.BadRequestError) as e:
        chat(client, messages=[{"role": "user", "content": [part]}])
    assert e.value.param.startswith("messages") and word in e.value.message


# --- errors ---

@pytest.mark.parametrize("fault, status, error, code", [
    ("400", 400, openai.BadRequestError, None),
    ("context", 400, openai.BadRequestError, "context_length_exceeded"),
    ("401", 502, openai.InternalServerError, "upstream_auth"),
    ("403", 502, openai.InternalServerError, "upstream_forbidden"),
    ("404", 404, openai.NotFoundError, "model_not_found"),
    ("413", 413, openai.APIStatusError, "request_too_large"),
    ("429", 429, openai.RateLimitError, "rate_limit_exceeded"),
    ("quota", 429, openai.RateLimitError, "insufficient_quota"),
    ("500", 502, openai.InternalServerError, "upstream_error"),
    ("529", 503, openai.InternalServerError, "overloaded"),
    ("504", 504, openai.InternalServerError, "timeout"),
    ("reset-before", 502, openai.InternalServerError, "upstream_reset"),
])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_provider_s_failure_is_the_right_exception(client, gateway, fault, status, error, code, stream):
    with pytest.raises(error) as e:
        chat(client, f"{MODEL};fault={fault};retry-after=7", stream=stream)
    assert (e.value.status_code, e.value.code) == (status, code)
    assert set(e.value.body) >= {"message", "type", "param", "code"}
    if fault in ("429", "529"):
        assert e.value.response.headers["retry-after"] == "7"
    if fault == "quota":
        assert e.value.response.headers["x-should-retry"] == "false"
    assert gateway.access_of(e.value.response)["status"] == status


@pytest.mark.parametrize("fault", ["error-mid", "reset-mid", "truncated", "malformed", "no-done"])
def test_a_stream_that_breaks_raises(client, gateway, fault):
    text = ""
    with pytest.raises(openai.APIError) as e:
        for chunk in chat(client, f"{MODEL};tokens=40;after=8;tps=400;fault={fault}", stream=True):
            text += chunk.choices[0].delta.content or ""
    assert text and e.value.body["message"] and e.value.body["type"]


def test_closing_a_stream_cancels_it(gateway, mock):
    before = mock.stats()["aborted"]
    with gateway.openai().chat.completions.with_streaming_response.create(
            model=MODEL + ";tokens=100000;tps=200", messages=ASK, stream=True, max_tokens=200000) as response:
        request_id = response.headers["x-request-id"]
        chunks = response.parse()
        for _ in range(20):
            next(chunks)
    wait_until(lambda: mock.stats()["aborted"] > before, "the provider to notice")
    line = gateway.access(request_id)
    assert line["client_abort"] is True and line["tokens_input"] > 0 and 5 < line["tokens_output"] < 2000


def test_many_async_streams_do_not_mix(gateway):
    async def one(client, number):
        stream = await client.chat.completions.create(
            model=MODEL + ";echo;tps=300;event-tokens=1", stream=True,
            messages=[{"role": "user", "content": f"number {number} of forty, and some more words"}])
        return "".join([c.choices[0].delta.content or "" async for c in stream if c.choices])

    async def all_of_them():
        async with gateway.openai_async() as client:
            return await asyncio.gather(*[one(client, i) for i in range(40)])

    assert asyncio.run(all_of_them()) == [f"number {i} of forty, and some more words" for i in range(40)]
