"""One fault, what the caller must see and what the providers must receive; played by every caller, streaming and not.

    FAULTS = [Fault("a 500 that stays", [status(500)], sees=answered(BACKUP), asked=(2, 1)), ...]

    @pytest.mark.parametrize("fault", FAULTS, ids=str)
    def test_...(make, fault):
        play(make, fault)

Nothing is configured but an alias with two targets: "primary/m", then "backup/m". Each combination of caller, streaming
and provider's protocol has an alias of its own, with providers of its own, and all of them ask at once. The backup speaks
another protocol in two of three cases.
"""
import dataclasses
from concurrent.futures import ThreadPoolExecutor

from lib.ask import EVERY_CALLER, ask
from lib.process import PATIENCE, wait_until
from lib.script import WIRES, Stage, gaps, ok

PRIMARY, BACKUP = "from-the-primary", "from-the-backup"
BOTH = (False, True)
TOLD = 6    # of the combinations that went wrong
SHIPPED = {"retry": {"attempts": 6}}    # the defaults, most of which lib/gateway.py switches off for other tests


# --- what the caller must see: functions of a combination's result that assert ---

def answered(text=BACKUP, reasoning="", calls=()):
    """A complete answer with exactly this text, in its own protocol."""
    def look(got, caller, stream):
        assert got.status == 200 and not got.broke and got.error is None, (got.status, got.error or got.body[-300:])
        assert got.complete, "the answer is not complete"
        assert got.text == text, got.text
        assert got.reasoning == reasoning, got.reasoning
        assert got.calls == list(calls), got.calls
    return look


# Words of a protocol's own where it has one for the status.
STATUSES = {("anthropic", 503): 529, ("anthropic", 422): 400, ("ollama", 422): 400}


def refused(code, status, should_retry=None, retry_after=None, names=()):
    """An error instead of an answer. `should_retry`: the field's value. `retry_after`: (least, most) seconds, or None for
    no such field. `names`: what its message must name."""
    def look(got, caller, stream):
        assert (got.code, got.status) == (code, STATUSES.get((caller, status), status)), (got.code, got.status, got.error)
        assert got.error and got.error["message"] and not got.complete and not got.broke and not got.text, got
        for name in names:
            assert name in got.error["message"], got.error
        if should_retry is not None:
            assert got.headers.get("x-should-retry") == should_retry, got.headers
        if retry_after is not None:
            assert retry_after[0] <= int(got.headers["retry-after"]) <= retry_after[1], got.headers["retry-after"]
        elif should_retry == "false":
            assert "retry-after" not in got.headers, got.headers["retry-after"]
    return look


def broken(begins_with=PRIMARY):
    """A stream that had begun and says with an error of its protocol that it is not complete."""
    def look(got, caller, stream):
        assert got.status == 200 and got.error and not got.complete and not got.broke, got
        assert got.text and begins_with.startswith(got.text), got.text
    return look


# --- a fault ---

@dataclasses.dataclass
class Fault:
    name: str
    primary: object                # steps; or a function of `make` that gives a provider's section
    sees: object = dataclasses.field(default_factory=answered)
    asked: tuple = (1, 1)          # how many requests the primary and the backup receive; (least, most) if it may vary
    backup: list = dataclasses.field(default_factory=lambda: [ok(BACKUP)])    # empty: the primary is the only target
    gaps: tuple = (0, PATIENCE)    # seconds between the primary's requests, by its clock
    cancelled: bool = False        # the primary's last request is cancelled by us
    streams: tuple = BOTH
    wires: tuple = WIRES           # of the primary
    callers: tuple = EVERY_CALLER
    headers: dict = dataclasses.field(default_factory=dict)
    request: object = None         # a function of the caller: members of its request
    alias: dict = dataclasses.field(default_factory=dict)     # settings of the alias
    provider: dict = dataclasses.field(default_factory=dict)  # settings of the primary
    config: dict = dataclasses.field(default_factory=dict)

    def __str__(self):
        return self.name.replace(" ", "-")


@dataclasses.dataclass
class Case:
    """One combination. Names of its alias and providers follow from `name`."""
    name: str
    caller: str
    stream: bool
    wire: str
    second: str

    def __str__(self):
        return f"{self.caller} {'streams' if self.stream else 'whole'}, {self.wire} then {self.second}"


def cases(fault):
    found = []
    for w, wire in enumerate(WIRES):
        for c, caller in enumerate(EVERY_CALLER):
            for stream in BOTH:
                if wire in fault.wires and caller in fault.callers and stream in fault.streams:
                    found.append(Case(f"x{len(found)}", caller, stream, wire, WIRES[(w + c) % 3]))
    return found


class Play:
    """A fault on its stage. Attributes: stage, gateway, cases, results."""

    def __init__(self, make, fault):
        self.fault, self.cases = fault, cases(fault)
        self.stage = Stage(make)
        providers, models = {}, {}
        for case in self.cases:
            providers[f"primary-{case.name}"] = {
                **(fault.primary(make, case.wire) if callable(fault.primary) else
                   self.stage.provider(f"primary-{case.name}", case.wire, *fault.primary)), **fault.provider}
            targets = [f"primary-{case.name}/m"]
            if fault.backup:
                providers[f"backup-{case.name}"] = self.stage.provider(f"backup-{case.name}", case.second,
                                                                       *fault.backup)
                targets.append(f"backup-{case.name}/m")
            models[case.name] = {"targets": targets, **fault.alias}
        self.gateway = make.gateway({"providers": providers, "models": models, **SHIPPED, **fault.config})

    def ask(self):
        def one(case):
            more = self.fault.request(case.caller) if self.fault.request else {}
            try:
                return ask(self.gateway, case.caller, case.name, case.stream, self.fault.headers, **more)
            except AssertionError as e:    # not in the grammar of its protocol
                return e
        with ThreadPoolExecutor(max_workers=len(self.cases)) as pool:
            self.results = list(pool.map(one, self.cases))

    def received(self, role, case):
        return self.stage.received(f"{role}-{case.name}")

    def _check(self, case, got):
        fault = self.fault
        if isinstance(got, AssertionError):
            raise got
        fault.sees(got, case.caller, case.stream)
        for role, wanted in zip(("primary", "backup"), fault.asked):
            came = self.received(role, case)
            least, most = wanted if isinstance(wanted, tuple) else (wanted, wanted)
            assert least <= len(came) <= most, f"the {role} was asked {len(came)} times, not {wanted}"
            assert len({r.digest for r in came}) <= 1 or role == "backup", f"the {role} got different requests"
        came = self.received("primary", case)
        for gap in gaps(came):
            assert fault.gaps[0] <= gap <= fault.gaps[1], f"{gap:.3f} s between two requests"
        if fault.cancelled:
            wait_until(lambda: came[-1].cancelled, "the primary's work to be cancelled")
        line = self.gateway.access(got.id)
        assert line["status"] == got.status, line
        told = len(line["attempts"])
        if not callable(fault.primary):
            assert told == len(came) + len(self.received("backup", case)), f"the log tells of {line['attempts']}"
        if "x-openclaw-attempts" in got.headers and got.error is None and not case.stream:
            assert got.headers["x-openclaw-attempts"] == str(told), (got.headers["x-openclaw-attempts"], line)

    def _attempts(self, case):
        line = next((a for a in self.gateway.access_log() if a.get("model_requested") == case.name), {})
        return "; ".join(" ".join(f"{n}={a[n]}" for n in ("provider", "outcome", "status", "us") if n in a)
                         for a in line.get("attempts", []))

    def check(self):
        """Tells of every combination that went wrong, and checks that nothing is left under way."""
        wrong = []
        for case, got in zip(self.cases, self.results):
            try:
                self._check(case, got)
            except AssertionError as e:
                wrong.append(f"{case}: {e}\n      {self._attempts(case)}")
        assert not wrong, f"{self.fault.name}: {len(wrong)} of {len(self.cases)}:\n    " + "\n    ".join(wrong[:TOLD])
        self.gateway.idle()
        wait_until(lambda: all(r.ended_at for r in self.stage.received()), "no work left at a provider")


def play(make, fault):
    scene = Play(make, fault)
    scene.ask()
    scene.check()
    return scene


def several(make, scripts, **more):
    """A stage and a gateway with an alias `all` of one target, NAME/m, for each script: NAME -> (wire, step, ...)."""
    stage = Stage(make)
    providers = {name: stage.provider(name, wire, *steps) for name, (wire, *steps) in scripts.items()}
    models = {"all": {"targets": [f"{name}/m" for name in scripts]}}
    return stage, make.gateway({"providers": providers, "models": models, **SHIPPED, **more})
