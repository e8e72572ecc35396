"""What happens to the second request, and to the thousandth: circuit breakers, probes, recovery."""
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from lib import raw
from lib.ask import EVERY_CALLER, PATHS, ask, body_of
from lib.fault import BACKUP, PRIMARY, answered, several
from lib.process import free_port, wait_until
from lib.script import ANTHROPIC, OPENAI, Stage, by_model, hang, limited, ok, reset, sometimes, status

PROBES = 30    # seconds in which a target that is healthy again must have been asked; the first probe comes after 5 s
QUICK = {"retry": {"base": "20ms", "cap": "100ms"}}


def pair(make, *primary, workers=2, config=None):
    """An alias `m`: a primary with this script and a healthy backup of another protocol; their stage and the gateway."""
    stage = Stage(make)
    return stage, make.gateway({"providers": {"primary": stage.provider("primary", OPENAI, *primary),
                                              "backup": stage.provider("backup", ANTHROPIC, ok(BACKUP))},
                                "models": {"m": {"targets": ["primary/m", "backup/m"]}}, **QUICK, **(config or {})},
                               workers=workers)


def load(gateway, count, at_once=20, model="m", headers=None):
    """That many requests in every way; their results."""
    def one(i):
        return ask(gateway, EVERY_CALLER[i % 3], model, i % 2 == 1, headers)
    with ThreadPoolExecutor(max_workers=at_once) as pool:
        return list(pool.map(one, range(count)))


def texts(results):
    return {r.text if r.complete else f"{r.status} {r.code}" for r in results}


FAILING = {"500": status(500), "503": status(503), "reset": reset}


@pytest.mark.parametrize("failure", FAILING)
def test_a_dead_primary_is_left_alone_after_a_few_failures(make, failure):
    stage, gateway = pair(make, FAILING[failure])
    assert texts(load(gateway, 40, at_once=1)) == {BACKUP}
    assert 5 <= len(stage.received("primary")) <= 14, "it was not left alone"
    assert len(stage.received("backup")) == 40


def test_a_primary_that_refuses_connections_is_left_alone(make):
    stage = Stage(make)
    gateway = make.gateway({"providers": {
        "primary": {"wire": OPENAI, "base_url": f"http://127.0.0.1:{free_port()}/v1"},
        "backup": stage.provider("backup", ANTHROPIC, ok(BACKUP))},
        "models": {"m": {"targets": ["primary/m", "backup/m"]}}, **QUICK})
    results = load(gateway, 40, at_once=1)
    assert texts(results) == {BACKUP}
    tried = [a for r in results for a in gateway.access(r.id)["attempts"] if a["provider"] == "primary"]
    assert 5 <= len(tried) <= 14


def test_a_silent_primary_is_left_alone(make):
    """Or every request would wait for it."""
    stage, gateway = pair(make, hang)
    assert texts(load(gateway, 12, at_once=6, headers={"x-openclaw-timeout": "4s"})) == {BACKUP}
    known = len(stage.received("primary"))
    assert texts(load(gateway, 12, at_once=1, headers={"x-openclaw-timeout": "4s"})) == {BACKUP}
    assert len(stage.received("primary")) <= known + 2


def test_two_hundred_requests_at_once_at_a_dead_primary(make):
    stage, gateway = pair(make, status(500, delay=0.2), workers=4)
    assert texts(load(gateway, 200, at_once=200)) == {BACKUP}
    first = len(stage.received("primary"))
    assert first <= 240, "more than 1.2 attempts for each request"
    began = time.monotonic()
    assert texts(load(gateway, 200, at_once=20)) == {BACKUP}
    probes = len(stage.received("primary")) - first
    assert probes <= 1 + (time.monotonic() - began) / 4, "more than one probe in an interval"


def test_random_failures_are_made_good_without_flapping(make):
    """Three in ten: the primary is worth asking, and nobody notices."""
    stage, gateway = pair(make, sometimes(0.3, status(500), ok(), seed=7))
    results = load(gateway, 600, at_once=8)
    served = sum(r.complete for r in results)
    assert served == 600, texts(results)
    asked = {name: len(stage.received(name)) for name in ("primary", "backup")}
    assert sum(asked.values()) <= 1.4 * 600, asked
    assert asked["primary"] >= 540, f"it was left out for a while: {asked}"


def test_when_both_are_dead_and_then_healthy_they_serve_again(make):
    stage, gateway = pair(make, status(500))
    stage.now("backup", status(503))
    dead = load(gateway, 30, at_once=3)
    assert not any(r.complete for r in dead)
    stage.now("primary", ok())
    stage.now("backup", ok(BACKUP))
    wait_until(lambda: ask(gateway, "openai", "m").complete, "an answer", PROBES, pause=0.2)
    wait_until(lambda: ask(gateway, "openai", "m").text == PRIMARY, "the primary's answer", PROBES, pause=0.2)


def test_while_all_are_dead_they_are_asked_at_a_bounded_rate(make):
    stage, gateway = pair(make, status(500))
    stage.now("backup", status(500))
    load(gateway, 30, at_once=3)
    began, before = time.monotonic(), len(stage.received())
    results = load(gateway, 100, at_once=10)
    assert not any(r.complete for r in results)
    seconds = time.monotonic() - began
    assert len(stage.received()) - before <= 2 * (2 + 2 * seconds), "no faster than a request a second each"
    for got in results:
        assert got.code in ("upstream_error", "upstream_overloaded") and got.error["message"], got


def test_a_primary_is_used_again_after_its_outage(make):
    stage, gateway = pair(make, status(500))
    assert texts(load(gateway, 20, at_once=2)) == {BACKUP}
    stage.now("primary", ok())
    healthy = time.monotonic()
    wait_until(lambda: ask(gateway, "openai", "m").text == PRIMARY, "the primary's answer", PROBES, pause=0.1)
    first = next(r for r in stage.received("primary") if r.at > healthy)
    assert first.at - healthy <= 12, "its first probe came late"


def test_one_model_of_a_provider_is_dead_and_its_sibling_untouched(make):
    stage = Stage(make)
    lab = stage.provider("lab", OPENAI, by_model(dead=status(500), other=ok()))
    gateway = make.gateway({"providers": {"lab": lab, "backup": stage.provider("backup", ANTHROPIC, ok(BACKUP))},
                            "models": {"dead": {"targets": ["lab/dead", "backup/m"]},
                                       "alive": {"targets": ["lab/alive", "backup/m"]}}, **QUICK})
    assert texts(load(gateway, 30, at_once=3, model="dead")) == {BACKUP}
    assert texts(load(gateway, 30, at_once=3, model="alive")) == {PRIMARY}
    assert len([r for r in stage.received("lab") if r.model == "dead"]) <= 14


def test_a_retired_model_is_not_asked_for_again(make):
    stage, gateway = pair(make, status(404, "not_found_error", message="The model `m` does not exist"))
    assert texts(load(gateway, 12, at_once=1)) == {BACKUP}
    assert len(stage.received("primary")) == 1


def test_a_limited_model_is_parked_until_its_reset(make):
    stage, gateway = pair(make, limited([("Retry-After", "4")]), ok())
    assert texts(load(gateway, 12, at_once=1)) == {BACKUP}
    assert len(stage.received("primary")) == 1
    wait_until(lambda: ask(gateway, "openai", "m").text == PRIMARY, "the primary's answer", PROBES, pause=0.1)
    first, second = stage.received("primary")[:2]
    assert 4 <= second.at - first.at <= 8


def test_four_workers_and_a_reload_know_what_one_has_learnt(make):
    stage, gateway = pair(make, status(500), workers=4)
    load(gateway, 40, at_once=4)
    known = len(stage.received("primary"))
    assert known <= 20, "each worker learns for itself"
    gateway.reload()
    began = time.monotonic()
    assert texts(load(gateway, 60, at_once=6)) == {BACKUP}
    assert len(stage.received("primary")) - known <= 1 + (time.monotonic() - began) / 4, "the reload forgot it"


def test_a_recovery_under_load_is_no_herd(make):
    stage, gateway = pair(make, status(500), workers=4)
    load(gateway, 40, at_once=4)
    stage.now("primary", ok())
    results, stop = [], time.monotonic() + 22

    def steadily(i):
        while time.monotonic() < stop:
            results.append((time.monotonic(), ask(gateway, "openai", "m", i % 2 == 1)))
            time.sleep(0.1)
    with ThreadPoolExecutor(max_workers=6) as pool:
        list(pool.map(steadily, range(6)))
    assert texts(r for _, r in results) == {PRIMARY, BACKUP}
    back = next(at for at, r in sorted(results, key=lambda one: one[0]) if r.text == PRIMARY)
    soon = [r.text for at, r in results if back < at < back + 2]
    later = [r.text for at, r in results if at > back + 12]
    assert soon.count(PRIMARY) < 0.7 * len(soon), "all of it at once"
    assert later and later.count(PRIMARY) > 0.95 * len(later), "it does not get all of it back"


def test_failures_of_requests_are_held_against_nobody(make):
    stage, gateway = pair(make, by_model(m=status(400, "invalid_request_error"), other=ok()))
    results = load(gateway, 30, at_once=3)
    assert {r.code for r in results} == {"bad_request"} and len(stage.received("primary")) == 30


def test_callers_who_leave_are_held_against_nobody(make):
    stage, gateway = pair(make, hang)
    for count in range(12):
        with gateway.raw() as client:
            client.send(raw.request("POST", PATHS["openai"], body_of("m", count % 2 == 1), gateway.authorization()))
            wait_until(lambda: len(stage.received("primary")) == count + 1, "the request to be with the primary")
    gateway.idle()
    stage.now("primary", ok())
    assert texts(load(gateway, 10, at_once=1)) == {PRIMARY}


@pytest.mark.parametrize("headers", [{"x-openclaw-timeout": "300"}, {"x-stainless-read-timeout": "0.2"}])
def test_a_caller_in_a_hurry_benches_nobody(make, headers):
    """What it does not wait for may be the target's usual time."""
    stage, gateway = several(make, {"primary": (OPENAI, ok(delay=1.4)), "backup": (ANTHROPIC, ok(BACKUP))})
    for _ in range(12):
        ask(gateway, "openai", "all", True, headers)
    answered(PRIMARY)(ask(gateway, "openai", "all", True), "openai", True)


def test_another_route_that_a_provider_lacks_benches_no_model(make):
    stage, gateway = several(make, {"primary": (OPENAI, status(404, "invalid_request_error", code="unknown_url")),
                                    "backup": (OPENAI, ok(BACKUP))})
    for _ in range(8):
        gateway.post("/v1/responses/compact", {"model": "all", "input": "x"})
    stage.now("primary", ok())
    answered(PRIMARY)(ask(gateway, "openai", "all", False), "openai", False)


# --- probes ---

def test_probes_notice_an_outage_and_its_end_before_any_request(make):
    port = free_port()
    gateway = make.gateway({"providers": {"lab": {"wire": "openai-chat", "base_url": f"http://127.0.0.1:{port}/v1",
                                                  "probe": {"every": "1s"}}},
                            "retry": {"breakers": True}})

    def state():
        return gateway.get("/readyz?verbose").json()["health"][0]["state"]

    wait_until(lambda: state() == "open", "the breaker to open")
    asked = []

    def answer(conn):
        asked.append(conn.request.target)
        conn.answer(200, {"data": []})

    make.upstream(answer, at=("127.0.0.1", port))
    wait_until(lambda: state() in ("recovering", "closed"), "the breaker to close")
    assert set(asked) == {"/v1/models"}
    assert not gateway.access_log()


@pytest.mark.parametrize("status", [200, 401, 404, 503])
def test_a_provider_that_answers_a_probe_can_be_reached_whatever_it_says(make, status):
    upstream = make.upstream(lambda conn: conn.answer(status, {"error": {"message": "no"}}))
    gateway = make.gateway({"providers": {"lab": {**upstream.provider(), "probe": {"every": "1s"}}},
                            "retry": {"breakers": True}})
    wait_until(lambda: len(upstream.requests) >= 2, "two probes")
    provider, = gateway.get("/readyz?verbose").json()["health"]
    assert provider["state"] == "closed"


def test_nobody_is_probed_unless_asked(make):
    upstream = make.upstream(lambda conn: conn.answer(200, {"data": []}))
    make.gateway({"providers": {"lab": upstream.provider()}, "retry": {"breakers": True}})
    time.sleep(2.5)
    assert not upstream.requests


def test_breakers_belong_to_a_provider_s_region(make):
    config = {"providers": {"lab": {"wire": "openai-chat", "base_url": f"http://127.0.0.1:{free_port()}/v1", "region": "eu"}},
              "retry": {"breakers": True}}
    gateway = make.gateway(config)

    def state():
        return gateway.get("/readyz?verbose").json()["health"][0]["state"]

    def fails():
        gateway.chat("lab/m")
        return state() == "open"

    wait_until(fails, "the breaker to open")
    gateway.reload(config)
    assert state() == "open"
    config["providers"]["lab"]["region"] = "us"
    gateway.reload(config)
    assert state() == "closed"
