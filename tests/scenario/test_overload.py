"""More work than there is room for: who is refused, who waits, and that nobody takes everything."""
import json
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

def test_as_memory_runs_out_low_priority_is_refused_first_and_the_rest_later(make, mock, sanitized):
    keys = {"people": {}, "batch": {"priority": "low"}, "board": {"priority": "high"}}
    gateway = make.gateway(config_of(mock, keys, limits={"memory": "off"}), workers=1)
    gateway.key = KEYS["people"]
    assert ask_as(gateway, "batch").complete
    base = gateway.metrics().value("process_resident_memory_bytes")

    def level():
        return gateway.metrics().value("openclaw_memory_level")

    def to_level(wanted):
        """Puts the ceiling where the memory in use is in the middle of that level, and again if it moved meanwhile."""
        percent = {1: 0.86, 2: 0.94, 3: 1.1}[wanted]

        def reached():
            used = gateway.metrics().value("process_resident_memory_bytes")
            gateway.reload(config_of(mock, keys, limits={"memory": int(used / percent)}))
            end = time.monotonic() + 2
            while level() != wanted and time.monotonic() < end:
                time.sleep(0.05)
            return level() == wanted

        wait_until(reached, f"level {wanted}")

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
    if sanitized:                                # a sanitizer keeps what is freed
        gateway.reload(config_of(mock, keys, limits={"memory": "off"}))
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


def test_one_key_leaves_room_for_the_others(make, mock):
    gateway = make.gateway(config_of(mock, {"people": {}, "batch": {}}, limits={"requests": 10}), workers=1)
    gateway.key = KEYS["people"]
    held = [hold(gateway, "batch") for _ in range(8)]
    wait_until(lambda: mock.stats()["open"] == 8, "them to be under way")
    for caller in CALLERS:
        got = ask_as(gateway, "batch", caller=caller)
        assert (got.status, got.code) == (429, "rate_limit_exceeded") and "key_share" in got.error["message"], got
    assert ask_as(gateway, "people").complete
    held += [hold(gateway, "people") for _ in range(2)]
    wait_until(lambda: mock.stats()["open"] == 10, "all places to be taken")
    assert ask_as(gateway, "people").code == "overloaded"
    for client in held:
        client.close()
    gateway.idle()
    gateway.reload(config_of(mock, {"batch": {}}, limits={"requests": 10}))      # alone it may have all
    gateway.key = KEYS["batch"]
    held = [hold(gateway, "batch") for _ in range(10)]
    wait_until(lambda: mock.stats()["open"] == 10, "all places to be taken")
    for client in held:
        client.close()
    gateway.idle()


# --- waiting for one's turn ---

def queueing(mock, keys=None, **queue):
    return config_of(mock, keys, limits={"requests": 2}, queue={"length": 10, "wait": "30s", **queue})


def queued(gateway):
    return gateway.metrics().value("openclaw_queue_length")


class Asking:
    """A question asked on a thread of its own."""

    def __init__(self, gateway, key, headers=None, **more):
        self.result = None

        def run():
            self.result = ask_as(gateway, key, headers=headers, **more)
        self.thread = threading.Thread(target=run)
        self.thread.start()

    def end(self):
        self.thread.join(PATIENCE)
        return self.result


def fill(gateway, mock, key="batch", count=2):
    held = [hold(gateway, key) for _ in range(count)]
    wait_until(lambda: mock.stats()["open"] == count, "all places to be taken")
    return held


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("stream", (False, True))
def test_a_request_waits_for_a_place(make, mock, caller, stream):
    gateway = make.gateway(queueing(mock, {"batch": {}}), workers=1)
    gateway.key = KEYS["batch"]
    held = fill(gateway, mock)
    asking = Asking(gateway, "batch", caller=caller, stream=stream)
    wait_until(lambda: queued(gateway) == 1, "it to wait")
    assert mock.stats()["requests"] == 2
    held[0].close()
    got = asking.end()
    assert got.complete and got.status == 200, got
    assert gateway.metrics().value("openclaw_queue_wait_seconds_count") == 1
    held[1].close()
    gateway.idle()


def test_the_highest_priority_is_served_first_and_keys_take_turns(make, mock):
    keys = {"people": {}, "batch": {}, "board": {"priority": "high"}}
    gateway = make.gateway(config_of(mock, keys, limits={"requests": 1}, queue={"length": 20, "wait": "30s"}), workers=1)
    gateway.key = KEYS["people"]
    held = fill(gateway, mock, count=1)
    asked = []
    low = {"x-openclaw-priority": "low"}
    for name, key, headers in (("l1", "people", low), ("b1", "batch", {}), ("b2", "batch", {}), ("b3", "batch", {}),
                               ("p1", "people", {}), ("h1", "board", {}), ("p2", "people", {})):
        before = len(asked)
        asked.append(Asking(gateway, key, headers, model=f"lab/{name}"))
        wait_until(lambda n=before: queued(gateway) == n + 1, "it to wait")
    held[0].close()
    assert all(a.end().complete for a in asked)
    served = [json.loads(request["body"])["model"] for request in mock.requests()][1:]
    assert served == ["h1", "b1", "p1", "b2", "p2", "b3", "l1"]


def test_a_request_waits_no_longer_than_it_may(make, mock):
    gateway = make.gateway(queueing(mock, {"batch": {}}, wait="300ms"), workers=1)
    gateway.key = KEYS["batch"]
    held = fill(gateway, mock)
    for caller in CALLERS:
        began = time.monotonic()
        got = ask_as(gateway, "batch", caller=caller)
        assert got.code == "overloaded" and int(got.headers["retry-after"]) >= 1 and got.error, got
        assert time.monotonic() - began >= 0.3
    assert gateway.metrics().value("openclaw_queue_expired_total") == 2
    got = ask_as(gateway, "batch", headers={"x-openclaw-timeout": "100ms"})       # its own deadline is sooner
    assert (got.status, got.code) == (504, "deadline_exceeded"), got
    wait_until(lambda: queued(gateway) == 0, "nobody to wait")
    for client in held:
        client.close()
    gateway.idle()
    assert ask_as(gateway, "batch").complete


def test_beyond_the_queue_requests_are_refused_at_once_and_low_priority_first(make, mock):
    keys = {"people": {}, "batch": {"priority": "low"}, "board": {"priority": "high"}}
    gateway = make.gateway(queueing(mock, keys, key_share=100), workers=1)
    gateway.key = KEYS["people"]
    held = fill(gateway, mock, "people")
    waiting = []
    for name, most in (("batch", 5), ("people", 9), ("board", 10)):
        while len(waiting) < most:
            waiting.append(hold(gateway, name))
        wait_until(lambda n=most: queued(gateway) == n, "them to wait")
        got = ask_as(gateway, name)
        assert (got.status, got.code) == (503, "overloaded") and int(got.headers["retry-after"]) >= 1, got
    assert gateway.metrics().value("openclaw_shed_queue_total") == 3
    for client in waiting + held:
        client.close()
    gateway.idle()
    wait_until(lambda: queued(gateway) == 0, "nobody to wait")


def test_one_key_takes_half_of_the_queue_at_most(make, mock):
    gateway = make.gateway(queueing(mock, {"people": {}, "batch": {}}), workers=1)
    gateway.key = KEYS["people"]
    held = fill(gateway, mock)
    held += [hold(gateway, "batch") for _ in range(5)]
    wait_until(lambda: queued(gateway) == 5, "them to wait")
    assert ask_as(gateway, "batch").code in ("overloaded", "rate_limit_exceeded")
    asking = Asking(gateway, "people")
    wait_until(lambda: queued(gateway) == 6, "it to wait")
    for client in held:
        client.close()
    assert asking.end().complete
    gateway.idle()


def test_a_caller_that_leaves_the_queue_is_not_asked_for(make, mock):
    gateway = make.gateway(queueing(mock, {"batch": {}}), workers=1)
    gateway.key = KEYS["batch"]
    held = fill(gateway, mock)
    waiting = [hold(gateway, "batch") for _ in range(3)]
    wait_until(lambda: queued(gateway) == 3, "them to wait")
    for client in waiting:
        client.close()
    wait_until(lambda: queued(gateway) == 0, "them to have left")
    for client in held:
        client.close()
    gateway.idle()
    assert mock.stats()["requests"] == 2


@pytest.mark.parametrize("how", ["chunked", "with a length", "chunked, after 100 Continue"])
def test_a_caller_that_leaves_the_queue_in_the_middle_of_its_body_is_noticed(make, mock, how):
    gateway = make.gateway(queueing(mock, {"batch": {}}), workers=1)
    gateway.key = KEYS["batch"]
    held = fill(gateway, mock)
    body = json.dumps(body_of("lab/m")).encode()
    fields = {"Authorization": f"Bearer {KEYS['batch']}", "Content-Type": "application/json",
              **({"Content-Length": str(len(body))} if how == "with a length" else
                 {"Content-Length": None, "Transfer-Encoding": "chunked"}),
              **({"Expect": "100-continue"} if "Continue" in how else {})}
    waiting = []
    for sent in (b"", body[:5], body):
        client = gateway.raw()
        client.send(raw.request("POST", PATHS["openai"], b"", fields))
        wait_until(lambda: queued(gateway) == len(waiting) + 1, "it to wait")
        if sent:
            client.send(sent if how == "with a length" else b"%x\r\n%b\r\n" % (len(sent), sent))
        waiting.append(client)
    for client in waiting:
        client.close()
    wait_until(lambda: queued(gateway) == 0, "them to have left", seconds=3)
    for client in held:
        client.close()
    gateway.idle()
    assert mock.stats()["requests"] == 2


def test_a_request_whose_body_came_while_it_waited_is_served(make, mock):
    gateway = make.gateway(queueing(mock, {"batch": {}}), workers=1)
    gateway.key = KEYS["batch"]
    held = fill(gateway, mock)
    body = json.dumps({**body_of("lab/m"), "user": "u" * 300_000}).encode()
    with gateway.raw() as client:
        client.send(raw.request("POST", PATHS["openai"], b"", {
            "Authorization": f"Bearer {KEYS['batch']}", "Content-Type": "application/json", "Content-Length": None,
            "Transfer-Encoding": "chunked"}))
        wait_until(lambda: queued(gateway) == 1, "it to wait")
        sender = threading.Thread(target=client.send, args=(b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body),))
        sender.start()
        time.sleep(0.2)
        for one in held:
            one.close()
        assert client.read().status == 200
        sender.join()
    gateway.idle()


def test_a_key_at_its_own_limit_waits_without_delaying_others(make, mock):
    keys = {"people": {"concurrent": 1}, "batch": {}}
    gateway = make.gateway(config_of(mock, keys, limits={"requests": 5}, queue={"length": 10, "wait": "30s"}), workers=1)
    gateway.key = KEYS["batch"]
    held = fill(gateway, mock, "people", 1)
    asking = Asking(gateway, "people")
    wait_until(lambda: queued(gateway) == 1, "it to wait")
    assert ask_as(gateway, "batch").complete
    assert queued(gateway) == 1
    held[0].close()
    assert asking.end().complete


def test_a_reload_that_raises_the_limit_serves_who_waits(make, mock):
    gateway = make.gateway(queueing(mock, {"batch": {}}), workers=1)
    gateway.key = KEYS["batch"]
    held = fill(gateway, mock)
    asking = Asking(gateway, "batch")
    wait_until(lambda: queued(gateway) == 1, "it to wait")
    gateway.reload(config_of(mock, {"batch": {}}, limits={"requests": 3}))      # which has no queue either
    assert asking.end().complete
    for client in held:
        client.close()


def test_ending_the_gateway_serves_who_waits(make, mock):
    gateway = make.gateway(config_of(mock, {"batch": {}}, limits={"requests": 1}, queue={"length": 10, "wait": "30s"}), workers=1)
    gateway.key = KEYS["batch"]
    held = [hold(gateway, "batch", "lab/m;ttft=2s")]
    wait_until(lambda: mock.stats()["open"] == 1, "the place to be taken")
    asking = Asking(gateway, "batch")
    wait_until(lambda: queued(gateway) == 1, "it to wait")
    gateway.program.send_signal(15)
    assert asking.end().complete
    held[0].close()


# --- what a provider takes at once ---

def adaptive(mock, *targets, breakers=True):
    return {"providers": {"lab": mock.provider(concurrency="adaptive"), "spare": mock.provider()},
            "models": {"m": {"targets": list(targets)}}, "timeouts": {"first_token": "1m"}, "retry": {"slow": "0s", "breakers": breakers}}


@pytest.mark.parametrize("breakers", (False, True))
@pytest.mark.parametrize("caller", CALLERS)
def test_what_a_target_does_not_take_goes_to_the_next(make, mock, caller, breakers):
    gateway = make.gateway(adaptive(mock, "lab/m;ttft=60s", "spare/m", breakers=breakers))
    held = []
    for _ in range(20):
        client = gateway.raw()
        client.send(raw.request("POST", PATHS["openai"], body_of("m", True), gateway.authorization()))
        held.append(client)
    wait_until(lambda: mock.stats()["open"] == 20, "as many as it takes at first")
    for stream in (False, True):
        got = ask(gateway, caller, "m", stream)
        assert got.complete and got.headers["x-openclaw-provider"] == "spare", got
        assert got.headers["x-openclaw-attempts"] == "1"
    gateway.reload(adaptive(mock, "lab/m;ttft=60s", breakers=breakers))                # the count is kept
    got = ask(gateway, caller, "m")
    assert got.code == "upstream_overloaded" and int(got.headers["retry-after"]) >= 1, got
    assert "as many requests as it takes" in got.error["message"], got
    for client in held:
        client.close()
    gateway.idle()
    gateway.reload(adaptive(mock, "lab/m", "spare/m"))
    got = ask(gateway, caller, "m")
    assert got.complete and got.headers["x-openclaw-provider"] == "lab"


def test_the_slots_of_attempts_that_fail_are_free_again(make, mock):
    gateway = make.gateway(adaptive(mock, "lab/m;status=400"))
    for _ in range(50):
        assert ask(gateway, "openai", "m").status == 400
    gateway.reload({**adaptive(mock, "lab/m;status=400"), "server": {"keepalive": "20s"}})
    assert ask(gateway, "openai", "m").status == 400
