"""Compressed request bodies: decompressed within the limits on every route, or refused with the reason."""
import base64
import gzip
import json
import zlib

import pytest

from lib import raw
from lib.ask import CALLERS, PATHS, body_of
from lib.process import wait_until

# 64 MB of the letter a, packed by brotli's own tool.
BR_BOMB = base64.b64decode("z///fwAkwuKxQHLv//n//w+ABEAcFoDu/T////8BkACIwwLQvf/n//8/ABIAcVgAuvf/Aw==")


def bare(data):
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


def brotli(data):
    """Not compressed at all, but in brotli's form: blocks of up to 64 KB as they are."""
    out = b""
    for i in range(0, len(data), 65536):
        piece = data[i:i + 65536]
        if i == 0:      # window of 64 KB: one bit before the first block
            head = (len(piece) - 1) << 4 | 1 << 20
        else:
            head = (len(piece) - 1) << 3 | 1 << 19
        out += head.to_bytes(3, "little") + piece
    return out + b"\x03"


def zstd(data, fill=0):
    """The same for zstd: raw blocks; then `fill` times 128 KB of one letter in four bytes each."""
    blocks = [data[i:i + 65536] for i in range(0, len(data), 65536)]
    out = b"\x28\xb5\x2f\xfd\x00\x58"
    for piece in blocks:
        out += (len(piece) << 3).to_bytes(3, "little") + piece
    for _ in range(fill):
        out += (131071 << 3 | 1 << 1).to_bytes(3, "little") + b"a"
    return out + (1).to_bytes(3, "little")


PACK = {"gzip": lambda d: gzip.compress(d), "x-gzip": lambda d: gzip.compress(d[:9]) + gzip.compress(d[9:]),
        "deflate": zlib.compress, "Deflate": bare, "br": brotli, "zstd": zstd, "identity": bytes, "": bytes}
BOMBS = {"gzip": gzip.compress(b"a" * (64 << 20)), "deflate": zlib.compress(b"a" * (64 << 20)), "br": BR_BOMB,
         "zstd": zstd(b"", 600)}


@pytest.fixture
def mock(make):
    return make.mock()


@pytest.fixture
def gateway(make, mock):
    return make.gateway({"providers": {"lab": mock.provider(), "ant": mock.provider("anthropic-messages")},
                         "default_provider": "lab"})


def post(gateway, path, data, coding, **headers):
    if coding is not None:
        headers["Content-Encoding"] = coding
    return gateway._keeping().post(path, content=data, headers={
        **gateway.authorization(), "Content-Type": "application/json", **headers})


@pytest.mark.parametrize("model", ["lab/m;text=plain-again", "ant/m;text=plain-again"])
@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("coding", PACK)
def test_a_compressed_body_equals_a_plain_one(gateway, mock, coding, caller, model):
    body = body_of(model, padding="p" * 150_000)
    answer = post(gateway, PATHS[caller], PACK[coding](json.dumps(body).encode()), coding)
    assert answer.status_code == 200 and "plain-again" in answer.text, answer.text
    seen = mock.last_request()
    assert "content-encoding" not in seen["headers"]
    assert int(seen["headers"]["content-length"]) > (150_000 if (caller == "openai") == ("lab" in model) else 0)


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_other_routes_accept_compressed_bodies(make, coding):
    seen = []

    def answer(c):
        seen.append(c.request)
        c.answer(200, {"object": "list", "data": []})
    upstream = make.upstream(answer)
    gateway = make.gateway({"providers": {"lab": {"wire": "openai-chat", "base_url": upstream.url}}})
    document = json.dumps({"model": "lab/m", "input": "hello"}).encode()
    for path in ("/v1/embeddings", "/v1/moderations", "/v1/batches"):
        post(gateway, path, PACK[coding](document), coding)
        assert seen[-1].header("content-encoding") is None
        assert json.loads(seen[-1].body)["input"] == "hello"
    form = b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nlab/whisper\r\n--b--\r\n'
    got = post(gateway, "/v1/audio/transcriptions", PACK[coding](form), coding,
               **{"Content-Type": "multipart/form-data; boundary=b"})
    assert got.status_code == 200, got.text
    assert b"\r\n\r\nwhisper\r\n" in seen[-1].body


@pytest.mark.parametrize("coding", ["compress", "gzip, br", "gzip, gzip", "br;q=1", "nonsense", "aws-chunked"])
def test_an_unsupported_coding_is_415_and_lists_the_supported_ones(gateway, coding):
    for path in (*PATHS.values(), "/v1/moderations"):
        answer = post(gateway, path, b"whatever", coding)
        assert answer.status_code == 415, answer.text
        assert answer.headers["accept-encoding"] == "gzip, deflate, br, zstd"
        assert "gzip, deflate, br, zstd" in answer.text


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_a_damaged_body_is_400(gateway, coding):
    packed = PACK[coding](json.dumps(body_of("lab/m")).encode())
    for data in (packed[:-1], packed[:20], packed + b"x", b"{}", b"\0" * 100, b"\xff" * 100):
        answer = post(gateway, PATHS["openai"], data, coding)
        assert answer.status_code == 400 and "corrupt, truncated" in answer.text, (data[:30], answer.text)
    assert post(gateway, PATHS["openai"], packed, coding).status_code == 200


@pytest.mark.parametrize("coding", BOMBS)
def test_a_bomb_is_413_and_leaves_nothing_behind(make, mock, coding):
    gateway = make.gateway({"providers": {"lab": mock.provider()}, "server": {"limits": {"body": "8MB"}}})
    for path in (*PATHS.values(), "/v1/moderations"):
        answer = post(gateway, path, BOMBS[coding], coding)
        assert answer.status_code == 413, answer.text
        assert "decompressed body is larger" in answer.text
    wait_until(lambda: gateway.metrics().value("openclaw_held_bytes") < 1e6, "everything to be given back")
    assert gateway.chat("lab/m").status_code == 200


def test_unpacked_bytes_count_as_held(make, mock):
    """A packed body of a few bytes must not get round limits.held."""
    gateway = make.gateway({"providers": {"lab": mock.provider()},
                            "server": {"limits": {"body": "1MB", "held": "1MB"}}}, workers=1)
    body = gzip.compress(json.dumps(body_of("lab/m;ttft=60000", padding="p" * 900_000)).encode())
    head = gateway.authorization() | {"Content-Encoding": "gzip"}
    clients = []
    for _ in range(4):
        client = gateway.raw()
        client.send(raw.request("POST", PATHS["openai"], body, head))
        clients.append(client)
    wait_until(lambda: gateway.metrics().value("openclaw_held_refused_total") >= 1, "one to be refused")
    assert gateway.metrics().value("openclaw_held_bytes") < 8e6
    for client in clients:
        client.close()
    gateway.idle()
