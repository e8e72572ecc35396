"""Which target of an alias a request goes to: strategies, nested aliases, patterns, and targets that cannot take it."""
import collections

import pytest

from lib.ask import EVERY_CALLER, ask
from lib.fault import SHIPPED
from lib.script import OPENAI, WIRES, Stage, ok, status

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
