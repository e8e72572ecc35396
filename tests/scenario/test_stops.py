"""Stop sequences that a provider cannot be told: the gateway ends the answer's text at them."""
import json

import pytest

from lib.said import Said

WIRES = ("openai-chat", "anthropic-messages")
MANY = ["one", "two", "three", "four", "five!", "six"]


@pytest.fixture(scope="module")
def mock(make_shared):
    return make_shared.mock()


@pytest.fixture(scope="module")
def gateway(make_shared, mock):
    return make_shared.gateway({"providers": {w: mock.provider(w) for w in WIRES}})


def ask(gateway, caller, provider, text, stop, stream):
    """What a caller sees of an answer that is `text`, and the answer."""
    body = {"model": f"{provider}/mock;echo;event-tokens=1", "messages": [{"role": "user", "content": text}], "stream": stream}
    if caller == "anthropic-messages":
        body |= {"max_tokens": 500, "stop_sequences": stop}
    else:
        body["stop"] = stop
    path = "/v1/messages" if caller == "anthropic-messages" else "/v1/chat/completions"
    answer = gateway.post(path, body)
    assert answer.status_code == 200, answer.text
    return Said.of(caller, answer.content, stream), answer


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("caller, provider, stop, sent, text, told", [
    ("openai-chat", "anthropic-messages", ["\n\n"], None, "First part.\n\nSecond part.", "First part."),
    ("openai-chat", "anthropic-messages", ["\n", "END"], ["END"], "First part.\nSecond END", "First part."),
    ("openai-chat", "anthropic-messages", ["\n\n\n"], None, "First part.\n\nSecond part.", "First part.\n\nSecond part."),
    ("anthropic-messages", "openai-chat", MANY, MANY[:4], "zero five five! six", "zero five "),
])
def test_the_text_ends_where_it_should(gateway, mock, caller, provider, stop, sent, text, told, stream):
    said, answer = ask(gateway, caller, provider, text, stop, stream)
    asked = mock.last_request()["json"]
    assert asked.get("stop", asked.get("stop_sequences")) == sent
    assert (said.text, said.finish, said.complete) == (told, "stop", True)
    assert "stop" not in answer.headers.get("x-openclaw-dropped", "")
    if caller == "anthropic-messages" and not stream:
        doc = json.loads(answer.content)
        assert doc["stop_reason"] == "stop_sequence" and doc["stop_sequence"] in stop


@pytest.fixture(scope="module")
def responses(make_shared):
    """A provider of Responses, which knows no stop sequences."""
    def echo(conn):
        asked = conn.request.json()
        said = asked["input"] if isinstance(asked["input"], str) else asked["input"][-1]["content"]
        said = said if isinstance(said, str) else said[0]["text"]
        conn.answer(200, {"id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": "m", "output": [
            {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
             "content": [{"type": "output_text", "text": said, "annotations": []}]}],
            "usage": {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}})
    upstream = make_shared.upstream(echo)
    return make_shared.gateway({"providers": {"openai-responses": upstream.provider("openai-responses")}}), upstream


def test_a_protocol_without_stop_sequences_has_them_all_the_same(responses):
    gateway, upstream = responses
    said, answer = ask(gateway, "anthropic-messages", "openai-responses", "zero two five", MANY, False)
    assert "stop" not in upstream.last_request().json()
    assert (said.text, said.finish) == ("zero ", "stop")
    assert "stop" not in answer.headers.get("x-openclaw-dropped", "")


def test_more_than_can_be_cut_is_said_to_be_lost(responses):
    said, answer = ask(responses[0], "anthropic-messages", "openai-responses", "x", ["s" * 300], False)
    assert said.text == "x" and answer.headers["x-openclaw-dropped"] == "stop_sequences"
