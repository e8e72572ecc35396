"""The README's commands, executed: what it tells a stranger to type must work as it stands there.

Its blocks are taken from the file itself. Only the port is changed, so that tests can run side by
side. Blocks marked `console` need real keys or take very long, and are not run.
"""
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()

pytestmark = pytest.mark.skipif("OPENCLAW_SANITIZER" in os.environ,
                                reason="the README is about the ordinary build")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.S | re.M)


def block(language, word):
    """The one block in `language` that contains `word`."""
    found = [b for b in blocks(language) if word in b]
    assert len(found) == 1, f"README has {len(found)} {language} blocks with '{word}'"
    return found[0]


def environment(**more):
    """The environment of somebody who has no provider's key."""
    clean = {k: v for k, v in os.environ.items() if not re.search(r"(_KEY|_TOKEN|^OPENCLAW_.*)$", k)}
    return {**clean, **more}


@pytest.fixture(scope="module")
def port():
    """`./dev run`, as the README starts it, and the port that it listens on."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        free = s.getsockname()[1]
    command = block("sh", "./dev run").strip()
    gateway = subprocess.Popen(f"exec {command} --listen 127.0.0.1:{free}", shell=True, cwd=ROOT,
                               env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    deadline = time.monotonic() + 60
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{free}/livez", timeout=5).close()
            break
        except OSError:
            if gateway.poll() is not None or time.monotonic() > deadline:
                gateway.kill()
                pytest.fail(f"./dev run did not start: {gateway.stdout.read().decode()}")
            time.sleep(0.1)
    yield free
    gateway.send_signal(signal.SIGTERM)
    try:
        assert gateway.wait(60) == 0
    finally:
        gateway.kill()


@pytest.fixture
def here(tmp_path):
    """A folder of our own in which build/openclaw is where the README says."""
    (tmp_path / "build").symlink_to(ROOT / "build")
    return tmp_path


def run(command, where, **more):
    done = subprocess.run(command, shell=isinstance(command, str), cwd=where, env=environment(**more),
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_the_curl_is_answered(port, here):
    answer = run(block("sh", "curl").replace("8080", str(port)), here)
    assert '"role":"assistant"' in answer.replace(" ", "")
    assert '"error"' not in answer


def test_the_chat_answers(port, here):
    assert run(block("sh", "openclaw chat").replace("8080", str(port)), here).strip()


@pytest.mark.parametrize("sdk", ["openai", "anthropic"])
def test_the_python_example_prints_an_answer(port, here, sdk):
    pytest.importorskip(sdk)
    text = block("python", f"from {sdk} import").replace("8080", str(port))
    assert run([sys.executable, "-c", text], here).strip()


def test_init_writes_a_file_that_check_accepts(here):
    run(block("sh", "openclaw init"), here)
    assert "server:" in (here / "openclaw.yaml").read_text()


def test_the_configuration_is_valid(here):
    (here / "gateway.yaml").write_text(block("yaml", "providers:"))
    run("build/openclaw check -c gateway.yaml", here, MY_APP_KEY="sk-my-app-0123456789abcdef",
        OPENAI_API_KEY="sk-a", ANTHROPIC_API_KEY="sk-b")


def test_every_file_it_links_to_exists():
    for link in re.findall(r"\]\(([^)#]+)\)", README):
        assert link.startswith("http") or (ROOT / link).exists(), link
