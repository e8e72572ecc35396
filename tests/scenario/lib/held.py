"""A provider whose answers wait for the test, so that they are under way for as long as it wants.

    held = Held(make)
    gateway = make.gateway({"providers": {"held": held.provider}})
    stream = held.stream(gateway, "openai")      # has begun
    held.go.set()
    held.assert_complete(stream)
"""
import json
import threading

from lib import raw
from lib.ask import PATHS, body_of
from lib.early import ANSWER
from lib.process import PATIENCE


class Held:
    """Attributes: provider (a section of a configuration), go (an event), waiting (how many answers have waited)."""

    def __init__(self, make):
        self.go, self.waiting = threading.Event(), 0
        self.lock = threading.Lock()
        self.provider = make.upstream(self._answer).provider()

    @staticmethod
    def _event(delta, reason):
        return b"data: %s\n\n" % json.dumps({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
                                              "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}).encode()

    def _answer(self, conn):
        stream = conn.request.json().get("stream")
        if stream:
            conn.head(200, "text/event-stream")
            conn.chunk(self._event({"content": "Wait"}, None))
        with self.lock:
            self.waiting += 1
        assert self.go.wait(4 * PATIENCE)
        if stream:
            conn.chunk(self._event({"content": " and see"}, "stop") + b"data: [DONE]\n\n")
            conn.end_chunks()
        else:
            conn.answer(200, ANSWER)

    def stream(self, gateway, caller):
        """A raw client with a stream that has begun and goes on when it may."""
        client = gateway.raw()
        client.send(raw.request("POST", PATHS[caller], body_of("held/m", True), gateway.authorization()))
        assert client.read_head().status == 200
        client.read_chunk()
        return client

    @staticmethod
    def assert_complete(client):
        body = b""
        while chunk := client.read_chunk():
            body += chunk
        assert b"and see" in body and b'"error"' not in body, body[-300:]
        assert b"[DONE]" in body or b"message_stop" in body, body[-300:]
