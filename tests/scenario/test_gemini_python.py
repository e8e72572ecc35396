"""Google's official client for Python against simulated providers of its own protocol and of others, and the official
clients of OpenAI and Anthropic against a simulated Gemini."""
import json

import pytest
from google import genai
from google.genai import errors, types

from lib.process import canary
from lib.sdk import ASK, NO_INPUT, WEATHER_INPUT, newest_request, openai_tool

TOOL = types.Tool(function_declarations=[types.FunctionDeclaration(
    name="get_weather", description="The weather somewhere", parameters_json_schema=WEATHER_INPUT)])
SCHEMA = {"type": "OBJECT", "properties": {"name": {"type": "STRING"}, "age": {"type": "INTEGER"}}, "required": ["name", "age"]}


@pytest.fixture(scope="module")
def mock(make_shared):
    return make_shared.mock()


@pytest.fixture(scope="module")
def gateway(make_shared, mock):
    key = canary("client")
    gateway = make_shared.gateway({
        "auth": {"keys": [{"name": "tester", "key": key}]},
        "providers": {"google": {"base_url": mock.url + "/v1beta", "api_key": "k"}, "openai": mock.provider(),
                      "anthropic": mock.provider("anthropic-messages"), "ollama": mock.provider("ollama")}})
    gateway.key = key
    return gateway


@pytest.fixture(params=["v1", "v1beta"])
def client(gateway, request):
    return genai.Client(api_key=gateway.key, http_options={"base_url": gateway.url, "api_version": request.param})


@pytest.fixture(params=["google", "gemini", "openai", "anthropic", "ollama"])
def provider(request):
    """The provider of the model; the client's protocol is the same in all of these tests."""
    return request.param


def test_an_answer_has_its_text_and_counts(client, provider):
    answer = client.models.generate_content(model=f"{provider}/mock;tokens=12", contents="Hi")
    assert answer.text and answer.candidates[0].finish_reason == types.FinishReason.STOP
    assert answer.usage_metadata.candidates_token_count == 12
    assert answer.usage_metadata.total_token_count == answer.usage_metadata.prompt_token_count + 12


def test_a_stream_ends_with_its_reason_and_counts(client, provider):
    chunks = list(client.models.generate_content_stream(model=f"{provider}/mock;tokens=12", contents="Hi"))
    assert "".join(chunk.text or "" for chunk in chunks)
    assert chunks[-1].candidates[0].finish_reason == types.FinishReason.STOP
    assert chunks[-1].usage_metadata.candidates_token_count == 12


def test_a_call_is_answered(client, provider):
    config = types.GenerateContentConfig(tools=[TOOL])
    ask = types.Content(role="user", parts=[types.Part(text="Weather?")])
    answer = client.models.generate_content(model=f"{provider}/mock;tools=1", contents=[ask], config=config)
    call = answer.function_calls[0]
    assert call.name == "get_weather" and isinstance(call.args, dict)
    result = types.FunctionResponse(id=call.id, name=call.name, response={"result": "mild"})
    back = types.Content(role="user", parts=[types.Part(function_response=result)])
    answer = client.models.generate_content(model=f"{provider}/mock", contents=[ask, answer.candidates[0].content, back],
                                            config=config)
    assert answer.text


def test_an_answer_follows_a_schema(client, provider):
    answer = client.models.generate_content(model=f"{provider}/mock", contents="Ann is 5", config=types.GenerateContentConfig(
        response_mime_type="application/json", response_schema=SCHEMA))
    assert set(answer.parsed) == {"name", "age"}


def test_tokens_are_counted_and_models_listed(client):
    assert client.models.count_tokens(model="gemini/mock", contents="Hi there").total_tokens > 0
    assert client.models.get(model="gemini/gemini-2.5-pro").name == "models/gemini/gemini-2.5-pro"
    assert all(model.name.startswith("models/") for model in client.models.list())


def test_errors_have_their_status(client):
    with pytest.raises(errors.ClientError) as unknown:
        client.models.generate_content(model="nowhere/x", contents="Hi")
    assert (unknown.value.code, unknown.value.status) == (404, "NOT_FOUND")
    with pytest.raises(errors.APIError) as limited:
        client.models.generate_content(model="google/mock;fail=429", contents="Hi")
    assert limited.value.status in ("RESOURCE_EXHAUSTED", "INVALID_ARGUMENT")


# --- others' callers ---

def sent_for(mock, mark):
    """The contents and the functions of the newest request that holds this text, as the provider got it."""
    body = newest_request(mock, mark)
    return body["contents"], [f["name"] for tool in body.get("tools", []) for f in tool["functionDeclarations"]]


def test_openai_s_client_gets_text_whole_and_in_a_stream(gateway):
    asking = {"model": "google/mock;tokens=12", "messages": ASK}
    with gateway.openai() as client:
        whole = client.chat.completions.create(**asking)
        chunks = list(client.chat.completions.create(**asking, stream=True, stream_options={"include_usage": True}))
    assert whole.choices[0].finish_reason == "stop" and whole.usage.completion_tokens == 12
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text and text == whole.choices[0].message.content
    assert chunks[-1].usage == whole.usage


@pytest.mark.parametrize("stream", [False, True])
def test_openai_s_client_runs_a_tool_loop(gateway, mock, stream):
    mark = f"openai-to-gemini-{stream}"
    tools = [openai_tool("get_weather", WEATHER_INPUT), openai_tool("get_time", NO_INPUT)]
    messages = [*ASK, {"role": "user", "content": mark}]
    with gateway.openai() as client:
        asking = {"model": "google/mock;tools=2", "messages": messages, "tools": tools}
        if stream:
            with client.chat.completions.stream(**asking) as events:
                choice = events.get_final_completion().choices[0]
        else:
            choice = client.chat.completions.create(**asking).choices[0]
        calls = choice.message.tool_calls
        assert choice.finish_reason == "tool_calls" and [c.function.name for c in calls] == ["get_weather", "get_time"]
        assert set(json.loads(calls[0].function.arguments)) == {"city", "days"} and len({c.id for c in calls}) == 2
        messages += [choice.message.model_dump(exclude_none=True, exclude={"parsed"})]
        messages += [{"role": "tool", "tool_call_id": c.id, "content": f"{mark}-{c.function.name}"} for c in reversed(calls)]
        assert client.chat.completions.create(model="google/mock", messages=messages, tools=tools).choices[0].message.content
    contents, functions = sent_for(mock, f"{mark}-get_time")
    assert functions == ["get_weather", "get_time"] and [c["role"] for c in contents] == ["user", "model", "user"]
    results = [part["functionResponse"] for part in contents[-1]["parts"]]
    assert {r["name"] for r in results} == {"get_weather", "get_time"}
    assert all(f"{mark}-{r['name']}" in json.dumps(r["response"]) for r in results), "each call has its own result"


def test_anthropic_s_client_gets_text_whole_and_in_a_stream(gateway):
    asking = {"model": "google/mock;tokens=12", "messages": ASK, "max_tokens": 100}
    with gateway.anthropic() as client:
        whole = client.messages.create(**asking)
        with client.messages.stream(**asking) as stream:
            text, final = "".join(stream.text_stream), stream.get_final_message()
    assert whole.stop_reason == final.stop_reason == "end_turn"
    assert whole.usage.output_tokens == final.usage.output_tokens == 12
    assert text and text == whole.content[0].text == final.content[0].text


@pytest.mark.parametrize("stream", [False, True])
def test_anthropic_s_client_runs_a_tool_loop(gateway, mock, stream):
    mark = f"anthropic-to-gemini-{stream}"
    tools = [{"name": "get_weather", "input_schema": WEATHER_INPUT}, {"name": "get_time", "input_schema": NO_INPUT}]
    messages = [{"role": "user", "content": mark}]
    with gateway.anthropic() as client:
        asking = {"model": "google/mock;tools=2", "max_tokens": 500, "messages": messages, "tools": tools}
        if stream:
            with client.messages.stream(**asking) as events:
                answer = events.get_final_message()
        else:
            answer = client.messages.create(**asking)
        calls = [block for block in answer.content if block.type == "tool_use"]
        assert answer.stop_reason == "tool_use" and [c.name for c in calls] == ["get_weather", "get_time"]
        assert set(calls[0].input) == {"city", "days"} and len({c.id for c in calls}) == 2
        results = [{"type": "tool_result", "tool_use_id": c.id, "content": f"{mark}-{c.name}"} for c in calls]
        messages += [{"role": "assistant", "content": answer.content}, {"role": "user", "content": results}]
        assert client.messages.create(model="google/mock", max_tokens=500, messages=messages, tools=tools).content[0].text
    contents, functions = sent_for(mock, f"{mark}-get_time")
    assert functions == ["get_weather", "get_time"] and [c["role"] for c in contents] == ["user", "model", "user"]
    assert [part["functionResponse"]["name"] for part in contents[-1]["parts"]] == ["get_weather", "get_time"]
