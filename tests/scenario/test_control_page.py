"""The tutorial of docs/control.md, executed: its commands work unchanged, and what it shows is what there is to see."""
import contextlib
import os
import pathlib
import re
import signal
import subprocess

import pytest

from lib import process
from lib.pages import Page
from lib.process import PATIENCE, environment, free_port, wait_until

PAGE = Page("docs/control.md")


class Folder:
    """A folder of its own, with ports of its own."""

    def __init__(self, folder, stack):
        self.folder, self.stack = folder, stack
        self.ports = {port: str(free_port()) for port in ("8080", "8091")}
        (folder / "bin").mkdir()
        (folder / "bin" / "openclaw").symlink_to(pathlib.Path(process.BIN).resolve())
        (folder / "gateway.yaml").write_text(self.changed(PAGE.block("yaml", "providers:")))
        self.environment = environment(PATH=f"{folder / 'bin'}:{os.environ['PATH']}", XDG_RUNTIME_DIR=str(folder),
                                       XDG_STATE_HOME=str(folder / "state"))

    def changed(self, text):
        return re.sub("|".join(self.ports), lambda m: self.ports[m.group()], text)

    def start(self, word, ready):
        said = self.folder / f"said-{ready.replace(' ', '-')}"
        with open(said, "wb") as out:
            program = subprocess.Popen("exec " + self.changed(PAGE.block("sh", word)), shell=True, cwd=self.folder,
                                       env=self.environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        self.stack.callback(self.end, program)
        wait_until(lambda: ready in said.read_text() or program.poll() is not None, ready)
        assert program.poll() is None, said.read_text()

    @staticmethod
    def end(program):
        if program.poll() is None:
            program.send_signal(signal.SIGINT)
        try:
            assert program.wait(PATIENCE) == 0
        finally:
            program.kill()

    def run(self, word):
        done = subprocess.run(self.changed(PAGE.block("sh", word)), shell=True, cwd=self.folder, env=self.environment,
                              capture_output=True, text=True, timeout=PATIENCE * 2)
        assert done.returncode == 0, (word, done.stdout, done.stderr)
        return done.stdout


@pytest.fixture
def folder(tmp_path_factory):
    with contextlib.ExitStack() as stack:
        yield Folder(tmp_path_factory.mktemp("c"), stack)


def test_the_tutorial_shows_what_happens(folder):
    forbidden, used_up, revoked = PAGE.blocks("text")
    folder.start("openclaw mock", "listening")
    folder.start("openclaw serve", "listens on")
    folder.run("openclaw teams create")
    folder.run("openclaw keys create")
    folder.run("cat > ask")
    answers = folder.run("./ask research").splitlines(keepends=True)
    assert '"finish_reason":"stop"' in answers[0] and answers[-1] == forbidden
    assert folder.run("for i in") == used_up
    wait_until(lambda: len(folder.run("openclaw usage").splitlines()) == 4, "two teams in the ledger")
    assert '"finish_reason":"stop"' in folder.run("openclaw teams set")
    assert folder.run("openclaw keys revoke").endswith(revoked)
    audit = folder.run("openclaw audit")
    assert "keys.revoke" in audit and "teams.change" in audit and "8 entries, all good" in audit
