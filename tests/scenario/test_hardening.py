"""Privileges, warnings about them, and the detection of hung workers."""
import contextlib
import ctypes
import os
import pathlib
import pwd
import shutil
import tempfile

import pytest

from lib import raw
from lib.gateway import Gateway
from lib.process import wait_until

PTRACE_ATTACH, PTRACE_DETACH = 16, 17


def status_of(pid):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return {k: v.split() for k, v in (line.split(":", 1) for line in lines)}


def core_limit(pid):
    for line in pathlib.Path(f"/proc/{pid}/limits").read_text().splitlines():
        if line.startswith("Max core file size"):
            return line.split()[4]
    raise AssertionError("no core limit")


@pytest.fixture
def mock(make):
    return make.mock()


@pytest.fixture
def public_directory():
    """One that other users may enter."""
    path = tempfile.mkdtemp()
    os.chmod(path, 0o755)
    yield pathlib.Path(path)
    shutil.rmtree(path)


def test_there_is_no_core_dump_unless_asked_for(make, mock):
    pid = make.gateway({"providers": {"lab": mock.provider()}}).program.pid
    assert core_limit(pid) == "0" and status_of(pid)["NoNewPrivs"] == ["1"]
    pid = make.gateway({"providers": {"lab": mock.provider()}, "server": {"core_dumps": True}}).program.pid
    with open("/proc/self/limits") as ours:
        assert core_limit(pid) == next(line.split()[4] for line in ours if line.startswith("Max core file size"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_started_as_root_it_becomes_the_user_and_still_reloads_and_rotates(mock, public_directory):
    nobody = pwd.getpwnam("nobody")
    os.chown(public_directory, nobody.pw_uid, nobody.pw_gid)
    log = public_directory / "error.log"
    sock = public_directory / "gateway.sock"
    gateway = Gateway({"server": {"user": "nobody", "listen": ["127.0.0.1:0", f"unix:{sock}"]},
                       "providers": {"lab": mock.provider()}, "observe": {"log": {"path": str(log)},
                       "access": {"path": str(public_directory / "access.log")}}}, public_directory)
    with contextlib.closing(gateway):
        status = status_of(gateway.program.pid)
        assert status["Uid"] == [str(nobody.pw_uid)] * 4 and status["Gid"] == [str(nobody.pw_gid)] * 4
        assert status["CapEff"] == ["0" * 16]
        assert os.stat(f"/proc/{gateway.program.pid}/environ").st_uid == 0        # other processes of that user must not read it
        assert gateway.chat("lab/mock-gpt").status_code == 200
        log.rename(public_directory / "error.log.1")
        gateway.reload()
        wait_until(log.exists, "the log to be opened again")
        assert log.stat().st_uid == nobody.pw_uid
        assert "running as root" not in gateway.stderr()
        assert gateway.chat("lab/mock-gpt").status_code == 200


@pytest.mark.skipif(os.geteuid() != 0, reason="not root")
def test_running_as_root_is_a_warning(make, mock, tmp_path):
    log = tmp_path / "error.log"
    make.gateway({"providers": {"lab": mock.provider()}, "observe": {"log": {"path": str(log)}}})
    wait_until(lambda: "running as root" in log.read_text(), "the warning")


def test_a_user_that_does_not_exist_ends_the_start(make, mock, tmp_path):
    gateway = make.gateway({"server": {"user": "no-such-user"}, "providers": {"lab": mock.provider()}}, wait=False)
    gateway.checks = False
    assert gateway.program.process.wait(30) == 1
    assert "there is no user 'no-such-user'" in gateway.stderr()


# --- a worker that hangs ---

@contextlib.contextmanager
def stopped_thread(pid, name):
    """Stops one thread of the program, as a debugger does."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    tid = next(int(t.name) for t in pathlib.Path(f"/proc/{pid}/task").iterdir()
               if (t / "comm").read_text().strip() == name)
    if libc.ptrace(PTRACE_ATTACH, tid, None, None) != 0:
        pytest.skip("threads of other processes may not be stopped here")
    os.waitpid(tid, 0x40000000)       # __WALL
    try:
        yield
    finally:
        libc.ptrace(PTRACE_DETACH, tid, None, None)


def livez(gateway):
    """The status on a connection of its own, which either worker may get; None when it hangs."""
    try:
        with gateway.raw(seconds=1) as client:
            client.send(raw.request("GET", "/livez"))
            return client.read().status
    except (OSError, raw.Cut):
        return None


def test_a_hung_worker_is_logged_counted_and_fails_livez(make, mock, tmp_path):
    log = tmp_path / "error.log"
    gateway = make.gateway({"providers": {"lab": mock.provider()}, "server": {"core_dumps": True},
                            "observe": {"log": {"path": str(log)}}}, workers=2)
    wait_until(lambda: livez(gateway) == 200, "/livez to answer")
    with stopped_thread(gateway.program.pid, "worker-1"):
        wait_until(lambda: "worker 1 has been stuck for" in log.read_text(), "the log to say so")
        wait_until(lambda: livez(gateway) == 503, "/livez to fail")
    wait_until(lambda: "worker 1 has recovered" in log.read_text(), "the log to say so")
    wait_until(lambda: livez(gateway) == 200, "/livez to be well")
    gateway.clients, gateway._kept = [], None
    # A busy machine can stop a worker, too: then the log says so once more.
    assert gateway.metrics().value("openclaw_worker_stalls_total") == log.read_text().count("has been stuck for")
    assert gateway.metrics().value("openclaw_workers_stalled") == 0
