"""What the gateway tells about each request: fields of the answer, a line of the log, numbers that add up."""
import re
import shutil
import subprocess

import pytest

from lib import raw
from lib.metrics import Metrics
from lib.process import CANARY, PROMPT, canary, wait_until

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
DEAD = "http://127.0.0.1:9/v1"


@pytest.fixture(scope="module")
def mock(make_shared):
    return make_shared.mock()


@pytest.fixture(scope="module")
def gateway(make_shared, mock):
    return make_shared.gateway({
        "providers": {"lab": mock.provider(models=["mock-gpt"]), "dead": {"wire": "openai-chat", "base_url": DEAD}},
        "models": {"quick": {"targets": ["dead/x", "lab/mock-gpt"]}}})


# --- fields of the answer ---

def test_each_answer_names_who_answered(gateway):
    answer = gateway.chat("quick")
    assert answer.headers["x-openclaw-provider"] == "lab"
    assert answer.headers["x-openclaw-model"] == "mock-gpt"
    assert answer.headers["x-openclaw-attempts"] == "2"


def test_a_request_s_own_id_is_kept(gateway):
    answer = gateway.chat("lab/mock-gpt", headers={"x-request-id": "order-4711:a.b_C"})
    assert answer.headers["x-request-id"] == "order-4711:a.b_C"
    assert gateway.access("order-4711:a.b_C")["status"] == 200


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, "a\"b", "a\\n", "<script>", "\xe4", "a;b"])
def test_an_id_that_could_do_harm_is_replaced(gateway, given):
    with gateway.raw() as client:
        client.send(raw.request("POST", "/v1/chat/completions", {
            "model": "lab/mock-gpt", "messages": [{"role": "user", "content": "Hi"}]},
            {**gateway.authorization(), "x-request-id": given}))
        answer = client.read()
    assert re.fullmatch(r"req_[0-9a-f]{24}", answer.header("x-request-id"))


def test_ids_differ(gateway):
    assert len({gateway.get("/livez").headers["x-request-id"] for _ in range(50)}) == 50


def test_a_trace_goes_on(gateway, mock):
    answer = gateway.chat("lab/mock-gpt", headers={"traceparent": PARENT, "tracestate": "vendor=1,other=2"})
    ours = answer.headers["traceparent"]
    assert ours.startswith("00-4bf92f3577b34da6a3ce929d0e0e4736-") and ours.endswith("-01")
    assert ours[36:52] != PARENT[36:52], "the span is ours"
    assert gateway.access_of(answer)["trace_id"] == "4bf92f3577b34da6a3ce929d0e0e4736"
    sent = next(dict((n.lower(), v) for n, v in r["headers"]) for r in reversed(mock.requests(20))
                if ["traceparent", ours] in [[n.lower(), v] for n, v in r["headers"]])
    assert sent["tracestate"] == "vendor=1,other=2"


@pytest.mark.parametrize("given", [
    "00-00000000000000000000000000000000-00f067aa0ba902b7-01", "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
    "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
    PARENT + "-x", PARENT[:-1], "nonsense", "00_4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7_01",
])
def test_a_trace_that_is_none_begins_anew(gateway, mock, given):
    answer = gateway.chat("lab/mock-gpt", headers={"traceparent": given, "tracestate": "vendor=1", "x-request-id": "t"})
    ours = answer.headers["traceparent"]
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", ours)
    assert "4bf92f3577b34da6a3ce929d0e0e4736" not in ours.lower()
    assert "vendor=1" not in str(mock.requests(1)[0]["headers"])


def test_a_later_version_s_trace_is_read_by_its_beginning(gateway):
    answer = gateway.chat("lab/mock-gpt", headers={"traceparent": "01" + PARENT[2:] + "-more"})
    assert answer.headers["traceparent"].startswith("00-4bf92f3577b34da6a3ce929d0e0e4736-")


def test_limits_that_the_provider_tells_are_passed_on(gateway):
    answer = gateway.chat("lab/mock-gpt")
    assert answer.headers["x-ratelimit-remaining-requests"] == "9999"
    assert answer.headers["openai-version"] == "2020-10-01"


def test_an_error_names_its_kind_and_its_request(gateway):
    answer = gateway.chat("lab/fault-500")
    assert answer.status_code == 502
    assert answer.headers["x-openclaw-error"] == "upstream_error"
    assert answer.headers["x-openclaw-provider"] == "lab"
    assert gateway.access_of(answer)["error"] == "upstream_error"


# --- the access log ---

def test_a_line_has_every_field(gateway, mock):
    answer = gateway.chat("quick", stream=True)
    line = gateway.access_of(answer)
    usage = {"tokens_input", "tokens_cached", "tokens_output", "tokens_reasoning"}
    assert set(line) >= {"ts", "request_id", "trace_id", "key", "key_hash", "client_ip", "method", "path", "endpoint",
                         "status", "model_requested", "provider", "model", "stream", "finish_reason", "attempts",
                         "bytes_in", "bytes_out", "ttft_ms", "duration_ms", "gateway_ms"} | usage
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["ts"])
    assert (line["key"], line["client_ip"], line["method"], line["path"], line["endpoint"]) == (
        "tester", "127.0.0.1", "POST", "/v1/chat/completions", "chat_completions")
    assert (line["model_requested"], line["provider"], line["model"]) == ("quick", "lab", "mock-gpt")
    assert line["stream"] is True and line["finish_reason"] == "stop" and line["status"] == 200
    assert line["bytes_in"] == int(answer.request.headers["content-length"])
    assert line["bytes_out"] == len(answer.content)
    assert 0 <= line["ttft_ms"] <= line["duration_ms"] and 0 <= line["gateway_ms"] <= line["duration_ms"]
    assert re.fullmatch(r"[0-9a-f]{12}", line["key_hash"])
    first, second = line["attempts"]
    assert (first["provider"], first["outcome"], first["status"]) == ("dead", "upstream_connect", 0)
    assert (second["provider"], second["model"], second["outcome"], second["status"]) == ("lab", "mock-gpt", "ok", 200)
    assert 0 < second["head_us"] <= second["us"]


def test_times_are_told_apart(gateway):
    line = gateway.access_of(gateway.chat("lab/mock;ttft=300ms;tokens=10;tps=20", stream=True))
    assert 290 <= line["ttft_ms"] < line["duration_ms"]
    assert line["duration_ms"] >= 700
    assert line["gateway_ms"] < 250, "waiting for the provider is not ours"


def test_what_a_caller_writes_cannot_forge_a_line(gateway):
    evil = 'x"}\n{"ts":"now","request_id":"forged","status":200}\r\n\x1b[31m\u2028'
    answer = gateway.post("/v1/chat/completions", {"model": "lab/" + evil, "messages": [
        {"role": "user", "content": "Hi"}]})
    line = gateway.access_of(answer)
    assert line["model_requested"] == "lab/" + evil
    assert not [x for x in gateway.access_log() if x["request_id"] == "forged"]
    assert "\x1b" not in gateway.access_path.read_text() and "\x1b" not in gateway.stderr()


def test_probes_do_not_fill_the_log(gateway):
    ids = [gateway.get(path).headers["x-request-id"] for path in ("/livez", "/readyz", "/metrics")]
    gateway.access_of(gateway.chat("lab/mock-gpt"))
    assert not [x for x in gateway.access_log() if x["request_id"] in ids]


def test_refused_requests_have_lines_as_well(gateway):
    answer = gateway.http().post("/v1/chat/completions", json={"model": "lab/x"},
                                 headers={"Authorization": "Bearer nobody"})
    line = gateway.access_of(answer)
    assert (line["status"], line["error"]) == (401, "invalid_api_key")
    assert "key" not in line and "provider" not in line and "attempts" not in line


# --- secrets ---

def test_secrets_are_nowhere(make):
    """Canaries in every place where a secret may stand; Gateway.close() looks for them in everything it wrote."""
    leaky = canary("provider")

    def handler(conn):
        conn.answer(401, {"error": {"message": f"Incorrect API key provided: {leaky}.", "type": "invalid_request_error",
                                    "code": "invalid_api_key"}}, fields=[("x-ratelimit-note", "fine")])
    upstream = make.upstream(handler)
    gateway = make.gateway({
        "observe": {"log": {"level": "debug"}},
        "providers": {"lab": upstream.provider(api_key=leaky, headers={"x-team-token": canary("provider")}),
                      "dead": {"wire": "openai-chat", "base_url": DEAD}}})
    gateway.checks = True
    for name in ("Authorization", "x-api-key", "api-key", "x-goog-api-key"):
        value = canary("client")
        answer = gateway.http().post("/v1/chat/completions", json={"model": "lab/x", "messages": []},
                                     headers={name: f"Bearer {value}" if name == "Authorization" else value})
        assert answer.status_code == 401 and CANARY not in answer.text
    for model in ("lab/x", "dead/x"):
        for stream in (False, True):
            answer = gateway.chat(model, stream=stream)
            assert answer.status_code == 502 and CANARY not in answer.text
    gateway.get(f"/v1/models?key={canary('client')}")
    gateway.get(f"/nowhere?key={canary('client')}")
    gateway.write("providers: {lab: {wire: openai-chat, base_url: [broken, " + canary("provider") + "]}}\n")
    gateway.program.wait_for("reload refused")
    assert gateway.access_log()


def test_prompts_and_answers_are_not_logged(gateway):
    for model in ("lab/mock;echo", "lab/fault-500", "lab/fault-400", "lab/fault-malformed", "dead/x"):
        for stream in (False, True):
            gateway.access_of(gateway.chat(model, stream=stream))
    text = gateway.access_path.read_text() + gateway.stderr() + gateway.metrics().text
    assert PROMPT not in text


# --- metrics ---

def settled(gateway):
    gateway.idle()
    return gateway.metrics()


def test_a_known_mix_gives_exact_numbers(make, mock):
    mock.reset()
    gateway = make.gateway({"providers": {"lab": mock.provider(models=["mock-gpt", "fault-429"])},
                            "models": {"both": {"targets": ["lab/fault-429", "lab/mock-gpt"]}}})
    for _ in range(7):
        assert gateway.chat("lab/mock-gpt").status_code == 200
    for _ in range(5):
        assert gateway.chat("lab/mock-gpt", stream=True).status_code == 200
    for _ in range(3):
        assert gateway.chat("lab/fault-429").status_code == 429
    for _ in range(2):
        assert gateway.chat("both").status_code == 200
    assert gateway.post("/v1/embeddings", {"model": "lab/mock-gpt", "input": "x"}).status_code == 200
    assert gateway.post("/v1/chat/completions", {"model": "lab/mock-gpt"}).status_code == 400
    assert gateway.http().post("/v1/chat/completions", json={}).status_code == 401
    gateway.last_access(20)
    lines, stats, m = gateway.access_log(), mock.stats(), settled(gateway)

    count = lambda status, endpoint="chat_completions": m.value("openclaw_requests_total", endpoint=endpoint,
                                                                status=status)
    assert (count(200), count(429), count(400), count(401)) == (14, 3, 1, 1)
    assert count(200, "embeddings") == 1
    assert len(lines) == 20
    assert m.value("openclaw_errors_total", code="rate_limit_exceeded") == 3
    attempts = [a for line in lines for a in line.get("attempts", [])]
    assert m.value("openclaw_upstream_attempts_total", outcome="ok") == sum(a["outcome"] == "ok" for a in attempts) == 15
    assert m.value("openclaw_upstream_attempts_total", outcome="rate_limit_exceeded") == 5
    assert len(attempts) == m.value("openclaw_upstream_attempts_total") == stats["requests"]
    for metric, field in (("tokens_input", "tokens_input"), ("tokens_output", "tokens_output")):
        assert m.value(f"openclaw_{metric}_total") == sum(x.get(field, 0) for x in lines)
    assert m.value("openclaw_tokens_output_total") == stats["output_tokens"]
    assert m.value("openclaw_request_body_bytes_total") == sum(x["bytes_in"] for x in lines)
    assert m.value("openclaw_response_body_bytes_total") >= sum(x["bytes_out"] for x in lines)
    assert m.value("gen_ai_server_time_to_first_token_seconds_count") == 5
    assert m.value("openclaw_request_duration_seconds_count") == sum("attempts" in x for x in lines)
    connections = m.value("openclaw_upstream_connections_total") + m.value("openclaw_upstream_connection_reuses_total")
    assert m.value("openclaw_connections_accepted_total") >= 2
    assert connections == stats["requests"] and m.value("openclaw_upstream_connections_total") <= 4


def test_metrics_are_well_formed(gateway):
    gateway.chat("quick", stream=True)
    gateway.chat("lab/fault-500")
    answer = gateway.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    m = Metrics(answer.text)
    for name in m:
        family = re.sub(r"_(bucket|sum|count)$", "", name) if m.types.get(name) is None else name
        assert family in m.types and m.helps[family].endswith("."), name
        if m.types[family] == "counter":
            assert name.endswith("_total"), name
    for family, kind in m.types.items():
        if kind != "histogram":
            continue
        for labels, total in m.get(family + "_count", []):
            buckets = [(float(have["le"].replace("+Inf", "inf")), v) for have, v in m[family + "_bucket"]
                       if {k: v for k, v in have.items() if k != "le"} == labels]
            values = [v for _, v in sorted(buckets)]
            assert values == sorted(values) and values[-1] == total and sorted(buckets)[-1][0] == float("inf")


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed (package prometheus)")
def test_promtool_finds_nothing_wrong_with_the_metrics(gateway):
    gateway.chat("quick", stream=True)
    done = subprocess.run(["promtool", "check", "metrics"], input=gateway.metrics().text, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_ten_thousand_names_do_not_make_ten_thousand_series(gateway):
    with gateway.raw() as client:
        for number in range(500):
            client.send(raw.request("POST", "/v1/chat/completions", {
                "model": f"lab/name-{number}", "messages": [{"role": "user", "content": "Hi"}]},
                gateway.authorization()))
            client.read()
    m = gateway.metrics()
    models = {labels.get("model") or labels.get("gen_ai_request_model") for labels, _ in
              m["openclaw_tokens_output_total"]}
    assert models <= {"mock-gpt", "other", "x"}


def test_gauges_return_to_nothing(gateway):
    with gateway.http(headers=gateway.authorization()) as client, client.stream(
            "POST", "/v1/chat/completions", json={"model": "lab/mock;tokens=1000;tps=50", "stream": True,
                                                  "messages": [{"role": "user", "content": "x"}]}) as answer:
        pieces = answer.iter_bytes()
        next(pieces)
        wait_until(lambda: gateway.metrics().value("openclaw_streams_in_flight") == 1, "the stream to be counted")
        assert gateway.metrics().value("openclaw_upstream_calls_open") == 1
    wait_until(lambda: gateway.metrics().value("openclaw_streams_in_flight") == 0, "the stream to be gone")
    m = settled(gateway)
    assert m.value("openclaw_exchanges_in_flight") == 0 and m.value("openclaw_upstream_calls_open") == 0


def test_metrics_can_be_switched_off(make, mock):
    gateway = make.gateway({"providers": {"lab": mock.provider()}, "observe": {"metrics": False}})
    assert gateway.get("/metrics").status_code == 404
