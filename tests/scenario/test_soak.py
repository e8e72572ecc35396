"""Mixed traffic, random faults, an outage and reloads, for a while: nothing hangs, is lost, counted twice, or left over.

With OPENCLAW_SOAK=30m it takes that long (in m or h, at least 3m) instead of 24 s; then the outage takes a minute, a reload
comes every minute, and memory is watched, too.
"""
import collections
import dataclasses
import json
import random
import re
import threading
import time

from lib.ask import EVERY_CALLER, PATHS, READERS, ask, body_of
from lib.fault import SHIPPED
from lib.process import PROMPT, SLOW, SOAK, canary, wait_until
from lib.raw import Cut, request
from lib.script import ANTHROPIC, OLLAMA, OPENAI

ALIASES = 20
BREAKING = 4           # of these aliases the primary breaks after the first token
CALLERS_AT_ONCE = 20
BOUND = 60 * SLOW      # seconds in which every request must have ended: three times timeouts.total, and more
ATTEMPTS = SHIPPED["retry"]["attempts"]
MEAN_ATTEMPTS = 1.4

# Before the first token: a caller who stays sees none of them.
HIDDEN = {"500": 0.03, "503": 0.01, "429": 0.01, "reset-before": 0.02, "empty": 0.01, "error-first": 0.02, "html": 0.01,
          "slow-headers": 0.003, "hang": 0.002}
# After it a stream is continued or ends with an error; a whole answer comes from the next target.
BREAKS = {"reset-mid": 0.1, "truncated": 0.1, "error-mid": 0.1, "stall": 0.02}


@dataclasses.dataclass
class Schedule:
    """Seconds since the start."""
    outage: tuple      # the primary answers nothing but 500
    faults_end: float
    end: float
    reload: float      # every so often

    def faults(self):
        """Of the primary, as options of `openclaw mock`."""
        faults = ["500@{}s-{}s".format(*self.outage)]
        faults += [f"{kind}={share}@0s-{self.faults_end}s" for kind, share in HIDDEN.items()]
        return [option for fault in faults for option in ("--fault", fault)]


def schedule():
    if not SOAK:
        return Schedule(outage=(6, 10), faults_end=18, end=24, reload=3)
    assert SOAK >= 180, "OPENCLAW_SOAK: at least 3m"
    return Schedule(outage=(60, 120), faults_end=SOAK - 30, end=SOAK, reload=60)


@dataclasses.dataclass
class Asked:
    id: str
    alias: int
    at: float          # since the start
    took: float
    stays: bool
    wrong: str | None  # what its caller saw that it must not


class Traffic:
    """Callers who ask one request after the other until the end; .asked tells what became of each."""

    def __init__(self, gateway, until, seed):
        self.gateway, self.until, self.seed = gateway, until, seed
        self.began = time.monotonic()
        self.asked = []
        self.threads = [threading.Thread(target=self._run, args=(n,), daemon=True) for n in range(CALLERS_AT_ONCE)]
        for thread in self.threads:
            thread.start()

    def now(self):
        return time.monotonic() - self.began

    def _run(self, number):
        dice = random.Random(self.seed * 1000 + number)
        count = 0
        while self.now() < self.until:
            count += 1
            self._one(f"soak-{number}-{count}", dice)
            time.sleep(dice.uniform(0, 0.06))

    def _one(self, name, dice):
        alias, caller, stream = dice.randrange(ALIASES), dice.choice(EVERY_CALLER), dice.random() < 0.6
        manner = dice.choices((self._ask, self._leave, self._read_slowly), (84, 8, 8))[0]
        text = f"{PROMPT} {name} " + "word " * dice.choice((1, 10, 300))
        at = self.now()
        try:
            wrong = manner(name, alias, caller, stream, text.strip(), dice)
        except Exception as e:     # of a test's own parser, a socket, the grammar of a protocol: all of it is wrong
            wrong = f"{type(e).__name__}: {e}"
        if wrong:
            wrong = f"{name} at {at:.1f} s, {caller} {'streams' if stream else 'whole'}, alias {alias}: {wrong}"
        self.asked.append(Asked(name, alias, at, self.now() - at, manner != self._leave, wrong))

    @staticmethod
    def _more(text):
        return {"messages": [{"role": "user", "content": text}], "max_tokens": 2000}

    def _ask(self, name, alias, caller, stream, text, dice):
        got = ask(self.gateway, caller, f"a{alias}", stream, {"x-request-id": name}, **self._more(text))
        assert got.id == name, got.headers
        if alias < BREAKING and stream:
            return None if got.complete or (got.error and not got.broke) else "a stream that is cut, and does not say so"
        if not got.complete:
            return f"{got.status} {got.code} {got.error}"
        return None if got.text == text else f"another text: {got.text[:100]!r}"

    def _send(self, client, name, alias, caller, stream, text):
        body = body_of(f"a{alias}", stream, **self._more(text))
        body["stream"] = stream
        client.send(request("POST", PATHS[caller], body, {**self.gateway.authorization(), "x-request-id": name}))

    def _leave(self, name, alias, caller, stream, text, dice):
        with self.gateway.raw() as client:
            self._send(client, name, alias, caller, stream, text)
            if dice.random() < 0.5:
                client.read_head()
            else:
                time.sleep(dice.uniform(0.001, 0.05))
            if dice.random() < 0.5:
                client.reset()

    def _read_slowly(self, name, alias, caller, stream, text, dice):
        with self.gateway.raw() as client:
            self._send(client, name, alias, caller, stream, text)
            head = client.read_head()
            if (head.header("transfer-encoding") or "") != "chunked":
                time.sleep(0.1)
                body = client._bytes(int(head.header("content-length")))
            else:
                body = b""
                try:
                    while data := client.read_chunk():
                        body += data
                        time.sleep(0.001)
                except Cut:
                    return None if alias < BREAKING and not stream else "the connection broke"
        if alias < BREAKING or head.status != 200:
            return None if alias < BREAKING else f"{head.status} {body[-200:]}"

        class Got:
            pass
        got = Got()
        got.body = body
        READERS[caller](got, stream)
        return None if got.complete and got.text == text else f"read slowly: {got.text[:100]!r} {got.error}"

    def join(self):
        for thread in self.threads:
            thread.join(max(0, self.until + BOUND - self.now()))
        assert not any(t.is_alive() for t in self.threads), "a request hangs"


def providers_of(make, plan):
    mocks = {"primary": make.mock("--echo", *plan.faults(), record=False),
             "anthropic": make.mock("--echo", "--ttft", "5ms", record=False),
             "ollama": make.mock("--echo", record=False),
             "openai": make.mock("--echo", "--jitter", "1ms", record=False)}
    wires = {"primary": OPENAI, "anthropic": ANTHROPIC, "ollama": OLLAMA, "openai": OPENAI}
    return mocks, {name: mock.provider(wires[name], api_key=canary("provider")) for name, mock in mocks.items()}


def config_of(providers, plan, count):
    """The configuration after that many reloads."""
    # Faults in a model's name are instead of those of the command line.
    breaks = ";fault=500@{}s-{}s".format(*plan.outage)
    breaks += "".join(f";fault={kind}:{share}@0s-{plan.faults_end}s" for kind, share in BREAKS.items())
    backups = ("anthropic", "ollama", "openai")
    models = {f"a{n}": {"targets": [f"primary/m{n}{breaks if n < BREAKING else ''}", f"{backups[n % 3]}/m{n}",
                                    *([f"{backups[(n + 1) % 3]}/m{n}"] if n % 2 else [])]} for n in range(ALIASES)}
    return {"providers": providers, "models": models, **SHIPPED,
            "timeouts": {"total": f"{20 + count % 2}s", "between_tokens": "2s"}}


def resident_kb(gateway):
    with open(f"/proc/{gateway.program.pid}/status", encoding="ascii") as file:
        return int(re.search(r"VmRSS:\s+(\d+) kB", file.read()).group(1))


def access_facts(gateway):
    """How many lines each request has, its attempts, and the tokens of all lines."""
    lines, attempts, tokens = collections.Counter(), {}, collections.Counter()
    with open(gateway.access_path, "rb") as log:
        for text in log:
            line = json.loads(text)
            if line["request_id"].startswith("soak-"):
                lines[line["request_id"]] += 1
                attempts[line["request_id"]] = line.get("attempts", [])
            tokens["in"] += line.get("tokens_input", 0)
            tokens["out"] += line.get("tokens_output", 0)
    return lines, attempts, tokens


def test_a_soak_leaves_nothing_behind(make):
    plan = schedule()
    mocks, providers = providers_of(make, plan)
    gateway = make.gateway(config_of(providers, plan, 0))
    for mock in mocks.values():
        mock.reset()    # the timelines begin now
    traffic = Traffic(gateway, plan.end, seed=8)
    memory, reloads = [], 0
    while traffic.now() < plan.end:
        time.sleep(max(0, min(plan.reload, plan.end - traffic.now())))
        reloads += 1
        gateway.reload(config_of(providers, plan, reloads))
        memory.append(resident_kb(gateway))
    traffic.join()

    # No breaker is stuck: the faults are over, so that every alias is served by its primary again within the longest
    # interval between two probes (a minute, and the 20 % that it varies) and a slow start.
    served = mocks["primary"].stats()["completed"]
    for n in range(ALIASES):
        wait_until(lambda n=n: ask(gateway, "openai", f"a{n}").headers.get("x-openclaw-provider") == "primary",
                   f"alias {n} to be served by its primary again", 85 * SLOW, pause=0.1)
    assert mocks["primary"].stats()["completed"] >= served + ALIASES

    # Nothing is under way, here or at a provider, and nothing is held.
    gateway.idle()
    wait_until(lambda: gateway.metrics().value("openclaw_held_bytes") == 0, "everything to be given back")
    wait_until(lambda: all(mock.stats()["open"] == 0 for mock in mocks.values()), "no work left at a provider")
    wait_until(lambda: gateway.metrics().value("openclaw_connections_open") <= 1, "callers' connections to be closed")

    asked = traffic.asked
    lines, attempts, tokens = access_facts(gateway)
    wrong = [a.wrong for a in asked if a.wrong]
    assert not wrong, f"{len(wrong)} of {len(asked)}:\n    " + "\n    ".join(wrong[:10])
    assert max(a.took for a in asked) < BOUND
    first, last = plan.outage
    during = [a for a in asked if first + 1 <= a.at < last - 1 and a.stays]
    assert len(during) >= 20, "the outage was not noticed by anybody"

    # One line for each, and the metrics say the same.
    assert {a.id for a in asked} == set(lines), "requests without a line, or lines without a request"
    assert set(lines.values()) == {1}, [name for name, n in lines.items() if n != 1][:10]
    metrics = gateway.metrics()
    assert (metrics.value("openclaw_tokens_input_total"), metrics.value("openclaw_tokens_output_total")) == \
        (tokens["in"], tokens["out"])
    assert metrics.value("openclaw_reloads_total") == reloads
    assert metrics.value("openclaw_reload_failures_total") == 0

    # Attempts are within the budget.
    assert max(map(len, attempts.values())) <= ATTEMPTS
    assert sum(map(len, attempts.values())) <= MEAN_ATTEMPTS * len(attempts)

    if SOAK:
        half = len(memory) // 2
        assert max(memory[half:]) <= 1.2 * max(memory[:half]) + 8192, f"memory grows, in kB: {memory}"
