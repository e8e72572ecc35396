"""The README's commands, executed: what it tells users to type must work unchanged.

Its blocks are taken from the file itself. Only the port is changed, so that tests can run side by
side. Blocks marked `console` need real keys or take very long, and are not run.
"""
import signal
import subprocess
import sys
import time
import urllib.request

import pytest

from lib.pages import Page
from lib.process import ROOT, environment, free_port

README = Page("README.md")



@pytest.fixture(scope="module", autouse=True)
def ordinary(sanitized):
    if sanitized:
        pytest.skip("the README is about the ordinary build")


@pytest.fixture(scope="module")
def port():
    """`./dev run`, as the README starts it, and the port that it listens on."""
    free = free_port()
    command = README.block("sh", "./dev run").strip()
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
    """A separate folder with build/openclaw where the README expects it."""
    (tmp_path / "build").symlink_to(ROOT / "build")
    return tmp_path


def run(command, where, **more):
    done = subprocess.run(command, shell=isinstance(command, str), cwd=where, env=environment(**more),
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_the_curl_is_answered(port, here):
    answer = run(README.block("sh", "curl").replace("8080", str(port)), here)
    assert '"role":"assistant"' in answer.replace(" ", "")
    assert '"error"' not in answer


def test_the_chat_answers(port, here):
    assert run(README.block("sh", "openclaw chat").replace("8080", str(port)), here).strip()


@pytest.mark.parametrize("sdk", ["openai", "anthropic"])
def test_the_python_example_prints_an_answer(port, here, sdk):
    pytest.importorskip(sdk)
    text = README.block("python", f"from {sdk} import").replace("8080", str(port))
    assert run([sys.executable, "-c", text], here).strip()


def test_init_writes_a_file_that_check_accepts(here):
    run(README.block("sh", "openclaw init"), here)
    assert "server:" in (here / "openclaw.yaml").read_text()


def test_the_configuration_is_valid(here):
    (here / "gateway.yaml").write_text(README.block("yaml", "providers:"))
    run("build/openclaw check -c gateway.yaml", here, MY_APP_KEY="sk-my-app-0123456789abcdef",
        OPENAI_API_KEY="sk-a", ANTHROPIC_API_KEY="sk-b")


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "SECURITY.md",
                                  *(str(p.relative_to(ROOT)) for p in sorted((ROOT / "docs").rglob("*.md")))])
def test_every_file_that_a_page_links_to_exists(page):
    for path in Page(page).links():
        assert path.exists(), path
