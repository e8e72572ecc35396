"""The official clients for Node: each node/*.test.mjs runs once, each of its tests is reported here by name.

A script finds in its environment GATEWAY_URL, GATEWAY_KEY, LIMITED_KEY (may use the model "quick" only) and
MOCK_URL. The gateway has the simulated providers `lab` (OpenAI's wire), `claude` (Anthropic's) and `llama` (Ollama's), and
the aliases `quick` (lab), `haiku` (claude) and `either` (both).
"""
import os
import pathlib
import re
import shutil
import subprocess

import pytest

from lib.process import ROOT, SLOW, canary, environment

SCRIPTS = sorted((pathlib.Path(__file__).parent / "node").glob("*.test.mjs"))
NODE_DIR = pathlib.Path(os.environ.get("OPENCLAW_NODE_DIR", ROOT / "build" / "node"))

pytestmark = [
    pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed"),
    pytest.mark.skipif(not (NODE_DIR / "node_modules").is_dir(),
                       reason=f"no node_modules in {NODE_DIR}; ./dev test installs them"),
]


@pytest.fixture(scope="module")
def results(make_shared):
    """A function that runs a script, once, and returns {name: (passed, what it said)}."""
    done = {}
    limited = canary("client")
    mock = make_shared.mock()
    key = canary("client")
    gateway = make_shared.gateway({
        "server": {"limits": {"body": "1MB"}},
        "auth": {"keys": [{"name": "tester", "key": key}, {"name": "limited", "key": limited, "models": ["quick"]}]},
        "providers": {"lab": mock.provider(), "claude": mock.provider("anthropic-messages"),
                      "llama": mock.provider("ollama")},
        "models": {"quick": {"targets": ["lab/mock-gpt"]}, "haiku": {"targets": ["claude/mock-claude"]},
                   "either": {"targets": ["lab/mock-gpt", "claude/mock-claude"]}}})

    def run(script):
        if script in done:
            return done[script]
        copy = NODE_DIR / script.name
        if not copy.exists() or copy.read_bytes() != script.read_bytes():
            aside = NODE_DIR / f"{script.name}.{os.getpid()}"
            shutil.copy(script, aside)
            os.replace(aside, copy)
        ran = subprocess.run(["node", "--test", "--test-reporter=tap", copy], capture_output=True, text=True,
                             timeout=120 * SLOW, cwd=NODE_DIR, env=environment(
                                 GATEWAY_URL=gateway.url, GATEWAY_KEY=key, LIMITED_KEY=limited, MOCK_URL=mock.url))
        parts = re.split(r"^ *(ok|not ok) \d+ - (.*)$", ran.stdout, flags=re.M)
        done[script] = {name.replace("\\#", "#"): (verdict == "ok", text)
                        for verdict, name, text in zip(parts[1::3], parts[2::3], parts[3::3])}
        done[script]["all of it"] = (ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-3000:])
        return done[script]
    return run


def names(script):
    """The tests of a script: those written out, and those of a loop as their common form."""
    return re.findall(r'^ *test\("([^"]+)"', script.read_text(), re.M)


@pytest.mark.parametrize("script, name", [pytest.param(s, n, id=f"{s.name.split('.')[0]}: {n}")
                                          for s in SCRIPTS for n in [*names(s), "all of it"]])
def test_node(results, script, name):
    found = results(script)
    assert name in found, f"it did not run: {found['all of it'][1]}"
    passed, said = found[name]
    assert passed, said
