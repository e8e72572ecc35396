"""A new configuration takes the place of the old one under load: nothing fails, nothing is cut, nothing leaks."""
import os
import re
import signal
import ssl
import subprocess
import threading
import time

import httpx
import pytest
import yaml

from lib import process, raw, sse
from lib.ask import CALLERS, PATHS, ask, body_of
from lib.held import Held
from lib.process import wait_until


class Load(threading.Thread):
    """Asks again and again until stopped: answers that are not exactly right are in `wrong`."""

    def __init__(self, gateway, caller, model, stream):
        super().__init__(daemon=True)
        self.question = (gateway, caller, model, stream)
        self.stopping = threading.Event()
        self.wrong = []
        self.right = 0
        self.start()

    def run(self):
        while not self.stopping.is_set():
            try:
                got = ask(*self.question)
            except Exception as e:
                self.wrong.append(repr(e))
                return
            if got.status == 200 and got.complete and got.text == "all-is-well":
                self.right += 1
            else:
                self.wrong.append(got)

    def stop(self):
        self.stopping.set()
        self.join(2 * process.PATIENCE)
        assert not self.is_alive() and not self.wrong, self.wrong[:3]
        assert self.right > 0


@pytest.fixture
def mock(make):
    return make.mock()


def config_of(mock, **more):
    return {"providers": {"lab": mock.provider(), "ant": mock.provider("anthropic-messages")},
            "models": {"good": {"targets": ["lab/m;text=all-is-well"]}}, **more}


def start_long_streams(gateway, count, tokens=400):
    """Streams that take a few seconds, as raw clients that have received the heads."""
    clients = []
    for i in range(count):
        client = gateway.raw()
        client.send(raw.request("POST", PATHS[CALLERS[i % 2]], body_of(f"lab/m;tokens={tokens};tps=100", True,
                                                                       max_tokens=10 * tokens),
                                gateway.authorization()))
        assert client.read_head().status == 200
        clients.append(client)
    return clients


def assert_streams_complete(clients, tokens=400):
    for i, client in enumerate(clients):
        body = b""
        while chunk := client.read_chunk():
            body += chunk
        assert (b"[DONE]" if i % 2 == 0 else b"message_stop") in body, body[-500:]
        assert b'"error"' not in body
        assert sum("delta" in f.data for f in sse.frames(body) if f.data) >= tokens
        client.close()


def test_thirty_reloads_under_load_fail_no_request_and_cut_no_stream(make, mock):
    gateway = make.gateway(config_of(mock))
    streams = start_long_streams(gateway, 6)
    loads = [Load(gateway, caller, "good", stream) for caller in CALLERS for stream in (False, True)]
    for i in range(15):
        gateway.reload(config_of(mock, timeouts={"connect": f"{i + 1}s"}))
        gateway.reload()        # SIGHUP
    for load in loads:
        load.stop()
    assert_streams_complete(streams)
    assert gateway.metrics().value("openclaw_reloads_total") >= 30
    assert gateway.metrics().value("openclaw_reload_failures_total") == 0
    gateway.idle()


def test_memory_stays_flat_over_reloads(make, mock, sanitized):
    """A configuration large enough that one kept copy in three would show."""
    if sanitized:
        pytest.skip("a sanitizer keeps freed memory")
    keys = [{"name": f"key-{i}", "key": f"{process.CANARY}{i:040d}", "models": ["good", f"m{i}/*"]} for i in range(1500)]
    gateway = make.gateway({**config_of(mock), "auth": {"keys": [
        {"name": "tester", "key": "${GATEWAY_TEST_SECRET}"}, *keys]}}, workers=2,
        env={"GATEWAY_TEST_SECRET": "x" * 40})
    gateway.key = "x" * 40

    def resident():
        assert ask(gateway, "openai", "good").complete
        return gateway.metrics().value("process_resident_memory_bytes")

    for _ in range(6):
        gateway.reload()
    before = resident()
    for _ in range(24):
        gateway.reload()
    grown = resident() - before
    assert grown < 4e6, f"{grown / 1e6:.1f} MB more after 24 reloads"


BAD = {
    "not YAML": ("providers: [", r"openclaw\.yaml:\d+:\d+: "),
    "an unknown setting": ("serverr: {}\n", r"openclaw\.yaml:1:1: .*serverr.*did you mean 'server'"),
    "a wrong value": ("server:\n  workers: many\n", r"openclaw\.yaml:2:12: "),
    "a target that is not there": ("providers: {lab: {wire: openai-chat, base_url: 'http://127.0.0.1:1/v1'}}\n"
                                   "models:\n  a:\n    targets: [lba/x]\n", r"openclaw\.yaml:4:15: .*did you mean 'lab'"),
    "an empty environment variable": ("providers:\n  lab: {wire: openai-chat, base_url: 'http://127.0.0.1:1/v1', "
                                      "api_key: '${NOT_THERE_AT_ALL}'}\n", r"openclaw\.yaml:2:\d+: .*NOT_THERE_AT_ALL"),
}


@pytest.mark.parametrize("bad", BAD)
def test_a_bad_file_changes_nothing_and_says_where(make, mock, bad):
    text, said = BAD[bad]
    gateway = make.gateway(config_of(mock))
    streams = start_long_streams(gateway, 2, tokens=60)
    generation = gateway.metrics().value("openclaw_configuration_generation")
    gateway.reload(text, accepted=False)
    gateway.program.wait_for(said)
    gateway.program.wait_for("reload refused")
    assert gateway.metrics().value("openclaw_configuration_generation") == generation
    assert ask(gateway, "openai", "good").text == "all-is-well"
    assert_streams_complete(streams, tokens=60)
    gateway.reload(config_of(mock))       # and it is not stuck
    assert gateway.metrics().value("openclaw_configuration_generation") == generation + 1


SHRUNK = {
    "an empty file": ("", "has no settings left"),
    "blanks alone": ("\n\n  \n", "has no settings left"),
    "comments alone": ("# server: {}\n# that is all\n", "has no settings left"),
    "an empty document": ("---\n...\n", "has no settings left"),
    "an empty section": ("{}\n", "has no settings left"),
    "one section of many": ("server: {listen: '127.0.0.1:0'}\n", "has lost 'auth', 'providers' and 'models'"),
    "keys cut off": ("server: {listen: '127.0.0.1:0'}\nproviders: {lab: {wire: openai-chat, base_url: 'http://127.0.0.1:1/v1'}}\n",
                     "has lost its 'auth.keys'"),
    "keys cut off behind the name": ("providers: {lab: {wire: openai-chat, base_url: 'http://127.0.0.1:1/v1'}}\nauth:\n",
                                     "has lost its 'auth.keys'"),
    "cut off before the providers": ("auth: {keys: [{name: a, key: a-key-that-is-long-enough}]}\n", "has lost its 'providers'"),
}


@pytest.mark.parametrize("sets", [(), ("--set", "server.listen=127.0.0.1:0")], ids=["file", "set"])
@pytest.mark.parametrize("kind", SHRUNK)
def test_a_file_that_became_empty_is_refused(make, mock, kind, sets):
    text, said = SHRUNK[kind]
    gateway = make.gateway(config_of(mock), args=sets)
    gateway.reload(text, accepted=False)
    gateway.program.wait_for(said)
    assert gateway.get("/v1/models", headers={"Authorization": "none"}).status_code == 401
    assert ask(gateway, "openai", "good").text == "all-is-well"
    gateway.reload(config_of(mock))


def test_explicit_settings_are_applied(make, mock):
    gateway = make.gateway(config_of(mock))
    gateway.reload({**config_of(mock), "auth": {"mode": "none"}})
    with gateway.raw() as client:
        assert client.ask("POST", PATHS["openai"], body_of("good"))[0].status == 200


@pytest.mark.parametrize("auth", [None, {"mode": "none"}], ids=["no keys", "mode none"])
@pytest.mark.parametrize("opened", ["0.0.0.0:0", ":0"])
def test_addresses_that_stay_open_are_checked_too(make, mock, opened, auth):
    """The sockets of the start stay open: what was moved to loopback can still be reached from outside."""
    gateway = make.gateway(config_of(mock, server={"listen": ["127.0.0.1:0", opened]}))
    moved = {**config_of(mock, server={"listen": "127.0.0.1:0"}), "auth": auth or {}}
    gateway.reload(moved, accepted=False)
    gateway.program.wait_for(re.escape(opened) + " stays open until the next start")
    assert gateway.get("/v1/models", headers={"Authorization": "none"}).status_code == 401
    gateway.reload({**config_of(mock, server={"listen": "127.0.0.1:0"})})      # with its keys it may
    gateway.reload(moved, accepted=False)                                      # which makes it no more acceptable
    gateway.reload({**config_of(mock, server={"listen": ["127.0.0.1:0", opened]}), "auth": {"mode": "none"}})


def test_a_file_that_cannot_be_read_changes_nothing(make, mock):
    gateway = make.gateway(config_of(mock))
    path = gateway.config_path
    os.rename(path, path.with_suffix(".aside"))
    gateway.reload(accepted=False)
    gateway.program.wait_for(r"openclaw\.yaml: cannot be read \(No such file or directory\)")
    os.mkdir(path)
    wait_until(lambda: "Is a directory" in gateway.stderr(), "the directory to be refused")
    os.rmdir(path)
    os.mkfifo(path)                      # nobody writes: it must not wait for one
    wait_until(lambda: "not a regular file any more" in gateway.stderr(), "the pipe to be refused")
    os.unlink(path)
    assert ask(gateway, "openai", "good").text == "all-is-well"
    gateway.reload(config_of(mock))


def test_every_error_of_a_reload_is_logged(make, mock):
    gateway = make.gateway(config_of(mock))
    names = [f"wrong{chr(97 + i)}" for i in range(20)]
    gateway.reload("".join(f"{name}: 1\n" for name in names), accepted=False)
    gateway.program.wait_for("reload refused")
    said = gateway.stderr()
    for line, name in enumerate(names, 1):
        assert f"openclaw.yaml:{line}:1: '{name}' is unknown" in said


@pytest.mark.parametrize("how", ["pipe", "stdin", "dash", "fifo"])
def test_a_pipe_is_read_once_and_kept(make, mock, how, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("a-key-of-some-length-1\n")
    text = yaml.safe_dump({"server": {"listen": "127.0.0.1:0", "workers": 1, "drain_grace": "0s"},
                           "observe": {"access": {"path": "off"}},
                           "auth": {"keys": [{"name": "tester", "key": f"file:{secret}"}]},
                           "providers": {"lab": {**mock.provider(), "api_key": process.canary("provider")}}})
    (tmp_path / "text").write_text(text)
    shell = {"pipe": 'exec "$0" serve -c <(cat "$1")', "stdin": 'exec "$0" serve -c /dev/stdin < <(cat "$1")',
             "dash": 'exec "$0" serve -c - < <(cat "$1")',
             "fifo": 'mkfifo f; cat "$1" > f & exec "$0" serve -c f'}[how]
    program = process.Program(["bash", "-c", shell, process.BIN, tmp_path / "text"], tmp_path, "piped")
    url = program.wait_for(r"listens on (\S+)").group(1)

    def status(key):
        return httpx.get(url + "/v1/models", headers={"Authorization": f"Bearer {key}"}, trust_env=False).status_code
    assert (status("a-key-of-some-length-1"), status("wrong")) == (200, 401)
    secret.write_text("a-key-of-some-length-2\n")
    program.send_signal(signal.SIGHUP)
    program.wait_for("cannot be read again")
    wait_until(lambda: status("a-key-of-some-length-2") == 200, "the new key")
    assert status("wrong") == status("a-key-of-some-length-1") == 401
    assert program.end() == 0


# --- files that the configuration names ---

def reloads(gateway):
    return gateway.metrics().value("openclaw_reloads_total")


def test_a_secret_file_is_watched(make, mock, tmp_path):
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    secret = {name: process.canary(name) for name in ("client-1", "client-2", "provider-1", "provider-2")}
    ours.write_text(secret["client-1"] + "\n")
    theirs.write_text(secret["provider-1"] + "\n")
    config = config_of(mock, auth={"keys": [{"name": "tester", "key": f"file:{ours}"}]})
    config["providers"]["lab"]["api_key"] = f"file:{theirs}"
    gateway = make.gateway(config)
    gateway.key = secret["client-1"]
    assert ask(gateway, "openai", "good").complete
    assert mock.last_request()["headers"]["authorization"] == f"Bearer {secret['provider-1']}"

    (tmp_path / "aside").write_text(secret["client-2"] + "\n")
    os.replace(tmp_path / "aside", ours)              # replaced
    theirs.write_text(secret["provider-2"] + "\n")    # written in place
    gateway.key = secret["client-2"]
    wait_until(lambda: ask(gateway, "openai", "good").status == 200, "the new key")
    wait_until(lambda: ask(gateway, "openai", "good").complete and
               mock.last_request()["headers"]["authorization"] == f"Bearer {secret['provider-2']}", "the provider's new key")


def test_a_provider_s_authorities_are_watched(make, tmp_path):
    first, second = tmp_path / "1", tmp_path / "2"
    pairs = []
    for folder in (first, second):
        folder.mkdir()
        pairs.append(process.certificate(folder))
    bundle = tmp_path / "ca.pem"
    bundle.write_bytes(pairs[0][0].read_bytes())
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(*pairs[1])
    server = make.upstream(lambda c: c.answer(200, {"object": "list", "data": []}), tls=server_side)
    gateway = make.gateway({"providers": {"lab": {"wire": "openai-chat", "base_url": server.url,
                                                  "ca_file": str(bundle)}}})
    assert gateway.get("/v1/files").status_code == 502
    bundle.write_bytes(pairs[1][0].read_bytes())
    wait_until(lambda: gateway.get("/v1/files").status_code == 200, "the new authority to be trusted")


def test_a_swapped_volume_is_one_reload(make, mock, tmp_path):
    """As Kubernetes mounts a volume: each file a symlink into ..data, itself a symlink that is swapped."""
    volume = tmp_path / "volume"
    count = 12

    def fill(name, suffix):
        folder = volume / name
        folder.mkdir(parents=True)
        for i in range(count):
            (folder / f"key-{i}").write_text(f"{process.CANARY}client-{i}-{suffix}-long-enough\n")
        os.symlink(name, volume / "..data_tmp")
        os.replace(volume / "..data_tmp", volume / "..data")
    fill("..one", "old")
    for i in range(count):
        os.symlink(f"..data/key-{i}", volume / f"key-{i}")
    gateway = make.gateway(config_of(mock, auth={"keys": [
        {"name": f"k{i}", "key": f"file:{volume}/key-{i}"} for i in range(count)]}))
    gateway.key = f"{process.CANARY}client-3-old-long-enough"
    assert ask(gateway, "openai", "good").complete
    before = reloads(gateway)
    fill("..two", "new")
    for i in range(count):
        gateway.key = f"{process.CANARY}client-{i}-new-long-enough"
        wait_until(lambda: ask(gateway, "openai", "good").status == 200, "the new key")
    assert reloads(gateway) == before + 1
    fill("..three", "newer")
    gateway.key = f"{process.CANARY}client-5-newer-long-enough"
    wait_until(lambda: ask(gateway, "openai", "good").status == 200, "the newer key")


def test_a_missing_file_is_waited_for(make, mock, tmp_path):
    late = tmp_path / "late"
    gateway = make.gateway(config_of(mock))
    before = reloads(gateway)
    config = {**config_of(mock), "auth": {"keys": [{"name": "tester", "key": f"file:{late}"}]}}
    gateway.reload(config, accepted=False)
    gateway.program.wait_for(f"needs the file {late}, which cannot be read")
    gateway.key = process.canary("client")
    late.write_text(gateway.key + "\n")
    wait_until(lambda: reloads(gateway) == before + 1, "the reload")
    assert ask(gateway, "openai", "good").complete


def test_a_file_that_is_no_longer_named_is_not_watched(make, mock, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text(process.canary("client") + "\n")
    named = {**config_of(mock), "auth": {"keys": [{"name": "tester", "key": f"file:{secret}"}]}}
    inline = {**config_of(mock), "auth": {"keys": [{"name": "tester", "key": process.canary("client")}]}}
    gateway = make.gateway(named)
    gateway.reload(inline)
    before = reloads(gateway)
    secret.write_text(process.canary("client") + "\n")
    time.sleep(1)                         # a change of a watched file is a reload after 0.3 s
    gateway.reload({**inline, "timeouts": {"connect": "3s"}})
    assert reloads(gateway) == before + 1


def test_a_file_that_vanishes_and_comes_back(make, mock):
    gateway = make.gateway(config_of(mock))
    os.unlink(gateway.config_path)
    assert ask(gateway, "openai", "good").complete
    gateway.reload({**config_of(mock), "models": {"good": {"targets": ["lab/m;text=back-again"]}}})
    assert ask(gateway, "openai", "good").text == "back-again"


def test_aliases_and_providers_change_for_new_requests_only(make, mock):
    other = make.mock()
    gateway = make.gateway(config_of(mock))
    streams = start_long_streams(gateway, 2)
    config = config_of(mock)
    config["providers"]["lab"] = other.provider()
    config["models"] = {"good": {"targets": ["lab/m;text=from-the-other"]}, "fresh": {"targets": ["ant/m;text=new"]}}
    gateway.reload(config)
    for caller in CALLERS:
        assert ask(gateway, caller, "good").text == "from-the-other"
        assert ask(gateway, caller, "fresh").text == "new"
    assert other.stats()["completed"] == 2
    assert_streams_complete(streams)       # on the old provider
    del config["models"]["fresh"]
    del config["providers"]["ant"]
    gateway.reload(config)
    for caller in CALLERS:
        got = ask(gateway, caller, "ant/m")
        assert got.status == 404 or "lab" == got.headers.get("x-openclaw-provider"), got


def test_a_reload_without_providers_is_a_warning(make, mock):
    """It is what the file says, perhaps for a while: taken, but not in silence."""
    gateway = make.gateway(config_of(mock))
    off = {"providers": {"lab": {**mock.provider(), "disabled": True}}}
    gateway.reload(off)
    gateway.program.wait_for("no provider is switched on")
    assert ask(gateway, "openai", "lab/m").status == 404
    gateway.reload({"providers": None})
    assert gateway.program.wait_for(r"(?s)no provider is switched on.*no provider is switched on")
    gateway.reload(config_of(mock))
    assert ask(gateway, "openai", "good").complete
    assert gateway.stderr().count("no provider is switched on") == 2

    silent = make.gateway(off)
    silent.program.wait_for("no provider is switched on")
    for args, stream in (([], "stderr"), (["--json"], "stdout")):
        done = subprocess.run([process.BIN, "check", "-c", silent.config_path, *args], capture_output=True, text=True,
                              env=process.environment(**silent.env), timeout=process.PATIENCE)
        assert done.returncode == 0 and "no provider is switched on" in getattr(done, stream), done


def test_a_removed_key_stops_working_and_a_new_one_starts(make, mock):
    def keyed(*names):
        return {**config_of(mock), "auth": {"keys": [{"name": n, "key": secret[n]} for n in names]}}

    secret = {name: process.canary("client") for name in ("old", "new")}
    gateway = make.gateway(keyed("old"))
    gateway.key = secret["old"]
    streams = start_long_streams(gateway, 2, tokens=200)
    gateway.reload(keyed("new"))
    got = ask(gateway, "openai", "good")
    assert (got.status, got.code) == (401, "invalid_api_key"), got
    gateway.key = secret["new"]
    assert ask(gateway, "openai", "good").complete
    assert_streams_complete(streams, tokens=200)      # admitted when the key was good
    gateway.reload(keyed("old", "new"))
    gateway.key = secret["old"]
    assert ask(gateway, "openai", "good").complete


def test_requests_in_flight_of_a_key_count_across_reloads_and_workers(make, mock):
    held = Held(make)

    def limited(n, **more):
        config = config_of(mock, server={"limits": {"streams_per_key": n}}, **more)
        config["providers"]["held"] = held.provider
        return config

    gateway = make.gateway(limited(0), workers=2)
    streams = [held.stream(gateway, caller) for caller in CALLERS]       # begun while there was no limit
    for config in (limited(2), limited(2, timeouts={"connect": "7s"}), None):
        gateway.reload(config)
        for _ in range(6):                                     # on either worker
            with gateway.raw() as client:
                answer, _ = client.ask("POST", PATHS["openai"], body_of("good"), gateway.authorization())
            assert answer.status == 429 and answer.json()["error"]["code"] == "rate_limit_exceeded", answer
    gateway.reload(limited(3))
    assert ask(gateway, "openai", "good").complete
    held.go.set()
    for client in streams:
        held.assert_complete(client)
    gateway.reload(limited(2))
    gateway.idle()
    held.go.clear()
    streams = [held.stream(gateway, caller) for caller in CALLERS]       # the slots of the old ones are free again
    assert ask(gateway, "openai", "good").status == 429
    held.go.set()
    for client in streams:
        held.assert_complete(client)


def test_a_provider_s_new_key_is_used_at_once(make, mock):
    gateway = make.gateway(config_of(mock))
    first, second = process.canary("provider"), process.canary("provider")
    for key in (first, second):
        config = config_of(mock)
        config["providers"]["lab"]["api_key"] = key
        gateway.reload(config)
        assert ask(gateway, "openai", "good").complete
        assert mock.last_request()["headers"]["authorization"] == f"Bearer {key}"


def test_limits_change_with_a_reload(make, mock):
    gateway = make.gateway(config_of(mock))
    body = body_of("good", padding="x" * 20000)
    assert gateway.post("/v1/chat/completions", body).status_code == 200
    gateway.reload(config_of(mock, server={"limits": {"body": "10KB"}}))
    assert gateway.post("/v1/chat/completions", body).status_code == 413
    gateway.reload(config_of(mock))
    assert gateway.post("/v1/chat/completions", body).status_code == 200


def test_a_changed_listener_needs_a_restart(make, mock):
    gateway = make.gateway(config_of(mock))
    gateway.reload(config_of(mock, server={"listen": f"127.0.0.1:{process.free_port()}"}))
    gateway.program.wait_for("take effect at the next start")
    assert ask(gateway, "openai", "good").complete


def serial_of(address, cafile):
    context = ssl.create_default_context(cafile=cafile)
    with raw.RawClient(address, tls=context) as client:
        return client.socket.getpeercert()["serialNumber"]


def test_a_new_certificate_is_served_without_a_restart(make, mock, tmp_path):
    cert, key = process.certificate(tmp_path, "served")
    gateway = make.gateway(config_of(mock, server={"tls": {"cert": str(cert), "key": str(key)}}))
    old = serial_of(gateway.address, cert)
    context = ssl.create_default_context(cafile=cert)
    kept = gateway.raw(tls=context)

    (tmp_path / "next").mkdir()
    new_cert, new_key = process.certificate(tmp_path / "next", "served")
    before = gateway.program.stderr().count("reloaded:")
    os.replace(new_key, key)       # the pair is broken in between: the old one stays until it is whole
    os.replace(new_cert, cert)
    wait_until(lambda: gateway.program.stderr().count("reloaded:") > before, "the reload")

    def renewed():
        try:
            return serial_of(gateway.address, cert) != old
        except ssl.SSLError:
            return False
    wait_until(renewed, "the new certificate")
    kept.send(raw.request("GET", "/livez"))
    assert kept.read().status == 200       # the connection from before goes on
    kept.close()
    gateway.clients.clear()
    gateway._kept = None                   # it trusted the old certificate only


def resumes(gateway, version, session, saves):
    """Does openssl s_client resume the session in that file? Saves the one that it gets."""
    files = (["-sess_in", session] if session.exists() else []) + (["-sess_out", session] if saves else [])
    done = subprocess.run(["openssl", "s_client", "-connect", "%s:%d" % gateway.address, version, "-ign_eof", *files],
                          input=b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
                          capture_output=True, timeout=process.PATIENCE)
    assert b"HTTP/1.1 200 OK" in done.stdout, done
    assert (b"\nNew, TLSv1" in done.stdout) != (b"\nReused, TLSv1" in done.stdout), done
    return b"\nReused, TLSv1" in done.stdout


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_sessions_are_resumed_by_any_worker_and_after_a_new_certificate(make, mock, tmp_path, version):
    cert, key = process.certificate(tmp_path, "served")
    gateway = make.gateway(config_of(mock, server={"tls": {"cert": str(cert), "key": str(key)}}), workers=2)
    session = tmp_path / "session"
    assert not resumes(gateway, version, session, True)
    for _ in range(6):                       # on either worker
        assert resumes(gateway, version, session, True)

    gateway.reload()
    assert resumes(gateway, version, session, True)
    old = serial_of(gateway.address, cert)
    (tmp_path / "next").mkdir()
    new_cert, new_key = process.certificate(tmp_path / "next", "served")
    os.replace(new_key, key)
    os.replace(new_cert, cert)

    def renewed():
        try:
            return serial_of(gateway.address, cert) != old
        except ssl.SSLError:
            return False
    wait_until(renewed, "the new certificate")
    assert resumes(gateway, version, session, False)
    gateway.clients.clear()
    gateway._kept = None                     # it trusted the old certificate only


@pytest.mark.parametrize("last", ["key", "cert"])
def test_a_certificate_and_its_key_may_be_replaced_in_any_order(make, mock, tmp_path, last):
    cert, key = process.certificate(tmp_path, "served")
    gateway = make.gateway(config_of(mock, server={"tls": {"cert": str(cert), "key": str(key)}}))
    old = serial_of(gateway.address, cert)
    (tmp_path / "next").mkdir()
    new_cert, new_key = process.certificate(tmp_path / "next", "served")
    halves = [(new_key, key), (new_cert, cert)]
    first, second = halves if last == "cert" else reversed(halves)
    refused = gateway.program.stderr().count("reload refused")
    os.replace(*first)
    wait_until(lambda: gateway.program.stderr().count("reload refused") > refused, "half a pair to be refused")
    os.replace(*second)

    def renewed():
        try:
            return serial_of(gateway.address, cert) != old
        except ssl.SSLError:
            return False
    wait_until(renewed, "the new certificate")
    gateway.clients.clear()
    gateway._kept = None


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR1])
def test_logs_are_reopened_on_a_signal(make, mock, number):
    gateway = make.gateway(config_of(mock))
    first = ask(gateway, "openai", "good")
    gateway.access(first.id)
    moved = gateway.access_path.with_name("access.log.1.log")
    os.rename(gateway.access_path, moved)
    gateway.program.send_signal(number)
    wait_until(gateway.access_path.exists, "the new file")
    second = ask(gateway, "openai", "good")
    wait_until(lambda: second.id in gateway.access_path.read_text(), "the line in the new file")
    assert first.id in moved.read_text() and second.id not in moved.read_text()
    reloads = 1 if number == signal.SIGHUP else 0
    wait_until(lambda: gateway.metrics().value("openclaw_reloads_total") == reloads, f"{reloads} reloads")


@pytest.mark.parametrize("gone", ["access", "log"])
def test_a_log_that_cannot_be_reopened_is_reported_at_once(make, mock, tmp_path, gone):
    there = tmp_path / "logs"
    there.mkdir()
    paths = {"access": there / "access.log" if gone == "access" else tmp_path / "access.log",
             "log": there / "error.log" if gone == "log" else tmp_path / "error.log"}
    gateway = make.gateway({**config_of(mock), "observe": {n: {"path": str(p)} for n, p in paths.items()}})
    gateway.access_path = paths["access"]
    moved = there.rename(tmp_path / "moved")
    gateway.program.send_signal(signal.SIGUSR1)
    gateway.program.wait_for(f"cannot reopen the log {paths[gone]}: No such file or directory")
    old = moved / "error.log" if gone == "log" else paths["log"]
    wait_until(lambda: "cannot reopen a log: No such file" in old.read_text() and str(paths[gone]) in old.read_text(), "the line")
    assert ask(gateway, "openai", "good").complete
    moved.rename(there)


def test_many_hangup_signals_in_a_row_are_handled(make, mock):
    gateway = make.gateway(config_of(mock))
    load = Load(gateway, "openai", "good", True)
    for _ in range(200):
        gateway.program.send_signal(signal.SIGHUP)
    gateway.reload()
    load.stop()
    assert gateway.metrics().value("openclaw_reload_failures_total") == 0


def test_check_and_reload_agree(make, mock):
    """What `openclaw check` refuses is what a reload refuses, in the same words."""
    gateway = make.gateway(config_of(mock))
    gateway.reload("server: {workres: 2}\n", accepted=False)
    done = subprocess.run([process.BIN, "check", "-c", gateway.config_path], capture_output=True, text=True,
                          env=process.environment(), timeout=process.PATIENCE)
    line = next(line for line in done.stderr.splitlines() if "openclaw.yaml:" in line)
    assert done.returncode != 0
    gateway.program.wait_for(line.split("openclaw.yaml", 1)[1].replace("(", r"\(").replace(")", r"\)"))
