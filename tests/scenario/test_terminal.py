"""Output of a gateway started by hand: on a terminal both logs are short lines, in a pipe they are JSON."""
import json
import os
import pty
import re
import subprocess
import threading

import httpx
import pytest

from lib import process
from lib.process import wait_until


class Shell:
    """The gateway with its output on a terminal, or on a pipe."""

    def __init__(self, tmp_path, settings=(), terminal=True, **env):
        self.said = b""
        reader, writer = pty.openpty() if terminal else os.pipe()
        command = [process.BIN, "serve", "--listen", "127.0.0.1:0"]
        for setting in ("server.workers=1", "server.drain_grace=0s", *settings):
            command += ["--set", setting]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=writer, stderr=writer, cwd=tmp_path,
                                        env=process.environment(**{"TERM": "xterm-256color", **env}))
        os.close(writer)
        self.reader = threading.Thread(target=self._read, args=(reader,), daemon=True)
        self.reader.start()
        wait_until(lambda: re.search(r"listens on http://(\S+)", self.text), "the address")
        self.url = re.search(r"listens on (\S+)", self.text).group(1)

    def _read(self, fd):
        while True:
            try:
                data = os.read(fd, 65536)
            except OSError:      # a terminal whose other side closed
                break
            if not data:
                break
            self.said += data
        os.close(fd)

    @property
    def text(self):
        return self.said.decode().replace("\r\n", "\n")

    def ask(self, model="gpt-4o-mini"):
        return httpx.post(f"{self.url}/v1/chat/completions", timeout=process.PATIENCE, json={
            "model": model, "messages": [{"role": "user", "content": "hello"}]})

    def line(self, part):
        wait_until(lambda: part in self.text and self.text.split(part, 1)[1].count("\n"), part)
        return next(line for line in self.text.splitlines() if part in line)

    def end(self):
        self.process.terminate()
        assert self.process.wait(process.PATIENCE) == 0
        self.reader.join(process.PATIENCE)
        return self.text


@pytest.fixture
def shell(tmp_path):
    shells = []

    def start(*args, **options):
        shells.append(Shell(tmp_path, *args, **options))
        return shells[-1]
    yield start
    for one in shells:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait(process.PATIENCE)


PLAIN = r"\d\d:\d\d:\d\d 200 POST /v1/chat/completions  gpt-4o-mini -> mock/gpt-4o-mini  \d+\+\d+ tokens  [\d.]+ m?s"


def test_on_a_terminal_a_request_is_one_short_line_with_color(shell):
    one = shell()
    assert one.ask().status_code == 200
    line = one.line("POST /v1/chat/completions")
    assert "\x1b[32m200\x1b[0m" in line and re.fullmatch(PLAIN, re.sub(r"\x1b\[\d+m", "", line)), line
    assert httpx.get(f"{one.url}/nowhere", timeout=process.PATIENCE).status_code == 404
    line = one.line("GET /nowhere")
    assert "\x1b[33m404\x1b[0m" in line and "\x1b[33mno_route\x1b[0m: there is no route" in line, line
    assert '{"ts"' not in one.end()


@pytest.mark.parametrize("env", [{"NO_COLOR": "1"}, {"TERM": "dumb"}, {"TERM": ""}])
def test_a_terminal_that_wants_no_color_gets_none(shell, env):
    one = shell(**env)
    assert one.ask().status_code == 200
    assert re.fullmatch(PLAIN, one.line("POST /v1/chat/completions"))
    assert "\x1b" not in one.end()


def test_an_empty_no_color_is_ignored(shell):
    one = shell(NO_COLOR="")
    one.ask()
    assert "\x1b[32m200" in one.line("POST /v1/chat/completions")


def test_json_is_for_pipes_or_on_request(shell):
    for one in (shell(terminal=False), shell(["observe.access.format=json", "observe.log.format=json"])):
        assert one.ask().status_code == 200
        line = json.loads(one.line('"path":"/v1/chat/completions"'))
        assert line["status"] == 200 and line["model"] == "gpt-4o-mini"
        assert json.loads(one.line('"msg":"started:'))["level"] == "info"
        assert "\x1b" not in one.end()


def test_a_pipe_gets_text_on_request(shell):
    one = shell(["observe.access.format=text", "observe.log.format=text"], terminal=False)
    one.ask()
    assert re.fullmatch(PLAIN, one.line("POST /v1/chat/completions"))
    assert re.match(r"\S+Z INFO  started: ", one.line("started: "))
    assert '{"ts"' not in one.end()


def test_what_callers_send_cannot_drive_the_terminal(shell):
    one = shell()
    assert one.ask("\x1b[2J\x1b]0;owned\x07\nforged\u009b31m").status_code in (200, 400, 404)
    line = one.line("POST /v1/chat/completions")
    assert "\\x1b[2J" in line and "\x1b[2J" not in one.end() and "\nforged" not in one.text
