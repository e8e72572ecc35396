"""The command line as a stranger meets it: help, mistakes, exit statuses, output that goes nowhere.

Status 0 is done, 1 failed, 2 wrong usage or configuration; whatever is wrong is said on standard error, with
what to write instead.
"""
import json
import os
import pty
import re
import subprocess
import termios

import httpx
import pytest

from lib import process
from lib.process import PATIENCE, canary, environment, wait_until

COMMANDS = ["serve", "check", "init", "config", "providers", "models", "catalog", "explain", "experiments", "health", "status", "top", "off", "on", "keys", "teams", "users", "projects", "orgs", "service-accounts", "memberships", "limits", "budgets", "usage", "import", "audit", "replay", "rollback", "store", "tokens", "chat", "conform", "bench", "mock", "version"]


def run(*args, **options):
    options.setdefault("env", environment())
    options.setdefault("stdin", subprocess.DEVNULL)
    options.setdefault("stdout", subprocess.PIPE)
    return subprocess.run([process.BIN, *args], stderr=subprocess.PIPE, text=True, timeout=PATIENCE, **options)


def on_terminal(*args, columns=80, **env):
    """What a command writes to a terminal of so many columns."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, columns))
    with process.ends_in_time([process.BIN, *args], stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs,
                              env=environment(**{"TERM": "xterm", **env})) as child:
        os.close(theirs)
        said = b""
        try:
            while piece := os.read(ours, 65536):
                said += piece
        except OSError:                      # how Linux reports that the other side is closed
            pass
        os.close(ours)
        return child.wait(PATIENCE), said.decode().replace("\r\n", "\n")


# --- help and mistakes ---

@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_explains_itself(command):
    done, again = run(command, "--help"), run("help", command)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"usage: openclaw {command}") and "--help" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert again.stdout == done.stdout


def test_the_list_names_every_command():
    for args in (["help"], ["--help"], ["-h"]):
        done = run(*args)
        assert done.returncode == 0 and all(f"\n  {c} " in done.stdout for c in COMMANDS)
    done = run()
    assert (done.returncode, done.stdout) == (2, "") and "usage:" in done.stderr


@pytest.mark.parametrize("args, said", [
    (["srve"], "did you mean 'serve'?"), (["help", "srve"], "did you mean 'serve'?"),
    (["serve", "--lisen", "x"], "did you mean '--listen'?"), (["serve", "extra"], "'extra'"),
    (["serve", "--config"], "--config FILE"), (["version", "--jsn"], "did you mean '--json'?"),
    (["version", "extra"], "'extra'"), (["check"], "which file?"), (["check", "a", "b"], "one file"),
    (["init", "a", "b"], "one file"), (["config"], "config schema"), (["rollback", "x"], "'x'"), (["off"], "openclaw off NAME"),
    (["on", "a", "b"], "'b'"), (["config", "shema"], "config schema"),
    (["chat", "--url", "nonsense", "hi"], "http://"), (["bench"], "usage:"), (["bench", "nonsense", "--model", "m"], "http://"),
    (["mock", "extra"], "'extra'"), (["mock", "--ttft", "soon"], "TIME"),
    (["serve", "--listen", "8080"], ":PORT"), (["serve", "--listen", "127.0.0.1:99999"], "65535"),
])
def test_wrong_usage_is_status_2_and_says_what_to_write(tmp_path, args, said):
    done = run(*args, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


@pytest.mark.parametrize("args, said", [
    (["chat", "--url", "http://127.0.0.1:1", "hi"], "is it running?"),
    (["init", "/nonexistent/x.yaml"], "/nonexistent/x.yaml"),
    (["serve", "--listen", "127.0.0.1:0", "--set", "observe.log.path=/nonexistent/x.log"], "/nonexistent/x.log"),
    (["serve", "--listen", "127.0.0.1:0", "--set", "observe.access.path=/"], "access log /: "),
    (["serve", "--listen", "unix:/nonexistent/x.sock"], "/nonexistent/x.sock: No such file or directory; check"),
    (["serve", "--listen", "unix:/dev/null"], "the file exists and is not a socket"),
    (["mock", "--listen", "203.0.113.1:0"], "no such address"),
])
def test_a_failure_is_status_1_and_says_why(tmp_path, args, said):
    done = run(*args, cwd=tmp_path)
    assert done.returncode == 1 and said in done.stderr


def documented():
    """docs/commands.md as it should be: the list, and the help of each command in it."""
    page = ["# The command line", "",
            "The output of `openclaw help` and `openclaw COMMAND --help`. This page is generated "
            "(see CONTRIBUTING.md).", "", "```", run("help").stdout.rstrip(), "```", ""]
    for command in re.findall(r"^  (\S+)", run("help").stdout, re.M):
        if command != "help":
            page += [f"## openclaw {command}", "", "```", run(command, "--help").stdout.rstrip(), "```", ""]
    page += ["Exit status of every command: 0 done, 1 failed, 2 wrong usage or configuration.", ""]
    return "\n".join(page)


def test_the_page_of_commands_is_up_to_date():
    path = process.ROOT / "docs" / "commands.md"
    if os.environ.get("OPENCLAW_WRITE_DOCS"):
        path.write_text(documented())
    assert path.read_text() == documented(), "write it with OPENCLAW_WRITE_DOCS=1"


def test_the_list_of_commands_is_the_list_that_is_tested():
    assert re.findall(r"^  (\S+)", run("help").stdout, re.M) == [*COMMANDS, "help"]


def test_help_names_the_environment_variables():
    """Every OPENCLAW_ variable that a command reads stands in its help."""
    for command, names in {"serve": ["OPENCLAW_CONFIG"], "check": ["OPENCLAW_CONFIG"], "providers": ["OPENCLAW_CONFIG"],
                           "models": ["OPENCLAW_CONFIG"], "chat": ["OPENCLAW_API_KEY"], "conform": ["OPENCLAW_API_KEY"], "status": ["OPENCLAW_API_KEY"],
                           "bench": ["OPENCLAW_API_KEY"]}.items():
        said = run(command, "--help").stdout
        assert all(name in said for name in names), said


# --- configurations of all kinds ---

FILES = {
    "empty": (b"", None), "no line end": (b"server: {workers: 1}", None),
    "BOM and CRLF": (b"\xef\xbb\xbfserver:\r\n  workers: 1\r\n", None),
    "tabs": (b"server:\n\tworkers: 1\n", "FILE:2:1: "), "UTF-16": (b"\xff\xfes\0e\0", "FILE:1:1: byte 0xff is not UTF-8"),
    "junk": (bytes(range(256)) * 20, "FILE:1:"), "a zero byte": (b"server: {}\0", "FILE:1:11: "),
    "two documents": (b"server: {}\n---\nserver: {}\n", "FILE:2:1: "),
    "a name twice": (b"server: {}\nserver: {}\n", "FILE:2:1: "),
}


@pytest.mark.parametrize("kind", FILES)
def test_a_file_is_accepted_or_its_errors_are_shown(tmp_path, kind):
    text, said = FILES[kind]
    path = tmp_path / "x.yaml"
    path.write_bytes(text)
    done, as_json = run("check", str(path)), run("check", "--json", str(path))
    document = json.loads(as_json.stdout)
    assert done.returncode == as_json.returncode == (0 if said is None else 2)
    assert document["ok"] == (said is None) and document["file"] == str(path)
    if said:
        assert done.stderr.startswith(said.replace("FILE", str(path)))
        assert done.stderr.count("\n") == len(document["problems"])


def test_a_path_that_is_not_a_file_is_refused_at_once(tmp_path):
    big = tmp_path / "big.yaml"
    with open(big, "wb") as f:
        f.truncate(2 << 30)
    for path, said in [(tmp_path, "Is a directory"), (tmp_path / "none", "No such file"), (big, "larger than"),
                       ("/dev/zero", "larger than")]:
        done = run("check", str(path))
        assert done.returncode == 2 and said in done.stderr and str(path) in done.stderr


@pytest.mark.parametrize("value, said", [(None, "not set"), ("", "empty"), ("sk-one\n", "write the key alone"),
                                         ("sk one", "write the key alone")])
def test_an_invalid_key_is_reported_once_and_not_shown(tmp_path, value, said):
    path = tmp_path / "x.yaml"
    path.write_text("providers:\n  openai: {api_key: \"${OPENAI_API_KEY}\"}\n")
    env = environment(**({} if value is None else {"OPENAI_API_KEY": value}))
    done = run("check", str(path), env=env)
    assert done.returncode == 2
    assert re.fullmatch(rf"{re.escape(str(path))}:2:21: .*{said}.*\n", done.stderr), done.stderr
    assert "sk" not in done.stderr.replace(str(path), "")


def test_the_environment_names_the_file_for_serve_and_check(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text("serve: {}\n")
    for command in (["check"], ["serve", "--listen", "127.0.0.1:0"]):
        done = run(*command, env=environment(OPENCLAW_CONFIG=str(path)))
        assert done.returncode == 2 and f"{path}:1:1: " in done.stderr
    assert "which file?" in run("check", env=environment(OPENCLAW_CONFIG="")).stderr


# --- health ---

def test_health_succeeds_only_with_a_running_gateway(make):
    gateway = make.gateway()
    assert run("health", gateway.url).returncode == run("health", "--ready", gateway.url).returncode == 0
    nobody = f"http://127.0.0.1:{process.free_port()}"
    done = run("health", nobody)
    assert (done.returncode, nobody in done.stderr) == (1, True)
    assert run("health", "ftp://x").returncode == run("health", "a", "b").returncode == 2


def test_health_reports_an_unhealthy_server(make):
    sick = make.upstream(lambda conn: conn.answer(503, {"status": "draining"}))
    done = run("health", "--ready", sick.url)
    assert (done.returncode, "/readyz returned 503" in done.stderr) == (1, True)


# --- where output goes ---

@pytest.mark.parametrize("args", [["version"], ["help"], ["serve", "--help"], ["config", "schema"],
                                  ["init", "-"], ["check", "--json", "/dev/null"], ["init", "--json", "new.yaml"]])
def test_output_that_cannot_be_written_is_a_failure(tmp_path, args):
    with open("/dev/full", "w") as full:
        done = run(*args, stdout=full, cwd=tmp_path)
    assert done.returncode == 1 and "No space left" in done.stderr


def test_a_closed_pipe_ends_it_quietly():
    ours, theirs = os.pipe()
    os.close(ours)
    done = run("config", "schema", stdout=theirs)
    os.close(theirs)
    assert (done.returncode, done.stderr) == (1, "")


def test_closed_standard_descriptors_are_not_reused(tmp_path):
    port = process.free_port()
    child = subprocess.Popen(["sh", "-c", f'exec "{process.BIN}" serve --listen 127.0.0.1:{port} <&- >&- 2>&-'],
                             env=environment(), cwd=tmp_path)
    try:
        def answers():
            try:
                return httpx.get(f"http://127.0.0.1:{port}/readyz", trust_env=False).status_code == 200
            except httpx.TransportError:
                return False
        wait_until(answers, "/readyz")
        for fd in (0, 1, 2):
            assert os.readlink(f"/proc/{child.pid}/fd/{fd}") == "/dev/null"
        chat = httpx.post(f"http://127.0.0.1:{port}/v1/chat/completions", trust_env=False,
                          json={"model": "m", "messages": [{"role": "user", "content": "Hello"}]})
        assert chat.status_code == 200
    finally:
        child.terminate()
        assert child.wait(PATIENCE) == 0


# --- terminals ---

def test_help_fits_a_narrow_terminal():
    for command in COMMANDS:
        status, said = on_terminal(command, "--help", columns=40)
        about = said.split("\n\n", 1)[1]     # behind the usage line
        assert status == 0 and max(map(len, about.splitlines())) <= 40, said


def test_chat_dims_thinking_on_a_terminal_unless_no_color_is_set(make):
    mock = make.mock("--reasoning", "3", "--text", "the answer\x1b[31m")
    ask = ["chat", "--url", mock.url, "--model", "m", "hello"]
    status, said = on_terminal(*ask)
    assert status == 0 and said.startswith("\x1b[2m") and "\x1b[0m\nthe answer" in said
    for env in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        status, said = on_terminal(*ask, **env)
        assert status == 0 and "\nthe answer" in said and "\x1b" not in said
    done = run(*ask)
    assert done.stdout == "the answer\x1b[31m\n", "a script wants the answer alone, as it is"


# --- what serve says at its start ---

def test_the_banner_names_an_existing_model(make):
    known = make.gateway(env={"OPENAI_API_KEY": canary("provider")}, plant=False)
    model = re.search(r'"model":"([^"]+)"', known.stderr()).group(1)
    assert model in [m["id"] for m in known.get("/v1/models").json()["data"]]
    lab = {"wire": "openai-chat", "base_url": "http://127.0.0.1:9/v1"}
    for config, name in [
            ({"providers": {"lab": lab}, "models": {"smart": {"targets": ["lab/x"]}}}, "smart"),
            ({"providers": {"lab": {**lab, "models": ["llama"]}}}, "lab/llama"),
            ({"providers": {"lab": lab}}, "MODEL")]:
        said = make.gateway(config).stderr()
        assert f'"model":"{name}"' in said and "Bearer YOUR_KEY" in said


def test_the_banner_s_curl_works_with_a_unix_socket(make, tmp_path):
    path = tmp_path / "s.sock"
    gateway = make.gateway(plant=False, args=["--listen", f"unix:{path}"])
    command = gateway.program.wait_for(r"Try it:\n(  curl .*\n    .*)\n").group(1)
    done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=PATIENCE, env=environment())
    assert json.loads(done.stdout)["choices"][0]["message"]["content"], done.stderr


# --- providers and models ---

def test_providers_shows_what_is_on_and_how_to_switch_on_the_rest(tmp_path):
    on = environment(OPENAI_API_KEY=process.canary("openai"), HF_TOKEN="hf-1")
    rows = {p["id"]: p for p in json.loads(run("providers", "--json", env=on).stdout)}
    assert rows["openai"]["on"] and rows["openai"]["why"] == "OPENAI_API_KEY is set"
    assert rows["anthropic"]["variables"] == ["ANTHROPIC_API_KEY"] and rows["anthropic"]["wire"] == "anthropic-messages"
    assert not rows["anthropic"]["on"] and "set ANTHROPIC_API_KEY" in rows["anthropic"]["why"]
    assert not rows["huggingface"]["on"] and "HF_TOKEN" in rows["huggingface"]["variables"]
    text = run("providers", env=on).stdout
    assert re.search(r"^openai +on +openai-chat +OPENAI_API_KEY +OPENAI_API_KEY is set$", text, re.M), text
    assert process.CANARY not in text
    path = tmp_path / "openclaw.yaml"
    path.write_text("providers:\n  groq: {api_key: k, disabled: true}\n"
                    "  lab: {wire: openai-chat, base_url: \"http://127.0.0.1:1/v1\"}\n")
    rows = {p["id"]: p for p in json.loads(run("providers", "-c", path, "--json").stdout)}
    assert rows["lab"]["on"] and not rows["groq"]["on"] and "disabled" in rows["groq"]["why"]
    assert "mock" not in rows and "${OPENAI_API_KEY}" in rows["openai"]["why"]
    path.write_text("providers: {lab: {}}\n")
    done = run("providers", "-c", path)
    assert (done.returncode, done.stdout) == (2, "") and "lab" in done.stderr


def test_models_lists_aliases_and_the_providers_models(make, tmp_path):
    mock = make.mock()
    path = tmp_path / "openclaw.yaml"
    path.write_text(f"""
providers:
  lab: {{wire: openai-chat, base_url: "{mock.url}/v1"}}
  own: {{wire: openai-chat, base_url: "http://127.0.0.1:1/v1", models: [this-one]}}
  away: {{wire: openai-chat, base_url: "http://127.0.0.1:1/v1"}}
models:
  fast: {{targets: [lab/x]}}
""")
    listed = run("models", "-c", path).stdout.split()
    assert listed[0] == "fast" and "lab/mock-gpt" in listed and "own/this-one" in listed
    assert not any(name.startswith("away/") for name in listed)
    known = json.loads(run("models", "-c", path, "--json", "--known").stdout)
    assert known == [{"id": "fast", "provider": None}, {"id": "own/this-one", "provider": "own"}]
    assert run("models").stdout == "mock/simulated\n"
