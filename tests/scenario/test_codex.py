"""OpenAI's Codex edits a file through the gateway, whichever protocol its model's provider speaks."""
import json
import os
import pathlib
import shutil
import subprocess

import pytest
from lib.process import SLOW
from lib.script import ANTHROPIC, OPENAI, Stage, ok

ROOT = pathlib.Path(__file__).resolve().parents[2]
NODE_DIR = pathlib.Path(os.environ.get("OPENCLAW_NODE_DIR", ROOT / "build" / "node"))
CODEX = NODE_DIR / "node_modules" / ".bin" / "codex"

pytestmark = pytest.mark.skipif(shutil.which("node") is None or not CODEX.exists(),
                                reason=f"no Codex in {NODE_DIR}; ./dev test installs it")


def run_codex(gateway, folder, home, model, task):
    home.mkdir()
    (home / "config.toml").write_text(f"""
model = "{model}"
model_provider = "openclaw"
model_reasoning_summary = "auto"

[model_providers.openclaw]
name = "OpenClaw"
base_url = "{gateway.url}/v1"
env_key = "OPENCLAW_KEY"
wire_api = "responses"
request_max_retries = 0
stream_max_retries = 0
""")
    env = {**os.environ, "CODEX_HOME": str(home), "OPENCLAW_KEY": gateway.key, "NO_PROXY": "127.0.0.1"}
    return subprocess.run([str(CODEX), "exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox",
                           "--json", task], cwd=folder, env=env, stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=60 * SLOW)


@pytest.mark.parametrize("wire", [OPENAI, ANTHROPIC])
def test_codex_finishes_a_loop_of_tools_that_edits_a_file(make, tmp_path, wire):
    stage = Stage(make)
    command = json.dumps({"cmd": "printf 'two\\n' > notes.txt"})
    upstream = stage.provider(
        "up", wire, ok("I edit it.", reasoning="Which file?", call=("exec_command", command), finish="call"),
        ok("The file says two."))
    gateway = make.gateway({"providers": {"up": upstream}})
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "notes.txt").write_text("one\n")
    ran = run_codex(gateway, folder, tmp_path / "home", "up/some-model", "Make notes.txt say two.")
    told = ran.stdout + ran.stderr
    assert ran.returncode == 0 and (folder / "notes.txt").read_text() == "two\n", told
    assert "Which file?" in told and "The file says two." in told
    first, second = [r.body for r in stage.received("up")]
    assert "Make notes.txt say two." in json.dumps(first["messages"])
    if wire == ANTHROPIC:    # what it thought before the call came back with its proof
        blocks = [b for m in second["messages"] if m["role"] == "assistant" for b in m["content"]]
        assert [b["type"] for b in blocks] == ["thinking", "text", "tool_use"]
        assert blocks[0] == {"type": "thinking", "thinking": "Which file?", "signature": "c2ln"}
    else:
        assert [m["role"] for m in second["messages"][-3:]] == ["user", "assistant", "tool"]
        assert second["messages"][-2]["tool_calls"][0]["function"]["arguments"] == command
    gateway.idle()
    gateway.last_access(2)
    for line in gateway.access_log():    # it closes its connections at response.completed
        assert line["endpoint"] != "responses" or (line["status"] == 200 and line.get("error") is None), line
