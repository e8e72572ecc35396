"""The admin API and its commands: over the local socket, and read-only over the network."""
import json
import os
import pty
import re
import signal
import stat
import subprocess
import termios
import threading

import httpx
import pytest

from lib import process
from lib.held import Held
from lib.process import PATIENCE, canary, environment, wait_until


class Admin:
    """A gateway's local socket, and the commands that use it."""

    def __init__(self, path):
        self.path = path
        self.http = httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), base_url="http://gateway/admin/v1",
                                 timeout=PATIENCE)

    def get(self, path):
        answer = self.http.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def run(self, command, *args, **env):
        return subprocess.run([process.BIN, command, *args, "--socket", self.path], capture_output=True, text=True,
                              timeout=PATIENCE, env=environment(**env))


@pytest.fixture
def place(tmp_path_factory):
    """A folder with a short name: paths of sockets have at most 107 bytes."""
    return tmp_path_factory.mktemp("s")


def config_of(place, *providers, **server):
    return {"server": {"admin_socket": str(place / "a.sock"), **server},
            "providers": {f"lab{i or ''}": p for i, p in enumerate(providers)}}


def run(*args, **env):
    return subprocess.run([process.BIN, *args], capture_output=True, text=True, timeout=PATIENCE, env=environment(**env))


# --- the socket ---

def test_the_socket_is_its_owners_alone_and_gone_with_the_gateway(make, place):
    gateway = make.gateway(config_of(place, make.mock().provider()))
    admin = Admin(place / "a.sock")
    assert stat.S_IMODE(os.stat(admin.path).st_mode) == 0o600
    assert admin.get("/status")["version"] in run("version").stdout
    gateway.close()
    assert not admin.path.exists()


def test_a_socket_left_by_a_killed_gateway_is_replaced_and_that_of_a_living_one_is_not(make, place):
    config = config_of(place, make.mock().provider())
    killed = make.gateway(config)
    killed.program.kill()
    killed.expect_status = -signal.SIGKILL
    assert (place / "a.sock").exists()
    make.gateway(config)
    assert Admin(place / "a.sock").get("/status")["state"] == "ok"
    again = make.gateway(config, wait=False)
    again.expect_status = 1
    again.program.wait_for("server.admin_socket: .*already listens")
    assert Admin(place / "a.sock").get("/status")["state"] == "ok"


def test_the_socket_serves_no_model_requests(make, place):
    make.gateway(config_of(place, make.mock().provider()))
    answer = Admin(place / "a.sock").http.post("http://gateway/v1/chat/completions", json={"model": "lab/x"})
    assert answer.status_code == 404 and "server.listen" in answer.text


@pytest.mark.parametrize("path, said", [("relative", "absolute"), ("/" + "x" * 120, "107 bytes")])
def test_a_path_that_cannot_be_a_socket_is_reported(tmp_path, path, said):
    file = tmp_path / "x.yaml"
    file.write_text(f"server: {{admin_socket: '{path}'}}\n")
    done = run("check", str(file))
    assert done.returncode == 2 and said in done.stderr


def test_check_tries_the_socket_and_leaves_nothing(tmp_path, place):
    file = tmp_path / "x.yaml"
    file.write_text(f"server: {{listen: '127.0.0.1:0', admin_socket: {place}/none/a.sock}}\n")
    done = run("check", str(file))
    assert done.returncode == 2 and f"{place}/none/a.sock: No such file or directory" in done.stderr
    file.write_text(f"server: {{listen: '127.0.0.1:0', admin_socket: {place}/a.sock}}\n")
    done = run("check", str(file))
    assert (done.returncode, done.stderr) == (0, "") and not list(place.iterdir())


def test_the_socket_may_not_be_an_address_for_models(tmp_path):
    file = tmp_path / "x.yaml"
    file.write_text("server: {listen: 'unix:/tmp/both.sock', admin_socket: /tmp/both.sock}\n")
    done = run("check", str(file))
    assert done.returncode == 2 and "also an address of 'server.listen'" in done.stderr


def test_commands_find_the_only_gateway_by_themselves(make, place):
    mock = make.mock()
    found = {"XDG_RUNTIME_DIR": str(place)}
    config = {"providers": {"lab": mock.provider()}}
    gateway = make.gateway(config, env=found)
    port = gateway.address[1]
    assert (place / f"openclaw-{port}.sock").exists()
    done = run("status", "--json", **found)
    assert done.returncode == 0 and json.loads(done.stdout)["status"]["addresses"] == [f"127.0.0.1:{port}"]
    second = make.gateway(config, env=found)
    done = run("status", **found)
    assert done.returncode == 1 and "more than one gateway" in done.stderr
    assert f"openclaw-{second.address[1]}.sock" in done.stderr
    assert run("status", "--socket", str(place / f"openclaw-{port}.sock")).returncode == 0


def test_without_a_gateway_the_commands_say_so(place):
    path = str(place / "none.sock")
    for command in ("status", "rollback"):
        done = run(command, "--socket", path)
        assert (done.returncode, done.stdout) == (1, "") and path in done.stderr and "is it running?" in done.stderr


def test_a_gateway_that_is_stopped_is_not_waited_for_for_ever(make, place):
    gateway = make.gateway({**config_of(place, make.mock().provider()), "server": {"admin_socket": "auto"}},
                           env={"XDG_RUNTIME_DIR": str(place)})
    path = str(place / f"openclaw-{gateway.address[1]}.sock")
    gateway.program.send_signal(signal.SIGSTOP)
    try:
        done = run("status", "--socket", path)
        assert (done.returncode, done.stdout) == (1, ""), done
        assert path in done.stderr and "no answer within" in done.stderr and "stopped?" in done.stderr
    finally:
        gateway.program.send_signal(signal.SIGCONT)
    assert run("status", "--socket", path).returncode == 0


def test_a_successor_gets_the_socket_when_its_draining_predecessor_ends(make, place):
    held = Held(make)
    config = {**config_of(place), "providers": {"held": held.provider}}
    old = make.gateway(config)
    client = held.stream(old, "openai")
    old.program.send_signal(signal.SIGINT)
    wait_until(lambda: Admin(place / "a.sock").get("/status")["state"] == "draining", "the old gateway to drain")
    new = make.gateway(config)
    new.program.wait_for("taken over when that ends")
    assert Admin(place / "a.sock").get("/status")["pid"] == old.program.pid
    held.go.set()
    held.assert_complete(client)
    client.close()
    new.program.wait_for("the admin socket is open now")
    assert Admin(place / "a.sock").get("/status")["pid"] == new.program.pid
    assert "generation 1" in Admin(place / "a.sock").run("status").stdout


CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def nasty(text):
    return f"{text}\x1b]0;owned\x07\x9b2J\r\x7f"


@pytest.mark.parametrize("command", [("status",), ("status", "--json"), ("top", "--once"), ("top", "--json")],
                         ids=lambda c: "-".join(c))
@pytest.mark.parametrize("status", [200, 403])
def test_no_server_can_control_the_terminal(make, command, status):
    """What is at an address may not be a gateway."""
    breaker = {"name": nasty("p"), "state": nasty("open"), "why": nasty("why"), "provider_state": nasty("open"),
               "since_ms": 1, "retry_in_ms": 1}
    target = {**breaker, "provider": nasty("p"), "model": nasty("m"), "aliases": [nasty("a")]}
    document = {"version": nasty("1"), "state": nasty("ok"), "addresses": [nasty("here")], "file": nasty("file"),
                "providers": [{**breaker, "keys": [breaker]}], "targets": [target], "shown": 1, "total": 1,
                "exchanges": [{"id": nasty("id"), "key": nasty("key"), "model": nasty("m"), "stage": nasty("s"),
                               "provider": nasty("p"), "target": nasty("t")}],
                "detail": nasty("no"), "errors": [{"pointer": nasty("/p"), "detail": nasty("d")}]}
    # 0x7f and above need no escape in JSON
    body = json.dumps(document, ensure_ascii=False).replace("\\u007f", "\x7f").encode()
    server = make.upstream(lambda conn: conn.answer(status, body))
    done = subprocess.run([process.BIN, *command, "--url", server.url], capture_output=True, timeout=PATIENCE,
                          env=environment())
    said = (done.stdout + done.stderr).decode()
    assert done.returncode == (0 if status == 200 else 1) and said
    assert not CONTROL.search(said), CONTROL.findall(said)


# --- who may ---

def test_over_the_network_a_key_that_names_it_may_read_and_nothing_else(make, place):
    keys = {name: canary("client") for name in ("app", "glob", "ops")}
    gateway = make.gateway({**config_of(place, make.mock().provider()), "auth": {"keys": [
        {"name": "app", "key": keys["app"]}, {"name": "glob", "key": keys["glob"], "routes": ["*", "/admin/v1/*"]},
        {"name": "ops", "key": keys["ops"], "routes": ["admin"]}]}})

    def status(key=None, method="GET", path="status", **fields):
        if key:
            fields["Authorization"] = f"Bearer {keys[key]}"
        return httpx.request(method, f"{gateway.url}/admin/v1/{path}", headers=fields, trust_env=False).status_code

    assert [status(), status("app"), status("glob"), status("ops")] == [401, 403, 403, 200]
    assert [status("ops", path=p) for p in ("config", "exchanges", "none")] == [200, 200, 404]
    assert status("ops", "POST", "rollback") == 403
    assert status("ops", Origin="http://localhost") == 403
    assert status("ops", "POST", "off/lab") == 403
    assert (status("ops", path="teams"), status("ops", "POST", "teams")) == (200, 403)
    done = run("status", "--url", gateway.url, OPENCLAW_API_KEY=keys["ops"])
    assert done.returncode == 0 and "generation 1" in done.stdout
    done = run("status", "--url", gateway.url, OPENCLAW_API_KEY=keys["app"])
    assert done.returncode == 1 and "'admin'" in done.stderr


def test_without_keys_nothing_is_told_over_the_network(make, place):
    gateway = make.gateway({**config_of(place, make.mock().provider()), "auth": {"mode": "none"}})
    for fields in ({}, {"Host": "evil.example"}, {"Authorization": "Bearer anything"}):
        answer = httpx.get(f"{gateway.url}/admin/v1/config", headers=fields, trust_env=False)
        assert answer.status_code == 403 and "settings" not in answer.text
    assert Admin(place / "a.sock").get("/config")["settings"]["auth"]["mode"] == "none"


def test_with_an_admin_listener_the_network_is_served_only_there(make, place):
    port = process.free_port()
    ops = canary("client")
    gateway = make.gateway({**config_of(place, make.mock().provider(), admin_listen=f"127.0.0.1:{port}"),
                            "auth": {"keys": [{"name": "ops", "key": ops, "routes": ["admin"]}]}})
    fields = {"Authorization": f"Bearer {ops}"}
    there, here = (httpx.get(f"{url}/admin/v1/status", headers=fields, trust_env=False)
                   for url in (f"http://127.0.0.1:{port}", gateway.url))
    assert (there.status_code, here.status_code) == (200, 404)
    assert httpx.get(f"http://127.0.0.1:{port}/admin/v1/status", trust_env=False).status_code == 401


# --- what is told ---

def test_requests_under_way_are_shown_without_what_they_say(make, place):
    held = Held(make)
    gateway = make.gateway({**config_of(place), "providers": {"held": held.provider}}, workers=3)
    admin = Admin(place / "a.sock")
    streams = []
    for i in range(5):
        streams.append(held.stream(gateway, "openai"))
        wait_until(lambda: admin.get("/exchanges")["total"] == i + 1, "the request")
    document = admin.get("/exchanges")
    assert document["total"] == document["shown"] == 5 and document["silent_workers"] == []
    ages = [x["age_ms"] for x in document["exchanges"]]
    assert ages == sorted(ages, reverse=True), "oldest first"
    first = document["exchanges"][0]
    assert (first["key"], first["model"], first["provider"], first["target"], first["attempts"], first["stream"]) == \
        ("tester", "held/m", "held", "m", 1, True)
    assert (first["endpoint"], first["stage"], first["client_ip"]) == ("chat_completions", "relay", "127.0.0.1")
    assert first["bytes_in"] > 0 and first["bytes_out"] > 0 and first["bytes_waiting"] == 0
    assert process.PROMPT not in json.dumps(document) and gateway.key not in json.dumps(document)
    short = admin.get("/exchanges?limit=2")
    assert [x["id"] for x in short["exchanges"]] == [x["id"] for x in document["exchanges"][:2]]
    assert (short["shown"], short["total"]) == (2, 5)
    assert admin.get("/exchanges?limit=0")["exchanges"] == []
    assert [admin.http.get(f"/exchanges?limit={n}").status_code for n in ("1001", "x", "-1")] == [400, 400, 400]
    done = admin.run("status")
    assert done.returncode == 0 and "5 under way" in done.stdout and first["id"][:32] in done.stdout
    held.go.set()
    for stream in streams:
        held.assert_complete(stream)
        stream.close()
    wait_until(lambda: admin.get("/exchanges")["total"] == 0, "no more requests")


def test_the_configuration_in_force_is_shown_without_secrets(make, place):
    literal, field = canary("provider"), canary("provider")
    config = config_of(place, {**make.mock().provider(), "api_key": [literal, "${LAB_SECRET}"],
                               "headers": {"x-team": field}})
    gateway = make.gateway(config, env={"LAB_SECRET": canary("provider")},
                           args=["--set", "timeouts.connect=1234ms"])
    text = Admin(place / "a.sock").http.get("/config").text
    document = json.loads(text)
    assert document["file"] == str(gateway.config_path) and document["generation"] == 1
    assert document["settings"]["providers"]["lab"]["api_key"] == ["***", "***"]
    assert document["settings"]["providers"]["lab"]["headers"] == {"x-team": "***"}
    assert document["settings"]["timeouts"]["connect"] == "1234ms", "--set counts"
    assert document["settings"]["server"]["limits"]["body"] == "32MB", "and so do defaults"
    assert not [s for s in (literal, field, gateway.env["LAB_SECRET"], gateway.key) if s in text]


# --- rollback ---

def models_of(config, name):
    return {**config, "models": {name: {"targets": ["lab/x"]}}}


def names(gateway):
    return {m["id"] for m in gateway.get("/v1/models").json()["data"]} & {"one", "two", "three"}


def test_a_rollback_lasts_until_the_file_is_loaded_again(make, place):
    config = config_of(place, {**make.mock().provider(), "models": ["x"]})
    gateway = make.gateway(models_of(config, "one"))
    admin = Admin(place / "a.sock")
    done = admin.run("rollback")
    assert done.returncode == 1 and "no earlier configuration" in done.stderr
    gateway.reload(models_of(config, "two"))
    gateway.reload(models_of(config, "three"))
    done = admin.run("rollback")
    assert done.returncode == 0 and "generation 4 is in force" in done.stdout and "generation 2" in done.stdout
    wait_until(lambda: names(gateway) == {"two"}, "the rollback")
    document = admin.get("/config")
    assert (document["generation"], document["rolled_back_to"]) == (4, 2)
    assert [(h["generation"], h["rolled_back_to"]) for h in document["history"]] == [(4, 2), (3, None), (2, None), (1, None)]
    assert "ROLLED BACK" in admin.run("status").stdout
    gateway.program.wait_for("rolled back: generation 4")
    assert json.loads(admin.run("rollback", "1", "--json").stdout) == {"rolled_back_to": 1, "generation": 5}
    wait_until(lambda: names(gateway) == {"one"}, "the rollback")
    gateway.reload()
    wait_until(lambda: names(gateway) == {"three"}, "the file")
    assert admin.get("/config")["rolled_back_to"] is None
    for wrong in ("99", "x"):
        assert admin.run("rollback", wrong).returncode == (1 if wrong == "99" else 2)


def test_a_rollback_passes_the_checks_of_a_reload(make, place):
    """The file of the earlier generation names a variable's value; the checks of a reload look at all of it."""
    secret = place / "secret"
    secret.write_text(canary("provider"))
    config = config_of(place, {**make.mock().provider(), "api_key": f"file:{secret}"})
    gateway = make.gateway(models_of(config, "one"))
    admin = Admin(place / "a.sock")
    other = config_of(place, make.mock().provider())
    gateway.reload(models_of(other, "two"))
    secret.unlink()
    done = admin.run("rollback")
    assert done.returncode == 1 and "the configuration in use stays" in done.stderr and str(secret) in done.stderr
    assert names(gateway) == {"two"} and admin.get("/config")["generation"] == 2


def test_a_rollback_does_not_open_what_a_reload_would_not_open(make, place):
    """From keys back to none."""
    config = config_of(place, make.mock().provider())
    gateway = make.gateway({**config, "auth": {}})
    gateway.reload({**config, "auth": {"keys": [{"name": "k", "key": canary("client")}]}})
    done = Admin(place / "a.sock").run("rollback")
    assert done.returncode == 1 and "auth.keys" in done.stderr and "stays" in done.stderr
    assert gateway.chat("lab/x").status_code == 401


def test_chaos_is_loud(make, place):
    gateway = make.gateway({**config_of(place, make.mock().provider()),
                            "chaos": {"faults": [{"target": "lab", "kind": "status", "share": 10}]}})
    admin = Admin(place / "a.sock")
    assert "CHAOS IS ON" in admin.run("status").stdout and "CHAOS" in admin.run("top", "--once").stdout
    assert admin.get("/status")["chaos_faults"] == gateway.get("/readyz?verbose").json()["chaos_faults"] == 1


def test_the_history_keeps_ten_generations(make, place):
    config = config_of(place, {**make.mock().provider(), "models": ["x"]})
    gateway = make.gateway(models_of(config, "one"))
    for i in range(11):
        gateway.reload(models_of(config, f"m{i}"))
    assert [h["generation"] for h in Admin(place / "a.sock").get("/config")["history"]] == list(range(12, 2, -1))


# --- targets, health, top ---

def aliases(mock, dead, place):
    return {**config_of(place), "providers": {"lab": {**mock.provider(), "api_key": [canary("provider"), canary("provider")]},
                                              "dead": {"wire": "openai-chat", "base_url": f"http://127.0.0.1:{dead}/v1"}},
            "models": {"fast": {"targets": ["lab/mock-gpt"]}, "safe": {"targets": ["dead/x", "lab/mock-gpt"]}}}


def test_targets_are_told_with_what_they_do(make, place):
    gateway = make.gateway(aliases(make.mock(), process.free_port(), place))
    admin = Admin(place / "a.sock")
    before = {f"{t['provider']}/{t['model']}": t for t in admin.get("/targets")["targets"]}
    assert before["lab/mock-gpt"]["aliases"] == ["fast", "safe"] and before["dead/x"]["aliases"] == ["safe"]
    assert {t["attempts_total"] for t in before.values()} == {0}
    for _ in range(4):
        assert gateway.chat("safe").status_code == 200
    assert gateway.chat("lab/never-heard-of").status_code == 200

    def done():
        now = {f"{t['provider']}/{t['model']}": t for t in admin.get("/targets")["targets"]}
        return now if now["lab/mock-gpt"]["attempts_total"] == 4 and "lab/other" in now else None

    after = wait_until(done, "the attempts")
    assert after["dead/x"]["failures_total"] == after["dead/x"]["attempts_total"] > 0
    assert after["lab/mock-gpt"]["failures_total"] == 0 and after["lab/mock-gpt"]["tokens_output_total"] > 0
    assert after["lab/other"]["attempts_total"] == 1 and after["lab/other"]["aliases"] == []
    assert {t["under_way"] for t in after.values()} == {0}


def test_attempts_under_way_are_counted_by_target(make, place):
    held = Held(make)
    gateway = make.gateway({**config_of(place), "providers": {"held": held.provider},
                            "models": {"wait": {"targets": ["held/m"]}}}, workers=3)
    admin = Admin(place / "a.sock")
    streams = [held.stream(gateway, "openai") for _ in range(4)]
    wait_until(lambda: [t["under_way"] for t in admin.get("/targets")["targets"]] == [4], "the attempts")
    document = json.loads(admin.run("top", "--json").stdout)
    assert [(t["target"], t["now"]["under_way"], t["requests_per_s"]) for t in document["targets"]] == [("held/m", 4, 0)]
    held.go.set()
    for stream in streams:
        held.assert_complete(stream)
        stream.close()


def test_top_prints_one_table_where_there_is_no_terminal(make, place):
    make.gateway(aliases(make.mock(), process.free_port(), place))
    for args in (["--once"], []):
        done = Admin(place / "a.sock").run("top", *args)
        lines = done.stdout.splitlines()
        assert done.returncode == 0 and lines[2].startswith("TARGET") and "\x1b" not in done.stdout
        assert [line.split()[0] for line in lines[3:]] == ["lab/mock-gpt", "dead/x"]


class Screen:
    """A command on a terminal of 100 x 24."""

    def __init__(self, *args):
        ours, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (24, 100))
        self.fd, self.said = ours, b""
        self.process = subprocess.Popen([process.BIN, *map(str, args)], stdin=theirs, stdout=theirs, stderr=theirs,
                                        env=environment(TERM="xterm"))
        self.theirs = theirs
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        try:
            while piece := os.read(self.fd, 65536):
                self.said += piece
        except OSError:
            pass

    def end(self):
        status = self.process.wait(PATIENCE)
        os.close(self.theirs)
        self.thread.join(PATIENCE)
        os.close(self.fd)
        return status


@pytest.mark.parametrize("how", ["q", "interrupt", "gateway"])
def test_top_gives_the_terminal_back_however_it_ends(make, place, how):
    gateway = make.gateway(aliases(make.mock(), process.free_port(), place))
    screen = Screen("top", "--socket", place / "a.sock")
    wait_until(lambda: screen.said.count(b"lab/mock-gpt") >= 2, "two screens")
    if how == "q":
        os.write(screen.fd, b"q")
    elif how == "interrupt":
        screen.process.send_signal(signal.SIGINT)
    else:
        gateway.close()
    screen.process.wait(PATIENCE)
    wait_until(lambda: b"\x1b[?1049l" in screen.said, "the usual screen")
    assert termios.tcgetattr(screen.theirs)[3] & (termios.ECHO | termios.ICANON) == termios.ECHO | termios.ICANON
    assert screen.end() == (1 if how == "gateway" else 0)
    assert screen.said.startswith(b"\x1b[?1049h\x1b[?25l")
    assert (b"does not answer any more" in screen.said) == (how == "gateway")


def test_readyz_tells_the_state_of_providers_and_does_not_depend_on_it(make, place):
    gateway = make.gateway(aliases(make.mock(), process.free_port(), place))
    answer = gateway.get("/readyz?verbose")
    assert answer.status_code == 200
    assert [(p["provider"], p["state"]) for p in answer.json()["health"]] == [("lab", "closed"), ("dead", "closed")]
    assert "health" not in gateway.get("/readyz").json()


# --- switching ---


@pytest.fixture(params=[{"breakers": True}, {"breakers": False}], ids=["breakers", "no breakers"])
def two(make, place, request):
    """A gateway with two providers, of which the first has two keys: (gateway, admin, first mock, second mock, keys).
    What is off is off also where breakers are not used."""
    first, second, keys = make.mock(), make.mock(), [canary("provider"), canary("provider")]
    gateway = make.gateway({**config_of(place), "retry": request.param, "providers": {"one": {**first.provider(), "api_key": keys},
                                                              "two": second.provider()},
                            "models": {"both": {"targets": ["one/a", "two/a"]}, "only": {"targets": ["one/a"]}}})
    return gateway, Admin(place / "a.sock"), first, second, keys


def answered_by(gateway, model="both"):
    answer = gateway.chat(model)
    return answer.headers.get("x-openclaw-provider") if answer.status_code == 200 else answer.headers["x-openclaw-error"]


def test_a_provider_that_is_off_is_not_asked_until_it_is_on_again(two):
    gateway, admin, first, second, _ = two
    assert answered_by(gateway) == "one"
    done = admin.run("off", "one")
    assert (done.returncode, done.stderr) == (0, "") and "the provider one is now off" in done.stdout
    assert {answered_by(gateway) for _ in range(5)} == {"two"}
    assert answered_by(gateway, "only") == answered_by(gateway, "one/z") == "switched_off"
    assert [(p["name"], p["state"]) for p in admin.get("/health")["providers"]] == [("one", "off"), ("two", "closed")]
    assert [(p["provider"], p["state"]) for p in gateway.get("/readyz?verbose").json()["health"]] == \
        [("one", "off"), ("two", "closed")]
    said = admin.run("status").stdout
    assert "PROVIDER one is OFF" in said and "provider is off" in said
    gateway.program.wait_for("the operator switched off this provider")
    assert "was already off" in admin.run("off", "one").stdout
    document = json.loads(admin.run("on", "one", "--json").stdout)
    assert (document["name"], document["kind"], document["changed"], document["state"]) == ("one", "provider", True, "closed")
    assert answered_by(gateway) == "one" and answered_by(gateway, "only") == "one"


def test_a_key_that_is_off_is_not_used(two):
    gateway, admin, first, _, keys = two
    admin.run("off", "one#1")
    for _ in range(4):
        assert answered_by(gateway, "only") == "one"
    assert {v for r in first.requests() for n, v in r["headers"] if n.lower() == "authorization"} == {f"Bearer {keys[1]}"}
    assert [k["state"] for k in admin.get("/health")["providers"][0]["keys"]] == ["off", "closed"]
    assert "KEY one#1 is OFF" in admin.run("status").stdout
    admin.run("off", "one#2")
    assert answered_by(gateway) == "two"
    admin.run("on", "one#1")
    assert answered_by(gateway) == "one"


def test_a_model_that_is_off_leaves_its_sibling_alone(two):
    gateway, admin, *_ = two
    assert admin.run("off", "one/a").returncode == 0
    assert answered_by(gateway) == "two" and answered_by(gateway, "one/b") == "one"
    assert answered_by(gateway, "one/a") == "switched_off"
    admin.run("on", "one/a")
    assert answered_by(gateway) == "one"


def test_what_is_off_stays_off_over_a_reload_and_not_over_a_restart(make, two):
    gateway, admin, *_ = two
    admin.run("off", "one")
    gateway.reload()
    assert answered_by(gateway) == "two"
    gateway.close()
    again = make.gateway(gateway.config, env=gateway.env)
    again.key = gateway.key
    assert answered_by(again) == "one"


def test_only_what_there_is_can_be_switched(two):
    _, admin, *_ = two
    for name in ("nobody", "one#3", "both", "nobody/a", "a b"):
        done = admin.run("off", name)
        assert done.returncode == 1 and "to switch; " in done.stderr, name
    assert admin.http.get("/off/one").status_code == 405
    assert {p["state"] for p in admin.get("/health")["providers"]} == {"closed"}


def test_a_model_that_nobody_named_cannot_be_switched(two):
    gateway, admin, *_ = two
    for name, near in (("one/ab", "one/a"), ("twoo", "two"), ("one#4", "one#"), ("two/unheard-of", None)):
        done = admin.run("off", name)
        assert done.returncode == 1 and "to switch" in done.stderr, name
        assert (f"did you mean '{near}" in done.stderr) if near else "did you mean" not in done.stderr, done.stderr
    assert answered_by(gateway, "two/heard-of") == "two"
    assert admin.run("off", "two/heard-of").returncode == 0
    assert answered_by(gateway, "two/heard-of") == "switched_off"


def test_what_failed_because_of_something_else_is_not_counted_as_answered(make, place):
    gateway = make.gateway(config_of(place, make.mock().provider()))
    admin = Admin(place / "a.sock")
    for model in ("lab/gpt-4o", "lab/fault-401", "lab/fault-429", "lab/fault-500"):
        gateway.chat(model)
    provider, = admin.get("/health")["providers"]
    assert (provider["ok"], provider["failed"], provider["other"]) == (1, 0, 3)


def test_an_open_breaker_says_why_and_since_when_and_on_closes_it(make, place):
    gateway = make.gateway({**aliases(make.mock(), process.free_port(), place), "retry": {"breakers": True}})
    admin = Admin(place / "a.sock")

    def dead():
        gateway.chat("safe")
        state = admin.get("/health")["providers"][1]
        return state if state["state"] == "open" else None

    state = wait_until(dead, "the breaker to open")
    assert (state["name"], state["why"]) == ("dead", "upstream_connect")
    assert state["since_ms"] >= 0 and state["retry_in_ms"] >= 0
    assert "PROVIDER dead is open: upstream_connect for" in admin.run("status").stdout
    assert "breaker" not in admin.run("on", "dead").stderr
    assert admin.get("/health")["providers"][1]["state"] == "closed"
