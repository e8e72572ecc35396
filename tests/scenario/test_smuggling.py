"""Requests that two servers might parse differently: each is refused with 400 and the connection is closed.

Every row is sent at once and one byte at a time, followed by a second request that must never be answered.
"""
import re

import pytest

from lib.process import PATIENCE

BODY = b'{"model":"lab/mock-gpt","messages":[{"role":"user","content":"Hello"}]}'
N = len(BODY)
KEY = "KEY"        # replaced by the gateway's


def post(*fields, body=BODY, line=b"POST /v1/chat/completions HTTP/1.1", host=b"Host: a"):
    """A chat request with these field lines in place of its framing."""
    lines = [line, host, b"Authorization: Bearer KEY", b"Content-Type: application/json",
             *[f.encode("latin-1") if isinstance(f, str) else f for f in fields]]
    return b"\r\n".join(x for x in lines if x is not None) + b"\r\n\r\n" + body


def chunked(data, field="Transfer-Encoding: chunked"):
    """A chat request with this chunked body."""
    return post(field, body=data)


CHUNK = b"%x\r\n%b\r\n" % (N, BODY)
LENGTH = f"Content-Length: {N}"

REFUSED = {
    # two lengths, or one that is none
    "a length and chunks": post(LENGTH, "Transfer-Encoding: chunked", body=CHUNK + b"0\r\n\r\n"),
    "chunks and a length": post("Transfer-Encoding: chunked", LENGTH, body=CHUNK + b"0\r\n\r\n"),
    "a length of 0 and chunks": post("Content-Length: 0", "Transfer-Encoding: chunked", body=CHUNK + b"0\r\n\r\n"),
    "two equal lengths": post(LENGTH, LENGTH),
    "two different lengths": post(LENGTH, "Content-Length: 3"),
    "a list of lengths": post(f"Content-Length: {N}, {N}"),
    "a signed length": post(f"Content-Length: +{N}"),
    "a negative length": post("Content-Length: -1"),
    "a length with a space": post("Content-Length: 1 0"),
    "a hexadecimal length": post(f"Content-Length: {N:#x}"),
    "a length with a letter": post(f"Content-Length: {N}a"),
    "an empty length": post("Content-Length:"),
    "a fractional length": post(f"Content-Length: {N}.0"),
    "a length beyond 64 bits": post("Content-Length: 18446744073709551617"),
    "a length beyond 63 bits": post("Content-Length: 9223372036854775808"),
    # encodings
    "an unknown encoding": chunked(CHUNK, "Transfer-Encoding: xchunked"),
    "chunked twice": chunked(CHUNK, "Transfer-Encoding: chunked, chunked"),
    "two encoding fields": post("Transfer-Encoding: chunked", "Transfer-Encoding: chunked", body=CHUNK),
    "two encoding fields, one of them identity": post("Transfer-Encoding: identity", "Transfer-Encoding: chunked",
                                                      body=CHUNK),
    "gzip and chunked": chunked(CHUNK, "Transfer-Encoding: gzip, chunked"),
    "identity": chunked(CHUNK, "Transfer-Encoding: identity"),
    "an empty encoding": chunked(CHUNK, "Transfer-Encoding:"),
    "chunked with a parameter": chunked(CHUNK, "Transfer-Encoding: chunked;q=1"),
    "chunked in quotes": chunked(CHUNK, 'Transfer-Encoding: "chunked"'),
    "chunked behind a vertical tab": chunked(CHUNK, "Transfer-Encoding: \x0bchunked"),
    "chunked before a NUL": chunked(CHUNK, "Transfer-Encoding: chunked\0"),
    "chunked in HTTP/1.0": post("Transfer-Encoding: chunked", body=CHUNK + b"0\r\n\r\n",
                                line=b"POST /v1/chat/completions HTTP/1.0"),
    # field lines
    "a space before the colon": post(f"Content-Length : {N}"),
    "a tab before the colon": chunked(CHUNK, "Transfer-Encoding\t: chunked"),
    "a folded field": post("X-A: a\r\n b", LENGTH),
    "a folded encoding": post("Transfer-Encoding:\r\n chunked", body=CHUNK),
    "an indented first field": post(LENGTH, host=b" Host: a"),
    "a field without a colon": post("X-Nothing", LENGTH),
    "a field without a name": post(": value", LENGTH),
    "a field name with a space": post("X Y: z", LENGTH),
    "a field name in brackets": post("(X): z", LENGTH),
    "a field name beyond ASCII": post("X-\xe4: z", LENGTH),
    "a NUL in a value": post("X-A: a\0b", LENGTH),
    "a control character in a value": post("X-A: a\x07b", LENGTH),
    "a carriage return in a value": post("X-A: a\rTransfer-Encoding: chunked", LENGTH),
    "a carriage return before the line's end": post("X-A: a\r", LENGTH),
    "a line feed alone": post(b"X-A: a\nX-B: b", LENGTH),
    "line feeds only": post(LENGTH).replace(b"\r\n", b"\n"),
    "a line feed alone at the head's end": post(LENGTH, body=b"").removesuffix(b"\r\n") + b"\n" + BODY,
    # hosts
    "no host": post(LENGTH, host=None),
    "two hosts": post("Host: b", LENGTH),
    "a list of hosts": post(LENGTH, host=b"Host: a, b"),
    "a host with a path": post(LENGTH, host=b"Host: a/b"),
    "a host with a user": post(LENGTH, host=b"Host: user@a"),
    "a host with a bad port": post(LENGTH, host=b"Host: a:8x"),
    # request lines
    "HTTP/0.9": b"GET /livez\r\n",
    "HTTP/2.0": post(LENGTH, line=b"POST /v1/chat/completions HTTP/2.0"),
    "HTTP/1.2": post(LENGTH, line=b"POST /v1/chat/completions HTTP/1.2"),
    "HTTP/1.10": post(LENGTH, line=b"POST /v1/chat/completions HTTP/1.10"),
    "http/1.1": post(LENGTH, line=b"POST /v1/chat/completions http/1.1"),
    "two spaces behind the method": post(LENGTH, line=b"POST  /v1/chat/completions HTTP/1.1"),
    "a tab behind the method": post(LENGTH, line=b"POST\t/v1/chat/completions HTTP/1.1"),
    "a space in the target": post(LENGTH, line=b"POST /v1/chat/completions x HTTP/1.1"),
    "a method in brackets": post(LENGTH, line=b"(POST) /v1/chat/completions HTTP/1.1"),
    "a fragment in the target": post(LENGTH, line=b"POST /v1/chat/completions#x HTTP/1.1"),
    "bytes beyond ASCII in the target": post(LENGTH, line=b"POST /v1/chat/\xc3\xa4 HTTP/1.1"),
    "a NUL in the target": post(LENGTH, line=b"POST /v1/chat/\0 HTTP/1.1"),
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "the hello of TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(40),
    # chunks
    "a chunk size with 0x": chunked(b"0x%x\r\n%b\r\n0\r\n\r\n" % (N, BODY)),
    "a chunk size with an underscore": chunked(b"0_2e\r\n%b\r\n0\r\n\r\n" % BODY),
    "a signed chunk size": chunked(b"+%x\r\n%b\r\n0\r\n\r\n" % (N, BODY)),
    "a negative chunk size": chunked(b"-1\r\n%b\r\n0\r\n\r\n" % BODY),
    "a chunk size behind a space": chunked(b" %x\r\n%b\r\n0\r\n\r\n" % (N, BODY)),
    "a chunk size before a space": chunked(b"%x \r\n%b\r\n0\r\n\r\n" % (N, BODY)),
    "no chunk size": chunked(b"\r\n%b\r\n0\r\n\r\n" % BODY),
    "a chunk size that is none": chunked(b"zz\r\n%b\r\n0\r\n\r\n" % BODY),
    "a chunk size beyond 64 bits": chunked(b"1" + b"0" * 16 + b"\r\n%b\r\n0\r\n\r\n" % BODY),
    "a chunk line that ends with a line feed": chunked(b"%x\n%b\r\n0\r\n\r\n" % (N, BODY)),
    "a line feed in a chunk extension": chunked(b"%x;a=\n\r\n%b\r\n0\r\n\r\n" % (N, BODY)),
    "a carriage return before a chunk extension": chunked(b"%x\r;a=b\r\n%b\r\n0\r\n\r\n" % (N, BODY)),
    "a NUL in a chunk extension": chunked(b"%x;a=\0\r\n%b\r\n0\r\n\r\n" % (N, BODY)),
    "an endless chunk extension": chunked(b"%x;%b\r\n%b\r\n0\r\n\r\n" % (N, b"a" * 100000, BODY)),
    "a chunk longer than it says": chunked(b"%x\r\n%b\r\n0\r\n\r\n" % (N - 1, BODY)),
    "a chunk without its line end": chunked(b"%x\r\n%b0\r\n\r\n" % (N, BODY)),
    "a chunk that ends with a line feed": chunked(b"%x\r\n%b\n0\r\n\r\n" % (N, BODY)),
    "a length in the trailers": chunked(CHUNK + b"0\r\nContent-Length: 5\r\n\r\n"),
    "an encoding in the trailers": chunked(CHUNK + b"0\r\nTransfer-Encoding: chunked\r\n\r\n"),
    "a folded trailer": chunked(CHUNK + b"0\r\nX-A: a\r\n b\r\n\r\n"),
    "trailers with line feeds": chunked(CHUNK + b"0\nX-A: a\n\n"),
}

ACCEPTED = {
    "an ordinary request": post(LENGTH),
    "an ordinary chunked request": chunked(CHUNK + b"0\r\n\r\n"),
    "field names in any case": post(f"cOnTeNt-LeNgTh: {N}"),
    "an encoding in any case": chunked(CHUNK + b"0\r\n\r\n", "transfer-encoding: CHUNKED"),
    "spaces around a length": post(f"Content-Length:   {N}  "),
    "spaces and tabs around a value": post(LENGTH, "X-A: \t a \t "),
    "a length with zeros in front": post(f"Content-Length: 000{N}"),
    "chunk sizes in capitals with zeros in front": chunked(b"000%X\r\n%b\r\n000\r\n\r\n" % (N, BODY)),
    "many small chunks": chunked(b"".join(b"1\r\n%c\r\n" % c for c in BODY) + b"0\r\n\r\n"),
    "a harmless trailer": chunked(CHUNK + b"0\r\nX-Checksum: 1\r\n\r\n"),
    "an empty line in front": b"\r\n" + post(LENGTH),
    "bytes beyond ASCII in a value": post("X-Name: J\xf6rg", LENGTH),
    "a host with a port": post(LENGTH, host=b"Host: gateway.example:8080"),
    "a host that is a v6 address": post(LENGTH, host=b"Host: [::1]:8080"),
}

SMUGGLED = b"GET /v1/models/smuggled HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer KEY\r\n\r\n"


@pytest.fixture(scope="module")
def mock(make_shared):
    return make_shared.mock()


@pytest.fixture(scope="module")
def gateway(make_shared, mock):
    return make_shared.gateway({"providers": {"lab": mock.provider()}})


def rows(table):
    return [pytest.param(data, id=name) for name, data in table.items()]


def send(client, data, piece):
    try:
        client.send(data, piece)
    except OSError:
        pass               # refused before its end


@pytest.mark.parametrize("piece", [None, 1], ids=["at-once", "by-bytes"])
@pytest.mark.parametrize("data", rows(REFUSED))
def test_it_is_refused(gateway, mock, data, piece):
    if piece and len(data) > 10000:
        piece = 999
    before = mock.stats()["requests"]
    with gateway.raw() as client:
        send(client, (data + SMUGGLED).replace(b"KEY", gateway.key.encode()), piece)
        answer = client.read()
        assert answer.status == 400, answer
        assert answer.header("connection") == "close"
        error = answer.json()["error"]
        assert error["message"] and error["type"] == "invalid_request_error"
        assert client.closed_by_peer(PATIENCE)
    assert mock.stats()["requests"] == before


@pytest.mark.parametrize("piece", [None, 1], ids=["at-once", "by-bytes"])
@pytest.mark.parametrize("data", rows(ACCEPTED))
def test_it_is_accepted(gateway, data, piece):
    with gateway.raw() as client:
        client.send((data + SMUGGLED).replace(b"KEY", gateway.key.encode()), piece)
        first, second = client.read(), client.read()
        assert first.status == 200, first
        assert second.status == 200 and second.json()["id"] == "smuggled"
        assert not client.closed_by_peer(0.02)


@pytest.mark.parametrize("head, status", [
    (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 431),
    (b"GET /livez HTTP/1.1\r\nHost: a\r\n" + b"X-A: a\r\n" * 101 + b"\r\n", 431),
    (b"GET /livez HTTP/1.1\r\nHost: a\r\nX-A: " + b"a" * 33000 + b"\r\n\r\n", 431),
    (b"GET /livez HTTP/1.1\r\nHost: a\r\nX-A: " + b"a" * 1000000, 431),
], ids=["line", "fields", "value", "endless"])
def test_heads_have_a_limit(gateway, head, status):
    with gateway.raw() as client:
        send(client, head, None)
        answer = client.read()
        assert answer.status == status and answer.header("connection") == "close"
        assert client.closed_by_peer(PATIENCE)


def test_the_upstream_request_is_written_from_scratch(make, gateway):
    """Nothing of the caller's head goes on but what is meant to."""
    upstream = make.upstream(lambda conn: conn.answer(404, {"error": {"message": "no"}}))
    own = make.gateway({"providers": {"lab": upstream.provider()}})
    with own.raw() as client:
        client.send(chunked(CHUNK + b"0\r\n\r\n").replace(
            b"Host: a", b"Host: a\r\nCookie: c=1\r\nX-Forwarded-For: 1.2.3.4\r\nConnection: keep-alive, x-api-key\r\n"
            b"Accept-Encoding: gzip\r\nX-Custom: yes").replace(b"KEY", own.key.encode()))
        assert client.read().status == 404
    got = upstream.last_request()
    names = sorted(n.lower() for n, _ in got.headers)
    assert names == ["accept", "accept-encoding", "authorization", "content-length", "content-type", "host", "traceparent", "user-agent"]
    assert got.header("host") == upstream.host and got.header("accept-encoding") == "identity"
    assert int(got.header("content-length")) == len(got.body)
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", got.header("traceparent"))
