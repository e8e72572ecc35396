"""Every fault at random, at all targets at once, while callers leave and the configuration is reloaded: whatever happens, an
answer is complete or says that it is not, and nothing is left under way."""
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from lib import raw
from lib.ask import EVERY_CALLER, PATHS, ask, body_of
from lib.fault import SHIPPED
from lib.process import wait_until
from lib.script import (ANTHROPIC, OLLAMA, OPENAI, Stage, by, close, comments, cut, empty, error_after, error_in_200, hang, html, limited,
                        malformed_after, no_finish, ok, reset, slow, stall, status)

SECONDS = 8
HEALTHY = [ok(), ok(delay=0.3), slow(0.1)]
FAULTS = [ok(delay=2), status(500), status(503), limited([("retry-after-ms", "200")]), reset, close, hang, html(200), html(502),
          cut(), cut("head", how="close"), cut(how="end"), stall(), error_in_200(), empty(), malformed_after(), no_finish(),
          comments(), error_after(), status(404, "not_found_error"), status(400, "invalid_request_error")]


def at_random(seed):
    """A fault in every third answer."""
    chance, lock = random.Random(seed), threading.Lock()
    plays = {str(i): play for i, play in enumerate(HEALTHY + FAULTS)}

    def choose(received):
        with lock:
            first = len(HEALTHY) if chance.random() < 1 / 3 else 0
            return str(chance.randrange(first, len(plays) if first else len(HEALTHY)))
    return by(choose, **plays)


@pytest.mark.parametrize("seed", [1, 2])
def test_a_storm(make, seed):
    stage = Stage(make)
    wires = {"a": OPENAI, "b": ANTHROPIC, "c": OLLAMA}
    gateway = make.gateway({
        "providers": {name: stage.provider(name, wire, at_random(f"{seed}{name}")) for name, wire in wires.items()},
        "models": {f"m{i}": {"targets": [f"{name}/m{i}" for name in order]}
                   for i, order in enumerate(("abc", "bca", "cab", "ab", "a"))},
        "timeouts": {"between_tokens": "700ms"}, **SHIPPED}, workers=4)
    stop = time.monotonic() + SECONDS

    def call(i):
        chance, results = random.Random(f"{seed}{i}"), []
        while time.monotonic() < stop:
            caller, stream, model = chance.choice(EVERY_CALLER), chance.random() < 0.5, f"m{chance.randrange(5)}"
            if chance.random() < 0.1:
                with gateway.raw() as client:
                    client.send(raw.request("POST", PATHS[caller], body_of(model, stream), gateway.authorization()))
                    time.sleep(chance.random() * 0.5)
            else:
                results.append(ask(gateway, caller, model, stream, {"x-openclaw-timeout": "6s"}))
        return results

    def reload():
        while time.monotonic() < stop:
            time.sleep(2)
            gateway.reload()
    with ThreadPoolExecutor(max_workers=17) as pool:
        reloads = pool.submit(reload)
        callers = [pool.submit(call, i) for i in range(16)]
        results = [got for one in callers for got in one.result()]
        reloads.result()
    for got in results:
        assert got.complete == (got.error is None) and not got.broke, got
        assert len(gateway.access(got.id).get("attempts", ())) <= 6, gateway.access(got.id)
    assert sum(got.complete for got in results) > len(results) / 2
    gateway.idle()
    wait_until(lambda: all(r.ended_at for r in stage.received()), "no work left at a provider")
