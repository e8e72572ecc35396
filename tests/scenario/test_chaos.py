"""Faults on purpose: what follows them is what follows real ones, and nobody can overlook that they are on."""
import pytest

from lib import raw
from lib.ask import CALLERS, PATHS, ask, body_of
from lib.process import wait_until

BOTH = [(caller, stream) for caller in CALLERS for stream in (False, True)]


@pytest.fixture
def mock(make):
    return make.mock()


def config_of(mock, *faults, seed=1, **more):
    timeouts = {"first_token": "1s", "between_tokens": "1s", "total": "5s"}
    return {"providers": {"lab": mock.provider(), "spare": mock.provider()}, "timeouts": timeouts,
            "models": {"m": {"targets": ["lab/m", "spare/m"]}},
            **({"chaos": {"seed": seed, "faults": list(faults)}} if faults else {}), **more}


def attempts_of(result):
    return int(result.headers["x-openclaw-attempts"])


BEFORE_THE_FIRST_TOKEN = {
    "status": {"kind": "status", "status": 503},
    "a limit": {"kind": "status", "status": 429, "retry_after": "1h"},
    "reset": {"kind": "reset"},
    "cut at once": {"kind": "cut"},
    "silence": {"kind": "stall"},
}


@pytest.mark.parametrize("name", BEFORE_THE_FIRST_TOKEN)
def test_a_fault_before_the_first_token_is_hidden_by_the_next_target(make, mock, name):
    fault = {"target": "lab/*", **BEFORE_THE_FIRST_TOKEN[name]}
    gateway = make.gateway({**config_of(mock, fault), "timeouts": {"first_token": "1s", "first_byte": "1s", "total": "20s"}})
    for caller, stream in BOTH:
        got = ask(gateway, caller, "m", stream)
        assert got.complete and got.headers["x-openclaw-provider"] == "spare", got
        assert got.headers["x-openclaw-chaos"] == fault["kind"] and attempts_of(got) >= 2
        got = ask(gateway, caller, "spare/m", stream)
        assert got.complete and "x-openclaw-chaos" not in got.headers, got


def test_without_another_target_the_caller_is_told_as_of_a_real_failure(make, mock):
    gateway = make.gateway(config_of(mock, {"target": "lab", "kind": "status", "status": 503}, models=None))
    for caller, stream in BOTH:
        got = ask(gateway, caller, "lab/m", stream)
        assert got.code == "upstream_overloaded" and got.error, got
        assert got.headers["x-openclaw-chaos"] == "status"
    assert mock.stats()["requests"] == 0


@pytest.mark.parametrize("kind", ("cut", "stall"))
def test_a_stream_that_breaks_after_its_first_token_ends_with_an_error(make, mock, kind):
    gateway = make.gateway(config_of(mock, {"target": "lab", "kind": kind, "after": 1200}, models=None))
    for caller in CALLERS:
        got = ask(gateway, caller, "lab/m;tokens=100", stream=True)
        assert got.status == 200 and got.text and not got.complete, got
        assert got.error and got.headers["x-openclaw-chaos"] == kind, got


def test_a_delay_is_only_a_delay(make, mock):
    gateway = make.gateway(config_of(mock, {"target": "*", "kind": "delay", "delay": "300ms"}))
    for caller, stream in BOTH:
        got = ask(gateway, caller, "lab/m", stream)
        assert got.complete and got.headers["x-openclaw-chaos"] == "delay", got
        assert attempts_of(got) == 1
    assert mock.stats()["requests"] == 4


def test_a_share_of_the_attempts_gets_a_fault_and_a_seed_repeats_it(make, mock):
    runs = []
    for _ in range(2):
        gateway = make.gateway(config_of(mock, {"target": "lab", "kind": "reset", "share": 30}, seed=7, models=None), workers=1)
        runs.append(["x-openclaw-chaos" in ask(gateway, "openai", "lab/m").headers for _ in range(60)])
        assert gateway.metrics().value("openclaw_chaos_faults_total") >= sum(runs[-1])
    assert runs[0] == runs[1]
    assert 6 <= sum(runs[0]) <= 32


def test_it_is_loud_when_it_is_on_and_a_reload_ends_it(make, mock):
    gateway = make.gateway(config_of(mock), workers=1)
    assert "CHAOS" not in gateway.stderr()
    assert gateway.get("/readyz?verbose").json()["chaos_faults"] == 0
    assert ask(gateway, "openai", "lab/m").complete
    gateway.reload(config_of(mock, {"target": "lab", "kind": "status", "status": 500}, models=None))
    said = "CHAOS IS ON: 100 % of the attempts at lab get a fault: status (chaos.faults)"
    wait_until(lambda: said in gateway.stderr(), "the log to say so")
    assert gateway.get("/readyz?verbose").json()["chaos_faults"] == 1
    assert not ask(gateway, "openai", "lab/m").complete
    wait_until(lambda: "chaos: this attempt gets a fault: status" in gateway.stderr(), "the log to say so")
    gateway.reload(config_of(mock))
    got = ask(gateway, "openai", "spare/m")
    assert got.complete and "x-openclaw-chaos" not in got.headers
    assert gateway.get("/readyz?verbose").json()["chaos_faults"] == 0
    other = make.gateway(config_of(mock, {"target": "lab", "kind": "reset"}))
    assert "CHAOS IS ON: 1 kinds of faults are injected" in other.stderr()


def test_a_caller_may_leave_during_a_delay(make, mock):
    gateway = make.gateway(config_of(mock, {"target": "*", "kind": "delay", "delay": "10m"}, timeouts={"first_token": "20m", "total": "30m"}))
    clients = []
    for caller in CALLERS:
        client = gateway.raw()
        client.send(raw.request("POST", PATHS[caller], body_of("lab/m", True), gateway.authorization()))
        clients.append(client)
    wait_until(lambda: gateway.metrics().value("openclaw_chaos_faults_total") == 2, "the delays to begin")
    for client in clients:
        client.close()
    gateway.idle()
    assert mock.stats()["requests"] == 0
