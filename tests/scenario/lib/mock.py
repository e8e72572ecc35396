"""`openclaw mock`: a simulated provider with faults; remembers what it was asked."""
import json
import re

import httpx

from lib import process
from lib.process import Program


class Mock:
    """Attributes: url ("http://127.0.0.1:PORT", for Anthropic), openai_url (with /v1), program.

    close() asserts a clean exit and that no client's key ever reached it."""

    def __init__(self, directory, args=(), record=True, name="mock", expect_status=0):
        args = [*(["--record-last", "20000"] if record else []), *args]
        self.record = record
        self.expect_status = expect_status
        self.program = Program([process.BIN, "mock", "--listen", "127.0.0.1:0", *args], directory, name)
        self.url = self.program.wait_for(r"listening on (http://\S+)", "stdout").group(1)
        self.openai_url = self.url + "/v1"
        host, port = re.fullmatch(r"http://(.+):(\d+)", self.url).groups()
        self.address = (host, int(port))
        self.host = f"{host}:{port}"

    def provider(self, wire="openai-chat", **more):
        """A provider's section for a configuration."""
        return {"wire": wire, "base_url": self.url if wire in ("ollama", "bedrock-converse") else self.openai_url, **more}

    def _get(self, path):
        return httpx.get(self.url + path, timeout=process.PATIENCE, trust_env=False).json()

    def stats(self):
        """requests, open, completed, refused, faulted, aborted, input_tokens, output_tokens, faults{}."""
        return self._get("/mock/stats")

    def requests(self, last=20000):
        """What it was asked, oldest first: {time_ms, method, target, headers, body_bytes, body}."""
        return self._get(f"/mock/requests?last={last}")

    def last_request(self):
        """The last one, its headers as a dict (lower case) and, where it is JSON, its parsed "json"."""
        one = self.requests(1)[-1]
        one["headers"] = {n.lower(): v for n, v in one["headers"]}
        try:
            one["json"] = json.loads(one["body"])
        except ValueError:
            pass
        return one

    def reset(self):
        httpx.post(self.url + "/mock/reset", timeout=process.PATIENCE, trust_env=False)

    def close(self):
        leaked = None
        if self.program.running() and self.record:
            text = json.dumps(self.requests())
            leaked = process.CANARY + "client" in text
        status = self.program.end()
        self.program.assert_healthy_words()
        assert status == self.expect_status, f"mock ended with {status}:\n{self.program.stderr()[-4000:]}"
        assert not leaked, "a caller's key went on to the provider"
