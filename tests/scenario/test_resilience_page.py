"""The tutorial of docs/resilience.md, executed: its commands work unchanged, and what it shows is what there is to see.

Only the ports are changed, so that tests can run side by side.
"""
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

BACK = 85 * process.SLOW     # seconds: the longest interval between two probes, and a slow start
TUTORIAL = Page("docs/resilience.md")
TUTORIAL.text = TUTORIAL.text.split("## Tutorial\n")[1]
FIRST, SECOND, SERVE = "mock --listen 127.0.0.1:8091", "mock --listen 127.0.0.1:8092", "openclaw serve"


class Terminals:
    """Runs blocks of the page in a folder of its own. .start(word) gives a running program, .run(word) what a command printed."""

    def __init__(self, folder, stack):
        self.folder, self.stack, self.count = folder, stack, 0
        self.ports = {port: str(free_port()) for port in ("8080", "8091", "8092")}
        (folder / "bin").mkdir()
        (folder / "bin" / "openclaw").symlink_to(pathlib.Path(process.BIN).resolve())
        (folder / "resilience.yaml").write_text(self.changed(TUTORIAL.block("yaml", "providers:")))
        # The local sockets of other tests' gateways are not looked for there.
        self.environment = environment(PATH=f"{folder / 'bin'}:{os.environ['PATH']}", XDG_RUNTIME_DIR=str(folder))

    def changed(self, text):
        return re.sub("|".join(self.ports), lambda m: self.ports[m.group()], text)

    def start(self, word, ready):
        """Waits until it said `ready`."""
        self.count += 1
        said = self.folder / f"terminal-{self.count}"
        with open(said, "wb") as out:
            program = subprocess.Popen("exec " + self.changed(TUTORIAL.block("sh", word)), shell=True, cwd=self.folder,
                                       env=self.environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        self.stack.callback(self.end, program)
        wait_until(lambda: ready in said.read_text() or program.poll() is not None, ready)
        assert program.poll() is None, said.read_text()
        return program

    @staticmethod
    def end(program):
        """Ctrl-C."""
        if program.poll() is None:
            program.send_signal(signal.SIGINT)
        try:
            assert program.wait(PATIENCE) == 0
        finally:
            program.kill()

    def run(self, word):
        done = subprocess.run(self.changed(TUTORIAL.block("sh", word)), shell=True, cwd=self.folder, env=self.environment,
                              capture_output=True, text=True, timeout=PATIENCE)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def terminals(tmp_path):
    with contextlib.ExitStack() as stack:
        yield Terminals(tmp_path, stack)


def test_the_tutorial_shows_what_happens(terminals):
    shown = TUTORIAL.blocks("text")
    well, failed_over, outcomes, status, top, back = shown

    def ask():
        return terminals.run("-D -").replace("\r", "")

    first = terminals.start(FIRST, "listening")
    terminals.start(SECOND, "listening")
    terminals.start(SERVE, "listens on")
    assert ask() == well

    terminals.end(first)
    assert ask() == failed_over
    wait_until(lambda: (terminals.folder / "access.log").read_text().count("\n") == 2, "the access log's line")
    assert terminals.run("tail -n 1") == outcomes

    terminals.run("for i in")

    # On a slow machine the time of a probe may come meanwhile; each that fails leaves more time until the next.
    wait_until(lambda: ask() == failed_over.replace("attempts: 2", "attempts: 1"), "the first provider to be left out", BACK)

    def says_so():
        ask()
        return status.strip() in terminals.run("openclaw status")
    wait_until(says_so, status, BACK)

    def ends(table):
        """The names and states of a table's rows."""
        return {(line.split()[0], line.split("  ")[-1].strip()) for line in table.splitlines() if line.strip()}

    def shows_it():
        ask()
        return ends(top) <= ends(terminals.run("openclaw top --once"))
    wait_until(shows_it, top, BACK)

    terminals.start(FIRST, "listening")
    wait_until(lambda: ask() == back, "the first provider's answer", BACK, pause=0.2)
