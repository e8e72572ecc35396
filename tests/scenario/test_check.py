"""`openclaw check` finds what `serve` would find, with its place; what is doubtful is a warning, and nothing else is said."""
import datetime
import json
import os
import re
import socket
import subprocess

import pytest
import yaml

from lib import process
from lib.process import PATIENCE, canary, environment

LAB = {"lab": {"wire": "openai-chat", "base_url": "http://127.0.0.1:1/v1"}}


def check(path, *args):
    """(exit status, lines on standard error, the JSON document), which must agree."""
    run = [process.BIN, "check", "-c", str(path), *args]
    text = subprocess.run(run, capture_output=True, text=True, timeout=PATIENCE, env=environment())
    document = json.loads(subprocess.run([*run, "--json"], capture_output=True, text=True, timeout=PATIENCE,
                                         env=environment()).stdout)
    assert document["ok"] == (text.returncode == 0) == (document["problems"] == [])
    lines = text.stderr.splitlines()
    assert len(lines) == len(document["problems"]) + len(document["warnings"])
    for kind, mark in (("problems", ""), ("warnings", "warning: ")):
        for one in document[kind]:
            place = f":{one['line']}:{one['column']}" if one["line"] else ""
            assert f"{path}{place}: {mark}{one['text']}" in lines
    return text.returncode, lines, document


def written(tmp_path, config):
    path = tmp_path / "x.yaml"
    path.write_text(config if isinstance(config, str) else yaml.safe_dump(config, sort_keys=False))
    return path


def openssl(*args, cwd):
    subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True, cwd=cwd, timeout=PATIENCE)


def pair(tmp_path, name="served", begin="20200101000000Z", end="20490101000000Z"):
    """A certificate and key with these dates."""
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{name}.key",
            "-out", f"{name}.csr.pem", "-days", 3, "-subj", "/CN=localhost", cwd=tmp_path)
    openssl("x509", "-in", f"{name}.csr.pem", "-x509toreq", "-signkey", f"{name}.key", "-out", f"{name}.csr", cwd=tmp_path)
    (tmp_path / "index.txt").write_text("")
    (tmp_path / "serial").write_text(f"{abs(hash((name, begin, end))) % 10**8:08d}\n")
    (tmp_path / "ca.cnf").write_text("[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\nserial=serial\nnew_certs_dir=.\n"
                                     "default_md=sha256\npolicy=p\nunique_subject=no\n[p]\ncommonName=supplied\n")
    openssl("ca", "-batch", "-selfsign", "-config", "ca.cnf", "-in", f"{name}.csr", "-keyfile", f"{name}.key",
            "-out", f"{name}.pem", "-startdate", begin, "-enddate", end, "-notext", cwd=tmp_path)
    os.chmod(tmp_path / f"{name}.key", 0o600)
    return tmp_path / f"{name}.pem", tmp_path / f"{name}.key"


def with_tls(cert, key, **more):
    return {"server": {"listen": "127.0.0.1:0", "tls": {"cert": str(cert), "key": str(key)}}, "providers": LAB, **more}


# --- addresses ---

def test_an_address_in_use_is_a_warning_and_a_foreign_one_an_error(tmp_path):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        port = s.getsockname()[1]
        for setting in ("listen", "admin_listen"):
            path = written(tmp_path, {"server": {"listen": "127.0.0.1:0", setting: f"127.0.0.1:{port}"}, "providers": LAB})
            status, lines, _ = check(path)
            assert status == 0 and len(lines) == 1 and re.search(rf":\d+:\d+: warning: .*127.0.0.1:{port}.* in use", lines[0])
    status, lines, _ = check(written(tmp_path, "server: {listen: '203.0.113.9:8080'}\nproviders: {}\nauth: {mode: none}\n"))
    assert status == 2 and len(lines) == 1 and "x.yaml:1:18: " in lines[0] and "no such address" in lines[0]
    status, lines, _ = check(written(tmp_path, "server: {listen: 'unix:/no-such-folder/x.sock'}\n"))
    assert status == 2 and "/no-such-folder/x.sock" in lines[0]


def test_check_next_to_a_running_gateway_disturbs_nothing(make):
    gateway = make.gateway({"providers": LAB, "server": {"listen": f"127.0.0.1:{process.free_port()}"}})
    done = subprocess.run([process.BIN, "check", "-c", gateway.config_path], capture_output=True, text=True,
                          env=environment(**gateway.env), timeout=PATIENCE)
    assert done.returncode == 0 and "ignore this if the gateway itself is running" in done.stderr
    assert gateway.get("/v1/models").status_code == 200


def test_check_leaves_no_socket_file_and_no_log_behind(tmp_path):
    path = written(tmp_path, {"server": {"listen": f"unix:{tmp_path}/x.sock"}, "providers": LAB,
                              "observe": {"log": {"path": f"{tmp_path}/e.log"}, "access": {"path": f"{tmp_path}/a.log"}}})
    assert check(path)[0] == 0
    assert os.listdir(tmp_path) == ["x.yaml"]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user")
def test_a_privileged_port_is_a_warning(tmp_path):
    limit = int(open("/proc/sys/net/ipv4/ip_unprivileged_port_start").read())
    if limit < 2:
        pytest.skip("every port is free to everybody here")
    path = written(tmp_path, {"server": {"listen": f"127.0.0.1:{limit - 1}"}, "providers": LAB})
    os.chmod(tmp_path, 0o755)
    binary = tmp_path / "openclaw"
    binary.write_bytes(open(process.BIN, "rb").read())
    binary.chmod(0o755)
    for folder in list(tmp_path.parents)[:-1]:
        if not os.stat(folder).st_mode & 0o005 and str(folder).startswith("/tmp/"):
            os.chmod(folder, os.stat(folder).st_mode | 0o005)
    done = subprocess.run([binary, "check", "-c", path], capture_output=True, text=True, user=65534, group=65534,
                          extra_groups=[], env=environment(), timeout=PATIENCE)
    assert done.returncode == 0 and "permission denied" in done.stderr and "warning" in done.stderr, done


# --- logs ---

@pytest.mark.parametrize("setting", ["log", "access"])
def test_a_log_that_cannot_be_written_is_an_error(tmp_path, setting):
    for log, said in [("/no-such-folder/x.log", "No such file or directory"), ("/", "Is a directory"),
                      ("/dev/null/x.log", "Not a directory")]:
        status, lines, _ = check(written(tmp_path, f"providers: {{}}\nobserve:\n  {setting}: {{path: '{log}'}}\n"))
        assert status == 2 and f"x.yaml:3:{len(setting) + 12}: 'observe.{setting}.path' cannot be written" in lines[0]
        assert said in lines[0] and log in lines[0]


# --- certificates ---

@pytest.mark.parametrize("begin, end, said", [
    ("20200101000000Z", "20210101000000Z", "expired on 2021-01-01"), ("20480101000000Z", "20490101000000Z", "not valid before 2048"),
    ("20200101000000Z", None, "expires on 20"), ("20200101000000Z", "20490101000000Z", None)])
def test_certificate_dates_are_checked(tmp_path, begin, end, said):
    soon = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=5)
    cert, key = pair(tmp_path, begin=begin, end=end or soon.strftime("%Y%m%d%H%M%SZ"))
    status, lines, document = check(written(tmp_path, with_tls(cert, key)))
    assert status == 0 and len(lines) == (said is not None)
    if said:
        assert said in document["warnings"][0]["text"] and document["warnings"][0]["line"] == 4


def test_serve_reports_the_same_at_its_start_and_after_a_reload(make, tmp_path):
    cert, key = pair(tmp_path, end="20210101000000Z")
    gateway = make.gateway({"providers": LAB, "auth": {"mode": "none", "keys": [{"name": "a", "key": "short"}]}})
    gateway.program.wait_for(r"openclaw\.yaml:\d+:\d+: warning: 'auth.mode' is none")
    gateway.program.wait_for(r"warning: 'auth.keys\[0\].key' has fewer than 16")
    gateway.reload({"providers": {"lab": {**LAB["lab"], "ca_file": str(cert)}}, "auth": {"mode": "none"}})
    gateway.program.wait_for("the longest valid authority of 'providers.lab.ca_file' expired on 2021-01-01")


def test_a_certificate_and_key_that_do_not_match_are_reported(tmp_path):
    cert, key = pair(tmp_path)
    (tmp_path / "other").mkdir()
    _, other = pair(tmp_path / "other", "other")
    junk = tmp_path / "junk.pem"
    junk.write_text("nothing of use\n")
    for tls, said in [((cert, other), "key values mismatch"), ((cert, junk), "cannot use the private key"),
                      ((junk, key), "cannot use the certificate")]:
        status, lines, _ = check(written(tmp_path, with_tls(*tls)))
        assert status == 2 and len(lines) == 1 and said in lines[0] and "x.yaml:4:" in lines[0], lines
    weak = tmp_path / "weak"
    openssl("req", "-x509", "-newkey", "rsa:1024", "-nodes", "-keyout", f"{weak}.key", "-out", f"{weak}.pem", "-days", 3,
            "-subj", "/CN=localhost", cwd=tmp_path)
    os.chmod(f"{weak}.key", 0o600)
    status, lines, _ = check(written(tmp_path, with_tls(f"{weak}.pem", f"{weak}.key")))
    assert "small" in lines[0] and status == 2


def test_a_certificate_without_its_key_is_one_line(tmp_path):
    cert, key = pair(tmp_path)
    for tls in ({"cert": str(cert)}, {"key": str(key)}, {"cert": str(cert), "key": "/no/such/file"}):
        status, lines, _ = check(written(tmp_path, {"server": {"listen": "127.0.0.1:0", "tls": tls}, "providers": LAB}))
        assert status == 2 and len(lines) == 1 and "(null)" not in lines[0], lines


def test_secrets_that_everybody_may_read_are_reported(tmp_path):
    cert, key = pair(tmp_path)
    secret = tmp_path / "secret"
    secret.write_text(canary("client") + "\n")
    config = with_tls(cert, key, auth={"keys": [{"name": "a", "key": f"file:{secret}"}]})
    os.chmod(secret, 0o640)
    os.chmod(cert, 0o644)
    assert check(written(tmp_path, config)) == (0, [], {"ok": True, "file": str(tmp_path / "x.yaml"), "problems": [],
                                                        "warnings": []})
    os.chmod(secret, 0o644)
    os.chmod(key, 0o604)
    _, lines, _ = check(written(tmp_path, config))
    assert len(lines) == 2 and all("every user of this machine may read" in line for line in lines)
    assert str(key) in lines[0] and str(secret) in lines[1]


def test_secrets_that_kubernetes_mounts_are_not_reported(tmp_path):
    """All in the container may read them, and chmod cannot change that."""
    version = tmp_path / "mount" / "..2026_01_01_00_00_00.123456789"
    version.mkdir(parents=True)
    (version / "secret").write_text(canary("client") + "\n")
    os.chmod(version / "secret", 0o644)
    (tmp_path / "mount" / "..data").symlink_to(version.name)
    (tmp_path / "mount" / "secret").symlink_to("..data/secret")
    (tmp_path / "copy").write_text(canary("client") + "2\n")
    os.chmod(tmp_path / "copy", 0o644)
    (tmp_path / "link").symlink_to("copy")
    keys = [{"name": "a", "key": f"file:{tmp_path}/mount/secret"}, {"name": "b", "key": f"file:{tmp_path}/link"}]
    _, lines, _ = check(written(tmp_path, {"server": {"listen": "127.0.0.1:0"}, "auth": {"keys": keys}, "providers": LAB}))
    assert len(lines) == 1 and "every user of this machine may read" in lines[0] and f"{tmp_path}/link" in lines[0]


# --- what is doubtful ---

DOUBTS = {
    "mode none beside keys": ("auth:\n  mode: none\n  keys: [{name: a, key: a-key-that-is-long-enough}]\n", ":2:9: ", "nobody is asked"),
    "a short key": ("auth: {keys: [{name: a, key: secret}]}\n", ":1:30: ", "fewer than 16 characters"),
    "a name that nobody answers to": ("auth: {keys: [{name: a, key: a-key-that-is-long-enough, models: [lba/x]}]}\n",
                                      ":1:66: ", "'auth.keys[0].models[0]' is neither an alias"),
    "a pattern that nothing matches": ("auth: {keys: [{name: a, key: a-key-that-is-long-enough, models: [lab/*, 'lba/*']}]}\n",
                                       ":1:73: ", "'auth.keys[0].models[1]' is neither an alias"),
    "patterns that match": ("auth: {keys: [{name: a, key: a-key-that-is-long-enough, models: ['*', 'lab/*', 'l*/x*', 'sm*', lab/x]}]}\n"
                            "models: {smart: {targets: [lab/x]}}\n", None, None),
    "a clock longer than all": ("timeouts:\n  total: 1m\n  first_byte: 90s\n", ":3:15: ", "'timeouts': first_byte is 90s"),
    "held below a body": ("server:\n  limits: {held: 4MB}\n", ":2:18: ", "'server.limits.held' is less than one body"),
    "a backoff that never grows": ("retry:\n  base: 4s\n  cap: 2s\n", ":3:8: ", "'retry.cap' (2s) is shorter than 'retry.base' (4s)"),
    "a hedge without a share": ("models:\n  m:\n    hedge: {after: 90}\n    targets: [lab/x]\n", ":3:20: ", "write share: 5"),
    "a look-up longer than all": ("timeouts: {total: 1s, dns: 2s}\n", ":1:28: ", "dns is 2s"),
    "a total below the defaults": ("timeouts: {total: 20s}\n", None, None),
    "a target's clock": ("timeouts: {first_token: 2m}\nmodels:\n  m:\n    targets: [{model: lab/x, timeouts: {total: 1m}}]\n", ":4:48: ",
                         "'models.m.targets[0].timeouts': first_token is 2m"),
}


@pytest.mark.parametrize("kind", DOUBTS)
def test_a_warning_has_its_position(tmp_path, kind):
    text, place, said = DOUBTS[kind]
    path = written(tmp_path, text + "providers: {lab: {wire: openai-chat, base_url: 'http://127.0.0.1:1/v1'}}\n"
                                    "observe: {access: {path: 'off'}}\n")
    status, lines, document = check(path, "--set", "server.listen=127.0.0.1:0")
    assert status == 0 and document["problems"] == []
    assert len(lines) == (said is not None), lines
    if said:
        assert place in lines[0] and said in lines[0] and " warning: " in lines[0], lines


@pytest.mark.parametrize("route", ["/chat/completions", "/messages/", "/responses"])
def test_a_base_url_with_a_route_is_a_warning(tmp_path, route):
    lab = {"wire": "openai-chat", "base_url": f"http://127.0.0.1:1/v1{route}"}
    status, lines, _ = check(written(tmp_path, {"providers": {"lab": lab}}), "--set", "server.listen=127.0.0.1:0")
    assert status == 0 and len(lines) == 1 and ":4:15: warning: " in lines[0], lines
    assert lines[0].endswith("write http://127.0.0.1:1/v1")


TARGETS = {
    "groq/llama-3.1-8b-instant": "the provider 'groq' is not switched on; write providers: {groq: {api_key: \"${GROQ_API_KEY}\"}}",
    "lab/": "target 'lab/' names no model; write provider/model",
    "/x": "target '/x' names no provider; write provider/model",
    "lba/x": "did you mean 'lab'?",
}


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_that_leads_nowhere(tmp_path, target):
    config = {"providers": LAB, "models": {"a": {"targets": [target]}}}
    status, lines, _ = check(written(tmp_path, config), "--set", "server.listen=127.0.0.1:0")
    assert status == 2 and len(lines) == 1 and lines[0].endswith(TARGETS[target]), lines


def test_a_file_where_a_unix_socket_should_be_is_a_mistake(tmp_path):
    there = tmp_path / "there"
    there.write_text("mine")
    status, lines, _ = check(written(tmp_path, {"server": {"listen": f"unix:{there}"}}))
    assert status == 2 and len(lines) == 1 and "the file exists and is not a socket" in lines[0], lines
    assert there.read_text() == "mine"


def test_a_user_that_does_not_exist(tmp_path):
    status, lines, _ = check(written(tmp_path, {"server": {"listen": "127.0.0.1:0", "user": "no-such-user"}}))
    assert status == (2 if os.geteuid() == 0 else 0) and len(lines) == 1, lines
    assert "there is no user 'no-such-user'" in lines[0]


def test_two_equal_keys_are_an_error(tmp_path):
    key = canary("client")
    status, lines, _ = check(written(tmp_path, {"auth": {"keys": [{"name": n, "key": key} for n in "ab"]}, "providers": LAB}),
                             "--set", "server.listen=127.0.0.1:0")
    assert status == 2 and len(lines) == 1 and "same key" in lines[0] and key not in lines[0]
