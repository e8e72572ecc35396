"""Sessions of the Realtime API pass through the gateway as they are, with keys of their own and their usage counted."""
import base64
import json
import os
import re
import socket
import threading
from datetime import datetime, timedelta, timezone

import openai
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Frame, Opcode
from websockets.sync.client import connect
from websockets.sync.server import serve

from lib.admin import AdminApi

USAGE = {"total_tokens": 30, "input_tokens": 20, "output_tokens": 10,
         "input_token_details": {"cached_tokens": 5, "audio_tokens": 8}, "output_token_details": {"audio_tokens": 6}}


class Upstream:
    """A provider with sessions: each `response.create` is answered with a response, anything else is echoed."""

    def __init__(self):
        self.requests = []
        self.closed = threading.Semaphore(0)
        self.server = serve(self.session, "127.0.0.1", 0, select_subprotocol=self.subprotocol, max_size=None)
        self.url = f"http://127.0.0.1:{self.server.socket.getsockname()[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @staticmethod
    def subprotocol(connection, offered):
        return "realtime" if "realtime" in offered else None

    def session(self, connection):
        self.requests.append(connection.request)
        try:
            connection.send(json.dumps({"type": "session.created", "event_id": "e0", "session": {"id": "sess_1", "type": "realtime"}}))
            for message in connection:
                event = json.loads(message) if isinstance(message, str) and message.startswith("{") else {}
                if event.get("type") == "response.create":
                    connection.send(json.dumps({"type": "response.output_text.delta", "event_id": "e1", "response_id": "r", "item_id": "i",
                                                "output_index": 0, "content_index": 0, "delta": "Hello"}))
                    # in pieces, with a ping between them
                    done = json.dumps({"type": "response.done", "event_id": "e2", "response": {"id": "r", "status": "completed",
                                                                                              "usage": USAGE}})
                    connection.send([done[:7], done[7:60], done[60:]])
                elif event.get("type") == "leave":
                    return
                else:
                    connection.send(message)
        except ConnectionClosed:
            pass
        finally:
            self.closed.release()

    def close(self):
        self.server.shutdown()


@pytest.fixture
def upstream():
    upstream = Upstream()
    yield upstream
    upstream.close()


@pytest.fixture
def gateway(make, upstream):
    return make.gateway({"providers": {"lab": {"wire": "openai-chat", "base_url": f"{upstream.url}/v1", "api_key": "lab-key-of-a-provider"}},
                         "catalog": {"models": [{"id": "lab/voice", "price": {"input": 1, "output": 2}}]}})


def ws(gateway, **options):
    options.setdefault("additional_headers", gateway.authorization())
    return connect(f"ws://{gateway.address[0]}:{gateway.address[1]}/v1/realtime?model=lab/voice", max_size=None, **options)


def test_the_official_sdk_has_a_session_and_its_usage_is_counted(gateway, upstream):
    client = openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.key)
    texts, done = [], 0
    with client.realtime.connect(model="lab/voice") as session:
        assert session.recv().type == "session.created"
        for _ in range(2):
            session.response.create()
            while (event := session.recv()).type != "response.done":
                texts.append(event.delta)
            assert event.response.usage.total_tokens == 30
    request = upstream.requests[0]
    assert texts == ["Hello", "Hello"] and request.path == "/v1/realtime?model=voice"
    assert request.headers["authorization"] == "Bearer lab-key-of-a-provider"
    line = gateway.last_access()
    assert line["status"] == 101 and "client_abort" not in line and "error" not in line
    assert (line["tokens_input"], line["tokens_output"], line["tokens_cached"]) == (40, 20, 10)
    assert line["cost_nanousd"] == 40 * 1000 + 20 * 2000


def test_any_message_passes_both_ways_unchanged(gateway, upstream):
    with ws(gateway) as session:
        session.recv()
        for message in ("plain", "", "\u00e9\U0001f680" * 1000, b"\x00\xff" * 5, os.urandom(3_000_000), base64.b64encode(os.urandom(100_000)).decode()):
            session.send(message)
            assert session.recv() == message
        assert session.ping().wait(10)
    assert upstream.closed.acquire(timeout=10)


def test_a_browser_sends_its_key_as_a_subprotocol(gateway, upstream):
    with ws(gateway, additional_headers={}, subprotocols=["realtime", f"openai-insecure-api-key.{gateway.key}", "openai-beta.realtime-v1"]) as session:
        session.recv()
        assert session.subprotocol == "realtime"
    assert upstream.requests[0].headers["sec-websocket-protocol"] == "realtime, openai-beta.realtime-v1"
    assert gateway.key not in str(upstream.requests[0].headers)


def test_without_a_key_there_is_no_session(gateway, upstream):
    with pytest.raises(InvalidStatus) as refused:
        ws(gateway, additional_headers={})
    assert refused.value.response.status_code == 401 and upstream.requests == []


def test_what_refuses_the_handshake_is_answered_in_http(gateway, upstream):
    upstream.close()
    with pytest.raises(InvalidStatus) as refused:
        ws(gateway)
    assert refused.value.response.status_code == 502 and json.loads(refused.value.response.body)["error"]["message"]


def test_each_side_may_end_it(gateway, upstream):
    with ws(gateway) as session:
        session.recv()
        session.send(json.dumps({"type": "leave"}))
        with pytest.raises(ConnectionClosed):
            session.recv(timeout=10)
    with ws(gateway) as session:
        session.recv()
        session.socket.shutdown(socket.SHUT_RDWR)    # the network broke
    for _ in range(2):
        assert upstream.closed.acquire(timeout=10)
    gateway.last_access(2)
    assert [line["status"] for line in gateway.access_log()] == [101, 101]


def rss(gateway):
    with open(f"/proc/{gateway.program.process.pid}/status", encoding="ascii") as file:
        return int(re.search(r"VmRSS:\s+(\d+) kB", file.read()).group(1)) * 1024


@pytest.mark.skipif("OPENCLAW_SANITIZER" in os.environ, reason="sanitizers keep memory that was freed")
def test_what_nobody_takes_is_not_collected(gateway, upstream):
    """The caller does not read the echoes, so the provider stops reading: the caller's messages have to wait."""
    with socket.create_connection(gateway.address) as caller:
        key = base64.b64encode(os.urandom(16)).decode()
        caller.sendall(f"GET /v1/realtime?model=lab/voice HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {gateway.key}\r\n"
                       f"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())
        assert caller.recv(65536).startswith(b"HTTP/1.1 101 ")
        before = rss(gateway)
        caller.settimeout(1)
        frame = Frame(Opcode.BINARY, b"x" * 1_000_000).serialize(mask=True)
        with pytest.raises(TimeoutError):
            for _ in range(200):
                caller.sendall(frame)
        assert rss(gateway) - before < 8 * 1024 * 1024
    assert upstream.closed.acquire(timeout=10)


SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n"


def handshake(gateway, fields="", body=b""):
    return (f"GET /v1/realtime?model=up/voice HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {gateway.key}\r\n"
            f"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: abcd\r\nSec-WebSocket-Version: 13\r\n{fields}\r\n").encode() + body


def test_the_caller_may_speak_first(make):
    def serve(conn):
        conn.send(SWITCHED)
        conn.send(b"answer to " + conn.socket.recv(100))
        conn.close()
    gateway = make.gateway({"providers": {"up": make.upstream(serve).provider()}})
    with socket.create_connection(gateway.address, timeout=30) as caller:
        caller.sendall(handshake(gateway))
        assert caller.recv(65536).startswith(b"HTTP/1.1 101 ")
        caller.sendall(b"a question")
        assert caller.recv(65536) == b"answer to a question"


def test_what_is_sent_with_the_handshake_belongs_to_the_session(make):
    def serve(conn):
        conn.send(SWITCHED)
        conn.send(b"answer to " + conn.socket.recv(100))
        conn.close()
    gateway = make.gateway({"providers": {"up": make.upstream(serve).provider()}})
    with socket.create_connection(gateway.address, timeout=30) as caller:
        caller.sendall(handshake(gateway, body=b"a question"))
        said = b""
        while part := caller.recv(65536):
            said += part
    assert said.startswith(b"HTTP/1.1 101 ") and said.endswith(b"\r\n\r\nanswer to a question")


@pytest.mark.parametrize("fields,body", [("Content-Length: 5\r\n", b"v=0\r\n"), ("Transfer-Encoding: chunked\r\n", b"5\r\nv=0\r\n\r\n0\r\n\r\n")])
def test_a_request_with_a_body_asks_for_no_session(make, fields, body):
    def serve(conn):
        conn.answer(200, b"{}")
    upstream = make.upstream(serve)
    gateway = make.gateway({"providers": {"up": upstream.provider()}})
    with socket.create_connection(gateway.address, timeout=30) as caller:
        caller.sendall(handshake(gateway, "Content-Type: application/sdp\r\n" + fields, body))
        assert caller.recv(65536).startswith(b"HTTP/1.1 200 ")
    assert upstream.last_request().header("upgrade") is None and upstream.last_request().body == b"v=0\r\n"


@pytest.mark.parametrize("offered", ["OpenAI-Insecure-API-Key.{}", "{}"])
def test_no_subprotocol_takes_a_key_to_the_provider(gateway, upstream, offered):
    with ws(gateway, subprotocols=["realtime", offered.format(gateway.key)]) as session:
        session.recv()
    assert upstream.requests[0].headers["sec-websocket-protocol"] == "realtime"


def test_counts_of_tokens_that_cannot_be_are_clamped(make):
    def serve(conn):
        conn.send(SWITCHED)
        for n in (2**63 - 1, 2**63 - 1, -2**63, 5):
            conn.send(Frame(Opcode.TEXT, json.dumps({"type": "response.done", "response": {"usage": {"input_tokens": n}}}).encode())
                      .serialize(mask=False))
        conn.close()
    gateway = make.gateway({"providers": {"up": make.upstream(serve).provider()}})
    with socket.create_connection(gateway.address, timeout=30) as caller:
        caller.sendall(handshake(gateway))
        while caller.recv(65536):
            pass
    assert gateway.last_access()["tokens_input"] == 10**12


def test_a_session_ends_when_its_key_is_revoked_and_others_go_on(make, upstream, tmp_path_factory):
    socket_path = tmp_path_factory.mktemp("r") / "a.sock"
    gateway = make.gateway({"providers": {"lab": {"wire": "openai-chat", "base_url": f"{upstream.url}/v1", "api_key": "lab-key-of-a-provider"}},
                            "server": {"admin_socket": str(socket_path)}, "auth": {"mode": "keys"}})
    api = AdminApi(socket=socket_path)
    keys = [api.made("keys", name=name) for name in ("leaves", "stays")]
    sessions = [ws(gateway, additional_headers={"Authorization": f"Bearer {k['key']}"}) for k in keys]
    for session in sessions:
        assert json.loads(session.recv())["type"] == "session.created"
    assert api.ask("POST", f"keys/{keys[0]['id']}/revoke").status_code == 200
    with pytest.raises(ConnectionClosed):
        sessions[0].recv(timeout=30)
    sessions[1].send("still here")
    assert sessions[1].recv(timeout=30) == "still here"
    sessions[1].close()


def test_a_session_ends_with_its_key_of_the_configuration(make, upstream):
    ends = datetime.now(timezone.utc) + timedelta(seconds=5)
    keys = [{"name": "leaves", "key": "a-key-that-leaves-us", "expires": ends.strftime("%Y-%m-%dT%H:%M:%SZ")},
            {"name": "stays", "key": "a-key-that-stays-here"}]
    gateway = make.gateway({"providers": {"lab": {"wire": "openai-chat", "base_url": f"{upstream.url}/v1", "api_key": "lab-key-of-a-provider"}},
                            "auth": {"mode": "keys", "keys": keys}})
    sessions = [ws(gateway, additional_headers={"Authorization": f"Bearer {k['key']}"}) for k in keys]
    for session in sessions:
        assert json.loads(session.recv())["type"] == "session.created"
    with pytest.raises(ConnectionClosed):
        sessions[0].recv(timeout=150)    # it is looked at every minute
    sessions[1].send("still here")
    assert sessions[1].recv(timeout=30) == "still here"
    sessions[1].close()
