"""Silent and slow targets: the next one is asked beside them while the caller still waits, and the first to answer wins."""
from concurrent.futures import ThreadPoolExecutor

import pytest

from lib import raw
from lib.ask import EVERY_CALLER, PATHS, ask, body_of
from lib.fault import BACKUP, PRIMARY, Fault, answered, play, several
from lib.process import wait_until
from lib.script import ANTHROPIC, OPENAI, WIRES, comments, drip, hang, ok, slow, stall, status
from lib.sdk import ASK

# What SDKs say of their timeouts, and how long a request may take with it.
ANNOUNCED = {"our own field": ({"x-openclaw-timeout": "5s"}, 5), "a whole SDK timeout": ({"x-stainless-timeout": "5"}, 5),
             "a timeout of silence": ({"x-stainless-read-timeout": "4"}, 5)}

SILENT = {"hangs": hang, "head only": stall("head", 0), "no token": stall("start", 1), "comments only": comments(),
          "first token too late": ok(delay=60)}


def started_between(scene, least, most):
    """The backup was asked so long after the primary, for every combination, while the primary was still under way."""
    for case in scene.cases:
        primary, backup = scene.received("primary", case)[0], scene.received("backup", case)[0]
        assert least <= backup.at - primary.at <= most, f"{case}: {backup.at - primary.at:.3f} s"
        assert primary.cancelled_at > backup.at, f"{case}: the primary was given up before the backup was asked"


@pytest.mark.parametrize("silence", ["hangs", "comments only"])
def test_with_nothing_announced_a_silent_target_is_outrun_within_the_patience_of_an_sdk(make, silence):
    """SDKs wait for 20 s at the least."""
    scene = play(make, Fault(silence, [SILENT[silence]], cancelled=True))
    started_between(scene, 4, 18)


@pytest.mark.parametrize("silence, announced", [*(("hangs", a) for a in ANNOUNCED), *((s, "our own field") for s in SILENT
                                                                                     if s != "hangs")])
def test_what_an_sdk_announces_leaves_time_for_the_next_target(make, silence, announced):
    headers, patience = ANNOUNCED[announced]
    wires = [OPENAI, ANTHROPIC] if silence == "no token" else WIRES    # Ollama's streams begin with one
    scene = play(make, Fault(silence, [SILENT[silence]], cancelled=True, headers=headers, wires=wires))
    started_between(scene, 0.5, patience)


def test_two_silent_targets_and_a_third(make):
    stage, gateway = several(make, {"a": (OPENAI, hang), "b": (ANTHROPIC, hang), "c": (OPENAI, ok("from-the-third"))})
    with ThreadPoolExecutor() as pool:
        results = pool.map(lambda caller: ask(gateway, caller, "all", caller == "openai", {"x-openclaw-timeout": "8s"}),
                           EVERY_CALLER)
    for caller, got in zip(EVERY_CALLER, results):
        answered("from-the-third")(got, caller, False)
    wait_until(lambda: all(r.cancelled for r in stage.received() if r.provider != "c"), "the losers to be cancelled")


RACES = [
    Fault("the slow one wins after all", [ok(delay=2.5)], answered(PRIMARY), asked=(1, 1), backup=[ok(BACKUP, delay=30)],
          headers={"x-openclaw-timeout": "5s"}),
    Fault("the first to fail does not end the race", [ok(delay=3)], answered(PRIMARY), asked=(1, (1, 2)), backup=[hang],
          headers={"x-openclaw-timeout": "6s"}),
    Fault("slow, but with tokens", [slow(0.4, "one.two.three.four.five.six.seven.", pieces=8)],
          answered("one.two.three.four.five.six.seven."), asked=(1, 0), streams=(True,), config={"retry": {"slow": "2s"}}),
]


@pytest.mark.parametrize("fault", RACES, ids=str)
def test_a_race(make, fault):
    play(make, fault)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("sdk", ["openai", "anthropic"])
def test_an_sdk_gets_its_answer_within_its_timeout(make, sdk, stream):
    """It announces the timeout by itself, and would repeat the request if it ran out."""
    stage, gateway = several(make, {"primary": (OPENAI, hang), "backup": (ANTHROPIC, ok(BACKUP))})
    if sdk == "openai":
        client = gateway.openai(timeout=5, max_retries=2)
        answer = client.chat.completions.create(model="all", messages=ASK, stream=stream)
        text = "".join(chunk.choices[0].delta.content or "" for chunk in answer if chunk.choices) if stream else \
            answer.choices[0].message.content
    else:
        client = gateway.anthropic(timeout=5, max_retries=2)
        if stream:
            with client.messages.stream(model="all", max_tokens=100, messages=ASK) as events:
                text = events.get_final_text()
        else:
            text = client.messages.create(model="all", max_tokens=100, messages=ASK).content[0].text
    assert text == BACKUP
    assert [r.provider for r in stage.received()] == ["primary", "backup"], "it was repeated"


@pytest.mark.parametrize("stream", [False, True])
def test_a_caller_who_leaves_a_race_ends_both_sides_of_it(make, stream):
    stage, gateway = several(make, {"primary": (OPENAI, hang), "backup": (ANTHROPIC, hang)})
    with gateway.raw() as client:
        client.send(raw.request("POST", PATHS["openai"], body_of("all", stream),
                                {**gateway.authorization(), "x-openclaw-timeout": "20s"}))
        wait_until(lambda: stage.received("backup"), "the race to begin")
    wait_until(lambda: all(r.cancelled for r in stage.received()), "both to be cancelled")
    assert gateway.last_access()["error"] == "client_gone"
    gateway.idle()


@pytest.mark.parametrize("wire", WIRES)
def test_the_loser_is_cancelled_and_its_cost_is_told(make, wire):
    stage, gateway = several(make, {"primary": (wire, hang), "backup": (OPENAI, ok(BACKUP))})
    got = ask(gateway, "openai", "all", True, {"x-openclaw-timeout": "5s"})
    answered(BACKUP)(got, "openai", True)
    loser, winner = stage.received("primary")[0], stage.received("backup")[0]
    wait_until(lambda: loser.cancelled and winner.ended_at, "the loser to be cancelled")
    assert loser.cancelled_at - winner.ended_at < 2
    assert [(a["provider"], a["outcome"]) for a in gateway.access(got.id)["attempts"]] == [("primary", "outrun"),
                                                                                         ("backup", "ok")]


@pytest.mark.parametrize("caller", EVERY_CALLER)
def test_a_token_every_second_for_ever_ends_with_the_callers_deadline(make, caller):
    """It is no stall. The caller's own deadline ends it, with an error."""
    stage, gateway = several(make, {"primary": (OPENAI, drip(0.5)), "backup": (ANTHROPIC, ok(BACKUP))})
    got = ask(gateway, caller, "all", True, {"x-openclaw-timeout": "3s"})
    assert got.status == 200 and got.error and not got.complete and got.text.startswith("from"), got
    assert gateway.access(got.id)["error"] == "deadline_exceeded"
    wait_until(lambda: stage.received("primary")[0].cancelled, "the provider to be told")


@pytest.mark.parametrize("stream", [False, True])
def test_only_configured_limits_end_an_attempt(make, stream):
    """A sole target may take as long as it wants: there is nothing to be gained by giving it up."""
    stage, gateway = several(make, {"primary": (OPENAI, ok(delay=4))}, retry={"slow": "1s"})
    answered(PRIMARY)(ask(gateway, "openai", "all", stream), "openai", stream)
    assert len(stage.received()) == 1


def test_a_target_that_was_quick_is_not_waited_for_as_long(make):
    """Its own times say how long a first token takes."""
    stage, gateway = several(make, {"primary": (OPENAI, ok()), "backup": (ANTHROPIC, ok(BACKUP))})
    for i in range(60):
        assert ask(gateway, EVERY_CALLER[i % 3], "all", True).text == PRIMARY
    stage.now("primary", hang)
    answered(BACKUP)(ask(gateway, "openai", "all", True), "openai", True)
    assert 0.5 <= stage.received("backup")[0].at - stage.received("primary")[-1].at <= 6, "by default it would be 8 s"


def hedged(make, **hedge):
    """A gateway that knows the primary as quick, whose alias hedges. Nothing else begins a second attempt."""
    stage, gateway = several(make, {"primary": (OPENAI, ok()), "backup": (ANTHROPIC, ok(BACKUP))}, retry={"slow": "0s"},
                             models={"all": {"targets": ["primary/m", "backup/m"], "hedge": hedge}})
    for i in range(60):
        assert ask(gateway, EVERY_CALLER[i % 3], "all", True).text == PRIMARY
    return stage, gateway


def test_a_hedge_is_begun_after_the_targets_usual_time_and_the_loser_is_cancelled(make):
    stage, gateway = hedged(make, share=50)
    stage.now("primary", ok(delay=20))
    for caller in EVERY_CALLER:
        got = ask(gateway, caller, "all", True)
        answered(BACKUP)(got, caller, True)
        line = gateway.access(got.id)
        assert [a["outcome"] for a in line["attempts"]] == ["outrun", "ok"], line
        loser = stage.received("primary")[-1]
        wait_until(lambda: loser.cancelled, "the primary's work to be cancelled")
        assert loser.cancelled_at - loser.at < 15, "not when the primary was done"


def test_hedges_are_a_share_of_the_requests(make):
    """The sixty requests before have paid for three at 5 percent."""
    stage, gateway = hedged(make, share=5)
    stage.now("primary", ok(delay=3))
    with ThreadPoolExecutor(8) as pool:
        texts = [got.text for got in pool.map(lambda _: ask(gateway, "openai", "all", True), range(8))]
    assert texts.count(PRIMARY) == 5 and texts.count(BACKUP) == 3, texts
    assert len(stage.received("backup")) == 3


@pytest.mark.parametrize("stream", [False, True])
def test_what_fails_beside_a_silent_target_is_tried_again(make, stream):
    """The backup's hiccup does not leave the caller with the target that hangs."""
    stage, gateway = several(make, {"primary": (OPENAI, hang), "backup": (ANTHROPIC, status(503, "overloaded_error"), ok(BACKUP))},
                             retry={"slow": "1s", "base": "20ms"})
    got = ask(gateway, "openai", "all", stream, {"x-openclaw-timeout": "20s"})
    answered(BACKUP)(got, "openai", stream)
    assert [a["outcome"] for a in gateway.access(got.id)["attempts"]] == ["outrun", "upstream_overloaded", "ok"]
