"""Tokens of issuers (JWT, OpenID Connect): who is admitted as whom, what is refused, and keys that change."""
import base64
import hashlib
import hmac
import json
import subprocess
import threading
import time

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils

from lib import process
from lib.process import canary, wait_until

HELLO = [{"role": "user", "content": "Hello"}]


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(n, size):
    return b64(n.to_bytes(size, "big"))


class Key:
    """A signing key of an issuer, with the JWK that it publishes."""

    def __init__(self, alg, kid, bits=2048):
        self.alg, self.kid = alg, kid
        if alg[:2] in ("RS", "PS"):
            self.key = rsa.generate_private_key(65537, bits)
            n = self.key.public_key().public_numbers()
            self.jwk = {"kty": "RSA", "n": number(n.n, bits // 8), "e": number(n.e, 3)}
        elif alg == "EdDSA":
            self.key = ed25519.Ed25519PrivateKey.generate()
            self.jwk = {"kty": "OKP", "crv": "Ed25519", "x": b64(self.key.public_key().public_bytes_raw())}
        else:
            self.size = {"ES256": 32, "ES384": 48}[alg]
            self.key = ec.generate_private_key({"ES256": ec.SECP256R1, "ES384": ec.SECP384R1}[alg]())
            n = self.key.public_key().public_numbers()
            self.jwk = {"kty": "EC", "crv": {"ES256": "P-256", "ES384": "P-384"}[alg],
                        "x": number(n.x, self.size), "y": number(n.y, self.size)}
        self.jwk.update(kid=kid, use="sig", alg=alg)

    def sign(self, text, alg=None):
        alg = alg or self.alg
        if alg == "EdDSA":
            return self.key.sign(text)
        digest = {"256": hashes.SHA256, "384": hashes.SHA384, "512": hashes.SHA512}[alg[2:]]()
        if alg.startswith("RS"):
            return self.key.sign(text, padding.PKCS1v15(), digest)
        if alg.startswith("PS"):
            return self.key.sign(text, padding.PSS(padding.MGF1(digest), digest.digest_size), digest)
        r, s = utils.decode_dss_signature(self.key.sign(text, ec.ECDSA(digest)))
        return r.to_bytes(self.size, "big") + s.to_bytes(self.size, "big")


ALGORITHMS = ["RS256", "PS256", "ES256", "EdDSA", "RS384", "RS512", "PS384", "PS512", "ES384"]
KEYS = {alg: Key(alg, f"k-{alg}") for alg in ALGORITHMS}


def raw_token(header, claims, key, signature=None):
    text = f"{b64(header if isinstance(header, bytes) else json.dumps(header).encode())}." \
           f"{b64(claims if isinstance(claims, bytes) else json.dumps(claims).encode())}"
    return f"{text}.{b64(key.sign(text.encode()) if signature is None else signature)}"


class Issuer:
    """An OpenID provider: its discovery document and its keys."""

    def __init__(self, make, keys):
        self.keys, self.asked, self.works = keys, [], True
        self.lock = threading.Lock()
        self.server = make.upstream(self.answer)
        self.url = self.server.url

    def answer(self, conn):
        with self.lock:
            self.asked.append(conn.request.target)
        if not self.works:
            conn.answer(503, {})
        elif conn.request.target == "/.well-known/openid-configuration":
            conn.answer(200, {"issuer": self.url, "jwks_uri": self.url + "/keys"})
        elif conn.request.target == "/keys":
            conn.answer(200, {"keys": [k.jwk for k in self.keys]})
        else:
            conn.answer(404, {})

    def times(self, target="/keys"):
        with self.lock:
            return self.asked.count(target)

    def claims(self, **more):
        now = int(time.time())
        claims = {"iss": self.url, "aud": "openclaw", "sub": "ada", "iat": now, "exp": now + 600, **more}
        return {k: v for k, v in claims.items() if v is not None}

    def token(self, key=None, header=None, **claims):
        key = key or self.keys[0]
        return raw_token({"alg": key.alg, "kid": key.kid, "typ": "JWT", **(header or {})}, self.claims(**claims), key)


@pytest.fixture
def mock(make):
    return make.mock()


@pytest.fixture
def issuer(make):
    return Issuer(make, [KEYS[alg] for alg in ALGORITHMS])


def config_of(mock, issuer, keys=(), **more):
    section = {"issuer": issuer.url, "audience": ["openclaw", "https://gateway.example.com"], "algorithms": ALGORITHMS,
               "rules": [{"user": "{sub}"}], **more}
    return {"providers": {"lab": mock.provider()}, "auth": {"keys": list(keys), "issuers": [section]}}


def gateway_of(make, mock, issuer, **more):
    return make.gateway(config_of(mock, issuer, **more), workers=1)


def ask(gateway, token, model="lab/m"):
    return gateway.post("/v1/chat/completions", {"model": model, "messages": HELLO},
                        headers={"Authorization": f"Bearer {token}"})


def refused(answer, words, status=401):
    assert answer.status_code == status, answer.text
    assert words in answer.json()["error"]["message"], answer.text
    return True


# --- who is admitted ---

@pytest.mark.parametrize("alg", ALGORITHMS)
def test_tokens_of_each_algorithm_are_admitted(make, mock, issuer, alg):
    gateway = gateway_of(make, mock, issuer)
    token = issuer.token(KEYS[alg])
    for _ in range(3):
        assert ask(gateway, token).status_code == 200
    head, claims, signature = token.split(".")
    changed = b64(bytes([base64.urlsafe_b64decode(signature + "==")[0] ^ 1]) +
                  base64.urlsafe_b64decode(signature + "==")[1:])
    assert refused(ask(gateway, f"{head}.{claims}.{changed}"), "signature is wrong")
    other = b64(json.dumps(issuer.claims(sub="eve")).encode())
    assert refused(ask(gateway, f"{head}.{other}.{signature}"), "signature is wrong")
    assert issuer.times() == 1
    assert token.split(".")[2] not in gateway.stderr()


def test_keys_and_tokens_are_accepted_side_by_side(make, mock, issuer):
    secret = canary("client")
    gateway = gateway_of(make, mock, issuer, keys=[{"name": "ci", "key": secret}])
    assert ask(gateway, secret).status_code == 200
    assert ask(gateway, issuer.token()).status_code == 200
    assert ask(gateway, "no-such-key-0123456789").status_code == 401
    assert gateway.openai(api_key=issuer.token()).chat.completions.create(model="lab/m", messages=HELLO).choices
    assert gateway.anthropic(auth_token=issuer.token(), api_key=None).messages.create(
        model="lab/m", max_tokens=50, messages=HELLO).content


def test_rules_say_what_a_token_stands_for(make, mock, issuer):
    rules = [
        {"when": {"groups": "ml-*", "email_verified": True}, "team": "{groups_of.main}", "user": "{email}", "models": ["lab/small"]},
        {"when": {"scope": ["batch", "nightly"]}, "team": "night", "models": ["lab/m"], "tags": ["cost-center=42"]},
        {"when": {"realm_access.roles": "admin", "level": 3}, "user": "root"},
        {"when": {"https://example.com/tenant": "acme"}, "organisation": "acme"},
        {"when": {"lost": "*"}, "team": "{nowhere}"},
    ]
    gateway = gateway_of(make, mock, issuer, rules=rules, name="email")
    small = issuer.token(groups=["sales", "ml-vision"], email_verified=True, email="ada@example.com", groups_of={"main": "vision"})
    answer = ask(gateway, small, "lab/small")
    assert answer.status_code == 200
    assert gateway.access_of(answer)["key"] == "ada@example.com"
    assert refused(ask(gateway, small, "lab/m"), "may not use the model", 403)
    assert ask(gateway, issuer.token(scope="openid nightly")).status_code == 200
    assert ask(gateway, issuer.token(realm_access={"roles": ["user", "admin"]}, level=3)).status_code == 200
    assert ask(gateway, issuer.token(**{"https://example.com/tenant": "acme"})).status_code == 200
    for claims in [{}, {"groups": ["ml-vision"]}, {"groups": "xml-", "email_verified": True}, {"scope": "batchx"},
                   {"realm_access": {"roles": ["admin"]}, "level": "3"}, {"realm_access": {"roles": "administrator"}, "level": 3},
                   {"groups": ["ml-vision"], "email_verified": "true"}]:
        assert refused(ask(gateway, issuer.token(**claims)), "no rule", 403), claims
    assert refused(ask(gateway, issuer.token(lost="x")), "no claim 'nowhere'", 403)
    posing = issuer.token(groups=["ml-x"], email_verified=True, email="user_0123456789abcdef", groups_of={"main": "x"})
    assert refused(ask(gateway, posing, "lab/small"), "no claim 'email'", 403)      # it is an id of the store
    assert refused(ask(gateway, issuer.token(groups=["ml-x"], email_verified=True, email="a\nb", groups_of={"main": "x"}),
                       "lab/small"), "no claim 'email'", 403)


def test_denied_callers_and_tokens_are_refused(make, mock, issuer):
    gateway = gateway_of(make, mock, issuer, denied=["token-7", "eve"])
    assert ask(gateway, issuer.token(jti="token-8")).status_code == 200
    assert refused(ask(gateway, issuer.token(jti="token-7")), "revoked")
    assert refused(ask(gateway, issuer.token(sub="eve")), "revoked")
    good = issuer.token(jti="token-8")
    gateway.reload(config_of(mock, issuer, denied=["token-8"]))
    assert refused(ask(gateway, good), "revoked")      # although it was known already


# --- what is refused ---

def attacks(issuer):
    now, rs = int(time.time()), KEYS["RS256"]
    public = json.dumps(rs.jwk).encode()
    head = {"alg": "RS256", "kid": rs.kid, "typ": "JWT"}
    good = issuer.claims()
    text = json.dumps(good).encode()
    stranger = Key("RS256", rs.kid)
    confused = f"{b64(json.dumps({**head, 'alg': 'HS256'}).encode())}.{b64(text)}"
    es = {"alg": "ES256", "kid": KEYS["ES256"].kid}
    yield "none", raw_token({"alg": "none", "typ": "JWT"}, good, rs, b"x"), "algorithm"
    yield "none without a signature", raw_token({"alg": "none"}, good, rs, b""), "parts"
    yield "NONE", raw_token({"alg": "nOnE"}, good, rs, b"x"), "algorithm"
    yield "RS to HS", f"{confused}.{b64(hmac.new(public, confused.encode(), hashlib.sha256).digest())}", "algorithm"
    yield "no algorithm", raw_token({"kid": rs.kid}, good, rs), "algorithm"
    yield "algorithm of another key", raw_token({**head, "alg": "ES256"}, good, rs), "key that its issuer"
    yield "another's key of that id", raw_token(head, good, stranger), "signature"
    yield "key in the token", raw_token({**head, "kid": "x", "jwk": stranger.jwk}, good, stranger), "key that its issuer"
    yield "key elsewhere", raw_token({**head, "kid": "x", "jku": "http://127.0.0.1:1/", "x5u": "http://127.0.0.1:1/"}, good,
                                     stranger), "key that its issuer"
    yield "hostile kid", raw_token({**head, "kid": "../../etc/passwd' OR 1=1 --"}, good, rs), "key that its issuer"
    yield "kid that is no text", raw_token({**head, "kid": {"x": 1}}, good, rs), "not a text"
    yield "crit", raw_token({**head, "crit": ["exp"]}, good, rs), "crit"
    yield "crit of nothing", raw_token({**head, "b64": False, "crit": ["b64"]}, good, rs), "crit"
    yield "type of another token", raw_token({**head, "typ": "logout+jwt"}, good, rs), "typ"
    yield "zero signature", raw_token(es, good, rs, bytes(64)), "signature"
    yield "short signature", raw_token(es, good, rs, bytes(63)), "signature"
    yield "DER signature", raw_token(es, good, rs, KEYS["ES256"].key.sign(b"x", ec.ECDSA(hashes.SHA256()))), "signature"
    yield "issuer", issuer.token(iss=issuer.url + "/"), "issuer"
    yield "no issuer", issuer.token(iss=None), "issuer"
    yield "audience", issuer.token(aud="another"), "aud"
    yield "audiences", issuer.token(aud=["another", ["openclaw"], "openclaw "]), "aud"
    yield "no audience", issuer.token(aud=None), "aud"
    yield "expired", issuer.token(exp=now - 61), "expired"
    yield "never expires", issuer.token(exp=None), "exp"
    yield "expires at a text", issuer.token(exp=str(now + 60)), "malformed"
    yield "expires too far off", issuer.token(exp=1e300), "malformed"
    yield "negative time", issuer.token(nbf=-5), "malformed"
    yield "not yet", issuer.token(nbf=now + 90), "not valid yet"
    yield "issued later", issuer.token(iat=now + 90), "not valid yet"
    yield "nobody's", issuer.token(sub=None), "sub"
    yield "sub twice", raw_token(head, text.replace(b'"sub"', b'"sub": "root", "sub"'), rs), "JSON objects"
    yield "alg twice", raw_token(b'{"alg":"none","alg":"RS256","kid":"k-RS256"}', good, rs), "JSON objects"
    yield "oversize", issuer.token(pad="x" * 9000), "longer than"
    yield "deep", raw_token(head, b'{"a":' * 40 + b"1" + b"}" * 40, rs), "JSON objects"
    yield "no object", raw_token(head, b'["a"]', rs), "JSON objects"
    yield "not UTF-8", raw_token(head, text.replace(b"ada", b"\xff\xfe"), rs), "JSON objects"
    yield "padding", raw_token(head, good, rs) + "=", "parts"
    yield "standard alphabet", raw_token(head, good, rs, b"\xfb\xff\xfe" * 80).replace("-", "+").replace("_", "/"), "parts"


def test_attacks_are_refused(make, mock, issuer):
    gateway = make.gateway({**config_of(mock, issuer), "server": {"limits": {"wrong_keys": 0}}}, workers=1)
    count = 0
    for name, token, words in attacks(issuer):
        assert refused(ask(gateway, token), words), name
        count += 1
    assert count > 35 and ask(gateway, issuer.token()).status_code == 200
    assert ask(gateway, issuer.token(exp=int(time.time()) - 5)).status_code == 200      # the clocks may differ


def test_keys_that_are_weak_or_for_something_else_are_not_used(make, mock):
    weak, signs, other = Key("RS256", "weak", bits=1024), Key("RS256", "enc"), KEYS["ES256"]
    signs.jwk["use"] = "enc"
    off_curve = dict(other.jwk, kid="off", y=other.jwk["x"])
    issuer = Issuer(make, [weak, signs, other])
    holder = type("K", (), {"jwk": off_curve})
    issuer.keys.append(holder)
    gateway = gateway_of(make, mock, issuer)
    assert refused(ask(gateway, issuer.token(weak)), "key that its issuer does not have")
    assert refused(ask(gateway, issuer.token(signs)), "key that its issuer does not have")
    assert refused(ask(gateway, raw_token({"alg": "ES256", "kid": "off"}, issuer.claims(), other)), "key that its issuer")
    assert ask(gateway, issuer.token(other)).status_code == 200


def test_an_algorithm_must_be_allowed(make, mock, issuer):
    gateway = gateway_of(make, mock, issuer, algorithms=["ES256"])
    assert ask(gateway, issuer.token(KEYS["ES256"])).status_code == 200
    assert refused(ask(gateway, issuer.token(KEYS["RS256"])), "algorithm")


def test_a_stream_of_wrong_tokens_is_throttled_and_good_ones_are_not(make, mock, issuer):
    config = config_of(mock, issuer)
    gateway = make.gateway({**config, "server": {"limits": {"wrong_keys": 5}}}, workers=1)
    last = [ask(gateway, issuer.token(aud="x", jti=str(i))).status_code for i in range(8)]
    assert last[0] == 401 and last[-1] == 429
    assert ask(gateway, issuer.token()).status_code == 200


# --- keys that change ---

def test_a_new_key_is_asked_for_once_and_a_withdrawn_one_is_refused(make, mock, issuer):
    gateway = gateway_of(make, mock, issuer)
    old, new = issuer.token(KEYS["RS256"]), Key("ES256", "fresh")
    assert ask(gateway, old).status_code == 200 and issuer.times() == 1
    strange = issuer.token(Key("ES256", "strange"))
    assert refused(ask(gateway, strange), "key that its issuer does not have")
    assert issuer.times() == 1      # it was asked just now
    issuer.keys = [new]
    gateway2 = gateway_of(make, mock, issuer)
    assert ask(gateway2, issuer.token(new)).status_code == 200
    assert refused(ask(gateway2, old), "key that its issuer does not have")


def test_an_issuer_that_is_away_stops_nobody_whose_key_is_known(make, mock, issuer):
    issuer.works = False
    gateway = gateway_of(make, mock, issuer)
    answer = ask(gateway, issuer.token())
    assert answer.status_code == 503 and "could not be fetched: it answered with status 503" in answer.json()["error"]["message"]
    issuer.works = True
    wait_until(lambda: ask(gateway, issuer.token()).status_code == 200, "its keys to be known")
    issuer.works = False
    assert ask(gateway, issuer.token(jti="another")).status_code == 200


def test_many_that_come_at_once_wait_for_one_answer(make, mock, issuer):
    gateway = make.gateway(config_of(mock, issuer), workers=2)
    statuses = []
    threads = [threading.Thread(target=lambda i=i: statuses.append(ask(gateway, issuer.token(jti=str(i))).status_code))
               for i in range(20)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert statuses == [200] * 20 and issuer.times() == 1 and issuer.times("/.well-known/openid-configuration") == 1


def test_keys_may_be_in_a_file(make, mock, tmp_path):
    file = tmp_path / "keys.json"
    file.write_text(json.dumps({"keys": [KEYS["EdDSA"].jwk]}))
    issuer = type("Named", (), {"url": "kubernetes/serviceaccount"})
    gateway = gateway_of(make, mock, issuer, jwks_file=str(file))
    now = int(time.time())
    claims = {"iss": issuer.url, "aud": ["openclaw"], "sub": "job", "exp": now + 60}
    assert ask(gateway, raw_token({"alg": "EdDSA"}, claims, KEYS["EdDSA"])).status_code == 200
    file.write_text(json.dumps({"keys": [KEYS["ES256"].jwk]}))
    wait_until(lambda: ask(gateway, raw_token({"alg": "ES256"}, claims, KEYS["ES256"])).status_code == 200, "the new file")
    assert ask(gateway, raw_token({"alg": "EdDSA"}, claims, KEYS["EdDSA"])).status_code == 401


# --- the configuration ---

@pytest.mark.parametrize("change, words", [
    ({"rules": []}, "rules' is missing"),
    ({"audience": []}, "audience"),
    ({"algorithms": ["HS256"]}, "HS256' is not an algorithm"),
    ({"rules": [{"team": "{x"}]}, "not the beginning of a {claim}"),
    ({"rules": [{"when": {"a": {"b": 1}}}]}, "must be compared with"),
    ({"jwks_file": "/nonexistent/keys"}, "cannot be read"),
    ({"leeway": "61s"}, "leeway"),
])
def test_mistakes_are_found_by_check(make, mock, issuer, tmp_path, change, words):
    file = tmp_path / "openclaw.yaml"
    file.write_text(json.dumps(config_of(mock, issuer, **change)))
    done = subprocess.run([process.BIN, "check", "-c", str(file)], capture_output=True, text=True,
                          env=process.environment())
    assert done.returncode == 2 and words in done.stdout + done.stderr, done


def test_a_name_that_is_no_url_needs_its_keys(mock, tmp_path):
    file = tmp_path / "openclaw.yaml"
    file.write_text(json.dumps(config_of(mock, type("Named", (), {"url": "name"}))))
    done = subprocess.run([process.BIN, "check", "-c", str(file)], capture_output=True, text=True,
                          env=process.environment())
    assert done.returncode == 2 and "'name' is not a URL" in done.stdout + done.stderr, done
