"""Keys of providers that are kept in Vault or a cloud's manager of secrets: fetched, renewed, rotated, and never shown.

No Vault is to be had from a package registry: its HTTP API is played here, as its documentation has it."""
import base64
import json
import subprocess
import threading

import pytest

from lib import process
from lib.process import canary, wait_until
from test_clouds import NOWHERE, signature

CHAT = {"id": "c", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Yes"}}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}
MESSAGE = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "stop_reason": "end_turn",
           "stop_sequence": None, "content": [{"type": "text", "text": "Yes"}],
           "usage": {"input_tokens": 1, "output_tokens": 1}}


class Provider:
    """Accepts one key."""

    def __init__(self, make):
        self.key, self.server = None, make.upstream(self.answer)

    def answer(self, conn):
        given = conn.request.header("authorization") or conn.request.header("x-api-key")
        good = given in (self.key, f"Bearer {self.key}")
        chat = "chat" in conn.request.target
        conn.answer(200 if good else 401, (CHAT if chat else MESSAGE) if good else {"error": {"message": "wrong key"}})


class Keeper:
    """Plays a manager of secrets: `paths` maps a target to an answer, or to what makes one of the request."""

    def __init__(self, make):
        self.paths, self.asked, self.works = {}, [], True
        self.lock = threading.Lock()
        self.server = make.upstream(self.answer)
        self.url = self.server.url

    def answer(self, conn):
        with self.lock:
            self.asked.append(conn.request)
        made = self.paths.get(conn.request.target.split("?")[0])
        if not self.works or made is None:
            return conn.answer(503 if not self.works else 404, {"errors": []})
        status, body = made(conn.request) if callable(made) else (200, made)
        return conn.answer(status, body)

    def times(self, target):
        with self.lock:
            return sum(r.target.split("?")[0] == target for r in self.asked)


@pytest.fixture
def provider(make):
    return Provider(make)


@pytest.fixture
def keeper(make):
    return Keeper(make)


def gateway_of(make, provider, reference, secrets, env=None, wire="openai-chat", **more):
    config = {"providers": {"lab": {"base_url": provider.server.url + "/v1", "wire": wire, "api_key": reference}},
              "secrets": secrets, **more}
    return make.gateway(config, plant=False, env={**NOWHERE, **(env or {})}, workers=1)


def kv2(**values):
    return {"request_id": "r", "data": {"data": values, "metadata": {"version": 1}}}


def test_a_key_in_vault_is_fetched_once_and_sent_in_the_provider_s_field(make, provider, keeper):
    provider.key, token = canary("provider"), canary("vault")
    keeper.paths["/v1/secret/data/openai"] = lambda r: (
        (200, kv2(key=provider.key, other="x")) if r.header("x-vault-token") == token and r.header("x-vault-namespace") == "team"
        else (403, {"errors": ["permission denied"]}))
    for wire in ("openai-chat", "anthropic-messages"):
        gateway = gateway_of(make, provider, "vault:secret/data/openai#key",
                             {"vault": {"url": keeper.url + "/", "token": token, "namespace": "team"}}, wire=wire)
        for _ in range(5):
            assert gateway.chat("lab/m").status_code == 200
        assert keeper.times("/v1/secret/data/openai") == 1
        keeper.asked.clear()
        shown = gateway.stderr() + gateway.get("/metrics").text + json.dumps(gateway.access_log())
        assert provider.key not in shown and token not in shown


def test_the_environment_says_where_vault_is(make, provider, keeper, tmp_path):
    provider.key = canary("provider")
    keeper.paths["/v1/kv/openai"] = {"data": {"key": provider.key}}      # the first version of the engine
    gateway = gateway_of(make, provider, "vault:kv/openai#key", {}, {"VAULT_ADDR": keeper.url, "VAULT_TOKEN": "t-1"})
    assert gateway.chat("lab/m").status_code == 200
    (tmp_path / ".vault-token").write_text("from-the-file\n")
    gateway = gateway_of(make, provider, "vault:kv/openai#key", {}, {"VAULT_ADDR": keeper.url, "HOME": str(tmp_path)})
    assert gateway.chat("lab/m").status_code == 200
    assert keeper.asked[-1].header("x-vault-token") == "from-the-file"


def test_logins_of_approles_and_of_kubernetes(make, provider, keeper, tmp_path):
    provider.key, secret_id = canary("provider"), canary("approle")
    keeper.paths["/v1/secret/data/openai"] = lambda r: (200, kv2(key=provider.key)) if r.header("x-vault-token") == "lent" else (403, {})

    def login(request):
        body = request.json()
        good = body in ({"role_id": "r", "secret_id": secret_id}, {"role": "gateway", "jwt": "pod-token"})
        return (200, {"auth": {"client_token": "lent", "lease_duration": 3600}}) if good else (400, {"errors": ["invalid"]})

    keeper.paths["/v1/auth/approle/login"] = keeper.paths["/v1/auth/cluster/login"] = login
    approle = {"vault": {"url": keeper.url, "role_id": "r", "secret_id": secret_id}}
    assert gateway_of(make, provider, "vault:secret/data/openai#key", approle).chat("lab/m").status_code == 200
    pod = tmp_path / "token"
    pod.write_text("pod-token")
    cluster = {"vault": {"url": keeper.url, "kubernetes_role": "gateway", "mount": "cluster", "service_account_file": str(pod)}}
    assert gateway_of(make, provider, "vault:secret/data/openai#key", cluster).chat("lab/m").status_code == 200
    wrong = {"vault": {"url": keeper.url, "role_id": "r", "secret_id": canary("wrong")}}
    gateway = gateway_of(make, provider, "vault:secret/data/openai#key", wrong)
    answer = gateway.chat("lab/m")
    assert answer.status_code == 503 and "Vault: status 400, invalid" in answer.json()["error"]["message"]


def test_a_rotated_key_is_used_soon_and_the_old_one_until_then(make, provider, keeper):
    old, new = canary("old"), canary("new")
    provider.key, kept = old, {"key": old}
    keeper.paths["/v1/secret/data/openai"] = lambda r: (200, kv2(**kept))
    gateway = gateway_of(make, provider, "vault:secret/data/openai#key",
                         {"refresh": "1s", "vault": {"url": keeper.url, "token": "t"}})
    assert gateway.chat("lab/m").status_code == 200
    keeper.works = False
    count = len(keeper.asked)
    wait_until(lambda: len(keeper.asked) > count, "it to be asked again")
    assert gateway.chat("lab/m").status_code == 200      # with the old one, while the keeper is away
    kept["key"] = new
    provider.key = new
    keeper.works = True
    wait_until(lambda: gateway.chat("lab/m").status_code == 200, "the new key to be used")
    assert old not in gateway.stderr() and new not in gateway.stderr()


def test_aws_secrets_manager_is_asked_with_a_signature(make, provider, keeper):
    provider.key = canary("provider")

    def get(request):
        assert request.header("x-amz-target") == "secretsmanager.GetSecretValue"
        assert request.json() == {"SecretId": "prod/openai"}
        own = signature(request, keeper.url.split("//")[1], region="eu-west-1", service="secretsmanager", secret="aws-secret-0123456789")
        if request.header("authorization") != own:
            return 400, {"message": f"wrong signature {own}"}
        return 200, {"Name": "prod/openai", "SecretString": json.dumps({"key": provider.key})}

    keeper.paths["/"] = get
    aws = {"server": keeper.url, "aws": {"region": "eu-west-1", "access_key_id": "AKIAIOSFODNN7EXAMPLE",
                                         "secret_access_key": "aws-secret-0123456789"}}
    gateway = gateway_of(make, provider, "aws-secret:prod/openai#key", aws)
    answer = gateway.chat("lab/m")
    assert answer.status_code == 200, answer.text


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def test_google_secret_manager_s_payload_has_the_right_checksum(make, provider, keeper):
    assert crc32c(b"123456789") == 0xe3069283
    provider.key = canary("provider")
    payload = {"data": base64.b64encode(provider.key.encode()).decode(), "dataCrc32c": str(crc32c(provider.key.encode()))}
    keeper.paths["/computeMetadata/v1/instance/service-accounts/default/token"] = {"access_token": "g-token", "expires_in": 3600}
    keeper.paths["/v1/projects/acme/secrets/openai/versions/latest:access"] = lambda r: (
        (200, {"name": "x", "payload": payload}) if r.header("authorization") == "Bearer g-token" else (401, {}))
    env = {"GCE_METADATA_HOST": keeper.url.split("//")[1]}
    gateway = gateway_of(make, provider, "google-secret:projects/acme/secrets/openai", {"server": keeper.url}, env)
    answer = gateway.chat("lab/m")
    assert answer.status_code == 200, answer.text
    payload["dataCrc32c"] = "1"
    gateway = gateway_of(make, provider, "google-secret:projects/acme/secrets/openai", {"server": keeper.url}, env)
    answer = gateway.chat("lab/m")
    assert answer.status_code == 503 and "checksum" in answer.json()["error"]["message"]


def test_azure_key_vault_is_asked_with_a_token_for_it(make, provider, keeper):
    provider.key = canary("provider")
    keeper.paths["/tenant/oauth2/v2.0/token"] = lambda r: (
        (200, {"access_token": "a-token", "expires_in": 3600}) if b"vault.azure.net" in r.body else (400, {}))
    keeper.paths["/secrets/openai"] = lambda r: (
        (200, {"value": provider.key, "id": "x"}) if r.header("authorization") == "Bearer a-token" else (401, {}))
    entra = {"tenant": "tenant", "client_id": "c", "client_secret": canary("entra"), "token_url": keeper.url}
    gateway = gateway_of(make, provider, "azure-secret:acme/openai", {"server": keeper.url, "entra": entra})
    answer = gateway.chat("lab/m")
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("reference, secrets, words", [
    ("vault:secret/data/openai", {"vault": {"url": "http://127.0.0.1:1", "token": "t"}}, "does not name a whole secret"),
    ("vault:secret/data/openai#key", {}, "Vault's address or token is not known"),
    ("aws-secret:x", {}, "region"),
    ("azure-secret:x", {}, "does not name a whole secret"),
    (["vault:a/b#c", "sk-1234567890"], {"vault": {"url": "http://127.0.0.1:1", "token": "t"}}, "only key"),
])
def test_mistakes_are_found_by_check(make, tmp_path, reference, secrets, words):
    file = tmp_path / "openclaw.yaml"
    file.write_text(json.dumps({"providers": {"lab": {"base_url": "http://127.0.0.1:1/v1", "wire": "openai-chat",
                                                      "api_key": reference}}, "secrets": secrets}))
    done = subprocess.run([process.BIN, "check", "-c", str(file)], capture_output=True, text=True,
                          env=process.environment(**NOWHERE))
    assert done.returncode == 2 and words in done.stdout + done.stderr, done
