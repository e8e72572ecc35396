"""What the official clients put on top of the protocols: loops over tools, parsed answers, accumulating streams,
raw answers; and conversations that move from one protocol's model to the other's."""
import json

import anthropic
import openai
import pydantic
import pytest

from lib.process import CANARY
from lib.sdk import ASK, Event, newest_request

PROVIDERS = ("anthropic", "openai")


@pytest.fixture(scope="module")
def mock(make_shared):
    return make_shared.mock()


@pytest.fixture(scope="module")
def gateway(make_shared, mock):
    return make_shared.gateway({"providers": {
        "anthropic": mock.provider("anthropic-messages"), "openai": mock.provider(),
        "picky": mock.provider(quirks=["no_stream_options", "max_tokens", "no_developer"])}})


@pytest.fixture
def speak_anthropic(gateway):
    with gateway.anthropic() as client:
        yield client


@pytest.fixture
def speak_openai(gateway):
    with gateway.openai() as client:
        yield client


class Weather(pydantic.BaseModel):
    """The weather somewhere"""
    city: str
    days: int


# --- Anthropic's client ---

@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_tool_runner_runs_until_the_model_is_done(speak_anthropic, provider, stream):
    """It asks for a thread first, that its provider keeps; told that there is none it sends all messages."""
    ran = []

    @anthropic.beta_tool
    def look_outside(city: str, days: int) -> str:
        """The weather somewhere

        Args:
            city: where
            days: how long
        """
        ran.append((city, days))
        return "sunny"

    runner = speak_anthropic.beta.messages.tool_runner(
        model=f"{provider}/mock;tools=2", max_tokens=500, messages=ASK, tools=[look_outside], stream=stream)
    last = runner.until_done()
    assert len(ran) == 2 and all(isinstance(city, str) and isinstance(days, int) for city, days in ran)
    assert last.stop_reason == "end_turn" and last.content[0].text


@pytest.mark.parametrize("provider", PROVIDERS)
def test_an_incomplete_conversation_is_not_answered(speak_anthropic, provider):
    """The rest of it is kept by another provider, or by nobody."""
    with pytest.raises(anthropic.BadRequestError) as e:
        speak_anthropic.beta.messages.create(model=f"{provider}/mock", max_tokens=50, messages=ASK,
                                             thread={"type": "continue", "previous_message_id": "msg_1"})
    assert e.value.error_code == "thread_unsupported_request" and "thread" in e.value.message


def test_a_lost_anthropic_thread_is_reported_so_that_the_client_starts_another(make):
    """What the SDK acts upon stands in the details of the error; they reach it."""
    seen = []

    def handler(conn):
        asked = conn.request.json()
        seen.append(asked)
        if asked["thread"]["type"] == "continue":
            status, body = 404, {"type": "error", "error": {
                "type": "not_found_error", "message": "no such thread", "details": {"error_code": "thread_not_found"}}}
        else:
            status, body = 200, {"id": f"msg_{len(seen)}", "type": "message", "role": "assistant", "model": "m",
                                 "content": [{"type": "text", "text": "ok"}], "stop_reason": "end_turn",
                                 "stop_sequence": None, "usage": {"input_tokens": 1, "output_tokens": 1}}
        body = json.dumps(body).encode()
        conn.head(status, "application/json", len(body))
        conn.send(body, None)
    upstream = make.upstream(handler)
    gateway = make.gateway({"providers": {"anthropic": upstream.provider("anthropic-messages")}})
    with gateway.anthropic() as client:
        thread = client.beta.messages.thread(model="anthropic/m", max_tokens=50)
        assert thread.send({"role": "user", "content": "one"}).id == "msg_1"
        assert thread.send({"role": "user", "content": "two"}).id == "msg_3"
    assert [a["thread"]["type"] for a in seen] == ["create", "continue", "create"]
    assert [m["role"] for m in seen[2]["messages"]] == ["user", "assistant", "user"]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_beta_client_parses_and_accumulates(speak_anthropic, provider):
    parsed = speak_anthropic.beta.messages.parse(model=f"{provider}/mock", max_tokens=500, messages=ASK,
                                                 output_format=Event)
    assert isinstance(parsed.parsed_output, Event)
    with speak_anthropic.beta.messages.stream(model=f"{provider}/mock;reasoning=5;tokens=20", max_tokens=3000,
                                              messages=ASK,
                                              thinking={"type": "enabled", "budget_tokens": 1500}) as stream:
        kinds = [event.type for event in stream]
        last = stream.get_final_message()
    assert [b.type for b in last.content] == ["thinking", "text"]
    assert kinds.index("thinking") < kinds.index("text") and kinds[-1] == "message_stop"


@pytest.mark.parametrize("provider", PROVIDERS)
def test_anthropic_s_raw_answers_are_accessible(speak_anthropic, gateway, provider):
    asking = {"model": f"{provider}/mock", "max_tokens": 50, "messages": ASK}
    raw = speak_anthropic.messages.with_raw_response.create(**asking)
    assert raw.status_code == 200 and raw.parse().content[0].text
    assert gateway.access_of(raw)["status"] == 200
    with speak_anthropic.messages.with_streaming_response.create(**asking, stream=True) as raw:
        lines = list(raw.iter_lines())
    assert lines[0] == "event: message_start" and "event: message_stop" in lines


# --- OpenAI's client ---

@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_openai_helper_parses_the_calls_of_a_stream(speak_openai, provider):
    with speak_openai.chat.completions.stream(
            model=f"{provider}/mock;tools=2", messages=ASK, tools=[openai.pydantic_function_tool(Weather)],
            stream_options={"include_usage": True}) as stream:
        done = [event for event in stream if event.type == "tool_calls.function.arguments.done"]
        last = stream.get_final_completion()
    calls = last.choices[0].message.tool_calls
    assert [e.index for e in done] == [0, 1] and len(calls) == 2
    assert all(isinstance(c.function.parsed_arguments, Weather) for c in calls)
    assert all(isinstance(e.parsed_arguments, Weather) for e in done)
    assert last.choices[0].finish_reason == "tool_calls" and last.usage.total_tokens > 0


@pytest.mark.parametrize("provider", PROVIDERS)
def test_openai_s_raw_answers_are_accessible(speak_openai, gateway, provider):
    asking = {"model": f"{provider}/mock", "messages": ASK}
    raw = speak_openai.chat.completions.with_raw_response.create(**asking)
    assert raw.status_code == 200 and raw.parse().choices[0].message.content
    assert gateway.access_of(raw)["status"] == 200
    with speak_openai.chat.completions.with_streaming_response.create(**asking, stream=True) as raw:
        lines = [line for line in raw.iter_lines() if line.startswith("data:")]
    assert lines[-1] == "data: [DONE]" and not any(json.loads(line[5:]).get("usage") for line in lines[:-1])


def test_thinking_requested_as_anthropic_documents_for_openai_clients_works(speak_openai, mock):
    speak_openai.chat.completions.create(
        model="anthropic/mock", max_tokens=4000, messages=[{"role": "user", "content": f"{CANARY} budget-extra"}],
        extra_body={"thinking": {"type": "enabled", "budget_tokens": 2000}})
    assert newest_request(mock, "budget-extra")["thinking"] == {"type": "enabled", "budget_tokens": 2000}


# --- conversations that move ---

@pytest.mark.parametrize("stream", [False, True])
def test_thinking_does_not_cross_protocols(speak_openai, mock, stream):
    """The answer's message is put back as the client gives it, thoughts and all, and another model goes on."""
    asking = {"model": "anthropic/mock;reasoning=5;tokens=8", "messages": ASK, "max_tokens": 4000,
              "reasoning_effort": "low"}
    if stream:
        with speak_openai.chat.completions.stream(**asking) as events:
            message = events.get_final_completion().choices[0].message.to_dict()
    else:
        message = speak_openai.chat.completions.create(**asking).choices[0].message.to_dict()
    message.pop("parsed", None)
    assert message["reasoning_content"] and message["reasoning_details"][0]["signature"]
    mark = f"moved-on-{stream}"
    history = [*ASK, message, {"role": "user", "content": mark}]
    speak_openai.chat.completions.create(model="openai/mock", messages=history)
    assert newest_request(mock, mark)["messages"][1] == \
        {k: v for k, v in message.items() if k not in ("reasoning_content", "reasoning_details")}
    speak_openai.chat.completions.create(**{**asking, "messages": history})
    back = newest_request(mock, mark)["messages"][1]["content"]
    assert [b["type"] for b in back] == ["thinking", "text"]
    assert (back[0]["thinking"], back[0]["signature"]) == \
        (message["reasoning_content"], message["reasoning_details"][0]["signature"])


def test_a_long_conversation_across_providers_keeps_only_the_right_thinking(speak_anthropic, mock):
    """More turns of another model's than there are edits in place; one of them is nothing but a thought."""
    thought = {"type": "thinking", "thinking": "hm", "signature": ""}
    history = []
    for i in range(100):
        said = [thought] if i == 50 else [thought, {"type": "text", "text": f"answer {i}"}]
        history += [{"role": "user", "content": f"question {i}"}, {"role": "assistant", "content": said}]
    history.append({"role": "user", "content": "home again"})
    answer = speak_anthropic.messages.create(model="anthropic/mock", max_tokens=50, messages=history)
    assert answer.content[0].text
    sent = newest_request(mock, "home again")["messages"]
    assert len(sent) == 200 and "thinking" not in json.dumps(sent)
    assert sent[1]["content"] == [{"type": "text", "text": "answer 0"}]


def test_stream_options_are_not_sent_to_hosts_that_refuse_them(speak_openai, mock):
    mark = "picky-stream"
    chunks = list(speak_openai.chat.completions.create(
        model="picky/mock", stream=True, stream_options={"include_usage": True}, max_completion_tokens=9,
        messages=[{"role": "developer", "content": "Be brief."}, {"role": "user", "content": mark}]))
    assert chunks[-1].choices[0].finish_reason if chunks[-1].choices else chunks[-1].usage
    sent = newest_request(mock, mark)
    assert "stream_options" not in sent and "max_completion_tokens" not in sent
    assert (sent["max_tokens"], sent["messages"][0]["role"]) == (9, "system")
