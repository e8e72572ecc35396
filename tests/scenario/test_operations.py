"""The files of etc/ and the examples of docs/operations.md work as they are."""
import re
import shutil
import socket
import subprocess

import pytest
import yaml

from lib import process
from lib.pages import Page
from lib.process import PATIENCE, ROOT, environment

UNIT = (ROOT / "etc" / "openclaw.service").read_text()
PAGE = Page("docs/operations.md")


def seconds(text):
    number, unit = re.fullmatch(r"(\d+)(ms|s|m)", text).groups()
    return int(number) * {"ms": 0.001, "s": 1, "m": 60}[unit]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_accepts_the_unit(tmp_path):
    path = tmp_path / "openclaw.service"
    path.write_text(UNIT.replace("/usr/local/bin/openclaw", process.BIN))
    done = subprocess.run(["systemd-analyze", "verify", path], capture_output=True, text=True, timeout=PATIENCE)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr


def test_the_unit_allows_for_the_longest_drain():
    schema = subprocess.run([process.BIN, "config", "reference"], capture_output=True, text=True, timeout=PATIENCE,
                            env=environment()).stdout
    defaults = [re.search(rf"`{name}` \|[^|]*\| `?(\w+)`? \|", schema).group(1)
                for name in ("drain_grace", "drain_deadline")]
    grace = int(re.search(r"terminationGracePeriodSeconds: (\d+)", PAGE.text).group(1))
    stop = int(re.search(r"^TimeoutStopSec=(\d+)$", UNIT, re.M).group(1))
    assert min(grace, stop) > sum(map(seconds, defaults))


def test_the_example_configuration_is_valid():
    keys = {name: process.canary("provider") for name in ("MY_APP_KEY", "OPENAI_API_KEY", "ANTHROPIC_API_KEY")}
    done = subprocess.run([process.BIN, "check", "-c", ROOT / "etc" / "openclaw.yaml"], capture_output=True, text=True,
                          timeout=PATIENCE, env=environment(**keys))
    assert done.returncode == 0, done.stderr


def test_the_yaml_in_operations_is_valid(tmp_path):
    for i, block in enumerate(PAGE.blocks("yaml")):
        document = yaml.safe_load(block)
        if "server" not in document:
            continue
        cert, key = process.certificate(tmp_path)
        path = tmp_path / f"{i}.yaml"
        path.write_text(block.replace("/etc/openclaw/cert.pem", str(cert)).replace("/etc/openclaw/key.pem", str(key))
                        .replace("/run/secrets/ci-key", str(tmp_path / "ci-key"))
                        .replace("/run/openclaw/", f"{tmp_path}/"))
        (tmp_path / "ci-key").write_text(process.canary("client") + "\n")
        done = subprocess.run([process.BIN, "check", path], capture_output=True, text=True, timeout=PATIENCE,
                              env=environment(**{name: process.canary(name) for name in
                                                 ("SEARCH_KEY", "CHAT_KEY", "BATCH_KEY")}))
        assert done.returncode == 0, done.stderr


def test_the_model_list_comes_from_providers_and_never_waits_for_silent_ones(make):
    """One provider has a list, one accepts the connection and sends nothing."""
    mock = make.mock()
    silent = socket.create_server(("127.0.0.1", 0))
    gateway = make.gateway({"providers": {
        "lab": mock.provider(),
        "still": {"wire": "openai-chat", "base_url": f"http://127.0.0.1:{silent.getsockname()[1]}/v1"}}})
    ids = [m["id"] for m in gateway.get("/v1/models").json()["data"]]
    assert "lab/mock-gpt" in ids and not any(i.startswith("still/") for i in ids)
    asked = mock.stats()
    assert [m["id"] for m in gateway.get("/v1/models").json()["data"]] == ids
    assert mock.stats() == asked, "the list is kept"
    silent.close()
