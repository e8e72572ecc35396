"""The harness itself notices what it is there to notice."""
import pytest

from lib import process, raw, sse
from lib.process import CANARY

MESSAGES = [{"role": "user", "content": "Hello"}]


def test_a_gateway_answers_and_logs_a_line(make):
    mock = make.mock()
    gateway = make.gateway({"providers": {"lab": mock.provider()}})
    answer = gateway.chat("lab/some-model")
    assert answer.status_code == 200, answer.text
    line = gateway.access_of(answer)
    assert (line["status"], line["provider"], line["model"]) == (200, "lab", "some-model")
    assert mock.stats()["completed"] == 1
    assert mock.last_request()["json"]["model"] == "some-model"


def test_a_leaked_secret_is_noticed(make):
    mock = make.mock()
    gateway = make.gateway({"providers": {"lab": mock.provider()}})
    (gateway.directory / "planted.log").write_text(f"the key is {CANARY}provider-1234")
    with pytest.raises(AssertionError, match="a secret stands in planted.log"):
        gateway.close()
    gateway.checks = False


def test_an_abnormal_exit_is_noticed(make):
    gateway = make.gateway({"providers": {"lab": {"wire": "openai-chat", "base_url": "http://127.0.0.1:9/v1"}}})
    gateway.program.kill()
    with pytest.raises(AssertionError, match="gateway ended with -9"):
        gateway.close()
    gateway.checks = False


def test_a_client_s_key_sent_to_the_provider_is_noticed(make):
    upstream = make.upstream(lambda conn: conn.answer(200, {}))
    client = raw.RawClient(upstream.address)
    client.send(raw.request("GET", "/", headers={"X-Key": process.canary("client")}))
    assert client.read().status == 200
    with pytest.raises(AssertionError, match="a caller's key went on"):
        upstream.close()
    upstream.requests.clear()


@pytest.mark.parametrize("stream, expected", [
    (b"data: a\n\ndata: b\n\n", ["a", "b"]),
    (b"data: a\r\n\r\n: hush\r\n\r\ndata:b\r\ndata: c\r\n\r\n", ["a", "b\nc"]),
    (b"event: x\rdata: a\r\rdata: b", ["a", "b"]),
])
def test_frames_are_split_and_rejoin_to_the_stream(stream, expected):
    assert sse.data(stream) == expected
    assert b"".join(f.raw for f in sse.frames(stream)) == stream
