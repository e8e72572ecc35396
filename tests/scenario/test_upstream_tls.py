"""TLS to providers: certificates of our own, and whom we believe."""
import os
import ssl
import subprocess

import pytest

from lib import process
from lib.process import certificate

ANSWER = b'{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":' \
         b'{"role":"assistant","content":"Hi"},"finish_reason":"stop"}]}'


class Strict:
    """A provider that takes known clients only: upstream, subjects (of the certificates that it saw)."""

    def __init__(self, make, folder):
        self.server_cert, server_key = certificate(folder, "server")
        self.client_cert, self.client_key = certificate(folder, "client")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.server_cert, server_key)
        context.load_verify_locations(self.client_cert)
        context.verify_mode = ssl.CERT_REQUIRED
        self.subjects = []
        self.upstream = make.upstream(self.answer, tls=context)

    def answer(self, conn):
        self.subjects.append(dict(x[0] for x in conn.socket.getpeercert()["subject"])["commonName"])
        conn.answer(200, ANSWER)

    def provider(self, **more):
        return self.upstream.provider(ca_file=str(self.server_cert), **more)


@pytest.fixture
def strict(make, tmp_path):
    return Strict(make, tmp_path)


def test_a_client_certificate_is_only_sent_to_its_provider(make, strict, tmp_path):
    both = tmp_path / "both.pem"
    both.write_text(strict.client_cert.read_text() + strict.client_key.read_text())
    gateway = make.gateway({"providers": {
        "known": strict.provider(client_cert=str(strict.client_cert), client_key=str(strict.client_key)),
        "one_file": strict.provider(client_cert=str(both)),
        "unknown": strict.provider()}}, workers=1)
    for model in ("known/m", "one_file/m", "known/m"):
        assert gateway.chat(model).status_code == 200
    answer = gateway.chat("unknown/m")      # not even on a connection that another provider left
    assert answer.status_code == 502 and answer.headers["x-openclaw-error"] == "upstream_tls"
    assert "certificate required" in answer.json()["error"]["message"]
    assert strict.subjects == ["client"] * 3


def check(tmp_path, provider, **env):
    config = tmp_path / "openclaw.yaml"
    lines = "".join(f"    {name}: {value}\n" for name, value in provider.items())
    config.write_text("providers:\n  lab:\n    wire: openai-chat\n" + lines)
    return subprocess.run([process.BIN, "check", "-c", config], capture_output=True, text=True,
                          env={**os.environ, **env}, timeout=60)


def test_check_says_what_is_wrong_with_a_client_certificate(tmp_path):
    cert, key = certificate(tmp_path, "client")
    other = certificate(tmp_path, "other")[1]
    url = "https://lab.example/v1"
    for provider, words in [
        ({"base_url": url, "client_cert": cert, "client_key": other}, "key values mismatch"),
        ({"base_url": url, "client_cert": cert}, "cannot use the private key"),
        ({"base_url": url, "client_key": key}, "has a client_key without a client_cert"),
        ({"base_url": "http://lab.example/v1", "client_cert": cert, "client_key": key}, "needs a base_url with https"),
    ]:
        got = check(tmp_path, provider)
        assert got.returncode != 0 and words in got.stdout + got.stderr, (provider, got)
    assert check(tmp_path, {"base_url": url, "client_cert": cert, "client_key": key}).returncode == 0


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
def test_missing_authorities_are_an_error_that_names_them(tmp_path, name):
    got = check(tmp_path, {"base_url": "https://lab.example/v1"}, **{name: "/nonexistent/ca"})
    said = got.stdout + got.stderr
    assert got.returncode != 0 and "/nonexistent/ca" in said and name in said
    assert "needs TLS" not in said          # one mistake is told once


def test_authorities_of_the_file_and_the_folder_are_both_trusted(make, tmp_path):
    """Two providers: the authority of one is in SSL_CERT_FILE, that of the other in SSL_CERT_DIR."""
    upstreams, folder = [], tmp_path / "authorities"
    folder.mkdir()
    for name in ("one", "two"):
        cert, key = certificate(tmp_path, name)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        upstreams.append(make.upstream(lambda conn: conn.answer(200, ANSWER), tls=context))
    (folder / "two.pem").write_text((tmp_path / "two.pem").read_text())
    subprocess.run(["openssl", "rehash", folder], check=True, capture_output=True, timeout=process.PATIENCE)
    gateway = make.gateway({"providers": {"one": upstreams[0].provider(), "two": upstreams[1].provider()}},
                           env={"SSL_CERT_FILE": str(tmp_path / "one.pem"), "SSL_CERT_DIR": str(folder)})
    assert gateway.chat("one/m").status_code == 200
    assert gateway.chat("two/m").status_code == 200
