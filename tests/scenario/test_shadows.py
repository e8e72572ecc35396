"""Copies of requests for another target: never seen by the client, never waited for, limited in number and cost."""
import datetime
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from lib.ask import EVERY_CALLER, ask
from lib.fault import PRIMARY, SHIPPED
from lib.process import wait_until
from lib.script import ANTHROPIC, OLLAMA, OPENAI, Stage, cut, hang, ok, slow, status


def shadowed(make, shadow, wire=OPENAI, first=None, config=None, **settings):
    """An alias with one target, and OpenAI's small model (150 and 600 nano-dollars for a token) as its shadow."""
    stage = Stage(make)
    providers = {"openai": stage.provider("openai", wire, *shadow), "main": stage.provider("main", OPENAI, *(first or [ok()]))}
    models = {"m": {"targets": ["main/m"], "shadow": {"target": "openai/gpt-4o-mini", **settings}}}
    return stage, make.gateway({"providers": providers, "models": models, **SHIPPED, **(config or {})})


def lines_of(gateway, count):
    wait_until(lambda: sum("shadow_of" in a for a in gateway.access_log()) >= count, f"{count} lines of copies")
    return [a for a in gateway.access_log() if "shadow_of" in a]


@pytest.mark.parametrize("wire", (OPENAI, ANTHROPIC, OLLAMA))
@pytest.mark.parametrize("caller", EVERY_CALLER)
def test_a_copy_is_recorded_and_not_seen(make, caller, wire):
    stage, gateway = shadowed(make, [ok("from-the-shadow", usage=(20, 5))], wire)
    for stream in (False, True):
        got = ask(gateway, caller, "m", stream)
        assert got.complete and got.text == PRIMARY and got.headers["x-openclaw-attempts"] == "1"
        line, = [a for a in lines_of(gateway, 1 + stream) if a["shadow_of"] == got.id]
        assert (line["provider"], line["model"], line["status"], line["stream"] if stream else stream) == (
            "openai", "gpt-4o-mini", 200, stream)
        assert line["cost_nanousd"] == 20 * 150 + 5 * 600 and line["tokens_output"] == 5
        assert line["request_id"] == got.id + "-shadow" and "key" not in line and "client_ip" not in line
        own = gateway.access(got.id)
        assert len(own["attempts"]) == 1 and "cost_outrun_nanousd" not in own
    assert [r.stream for r in stage.received("openai")] == [False, True]
    metrics = gateway.metrics()
    assert metrics.value("openclaw_shadow_requests_total") == 2
    assert metrics.value("openclaw_shadow_cost_nanousd_total") == 2 * (20 * 150 + 5 * 600)
    asked = sum(v for labels, v in metrics["openclaw_requests_total"]
                if labels["endpoint"] in ("chat_completions", "messages", "ollama_chat"))
    assert asked == 2


@pytest.mark.parametrize("shadow, outcome", [
    (status(500), "upstream_error"), (cut(), "upstream_truncated"), (status(401, "authentication_error"), "upstream_auth"),
    (status(400, "invalid_request_error"), "bad_request")], ids=lambda s: getattr(s, "step", s))
def test_a_copy_that_fails_is_recorded_once(make, shadow, outcome):
    stage, gateway = shadowed(make, [shadow])
    assert ask(gateway, "openai", "m").text == PRIMARY
    line, = lines_of(gateway, 1)
    assert line["error"] in (outcome, "upstream_reset") and line["attempts"][0]["outcome"] == line["error"]
    assert len(stage.received("openai")) == 1
    assert gateway.metrics().value("openclaw_shadow_requests_failed_total") == 1


def test_the_prompt_of_a_copy_that_breaks_is_paid_too(make):
    stage, gateway = shadowed(make, [cut()])
    assert ask(gateway, "openai", "m", stream=True, messages=[{"role": "user", "content": "x" * 4000}]).text == PRIMARY
    line, = lines_of(gateway, 1)
    assert line["error"] != "" and line["cost_nanousd"] >= 1000 * 150


def test_a_shadow_that_is_slow_or_hangs_slows_no_caller(make):
    stage, gateway = shadowed(make, [hang], config={"timeouts": {"total": "3s"}})
    began = time.monotonic()
    for stream in (False, True) * 3:
        assert ask(gateway, "openai", "m", stream).text == PRIMARY
    assert gateway.metrics().value("openclaw_requests_total", status="200") >= 6
    assert not lines_of(gateway, 0), f"after {time.monotonic() - began:.1f} s"
    assert {a["error"] for a in lines_of(gateway, 6)} <= {"upstream_timeout", "deadline_exceeded"}
    wait_until(lambda: all(r.ended_at for r in stage.received("openai")), "the copies to be cancelled")


def test_a_shadow_that_cannot_be_reached_is_dropped_or_fails(make):
    stage = Stage(make)
    gateway = make.gateway({"providers": {
        "main": stage.provider("main", OPENAI, ok()),
        "gone": {"wire": "openai-chat", "base_url": "http://127.0.0.1:1/v1"}},
        "models": {"m": {"targets": ["main/m"], "shadow": {"target": "gone/m", "usd_per_day": 0}}}, **SHIPPED})
    for _ in range(20):
        assert ask(gateway, "openai", "m").text == PRIMARY
    metrics = gateway.metrics()
    failed, dropped = (metrics.value(f"openclaw_shadow_requests_{name}_total") for name in ("failed", "dropped"))
    assert failed + dropped == 20 and failed > 0


def test_only_so_many_are_under_way_at_a_time(make):
    stage, gateway = shadowed(make, [hang], config={"server": {"workers": 1}}, usd_per_day=0)
    with ThreadPoolExecutor(16) as pool:
        assert all(r.text == PRIMARY for r in pool.map(lambda _: ask(gateway, "openai", "m"), range(80)))
    metrics = gateway.metrics()
    assert metrics.value("openclaw_shadow_requests_total") == 64
    assert metrics.value("openclaw_shadow_requests_dropped_total") == 16
    gateway.stop()


def test_spending_ends_at_the_limit_of_the_day_and_a_reload_does_not_reset_it(make):
    """A copy is taken to cost what its prompt and its limit of output tokens do until its usage is known."""
    if datetime.datetime.now(datetime.timezone.utc).strftime("%H:%M") in ("23:59", "00:00"):
        pytest.skip("a new day would begin")
    stage, gateway = shadowed(make, [ok("x", usage=(1_000_000, 0))], usd_per_day=0.3)    # 0.15 dollars each
    for n in range(4):
        ask(gateway, "openai", "m", max_tokens=10)
        lines_of(gateway, min(n + 1, 2))
        if n == 1:
            gateway.reload({**gateway.config, "models": {**gateway.config["models"], "other": {"targets": ["main/m"]}}})
    assert len(stage.received("openai")) == 2
    assert gateway.metrics().value("openclaw_shadow_requests_dropped_total") == 2


@pytest.mark.parametrize("alias", (False, True))
@pytest.mark.parametrize("demand", ({"ignore": ["other"]}, {"only": ["main"]}, {"zdr": True}, {"data_collection": "deny"}))
def test_whom_the_caller_excludes_gets_no_copy(make, demand, alias):
    """What a caller demands of those who get its words holds for copies, too."""
    stage = Stage(make)
    main = {**stage.provider("main", OPENAI, ok()), "data": {"retention": "none", "training": False}}
    gateway = make.gateway({"providers": {"main": main, "other": stage.provider("other", OPENAI, ok())}, "models": {
        "m": {"targets": ["main/m"], "shadow": {"target": "s" if alias else "other/m", "usd_per_day": 0}},
        "s": {"targets": ["other/m"]}}, **SHIPPED})
    assert ask(gateway, "openai", "m", provider=demand).text == PRIMARY
    assert gateway.metrics().value("openclaw_shadow_requests_dropped_total") == 1 and not stage.received("other")
    assert ask(gateway, "openai", "m", provider={"sort": "price", "order": ["main"], "allow_fallbacks": False}).text == PRIMARY
    assert lines_of(gateway, 1) and len(stage.received("other")) == 1


def test_a_share_of_the_requests_is_copied(make):
    stage, gateway = shadowed(make, [ok()], sample="50%", usd_per_day=0)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: ask(gateway, "openai", "m"), range(100)))
    assert 20 <= gateway.metrics().value("openclaw_shadow_requests_total") <= 80
    gateway.reload({**gateway.config, "models": {"m": {**gateway.config["models"]["m"],
                                                        "shadow": {"target": "openai/gpt-4o-mini", "sample": 0}}}})
    before = gateway.metrics().value("openclaw_shadow_requests_total")
    for _ in range(5):
        ask(gateway, "openai", "m")
    assert gateway.metrics().value("openclaw_shadow_requests_total") == before


def test_large_requests_and_models_without_a_price_get_no_copies(make):
    stage, gateway = shadowed(make, [ok()], target="openai/nobody-knows-its-price")
    assert ask(gateway, "openai", "m").text == PRIMARY
    gateway.reload({**gateway.config, "models": {"m": {"targets": ["main/m"], "shadow": {
        "target": "openai/nobody-knows-its-price", "usd_per_day": 0}}}})
    big = [{"role": "user", "content": "x" * 300_000}]
    assert ask(gateway, "openai", "m", messages=big).text == PRIMARY
    assert gateway.metrics().value("openclaw_shadow_requests_dropped_total") == 2
    assert not stage.received("openai")
    assert ask(gateway, "openai", "m").text == PRIMARY
    assert lines_of(gateway, 1) and "cost_nanousd" not in lines_of(gateway, 1)[0]


def test_a_stop_does_not_wait_for_copies(make):
    stage, gateway = shadowed(make, [slow(30)])
    assert ask(gateway, "anthropic", "m", stream=True).text == PRIMARY
    wait_until(lambda: stage.received("openai"), "the copy to be sent")
    began = time.monotonic()
    gateway.stop()
    assert time.monotonic() - began < 10
    line, = [a for a in gateway.access_log() if "shadow_of" in a]
    assert line["error"] == "client_gone"
