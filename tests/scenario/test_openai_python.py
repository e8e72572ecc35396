"""The official OpenAI client for Python, as applications use it, against a simulated OpenAI provider."""
import asyncio
import base64
import json
import threading
import time

import openai
import pytest

from lib.process import SLOW, canary, wait_until
from lib.sdk import ASK, NO_INPUT, PIXEL_URL, WEATHER_INPUT, Event, openai_tool

WEATHER = openai_tool("get_weather", WEATHER_INPUT, description="The weather somewhere")
CLOCK = openai_tool("get_time", NO_INPUT)


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
                          {"name": "limited", "key": limited_key, "models": ["quick", "lab/allowed*"]}]},
        "providers": {"lab": mock.provider(), "other": mock.provider()},     # one alone would be the default
        "models": {"quick": {"targets": ["lab/mock-gpt"]}},
    })
    gateway.key = key
    return gateway


@pytest.fixture
def client(gateway):
    with gateway.openai() as client:
        yield client


def chat(client, model="lab/mock-gpt", **more):
    return client.chat.completions.create(model=model, messages=ASK, **more)


def text_of(stream):
    return "".join(c.choices[0].delta.content or "" for c in stream if c.choices)


# --- answers ---

def test_an_answer_has_its_text_and_usage(client, gateway):
    answer = chat(client)
    assert answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    line = gateway.access(answer._request_id)
    assert (line["tokens_input"], line["tokens_output"]) == (answer.usage.prompt_tokens,
                                                             answer.usage.completion_tokens)


def test_an_alias_is_answered_by_its_target(client, mock):
    answer = chat(client, "quick", temperature=0.5, user="u-1")
    assert answer.choices[0].message.content
    sent = next(r for r in reversed(mock.requests(50)) if '"u-1"' in r["body"])
    assert json.loads(sent["body"]) == {"messages": ASK, "model": "mock-gpt", "temperature": 0.5, "user": "u-1"}


def test_a_stream_arrives_in_pieces(client):
    chunks = list(chat(client, "lab/mock;tokens=20", stream=True))
    assert len(chunks) > 20
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert all(c.usage is None and c.choices for c in chunks), "usage that nobody asked for"


def test_a_stream_equals_a_whole_answer(client):
    whole = chat(client, "lab/mock;tokens=40").choices[0].message.content
    assert text_of(chat(client, "lab/mock;tokens=40", stream=True)) == whole


def test_a_stream_with_usage_ends_with_it(client, gateway):
    with client.chat.completions.with_streaming_response.create(
            model="lab/mock;tokens=9", messages=ASK, stream=True,
            stream_options={"include_usage": True}) as response:
        request_id = response.headers["x-request-id"]
        chunks = list(response.parse())
    assert chunks[-1].choices == [] and chunks[-1].usage.completion_tokens == 9
    assert gateway.access(request_id)["tokens_output"] == 9


def test_the_first_token_is_not_held_back(client):
    began = time.monotonic()
    stream = chat(client, "lab/mock;tokens=40;tps=10", stream=True)
    next(chunk for chunk in stream if chunk.choices[0].delta.content)
    assert time.monotonic() - began < 2
    stream.close()


def test_emoji_and_all_scripts_arrive_unchanged(client):
    text = "Ünïcode 🍓 日本語 \u2028 \\u0041 \"quoted\" \t end \U0001f469\u200d\U0001f680"
    answer = client.chat.completions.create(model="lab/mock;echo", messages=[{"role": "user", "content": text}])
    assert answer.choices[0].message.content == text
    stream = client.chat.completions.create(model="lab/mock;echo", messages=[{"role": "user", "content": text}],
                                            stream=True)
    assert text_of(stream) == text


def test_several_choices_are_returned(client):
    answer = chat(client, n=3)
    assert [c.index for c in answer.choices] == [0, 1, 2]
    seen = {c.choices[0].index for c in chat(client, n=3, stream=True)}
    assert seen == {0, 1, 2}


def test_log_probabilities_are_returned(client):
    answer = chat(client, "lab/mock;tokens=5", logprobs=True, top_logprobs=2)
    tokens = answer.choices[0].logprobs.content
    assert len(tokens) == 5 and all(len(t.top_logprobs) == 2 and t.logprob <= 0 for t in tokens)
    streamed = [t for c in chat(client, "lab/mock;tokens=5", logprobs=True, top_logprobs=2, stream=True)
                if c.choices[0].logprobs for t in c.choices[0].logprobs.content]
    assert len(streamed) == 5


def test_an_answer_may_be_cut_by_its_limit(client, gateway):
    answer = chat(client, "lab/mock;tokens=50", max_tokens=7)
    assert answer.choices[0].finish_reason == "length" and answer.usage.completion_tokens == 7
    assert gateway.access(answer._request_id)["finish_reason"] == "length"


def test_images_are_forwarded_unchanged(client, mock):
    content = [{"type": "text", "text": "What is this? image-test"},
               {"type": "image_url", "image_url": {"url": PIXEL_URL, "detail": "low"}},
               {"type": "image_url", "image_url": {"url": "https://images.example/cat.png"}}]
    answer = client.chat.completions.create(model="lab/mock-gpt", messages=[{"role": "user", "content": content}])
    assert answer.choices[0].message.content
    sent = next(r for r in reversed(mock.requests(50)) if "image-test" in r["body"])
    assert json.loads(sent["body"])["messages"][0]["content"] == content


def test_unknown_parameters_are_forwarded(client, mock):
    chat(client, extra_body={"brand_new_parameter": {"a": [1, 2.50, 1e3]}}, seed=987654321)
    sent = next(r for r in reversed(mock.requests(50)) if "987654321" in r["body"])
    assert json.loads(sent["body"])["brand_new_parameter"] == {"a": [1, 2.5, 1000.0]}


# --- tools ---

def test_parallel_calls_arrive_whole(client):
    answer = chat(client, "lab/tools-2", tools=[WEATHER, CLOCK])
    message = answer.choices[0].message
    assert answer.choices[0].finish_reason == "tool_calls"
    assert [c.function.name for c in message.tool_calls] == ["get_weather", "get_time"]
    assert set(json.loads(message.tool_calls[0].function.arguments)) == {"city", "days"}
    assert len({c.id for c in message.tool_calls}) == 2


def test_streamed_call_fragments_fit_together(client):
    calls = {}
    for chunk in chat(client, "lab/tools-3", tools=[WEATHER, CLOCK], stream=True):
        for piece in chunk.choices[0].delta.tool_calls or []:
            call = calls.setdefault(piece.index, {"name": "", "arguments": [], "id": None})
            call["id"] = call["id"] or piece.id
            call["name"] += piece.function.name or ""
            call["arguments"].append(piece.function.arguments or "")
    assert [c["name"] for c in calls.values()] == ["get_weather", "get_time", "get_weather"]
    assert set(json.loads("".join(calls[0]["arguments"]))) == {"city", "days"}
    assert len(calls[0]["arguments"]) > 2
    assert len({c["id"] for c in calls.values()}) == 3


def test_tool_results_round_trip(client, mock):
    first = chat(client, "lab/tools-2", tools=[WEATHER, CLOCK]).choices[0].message
    history = [*ASK, first.to_dict()]
    history += [{"role": "tool", "tool_call_id": c.id, "content": f"result of {c.function.name}"}
                for c in first.tool_calls]
    second = client.chat.completions.create(model="lab/mock-gpt", messages=history, tools=[WEATHER, CLOCK],
                                            tool_choice="auto", parallel_tool_calls=True)
    assert second.choices[0].finish_reason == "stop"
    sent = next(r for r in reversed(mock.requests(50)) if "result of get_time" in r["body"])
    assert json.loads(sent["body"])["messages"] == history


def test_the_sdk_s_stream_helper_accumulates(client):
    with client.chat.completions.stream(model="lab/tools-1", messages=ASK, tools=[
            openai.pydantic_function_tool(Event, name="plan")]) as stream:
        for _ in stream:
            pass
        final = stream.get_final_completion()
    call = final.choices[0].message.tool_calls[0]
    assert call.function.name == "plan" and isinstance(call.function.parsed_arguments, Event)


# --- structured answers ---

def test_an_answer_by_schema_is_parsed(client, mock):
    answer = client.chat.completions.parse(model="lab/mock-gpt", messages=ASK, response_format=Event)
    assert isinstance(answer.choices[0].message.parsed, Event)
    sent = next(r for r in reversed(mock.requests(50)) if '"guests"' in r["body"])
    assert json.loads(sent["body"])["response_format"]["json_schema"]["strict"] is True


def test_a_streamed_answer_by_schema_is_parsed(client):
    with client.chat.completions.stream(model="lab/mock-gpt", messages=ASK, response_format=Event) as stream:
        for _ in stream:
            pass
        assert isinstance(stream.get_final_completion().choices[0].message.parsed, Event)


def test_a_json_object_response_is_json(client):
    answer = chat(client, response_format={"type": "json_object"})
    assert isinstance(json.loads(answer.choices[0].message.content), dict)


# --- other routes ---

def test_embeddings_have_the_requested_encoding(client, gateway):
    answer = client.embeddings.create(model="lab/mock-embed", input=["one", "two"], dimensions=8)
    assert [len(d.embedding) for d in answer.data] == [8, 8]
    plain = client.embeddings.create(model="lab/mock-embed", input=["one", "two"], dimensions=8,
                                     encoding_format="float")
    for a, b in zip(answer.data, plain.data):
        assert a.embedding == pytest.approx(b.embedding, abs=1e-6)
    wait_until(lambda: [x for x in gateway.access_log() if x["endpoint"] == "embeddings"
                        and x["tokens_input"] == answer.usage.prompt_tokens], "the embedding's line")


def test_text_completions_still_work(client):
    answer = client.completions.create(model="lab/mock-gpt", prompt="Once upon a time", max_tokens=5)
    assert answer.choices[0].text and answer.usage.completion_tokens == 5
    streamed = client.completions.create(model="lab/mock-gpt", prompt="Once upon a time", max_tokens=5, stream=True)
    assert "".join(c.choices[0].text for c in streamed) == answer.choices[0].text


def test_models_are_listed_and_found(client):
    names = [m.id for m in client.models.list()]
    assert "quick" in names
    assert client.models.retrieve("quick").owned_by == "openclaw"
    assert client.models.retrieve("lab/anything").owned_by == "lab"
    with pytest.raises(openai.NotFoundError) as e:
        client.models.retrieve("nowhere/anything")
    assert e.value.code == "model_not_found"


def test_moderation_passes_through(client):
    answer = client.moderations.create(model="lab/omni-moderation-latest", input="something harmless")
    assert answer.results[0].flagged is False
    with pytest.raises(openai.NotFoundError, match="default_provider"):
        client.moderations.create(input="no model is named")


@pytest.mark.parametrize("providers, default", [(["lab"], {}), (["lab", "other"], {"default_provider": "other"})])
def test_the_default_provider_serves_requests_without_a_provider(make, mock, providers, default):
    client = make.gateway({"providers": {p: mock.provider() for p in providers}, **default}).openai()
    assert client.moderations.create(input="no model is named").results
    assert chat(client, "just-a-name").model == "just-a-name"
    assert chat(client, "some-org/some-model").model == "some-org/some-model"


# --- errors ---

def test_a_bad_request_is_a_bad_request_error(client):
    with pytest.raises(openai.BadRequestError) as e:
        client.chat.completions.create(model="lab/mock-gpt", messages=[])
    assert e.value.type == "invalid_request_error" and e.value.param == "messages"


def test_a_context_overflow_keeps_its_code(client):
    with pytest.raises(openai.BadRequestError) as e:
        chat(client, "lab/fault-context")
    assert e.value.code == "context_length_exceeded"


def test_a_wrong_key_is_an_authentication_error(gateway):
    for key in ("wrong", canary("client"), gateway.key + "x", gateway.key[:-1]):
        with pytest.raises(openai.AuthenticationError) as e:
            chat(gateway.openai(api_key=key))
        assert e.value.code == "invalid_api_key"
        assert key not in str(e.value.message)


def test_a_model_that_the_key_may_not_use_is_a_permission_error(gateway, limited_key):
    client = gateway.openai(api_key=limited_key)
    assert chat(client, "quick").choices and chat(client, "lab/allowed-1").choices
    with pytest.raises(openai.PermissionDeniedError) as e:
        chat(client, "lab/mock-gpt")
    assert "lab/mock-gpt" in e.value.message
    assert [m.id for m in client.models.list()] == ["quick"]
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("lab/mock-gpt")


@pytest.mark.parametrize("body, content_type", [
    (b'{"input": "no model"}', "application/json"),
    (b'{"model": "lab/mock-gpt", "input": "hidden from the gateway"}', "text/plain"),
])
def test_a_limited_key_cannot_leave_the_model_out(make, mock, limited_key, body, content_type):
    gateway = make.gateway({"providers": {"lab": mock.provider()},
                            "auth": {"keys": [{"name": "limited", "key": limited_key, "models": ["quick"]}]}})
    answer = gateway.http().post("/v1/moderations", content=body, headers={
        "Authorization": f"Bearer {limited_key}", "Content-Type": content_type})
    assert answer.status_code == 403, answer.text


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses", "/v1/embeddings", "/v1/messages"])
@pytest.mark.parametrize("more, named", [
    ({"models": ["quick", "lab/mock-gpt"]}, "lab/mock-gpt"), ({"fallbacks": ["lab/mock-gpt"]}, "lab/mock-gpt"),
    ({"fallbacks": [{"model": "lab/mock-gpt"}]}, "lab/mock-gpt"), ({"Models": ["x"]}, "models")])
def test_a_limited_key_cannot_name_other_models_to_a_provider(gateway, limited_key, path, more, named):
    """OpenRouter takes one of `models`, LiteLLM one of `fallbacks`, when `model` fails."""
    body = {"model": "quick", "input": "Hi", "max_tokens": 5, "messages": [{"role": "user", "content": "Hi"}]}
    answer = gateway.post(path, body | more, {"Authorization": f"Bearer {limited_key}"})
    assert answer.status_code == 403 and named in answer.json()["error"]["message"]
    assert gateway.post(path, body, {"Authorization": f"Bearer {limited_key}"}).status_code != 403
    assert gateway.post(path, body | more).status_code != 403      # another key may


@pytest.mark.parametrize("model", ["nowhere/model", "lab/fault-404"])
def test_an_unknown_model_is_a_not_found_error(client, model):
    with pytest.raises(openai.NotFoundError) as e:
        chat(client, model)
    assert e.value.code == "model_not_found"


def test_a_body_that_is_too_large_is_status_413(client):
    with pytest.raises(openai.APIStatusError) as e:
        client.chat.completions.create(model="lab/mock-gpt", messages=[{"role": "user", "content": "x" * 1200000}])
    assert e.value.status_code == 413 and e.value.code == "request_too_large"


@pytest.mark.parametrize("stream", [False, True])
def test_a_rate_limit_says_when_to_try_again(client, stream):
    with pytest.raises(openai.RateLimitError) as e:
        chat(client, "lab/fault-429;retry-after=7", stream=stream)
    assert e.value.response.headers["retry-after"] == "7"
    assert e.value.code == "rate_limit_exceeded"


def test_exhausted_credit_has_its_own_error(client):
    with pytest.raises(openai.RateLimitError) as e:
        chat(client, "lab/fault-quota")
    assert e.value.code == "insufficient_quota"


@pytest.mark.parametrize("fault", ["500", "502", "503", "529", "reset-before", "empty", "html"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_provider_s_failure_is_an_internal_server_error(client, fault, stream):
    with pytest.raises(openai.InternalServerError) as e:
        chat(client, f"lab/fault-{fault}", stream=stream)
    assert e.value.status_code == (503 if fault in ("503", "529") else 502) and e.value.type == "server_error"


@pytest.mark.parametrize("fault", ["reset-mid", "truncated", "error-mid", "malformed"])
def test_a_stream_that_breaks_raises(client, fault):
    with pytest.raises(openai.APIError):
        for _ in chat(client, f"lab/mock;tokens=20;tps=200;fault={fault};after=5", stream=True):
            pass


def test_a_refused_provider_key_is_not_blamed_on_the_client(client):
    with pytest.raises(openai.InternalServerError) as e:
        chat(client, "lab/fault-401")
    assert e.value.status_code == 502 and e.value.code == "upstream_auth"


# --- patience ---

def test_a_client_timeout_cancels_the_upstream_request(gateway, mock):
    before = mock.stats()["aborted"]
    with pytest.raises(openai.APITimeoutError):
        chat(gateway.openai(timeout=0.3), "lab/mock;ttft=60s", user="impatient")
    wait_until(lambda: mock.stats()["aborted"] > before, "the provider to notice")


def test_the_sdk_retries_temporary_errors(make):
    count = threading.Semaphore(0)

    def handler(conn):
        count.release()
        if len(upstream.requests) < 3:
            conn.answer(503, {"error": {"message": "busy", "type": "server_error"}}, fields=[("Retry-After", "1")])
        else:
            conn.answer(200, {"id": "x", "object": "chat.completion", "created": 1, "model": "m", "choices": [
                {"index": 0, "message": {"role": "assistant", "content": "at last"}, "finish_reason": "stop"}]})
    upstream = make.upstream(handler)
    gateway = make.gateway({"providers": {"lab": upstream.provider()}})
    began = time.monotonic()
    answer = chat(gateway.openai(max_retries=3))
    assert answer.choices[0].message.content == "at last"
    assert len(upstream.requests) == 3 and time.monotonic() - began >= 2, "Retry-After was not told"
    assert [line["status"] for line in gateway.access_log()][:2] == [503, 503]


def test_the_sdk_does_not_retry_permanent_errors(gateway):
    client = gateway.openai(max_retries=3)
    with pytest.raises(openai.BadRequestError) as e:
        client.chat.completions.create(model="lab/mock-gpt", messages=[])
    assert e.value.request.headers["x-stainless-retry-count"] == "0"


# --- cancelling ---

def test_closing_a_stream_cancels_it_and_counts_its_tokens(gateway, mock):
    before = mock.stats()["aborted"]
    with gateway.openai().chat.completions.with_streaming_response.create(
            model="lab/mock;tokens=100000;tps=200", messages=ASK, stream=True) as response:
        request_id = response.headers["x-request-id"]
        chunks = response.parse()
        for _ in range(20):
            next(chunks)
    wait_until(lambda: mock.stats()["aborted"] > before, "the provider to notice")
    line = gateway.access(request_id)
    assert line["client_abort"] is True and line["error"] == "client_gone"
    assert line["tokens_estimated"] is True
    assert line["tokens_input"] > 0 and 5 < line["tokens_output"] < 2000


def test_disconnecting_before_the_answer_cancels_it(gateway, mock):
    async def leave():
        client = gateway.openai_async()
        task = asyncio.create_task(client.chat.completions.create(model="lab/mock;head=60s", messages=ASK))
        await asyncio.sleep(0.5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await client.close()
    before = mock.stats()["aborted"]
    asyncio.run(leave())
    wait_until(lambda: mock.stats()["aborted"] > before, "the provider to notice")
    wait_until(lambda: [x for x in gateway.access_log() if x.get("client_abort") and x["status"] == 499
                        and x["model"] == "mock;head=60s"], "its line")


# --- async ---

def test_a_hundred_async_streams_do_not_mix(gateway):
    async def one(client, number):
        stream = await client.chat.completions.create(
            model="lab/mock;echo;tps=300;event-tokens=1", stream=True,
            messages=[{"role": "user", "content": f"number {number} of a hundred, and some more words"}])
        return "".join([c.choices[0].delta.content or "" async for c in stream if c.choices])

    async def all_of_them():
        async with gateway.openai_async() as client:
            return await asyncio.gather(*[one(client, i) for i in range(100)])

    for number, text in enumerate(asyncio.run(all_of_them())):
        assert text == f"number {number} of a hundred, and some more words"


def test_the_async_client_works_like_the_sync_client(gateway):
    async def everything():
        async with gateway.openai_async() as client:
            answer = await client.chat.completions.create(model="lab/tools-1", messages=ASK, tools=[WEATHER])
            assert answer.choices[0].message.tool_calls[0].function.name == "get_weather"
            vectors = await client.embeddings.create(model="lab/mock-embed", input="x", dimensions=4)
            assert len(vectors.data[0].embedding) == 4
            assert "quick" in [m.id async for m in client.models.list()]
            parsed = await client.chat.completions.parse(model="lab/mock-gpt", messages=ASK, response_format=Event)
            assert isinstance(parsed.choices[0].message.parsed, Event)
            with pytest.raises(openai.RateLimitError):
                await client.chat.completions.create(model="lab/fault-429", messages=ASK)
    asyncio.run(everything())


# --- whatever else there is under /v1 ---

@pytest.fixture
def anything(make):
    """A provider for routes that the gateway does not know; `answers` maps "METHOD path" to an answer."""
    answers = {}

    def handler(conn):
        status, body, content_type = answers[f"{conn.request.method} {conn.request.target.split('?')[0]}"]
        conn.answer(status, body, content_type)
    upstream = make.upstream(handler)
    upstream.answers = answers
    gateway = make.gateway({"providers": {"lab": upstream.provider(api_key="canary-provider-of-anything")},
                            "default_provider": "lab"})
    return upstream, gateway, gateway.openai()


def test_speech_is_returned_unchanged(anything):
    upstream, _, client = anything
    sound = bytes(range(256)) * 1000
    upstream.answers["POST /v1/audio/speech"] = (200, sound, "audio/mpeg")
    answer = client.audio.speech.create(model="lab/tts-1", voice="alloy", input="Hello")
    assert answer.read() == sound
    assert upstream.last_request().json()["model"] == "tts-1"
    assert upstream.last_request().header("authorization") == "Bearer canary-provider-of-anything"


def test_a_recording_is_uploaded_as_a_form(anything):
    upstream, _, client = anything
    upstream.answers["POST /v1/audio/transcriptions"] = (200, {"text": "hello"}, "application/json")
    sound = b"RIFF" + bytes(range(256)) * 300
    answer = client.audio.transcriptions.create(model="lab/whisper-1", file=("a.wav", sound))
    assert answer.text == "hello"
    got = upstream.last_request()
    assert sound in got.body
    assert b'name="model"\r\n\r\nwhisper-1\r\n' in got.body and b"lab/whisper-1" not in got.body
    assert got.header("content-type").startswith("multipart/form-data; boundary=")


def test_files_go_to_the_default_provider(anything):
    upstream, _, client = anything
    upstream.answers["GET /v1/files"] = (200, {"object": "list", "data": [], "has_more": False}, "application/json")
    upstream.answers["DELETE /v1/files/file-1"] = (200, {"id": "file-1", "object": "file", "deleted": True},
                                                   "application/json")
    assert client.files.list(limit=3, purpose="batch").data == []
    assert "limit=3" in upstream.last_request().target and "purpose=batch" in upstream.last_request().target
    assert client.files.delete("file-1").deleted is True


def test_image_generation_is_passed_through(anything):
    upstream, _, client = anything
    picture = base64.b64encode(bytes(3000)).decode()
    upstream.answers["POST /v1/images/generations"] = (200, {"created": 1, "data": [{"b64_json": picture}]},
                                                       "application/json")
    answer = client.images.generate(model="lab/gpt-image-1", prompt="A cat")
    assert answer.data[0].b64_json == picture


def test_an_error_of_a_passed_through_route_is_unchanged(anything):
    upstream, gateway, client = anything
    upstream.answers["GET /v1/files/none"] = (404, {"error": {"message": "No such File object: none", "param": "id",
                                                              "type": "invalid_request_error", "code": None}},
                                              "application/json")
    with pytest.raises(openai.NotFoundError, match="No such File object"):
        client.files.retrieve("none")
    assert gateway.last_access()["status"] == 404


def test_streams_of_a_passed_through_route_are_not_buffered(make):
    events = [{"type": "response.output_text.delta", "delta": word, "item_id": "i", "output_index": 0,
               "content_index": 0, "sequence_number": n, "logprobs": []} for n, word in enumerate(("one", " two"))]
    events.append({"type": "response.completed", "sequence_number": 2, "response": {
        "id": "resp_1", "object": "response", "created_at": 1, "model": "gpt-5", "status": "completed", "output": [{
            "type": "message", "id": "i", "role": "assistant", "status": "completed",
            "content": [{"type": "output_text", "text": "one two", "annotations": []}]}]}})
    go_on = threading.Event()

    def handler(conn):
        conn.head(200, "text/event-stream")
        for n, event in enumerate(events):
            conn.chunk(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())
            if n == 0:
                assert go_on.wait(10 * SLOW), "the first event was held back"
        conn.end_chunks()
    upstream = make.upstream(handler)
    gateway = make.gateway({"providers": {"lab": upstream.provider(traits={"responses": True})}})
    words = []
    for event in gateway.openai().responses.create(model="lab/gpt-5", input="Hi", stream=True):
        words.append(getattr(event, "delta", None))
        go_on.set()
    assert words == ["one", " two", None]
