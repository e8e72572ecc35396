"""Google's official client for Python against simulated providers of its own protocol and of others."""
import pytest
from google import genai
from google.genai import errors, types

from lib.process import canary
from lib.sdk import WEATHER_INPUT

TOOL = types.Tool(function_declarations=[types.FunctionDeclaration(
    name="get_weather", description="The weather somewhere", parameters_json_schema=WEATHER_INPUT)])
SCHEMA = {"type": "OBJECT", "properties": {"name": {"type": "STRING"}, "age": {"type": "INTEGER"}}, "required": ["name", "age"]}


@pytest.fixture(scope="module")
def gateway(make_shared):
    mock = make_shared.mock()
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
