"""Recorded traffic of real providers, replayed: whole, event by event, byte by byte, or cut.

The recordings lie beside the project (OPENCLAW_SHARED, else ../shared) and are not part of it;
without them the tests that want them are skipped, which the summary says; on the build machine (CI) they fail.

    @pytest.mark.parametrize("case", cases("openai-chat", lambda c: c.stream))
    def test_...(gateway, server, case):
        model = server.model(case, cut=3)          # a model name that selects this answer
        answer = gateway.chat("rec/" + model, stream=True)
        request = server.request(model)            # what the gateway sent for it
"""
import functools
import json
import os
import threading

import pytest

from lib import sse
from lib.process import SHARED
from lib.upstream import RawUpstream

WIRES = SHARED / "fixtures" / "wire"


class Case:
    """One recorded exchange. Attributes: wire, name, op, stream, status, headers, content_type, body,
    expect (the facts), request_body (bytes, or None), features, events (raw bytes of each event)."""

    def __init__(self, folder):
        def load(name):
            return json.loads((folder / name).read_text())
        about = load("case.json")
        head = load("response.headers.json")
        self.wire, self.name = folder.parent.name, folder.name
        self.op, self.stream, self.features = about["op"], about["stream"], about["features"]
        self.provider, self.scenario = about["provider"], about["scenario"]
        self.about = about
        self.status = head["status"]
        self.headers = head["headers"]
        self.content_type = self.headers.get("content-type", "")
        self.body = (folder / about["response_file"]).read_bytes()
        self.response_file = about["response_file"]
        self.expect = load("expect.json")
        request = folder / "request.json"
        self.request_body = request.read_bytes() if request.exists() else None

    @functools.cached_property
    def events(self):
        """The raw bytes of each event; a document is one event."""
        if not self.response_file.endswith(".sse"):
            return [self.body]
        return [f.raw for f in sse.frames(self.body)]

    def request(self, model, **more):
        """A request to have it answered: the recorded one, or a plain one, for `model`."""
        body = json.loads(self.request_body) if self.request_body else {
            "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 1000}
        return {**body, "model": model, **more}

    def __repr__(self):
        return f"{self.wire}/{self.name}"


def cases(wire, keep=None):
    """Parameters for every case of a wire (of those that keep(case) accepts), named as their folders."""
    folder = WIRES / wire
    if not folder.is_dir():
        why = f"no recorded traffic at {folder}; set OPENCLAW_SHARED to where it is"
        assert "CI" not in os.environ, why
        print(why)
        return [pytest.param(None, marks=pytest.mark.skip(reason=why), id=f"no-{wire}")]
    found = [Case(f) for f in sorted(folder.iterdir()) if (f / "case.json").exists()]
    return [pytest.param(c, id=c.name) for c in found if keep is None or keep(c)]


# Fields that belong to the recorded connection, not to the answer.
CONNECTION = {"content-length", "transfer-encoding", "connection", "keep-alive", "date", "content-encoding",
              "content-type", "trailer", "upgrade"}


class Plan:
    """How one case shall be given."""

    def __init__(self, case, by, cut, how, framing):
        assert by in ("whole", "events", "bytes") and how in ("reset", "close", "end")
        assert framing in ("chunked", "length", "close")
        self.case, self.by, self.cut, self.how, self.framing = case, by, cut, how, framing


class FixtureServer(RawUpstream):
    """Answers each request with the case that its model's name selects."""

    def __init__(self, tls=None):
        self.plans = {}
        self.received = {}
        self.guard = threading.Lock()
        super().__init__(self._answer, tls)

    def model(self, case, by="whole", cut=None, how="reset", framing=None):
        """Registers an answer and returns the model name that gets it.

        by       "whole", "events" or "bytes": what goes out in one write
        cut      give only so many events (of a stream) or bytes (of a document)
        how      after a cut: "reset" (RST), "close" (FIN without the framing's end), "end" (clean end)
        framing  "chunked" (default for streams), "length" (default for documents), "close"
        """
        framing = framing or ("chunked" if case.stream else "length")
        if cut is not None and framing == "length":
            framing = "chunked"
        with self.guard:
            name = f"recorded-{len(self.plans)}"
            self.plans[name] = Plan(case, by, cut, how, framing)
        return name

    def request(self, model):
        """The Request that the gateway sent for this model name."""
        return self.received[model]

    def _pieces(self, plan):
        case = plan.case
        events = case.events if case.stream else [case.body]
        if plan.cut is not None:
            events = events[:plan.cut] if case.stream else [case.body[:plan.cut]]
        body = b"".join(events)
        if plan.by == "events":
            return events
        if plan.by == "bytes":
            return [body[i:i + 1] for i in range(len(body))]
        return [body] if body else []

    def _answer(self, conn):
        try:
            name = conn.request.json()["model"]
        except (ValueError, KeyError, TypeError):
            name = None
        plan = self.plans.get(name)
        if plan is None:
            conn.answer(404, {"error": {"message": f"no such recording: {name}", "type": "invalid_request_error"}})
            return
        self.received[name] = conn.request
        case = plan.case
        lines = [f"HTTP/1.1 {case.status} Recorded", f"content-type: {case.content_type}"]
        lines += [f"{n}: {v}" for n, v in case.headers.items() if n.lower() not in CONNECTION]
        lines += {"chunked": ["transfer-encoding: chunked"], "close": ["connection: close"],
                  "length": [f"content-length: {len(case.body)}"]}[plan.framing]
        conn.send(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
        for piece in self._pieces(plan):
            conn.chunk(piece) if plan.framing == "chunked" else conn.send(piece)
        if plan.cut is not None and plan.how == "reset":
            conn.reset()
        elif plan.cut is not None and plan.how == "close":
            conn.close()
        elif plan.framing == "chunked":
            conn.end_chunks()
        elif plan.framing == "close":
            conn.close()
