"""docs/clients/agents.md, executed: each coding agent edits a file through the gateway, whatever protocol its model's
provider speaks.

The provider of each protocol is a second gateway, in front of one scripted model: so every protocol is written and
read, as callers and providers of it do. The agents are large; `./dev test nightly` installs them and runs these.
"""
import json
import os
import pathlib
import re
import subprocess

import pytest

from lib.pages import Page
from lib.process import ROOT, SLOW, environment
from lib.script import OPENAI, Stage, ok, step

NIGHTLY = pathlib.Path(os.environ.get("OPENCLAW_NIGHTLY", ROOT / "build" / "nightly"))
NODE_DIR = pathlib.Path(os.environ.get("OPENCLAW_NODE_DIR", ROOT / "build" / "node"))
PATHS = [NIGHTLY / "agents" / "node_modules" / ".bin", NODE_DIR / "node_modules" / ".bin", NIGHTLY / "aider" / "bin"]
PAGE = Page("docs/clients/agents.md")
MODEL = "anthropic/claude-sonnet-4-5"
BASES = {"openai-chat": "/v1", "openai-responses": "/v1", "anthropic-messages": "/v1", "gemini": "/v1beta", "ollama": "",
         "bedrock-converse": "", "cohere-v2": "/v2"}

# What the model has each of them do; aider has no tools.
CALLS = {
    "Claude Code": [("Read", {"file_path": "{file}"}),
                    ("Edit", {"file_path": "{file}", "old_string": "one", "new_string": "two"})],
    "Codex": [("exec_command", {"cmd": "cat notes.txt"}), ("exec_command", {"cmd": "printf 'two\\n' > notes.txt"})],
    "Gemini CLI": [("read_file", {"file_path": "{file}"}),
                   ("replace", {"file_path": "{file}", "old_string": "one", "new_string": "two", "instruction": "Say two."})],
    "OpenCode": [("read", {"filePath": "{file}"}),
                 ("edit", {"filePath": "{file}", "oldString": "one", "newString": "two"})],
    "Qwen Code": [("read_file", {"file_path": "{file}"}),
                  ("edit", {"file_path": "{file}", "old_string": "one", "new_string": "two"})],
    "aider": [],
}
COMMANDS = {"Claude Code": "claude", "Codex": "codex", "Gemini CLI": "gemini", "OpenCode": "opencode", "Qwen Code": "qwen",
            "aider": "aider"}
# They look for news, prices and packages elsewhere, and wait long for it where there is no network.
OFFLINE = {"HTTPS_PROXY": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9", "NO_PROXY": "127.0.0.1"}
BY_TEXT = "notes.txt\n```\ntwo\n```\n\nThe file says two."    # what aider takes for an edit

pytestmark = pytest.mark.nightly


def model(agent, file):
    """Calls, each after the result of the one before it; then a sentence. Requests without tools are for a title."""
    calls = [(name, json.dumps(arguments).replace("{file}", str(file))) for name, arguments in CALLS[agent]]
    plays = [ok("I go on.", reasoning="Which file?", call=call, call_number=number, finish="call")
             for number, call in enumerate(calls, 1)] + [ok("The file says two.")]

    @step("model")
    def play(reply):
        body = reply.received.body
        results = sum(message["role"] == "tool" for message in body["messages"])
        if body.get("tools"):
            plays[min(results, len(calls))](reply)
        else:
            ok(BY_TEXT if agent == "aider" else "A title")(reply)
    return play


def run(agent, gateway, folder, home):
    """Its files and commands, as the page has them."""
    section = PAGE.section(agent)

    def filled(text):
        return text.replace("http://127.0.0.1:8080", gateway.url).replace("YOUR_KEY", gateway.key).replace(MODEL, "up/some-model")
    for name, text in section.files():
        path = home / name[2:] if name.startswith("~/") else folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(filled(text))
    command, = section.blocks("sh")
    path = os.pathsep.join([*map(str, PATHS), os.environ["PATH"]])
    said = home / "said"
    with open(said, "wb") as out:    # a pipe would stay open as long as what some of them leave behind
        ran = subprocess.run(["sh", "-ec", filled(command)], cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                             timeout=120 * SLOW, env=environment(HOME=str(home), PATH=path, **OFFLINE))
    return ran.returncode, said.read_text(errors="replace")


@pytest.mark.parametrize("wire", BASES)
@pytest.mark.parametrize("agent", CALLS)
def test_an_agent_edits_a_file(make, tmp_path, agent, wire):
    if not any((path / COMMANDS[agent]).exists() for path in PATHS):
        pytest.skip(f"{agent} is not installed; ./dev test nightly installs it")
    folder, home = tmp_path / "work", tmp_path / "home"
    folder.mkdir()
    home.mkdir()
    file = folder / "notes.txt"
    file.write_text("one\n")
    stage = Stage(make)
    far = make.gateway({"providers": {"script": stage.provider("script", OPENAI, model(agent, file))},
                        "default_provider": "script"})
    near = make.gateway({"providers": {"up": {"wire": wire, "base_url": far.url + BASES[wire], "api_key": far.key}}})
    status, told = run(agent, near, folder, home)
    assert status == 0 and file.read_text() == "two\n", told
    assert "The file says two." in told, told
    last = stage.received()[-1].body["messages"]
    ids = [call["id"] for message in last for call in message.get("tool_calls") or []]
    assert ids == [f"call_{n}" for n in range(1, len(CALLS[agent]) + 1)]
    assert [m["tool_call_id"] for m in last if m["role"] == "tool"] == ids
    near.idle()
    for line in near.access_log():
        assert line["status"] == 200 or re.search("/models|/count_tokens|countTokens", line["path"]), line


def test_the_page_has_all_of_them():
    assert re.findall(r"^## (.*)$", PAGE.text, re.M) == list(CALLS)
