"""The official Ollama client for Python against simulated providers of its own protocol and of the two others."""
import asyncio
import base64
import json
import re

import ollama
import pytest

from lib.process import canary, wait_until
from lib.sdk import ASK, NO_INPUT, PIXEL, PIXEL_URL, WEATHER_INPUT, Event, newest_request, openai_tool

WEATHER = openai_tool("get_weather", {k: v for k, v in WEATHER_INPUT.items() if k != "additionalProperties"},
                      description="The weather somewhere")
CLOCK = openai_tool("get_time", NO_INPUT)
FOREIGN = ("anthropic", "openai")


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
        "auth": {"keys": [{"name": "tester", "key": key}, {"name": "limited", "key": limited_key, "models": ["quick"]}]},
        "providers": {"ollama": mock.provider("ollama", models=["one", "two"]),
                      "openai": mock.provider(models=["three"]),
                      "anthropic": mock.provider("anthropic-messages", models=["four"])},
        "models": {"quick": {"targets": ["openai/mock-gpt"]}}})
    gateway.key = key
    return gateway


@pytest.fixture
def client(gateway):
    with gateway.ollama() as client:
        yield client


@pytest.fixture(params=["ollama", *FOREIGN])
def provider(request):
    """The provider's protocol; the client's is the same in all of these tests."""
    return request.param


def chat(client, model, **more):
    return client.chat(**{"model": model, "messages": ASK, **more})


def marked(mark, **more):
    return [{"role": "user", "content": mark, **more}]


# --- models ---

def test_models_are_listed(client, gateway, limited_key):
    listed = client.list().models
    assert {m.model for m in listed} >= {"quick", "ollama/one", "ollama/two", "openai/three", "anthropic/four"}
    assert all(m.modified_at and m.details is not None for m in listed)
    with gateway.ollama(headers={"Authorization": f"Bearer {limited_key}"}) as limited:
        assert [m.model for m in limited.list().models] == ["quick"]
    assert list(client.ps().models) == []


@pytest.mark.parametrize("model, capabilities", [
    ("quick", {"completion", "tools"}), ("openai/text-embedding-3-small", {"embedding"}),
    ("anthropic/claude-sonnet-4-5", {"completion", "tools", "thinking"})])
def test_a_model_of_another_protocol_is_shown(client, model, capabilities):
    shown = client.show(model)
    assert set(shown.capabilities) == capabilities
    assert shown.modelinfo["general.architecture"] == "openclaw"


def test_a_model_of_ollama_is_shown_as_it_says_itself(make):
    said = {"template": "{{ .Prompt }}", "details": {"family": "llama"}, "model_info": {"llama.context_length": 8192},
            "capabilities": ["completion", "vision"]}
    asked = []

    def handler(conn):
        asked.append((conn.request.target, conn.request.json()))
        body = json.dumps(said).encode()
        conn.head(200, "application/json", len(body))
        conn.send(body, None)
    upstream = make.upstream(handler)
    gateway = make.gateway({"providers": {"ollama": {"wire": "ollama", "base_url": upstream.url}}})
    with gateway.ollama() as client:
        shown = client.show("ollama/llama3")
    assert shown.template == said["template"] and shown.modelinfo == said["model_info"]
    assert shown.capabilities == said["capabilities"] and shown.details.family == "llama"
    assert asked == [("/api/show", {"model": "llama3"})]


# --- answers ---

def test_an_answer_has_its_text_and_counts(client, gateway, provider):
    answer = chat(client, f"{provider}/mock;tokens=12")
    assert answer.message.role == "assistant" and answer.message.content and not answer.message.tool_calls
    assert (answer.done, answer.done_reason, answer.eval_count) == (True, "stop", 12)
    assert answer.prompt_eval_count > 0 and answer.created_at.startswith("20")
    line = gateway.access(re.search(r"req_\w+", gateway.heads[-1]).group())
    assert (line["endpoint"], line["provider"], line["status"]) == ("ollama_chat", provider, 200)


def test_a_stream_equals_a_whole_answer(client, provider):
    whole = chat(client, f"{provider}/mock;tokens=30")
    parts = list(chat(client, f"{provider}/mock;tokens=30", stream=True))
    assert "".join(p.message.content for p in parts) == whole.message.content
    assert len(parts) > 20 and all(p.message.role == "assistant" for p in parts)
    assert [p.done for p in parts] == [False] * (len(parts) - 1) + [True]
    last = parts[-1]
    assert (last.done_reason, last.eval_count) == ("stop", 30)
    assert last.prompt_eval_count == whole.prompt_eval_count


@pytest.mark.parametrize("stream", [False, True])
def test_a_prompt_is_answered(client, gateway, provider, stream):
    asking = {"model": f"{provider}/mock;echo", "prompt": "Once upon a time", "system": "Be terse."}
    if stream:
        parts = list(client.generate(**asking, stream=True))
        text, last = "".join(p.response for p in parts), parts[-1]
        assert len(parts) > 2 and not any(p.done for p in parts[:-1])
    else:
        last = client.generate(**asking)
        text = last.response
    assert text == asking["prompt"]
    assert (last.done, last.done_reason) == (True, "stop") and last.eval_count > 0


def test_a_prompt_arrives_with_its_system_text_and_picture(client, mock, provider):
    mark = f"generate-{provider}"
    client.generate(model=f"{provider}/mock", prompt=mark, system="Be terse.", images=[base64.b64decode(PIXEL)])
    sent = newest_request(mock, mark)
    if provider == "ollama":
        assert (sent["prompt"], sent["system"], sent["images"]) == (mark, "Be terse.", [PIXEL])
        return
    assert "Be terse." in json.dumps(sent) and PIXEL in json.dumps(sent["messages"])


def test_emoji_and_all_scripts_arrive_unchanged(client, provider):
    text = "Ünïcode 🍓 日本語 \\u0041 \"quoted\" \t end\nnext \U0001f469\u200d\U0001f680"
    model = f"{provider}/mock;echo"
    assert chat(client, model, messages=marked(text)).message.content == text
    assert "".join(p.message.content for p in chat(client, model, messages=marked(text), stream=True)) == text


@pytest.mark.parametrize("stream", [False, True])
def test_the_reason_of_the_end_is_reported(client, provider, stream):
    answer = chat(client, f"{provider}/mock;tokens=50", options={"num_predict": 7}, stream=stream)
    last = list(answer)[-1] if stream else answer
    assert (last.done_reason, last.eval_count) == ("length", 7)
    answer = client.generate(f"{provider}/mock;tokens=50", "Go on.", options={"num_predict": 7}, stream=stream)
    last = list(answer)[-1] if stream else answer
    assert (last.done_reason, last.eval_count) == ("length", 7)


def test_options_are_adapted_to_the_provider(client, mock, provider):
    mark = f"options-{provider}"
    options = {"temperature": 0.25, "num_predict": 99, "stop": ["END"], "seed": 7, "num_ctx": 4096}
    chat(client, f"{provider}/mock", messages=marked(mark), options=options, keep_alive="5m")
    sent = newest_request(mock, mark)
    if provider == "ollama":
        assert sent["options"] == options and sent["keep_alive"] == "5m"
        return
    assert (sent["temperature"], sent.get("max_tokens", sent.get("max_completion_tokens"))) == (0.25, 99)
    assert sent["stop" if provider == "openai" else "stop_sequences"] == ["END"]
    assert sent.get("seed") == (7 if provider == "openai" else None)
    assert not {"options", "num_ctx", "keep_alive"} & set(sent)


def test_pictures_arrive(client, mock, provider):
    mark = f"picture-{provider}"
    messages = marked(mark, images=[base64.b64decode(PIXEL)])
    assert chat(client, f"{provider}/mock", messages=messages).message.content
    message = newest_request(mock, mark)["messages"][-1]
    if provider == "ollama":
        assert message == {"role": "user", "content": mark, "images": [PIXEL]}
        return
    picture = next(p for p in message["content"] if p["type"] != "text")
    if provider == "openai":
        assert picture["image_url"]["url"] == PIXEL_URL
    else:
        assert picture["source"] == {"type": "base64", "media_type": "image/png", "data": PIXEL}


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_by_schema_can_be_parsed(client, mock, provider, stream):
    mark = f"schema-{provider}-{stream}"
    answer = chat(client, f"{provider}/mock", messages=marked(mark), format=Event.model_json_schema(), stream=stream)
    Event.model_validate_json("".join(p.message.content for p in answer) if stream else answer.message.content)
    sent = newest_request(mock, mark)
    generated = client.generate(f"{provider}/mock", "An event, please.", format=Event.model_json_schema())
    Event.model_validate_json(generated.response)
    schema = {"ollama": lambda: sent["format"], "openai": lambda: sent["response_format"]["json_schema"]["schema"],
              "anthropic": lambda: sent["output_config"]["format"]["schema"]}[provider]()
    assert set(schema["properties"]) == {"title", "day", "guests"}


def test_json_without_a_schema_is_requested(client, mock, provider):
    mark = f"json-{provider}"
    chat(client, f"{provider}/mock", messages=marked(mark), format="json")
    sent = newest_request(mock, mark)
    if provider == "ollama":
        assert sent["format"] == "json"
    elif provider == "openai":
        assert sent["response_format"] == {"type": "json_object"}
    else:
        assert "JSON" in json.dumps(sent["system"])


# --- thinking ---

@pytest.mark.parametrize("think", [True, "low"])
def test_thinking_arrives_whole_and_streamed(client, provider, think):
    asking = {"model": f"{provider}/mock;reasoning=9;tokens=6", "think": think, "options": {"num_predict": 4000}}
    whole = chat(client, **asking).message
    assert whole.thinking and whole.content
    parts = list(chat(client, **asking, stream=True))
    assert "".join(p.message.thinking or "" for p in parts) == whole.thinking
    assert "".join(p.message.content for p in parts) == whole.content
    generated = client.generate(**asking, prompt="think")
    assert generated.thinking and generated.response


def test_thinking_is_requested_as_the_provider_has_it(client, mock, provider):
    mark = f"think-{provider}"
    model = "gpt-5" if provider == "openai" else "gpt-oss"
    chat(client, f"{provider}/{model}", messages=marked(mark), think="high", options={"num_predict": 40000})
    sent = newest_request(mock, mark)
    if provider == "ollama":
        assert sent["think"] == "high"
    elif provider == "openai":
        assert sent["reasoning_effort"] == "high"
    else:
        assert sent["thinking"]["type"] in ("enabled", "adaptive")


# --- tools ---

def check_calls(calls):
    assert [c.function.name for c in calls] == ["get_weather", "get_time", "get_weather"]
    assert set(calls[0].function.arguments) == {"city", "days"}
    assert isinstance(calls[0].function.arguments["days"], int)
    assert calls[1].function.arguments == {}


def test_parallel_calls_arrive(client, provider):
    answer = chat(client, f"{provider}/tools-3", tools=[WEATHER, CLOCK])
    check_calls(answer.message.tool_calls)
    assert answer.done


def test_streamed_calls_arrive_whole(client, provider):
    parts = list(chat(client, f"{provider}/tools-3", tools=[WEATHER, CLOCK], stream=True))
    check_calls([c for p in parts for c in p.message.tool_calls or []])
    assert parts[-1].done and not parts[-1].message.tool_calls


def test_a_function_is_a_tool(client, mock, provider):
    def look_outside(city: str, days: int) -> str:
        """The weather somewhere.

        Args:
            city: where
            days: how long
        """
        return f"sunny in {city} for {days} days, {provider}-outside"

    history = list(ASK)
    said = chat(client, f"{provider}/mock;tools=1", messages=history, tools=[look_outside]).message
    call = said.tool_calls[0].function
    result = look_outside(**call.arguments)
    history += [said, {"role": "tool", "content": result, "tool_name": call.name}]
    assert chat(client, f"{provider}/mock", messages=history, tools=[look_outside]).message.content
    sent = newest_request(mock, f"{provider}-outside")["messages"]
    if provider == "ollama":
        assert sent[-1] == history[-1]
    elif provider == "openai":
        made = sent[1]["tool_calls"][0]
        assert json.loads(made["function"]["arguments"]) == call.arguments
        assert (sent[2]["role"], sent[2]["tool_call_id"], sent[2]["content"]) == ("tool", made["id"], result)
    else:
        made = sent[1]["content"][-1]
        assert (made["type"], made["input"]) == ("tool_use", call.arguments)
        assert (sent[2]["content"][0]["type"], sent[2]["content"][0]["tool_use_id"]) == ("tool_result", made["id"])


# --- embeddings ---

def test_texts_are_embedded(client):
    answer = client.embed("ollama/mock-embed", ["a", "b", "a"], dimensions=6)
    assert [len(v) for v in answer.embeddings] == [6, 6, 6]
    assert answer.embeddings[0] == answer.embeddings[2] != answer.embeddings[1]
    assert answer.prompt_eval_count > 0
    assert list(client.embeddings("ollama/mock-embed", "a").embedding) == \
        list(client.embed("ollama/mock-embed", "a").embeddings[0])


def test_a_protocol_without_embeddings_refuses_them(client):
    with pytest.raises(ollama.ResponseError) as e:
        client.embed("anthropic/mock-embed", "a")
    assert e.value.status_code == 400 and e.value.error


# --- errors ---

@pytest.mark.parametrize("ask", [
    pytest.param(lambda c, model: chat(c, model), id="chat"),
    pytest.param(lambda c, model: list(chat(c, model, stream=True)), id="chat, streamed"),
    pytest.param(lambda c, model: c.generate(model, "x"), id="generate"),
    pytest.param(lambda c, model: c.embed(model, "x"), id="embed"),
    pytest.param(lambda c, model: c.show(model), id="show")])
def test_an_unknown_model_is_status_404(client, ask):
    with pytest.raises(ollama.ResponseError) as e:
        ask(client, "nowhere/model")
    assert e.value.status_code == 404 and "nowhere" in e.value.error


def test_a_model_that_the_provider_does_not_have_is_status_404(client, provider):
    with pytest.raises(ollama.ResponseError) as e:
        chat(client, f"{provider}/fault-404")
    assert e.value.status_code == 404 and "404" in e.value.error


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("status, seen", [(400, 400), (429, 429), (500, 502), (503, 503)])
def test_a_provider_s_error_keeps_its_kind(client, provider, status, seen, stream):
    with pytest.raises(ollama.ResponseError) as e:
        answer = chat(client, f"{provider}/fault-{status}", stream=stream)
        list(answer if stream else [])
    assert e.value.status_code == seen and e.value.error


def test_a_wrong_key_and_a_forbidden_model_are_refused(gateway, limited_key):
    for key, status in (("wrong", 401), (limited_key, 403)):
        with gateway.ollama(headers={"Authorization": f"Bearer {key}"}) as client:
            with pytest.raises(ollama.ResponseError) as e:
                chat(client, "openai/mock")
        assert e.value.status_code == status


@pytest.mark.parametrize("fault", ["error-mid", "reset-mid", "truncated"])
def test_an_error_in_the_middle_of_a_stream_is_raised(client, provider, fault):
    text = ""
    with pytest.raises(ollama.ResponseError) as e:
        for part in chat(client, f"{provider}/mock;tokens=20;tps=200;fault={fault};after=5", stream=True):
            assert not part.done
            text += part.message.content
    assert text and e.value.error and e.value.status_code == -1, "the status went out before it"


# --- streams that end early, many at once ---

def test_closing_a_stream_cancels_it(client, mock, provider):
    before = mock.stats()["aborted"]
    stream = chat(client, f"{provider}/mock;tokens=100000;tps=200", stream=True, options={"num_predict": 200000})
    for _ in range(10):
        next(stream)
    stream.close()
    wait_until(lambda: mock.stats()["aborted"] > before, "the provider to notice")


def test_many_async_streams_do_not_mix(gateway, provider):
    async def one(client, number):
        stream = await client.chat(f"{provider}/mock;echo;tps=300", stream=True,
                                   messages=marked(f"number {number} of thirty, and some more words"))
        return "".join([p.message.content async for p in stream])

    async def all_of_them():
        async with gateway.ollama_async() as client:
            return await asyncio.gather(*[one(client, i) for i in range(30)])

    assert asyncio.run(all_of_them()) == [f"number {i} of thirty, and some more words" for i in range(30)]
