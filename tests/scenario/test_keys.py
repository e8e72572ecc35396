"""Providers with several API keys: a key that is refused, limited or out of credit takes down itself alone."""
import re

import pytest

from lib.ask import EVERY_CALLER, ask
from lib.fault import PRIMARY, SHIPPED, answered, refused, several
from lib.process import CANARY, wait_until
from lib.script import ANTHROPIC, OPENAI, WIRES, Stage, by, by_key, by_model, limited, ok, quota, status

GOOD, BAD, WORSE = (f"{CANARY}provider-{word}" for word in ("good", "bad", "worse"))
WAYS = [(caller, stream) for caller in EVERY_CALLER for stream in (False, True)]


def with_keys(make, wire, script, keys=(BAD, GOOD), **more):
    """A gateway whose only provider `lab` has these keys."""
    stage = Stage(make)
    lab = stage.provider("lab", wire, script, settings={"api_key": list(keys)})
    return stage, make.gateway({**SHIPPED, "providers": {"lab": lab}, **more})


def asked_with(stage, key):
    return [r for r in stage.received() if r.key == key]


def ask_in_every_way(gateway, model="lab/m", rounds=2, sees=answered(PRIMARY)):
    for _ in range(rounds):
        for caller, stream in WAYS:
            sees(ask(gateway, caller, model, stream), caller, stream)


@pytest.mark.parametrize("keys", [(BAD, GOOD), (GOOD, BAD)], ids=["first", "second"])
@pytest.mark.parametrize("wire", WIRES)
def test_a_revoked_key_of_two_is_never_noticed(make, wire, keys):
    stage, gateway = with_keys(make, wire, by_key(bad=status(401, "authentication_error"), good=ok()), keys)
    ask_in_every_way(gateway)
    assert len(asked_with(stage, BAD)) == 1 and len(asked_with(stage, GOOD)) == 2 * len(WAYS)
    named = f"lab#{keys.index(BAD) + 1}"
    wait_until(lambda: re.search(named, gateway.stderr()), "the log to say which key is wrong")


@pytest.mark.parametrize("wire", WIRES)
def test_a_key_that_may_not_use_a_model_is_used_for_the_others(make, wire):
    forbids = by(lambda r: "no" if r.key == BAD and r.model == "secret" else "other",
                 no=status(403, "permission_error"), other=ok())
    stage, gateway = with_keys(make, wire, forbids)
    ask_in_every_way(gateway, "lab/secret")
    assert len(asked_with(stage, BAD)) == 1
    ask_in_every_way(gateway, "lab/open")
    assert len([r for r in asked_with(stage, BAD) if r.model == "open"]) >= 3, "the key was benched altogether"


@pytest.mark.parametrize("wire", WIRES)
def test_a_limited_key_rests_while_the_other_serves(make, wire):
    limits = by(lambda r: "no" if r.key == BAD and r.model == "busy" else "other",
                no=limited([("Retry-After", "60")]), other=ok())
    stage, gateway = with_keys(make, wire, limits)
    ask_in_every_way(gateway, "lab/busy")
    assert len(asked_with(stage, BAD)) == 1, "it was asked before its time"
    ask_in_every_way(gateway, "lab/idle")
    assert len([r for r in asked_with(stage, BAD) if r.model == "idle"]) >= 3, "a limit of one model parked the key"


@pytest.mark.parametrize("wire", [OPENAI, ANTHROPIC])
def test_an_account_without_credit_is_benched_for_all_models(make, wire):
    stage, gateway = with_keys(make, wire, by_key(bad=quota(), good=ok()))
    ask_in_every_way(gateway, "lab/one")
    ask_in_every_way(gateway, "lab/two")
    assert len(asked_with(stage, BAD)) == 1


def test_two_bad_keys_of_three(make):
    stage, gateway = with_keys(make, OPENAI, by_key(bad=status(401, "authentication_error"), worse=quota(), good=ok()),
                               (BAD, WORSE, GOOD))
    ask_in_every_way(gateway)
    assert [len(asked_with(stage, key)) for key in (BAD, WORSE)] == [1, 1]


@pytest.mark.parametrize("caller, stream", WAYS)
def test_when_every_key_is_refused_that_is_told(make, caller, stream):
    stage, gateway = with_keys(make, OPENAI, status(401, "authentication_error"))
    refused("upstream_auth", 502, "false")(ask(gateway, caller, "lab/m", stream), caller, stream)
    assert {r.key for r in stage.received()} == {BAD, GOOD} and len(stage.received()) == 2


def test_a_key_that_was_replaced_is_used_at_once(make):
    stage, gateway = with_keys(make, OPENAI, by_key(bad=status(401, "authentication_error"), good=ok()), [BAD])
    for _ in range(3):
        refused("upstream_auth", 502)(ask(gateway, "openai", "lab/m"), "openai", False)
    assert len(asked_with(stage, BAD)) <= 2, "a refused key is asked with again and again"
    config = gateway.config
    config["providers"]["lab"]["api_key"] = [GOOD]
    gateway.reload(config)
    assert ask(gateway, "openai", "lab/m").complete


def test_a_benched_key_stays_benched_over_a_reload(make):
    stage, gateway = with_keys(make, OPENAI, by_key(bad=status(401, "authentication_error"), good=ok()))
    ask_in_every_way(gateway, rounds=1)
    gateway.reload()
    ask_in_every_way(gateway, rounds=1)
    assert len(asked_with(stage, BAD)) == 1


def test_keys_are_chosen_in_turn_while_they_are_healthy(make):
    stage, gateway = with_keys(make, OPENAI, ok())
    ask_in_every_way(gateway, rounds=4)
    assert min(len(asked_with(stage, key)) for key in (GOOD, BAD)) >= len(WAYS)


def test_a_revoked_key_takes_no_other_provider_down(make):
    """The same words of a key at another provider are another key."""
    stage = Stage(make)
    gateway = make.gateway({**SHIPPED, "providers": {
        "one": stage.provider("one", OPENAI, status(401, "authentication_error"), settings={"api_key": GOOD}),
        "two": stage.provider("two", OPENAI, ok(), settings={"api_key": GOOD})}})
    for _ in range(3):
        refused("upstream_auth", 502)(ask(gateway, "openai", "one/m"), "openai", False)
        assert ask(gateway, "openai", "two/m").complete


def test_a_provider_whose_only_key_is_refused_is_left_alone(make):
    stage, gateway = several(make, {"primary": (OPENAI, status(401, "authentication_error")), "backup": (ANTHROPIC, ok())})
    ask_in_every_way(gateway, "all")
    assert len(stage.received("primary")) == 1 and len(stage.received("backup")) == 2 * len(WAYS)


def test_a_limited_model_leaves_its_siblings_alone(make):
    """With one key, too. It is not asked before its time, and callers are told when that is."""
    stage, gateway = several(make, {"lab": (OPENAI, by_model(busy=limited([("Retry-After", "60")]), other=ok()))})
    for _ in range(4):
        refused("rate_limit_exceeded", 429, retry_after=(50, 61))(ask(gateway, "openai", "lab/busy"), "openai", False)
        answered(PRIMARY)(ask(gateway, "openai", "lab/idle"), "openai", False)
    assert [r.model for r in stage.received()].count("busy") == 1
