"""What follows a failure where there is one target only, and when no target is left: repeated after a backoff, waited for, or
told with what the caller's SDK should do."""
import datetime
import email.utils
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from lib import raw
from lib.ask import EVERY_CALLER, PATHS, ask, body_of
from lib.fault import PRIMARY, Fault, answered, play, refused, several
from lib.process import wait_until
from lib.script import (ANTHROPIC, OLLAMA, OPENAI, body, close, cut, empty, error_in_200, gaps, hang, html, limited, ok,
                        quota, reset, status, too_long)
from lib.sdk import ASK

BACKOFF = (0, 5)       # seconds; the first is at most 0.5 s, and a machine may be busy


def alone(name, primary, sees, asked, **more):
    """A fault of the only target."""
    return Fault(name, primary, sees, asked=(asked, 0), backup=[], **more)


def retry_after(seconds):
    return [("Retry-After", str(seconds))]


def at_date(seconds):
    """Retry-After as an HTTP date."""
    def fields():
        return [("Retry-After", email.utils.formatdate(time.time() + seconds, usegmt=True))]
    return fields


def anthropic_reset(seconds):
    """Anthropic names the time at which its bucket is full again."""
    def fields():
        at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
        return [("anthropic-ratelimit-requests-remaining", "0"),
                ("anthropic-ratelimit-requests-reset", at.strftime("%Y-%m-%dT%H:%M:%SZ"))]
    return fields


PASSING = {"500": status(500), "502": status(502), "503": status(503), "529": status(529), "reset": reset, "closed": close,
           "web page": html(200), "error page": html(502), "error in a 200": error_in_200(), "empty": empty()}

ALONE = [
    # --- repeated once, after a backoff ---
    *(alone(f"{name} once", [step, ok()], answered(PRIMARY), 2, gaps=BACKOFF) for name, step in PASSING.items()),
    alone("malformed once", [body(b'{"half'), ok()], answered(PRIMARY), 2, gaps=BACKOFF, streams=(False,)),
    alone("truncated once", [cut(), ok()], answered(PRIMARY), 2, gaps=BACKOFF, streams=(False,)),
    *(alone(f"{code} that stays", [status(code)], refused(error, told, "false"), 2, gaps=BACKOFF)
      for code, error, told in ((500, "upstream_error", 502), (502, "upstream_error", 502),
                                (503, "upstream_overloaded", 503), (529, "upstream_overloaded", 503))),
    alone("reset that stays", [reset], refused("upstream_reset", 502, "false"), 2, gaps=BACKOFF),

    # --- never repeated ---
    alone("gateway timeout", [status(504)], refused("upstream_timeout", 504, "false"), 1),
    alone("revoked key", [status(401, "authentication_error")], refused("upstream_auth", 502, "false"), 1),
    alone("forbidden", [status(403, "permission_error")], refused("upstream_forbidden", 502, "false"), 1),
    alone("retired model", [status(404, "not_found_error", message="The model `m` does not exist")],
          refused("upstream_model_not_found", 404, "false"), 1),
    alone("quota", [quota()], refused("insufficient_quota", 429, "false"), 1, wires=[OPENAI, ANTHROPIC]),
    alone("bad request", [status(400, "invalid_request_error")], refused("bad_request", 400, "false"), 1),
    alone("context too long", [too_long()], refused("context_length_exceeded", 400, "false"), 1),
    alone("content refused", [status(400, "invalid_request_error", code="content_filter", message="Filtered: policy.")],
          refused("content_filter", 400, "false", names=("Filtered: policy.",)), 1, wires=[OPENAI]),

    # --- waited for ---
    alone("limited for a second", [limited(retry_after(1)), ok()], answered(PRIMARY), 2, gaps=(1, 6)),
    alone("limited for milliseconds", [limited([("retry-after-ms", "400")]), ok()], answered(PRIMARY), 2, gaps=(0.4, 5)),
    alone("limited until a date", [limited(at_date(2)), ok()], answered(PRIMARY), 2, gaps=(0.9, 7)),
    alone("limited until OpenAI's reset", [limited([("x-ratelimit-remaining-requests", "0"),
                                                    ("x-ratelimit-reset-requests", "700ms")]), ok()],
          answered(PRIMARY), 2, gaps=(0.7, 6), wires=[OPENAI]),
    alone("limited until Anthropic's reset", [limited(anthropic_reset(2)), ok()], answered(PRIMARY), 2, gaps=(0.9, 7),
          wires=[ANTHROPIC]),
    alone("overloaded for a second", [status(503, fields=retry_after(1)), ok()], answered(PRIMARY), 2, gaps=(1, 6)),
    alone("limited for longer than among several targets", [limited(retry_after(5)), ok()], answered(PRIMARY), 2,
          gaps=(5, 12), headers={"x-openclaw-timeout": "30s"}, wires=[OPENAI]),

    # --- told at once, because the caller would have left ---
    alone("limited for an hour", [limited(retry_after(3600))], refused("rate_limit_exceeded", 429, retry_after=(3590, 3601)), 1),
    alone("overloaded for an hour", [status(503, fields=retry_after(3600))],
          refused("upstream_overloaded", 503, retry_after=(3590, 3601)), 1),
    alone("limited for longer than the caller's deadline", [limited(retry_after(10))],
          refused("rate_limit_exceeded", 429, retry_after=(8, 11)), 1, headers={"x-openclaw-timeout": "6s"}),
    alone("limited for longer than the SDK's timeout", [limited(retry_after(10))],
          refused("rate_limit_exceeded", 429, retry_after=(8, 11)), 1, headers={"x-stainless-timeout": "6"}),

    # --- silent ---
    alone("hangs until the caller's deadline", [hang], refused("deadline_exceeded", 504, "false"), 1, cancelled=True,
          headers={"x-openclaw-timeout": "1500ms"}),
]


@pytest.mark.parametrize("fault", ALONE, ids=str)
def test_of_one_target(make, fault):
    play(make, fault)


SHORT_WAITS = [
    Fault("limited for less than 3 s", [limited([("retry-after-ms", "300")]), ok()], answered(PRIMARY), asked=(2, 0),
          gaps=(0.3, 5)),
    Fault("overloaded for less than 3 s", [status(503, fields=[("retry-after-ms", "300")]), ok()], answered(PRIMARY),
          asked=(2, 0), gaps=(0.3, 5)),
    Fault("limited for more than 3 s", [limited(retry_after(4)), ok()], asked=(1, 1)),
    Fault("limited until a date that is far", [limited(at_date(600)), ok()], asked=(1, 1)),
    Fault("limited until a date in the past", [limited(at_date(-600))], asked=((1, 2), 1)),
    Fault("limited for nonsense", [limited([("Retry-After", "soon")])], asked=(1, 1)),
]


@pytest.mark.parametrize("fault", SHORT_WAITS, ids=str)
def test_of_two_targets_one_is_waited_for_only_if_it_is_soon_back(make, fault):
    play(make, fault)


# --- no target left ---

@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("caller", EVERY_CALLER)
def test_when_all_are_limited_the_smallest_hint_is_told(make, caller, stream):
    stage, gateway = several(make, {"a": (OPENAI, limited(retry_after(300))), "b": (ANTHROPIC, limited(retry_after(90))),
                                    "c": (OLLAMA, limited(retry_after(200)))})
    got = ask(gateway, caller, "all", stream)
    refused("rate_limit_exceeded", 429, retry_after=(80, 90),
            names=("a/m: rate_limit_exceeded", "b/m: rate_limit_exceeded", "c/m: rate_limit_exceeded"))(got, caller, stream)
    assert [r.provider for r in stage.received()] == ["a", "b", "c"]
    assert len(gateway.access(got.id)["attempts"]) == 3


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("caller", EVERY_CALLER)
def test_when_all_are_limited_the_first_to_be_back_is_waited_for(make, caller, stream):
    stage, gateway = several(make, {"a": (OPENAI, limited(retry_after(9)), ok("from-a")),
                                    "b": (ANTHROPIC, limited(retry_after(1)), ok("from-b"))}, retry={"wait": "500ms"})
    answered("from-b")(ask(gateway, caller, "all", stream), caller, stream)
    assert [r.provider for r in stage.received()] == ["a", "b", "b"]
    assert 1 <= gaps(stage.received("b"))[0] < 7


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("caller", EVERY_CALLER)
def test_when_the_others_failed_a_limited_target_is_waited_for_after_all(make, caller, stream):
    stage, gateway = several(make, {"a": (OPENAI, limited(retry_after(1)), ok("from-a")), "b": (ANTHROPIC, status(404, "not_found_error"))},
                             retry={"wait": "200ms"})
    answered("from-a")(ask(gateway, caller, "all", stream), caller, stream)
    assert [r.provider for r in stage.received()] == ["a", "b", "a"] and gaps(stage.received("a"))[0] >= 1


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("caller", EVERY_CALLER)
def test_the_first_cause_is_told_with_every_attempt(make, caller, stream):
    stage, gateway = several(make, {"a": (OPENAI, status(404, "not_found_error", message="The model `m` does not exist")),
                                    "b": (ANTHROPIC, status(500)), "c": (OLLAMA, reset)})
    got = ask(gateway, caller, "all", stream)
    refused("upstream_model_not_found", 404, "false", names=("a/m: upstream_model_not_found", "b/m: upstream_error",
                                                            "c/m: upstream_reset"))(got, caller, stream)
    assert {r.provider for r in stage.received()} == {"a", "b", "c"}


@pytest.mark.parametrize("stream", [False, True])
def test_attempts_in_total_are_bounded(make, stream):
    stage, gateway = several(make, {f"p{i}": (OPENAI, status(500)) for i in range(10)})
    got = ask(gateway, "openai", "all", stream)
    refused("upstream_error", 502, "false")(got, "openai", stream)
    assert len(stage.received()) == len(gateway.access(got.id)["attempts"]) == 6


def test_attempts_in_total_are_a_setting(make):
    stage, gateway = several(make, {f"p{i}": (OPENAI, status(500)) for i in range(4)}, retry={"attempts": 1})
    refused("upstream_error", 502)(ask(gateway, "openai", "all"), "openai", False)
    assert [r.provider for r in stage.received()] == ["p0"]


@pytest.mark.parametrize("sdk", ["openai", "anthropic"])
def test_an_sdk_does_not_multiply_what_was_tried(make, sdk):
    """SDKs repeat 429 and 5xx by themselves, twice, unless x-should-retry says that it is of no use."""
    stage, gateway = several(make, {"a": (OPENAI, status(500))})
    with pytest.raises(Exception) as caught:
        if sdk == "openai":
            gateway.openai(max_retries=2).chat.completions.create(model="all", messages=ASK)
        else:
            gateway.anthropic(max_retries=2).messages.create(model="all", max_tokens=9, messages=ASK)
    assert caught.value.status_code == 502
    assert len(gateway.last_access()["attempts"]) == 2
    assert len(stage.received()) == 2 and len(gateway.access_log()) == 1


@pytest.mark.parametrize("caller", EVERY_CALLER)
def test_when_all_fail_behind_a_keep_alive_the_stream_says_so(make, caller):
    """Its status has been sent by then."""
    stage, gateway = several(make, {"a": (OPENAI, status(404, "not_found_error", delay=1)), "b": (ANTHROPIC, status(500, delay=1))},
                             server={"keepalive": "200ms"})
    got = ask(gateway, caller, "all", True)
    assert got.status == 200 and got.error and not got.complete and not got.broke, got
    for name in ("a/m: upstream_model_not_found", "b/m: upstream_error"):
        assert name in got.error["message"], got.error


# --- what happens during a wait ---

def waiting(make, seconds=2):
    """A gateway whose only provider asks to be left alone for a while; a client that waits."""
    stage, gateway = several(make, {"a": (OPENAI, status(503, fields=retry_after(seconds)), ok())})
    client = gateway.raw()
    client.send(raw.request("POST", PATHS["openai"], body_of("all"), gateway.authorization()))
    wait_until(stage.received, "the first attempt")
    return stage, gateway, client


def test_a_caller_who_leaves_in_backoff_costs_nothing_more(make):
    stage, gateway, client = waiting(make)
    time.sleep(0.3)
    client.close()
    line = gateway.last_access()
    assert (line["status"], line["error"]) == (499, "client_gone"), line
    assert line["duration_ms"] < 1900, "it was told as soon as the caller had left"
    time.sleep(2.5)
    assert len(stage.received()) == 1 and [a["outcome"] for a in line["attempts"]] == ["upstream_overloaded"], line
    gateway.idle()


def test_a_reload_in_backoff_changes_nothing_for_the_request(make):
    stage, gateway, client = waiting(make)
    gateway.reload(gateway.config | {"models": {"other": {"targets": ["a/m"]}}})
    answer = client.read()
    assert answer.status == 200 and PRIMARY in answer.body.decode(), answer
    assert len(stage.received()) == 2


def test_a_stop_in_backoff_lets_the_request_end(make):
    stage, gateway, client = waiting(make)
    gateway.program.send_signal(15)
    answer = client.read()
    assert answer.status == 200 and PRIMARY in answer.body.decode(), answer
    assert gateway.program.end() == 0 and len(stage.received()) == 2


def test_a_large_body_is_sent_again_unchanged(make):
    stage, gateway = several(make, {"a": (OPENAI, reset, ok())})
    words = "".join(f"{i} and {'so on, ' * 1000}" for i in range(2900))
    answer = gateway.post(PATHS["openai"], {**body_of("all"), "messages": [{"role": "user", "content": words}]})
    assert answer.status_code == 200 and PRIMARY in answer.text, answer.text[:300]
    first, second = stage.received()
    assert first.digest == second.digest and first.body["messages"][0]["content"] == words


def test_repetitions_can_be_switched_off(make):
    stage, gateway = several(make, {"a": (OPENAI, *([status(500), ok()] * 3))}, retry={"budget": 0})
    for _ in range(3):
        refused("upstream_error", 502)(ask(gateway, "openai", "all"), "openai", False)
        assert ask(gateway, "openai", "all").complete
    assert [r.step for r in stage.received()] == ["500", "ok"] * 3


def test_repetitions_are_a_share_of_the_requests(make):
    """A target in trouble is not asked twice as much: beyond ten repetitions a second (a hundred at once), a fifth."""
    stage, gateway = several(make, {"a": (OPENAI, status(500))}, retry={"base": "1ms", "breakers": False})
    began = time.monotonic()
    with ThreadPoolExecutor(max_workers=40) as pool:
        results = list(pool.map(lambda _: ask(gateway, "openai", "all"), range(300)))
    assert {r.code for r in results} == {"upstream_error"}
    assert 300 < len(stage.received()) <= 300 + 60 + 10 * (11 + time.monotonic() - began)
