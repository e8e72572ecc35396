"""Which target of an alias a request goes to: strategies, nested aliases, patterns, and targets that cannot take it."""
import collections
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from lib.ask import EVERY_CALLER, ask
from lib.fault import SHIPPED
from lib.script import ANTHROPIC, OPENAI, WIRES, Answer, Stage, ok, status, step

PICTURE = [{"type": "text", "text": "What is this?"},
           {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}]


def routed(make, models, providers=("a", "b", "c"), wire=OPENAI, scripts=None):
    """A gateway whose providers say their own names."""
    stage = Stage(make)
    named = {name: stage.provider(name, wire, (scripts or {}).get(name, ok(f"from {name}"))) for name in providers}
    return stage, make.gateway({**SHIPPED, "providers": named, "models": models})


def who(gateway, model, caller="openai", stream=False):
    result = ask(gateway, caller, model, stream)
    assert result.complete, result.body
    return result.text.removeprefix("from ")


@pytest.mark.parametrize("wire", WIRES)
def test_round_robin_takes_turns_whoever_asks(make, wire):
    _, gateway = routed(make, {"m": {"strategy": "round_robin", "targets": ["a/m", "b/m", "c/m"]}}, wire=wire)
    asked = [who(gateway, "m", caller, stream) for caller in EVERY_CALLER for stream in (False, True)]
    assert asked == ["a", "b", "c"] * 2


def test_round_robin_with_weights_and_a_group_among_its_members(make):
    _, gateway = routed(make, {
        "outer": {"strategy": "round_robin", "targets": [{"model": "a/m", "weight": 2}, "inner"]},
        "inner": {"strategy": "round_robin", "targets": ["b/m", "c/m"]}})
    counts = collections.Counter(who(gateway, "outer") for _ in range(12))
    assert counts["a"] == 8 and counts["b"] + counts["c"] == 4


def test_weighted_shares_requests_out(make):
    _, gateway = routed(make, {"m": {"strategy": "weighted", "targets": [{"model": "a/m", "weight": 9}, "b/m"]}})
    counts = collections.Counter(who(gateway, "m") for _ in range(200))
    assert 150 < counts["a"] < 200 and counts["b"] > 0, counts      # less likely than 1 in 10^8


def test_cost_asks_the_cheapest_and_the_next_cheapest_when_it_fails(make):
    models = {"m": {"strategy": "cost", "targets": ["openai/gpt-4o", "openai/gpt-4o-mini"]}}
    stage, gateway = routed(make, models, ["openai"])
    who(gateway, "m")
    assert [r.model for r in stage.received()] == ["gpt-4o-mini"]


def test_what_fails_is_followed_by_the_strategys_next(make):
    stage, gateway = routed(make, {"m": {"strategy": "round_robin", "targets": ["a/m", "b/m", "c/m"]}},
                            scripts={"a": status(404, "not_found_error"), "b": status(404, "not_found_error")})
    assert who(gateway, "m") == "c"
    assert [r.provider for r in stage.received()] == ["a", "b", "c"]


def test_a_picture_goes_to_a_model_that_sees(make):
    models = {"m": {"targets": ["groq/llama-3.3-70b-versatile", "openai/gpt-4o"]},
              "blind": {"targets": ["groq/llama-3.3-70b-versatile"]}}
    stage, gateway = routed(make, models, ["groq", "openai"])
    assert who(gateway, "m") == "groq"
    body = {"model": "m", "messages": [{"role": "user", "content": PICTURE}]}
    answer = gateway.post("/v1/chat/completions", body)
    assert answer.json()["choices"][0]["message"]["content"] == "from openai"
    refused = gateway.post("/v1/chat/completions", {**body, "model": "blind"})
    assert refused.status_code == 400
    assert refused.json()["error"]["message"] == (
        "no target of the model 'blind' can take this request: groq/llama-3.3-70b-versatile: it has images, which the model "
        "does not support")
    direct = gateway.post("/v1/chat/completions", {**body, "model": "groq/llama-3.3-70b-versatile"})
    assert direct.status_code == 200, "a target that is named directly is asked as it is"


def test_a_pattern_serves_the_names_that_a_client_knows(make):
    stage, gateway = routed(make, {"claude-*": {"targets": ["a/big-*", "b/m"]}, "*": {"targets": ["c/any"]}})
    for caller in EVERY_CALLER:
        assert who(gateway, "claude-sonnet-4-5", caller) == "a"
        assert who(gateway, "gpt-unheard-of", caller) == "c"
    assert {(r.provider, r.model) for r in stage.received()} == {("a", "big-sonnet-4-5"), ("c", "any")}
    assert who(gateway, "b/direct") == "b", "a pattern takes no name of a provider"


# --- what is measured of targets ---

LIMITS = {OPENAI: lambda left: [("x-ratelimit-remaining-requests", str(left)), ("x-ratelimit-reset-requests", "1m0s")],
          ANTHROPIC: lambda left: [("anthropic-ratelimit-requests-remaining", str(left)),
                                   ("anthropic-ratelimit-requests-reset", "2099-01-01T00:00:00Z")]}


def limited(text, wire, left):
    """An answer that says how many requests are left."""
    @step("limited")
    def play(reply):
        if reply.stream:
            reply.conn.head(200, "text/event-stream", None, LIMITS[wire](left))
            for _, event in reply.events(Answer(text)):
                reply.conn.chunk(event)
            reply.conn.end_chunks()
        else:
            reply.conn.answer(200, reply.document(Answer(text)), fields=LIMITS[wire](left))
    return play


@pytest.mark.parametrize("wire", LIMITS)
@pytest.mark.parametrize("strategy", ["priority", "least_busy", "sticky"])
def test_a_target_whose_limit_is_used_up_comes_last(make, wire, strategy):
    models = {"m": {"strategy": strategy, "targets": ["a/m", "b/m"]}, "only": {"targets": ["a/m"]}}
    stage, gateway = routed(make, models, ("a", "b"), wire, {"a": limited("from a", wire, 0)})
    assert who(gateway, "only") == "a"
    assert [who(gateway, "m") for _ in range(6)] == ["b"] * 6
    assert who(gateway, "only") == "a", "it is not excluded where there is no other"


def test_least_busy_goes_where_nothing_is_under_way(make):
    models = {"m": {"strategy": "least_busy", "targets": ["a/m", "b/m", "c/m"]}}
    _, gateway = routed(make, models, scripts={name: ok(f"from {name}", delay=1) for name in "abc"})
    with ThreadPoolExecutor(max_workers=6) as pool:
        def later(n):
            time.sleep(n * 0.1)
            return who(gateway, "m")
        assert collections.Counter(pool.map(later, range(6))) == {"a": 2, "b": 2, "c": 2}


@pytest.mark.parametrize("stream", [False, True])
def test_latency_leaves_the_slow_target(make, stream):
    models = {"m": {"strategy": "latency", "targets": ["a/m", "b/m", "c/m"]}}
    _, gateway = routed(make, models, scripts={"a": ok("from a", delay=0.5)})
    for name in "abc":
        assert who(gateway, f"{name}/m", stream=stream) == name
    asked = collections.Counter(who(gateway, "m", stream=stream) for _ in range(30))
    assert asked["a"] == 0 and asked["b"] > 0 and asked["c"] > 0, asked


@pytest.mark.parametrize("caller", EVERY_CALLER)
def test_a_conversation_stays_with_its_target(make, caller):
    models = {"m": {"strategy": "sticky", "targets": ["a/m", "b/m", "c/m"]}}
    _, gateway = routed(make, models)

    def first(session):
        result = ask(gateway, caller, "m", headers={"x-openclaw-session": session})
        return result.text
    homes = {f"s{n}": first(f"s{n}") for n in range(20)}
    assert len(set(homes.values())) == 3, homes
    for session, home in homes.items():
        assert first(session) == home


def test_score_and_learned_choose_by_what_is_known_of_models(make):
    targets = ["openai/gpt-4o-mini", "anthropic/claude-opus-4-5"]
    models = {"cheap": {"strategy": "score", "score": {"cost": 1, "quality": 0, "latency": 0, "load": 0}, "targets": targets},
              "good": {"strategy": "score", "score": {"cost": 0, "quality": 1, "latency": 0, "load": 0}, "targets": targets},
              "any": {"strategy": "learned", "quality": "10%", "targets": targets},
              "best": {"strategy": "learned", "quality": 1, "targets": targets}}
    stage = Stage(make)
    named = {"openai": stage.provider("openai", OPENAI, ok("from openai")),
             "anthropic": stage.provider("anthropic", ANTHROPIC, ok("from anthropic"))}
    gateway = make.gateway({**SHIPPED, "providers": named, "models": models})
    assert [who(gateway, m) for m in models] == ["openai", "anthropic", "openai", "anthropic"]
