"""Credentials of clouds: requests signed for AWS, tokens of Google and Entra ID; fetched, renewed, refused, rotated."""
import base64
import datetime
import json
import re
import subprocess
import time
import urllib.parse
from unittest import mock

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import pytest

from lib import process
from lib.pages import Page
from lib.process import wait_until

CHAT = {"id": "c", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Yes"}}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}
MESSAGE = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "stop_reason": "end_turn",
           "stop_sequence": None, "content": [{"type": "text", "text": "Yes"}],
           "usage": {"input_tokens": 1, "output_tokens": 1}}
KEY_ID, SECRET = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI+K7MDENG+bPxRfiCYEXAMPLEKEY"
HELLO = [{"role": "user", "content": "Hello"}]
# nothing of the machine that runs the tests
NOWHERE = {"HOME": "/nonexistent", "AWS_EC2_METADATA_DISABLED": "true"}


def signature(request, authority, region="eu-central-1", service="bedrock-mantle", secret=SECRET):
    """The Authorization field that botocore gives the same request."""
    token = request.header("x-amz-security-token")
    given = request.header("authorization")
    key_id = given.split("Credential=")[1].split("/")[0]
    signer = botocore.auth.SigV4Auth(botocore.credentials.Credentials(key_id, secret, token), service, region)
    again = botocore.awsrequest.AWSRequest(request.method, f"http://{authority}{request.target}", data=request.body,
                                           headers={name: request.header(name) for name in ("content-type", "x-amz-target")
                                                    if request.header(name)})
    moment = datetime.datetime.strptime(request.header("x-amz-date"), "%Y%m%dT%H%M%SZ")
    with mock.patch("botocore.auth.get_current_datetime", return_value=moment):
        signer.add_auth(again)
    return again.headers["Authorization"]


def provider(conn):
    conn.answer(200, MESSAGE if "anthropic" in conn.request.target or conn.request.target.endswith("/messages") else CHAT)


@pytest.fixture
def cloud(make):
    return make.upstream(provider)


def clouds_gateway(make, providers, env=None, **more):
    return make.gateway({"providers": providers, **more}, plant=False, env={**NOWHERE, **(env or {})})


def aws(cloud, **section):
    return {"base_url": cloud.url + "/v1", "aws": {"region": "eu-central-1", **section}}


# --- AWS: signatures ---

@pytest.mark.parametrize("session", [None, "session-token+of/AWS=="])
def test_requests_have_the_signature_that_botocore_computes(make, cloud, session):
    key = {"access_key_id": KEY_ID, "secret_access_key": SECRET, **({"session_token": session} if session else {})}
    gateway = clouds_gateway(make, {"bedrock-openai": aws(cloud, **key), "bedrock-anthropic": aws(cloud, **key)})
    for model in "bedrock-openai/openai.gpt-oss-120b", "bedrock-anthropic/anthropic.claude-opus-4":
        assert gateway.openai().chat.completions.create(model=model, messages=HELLO).choices[0].message.content == "Yes"
        request = cloud.last_request()
        assert request.header("x-amz-security-token") == session
        assert request.header("authorization") == signature(request, cloud.url.split("//")[1])
    gateway.post("/v1/messages?beta=true&x=%3A%20b&a", {"model": "bedrock-anthropic/c", "max_tokens": 5, "messages": HELLO})
    assert "a" in cloud.last_request().target
    assert cloud.last_request().header("authorization") == signature(cloud.last_request(), cloud.url.split("//")[1])


def test_large_bodies_and_edited_ones_are_signed_as_they_are_sent(make, cloud):
    gateway = clouds_gateway(make, {"bedrock-openai": aws(cloud, access_key_id=KEY_ID, secret_access_key=SECRET)},
                             models={"fast": {"targets": [{"model": "bedrock-openai/m", "params": {"temperature": 0.5}}]}})
    for text in "Grüße", "x" * 3_000_000:
        assert gateway.post("/v1/chat/completions", {
            "top_p": 0.5, "model": "fast", "messages": [{"role": "user", "content": text}]}).status_code == 200
        request = cloud.last_request()
        assert request.json()["temperature"] == 0.5
        assert request.header("authorization") == signature(request, cloud.url.split("//")[1])


def test_a_bedrock_api_key_is_a_bearer_token(make, cloud):
    gateway = clouds_gateway(make, {"bedrock-openai": {**aws(cloud), "api_key": "ABSKQmVkcm9ja0FQSUtleS1leGFtcGxl"}})
    assert gateway.chat("bedrock-openai/m").status_code == 200
    assert cloud.last_request().header("authorization") == "Bearer ABSKQmVkcm9ja0FQSUtleS1leGFtcGxl"


def test_keys_of_the_environment_and_of_profiles(make, cloud, tmp_path):
    gateway = clouds_gateway(make, {"bedrock-openai": {"base_url": cloud.url + "/v1"}}, {
        "AWS_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET})
    assert gateway.chat("bedrock-openai/m").status_code == 200
    assert cloud.last_request().header("authorization") == signature(cloud.last_request(), cloud.url.split("//")[1])
    home = tmp_path / "home"
    (home / ".aws").mkdir(parents=True)
    (home / ".aws" / "credentials").write_text(
        f"# ours\n[default]\naws_access_key_id = AKIDDEFAULT\naws_secret_access_key = no\n\n[gateway]\n"
        f"aws_access_key_id={KEY_ID}\naws_secret_access_key={SECRET}\n")
    (home / ".aws" / "config").write_text("[profile gateway]\nregion = us-west-2\ns3 =\n  region = nowhere\n")
    gateway = clouds_gateway(make, {"bedrock-openai": {"base_url": cloud.url + "/v1", "aws": {"profile": "gateway"}}},
                             {"HOME": str(home)})
    assert gateway.chat("bedrock-openai/m").status_code == 200
    assert "/us-west-2/bedrock-mantle/" in cloud.last_request().header("authorization")
    assert cloud.last_request().header("authorization") == signature(
        cloud.last_request(), cloud.url.split("//")[1], region="us-west-2")


# --- AWS: roles ---

def lent(number, seconds=3600):
    expires = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    return {"Code": "Success", "AccessKeyId": f"ASIALENTKEY{number:04}", "SecretAccessKey": f"lentSecret{number:020}",
            "Token": f"lentSessionToken{number:030}", "Expiration": expires.strftime("%Y-%m-%dT%H:%M:%SZ")}


def instance(conn):
    """IMDSv2: it insists on its token."""
    request = conn.request
    if (request.method, request.target) == ("PUT", "/latest/api/token"):
        assert request.header("x-aws-ec2-metadata-token-ttl-seconds") == "21600"
        conn.answer(200, b"imds-token==", "text/plain")
    elif request.header("x-aws-ec2-metadata-token") != "imds-token==":
        conn.answer(401, b"", "text/plain")
    elif request.target == "/latest/meta-data/iam/security-credentials/":
        conn.answer(200, b"gateway-role\n", "text/plain")
    else:
        assert request.target == "/latest/meta-data/iam/security-credentials/gateway-role"
        conn.answer(200, lent(1))


def container(conn):
    assert conn.request.header("authorization") == "proof-of-the-task"
    conn.answer(200, lent(2))


def sts(conn):
    form = dict(urllib.parse.parse_qsl(conn.request.body.decode()))
    assert form["RoleArn"] == "arn:aws:iam::123456789012:role/gateway"
    if form["Action"] == "AssumeRoleWithWebIdentity":
        assert form["WebIdentityToken"] == "token.of.the-pod"
    else:
        assert form["Action"] == "AssumeRole" and form["ExternalId"] == "ours"
        authority = conn.request.header("host")
        assert conn.request.header("authorization") == signature(conn.request, authority, "eu-central-1", "sts")
    key = lent(3)
    conn.answer(200, f"""<{form["Action"]}Response><{form["Action"]}Result><Credentials>
        <AccessKeyId>{key["AccessKeyId"]}</AccessKeyId><SecretAccessKey>{key["SecretAccessKey"]}</SecretAccessKey>
        <SessionToken>{key["Token"]}</SessionToken><Expiration>{key["Expiration"]}</Expiration></Credentials>
        </{form["Action"]}Result></{form["Action"]}Response>""".encode(), "text/xml")


def of_instance(server, tmp_path):
    return {"token_url": server.url}, {}


def of_container(server, tmp_path):
    return {}, {"AWS_CONTAINER_CREDENTIALS_FULL_URI": server.url + "/creds?a=b",
                "AWS_CONTAINER_AUTHORIZATION_TOKEN": "proof-of-the-task"}


def of_web_identity(server, tmp_path):
    (tmp_path / "token").write_text("token.of.the-pod\n")
    return {"role_arn": "arn:aws:iam::123456789012:role/gateway", "token_url": server.url,
            "web_identity_token_file": str(tmp_path / "token")}, {}


def of_profile(server, tmp_path):
    (tmp_path / "config").write_text(f"""[default]
aws_access_key_id = {KEY_ID}
aws_secret_access_key = {SECRET}
[profile gateway]
role_arn = arn:aws:iam::123456789012:role/gateway
source_profile = default
external_id = ours
""")
    return {"profile": "gateway"}, {"AWS_CONFIG_FILE": str(tmp_path / "config"), "AWS_ENDPOINT_URL_STS": server.url}


@pytest.mark.parametrize("number, handler, settings", [
    (1, instance, of_instance), (2, container, of_container), (3, sts, of_web_identity), (3, sts, of_profile)])
def test_roles_lend_keys(make, cloud, tmp_path, number, handler, settings):
    server = make.upstream(handler)
    section, env = settings(server, tmp_path)
    gateway = clouds_gateway(make, {"bedrock-openai": aws(cloud, **section)}, env)
    assert gateway.chat("bedrock-openai/m").status_code == 200
    request, key = cloud.last_request(), lent(number)
    assert request.header("x-amz-security-token") == key["Token"]
    assert request.header("authorization") == signature(
        request, cloud.url.split("//")[1], secret=key["SecretAccessKey"])
    asked = len(server.requests)
    assert gateway.chat("bedrock-openai/m").status_code == 200
    assert len(server.requests) == asked    # it is kept


# --- Google ---

@pytest.fixture(scope="module")
def rsa_key(tmp_path_factory):
    path = tmp_path_factory.mktemp("rsa") / "key.pem"
    subprocess.run(["openssl", "genrsa", "-out", path, "2048"], check=True, capture_output=True)
    return path


def service_account(tmp_path, rsa_key, token_uri="https://oauth2.googleapis.com/token"):
    path = tmp_path / "account.json"
    path.write_text(json.dumps({
        "type": "service_account", "project_id": "our-project", "private_key_id": "key-1",
        "private_key": rsa_key.read_text(), "client_email": "gateway@our-project.iam.gserviceaccount.com",
        "token_uri": token_uri}))
    return path


class Tokens:
    """An endpoint that gives a new token each time."""

    def __init__(self, make, seconds=3600):
        self.given, self.seconds, self.fail = 0, seconds, None
        self.server = make.upstream(self._answer)
        self.url = self.server.url

    def _answer(self, conn):
        if self.fail is not None:
            conn.answer(*self.fail)
            return
        self.given += 1
        conn.answer(200, {"access_token": self.token(self.given), "expires_in": self.seconds, "token_type": "Bearer"})

    @staticmethod
    def token(number):
        return f"ya29.token-number-{number:05}-of-the-endpoint"


def unpacked(part):
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def verified(token, rsa_key, tmp_path):
    """The header and the claims of a token that openssl accepts."""
    head, claims, signature_part = token.split(".")
    (tmp_path / "signed").write_text(f"{head}.{claims}")
    (tmp_path / "signature").write_bytes(base64.urlsafe_b64decode(signature_part + "=" * (-len(signature_part) % 4)))
    public = subprocess.run(["openssl", "rsa", "-in", rsa_key, "-pubout"], check=True, capture_output=True).stdout
    (tmp_path / "public.pem").write_bytes(public)
    subprocess.run(["openssl", "dgst", "-sha256", "-verify", tmp_path / "public.pem", "-signature",
                    tmp_path / "signature", tmp_path / "signed"], check=True, capture_output=True)
    return unpacked(head), unpacked(claims)


def test_a_service_account_signs_for_its_token(make, cloud, tmp_path, rsa_key):
    tokens = Tokens(make)
    path = service_account(tmp_path, rsa_key, tokens.url + "/token")
    gateway = clouds_gateway(make, {"vertex-anthropic": {"base_url": cloud.url, "google": {
        "credentials": str(path), "location": "europe-west1"}}})
    answer = gateway.anthropic().messages.create(
        model="vertex-anthropic/claude-sonnet-4@20250514", max_tokens=5, messages=HELLO)
    assert answer.content[0].text == "Yes"
    request = cloud.last_request()
    assert request.target == ("/v1/projects/our-project/locations/europe-west1/publishers/anthropic/models/"
                              "claude-sonnet-4%4020250514:rawPredict")
    assert request.header("authorization") == "Bearer " + Tokens.token(1)
    assert request.json() == {"anthropic_version": "vertex-2023-10-16", "max_tokens": 5, "messages": HELLO}
    form = dict(urllib.parse.parse_qsl(tokens.server.last_request().body.decode()))
    assert form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
    head, claims = verified(form["assertion"], rsa_key, tmp_path)
    assert head == {"alg": "RS256", "typ": "JWT", "kid": "key-1"}
    assert claims["iss"] == "gateway@our-project.iam.gserviceaccount.com" and claims["aud"] == tokens.url + "/token"
    assert claims["scope"] == "https://www.googleapis.com/auth/cloud-platform"
    assert claims["exp"] - claims["iat"] == 3600 and abs(claims["iat"] - time.time()) < 60
    assert gateway.chat("vertex-anthropic/claude-sonnet-4@20250514").status_code == 200    # translated
    body = cloud.last_request().json()
    assert body["anthropic_version"] == "vertex-2023-10-16" and "model" not in body
    gateway.post("/v1/messages", {"model": "vertex-anthropic/c", "stream": True, "max_tokens": 5, "messages": HELLO})
    assert cloud.last_request().target.endswith("/models/c:streamRawPredict")
    gateway.post("/v1/messages/count_tokens", {"model": "vertex-anthropic/c", "messages": HELLO})
    assert cloud.last_request().target.endswith("/publishers/anthropic/models/count-tokens:rawPredict")
    assert cloud.last_request().json()["model"] == "c"
    assert tokens.given == 1


def test_gemini_on_vertex(make, tmp_path, rsa_key):
    answer = {"candidates": [{"index": 0, "finishReason": "STOP",
                              "content": {"role": "model", "parts": [{"text": "Yes"}]}}],
              "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2}}
    cloud, tokens = make.upstream(lambda conn: conn.answer(200, answer)), Tokens(make)
    gateway = clouds_gateway(make, {"vertex": {"base_url": cloud.url, "google": {
        "credentials": str(service_account(tmp_path, rsa_key)), "token_url": tokens.url}}})
    said = gateway.openai().chat.completions.create(model="vertex/gemini-2.5-pro", messages=HELLO)
    assert said.choices[0].message.content == "Yes"
    request = cloud.last_request()
    assert request.target == ("/v1/projects/our-project/locations/global/publishers/google/models/"
                              "gemini-2.5-pro:generateContent")
    assert request.header("authorization") == "Bearer " + Tokens.token(1) and "model" not in request.json()


def test_a_user_s_key_file_and_the_metadata_server(make, cloud, tmp_path):
    tokens = Tokens(make)
    path = tmp_path / "user.json"
    path.write_text(json.dumps({"type": "authorized_user", "client_id": "id&1", "client_secret": "s",
                                "refresh_token": "1//refresh"}))
    google = {"project": "p", "location": "us-central1", "token_url": tokens.url + "/token"}
    gateway = clouds_gateway(make, {"vertex-openai": {"base_url": cloud.url, "google": {
        **google, "credentials": str(path)}}})
    assert gateway.chat("vertex-openai/meta/llama-4").status_code == 200
    assert cloud.last_request().target == "/v1/projects/p/locations/us-central1/endpoints/openapi/chat/completions"
    assert cloud.last_request().json()["model"] == "meta/llama-4"
    assert dict(urllib.parse.parse_qsl(tokens.server.last_request().body.decode())) == {
        "grant_type": "refresh_token", "client_id": "id&1", "client_secret": "s", "refresh_token": "1//refresh"}
    gateway = clouds_gateway(make, {"vertex-openai": {"base_url": cloud.url, "google": {"project": "p"}}},
                             {"GCE_METADATA_HOST": tokens.url.split("//")[1]})
    assert gateway.chat("vertex-openai/meta/llama-4").status_code == 200
    assert "/locations/global/" in cloud.last_request().target
    asked = tokens.server.last_request()
    assert asked.target == "/computeMetadata/v1/instance/service-accounts/default/token"
    assert asked.header("metadata-flavor") == "Google"


# --- Azure ---

def test_a_client_of_entra_and_managed_identities(make, cloud, tmp_path):
    tokens = Tokens(make)
    azure = {"base_url": cloud.url}
    gateway = clouds_gateway(make, {"azure": {**azure, "entra": {
        "tenant": "our-tenant", "client_id": "client", "client_secret": "secret&of=client", "token_url": tokens.url}}})
    assert gateway.chat("azure/small").status_code == 200
    assert cloud.last_request().header("authorization") == "Bearer " + Tokens.token(1)
    assert cloud.last_request().header("api-key") is None
    assert tokens.server.last_request().target == "/our-tenant/oauth2/v2.0/token"
    assert dict(urllib.parse.parse_qsl(tokens.server.last_request().body.decode())) == {
        "grant_type": "client_credentials", "client_id": "client", "client_secret": "secret&of=client",
        "scope": "https://cognitiveservices.azure.com/.default"}
    (tmp_path / "token").write_text("token.of.the-pod")
    gateway = clouds_gateway(make, {"azure": {**azure, "entra": {"token_url": tokens.url}}}, {
        "AZURE_TENANT_ID": "t", "AZURE_CLIENT_ID": "c", "AZURE_FEDERATED_TOKEN_FILE": str(tmp_path / "token")})
    assert gateway.chat("azure/small").status_code == 200
    form = dict(urllib.parse.parse_qsl(tokens.server.last_request().body.decode()))
    assert form["client_assertion"] == "token.of.the-pod" and "client_secret" not in form
    gateway = clouds_gateway(make, {"azure": {**azure, "entra": {"managed": True, "token_url": tokens.url}}})
    assert gateway.chat("azure/small").status_code == 200
    asked = tokens.server.last_request()
    assert asked.header("metadata") == "true"
    assert asked.target == ("/metadata/identity/oauth2/token?api-version=2018-02-01&"
                            "resource=https%3A%2F%2Fcognitiveservices.azure.com")
    gateway = clouds_gateway(make, {"azure": {**azure, "entra": {}}}, {
        "IDENTITY_ENDPOINT": tokens.url + "/msi/token", "IDENTITY_HEADER": "proof-of-the-app"})
    assert gateway.chat("azure/small").status_code == 200
    asked = tokens.server.last_request()
    assert asked.header("x-identity-header") == "proof-of-the-app" and asked.target.startswith("/msi/token?api-version=2019")


# --- tokens come, go and fail ---

def google_section(cloud, tokens, path):
    return {"vertex-openai": {"base_url": cloud.url, "google": {
        "project": "p", "credentials": str(path), "token_url": tokens.url}}}


def test_tokens_are_renewed_before_they_expire_while_nobody_asks(make, cloud, tmp_path, rsa_key):
    tokens = Tokens(make, seconds=4)
    gateway = clouds_gateway(make, google_section(cloud, tokens, service_account(tmp_path, rsa_key)))
    wait_until(lambda: tokens.given >= 2, "a second token")
    before = tokens.given
    assert gateway.chat("vertex-openai/a/b").status_code == 200
    sent = cloud.last_request().header("authorization")
    assert sent in {"Bearer " + Tokens.token(n) for n in range(before, before + 3)}


def test_one_token_serves_all_workers_and_survives_a_reload(make, cloud, tmp_path, rsa_key):
    tokens = Tokens(make)
    gateway = clouds_gateway(make, google_section(cloud, tokens, service_account(tmp_path, rsa_key)))
    for _ in range(6):
        with gateway.http() as client:
            assert client.post("/v1/chat/completions", json={"model": "vertex-openai/a/b", "messages": HELLO}).status_code == 200
    gateway.reload()
    assert gateway.chat("vertex-openai/a/b").status_code == 200
    assert tokens.given == 1


def test_who_is_refused_a_token_is_told_why_and_recovers(make, cloud, tmp_path, rsa_key):
    tokens = Tokens(make)
    tokens.fail = (400, {"error": "invalid_grant", "error_description": "Invalid JWT Signature."})
    gateway = clouds_gateway(make, google_section(cloud, tokens, service_account(tmp_path, rsa_key)))
    answer = gateway.chat("vertex-openai/a/b")
    assert answer.status_code == 503
    error = answer.json()["error"]
    assert error["code"] == "no_credentials"
    assert "Google's token endpoint: status 400, invalid_grant: Invalid JWT Signature." in error["message"]
    assert cloud.requests == []
    tokens.fail = None
    wait_until(lambda: gateway.chat("vertex-openai/a/b").status_code == 200, "a token")


def test_the_next_target_answers_when_there_are_no_credentials(make, cloud, tmp_path, rsa_key):
    tokens = Tokens(make)
    tokens.fail = (500, b"broken", "text/plain")
    providers = google_section(cloud, tokens, service_account(tmp_path, rsa_key))
    providers["lab"] = {"wire": "openai-chat", "base_url": cloud.url + "/v1"}
    gateway = clouds_gateway(make, providers, models={"fast": {"targets": ["vertex-openai/a/b", "lab/m"]}})
    answer = gateway.chat("fast")
    assert answer.status_code == 200 and answer.headers["x-openclaw-provider"] == "lab"


def test_an_endpoint_that_cannot_be_reached_is_named(make, cloud, tmp_path):
    gateway = clouds_gateway(make, {"bedrock-openai": aws(cloud, token_url="http://127.0.0.1:1")})
    answer = gateway.chat("bedrock-openai/m")
    assert answer.status_code == 503 and "the instance metadata service (IMDSv2)" in answer.json()["error"]["message"]


def test_fetched_tokens_are_not_shown(make, tmp_path, rsa_key):
    tokens = Tokens(make)
    echo = make.upstream(lambda conn: conn.answer(400, {"error": {
        "message": "refused: " + conn.request.header("authorization"), "type": "invalid_request_error"}}))
    gateway = clouds_gateway(make, google_section(echo, tokens, service_account(tmp_path, rsa_key)))
    answer = gateway.chat("vertex-openai/a/b")
    assert answer.status_code == 400 and "ya29" not in answer.text
    assert "ya29" not in gateway.program.stderr()

# --- the page ---

@pytest.mark.parametrize("number", range(len(Page("docs/clouds.md").blocks("yaml"))))
def test_each_example_of_the_page_is_a_valid_configuration(tmp_path, rsa_key, number):
    text = Page("docs/clouds.md").blocks("yaml")[number]
    for path in re.findall(r"(/(?:etc|var)/\S+)", text):
        text = text.replace(path, str(service_account(tmp_path, rsa_key)))
    (tmp_path / "openclaw.yaml").write_text(text)
    env = process.environment(**NOWHERE, BEDROCK_SECRET_KEY=SECRET, AZURE_CLIENT_SECRET="secret-of-the-client",
                              AWS_BEARER_TOKEN_BEDROCK="ABSKQmVkcm9ja0FQSUtleS1leGFtcGxl",
                              AZURE_OPENAI_API_KEY="key-of-the-resource")
    done = subprocess.run([process.BIN, "check", "-c", tmp_path / "openclaw.yaml"], env=env, capture_output=True,
                          text=True, timeout=60)
    assert done.returncode == 0 and "warning" not in done.stdout + done.stderr, done.stdout + done.stderr
