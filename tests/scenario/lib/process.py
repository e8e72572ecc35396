"""Starting and ending programs, free ports, certificates, secrets that may never be seen."""
import atexit
import contextlib
import os
import pathlib
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
BIN = os.environ.get("OPENCLAW_BIN", str(ROOT / "build" / "openclaw"))
SHARED = pathlib.Path(os.environ.get("OPENCLAW_SHARED", ROOT.parent / "shared"))

SANITIZED = bool(os.environ.get("OPENCLAW_SANITIZER"))    # tests ask the fixture of that name

# Under a sanitizer on a busy machine everything takes longer. Deadlines that only bound a
# failure are multiplied by this; what a test measures is not.
SLOW = 4 if SANITIZED else 2
PATIENCE = 15 * SLOW


def _seconds(text):
    """Of a time such as "30m"; 0 for none."""
    if not text:
        return 0
    number, unit = re.fullmatch(r"(\d+)([mh])", text).groups()
    return int(number) * {"m": 60, "h": 3600}[unit]


# For how long the soak test is to run; 0: for its usual half a minute.
SOAK = _seconds(os.environ.get("OPENCLAW_SOAK"))

# Every secret that tests hand out begins like this, so one search finds any that leaked.
CANARY = "canary-"
# Part of prompts and answers whose content must not be logged.
PROMPT = "moss-grown-prompt-7391"


def canary(kind):
    """A recognisable secret: canary("provider"), canary("client")."""
    return f"{CANARY}{kind}-{secrets.token_hex(12)}"


# The store of gateways that are started without saying where it is; those of lib/gateway.py have one each.
STATE = tempfile.mkdtemp(prefix="openclaw-state-")
atexit.register(shutil.rmtree, STATE, ignore_errors=True)


def environment(**more):
    """An environment without anybody's keys, proxies, gateway settings or store."""
    unwanted = r"(_KEY|_TOKEN|_API_BASE|_BASE_URL|^OPENCLAW_.*|^(https?|all|no)_proxy)$"
    clean = {k: v for k, v in os.environ.items() if not re.search(unwanted, k, re.I)}
    return {**clean, **({} if "HOME" in more else {"XDG_STATE_HOME": STATE}), **more}


def free_port():
    """A port that nobody listens on right now. Prefer port 0 where a program can say what it got."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_until(condition, what, seconds=PATIENCE, pause=0.01):
    """The first true value of condition(); fails with `what` when there is none in time."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"waited {seconds} s in vain: {what}"
        time.sleep(pause)
        pause = min(pause * 1.5, 0.2)


@contextlib.contextmanager
def ends_in_time(args, seconds=PATIENCE, **popen):
    """A program whose pipes the test reads itself. If it hangs it is killed, so no read waits for ever."""
    child = subprocess.Popen(args, **popen)
    timer = threading.Timer(seconds, child.kill)
    timer.start()
    try:
        with child:
            yield child
    finally:
        timer.cancel()


class Program:
    """A running program whose output goes to files; ended gracefully, or killed when it hangs."""

    def __init__(self, args, directory, name, env=None, **popen):
        self.stdout_path = pathlib.Path(directory) / f"{name}.stdout"
        self.stderr_path = pathlib.Path(directory) / f"{name}.stderr"
        self.name = name
        state = {"XDG_STATE_HOME": str(pathlib.Path(directory) / "state")}    # a store of its own
        with open(self.stdout_path, "wb") as out, open(self.stderr_path, "wb") as err:
            self.process = subprocess.Popen([str(a) for a in args], stdout=out, stderr=err,
                                            stdin=subprocess.DEVNULL, cwd=directory,
                                            env=environment(**{**state, **(env or {})}), **popen)

    @property
    def pid(self):
        return self.process.pid

    def stdout(self):
        return self.stdout_path.read_text(errors="replace")

    def stderr(self):
        return self.stderr_path.read_text(errors="replace")

    def running(self):
        return self.process.poll() is None

    def send_signal(self, number):
        self.process.send_signal(number)

    def wait_for(self, pattern, where="stderr"):
        """The match of `pattern` in what the program wrote, once it has written it."""
        def look():
            found = re.search(pattern, getattr(self, where)())
            assert found or self.running(), \
                f"{self.name} ended with {self.process.returncode} before it said {pattern!r}:\n" \
                f"{self.stdout()[-2000:]}\n{self.stderr()[-4000:]}"
            return found
        return wait_until(look, f"{self.name} to say {pattern!r}")

    def end(self, number=signal.SIGTERM, seconds=60 * SLOW):
        """Sends the signal and waits. Returns the exit status; a program that hangs is killed and fails."""
        if self.running():
            self.process.send_signal(number)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.name} did not end in {seconds} s after signal {number}:\n"
                                 f"{self.stderr()[-4000:]}") from None

    def kill(self):
        if self.running():
            self.process.kill()
        self.process.wait()

    def assert_healthy_words(self):
        """No sanitizer report, no failed check in what it wrote."""
        said = self.stderr() + self.stdout()
        for bad in ("Sanitizer", "runtime error:", "check failed", "CHECK failed"):
            assert bad not in said, f"{self.name} said {bad!r}:\n{said[-8000:]}"


def certificate(directory, name="localhost", days=2, hosts=("localhost",), ips=("127.0.0.1",)):
    """A self-signed certificate for local names: (certificate's path, key's path). `days` may be negative: it has expired."""
    cert, key, asked = (pathlib.Path(directory) / f"{name}.{kind}" for kind in ("pem", "key", "csr"))
    names = ",".join([f"DNS:{h}" for h in hosts] + [f"IP:{i}" for i in ips])
    for command in (["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", asked,
                     "-subj", f"/CN={name}", "-addext", f"subjectAltName={names}"],
                    ["x509", "-req", "-in", asked, "-signkey", key, "-out", cert, "-days", str(days),
                     "-copy_extensions", "copy"]):
        subprocess.run(["openssl", *command], check=True, capture_output=True, timeout=PATIENCE)
    return cert, key
