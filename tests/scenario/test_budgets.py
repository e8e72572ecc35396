"""Money: never more is spent than there is, and what is spent is what the provider bills."""
import json
import os
import random
import signal

import pytest

from lib import raw
from lib.flood import flood
from lib.process import SANITIZED, wait_until

DEEP = bool(os.environ.get("OPENCLAW_DEEP")) and not SANITIZED
INPUT, OUTPUT = 1000, 100000    # nano-dollars a token: a dollar and a hundred a million
LENGTHS = (1, 2, 5, 10, 20, 60)
ASK = [{"role": "user", "content": "How much is it?"}]


def model(tokens):
    return f"lab/m;tokens={tokens};ttft=20ms"


def prices():
    return {"models": [{"id": model(n), "output": 4000, "price": {"input": INPUT / 1000, "output": OUTPUT / 1000}}
                       for n in LENGTHS]}


def config(mock, **more):
    return {"providers": {"lab": mock.provider()}, "catalog": prices(), **more}


def body(tokens, most=None, **more):
    return {"model": model(tokens), "messages": ASK, **({"max_tokens": most} if most else {}), **more}


def request(gateway, *args, headers=None, **more):
    return raw.request("POST", "/v1/chat/completions", body(*args, **more),
                       {"Authorization": f"Bearer {gateway.key}", **(headers or {})})


def billed(mock):
    stats = mock.stats()
    return stats["input_tokens"] * INPUT + stats["output_tokens"] * OUTPUT


def post(gateway, *args, headers=None, **more):
    return gateway.post("/v1/chat/completions", body(*args, **more), headers=headers)


def settled(gateway):
    """Nano-dollars in the access log, once all requests have ended."""
    gateway.idle()
    return sum(line.get("cost_nanousd", 0) for line in gateway.access_log())


def test_many_at_one_time_spend_all_of_a_budget_and_no_more(make):
    count, at_once, dollars = (10000, 4000, 10) if DEEP else (1500, 300, 1)
    mock = make.mock(record=False)
    gateway = make.gateway(config(mock, budgets=[{"for": "all", "amount": str(dollars), "period": "total"}],
                                  server={"limits": {"streams_per_key": 0}, "workers": 2}))
    rng = random.Random(11)
    requests = [request(gateway, n, rng.randint(n, 990)) for n in rng.choices(LENGTHS, k=count)]
    last = {"ok": 0, "refused": 0}

    def again(reply, replies):
        if reply.status == 200:
            last["ok"], last["refused"] = last["ok"] + 1, 0
            return False
        assert reply.status == 429, reply
        last["refused"] += 1
        return last["refused"] < 3 * at_once    # so often in a row that nothing is under way

    replies = flood(gateway.address, requests, at_once, again)
    wait_until(lambda: mock.stats()["open"] == 0, "the provider has answered all")
    spent = billed(mock)
    assert spent <= dollars * 10**9
    assert spent >= dollars * 10**9 - 100_000_000
    refused = [r for r in replies if r.status == 429]
    assert refused and last["ok"] == mock.stats()["completed"]
    assert {json.loads(r.body)["error"]["code"] for r in refused} <= {"insufficient_quota", "rate_limit_exceeded"}
    assert settled(gateway) == spent


def test_a_budget_that_is_used_up_refuses_in_the_callers_words_until_it_is_raised(make):
    mock = make.mock()
    small = {"name": "small", "for": "key:*", "amount": "0.0061", "alerts": ["50%", "90%"]}    # a request of 60 tokens
    gateway = make.gateway(config(mock, budgets=[small]))
    assert post(gateway, 60, 60).status_code == 200
    refused = post(gateway, 60, 60)
    assert refused.status_code == 429 and refused.headers["x-should-retry"] == "false"
    error = refused.json()["error"]
    assert (error["type"], error["code"]) == ("insufficient_quota", "insufficient_quota")
    assert "key 'tester'" in error["message"] and "month" in error["message"]
    assert mock.stats()["requests"] == 1
    wait_until(lambda: "budget alert: key:tester has spent 90 % of 0.00 dollars (month)" in gateway.stderr(), "it is told")
    assert "has spent 50 %" in gateway.stderr() and "has spent 100 %" not in gateway.stderr()
    assert gateway.metrics().value("openclaw_budget_alerts_total") == 2
    assert gateway.metrics().value("openclaw_budgets_refused_total") == 1

    gateway.reload(config(mock, budgets=[{**small, "amount": "0.02"}], auth=gateway.config["auth"]))
    assert post(gateway, 60, 60).status_code == 200    # what was spent is kept
    assert post(gateway, 60, 60).status_code == 200
    assert post(gateway, 60, 60).status_code == 429


def test_budgets_are_nested_and_each_can_refuse(make):
    mock = make.mock()
    keys = [{"name": name, "key": f"sk-{name}-0123456789", "team": "search"} for name in ("a", "b")]
    gateway = make.gateway(config(mock, auth={"keys": [{**keys[0], "budget": "0.007/day"}, keys[1]]}, budgets=[
        {"for": "team:search", "amount": "0.014"}]))

    def ask(name):
        reply = gateway.http().post("/v1/chat/completions", json=body(60, 60), headers={"Authorization": f"Bearer sk-{name}-0123456789"})
        return reply.status_code, reply.json().get("error", {}).get("message", "")

    assert ask("a")[0] == 200
    assert ask("a")[0] == 429 and "key 'a'" in ask("a")[1] and "day" in ask("a")[1]
    assert ask("b")[0] == 200
    assert ask("b")[0] == 429 and "team 'search'" in ask("b")[1]


def test_a_request_without_a_limit_reserves_what_the_model_can_write(make):
    mock = make.mock()
    gateway = make.gateway(config(mock, budgets=[{"for": "all", "amount": "0.4"}]))
    assert post(gateway, 5).status_code == 429    # 4,000 tokens cost 0.4, and there is the prompt
    assert post(gateway, 5, 100).status_code == 200
    gateway = make.gateway(config(mock, budgets=[{"for": "all", "amount": "0.41"}]))
    assert post(gateway, 5).status_code == 200
    assert "max_tokens" not in mock.last_request()["json"] and "max_completion_tokens" not in mock.last_request()["json"]


def test_a_strict_budget_sends_the_limit_that_it_reserved(make):
    mock = make.mock()
    gateway = make.gateway(config(mock, budgets=[{"for": "all", "amount": "0.41", "strict": True}]))
    assert post(gateway, 5).status_code == 200
    sent = mock.last_request()["json"]
    assert sent.get("max_tokens", sent.get("max_completion_tokens")) == 4000
    assert post(gateway, 5, 77).status_code == 200
    sent = mock.last_request()["json"]
    assert sent.get("max_tokens", sent.get("max_completion_tokens")) == 77


def test_what_a_provider_bills_beyond_the_reservation_is_booked_and_reported(make):
    usage = {"prompt_tokens": 10, "completion_tokens": 1000, "total_tokens": 1010}
    answer = {"id": "c1", "object": "chat.completion", "created": 1, "model": "m", "usage": usage,
              "choices": [{"index": 0, "message": {"role": "assistant", "content": "much"}, "finish_reason": "stop"}]}
    upstream = make.upstream(lambda c: c.answer(200, answer))
    gateway = make.gateway({"providers": {"lab": upstream.provider()}, "catalog": prices(),
                            "budgets": [{"for": "all", "amount": "0.05"}]})
    assert post(gateway, 60, 60).status_code == 200
    gateway.idle()
    assert gateway.metrics().value("openclaw_budget_excess_nanousd_total") > 90_000_000
    assert post(gateway, 1, 1).status_code == 429


def test_another_alias_answers_when_the_budget_is_used_up(make):
    mock = make.mock()
    gateway = make.gateway(config(mock, models={"cheap": {"targets": [model(1)]}}, budgets=[
        {"for": "all", "amount": "0.0061", "when_used_up": "alias", "alias": "cheap"}]))
    assert post(gateway, 60, 60).headers["x-openclaw-model"] == model(60)[4:]
    for _ in range(3):
        reply = post(gateway, 60, 60)
        assert reply.status_code == 200 and reply.headers["x-openclaw-model"] == model(1)[4:]
    assert gateway.metrics().value("openclaw_budgets_aliased_total") == 3


def test_a_throttled_budget_lets_one_a_minute_pass(make):
    mock = make.mock()
    gateway = make.gateway(config(mock, budgets=[{"for": "all", "amount": "0.0001", "when_used_up": "throttle"}]))
    assert [post(gateway, 60, 60).status_code for _ in range(4)] == [200, 429, 429, 429]


def test_one_request_and_one_session_have_ceilings(make):
    mock = make.mock()
    gateway = make.gateway(config(mock, budgets=[
        {"for": "all", "amount": "100", "per_request": "0.01", "per_session": "0.013"}]))
    assert "for one" in post(gateway, 60, 110).json()["error"]["message"]
    for session in ("one", "two"):
        statuses = [post(gateway, 60, 60, headers={"x-openclaw-session": session}).status_code for _ in range(3)]
        assert statuses == [200, 200, 429], session
    assert [post(gateway, 60, 60).status_code for _ in range(3)] == [200] * 3


@pytest.mark.parametrize("most, more", [(2**63 - 1, {}), (2**63 - 1, {"n": 2}), (2**62, {"n": 4}), (10**17, {})])
def test_a_limit_that_is_too_large_to_be_priced_is_not_free(make, most, more):
    mock = make.mock()
    catalog = {"models": [{"id": model(1), "price": {"input": 1, "output": 100}}]}
    for limits in ({"budgets": [{"for": "all", "amount": "1"}]}, {"budgets": [{"for": "all", "amount": "1000", "per_request": "1"}]},
                   {"limits": [{"for": "all", "tpm": 5000}]}):
        gateway = make.gateway({**config(mock, **limits), "catalog": catalog})
        refused = post(gateway, 1, most, **more)
        assert refused.status_code == 429 and refused.headers["x-should-retry"] == "false", refused.text
        assert post(gateway, 1, 1).status_code == 200
    assert mock.stats()["requests"] == 3


def test_a_cheaper_target_of_an_alias_still_fits(make):
    mock = make.mock()
    gateway = make.gateway({**config(mock, models={"any": {"targets": ["lab/dear", model(5)]}},
                                     budgets=[{"for": "all", "amount": "0.01"}]),
                            "catalog": {"models": [*prices()["models"], {"id": "lab/dear", "price": {"input": 1, "output": 5000}}]}})
    reply = gateway.post("/v1/chat/completions", {"model": "any", "messages": ASK, "max_tokens": 60})
    assert reply.status_code == 200 and reply.headers["x-openclaw-model"] == model(5)[4:]


def test_an_attempt_that_fails_costs_nothing(make):
    failing, mock = make.mock("--fault", "500"), make.mock()
    gateway = make.gateway({**config(mock, models={"any": {"targets": ["bad/m", model(60)]}},
                                     budgets=[{"for": "all", "amount": "0.0125"}]),
                            "providers": {"bad": failing.provider(), "lab": mock.provider()},
                            "catalog": {"models": [*prices()["models"], {"id": "bad/m", "price": {"input": 1, "output": 100}}]}})

    def ask():
        return gateway.post("/v1/chat/completions", {"model": "any", "messages": ASK, "max_tokens": 60})

    assert [ask().status_code for _ in range(3)] == [200, 200, 429]
    assert failing.stats()["requests"] >= 2


def test_what_is_wrong_in_the_section_is_said(make, tmp_path):
    import subprocess
    from lib import process

    def check(**section):
        path = tmp_path / "c.yaml"
        path.write_text(json.dumps(section))
        done = subprocess.run([process.BIN, "check", "-c", path], capture_output=True, text=True, timeout=process.PATIENCE)
        assert done.returncode == 2
        return done.stdout + done.stderr

    assert "is not a scope" in check(limits=[{"for": "keys:*", "rpm": 1}])
    assert "is not a budget" in check(auth={"keys": [{"name": "a", "key": "sk-0123456789abcdef", "budget": "10"}]})
    assert "is not a time zone" in check(budgets=[{"for": "all", "amount": 1, "time_zone": "Europe/Nowhere"}])
    assert "is not an amount" in check(budgets=[{"for": "all", "amount": -1}])
    assert "belong together" in check(budgets=[{"for": "all", "amount": 1, "when_used_up": "alias"}])
    assert "have this name" in check(budgets=[{"for": "all", "name": "x", "amount": 1}, {"for": "key:a", "name": "x", "amount": 1}])


@pytest.mark.parametrize("how", ["end", "kill"])
def test_what_was_spent_before_a_restart_still_counts(make, tmp_path, how):
    mock = make.mock()
    scopes = ["all", "key:tester", "provider:lab", f"model:{model(60)}", "team:search", "tag:cost=7"]
    keys = [{"name": "tester", "key": "sk-restart-0123456789", "team": "search", "tags": ["cost=7"]}]
    settings = config(mock, auth={"keys": keys}, store={"url": f"sqlite:{tmp_path}/s.db"}, budgets=[
        {"for": scope, "amount": "0.02", "period": period} for scope in scopes for period in ("month", "total")])

    def ask(gateway):
        return post(gateway, 60, 60, headers={"Authorization": "Bearer sk-restart-0123456789"})

    gateway = make.gateway(settings)
    assert [ask(gateway).status_code for _ in range(2)] == [200, 200]
    gateway.idle()
    if how == "kill":
        gateway.checks = False
        gateway.stop(signal.SIGKILL)
    else:
        gateway.close()
    for scope in scopes:
        gateway = make.gateway({**settings, "budgets": [{"for": scope, "amount": "0.0121", "period": "total"}]})
        assert ask(gateway).status_code == 429, scope
        gateway.close()
    gateway = make.gateway(settings)
    assert ask(gateway).status_code == 200
    assert ask(gateway).status_code == 429


def test_what_other_gateways_spend_counts_and_budgets_that_are_made_later_know_what_was_spent(make):
    mock, postgres = make.mock(), make.postgres()
    settings = config(mock, store={"url": postgres.url()}, budgets=[{"for": "all", "amount": "0.02", "period": "total"}])
    one, two = make.gateway(settings), make.gateway(settings)
    assert [post(one, 60, 60).status_code for _ in range(3)] == [200, 200, 200]      # 0.018 dollars
    # cheap ones that may be dear
    wait_until(lambda: post(two, 1, 60).status_code == 429, "the other gateway to know", pause=0.2)
    assert post(two, 60, 60).status_code == 429
    later = {**settings, "budgets": [{"for": "provider:lab", "amount": "0.0179", "period": "total"}]}
    two.reload(later)
    wait_until(lambda: post(two, 1, 60).status_code == 429, "the new budget to know", pause=0.2)
