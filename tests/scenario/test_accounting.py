"""Every admitted exchange is settled exactly once: log, metrics, provider and clients agree.

OPENCLAW_ACCOUNTING sets the number of requests of the largest test; 100000 unless a sanitizer slows them down.
"""
import collections
import json
import os
import random
import subprocess
import threading

import pytest

from lib import process, raw
from lib.ask import CALLERS, PATHS, ask, body_of
from lib.process import wait_until

# No fault that waits: they are not what takes long to count. reset-before has a test of its own.
FAULTS = {"429": 0.02, "500": 0.03, "503": 0.02, "reset-mid": 0.03, "malformed": 0.02, "truncated": 0.02,
          "error-first": 0.02, "error-mid": 0.02, "empty": 0.02, "no-done": 0.02, "content-type": 0.02, "html": 0.01}

# The log's word for an attempt that never reached the provider.
UNSENT = {"upstream_connect", "upstream_dns", "upstream_connect_timeout", "unsupported"}


class Sums:
    """The access log, added up; a line at a time, for there may be many."""

    def __init__(self, path):
        self.lines = 0
        self.ids = set()
        self.twice = []
        self.by = collections.Counter()          # (field, value) -> lines
        self.outcomes = collections.Counter()
        self.tokens = collections.Counter()
        self.sent = self.aborts = self.estimated = self.attempts = self.bytes_in = self.bytes_out = 0
        with open(path, "rb") as log:
            for line in log:
                self.add(json.loads(line))

    def add(self, line):
        self.lines += 1
        if line["request_id"] in self.ids:
            self.twice.append(line)
        self.ids.add(line["request_id"])
        self.by["status", line["status"]] += 1
        self.by["endpoint", line["endpoint"], line["status"]] += 1
        self.by["error", line.get("error")] += 1
        self.aborts += line.get("client_abort", False)
        self.estimated += line.get("tokens_estimated", False)
        self.bytes_in += line["bytes_in"]
        self.bytes_out += line["bytes_out"]
        for attempt in line.get("attempts", []):
            self.attempts += 1
            self.sent += attempt["outcome"] not in UNSENT
            self.outcomes[attempt["provider"], attempt["outcome"]] += 1
        for kind in ("input", "output", "cached", "reasoning"):
            self.tokens[kind] += line.get(f"tokens_{kind}", 0)


def assert_log_and_metrics_agree(sums, metrics):
    assert not sums.twice, f"settled twice: {sums.twice[:3]}"
    for labels, value in metrics["openclaw_requests_total"]:
        if labels["endpoint"] in ("chat_completions", "messages"):
            assert sums.by["endpoint", labels["endpoint"], int(labels["status"])] == value, labels
    in_metrics = sum(v for labels, v in metrics["openclaw_requests_total"]
                     if labels["endpoint"] in ("chat_completions", "messages"))
    assert in_metrics == sums.lines
    for labels, value in metrics["openclaw_errors_total"]:
        assert sums.by["error", labels["code"]] == value, labels
    for labels, value in metrics["openclaw_upstream_attempts_total"]:
        outcome = labels["outcome"]
        in_log = sum(n for (provider, o), n in sums.outcomes.items() if (provider, o) == (labels["provider"], outcome))
        in_all = metrics.value("openclaw_upstream_attempts_total", provider=labels["provider"], outcome=outcome)
        assert in_log == in_all, labels
    assert metrics.value("openclaw_upstream_attempts_total") == sums.attempts
    assert metrics.value("openclaw_client_aborts_total") == sums.aborts
    assert metrics.value("openclaw_usage_estimated_total") == sums.estimated
    for kind, total in sums.tokens.items():
        assert metrics.value(f"openclaw_tokens_{kind}_total") == total, kind
    assert metrics.value("openclaw_request_duration_seconds_count") \
        == sum(n for key, n in sums.by.items() if key[0] == "status") - sums.by["attempts", 0]
    assert metrics.value("gen_ai_client_operation_duration_seconds_count") == sums.attempts
    assert metrics.value("openclaw_request_body_bytes_total") == sums.bytes_in


def assert_nothing_is_left(gateway, descriptors_before):
    gateway.idle()
    metrics = gateway.metrics()
    assert metrics.value("openclaw_streams_in_flight") == 0
    wait_until(lambda: gateway.metrics().value("openclaw_connections_open") <= 1, "callers' connections to be closed")

    def settled():
        held = len(os.listdir(f"/proc/{gateway.program.pid}/fd")) - descriptors_before
        return held <= gateway.metrics().value("openclaw_upstream_connections_idle") + 2
    wait_until(settled, "no descriptor left over but idle connections to providers")


def descriptors(gateway):
    return len(os.listdir(f"/proc/{gateway.program.pid}/fd"))


def bench(gateway, model, wire, stream, requests, connections=16):
    """Sends so many requests and returns bench's report; errors are wanted."""
    command = [process.BIN, "bench", gateway.url, "--model", model, "--key", gateway.key, "-n", str(requests),
               "-c", str(connections), "--wire", wire, "--json", "--timeout", "5m"]
    done = subprocess.run([*command, *(["--stream"] if stream else [])], capture_output=True, text=True,
                          env=process.environment(), timeout=process.PATIENCE)
    assert done.stdout, done.stderr
    report = json.loads(done.stdout)
    assert report["requests"] + report["errors"] == requests, report
    return report


class Leavers(threading.Thread):
    """Callers who leave: before the answer, in the middle of it, politely or not."""

    def __init__(self, gateway, requests, seed):
        super().__init__(daemon=True)
        self.gateway, self.requests, self.random = gateway, requests, random.Random(seed)
        self.failed = None
        self.start()

    def run(self):
        try:
            for _ in range(self.requests):
                self.one()
        except Exception as e:
            self.failed = e
            raise

    def one(self):
        caller = self.random.choice(CALLERS)
        model = self.random.choice(["oai/m;tokens=300;tps=400", "ant/m;tokens=300;tps=400", "oai/m;ttft=40ms"])
        client = self.gateway.raw()
        client.send(raw.request("POST", PATHS[caller], body_of(model, True, max_tokens=1000),
                                self.gateway.authorization()))
        # An answer's first bytes prove that the request was taken: an RST cannot overtake it then.
        if self.random.random() < 0.6:
            client.socket.recv(self.random.choice([1, 100, 3000]))
            (client.reset if self.random.random() < 0.5 else client.close)()
        else:
            client.close()


@pytest.mark.parametrize("workers", [1, 2])
def test_tokens_of_complete_answers_are_the_provider_s_counts(make, workers, sanitized):
    mock = make.mock("--tokens", "7", "--reasoning", "3", record=False)
    gateway = make.gateway({"providers": {"oai": mock.provider(), "ant": mock.provider("anthropic-messages")}},
                           workers=workers)
    each = 100 if sanitized else 500
    for provider in ("oai", "ant"):
        for wire in ("openai-chat", "anthropic-messages"):
            for stream in (False, True):
                report = bench(gateway, f"{provider}/m", wire, stream, each)
                assert report["errors"] == 0, report
    gateway.last_access(8 * each)
    sums, stats = Sums(gateway.access_path), mock.stats()
    assert sums.lines == stats["requests"] == stats["completed"] == 8 * each
    assert sums.by["status", 200] == 8 * each and sums.estimated == 0
    assert (sums.tokens["input"], sums.tokens["output"]) == (stats["input_tokens"], stats["output_tokens"])
    assert_log_and_metrics_agree(sums, gateway.metrics())


def test_every_request_is_settled_once_whatever_goes_wrong(make, sanitized):
    count = int(os.environ.get("OPENCLAW_ACCOUNTING", 4000 if sanitized else 100000))
    faults = [arg for kind, share in FAULTS.items() for arg in ("--fault", f"{kind}={share}")]
    mock = make.mock("--tokens", "5", "--after", "2", *faults, record=False)
    dead = f"http://127.0.0.1:{process.free_port()}/v1"
    gateway = make.gateway({
        "providers": {"oai": mock.provider(), "ant": mock.provider("anthropic-messages"),
                      "dead": {"wire": "openai-chat", "base_url": dead}},
        "models": {"safe": {"targets": ["oai/m", "ant/m", "oai/other"]}, "shaky": {"targets": ["dead/m", "oai/m"]}},
        "observe": {"log": {"level": "error"}}})
    assert gateway.get("/livez").status_code == 200
    before = descriptors(gateway)
    leaving = max(count // 200, 20)
    leavers = [Leavers(gateway, leaving, seed) for seed in range(3)]
    plans = [(m, w, s) for m in ("safe", "oai/m", "ant/m") for w in ("openai-chat", "anthropic-messages")
             for s in (False, True)] + [("shaky", "openai-chat", False), ("shaky", "anthropic-messages", True)]
    each = (count - 3 * leaving) // len(plans)
    answered = failed = 0
    for model, wire, stream in plans:
        report = bench(gateway, model, wire, stream, each)
        answered += report["requests"]
        failed += report["errors"]
    for leaver in leavers:
        leaver.join(4 * process.PATIENCE)
        assert leaver.failed is None
    sent = each * len(plans) + 3 * leaving

    assert_nothing_is_left(gateway, before)
    gateway.stop()       # the last lines are written at the end
    sums = Sums(gateway.access_path)
    assert sums.lines == sent
    assert answered > 0 and failed > 0 and sums.aborts > 0
    whole = sums.by["error", None]
    assert whole >= answered, "callers got more whole answers than were counted"
    assert whole <= answered + 3 * leaving


def test_log_metrics_and_provider_agree_after_many_faults(make, sanitized):
    """As above with fewer requests, and with the numbers compared one by one."""
    faults = [arg for kind, share in FAULTS.items() for arg in ("--fault", f"{kind}={share}")]
    mock = make.mock("--tokens", "5", "--after", "2", *faults, record=False)
    dead = f"http://127.0.0.1:{process.free_port()}/v1"
    gateway = make.gateway({
        "providers": {"oai": mock.provider(), "ant": mock.provider("anthropic-messages"),
                      "dead": {"wire": "openai-chat", "base_url": dead}},
        "models": {"safe": {"targets": ["oai/m", "ant/m"]}, "shaky": {"targets": ["dead/m", "oai/m"]}},
        "observe": {"log": {"level": "error"}}})
    assert gateway.get("/livez").status_code == 200
    before, each, leaving = descriptors(gateway), 150 if sanitized else 700, 40
    leavers = [Leavers(gateway, leaving, seed) for seed in (11, 12)]
    plans = [(m, w, s) for m in ("safe", "oai/m", "shaky") for w in ("openai-chat", "anthropic-messages")
             for s in (False, True)]
    for plan in plans:
        bench(gateway, *plan, each)
    for leaver in leavers:
        leaver.join(4 * process.PATIENCE)
        assert leaver.failed is None
    assert_nothing_is_left(gateway, before)
    sent = each * len(plans) + 2 * leaving
    gateway.last_access(sent)
    wait_until(lambda: mock.stats()["open"] == 0, "the provider to be at rest")
    sums, metrics, stats = Sums(gateway.access_path), gateway.metrics(), mock.stats()
    assert sums.lines == sent
    assert_log_and_metrics_agree(sums, metrics)
    # A caller may leave while the way to the provider is being made; then that attempt was never sent.
    left = sums.outcomes["oai", "client_gone"] + sums.outcomes["ant", "client_gone"]
    assert 0 <= sums.sent - stats["requests"] <= left
    # Which connection it was is told with the answer's head; who left before that has none.
    told = metrics.value("openclaw_upstream_connections_total") + \
        metrics.value("openclaw_upstream_connection_reuses_total")
    assert 0 <= sums.sent - told <= left
    assert sums.attempts - sums.sent == 4 * each, "each request to the dead provider was one attempt"


def test_a_reset_before_the_answer_is_counted_as_such(make):
    """A model call that was lost with a kept connection is made once more on a new one, and both are attempts."""
    mock = make.mock("--fault", "reset-before=0.2", "--tokens", "3", record=False)
    gateway = make.gateway({"providers": {"oai": mock.provider()}})
    count = 300
    report = bench(gateway, "oai/m", "openai-chat", False, count, connections=4)
    gateway.last_access(count)
    sums, stats = Sums(gateway.access_path), mock.stats()
    lost, reset = sums.outcomes["oai", "upstream_stale"], sums.outcomes["oai", "upstream_reset"]
    assert sums.lines == count
    assert sums.attempts == stats["requests"] == count + lost
    assert lost + reset == stats["faulted"] and lost > 0
    assert report["errors"] == reset
    assert_log_and_metrics_agree(sums, gateway.metrics())


def test_usage_that_is_not_reported_is_estimated_and_marked(make):
    body = {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "word " * 40}, "finish_reason": "stop"}]}

    def handler(conn):
        if b'"stream": true' in conn.request.body or b'"stream":true' in conn.request.body:
            conn.head(200, "text/event-stream")
            conn.chunk(b'data: {"choices":[{"index":0,"delta":{"content":"%b"}}]}\n\n' % (b"word " * 40))
            conn.chunk(b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n')
            conn.end_chunks()
        else:
            conn.answer(200, body)
    gateway = make.gateway({"providers": {"lab": make.upstream(handler).provider()}})
    for caller in CALLERS:
        for stream in (False, True):
            got = ask(gateway, caller, "lab/m", stream)
            line = gateway.access(got.id)
            assert got.complete and line["tokens_estimated"], line
            assert 20 <= line["tokens_output"] <= 80 and line["tokens_input"] >= 5, line
    assert gateway.metrics().value("openclaw_usage_estimated_total") == 4


def test_a_request_that_may_have_been_processed_is_not_sent_again(make):
    """A kept connection that breaks long after it took the request was not stale."""
    seen = []

    def handler(conn):
        seen.append(conn.request)
        if len(seen) == 1:
            conn.answer(200, {"object": "list", "data": []})
            return
        conn.stall(3)
        conn.reset()
    upstream = make.upstream(handler)
    gateway = make.gateway({"providers": {"lab": upstream.provider()}}, workers=1)
    ask(gateway, "openai", "lab/m")
    got = ask(gateway, "openai", "lab/m")
    assert got.code == "upstream_reset" and len(seen) == 2, (got, len(seen))
    assert gateway.access(got.id)["attempts"][0]["reused"] is True
