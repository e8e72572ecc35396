"""Without file, key or argument the gateway answers, says what it does, and what to do next."""
import json
import re
import signal
import subprocess

import pytest

from lib import process
from lib.process import PATIENCE, canary, environment


def test_without_any_key_the_simulated_provider_answers(make):
    gateway = make.gateway(plant=False)
    answer = gateway.chat("gpt-4o-mini")
    assert answer.status_code == 200 and answer.json()["choices"][0]["message"]["content"]
    said = gateway.stderr()
    assert "simulated provider" in said and "OPENAI_API_KEY" in said and "openclaw init" in said


def test_the_banner_s_curl_command_works(make):
    gateway = make.gateway(plant=False)
    command = re.search(r"Try it:\n(  curl .*(?:\n    .*)*)", gateway.stderr()).group(1)
    done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=PATIENCE, env=environment())
    assert json.loads(done.stdout)["choices"][0]["message"]["content"], done.stderr


@pytest.mark.parametrize("sdk", ["openai", "anthropic"])
def test_the_simulated_provider_serves_both_sdks(make, sdk):
    gateway = make.gateway(plant=False)
    messages = [{"role": "user", "content": "Hello"}]
    if sdk == "openai":
        stream = gateway.openai().chat.completions.create(model="gpt-4o-mini", messages=messages, stream=True)
        text = "".join(c.choices[0].delta.content or "" for c in stream)
    else:
        with gateway.anthropic().messages.stream(model="mock-claude", max_tokens=100,
                                                 messages=messages) as stream:
            text = "".join(stream.text_stream)
    assert text


@pytest.mark.parametrize("key, provider, other", [
    ("OPENAI_API_KEY", "openai", "groq"), ("GROQ_API_KEY", "groq", "openai"),
    ("MISTRAL_API_KEY", "mistral", "openai"), ("ANTHROPIC_API_KEY", "anthropic", "openai"),
])
def test_a_key_in_the_environment_switches_its_provider_on(make, key, provider, other):
    gateway = make.gateway(env={key: canary("provider")}, plant=False)
    assert f"Providers: {provider}\n" in gateway.stderr()
    names = [m["id"] for m in gateway.get("/v1/models").json()["data"]]
    assert names and all(n.startswith(provider + "/") for n in names)
    assert gateway.get("/readyz?verbose").json()["providers"] == "configured"


def test_several_keys_switch_several_providers_on(make):
    gateway = make.gateway(plant=False, env={
        "OPENAI_API_KEY": canary("provider"), "ANTHROPIC_API_KEY": canary("provider"), "MISTRAL_API_KEY": ""})
    assert "Providers: openai anthropic\n" in gateway.stderr()
    names = {m["id"].split("/")[0] for m in gateway.get("/v1/models").json()["data"]}
    assert names == {"openai", "anthropic"}


@pytest.mark.parametrize("origin, status", [
    (None, 200), ("https://evil.example", 403), ("null", 403), ("http://127.0.0.1:1", 403), ("HOST", 403),
    ("http://HOST", 200), ("https://app.example", 200), ("chrome-extension://abc", 403), ("", 200),
    ("vscode-file://vscode-app", 200), ("app://obsidian.md", 200),
])
def test_a_local_browser_page_must_be_allowed(make, origin, status):
    """It needs no key, and a simple request needs no preflight."""
    gateway = make.gateway(plant=False, args=["--set", "server.cors_origins=[https://app.example]"])
    fields = {} if origin is None else {"Origin": origin.replace("HOST", "%s:%d" % gateway.address)}
    body = json.dumps({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}]})
    for path in ("/v1/chat/completions", "/v1/responses"):
        answer = gateway.http().post(path, content=body, headers={"Content-Type": "text/plain", **fields})
        refused = answer.status_code == 403 and answer.headers["x-openclaw-error"] == "forbidden"
        assert refused == (status == 403), answer.text
    assert gateway.get("/livez", headers=fields).status_code == 200


@pytest.mark.parametrize("host, status", [("localhost", 200), ("127.0.0.1", 200), ("rebound.example", 403)])
def test_a_page_with_a_rebound_name_is_foreign(make, host, status):
    """DNS rebinding: the page's own origin resolves to this machine; only its name shows it."""
    gateway = make.gateway(plant=False)
    there = f"{host}:{gateway.address[1]}"
    answer = gateway.http().get("/v1/models", headers={"Host": there, "Origin": f"http://{there}"})
    assert answer.status_code == status, answer.text


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_cleanly_on_sigterm(make, number):
    gateway = make.gateway(plant=False)
    gateway.chat("gpt-4o-mini")
    assert gateway.stop(number) == 0


def test_a_second_signal_ends_it_at_once(make):
    gateway = make.gateway(plant=False)
    with gateway.http() as client, client.stream("POST", "/v1/chat/completions", json={
            "model": "mock;tokens=100000;tps=50", "stream": True,
            "messages": [{"role": "user", "content": "Hello"}]}) as answer:
        pieces = answer.iter_bytes()
        next(pieces)
        gateway.program.send_signal(signal.SIGINT)
        gateway.program.wait_for("draining")
        gateway.program.send_signal(signal.SIGINT)
        assert gateway.program.process.wait(PATIENCE) == 0


@pytest.mark.parametrize("args", [["--nonsense"], ["extra"], ["--set", "nonsense=1"], ["--set", "server.workers=lots"],
                                  ["-c", "/nonexistent/openclaw.yaml"]])
def test_wrong_usage_is_status_2_with_a_message(tmp_path, args):
    done = subprocess.run([process.BIN, "serve", *args], capture_output=True, text=True, timeout=PATIENCE,
                          cwd=tmp_path, env=environment())
    assert done.returncode == 2
    assert args[-1].split("=")[0] in done.stderr


@pytest.mark.parametrize("sample", ["etc", "init"])
@pytest.mark.parametrize("env", [{}, {"OPENAI_API_KEY": canary("provider")}], ids=["no key", "a key"])
def test_the_sample_configurations_start_as_they_are(make, tmp_path, sample, env):
    """But for the ports, which may be taken where the tests run."""
    if sample == "etc":
        text = (process.ROOT / "etc" / "openclaw.yaml").read_text()
    else:
        path = tmp_path / "openclaw.yaml"
        subprocess.run([process.BIN, "init", str(path)], check=True, capture_output=True, env=environment(),
                       timeout=PATIENCE)
        text = path.read_text()
    ports = ["--set", "server.listen=127.0.0.1:0"]
    if sample == "etc":
        ports += ["--set", "server.admin_listen=127.0.0.1:0"]
    path = tmp_path / "sample.yaml"
    path.write_text(text)
    done = subprocess.run([process.BIN, "check", "-c", path, *ports], capture_output=True, text=True,
                          env=environment(**env), timeout=PATIENCE)
    assert (done.returncode, done.stderr) == (0, ""), done
    gateway = make.gateway(text, plant=False, args=ports, env=env)
    assert gateway.get("/v1/models").status_code == 200
    if not env:
        assert gateway.chat("gpt-4o-mini").status_code == 200
        assert "simulated provider" in gateway.stderr()
    else:
        assert "Providers: openai" in gateway.stderr()
