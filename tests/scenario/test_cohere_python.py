"""Cohere's official client against simulated providers of every protocol."""
import json

import pytest

from lib.process import canary
from lib.sdk import ASK, NO_INPUT, PIXEL_URL, WEATHER_INPUT, newest_request, openai_tool

cohere = pytest.importorskip("cohere", reason="cohere is not installed; ./dev test installs it")

TOOLS = [openai_tool("get_weather", WEATHER_INPUT), openai_tool("get_time", NO_INPUT)]
PROVIDERS = ("cohere", "chat", "claude", "google", "llama", "bedrock", "responses")


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
            "cohere": {"wire": "cohere-v2", "base_url": mock.url + "/v2"}, "responses": mock.provider("openai-responses")}})
    gateway.key = key
    return gateway


@pytest.fixture
def client(gateway):
    return cohere.ClientV2(api_key=gateway.key, base_url=gateway.url)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_stream_says_the_same_as_a_whole_answer(client, provider):
    asking = {"model": f"{provider}/mock;tokens=12", "messages": ASK}
    whole = client.chat(**asking)
    assert whole.finish_reason == "COMPLETE" and whole.usage.tokens.output_tokens == 12
    events = list(client.chat_stream(**asking))
    text = "".join(e.delta.message.content.text for e in events if e.type == "content-delta")
    assert text == whole.message.content[0].text
    assert events[-1].type == "message-end" and events[-1].delta.finish_reason == "COMPLETE"
    assert events[-1].delta.usage.tokens.output_tokens == 12


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_calls_are_answered(client, provider, stream):
    asking = {"model": f"{provider}/mock;tools=2", "tools": TOOLS}
    if stream:
        events = list(client.chat_stream(messages=ASK, **asking))
        calls = [{"id": e.delta.message.tool_calls.id, "type": "function", "function": {
            "name": e.delta.message.tool_calls.function.name, "arguments": ""}} for e in events if e.type == "tool-call-start"]
        for event in events:
            if event.type == "tool-call-delta":
                calls[event.index]["function"]["arguments"] += event.delta.message.tool_calls.function.arguments
        assert events[-1].delta.finish_reason == "TOOL_CALL"
        said = {"role": "assistant", "tool_calls": calls}
    else:
        answer = client.chat(messages=ASK, **asking)
        assert answer.finish_reason == "TOOL_CALL"
        said = answer.message
        calls = [call.model_dump() for call in said.tool_calls]
    assert [call["function"]["name"] for call in calls] == ["get_weather", "get_time"]
    assert set(json.loads(calls[0]["function"]["arguments"])) == {"city", "days"}
    results = [{"role": "tool", "tool_call_id": call["id"], "content": [{"type": "document", "document": {"data": "mild"}}]}
               for call in calls]
    assert client.chat(messages=[*ASK, said, *results], **asking).message.content[0].text


@pytest.mark.parametrize("provider", PROVIDERS)
def test_schemas_and_pictures_arrive(client, provider):
    schema = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
    answer = client.chat(model=f"{provider}/mock", messages=[{"role": "user", "content": "Ann is 5"}],
                         response_format={"type": "json_object", "schema": schema})
    assert set(json.loads(answer.message.content[0].text)) == {"name"}
    look = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": PIXEL_URL}}]
    assert client.chat(model=f"{provider}/mock", messages=[{"role": "user", "content": look}]).message.content


def test_documents_arrive(client, mock):
    client.chat(model="cohere/mock", messages=[{"role": "user", "content": "with documents"}],
                documents=[{"data": {"title": "t", "snippet": "moss is green"}}])
    assert "moss is green" in json.dumps(newest_request(mock, "with documents"))


@pytest.mark.parametrize("provider", ("cohere", "chat", "claude", "responses"))
def test_thoughts_are_blocks_of_the_content(client, provider):
    answer = client.chat(model=f"{provider}/mock;reasoning=5", messages=ASK, thinking={"type": "enabled"})
    assert [block.type for block in answer.message.content] == ["thinking", "text"]


def test_models_are_listed(client):
    assert {m.name.split("/")[0] for m in client.models.list().models} >= {"cohere", "claude"}


def test_errors_have_their_status(client):
    with pytest.raises(cohere.NotFoundError) as missing:
        client.chat(model="nowhere/x", messages=ASK)
    assert "nowhere/x" in missing.value.body["message"]
    with pytest.raises(cohere.TooManyRequestsError):
        client.chat(model="chat/mock;fault=429", messages=ASK, request_options={"max_retries": 0})
