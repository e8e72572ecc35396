"""Where the gateway listens: ports, unix sockets, TLS with certificates that change, a port for the operator."""
import json
import os
import socket
import ssl
import stat
import subprocess

import httpx
import pytest

from lib import process, raw
from lib.ask import ask, body_of
from lib.process import PATIENCE, certificate, environment, free_port, wait_until


@pytest.fixture(scope="module")
def mock(make_shared):
    return make_shared.mock()


def livez(address, **options):
    with raw.RawClient(address, **options) as client:
        client.send(raw.request("GET", "/livez"))
        return client.read().status


# --- several addresses ---

def test_it_listens_on_all_of_its_addresses(make, mock, tmp_path):
    port, path = free_port(), str(tmp_path / "gateway.sock")
    gateway = make.gateway({"providers": {"lab": mock.provider()},
                            "server": {"listen": ["127.0.0.1:0", f"127.0.0.1:{port}", f"unix:{path}"]}})
    assert livez(gateway.address) == livez(("127.0.0.1", port)) == livez(path) == 200


def test_a_unix_socket_serves_chats(make, mock, tmp_path):
    path = str(tmp_path / "gateway.sock")
    gateway = make.gateway({"providers": {"lab": mock.provider()}, "server": {"listen": f"unix:{path}"}})
    with httpx.Client(transport=httpx.HTTPTransport(uds=path), timeout=PATIENCE) as client:
        answer = client.post("http://gateway/v1/chat/completions", headers=gateway.authorization(), json={
            "model": "lab/mock-gpt", "messages": [{"role": "user", "content": "Hello"}], "stream": True})
    assert answer.status_code == 200 and answer.text.endswith("data: [DONE]\n\n")
    gateway.access(answer.headers["x-request-id"])
    gateway.stop()
    with pytest.raises(OSError):
        raw.RawClient(path)


def test_a_unix_socket_has_the_mode_and_group_of_the_settings(make, mock, tmp_path):
    path = str(tmp_path / "gateway.sock")
    make.gateway({"providers": {"lab": mock.provider()},
                  "server": {"listen": f"unix:{path}", "unix_mode": "0606", "unix_group": str(os.getegid())}})
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o606
    assert livez(path) == 200


def has_ipv6():
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
        return True
    except OSError:
        return False


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("four", ["0.0.0.0", "127.0.0.1"])
def test_both_wildcards_work_on_one_port(make, mock, four, order):
    port = free_port()
    make.gateway({"providers": {"lab": mock.provider()},
                  "server": {"listen": [f"[::]:{port}", f"{four}:{port}"][::order]}})
    assert livez(("127.0.0.1", port)) == livez(("::1", port)) == 200


@pytest.mark.parametrize("listen,admin", [([":{0}", "127.0.0.1:{0}"], None), ([":{0}"], "127.0.0.1:{0}"),
                                          (["0.0.0.0:{0}", "localhost:{0}"], None)])
def test_addresses_that_include_each_other_are_refused_by_check(make, tmp_path, listen, admin):
    port = free_port()
    config = {"server": {"listen": [a.format(port) for a in listen]}, "auth": {"mode": "none"}}
    if admin:
        config["server"]["admin_listen"] = admin.format(port)
    path = tmp_path / "openclaw.yaml"
    path.write_text(json.dumps(config))
    run = subprocess.run([process.BIN, "check", "-c", path], capture_output=True, text=True, env=environment(),
                         timeout=PATIENCE)
    assert run.returncode != 0
    assert "one includes the other" in run.stdout + run.stderr


def test_a_stale_unix_socket_is_replaced(make, mock, tmp_path):
    path = str(tmp_path / "gateway.sock")
    config = {"providers": {"lab": mock.provider()}, "server": {"listen": f"unix:{path}"}}
    first = make.gateway(config)
    first.program.kill()
    first.checks = False
    second = make.gateway(config)
    assert livez(path) == 200
    assert second.program.running()


def test_a_port_in_use_is_reported(make, mock, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run([process.BIN, "serve", "--listen", f"127.0.0.1:{port}"], capture_output=True, text=True,
                              timeout=PATIENCE * 4, cwd=tmp_path, env=environment())
    assert done.returncode == 1
    assert str(port) in done.stderr and "in use" in done.stderr


def test_listening_on_public_addresses_needs_keys(tmp_path):
    done = subprocess.run([process.BIN, "serve", "--listen", "0.0.0.0:0"], capture_output=True, text=True,
                          timeout=PATIENCE * 4, cwd=tmp_path, env=environment())
    assert done.returncode == 2
    assert "auth" in done.stderr


# --- TLS ---

@pytest.fixture
def tls(tmp_path):
    return certificate(tmp_path, "first")


def served_certificate(gateway):
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with gateway.raw(tls=context) as client:
        return client.socket.getpeercert(binary_form=True)


def der(path):
    return ssl.PEM_cert_to_DER_cert(path.read_text())


def test_sdk_and_stream_work_over_tls(make, mock, tls):
    cert, key = tls
    gateway = make.gateway({"providers": {"lab": mock.provider()},
                            "server": {"tls": {"cert": str(cert), "key": str(key)}}})
    assert gateway.url.startswith("https://")
    client = gateway.openai()
    stream = client.chat.completions.create(model="lab/mock;tokens=300", stream=True,
                                            messages=[{"role": "user", "content": "Hello"}])
    assert sum(1 for c in stream if c.choices[0].delta.content) == 300
    big = client.chat.completions.create(model="lab/mock;echo", messages=[{"role": "user", "content": "z" * 500_000}])
    assert len(big.choices[0].message.content) == 500_000


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_old_tls_is_refused(make, mock, tls):
    cert, key = tls
    gateway = make.gateway({"providers": {"lab": mock.provider()},
                            "server": {"tls": {"cert": str(cert), "key": str(key)}}})
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        gateway.raw(tls=context)


@pytest.mark.parametrize("body,step", [(b"", None), (b"", 1), (b"x" * 2_000_000, None)])
def test_plain_http_on_a_tls_port_is_answered_in_words_and_closed(make, mock, tls, body, step):
    cert, key = tls
    gateway = make.gateway({"providers": {"lab": mock.provider()},
                            "server": {"tls": {"cert": str(cert), "key": str(key)}}})
    request = raw.request("POST" if body else "GET", "/v1/chat/completions", body=body)
    with gateway.raw() as client:
        for i in range(0, len(request), step or len(request)):
            try:
                client.send(request[i:i + (step or len(request))])
            except OSError:
                break                  # answered before all of it was sent
        answer = client.read()
        assert answer.status == 400
        assert "https://" in answer.json()["error"]["message"]
        assert answer.header("connection") == "close"
        assert client.closed_by_peer()
    assert gateway.get("/livez").status_code == 200


@pytest.mark.parametrize("how", ["signal", "file"])
def test_a_new_certificate_is_used_without_a_restart(make, mock, tls, tmp_path, how):
    cert, key = tls
    gateway = make.gateway({"providers": {"lab": mock.provider()},
                            "server": {"tls": {"cert": str(cert), "key": str(key)}}})
    assert served_certificate(gateway) == der(cert)
    old = cert.read_text()
    with gateway.http(headers=gateway.authorization()) as client, client.stream(
            "POST", "/v1/chat/completions", json={"model": "lab/mock;tokens=60;tps=30", "stream": True,
                                                  "messages": [{"role": "user", "content": "Hello"}]}) as answer:
        pieces = answer.iter_bytes()
        text = next(pieces)
        new_cert, new_key = certificate(tmp_path, "second")
        new_key.replace(key)
        new_cert.replace(cert)
        if how == "signal":
            gateway.program.send_signal(1)
        wait_until(lambda: served_certificate(gateway) == der(cert), "the new certificate")
        text += b"".join(pieces)
        assert text.endswith(b"data: [DONE]\n\n"), "the stream was cut by the reload"
    assert cert.read_text() != old


def test_a_bad_certificate_leaves_the_old_one_in_use(make, mock, tls):
    cert, key = tls
    gateway = make.gateway({"providers": {"lab": mock.provider()},
                            "server": {"tls": {"cert": str(cert), "key": str(key)}}})
    good, context = der(cert), ssl.create_default_context(cafile=str(cert))
    cert.write_text("-----BEGIN CERTIFICATE-----\nnothing\n-----END CERTIFICATE-----\n")
    gateway.program.send_signal(1)
    gateway.program.wait_for("reload refused")
    assert served_certificate(gateway) == good
    with gateway.raw(tls=context) as client:
        client.send(raw.request("GET", "/metrics"))
        assert b"openclaw_reload_failures_total" in client.read().body


# --- the operator's port ---

def test_health_and_metrics_have_their_own_port(make, mock):
    port = free_port()
    gateway = make.gateway({"providers": {"lab": mock.provider()},
                            "server": {"admin_listen": f"127.0.0.1:{port}"}})
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE, trust_env=False) as admin:
        assert admin.get("/livez").json() == {"status": "ok"}
        assert admin.get("/readyz?verbose").json()["status"] == "ok"
        assert "openclaw_requests_total" in admin.get("/metrics").text
        mock.reset()
        for path in ("/v1/models", "/v1/chat/completions", "/models", "/v1/anything"):
            for method in ("GET", "POST"):
                answer = admin.request(method, path, headers=gateway.authorization(), json=body_of("lab/m"))
                wrong_method = (method, path) in (("POST", "/v1/models"), ("POST", "/models"), ("GET", "/v1/chat/completions"))
                assert answer.status_code == (405 if wrong_method else 404) and answer.json()["error"]["message"], answer
        config = {**gateway.config, "server": {**gateway.config["server"]}}
        del config["server"]["admin_listen"]               # it stays open until the next start, and so does the rule
        gateway.write(config)
        gateway.program.wait_for("reloaded: ")
        assert "openclaw_reloads_total 1" in admin.get("/metrics").text
    for path in ("/metrics", "/metrics?x=y"):
        answer = gateway.get(path)
        assert answer.status_code == 404 and "admin_listen" in answer.json()["error"]["message"], answer
    assert ask(gateway, "openai", "lab/m").complete and mock.stats()["requests"] == 1
    for path in ("/livez", "/healthz", "/readyz", "/"):
        assert gateway.get(path).status_code == 200


def test_without_a_port_of_their_own_health_and_metrics_are_everywhere(make, mock):
    gateway = make.gateway({"providers": {"lab": mock.provider()}})
    for path in ("/livez", "/readyz", "/metrics", "/"):
        assert gateway.get(path, headers={"Authorization": ""}).status_code == 200
    gateway.write({"providers": {"lab": mock.provider()}, "server": {"admin_listen": f"127.0.0.1:{free_port()}"}})
    gateway.program.wait_for("take effect at the next start")      # nothing listens there yet
    gateway.program.wait_for("reloaded: ")
    assert gateway.get("/metrics").status_code == 200
