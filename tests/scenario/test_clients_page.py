"""docs/clients.md, executed: each program and command on the page, against a gateway without any key."""
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

from lib.pages import Page
from lib.process import PATIENCE, ROOT, environment

NODE_DIR = pathlib.Path(os.environ.get("OPENCLAW_NODE_DIR", ROOT / "build" / "node"))
PAGE = Page("docs/clients.md")


@pytest.fixture(scope="module")
def gateway(make_shared):
    return make_shared.gateway(plant=False)


def run(gateway, text, command, name=None, cwd=None):
    """Runs a block of the page against the gateway and returns its output."""
    text = text.replace("http://127.0.0.1:8080", str(gateway.url).rstrip("/"))
    if name is not None:
        path = pathlib.Path(cwd) / name
        path.write_text(text)
        command = [*command, path]
    else:
        command = [*command, text]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE * 3, env=environment(), cwd=cwd)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_page_has_all_of_them():
    assert [len(PAGE.blocks(language)) for language in ("python", "js", "sh")] == [4, 2, 2]


@pytest.mark.parametrize("number", range(4))
def test_python(gateway, number):
    assert "simulated" in run(gateway, PAGE.blocks("python")[number], [sys.executable, "-c"])


@pytest.mark.parametrize("number", [0, 1])
def test_node(gateway, number):
    if shutil.which("node") is None or not (NODE_DIR / "node_modules").is_dir():
        pytest.skip("Node and its clients are not installed")
    name = f"clients-page-{number}-{os.getpid()}.mjs"
    try:
        assert "simulated" in run(gateway, PAGE.blocks("js")[number], ["node"], name, NODE_DIR)
    finally:
        (NODE_DIR / name).unlink(missing_ok=True)


@pytest.mark.parametrize("number", [0, 1])
def test_curl(gateway, number):
    assert "simulated" in run(gateway, PAGE.blocks("sh")[number].replace("curl ", "curl -sS "), ["sh", "-c"])
