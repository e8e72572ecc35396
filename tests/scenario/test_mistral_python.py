"""Mistral's official client against simulated providers of every protocol, and of its own."""
import json

import pydantic
import pytest

from lib.process import canary
from lib.script import CALL, OPENAI, Stage, cut, ok
from lib.sdk import ASK, NO_INPUT, PIXEL_URL, WEATHER_INPUT, newest_request, openai_tool

mistralai = pytest.importorskip("mistralai.client", reason="mistralai is not installed; ./dev test installs it")

TOOLS = [openai_tool("get_weather", WEATHER_INPUT), openai_tool("get_time", NO_INPUT)]
PROVIDERS = ("chat", "claude", "google", "llama", "bedrock", "cohere", "responses")


class Person(pydantic.BaseModel):
    name: str
    age: int


@pytest.fixture(scope="module")
def mock(make_shared):
    return make_shared.mock()


@pytest.fixture(scope="module")
def gateway(make_shared, mock):
    key = canary("client")
    gateway = make_shared.gateway({
        "auth": {"keys": [{"name": "tester", "key": key}]},
        "providers": {
            "chat": mock.provider(), "claude": mock.provider("anthropic-messages"), "llama": mock.provider("ollama"),
            "google": {"wire": "gemini", "base_url": mock.url + "/v1beta"}, "bedrock": mock.provider("bedrock-converse"),
            "cohere": {"wire": "cohere-v2", "base_url": mock.url + "/v2"}, "responses": mock.provider("openai-responses"),
            "mistral": mock.provider(traits={"mistral": True})}})
    gateway.key = key
    return gateway


@pytest.fixture
def client(gateway):
    with mistralai.Mistral(api_key=gateway.key, server_url=gateway.url) as client:
        yield client


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_stream_has_its_counts_with_the_reason_for_its_end(client, provider):
    asking = {"model": f"{provider}/mock;tokens=12", "messages": ASK}
    whole = client.chat.complete(**asking)
    chunks = [event.data for event in client.chat.stream(**asking)]
    assert all(chunk.choices for chunk in chunks)       # programs look at choices[0] of each
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == whole.choices[0].message.content
    assert chunks[-1].choices[0].finish_reason == "stop" and chunks[-1].usage.completion_tokens == 12
    assert whole.usage.completion_tokens == 12


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_calls_come_whole_and_are_answered(client, provider, stream):
    asking = {"model": f"{provider}/mock;tools=2", "tools": TOOLS}
    if stream:
        chunks = [event.data.choices[0] for event in client.chat.stream(messages=ASK, **asking)]
        assert chunks[-1].finish_reason == "tool_calls"
        calls = [call for chunk in chunks for call in chunk.delta.tool_calls or []]
        said = {"role": "assistant", "content": "", "tool_calls": calls}
    else:
        said = client.chat.complete(messages=ASK, **asking).choices[0].message
        calls = said.tool_calls
    assert [call.function.name for call in calls] == ["get_weather", "get_time"]
    assert set(json.loads(calls[0].function.arguments)) == {"city", "days"}
    results = [{"role": "tool", "tool_call_id": call.id, "name": call.function.name, "content": "mild"} for call in calls]
    assert client.chat.complete(messages=[*ASK, said, *results], **asking).choices[0].message.content


@pytest.mark.parametrize("provider", ("chat", "claude", "responses"))
def test_thoughts_are_parts_of_the_content(client, provider):
    asking = {"model": f"{provider}/mock;reasoning=5;tokens=3", "messages": ASK}
    thought, text = client.chat.complete(**asking).choices[0].message.content
    assert thought.type == "thinking" and thought.thinking[0].text and text.text
    pieces = [event.data.choices[0].delta.content for event in client.chat.stream(**asking)]
    thoughts = [part.thinking[0].text for piece in pieces if isinstance(piece, list) for part in piece]
    assert "".join(thoughts) == thought.thinking[0].text
    assert "".join(piece for piece in pieces if isinstance(piece, str)) == text.text


@pytest.mark.parametrize("provider", PROVIDERS)
def test_answers_are_parsed_and_pictures_arrive(client, provider):
    people = client.chat.parse(Person, model=f"{provider}/mock", messages=[{"role": "user", "content": "Ann is 5"}])
    assert isinstance(people.choices[0].message.parsed, Person)
    look = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": PIXEL_URL}]
    assert client.chat.complete(model=f"{provider}/mock", messages=[{"role": "user", "content": look}]).choices


def test_its_words_are_translated_for_others_and_kept_for_its_own(client, mock):
    asking = {"messages": [*ASK, {"role": "user", "content": "its-own-words"}], "random_seed": 3, "tool_choice": "any",
              "tools": TOOLS, "safe_prompt": True}
    client.chat.complete(model="chat/mock", **asking)
    sent = newest_request(mock, "its-own-words")
    assert sent["seed"] == 3 and "random_seed" not in sent and "safe_prompt" not in sent
    assert sent["tool_choice"] == "required"
    client.chat.complete(model="mistral/mock", **asking)
    sent = newest_request(mock, "its-own-words")
    assert sent["random_seed"] == 3 and sent["safe_prompt"] is True and sent["tool_choice"] == "any"


def test_a_stream_that_breaks_in_a_call_gives_no_call(make):
    """Half of a call is another call."""
    stage = Stage(make)
    up = stage.provider("up", OPENAI, cut("arguments", text="", call=CALL, finish="call"), ok("never"))
    gateway = make.gateway({"providers": {"up": up}})
    client = mistralai.Mistral(api_key=gateway.key, server_url=gateway.url)
    calls = []
    with pytest.raises(Exception):
        for event in client.chat.stream(model="up/m", messages=ASK, tools=TOOLS):
            calls += event.data.choices[0].delta.tool_calls or []
    assert calls == []


@pytest.mark.parametrize("provider", ("chat", "llama", "cohere"))
def test_embeddings_have_an_id(client, provider):
    answer = client.embeddings.create(model=f"{provider}/mock", inputs=["a", "b"])
    assert answer.id and [len(one.embedding) > 0 for one in answer.data] == [True, True]


def test_models_are_listed(client):
    listed = client.models.list().data
    assert {m.id.split("/")[0] for m in listed} >= {"chat", "claude"}


def test_errors_have_their_status(client):
    with pytest.raises(mistralai.errors.SDKError) as error:
        client.chat.complete(model="nowhere/x", messages=ASK)
    assert error.value.status_code == 404
