"""`openclaw conform` finds no fault in the gateway, whatever is behind it, and finds those of servers that have some."""
import http.server
import json
import subprocess
import threading

import pytest

from lib.process import BIN, environment

MODEL = "mock;tokens=60"
EVERYWHERE = ("answer", "stream", "history", "scripts", "limit", "results", "unknown-model", "bad-json", "empty", "wrong-key")


def conform(*words, status=0):
    done = subprocess.run([BIN, "conform", *words], capture_output=True, text=True, timeout=300, env=environment())
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("upstream", ["openai-chat", "anthropic-messages", "ollama"])
def test_the_gateway_conforms_in_every_protocol_whatever_is_behind_it(make, upstream):
    model = f"{MODEL};tools=1" if upstream == "ollama" else MODEL    # nobody can make an Ollama model call
    lab = make.mock().provider(upstream)
    gateway = make.gateway({"providers": {"lab": lab, "other": lab}, "models": {"m": {"targets": [f"lab/{model}"]}}})
    said = json.loads(conform("--json", "-m", "m", "-k", gateway.key, gateway.url))
    assert said["failed"] == 0, [(protocol, name, r["why"]) for protocol, found in said["protocols"].items()
                                 for name, r in found.items() if r["verdict"] == "failed"]
    assert len(said["protocols"]) >= 4
    for protocol, found in said["protocols"].items():
        assert {found[name]["verdict"] for name in EVERYWHERE} == {"passed"}, (protocol, found)


def test_a_server_with_faults_fails(make):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["content-length"]))
            body = json.dumps({"id": "x", "object": "chat.completion", "model": "m", "choices": [
                {"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "length"}]}).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        url = f"http://127.0.0.1:{server.server_port}"
        found = json.loads(conform("--json", "-m", "m", "-w", "openai-chat", url, status=1))["protocols"]["openai-chat"]
        text = conform("-m", "m", "-w", "openai-chat", url, status=1)
    finally:
        server.shutdown()
        server.server_close()
    assert "not one that means 'stop'" in found["answer"]["why"]
    assert found["stream"]["why"] == "a stream was asked for; a document came"
    assert found["tools"]["why"] == "a call was demanded, and none was made"
    assert "not refused" in found["unknown-model"]["why"] and "not refused" in found["bad-json"]["why"]
    assert "the usage is missing" in found["limit"]["why"]
    assert "FAIL" in text and "openai-chat stream: a stream was asked for; a document came" in text


def test_what_is_not_offered_is_said_and_fails_only_if_it_was_named(make):
    mock = make.mock()
    conform("-m", "m", "-w", "no-such", mock.url, status=2)
    assert "name a model" not in conform("-m", MODEL, "-w", "ollama", mock.url, status=1)
    assert conform("-m", MODEL, "http://127.0.0.1:1", "-w", "openai-chat", status=1)


def test_a_model_must_be_named():
    conform(status=2)
