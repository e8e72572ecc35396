"""More work than there is room for: who is refused, who waits, and that nobody takes everything."""
import threading
import time

import pytest

from lib import raw
from lib.ask import CALLERS, PATHS, ask, ask_all, body_of
from lib.process import PATIENCE, PROMPT, wait_until

MB = 1024 * 1024
KEYS = {name: f"{name}-secret-0123456789" for name in ("people", "batch", "board")}


@pytest.fixture
def mock(make):
    return make.mock()


def config_of(mock, keys=None, **server):
    """`keys`: settings of a key by its name."""
    listed = [{"name": name, "key": KEYS[name], **more} for name, more in (keys or {}).items()]
    return {"providers": {"lab": mock.provider()}, "server": server, **({"auth": {"keys": listed}} if listed else {})}


def ask_as(gateway, name, model="lab/m", caller="openai", stream=False, headers=None):
    headers = {"Authorization": f"Bearer {KEYS[name]}", **(headers or {})}
    return ask(gateway, caller, model, stream, headers=headers)


def hold(gateway, name, model="lab/m;ttft=60s", text=PROMPT):
    """A request under way at the provider until its client is closed."""
    client = gateway.raw()
    body = {**body_of(model, True), "messages": [{"role": "user", "content": text}]}
    client.send(raw.request("POST", PATHS["openai"], body, {"Authorization": f"Bearer {KEYS[name]}"}))
    return client


# --- memory ---

def test_as_memory_runs_out_low_priority_is_refused_first_and_the_rest_later(make, mock):
    keys = {"people": {}, "batch": {"priority": "low"}, "board": {"priority": "high"}}
    gateway = make.gateway(config_of(mock, keys, limits={"memory": "off"}), workers=1)
    gateway.key = KEYS["people"]
    assert ask_as(gateway, "batch").complete
    base = gateway.metrics().value("process_resident_memory_bytes")

    def level():
        return gateway.metrics().value("openclaw_memory_level")

    def to_level(wanted):
        """Puts the ceiling where the memory in use is in the middle of that level."""
        percent = {1: 0.86, 2: 0.94, 3: 1.1}[wanted]
        used = gateway.metrics().value("process_resident_memory_bytes")
        gateway.reload(config_of(mock, keys, limits={"memory": int(used / percent)}))
        wait_until(lambda: level() == wanted, f"level {wanted}")

    held = [hold(gateway, "people", text="x" * 8 * MB) for _ in range(8)]
    wait_until(lambda: gateway.metrics().value("process_resident_memory_bytes") > base + 64 * MB, "memory to be used")
    served = {1: {"people", "board"}, 2: {"board"}, 3: set()}
    for wanted in (1, 2, 3):
        to_level(wanted)
        for name in KEYS:
            got = ask_as(gateway, name)
            assert got.complete == (name in served[wanted]), (wanted, name, got)
            if got.complete:
                continue
            assert (got.status, got.code) == (503, "overloaded") and 1 <= int(got.headers["retry-after"]) <= 5, got
            assert "limits.memory" in got.error["message"] and got.headers["x-should-retry"] == "true"
        assert gateway.get("/livez").status_code == 200
        assert gateway.get("/readyz?verbose").json()["memory_level"] == wanted
    gateway.reload(config_of(mock, keys, limits={"memory": "off"}))
    wait_until(lambda: level() == 0, "nothing to be refused")
    to_level(1)
    got = ask_as(gateway, "people", headers={"x-openclaw-priority": "low"})
    assert got.code == "overloaded"
    got = ask_as(gateway, "batch", headers={"x-openclaw-priority": "high"})      # it cannot be raised
    assert got.code == "overloaded"
    assert gateway.metrics().value("openclaw_shed_memory_total") == 8
    for client in held:
        client.close()
    wait_until(lambda: level() == 0, "memory to be given back")
    assert ask_as(gateway, "batch").complete
    mock.reset()                                 # it remembers large bodies
    log = gateway.stderr()
    assert "requests of low priority are refused (server.limits.memory)" in log
    assert "all new requests are refused" in log and "no requests are refused any more" in log


def test_the_ceiling_comes_from_the_machine_if_nothing_is_said(make, mock):
    gateway = make.gateway(config_of(mock), workers=1)
    metrics = gateway.metrics()
    assert metrics.value("openclaw_memory_ceiling_bytes") > 32 * MB
    assert metrics.value("openclaw_memory_level") == 0
    gateway.reload(config_of(mock, limits={"memory": "300MB"}))
    assert gateway.metrics().value("openclaw_memory_ceiling_bytes") == 300 * MB


# --- one key and the others ---

def test_a_key_s_own_number_of_requests_counts_instead_of_the_general_one(make, mock):
    keys = {"people": {"concurrent": 3}, "batch": {}}
    gateway = make.gateway(config_of(mock, keys, limits={"streams_per_key": 2}), workers=2)
    gateway.key = KEYS["batch"]
    held = [hold(gateway, "people") for _ in range(3)]
    wait_until(lambda: mock.stats()["open"] == 3, "them to be under way")
    got = ask_as(gateway, "people")
    assert (got.status, got.code) == (429, "rate_limit_exceeded") and "concurrent" in got.error["message"], got
    assert ask_as(gateway, "batch").complete
    for client in held:
        client.close()
    wait_until(lambda: ask_as(gateway, "people").complete, "room again")
