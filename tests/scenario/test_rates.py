"""Limits on requests and tokens: exact for many connections and workers, and said in the caller's words."""
import datetime
import json

import pytest

from lib import raw
from lib.flood import flood

ASK = [{"role": "user", "content": "How fast?"}]


def config(mock, *limits, **more):
    return {"providers": {"lab": mock.provider()}, "limits": list(limits), **more}


def body(model="lab/m", **more):
    return {"model": model, "messages": ASK, "max_tokens": 50, **more}


def post(gateway, headers=None, **more):
    return gateway.post("/v1/chat/completions", body(**more), headers=headers)


def statuses(gateway, n, **more):
    return [post(gateway, **more).status_code for _ in range(n)]


def test_a_hundred_connections_get_the_limit_and_a_burst_and_no_more(make):
    mock = make.mock(record=False)
    gateway = make.gateway(config(mock, auth={"keys": [{"name": "k", "key": "sk-rates-0123456789", "rpm": 600}]}), workers=2)
    request = raw.request("POST", "/v1/chat/completions", body(), {"Authorization": "Bearer sk-rates-0123456789"})
    replies = flood(gateway.address, [request] * 100, 100, lambda reply, replies: len(replies) < 3000, pause=0.3)
    assert {r.status for r in replies} == {200, 429}
    ok = sorted((r.began, r.ended) for r in replies if r.status == 200)
    first = min(r.began for r in replies)
    # 100 at once, and one in a tenth of a second: each was admitted between its begin and its end
    for _, ended in ok:
        assert sum(1 for _, e in ok if e <= ended) <= 100 + (ended - first) * 10 + 1
    assert len(ok) >= 100 + 10 * (max(r.ended for r in replies) - first) * 0.5
    assert len(ok) == mock.stats()["requests"]


def test_the_refusal_says_what_and_when(make):
    gateway = make.gateway(config(make.mock(), {"for": "key:*", "rpm": 6, "burst": 2}))
    first = post(gateway)
    assert first.headers["x-ratelimit-limit-requests"] == "6"
    assert first.headers["x-ratelimit-remaining-requests"] == "1"
    assert first.headers["x-ratelimit-reset-requests"].endswith("s")
    assert first.headers["ratelimit-policy"] == '"rpm";q=6;w=60'
    assert first.headers["ratelimit"].startswith('"rpm";r=1;t=')
    assert post(gateway).status_code == 200
    refused = post(gateway)
    assert refused.status_code == 429
    assert 1 <= int(refused.headers["retry-after"]) <= 10
    assert refused.headers["x-should-retry"] == "true"
    assert refused.headers["x-ratelimit-remaining-requests"] == "0"
    error = refused.json()["error"]
    assert error["code"] == "rate_limit_exceeded" and "6 requests a minute" in error["message"]
    assert "key 'tester'" in error["message"]
    assert gateway.access_of(refused)["error"] == "rate_limit_exceeded"


def test_anthropics_callers_get_anthropics_fields(make):
    gateway = make.gateway(config(make.mock(), {"for": "all", "rpm": 60, "tpm": 600000}))
    reply = gateway.post("/v1/messages", body())
    assert reply.status_code == 200
    assert not [n for n in reply.headers if n.startswith("x-ratelimit")]
    assert reply.headers["anthropic-ratelimit-requests-limit"] == "60"
    assert reply.headers["anthropic-ratelimit-tokens-limit"] == "600000"
    left = int(reply.headers["anthropic-ratelimit-tokens-remaining"])
    assert 99000 < left < 100000
    at = datetime.datetime.fromisoformat(reply.headers["anthropic-ratelimit-requests-reset"].replace("Z", "+00:00"))
    assert abs((at - datetime.datetime.now(datetime.timezone.utc)).total_seconds()) < 60


def test_a_providers_own_fields_pass_where_nothing_is_limited(make):
    mock = make.mock()
    gateway = make.gateway({"providers": {"lab": mock.provider()}})
    assert post(gateway).headers["x-ratelimit-limit-requests"] == "10000"


def test_tokens_are_reserved_and_corrected(make):
    mock = make.mock()
    gateway = make.gateway(config(mock, {"for": "key:*", "tpm": 6000}))
    # 1,000 at once; each reserves 800 and uses few
    for n in range(4):
        reply = post(gateway, model="lab/m;tokens=5", max_tokens=800)
        assert reply.status_code == 200, n
    left = int(reply.headers["x-ratelimit-remaining-tokens"])
    assert left < 300    # while it was in progress
    assert post(gateway, max_tokens=10).status_code == 200
    refused = post(gateway, max_tokens=7000)
    assert refused.status_code == 429 and refused.headers["x-should-retry"] == "false"
    assert "more than the 6000 tokens a minute" in refused.json()["error"]["message"]


@pytest.mark.parametrize("fault", ["500", "reset-before", "truncated"])
def test_tokens_of_what_failed_are_given_back(make, fault):
    gateway = make.gateway(config(make.mock("--fault", fault), {"for": "key:*", "tpm": 6000}, retry={"attempts": 1, "budget": 0, "breakers": False}))
    assert {r for r in statuses(gateway, 3, max_tokens=900)} & {429} == set()


def test_requests_at_one_time_are_counted_and_leave(make):
    mock = make.mock()
    gateway = make.gateway(config(mock, {"for": "key:*", "concurrent": 2, "streams": 1}))
    with gateway.raw() as one, gateway.raw() as two, gateway.raw() as three:
        def send(client, **more):
            client.send(raw.request("POST", "/v1/chat/completions", body("lab/m;ttft=30s", **more),
                                    {"Authorization": f"Bearer {gateway.key}"}))
        from lib.process import wait_until
        send(one, stream=True)
        wait_until(lambda: mock.stats()["open"] == 1, "it is there")
        second = post(gateway, stream=True)
        assert second.status_code == 429 and "1 streams at one time" in second.text
        send(two)
        wait_until(lambda: mock.stats()["open"] == 2, "it is there")
        third = post(gateway)
        assert third.status_code == 429 and "2 requests at one time" in third.json()["error"]["message"]
        one.close()
        wait_until(lambda: mock.stats()["open"] == 1, "it has left")
        wait_until(lambda: post(gateway).status_code == 200, "there is room")


@pytest.mark.parametrize("scope, headers", [
    ("all", {}), ("key:tester", {}), ("provider:lab", {}), ("model:lab/*", {}), ("model:m", {}), ("tag:team=search", {"x-openclaw-tags": "beta, team=search"}),
    ("tag:team", {"x-openclaw-tags": "team=search"}), ("tag:beta", {"x-openclaw-tags": "beta, beta, beta"}), ("session:s1", {"x-openclaw-session": "s1"}), ("address:127.0.0.1", {})])
def test_every_kind_of_scope_limits_its_own(make, scope, headers):
    mock = make.mock()
    gateway = make.gateway(config(mock, {"for": scope, "rpd": 2, "burst": 2}))
    assert statuses(gateway, 3, headers=headers) == [200, 200, 429]
    assert mock.stats()["requests"] == 2


def test_who_is_not_meant_is_not_limited(make):
    gateway = make.gateway(config(make.mock(), {"for": "key:other", "rpm": 1}, {"for": "tag:x", "rpm": 1}, {"for": "model:y/*", "rpm": 1}))
    assert statuses(gateway, 4) == [200] * 4
    assert "ratelimit" not in post(gateway).headers


def test_another_provider_answers_when_the_limit_of_one_is_reached(make):
    one, two = make.mock(), make.mock()
    gateway = make.gateway({"providers": {"one": one.provider(), "two": two.provider()},
                            "models": {"any": {"targets": ["one/m", "two/m"]}},
                            "limits": [{"for": "provider:one", "rpd": 2, "burst": 2}]})
    assert statuses(gateway, 5, model="any") == [200] * 5
    assert (one.stats()["requests"], two.stats()["requests"]) == (2, 3)


def test_background_work_waits_instead_of_being_refused(make):
    gateway = make.gateway(config(make.mock(), {"for": "all", "rpm": 120, "burst": 2}))
    low = {"x-openclaw-priority": "low"}
    assert statuses(gateway, 3, headers=low) == [200] * 3
    assert gateway.metrics().value("openclaw_limits_waited_total") >= 1
    assert 429 in statuses(gateway, 8)


def test_a_reload_keeps_what_was_used_and_changes_the_limit(make):
    mock = make.mock()
    gateway = make.gateway(config(mock, {"for": "all", "rpd": 2, "burst": 2}))
    assert statuses(gateway, 3) == [200, 200, 429]
    gateway.reload(config(mock, {"for": "all", "rpd": 2, "burst": 2}, models={"a": {"targets": ["lab/m"]}}, auth=gateway.config["auth"]))
    assert statuses(gateway, 1) == [429]
    gateway.reload(config(mock, auth=gateway.config["auth"]))
    assert statuses(gateway, 3) == [200] * 3
