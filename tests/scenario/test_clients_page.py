"""docs/clients.md and docs/clients/, executed: each program and command on these pages, against a gateway without any
key. Coding agents have a test of their own, test_coding_agents.py."""
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

from lib.pages import Page
from lib.process import PATIENCE, ROOT, environment

NODE_DIR = pathlib.Path(os.environ.get("OPENCLAW_NODE_DIR", ROOT / "build" / "node"))
NIGHTLY = pathlib.Path(os.environ.get("OPENCLAW_NIGHTLY", ROOT / "build" / "nightly"))
START, SDKS, FRAMEWORKS = Page("docs/clients.md"), Page("docs/clients/sdks.md"), Page("docs/clients/frameworks.md")
LARGE = r"(langchain|pydantic_ai|litellm)"     # in an environment of their own


@pytest.fixture(scope="module")
def gateway(make_shared):
    return make_shared.gateway(plant=False)


def run(gateway, text, command, path=None, seconds=PATIENCE * 6):
    """Runs a block of the page against the gateway, from a file where its language needs one. Returns its output."""
    text = text.replace("http://127.0.0.1:8080", str(gateway.url).rstrip("/"))
    if path is not None:
        path.write_text(text)
    done = subprocess.run([*command, text if path is None else path.name], capture_output=True, text=True,
                          timeout=seconds, env=environment(NO_PROXY="127.0.0.1", LITELLM_LOCAL_MODEL_COST_MAP="True"),
                          cwd=path and path.parent)
    assert done.returncode == 0, done.stderr
    return done.stdout


def marked(blocks):
    """Parameters of a test, those of large packages marked."""
    names = [re.search(r"(?:from|import|github.com/)\s*(\w+)", block).group(1) for block in blocks]
    return [pytest.param(block, id=name, marks=[pytest.mark.nightly] if re.search(LARGE, block) else [])
            for block, name in zip(blocks, names)]


def test_the_pages_have_all_of_them():
    found = [[len(page.blocks(language)) for language in ("python", "js", "go", "sh")] for page in (START, SDKS, FRAMEWORKS)]
    assert found == [[0, 0, 0, 2], [7, 5, 2, 0], [6, 1, 0, 0]]


@pytest.mark.parametrize("text", marked(SDKS.blocks("python") + FRAMEWORKS.blocks("python")))
def test_python(gateway, text):
    python = sys.executable
    if re.search(LARGE, text):
        python = NIGHTLY / "frameworks" / "bin" / "python"
        if not python.exists():
            pytest.skip("the frameworks are not installed; ./dev test nightly installs them")
    assert "simulated" in run(gateway, text, [python, "-c"])


@pytest.mark.parametrize("text", SDKS.blocks("js") + FRAMEWORKS.blocks("js"))
def test_node(gateway, text):
    if shutil.which("node") is None or not (NODE_DIR / "node_modules").is_dir():
        pytest.skip("Node and its clients are not installed")
    path = NODE_DIR / f"clients-page-{os.getpid()}.mjs"
    try:
        assert "simulated" in run(gateway, text, ["node"], path)
    finally:
        path.unlink(missing_ok=True)


@pytest.mark.nightly
@pytest.mark.parametrize("text", SDKS.blocks("go"))
def test_go(gateway, tmp_path, text):
    if shutil.which("go") is None:
        pytest.skip("Go is not installed")
    for name in ("go.mod", "go.sum"):
        shutil.copy(pathlib.Path(__file__).parent / "nightly" / "go" / name, tmp_path)
    assert "simulated" in run(gateway, text, ["go", "run"], tmp_path / "main.go", seconds=540)    # it compiles


@pytest.mark.parametrize("text", START.blocks("sh"))
def test_curl(gateway, text):
    assert "simulated" in run(gateway, text.replace("curl ", "curl -sS "), ["sh", "-c"])
