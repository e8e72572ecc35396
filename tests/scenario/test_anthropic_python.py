"""The official Anthropic client for Python, as applications use it, against simulated providers of both protocols."""
import asyncio
import base64
import json

import anthropic
import pytest

from lib.process import canary, wait_until
from lib.sdk import ASK, NO_INPUT, PIXEL, PIXEL_URL, WEATHER_INPUT, Event, newest_request

WEATHER = {"name": "get_weather", "description": "The weather somewhere", "input_schema": WEATHER_INPUT}
CLOCK = {"name": "get_time", "input_schema": NO_INPUT}


@pytest.fixture(scope="module")
def mock(make_shared):
    return make_shared.mock()


@pytest.fixture(scope="module")
def limited_key():
    return canary("client")


@pytest.fixture(scope="module")
def gateway(make_shared, mock, limited_key):
    key = canary("client")
    gateway = make_shared.gateway({
        "server": {"limits": {"body": "1MB"}},
        "auth": {"keys": [{"name": "tester", "key": key},
                          {"name": "limited", "key": limited_key, "models": ["quick"]}]},
        "providers": {"anthropic": mock.provider("anthropic-messages", models=["one", "two", "three"]),
                      "openai": mock.provider(models=["four"])},
        "models": {"quick": {"targets": ["openai/mock-gpt"]}},
    })
    gateway.key = key
    return gateway


@pytest.fixture
def client(gateway):
    with gateway.anthropic() as client:
        yield client


@pytest.fixture(params=["anthropic", "openai"])
def provider(request):
    """The provider's protocol; the client's is the same in all of these tests."""
    return request.param


def ask(client, model, **more):
    return client.messages.create(**{"model": model, "max_tokens": 1000, "messages": ASK, **more})


# --- answers ---

def test_an_answer_has_its_text_and_usage(client, gateway, provider):
    answer = ask(client, f"{provider}/mock;cached=4")
    assert (answer.type, answer.role, answer.stop_reason) == ("message", "assistant", "end_turn")
    assert answer.id.startswith("msg_") and answer.model == "mock;cached=4"
    assert [b.type for b in answer.content] == ["text"] and answer.content[0].text
    line = gateway.access(answer._request_id)
    usage = answer.usage
    assert usage.cache_read_input_tokens == line["tokens_cached"] == 4
    assert usage.input_tokens + 4 == line["tokens_input"] and usage.output_tokens == line["tokens_output"] > 0
    assert (line["endpoint"], line["provider"]) == ("messages", provider)


def test_a_raw_stream_equals_a_whole_answer(client, gateway, provider):
    whole = ask(client, f"{provider}/mock;tokens=30")
    events = list(ask(client, f"{provider}/mock;tokens=30", stream=True))
    kinds = [e.type for e in events if e.type != "ping"]
    assert kinds[:2] == ["message_start", "content_block_start"]
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert kinds.count("content_block_delta") > 20
    assert "".join(e.delta.text for e in events if e.type == "content_block_delta") == whole.content[0].text
    last = next(e for e in events if e.type == "message_delta")
    assert (last.usage.output_tokens, last.delta.stop_reason) == (30, "end_turn")


def test_the_stream_helper_accumulates(client, gateway, provider):
    whole = ask(client, f"{provider}/mock;tokens=12")
    with client.messages.stream(model=f"{provider}/mock;tokens=12", max_tokens=1000, messages=ASK) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text == final.content[0].text == whole.content[0].text
    assert (final.usage.input_tokens, final.usage.output_tokens) == (whole.usage.input_tokens, 12)
    assert final.stop_reason == "end_turn"


def test_emoji_and_all_scripts_arrive_unchanged(client, provider):
    text = "Ünïcode 🍓 日本語 \u2028 \\u0041 \"quoted\" \t end \U0001f469\u200d\U0001f680"
    asking = {"model": f"{provider}/mock;echo", "messages": [{"role": "user", "content": text}], "max_tokens": 500}
    assert client.messages.create(**asking).content[0].text == text
    with client.messages.stream(**asking) as stream:
        assert stream.get_final_text() == text


@pytest.mark.parametrize("word, reason", [("length", "max_tokens"), ("filter", "refusal"), ("stop", "end_turn")])
def test_the_stop_reason_is_reported(client, provider, word, reason):
    model = f"{provider}/mock;finish={word}"
    assert ask(client, model).stop_reason == reason
    with client.messages.stream(model=model, max_tokens=100, messages=ASK) as stream:
        assert stream.get_final_message().stop_reason == reason


def test_a_token_limit_is_obeyed(client, provider):
    answer = ask(client, f"{provider}/mock;tokens=50", max_tokens=7)
    assert (answer.stop_reason, answer.usage.output_tokens) == ("max_tokens", 7)


def test_stop_sequences_are_forwarded(client, mock, provider):
    answer = ask(client, f"{provider}/mock;echo", stop_sequences=["STOP-3141"],
                 messages=[{"role": "user", "content": "one two STOP-3141 three"}])
    sent = newest_request(mock, "STOP-3141")
    assert sent["stop_sequences" if provider == "anthropic" else "stop"] == ["STOP-3141"]
    assert answer.content[0].text.startswith("one two") and "three" not in answer.content[0].text
    if provider == "anthropic":      # the other protocol does not tell
        assert (answer.stop_reason, answer.stop_sequence) == ("stop_sequence", "STOP-3141")


def test_system_text_arrives_with_its_cache_control(client, mock, provider):
    system = [{"type": "text", "text": "Be terse, system-test."},
              {"type": "text", "text": "Be kind.", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]
    assert ask(client, f"{provider}/mock", system=system).content[0].text
    sent = newest_request(mock, "system-test")
    if provider == "anthropic":
        assert sent["system"] == system
    else:
        assert sent["messages"][0] == {"role": "system", "content": "Be terse, system-test.\nBe kind."}


def test_images_arrive(client, mock, provider):
    content = [{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}},
               {"type": "image", "source": {"type": "url", "url": "https://images.example/cat.png"}},
               {"type": "text", "text": "What is this? picture-test"}]
    assert ask(client, f"{provider}/mock", messages=[{"role": "user", "content": content}]).content[0].text
    sent = newest_request(mock, "picture-test")["messages"][0]["content"]
    if provider == "anthropic":
        assert sent == content
    else:
        assert [p["image_url"]["url"] for p in sent[:2]] == [PIXEL_URL, "https://images.example/cat.png"]
        assert sent[2] == {"type": "text", "text": "What is this? picture-test"}


def test_an_answer_by_schema_is_parsed(client, mock, provider):
    answer = client.messages.parse(model=f"{provider}/mock", max_tokens=500, messages=ASK, output_format=Event)
    assert isinstance(answer.parsed_output, Event)
    sent = newest_request(mock, '"guests"')
    schema = sent["response_format"]["json_schema"]["schema"] if provider == "openai" else \
        (sent.get("output_format") or sent["output_config"]["format"])["schema"]
    assert set(schema["properties"]) == {"title", "day", "guests"}


# --- tools ---

def check_calls(message):
    calls = [b for b in message.content if b.type == "tool_use"]
    assert message.stop_reason == "tool_use"
    assert [c.name for c in calls] == ["get_weather", "get_time", "get_weather"]
    assert set(calls[0].input) == {"city", "days"} and isinstance(calls[0].input["days"], int)
    assert calls[1].input == {}
    assert len({c.id for c in calls}) == 3
    return calls


def test_parallel_calls_arrive_whole(client, provider):
    check_calls(ask(client, f"{provider}/tools-3", tools=[WEATHER, CLOCK]))


def test_streamed_call_fragments_fit_together(client, provider):
    with client.messages.stream(model=f"{provider}/tools-3", max_tokens=1000, messages=ASK,
                                tools=[WEATHER, CLOCK]) as stream:
        fragments = [e.partial_json for e in stream if e.type == "input_json"]
        check_calls(stream.get_final_message())
    assert len(fragments) > 3


def test_tool_results_round_trip(client, mock, provider):
    first = ask(client, f"{provider}/tools-3", tools=[WEATHER, CLOCK])
    calls = check_calls(first)
    results = [{"type": "tool_result", "tool_use_id": calls[0].id, "content": "round-trip sunny"},
               {"type": "tool_result", "tool_use_id": calls[1].id, "is_error": True,
                "content": [{"type": "text", "text": "no clock"}]},
               {"type": "tool_result", "tool_use_id": calls[2].id,
                "content": [{"type": "text", "text": "rainy"},
                            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}]}]
    history = [*ASK, {"role": "assistant", "content": [b.to_dict() for b in first.content]},
               {"role": "user", "content": [*results, {"type": "text", "text": "And now?"}]}]
    second = ask(client, f"{provider}/mock", messages=history, tools=[WEATHER, CLOCK])
    assert second.stop_reason == "end_turn" and second.content[0].text
    sent = newest_request(mock, "round-trip")["messages"]
    if provider == "anthropic":
        assert sent == history
        return
    said, one, two, three, user = sent[1:]
    assert [(c["id"], c["function"]["name"]) for c in said["tool_calls"]] == [(c.id, c.name) for c in calls]
    assert [json.loads(c["function"]["arguments"]) for c in said["tool_calls"]] == [c.input for c in calls]
    assert [(m["role"], m["tool_call_id"], m["content"]) for m in (one, two, three)] == \
        [("tool", calls[0].id, "round-trip sunny"), ("tool", calls[1].id, "no clock"), ("tool", calls[2].id, "rainy")]
    assert user["role"] == "user" and [p["type"] for p in user["content"]] == ["image_url", "text"]


@pytest.mark.parametrize("choice, word", [
    ({"type": "auto"}, "auto"), ({"type": "any"}, "required"), ({"type": "none"}, "none"),
    ({"type": "tool", "name": "get_time"}, {"type": "function", "function": {"name": "get_time"}}),
    ({"type": "any", "disable_parallel_tool_use": True}, "required"),
])
def test_tool_choice_is_kept(client, mock, provider, choice, word):
    answer = ask(client, f"{provider}/mock;strict", tools=[WEATHER, CLOCK], tool_choice=choice,
                 system="choice-test")
    sent = newest_request(mock, "choice-test")
    called = [b.name for b in answer.content if b.type == "tool_use"]
    assert bool(called) == (choice["type"] in ("any", "tool"))
    if choice["type"] == "tool":
        assert set(called) == {"get_time"}
    if provider == "anthropic":
        assert sent["tool_choice"] == choice
    else:
        assert sent["tool_choice"] == word
        assert sent.get("parallel_tool_calls", True) is not choice.get("disable_parallel_tool_use", False)


# --- thinking ---

def test_thinking_and_its_signature_round_trip(client, mock, provider):
    thinking = {"type": "enabled", "budget_tokens": 2000}
    asking = {"model": f"{provider}/mock;reasoning=9;tokens=6", "max_tokens": 4000, "messages": ASK,
              "thinking": thinking}
    whole = client.messages.create(**asking)
    with client.messages.stream(**asking) as stream:
        streamed = stream.get_final_message()
    for answer in (whole, streamed):
        assert [b.type for b in answer.content] == ["thinking", "text"]
        assert answer.content[0].thinking == whole.content[0].thinking
        assert bool(answer.content[0].signature) == (provider == "anthropic")
    history = [*ASK, {"role": "assistant", "content": [b.to_dict() for b in streamed.content]},
               {"role": "user", "content": "go on, thinking-test"}]
    assert client.messages.create(**{**asking, "messages": history}).content
    sent = newest_request(mock, "thinking-test")
    if provider == "anthropic":
        assert sent["messages"] == history and sent["thinking"] == thinking
    else:
        assert sent["messages"][1] == {"role": "assistant", "content": streamed.content[1].text}


@pytest.mark.parametrize("thinking, output, effort", [
    ({"type": "enabled", "budget_tokens": 1024}, {}, "low"),
    ({"type": "enabled", "budget_tokens": 20000}, {}, "high"),
    ({"type": "adaptive"}, {"output_config": {"effort": "medium"}}, "medium"),
    ({"type": "disabled"}, {}, None),
])
def test_a_budget_becomes_an_effort(client, mock, thinking, output, effort):
    answer = ask(client, "openai/gpt-5.1", thinking=thinking, max_tokens=32000, system="budget-test", **output)
    assert answer.content[0].text
    sent = newest_request(mock, "budget-test")
    assert sent.get("reasoning_effort") == effort
    assert "thinking" not in sent and "output_config" not in sent and sent["max_completion_tokens"] == 32000


def test_a_model_that_does_not_think_is_not_asked_to(client, mock):
    raw = client.messages.with_raw_response.create(
        model="openai/mock-plain", max_tokens=3000, system="plain-test", messages=ASK,
        thinking={"type": "enabled", "budget_tokens": 2000}, extra_body={"top_k": 5})
    assert "reasoning_effort" not in newest_request(mock, "plain-test")
    assert set(raw.headers["x-openclaw-dropped"].split(", ")) == {"thinking", "top_k"}


# --- counting and listing ---

def test_tokens_are_counted_without_an_answer(client, gateway, mock, provider):
    before = mock.stats()["requests"]
    raw = client.messages.with_raw_response.count_tokens(model=f"{provider}/mock", messages=ASK, tools=[WEATHER],
                                                         system="some more words")
    counted = raw.parse()
    assert 10 < counted.input_tokens < 400
    assert mock.stats()["requests"] - before == (1 if provider == "anthropic" else 0)
    more = client.messages.count_tokens(model=f"{provider}/mock", messages=[{"role": "user", "content": "word " * 900}])
    assert 600 < more.input_tokens < 2000
    assert gateway.access_of(raw)["endpoint"] == "count_tokens"


def test_models_are_listed_by_page_and_found(client):
    every = [m.id for m in client.models.list(limit=2)]
    assert every[0] == "quick" and {"anthropic/one", "anthropic/three", "openai/four"} <= set(every)
    assert len(every) == len(set(every))
    page = client.models.list(limit=2)
    assert len(page.data) == 2 and page.has_more and page.last_id == every[1]
    assert [m.id for m in client.models.list(limit=2, after_id=page.last_id).data] == every[2:4]
    found = client.models.retrieve("anthropic/anything")
    assert (found.id, found.type) == ("anthropic/anything", "model") and found.created_at.year > 2000
    with pytest.raises(anthropic.NotFoundError) as e:
        client.models.retrieve("nowhere/anything")
    assert e.value.type == "not_found_error" and e.value.request_id


def test_models_are_listed_backwards(client):
    every = [m.id for m in client.models.list()]
    page = client.models.list(limit=2, before_id=every[3])
    assert [m.id for m in page.data] == every[1:3] and page.has_more
    assert [m.id for m in client.models.list(limit=5, before_id=every[1]).data] == every[:1]


# --- errors ---

@pytest.mark.parametrize("fault, status, error, kind", [
    ("400", 400, anthropic.BadRequestError, "invalid_request_error"),
    ("context", 400, anthropic.BadRequestError, "invalid_request_error"),
    ("401", 502, anthropic.InternalServerError, "api_error"),        # the gateway's own key, not the caller's
    ("403", 502, anthropic.InternalServerError, "api_error"),
    ("404", 404, anthropic.NotFoundError, "not_found_error"),
    ("413", 413, anthropic.ContentTooLargeError, "request_too_large"),
    ("429", 429, anthropic.RateLimitError, "rate_limit_error"),
    ("quota", 429, anthropic.RateLimitError, "rate_limit_error"),
    ("500", 502, anthropic.InternalServerError, "api_error"),
    ("503", 529, anthropic.OverloadedError, "overloaded_error"),
    ("529", 529, anthropic.OverloadedError, "overloaded_error"),
    ("504", 504, anthropic.GatewayTimeoutError, "timeout_error"),
    ("reset-before", 502, anthropic.InternalServerError, "api_error"),
    ("html", 502, anthropic.InternalServerError, "api_error"),
    ("empty", 502, anthropic.InternalServerError, "api_error"),
])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_provider_s_failure_is_the_right_exception(client, gateway, provider, fault, status, error, kind, stream):
    with pytest.raises(error) as e:
        ask(client, f"{provider}/mock;fault={fault};retry-after=7", stream=stream)
    assert (e.value.status_code, e.value.type) == (status, kind)
    assert e.value.api_message and e.value.request_id == e.value.response.headers["x-request-id"]
    assert e.value.body["request_id"] == e.value.request_id
    if fault == "quota":
        assert e.value.response.headers["x-should-retry"] == "false"
    elif status == 429 or fault in ("503", "529"):
        assert e.value.response.headers["retry-after"] == "7"
    assert gateway.access(e.value.request_id)["status"] == status


def test_a_wrong_key_is_an_authentication_error(gateway):
    for options in ({"api_key": "wrong"}, {"api_key": None, "auth_token": "wrong"}):
        with pytest.raises(anthropic.AuthenticationError) as e:
            ask(gateway.anthropic(**options), "openai/mock")
        assert e.value.type == "authentication_error" and "wrong" not in e.value.api_message


def test_a_bearer_token_is_accepted_as_a_key(gateway):
    client = gateway.anthropic(api_key=None, auth_token=gateway.key)
    assert ask(client, "anthropic/mock").content[0].text


def test_a_model_that_the_key_may_not_use_is_a_permission_error(gateway, limited_key):
    client = gateway.anthropic(api_key=limited_key)
    assert ask(client, "quick").content
    with pytest.raises(anthropic.PermissionDeniedError) as e:
        ask(client, "anthropic/one")
    assert e.value.type == "permission_error"
    assert [m.id for m in client.models.list()] == ["quick"]


def test_an_unknown_model_is_a_not_found_error(client):
    with pytest.raises(anthropic.NotFoundError) as e:
        ask(client, "nowhere/model")
    assert e.value.type == "not_found_error"


def test_a_body_that_is_too_large_has_its_own_error(client):
    with pytest.raises(anthropic.ContentTooLargeError) as e:
        ask(client, "anthropic/mock", messages=[{"role": "user", "content": "x" * 1200000}])
    assert e.value.type == "request_too_large"


@pytest.mark.parametrize("wrong, path", [
    ({"messages": []}, "messages"),
    ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role"),
    ({"messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "x"}}]}]},
     "messages[0].content[0].source"),
    ({"tool_choice": {"type": "sometimes"}, "tools": [CLOCK]}, "tool_choice.type"),
])
def test_a_bad_request_names_the_parameter(client, wrong, path):
    with pytest.raises(anthropic.BadRequestError) as e:
        ask(client, "openai/mock", **wrong)
    assert e.value.type == "invalid_request_error" and path in e.value.api_message


# --- streams that break ---

@pytest.mark.parametrize("fault, kind", [
    ("error-mid", None), ("reset-mid", "api_error"), ("truncated", "api_error"), ("malformed", "api_error")])
def test_a_stream_that_breaks_raises(client, gateway, provider, fault, kind):
    text = ""
    with pytest.raises(anthropic.APIStatusError) as e:
        with client.messages.stream(model=f"{provider}/mock;tokens=40;after=8;tps=400;fault={fault}", max_tokens=100,
                                    messages=ASK) as stream:
            request_id = stream.response.headers["x-request-id"]
            for piece in stream.text_stream:
                text += piece
    assert text, "what came before belongs to the caller"
    assert e.value.type == kind if kind else e.value.type in ("overloaded_error", "api_error")
    line = gateway.access(request_id)
    assert line["error"] and line["status"] == 200


def test_an_error_instead_of_the_first_event_is_a_status(client, provider):
    with pytest.raises(anthropic.APIStatusError) as e:
        ask(client, f"{provider}/mock;fault=error-first", stream=True)
    assert e.value.status_code >= 400 and e.value.type


def test_a_stream_without_its_terminator(client, provider):
    """[DONE] may be left out behind a finish reason; message_stop may not."""
    with client.messages.stream(model=f"{provider}/mock;tokens=5;fault=no-done", max_tokens=100,
                                messages=ASK) as stream:
        if provider == "openai":
            assert stream.get_final_message().stop_reason == "end_turn"
        else:
            with pytest.raises(anthropic.APIStatusError):
                stream.get_final_message()


def test_closing_a_stream_cancels_it_and_counts_its_tokens(gateway, mock, provider):
    before = mock.stats()["aborted"]
    with gateway.anthropic().messages.stream(model=f"{provider}/mock;tokens=100000;tps=200", max_tokens=200000,
                                             messages=ASK) as stream:
        request_id = stream.response.headers["x-request-id"]
        for count, _ in enumerate(stream.text_stream):
            if count == 20:
                break
    wait_until(lambda: mock.stats()["aborted"] > before, "the provider to notice")
    line = gateway.access(request_id)
    assert line["client_abort"] is True and line["error"] == "client_gone"
    assert line["tokens_input"] > 0 and 5 < line["tokens_output"] < 2000


def test_the_sdk_waits_for_the_given_time(make, provider):
    """Two 529s with Retry-After: 1, then an answer."""
    wire = {"anthropic": "anthropic-messages", "openai": "openai-chat"}[provider]

    def handler(conn):
        if len(upstream.requests) < 3:
            conn.answer(529, {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
                        fields=[("Retry-After", "1")])
        elif provider == "anthropic":
            conn.answer(200, {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_sequence": None,
                              "content": [{"type": "text", "text": "at last"}], "stop_reason": "end_turn",
                              "usage": {"input_tokens": 1, "output_tokens": 2}})
        else:
            conn.answer(200, {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [
                {"index": 0, "message": {"role": "assistant", "content": "at last"}, "finish_reason": "stop"}]})
    upstream = make.upstream(handler)
    gateway = make.gateway({"providers": {"lab": upstream.provider(wire)}})
    answer = ask(gateway.anthropic(max_retries=3), "lab/x")
    assert answer.content[0].text == "at last"
    assert [line["status"] for line in gateway.access_log()][:2] == [529, 529]


# --- async, betas ---

def test_the_async_client_works_like_the_sync_client(gateway, provider):
    async def everything():
        async with gateway.anthropic_async() as client:
            answer = await ask(client, f"{provider}/tools-3", tools=[WEATHER, CLOCK])
            check_calls(answer)
            async with client.messages.stream(model=f"{provider}/mock;tokens=9", max_tokens=100,
                                              messages=ASK) as stream:
                text = "".join([piece async for piece in stream.text_stream])
                assert text == (await stream.get_final_message()).content[0].text
            assert (await client.messages.count_tokens(model=f"{provider}/mock", messages=ASK)).input_tokens > 0
            assert "quick" in [m.id async for m in client.models.list()]
            with pytest.raises(anthropic.RateLimitError):
                await ask(client, f"{provider}/fault-429")
    asyncio.run(everything())


def test_many_async_streams_do_not_mix(gateway, provider):
    async def one(client, number):
        async with client.messages.stream(
                model=f"{provider}/mock;echo;tps=300;event-tokens=1", max_tokens=100,
                messages=[{"role": "user", "content": f"number {number} of forty, and some more words"}]) as stream:
            return await stream.get_final_text()

    async def all_of_them():
        async with gateway.anthropic_async() as client:
            return await asyncio.gather(*[one(client, i) for i in range(40)])

    assert asyncio.run(all_of_them()) == [f"number {i} of forty, and some more words" for i in range(40)]


def test_disconnecting_before_the_answer_cancels_it(gateway, mock, provider):
    async def leave():
        async with gateway.anthropic_async() as client:
            task = asyncio.create_task(ask(client, f"{provider}/mock;head=60s"))
            await asyncio.to_thread(wait_until, lambda: mock.stats()["open"] > 0, "the provider to be asked")
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
    before = mock.stats()["aborted"]
    asyncio.run(leave())
    wait_until(lambda: mock.stats()["aborted"] > before, "the provider to notice")


def test_betas_are_sent_to_providers_that_have_them(client, mock, provider):
    answer = client.beta.messages.create(model=f"{provider}/mock", max_tokens=50, messages=ASK, system="beta-test",
                                         betas=["context-1m-2025-08-07", "files-api-2025-04-14"])
    assert answer.content[0].text
    sent = next(r for r in reversed(mock.requests(50)) if "beta-test" in r["body"])
    fields = {n.lower(): v for n, v in sent["headers"]}
    assert fields.get("anthropic-beta") == ("context-1m-2025-08-07,files-api-2025-04-14" if provider == "anthropic"
                                            else None)
    assert ("anthropic-version" in fields) == (provider == "anthropic")
    assert "betas" not in sent["body"]


def test_a_text_document_is_text_for_every_provider(client, mock, provider):
    content = [{"type": "document", "title": "Notes", "source": {"type": "text", "media_type": "text/plain",
                                                                 "data": "The moon, document-test."}},
               {"type": "document", "source": {"type": "base64", "media_type": "application/pdf",
                                               "data": base64.b64encode(b"%PDF-1.4 nothing").decode()}},
               {"type": "text", "text": "What do they say?"}]
    assert ask(client, f"{provider}/mock", messages=[{"role": "user", "content": content}]).content[0].text
    sent = newest_request(mock, "document-test")["messages"][0]["content"]
    if provider == "anthropic":
        assert sent == content
    else:
        assert [p["type"] for p in sent] == ["text", "text", "file", "text"]
        assert sent[2]["file"]["file_data"].startswith("data:application/pdf;base64,JVBERi0")


# --- whatever else there is under /v1 ---

def test_other_routes_go_to_the_provider_of_the_same_protocol(make):
    """Both protocols have files; the version that the caller names says whose are meant."""
    def handler(conn):
        if "missing" in conn.request.target:
            conn.answer(404, {"type": "error", "error": {"type": "not_found_error", "message": "no such batch"}})
        else:
            conn.answer(200, {"data": [], "has_more": False, "first_id": None, "last_id": None})
    ours, others = make.upstream(handler), make.upstream(handler)
    gateway = make.gateway({"providers": {"ant": ours.provider("anthropic-messages", api_key="canary-provider-a"),
                                          "oai": others.provider(api_key="canary-provider-o")}})
    client = gateway.anthropic()
    assert client.beta.files.list(limit=5).data == []
    request = ours.last_request()
    assert request.target.startswith("/v1/files?") and "limit=5" in request.target
    assert request.header("anthropic-version"), "the caller's own"
    assert client.messages.batches.list().data == [] and not others.requests
    with pytest.raises(anthropic.NotFoundError) as e:
        client.messages.batches.retrieve("missing")
    assert e.value.api_message == "no such batch"
    assert gateway.get("/v1/files").status_code == 200 and others.last_request().target == "/v1/files"
    with pytest.raises(anthropic.NotFoundError) as e:
        client.get("/nothing/here", cast_to=object)
    assert e.value.type == "not_found_error"
