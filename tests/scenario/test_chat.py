"""`openclaw chat` on a terminal: lines that can be edited, a history, commands."""
import fcntl
import os
import pty
import re
import select
import stat
import subprocess
import termios
import time

import pytest
from lib import process
from lib.process import PATIENCE, environment

UP, LEFT, CTRL_A, CTRL_C, CTRL_D = "\x1b[A", "\x1b[D", "\x01", "\x03", "\x04"


class Terminal:
    """A command on a terminal of its own, with simulated typing."""

    def __init__(self, *args, **env):
        self.ours, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (24, 100))
        self.child = subprocess.Popen(
            [process.BIN, *args], stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
            env=environment(**{"TERM": "xterm", "LC_ALL": "C.UTF-8", **env}),
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.close(theirs)
        self.said = ""
        self.seen = 0

    def type(self, text):
        os.write(self.ours, text.encode())

    def wait_for(self, pattern):
        """Waits for the pattern in the output since the last match. Returns that output."""
        until = time.monotonic() + PATIENCE
        while not (found := re.search(pattern, self.said[self.seen:], re.S)):
            assert time.monotonic() < until, f"no {pattern!r} in {self.said[self.seen:]!r}"
            poll = select.poll()    # not select(), which takes no descriptor above 1023
            poll.register(self.ours, select.POLLIN)
            if poll.poll(1000):
                self.said += os.read(self.ours, 65536).decode().replace("\r\n", "\n")
        part = self.said[self.seen:self.seen + found.end()]
        self.seen += found.end()
        return part

    def line(self, text, answer):
        """Types a line and waits for its output and the next prompt."""
        self.type(text + "\n")
        return self.wait_for(answer + ".*> ")

    def leave(self):
        self.type(CTRL_D)
        status = self.child.wait(PATIENCE)
        os.close(self.ours)
        return status


@pytest.fixture
def chat(make, tmp_path):
    mock = make.mock("--text", "the answer")
    terminals = []

    def start(*args, **env):
        t = Terminal("chat", "--url", mock.url, *args, **{"HOME": str(tmp_path), **env})
        terminals.append(t)
        t.wait_for("> ")
        return t

    start.asked = lambda: [m["content"] for m in mock.last_request()["json"]["messages"]]
    start.model = lambda: mock.last_request()["json"]["model"]
    yield start
    for t in terminals:
        t.child.kill()
        t.child.wait(PATIENCE)


def test_a_line_is_edited_before_it_is_sent(chat):
    t = chat("--model", "m")
    t.line("orld" + CTRL_A + "hello w" + LEFT * 7 + "O" + "\x7f", "the answer\n")
    assert chat.asked() == ["hello world"]
    t.line("zwölf 🦞x\x7f", "the answer\n")
    assert chat.asked()[-1] == "zwölf 🦞"
    assert t.leave() == 0


@pytest.mark.parametrize("wire", ["openai-chat", "anthropic-messages", "ollama"])
def test_it_speaks_the_protocol_that_it_is_told(chat, wire):
    t = chat("--model", "m", "--wire", wire)
    t.line("hello", "the answer\n")
    assert t.leave() == 0


def test_the_history_is_kept_and_private_to_its_owner(chat, tmp_path):
    t = chat("--model", "m")
    t.line("first question", "the answer\n")
    assert t.leave() == 0
    path = tmp_path / ".local/state/openclaw/chat_history"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and "question" in path.read_text()
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700

    t = chat("--model", "m")
    t.line(UP, "the answer\n")
    assert chat.asked() == ["first question"]
    t.leave()

    state = tmp_path / "state"
    t = chat("--model", "m", XDG_STATE_HOME=str(state))
    t.line("elsewhere", "the answer\n")
    t.leave()
    assert "elsewhere" in (state / "openclaw/chat_history").read_text()
    assert "elsewhere" not in path.read_text()


def test_a_history_file_that_others_can_read_is_made_private(chat, tmp_path):
    path = tmp_path / "openclaw/chat_history"
    path.parent.mkdir()
    path.write_text("_HiStOrY_V2_\nold\\040line\n")
    path.chmod(0o644)
    t = chat("--model", "m", XDG_STATE_HOME=str(tmp_path))
    t.line(UP, "the answer\n")
    assert chat.asked() == ["old line"]
    t.leave()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("args, env", [(["--no-history"], {}), ([], {"HOME": "/nonexistent"}), ([], {"HOME": ""})])
def test_a_conversation_works_without_history(chat, tmp_path, args, env):
    t = chat("--model", "m", *args, **env)
    t.line("a question", "the answer\n")
    t.line(UP, "the answer\n")      # of this conversation it is there
    assert chat.asked()[-1] == "a question"
    assert t.leave() == 0
    assert not list(tmp_path.rglob("chat_history")) and not os.path.exists("/nonexistent")


def test_ctrl_c_cancels_the_line_and_ctrl_d_quits(chat):
    t = chat("--model", "m")
    t.type("never mind")
    t.wait_for("mind")
    t.type(CTRL_C)
    t.wait_for("\n.*> ")
    t.line("this one", "the answer\n")
    assert chat.asked() == ["this one"]
    assert t.leave() == 0


def test_models_are_listed_and_chosen_by_name(chat):
    t = chat()
    first = re.search(r"(\S+) at http", t.said).group(1)
    listed = t.line("/models", r"\* \S+\n")
    names = re.findall(r"^[ *] (\S+)$", listed, re.M)
    assert f"* {first}\n" in listed and len(names) > 1
    other = next(n for n in names if n != first)
    t.line(f"/model {other}", f"the model is {re.escape(other)}\n")
    t.line("hello", "the answer\n")
    assert chat.model() == other
    said = t.line(f"/model {first}x", "the model is .*\n")
    assert f"did you mean '{first}'?" in said and f"the model is {other}\n" in said
    t.line("/models nothing-like-this", "no model's name has this in it\n")
    t.line("/help", r"/models \[TEXT\].*/quit.*\n")
    assert t.leave() == 0


def test_a_dumb_terminal_gets_no_escape_sequences(chat):
    t = chat("--model", "m", TERM="dumb")
    t.line("plain", "the answer\n")
    assert "\x1b" not in t.said
    assert t.leave() == 0


def test_without_a_terminal_for_output_there_is_neither_editing_nor_history(make, tmp_path):
    mock = make.mock("--text", "the answer")
    ours, theirs = pty.openpty()
    child = subprocess.Popen([process.BIN, "chat", "--url", mock.url, "--model", "m"], stdin=theirs,
                             stdout=subprocess.PIPE, env=environment(TERM="xterm", HOME=str(tmp_path)))
    os.close(theirs)
    os.write(ours, b"a question\n" + CTRL_D.encode())
    said = child.communicate(timeout=PATIENCE)[0]
    os.close(ours)
    assert child.returncode == 0 and b"> the answer\n" in said and b"\x1b" not in said
    assert not list(tmp_path.rglob("chat_history"))
