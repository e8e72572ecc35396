"""Keys of the store: made, used, limited, rotated and revoked while the gateway runs, in one process and in two."""
import hashlib
import itertools
import json
import re
import sqlite3
import threading

import httpx
import pytest

from lib.admin import AdminApi
from lib.process import PATIENCE, wait_until

PEPPER = "a-pepper-that-both-gateways-have"
CHAT = {"model": "lab/m", "messages": [{"role": "user", "content": "Hello"}]}
MESSAGES = {"model": "lab/m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hello"}]}


@pytest.fixture
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("k")    # short: a socket's path has at most 107 bytes


def gateway_with(make, place, name="a", auth=None, workers=2, **more):
    """A gateway that takes keys of the store alone, and its admin API."""
    providers = {p: make.mock(name=f"mock-{name}-{p}").provider() for p in more.pop("providers", ["lab"])}
    config = {"providers": providers, "server": {"admin_socket": str(place / f"{name}.sock")},
              "auth": {"mode": "keys", "pepper": PEPPER, **(auth or {})},
              "store": {"url": f"sqlite:{place / 'store.db'}"}, **more}
    gateway = make.gateway(config, workers=workers)
    return gateway, AdminApi(socket=place / f"{name}.sock")


def send(gateway, key, path="/v1/chat/completions", body=None, method="POST", client=httpx, **fields):
    return client.request(method, gateway.url + path, json=body or CHAT if method == "POST" else None, timeout=PATIENCE,
                          headers={"Authorization": f"Bearer {key}", **{k.replace("_", "-"): v for k, v in fields.items()}})


def status(gateway, key, **more):
    return send(gateway, key, **more).status_code


def stored_bytes(place):
    return b"".join(f.read_bytes() for f in place.iterdir() if f.name.startswith("store.db"))


def test_a_key_is_shown_once_and_only_its_digest_is_kept(make, place):
    gateway, api = gateway_with(make, place)
    made = api.made("keys", name="ci")
    key = made["key"]
    assert re.fullmatch(r"oc_key_[0-9A-Za-z]{28}", key) and made["hint"] == "oc_key_..." + key[-4:]
    assert status(gateway, key) == 200
    assert "key" not in api.read(f"keys/{made['id']}") and key not in json.dumps(api.read("keys"))
    own = api.made("keys", name="own", key="a-key-of-our-own-choice")
    assert status(gateway, "a-key-of-our-own-choice") == 200 and own["hint"] == "...oice"
    foreign = "sk-litellm-0123456789"
    api.made("keys", name="imported", sha256=hashlib.sha256(foreign.encode()).hexdigest())
    assert status(gateway, foreign) == 200
    gateway.close()    # when keys were used last is written once a minute, and at the end
    rows = dict(sqlite3.connect(place / "store.db").execute("SELECT name, last_used_at FROM keys"))
    assert all(rows[name] >= 1_600_000_000_000 for name in ("ci", "own", "imported")), rows
    dump = "\n".join(sqlite3.connect(place / "store.db").iterdump()).encode() + stored_bytes(place)
    for secret in (key, "a-key-of-our-own-choice", foreign):
        assert secret.encode() not in dump and hashlib.sha256(secret.encode()).hexdigest().encode() not in dump
        assert secret[7:-6].encode() not in dump
        assert secret not in gateway.stderr() and secret not in gateway.access_path.read_text()


def test_unknown_revoked_expired_and_malformed_keys_get_the_same_answer(make, place):
    gateway, api = gateway_with(make, place)
    revoked, off = api.made("keys", name="a"), api.made("keys", name="b")
    good = api.made("keys", name="c")["key"]
    assert [status(gateway, k["key"]) for k in (revoked, off)] == [200, 200]
    assert api.ask("POST", f"keys/{revoked['id']}/revoke").status_code == 200
    api.changed(f"keys/{off['id']}", disabled=True)
    unknown = good[:-7] + ("a" if good[-7] != "a" else "b") + good[-6:]
    answers = [send(gateway, key) for key in (revoked["key"], off["key"], unknown, good[:-1], "nonsense", good + "x")]
    assert {a.status_code for a in answers} == {401}
    bodies = {re.sub(re.escape(a.headers["x-request-id"]), "", a.text) for a in answers}
    assert len(bodies) == 1, bodies
    assert len({tuple(sorted(set(a.headers) - {"connection"})) for a in answers}) == 1    # whose body was not read yet: close
    api.changed(f"keys/{off['id']}", disabled=False)
    assert status(gateway, off["key"]) == 200


def test_after_a_rotation_both_secrets_work_until_the_overlap_ends(make, place):
    gateway, api = gateway_with(make, place)
    made = api.made("keys", name="ci")
    rotated = api.ask("POST", f"keys/{made['id']}/rotate").json()
    assert rotated["id"] == made["id"] and rotated["key"] != made["key"] and rotated["old_until"]
    assert [status(gateway, k["key"]) for k in (made, rotated)] == [200, 200]
    again = api.ask("POST", f"keys/{made['id']}/rotate", {"overlap": "1s"}).json()
    assert status(gateway, made["key"]) == 401    # only the last one has an overlap
    assert status(gateway, again["key"]) == 200
    wait_until(lambda: status(gateway, rotated["key"]) == 401, "the end of the overlap")
    at_once = api.ask("POST", f"keys/{made['id']}/rotate", {"overlap": "0s"}).json()
    assert [status(gateway, k["key"]) for k in (again, at_once)] == [401, 200]


def test_a_key_ends_with_its_team_and_may_use_what_both_may(make, place):
    gateway, api = gateway_with(make, place)
    api.made("teams", name="search", models=["lab/*"])
    key = api.made("keys", name="ci", team="search", models=["lab/m", "lab/other", "else/m"])["key"]

    def ask(model):
        return status(gateway, key, body={**CHAT, "model": model})

    assert (ask("lab/m"), ask("lab/other"), ask("lab/third"), ask("else/m")) == (200, 200, 403, 403)
    api.changed("teams/search", models=["lab/other"])
    assert (ask("lab/m"), ask("lab/other")) == (403, 200)
    api.changed("teams/search", disabled=True)
    assert ask("lab/other") == 401
    api.changed("teams/search", disabled=False)
    assert ask("lab/other") == 200


# What a key may say, and for each kind of request whether that lets it pass.
SCOPES = {
    "endpoints": [([], lambda r: True), (["chat_completions"], lambda r: r["path"].endswith("completions")),
                  (["messages", "models"], lambda r: not r["path"].endswith("completions"))],
    "providers": [([], lambda r: True), (["lab"], lambda r: r["provider"] != "two"), (["two"], lambda r: r["provider"] != "lab")],
    "models": [([], lambda r: True), (["lab/*", "both"], lambda r: r["model"] in ("lab/m", "both", None)),
               (["two/m"], lambda r: r["model"] in ("two/m", None))],
    "origins": [([], lambda r: True), (["https://a.example"], lambda r: r["origin"] != "https://b.example")],
    "addresses": [([], lambda r: True), (["127.0.0.0/8", "::1"], lambda r: True), (["192.0.2.0/24"], lambda r: False)],
}
REQUESTS = [{"path": path, "model": model, "provider": model and model.split("/")[0], "origin": origin}
            for path, model in [("/v1/chat/completions", "lab/m"), ("/v1/chat/completions", "two/m"), ("/v1/messages", "lab/m"),
                                ("/v1/messages", "two/m"), ("/v1/chat/completions", "both"), ("/v1/models", None)]
            for origin in (None, "https://a.example", "https://b.example")]


def test_every_combination_of_scopes_allows_what_each_of_them_does(make, place):
    gateway, api = gateway_with(make, place, providers=["lab", "two"],
                                models={"both": {"targets": ["lab/m", "two/m"]}})
    client = httpx.Client()
    wrong = []
    for n, case in enumerate(itertools.product(*SCOPES.values())):
        said = sum(bool(value) for value, _ in case)
        if said > 1 and n % 5:
            continue    # each value alone, and every fifth combination
        key = api.made("keys", name=f"k{n}", **{name: value for name, (value, _) in zip(SCOPES, case) if value})["key"]
        for r in REQUESTS:
            body = {**(MESSAGES if "messages" in r["path"] else CHAT), "model": r["model"]}
            got = status(gateway, key, path=r["path"], body=body, method="POST" if r["model"] else "GET", client=client,
                         **({"Origin": r["origin"]} if r["origin"] else {}))
            expected = 200 if all(allows(r) for _, allows in case) else 403
            if got != expected:
                wrong.append(({name: value for name, (value, _) in zip(SCOPES, case)}, r, got, expected))
    assert not wrong, wrong[:5]


def test_excluded_providers_are_explained(make, place):
    gateway, api = gateway_with(make, place, providers=["lab", "two"], models={"both": {"targets": ["lab/m", "two/m"]}})
    key = api.made("keys", name="ci", providers=["two"])["key"]
    answer = send(gateway, key, body={**CHAT, "model": "both"})
    assert answer.status_code == 200 and "two/m" in answer.headers["x-openclaw-route"]
    refused = send(gateway, key)
    assert refused.status_code == 403 and "provider lab" in refused.text


def test_no_request_that_begins_after_a_revocation_is_served(make, place):
    gateway, api = gateway_with(make, place)
    made = api.made("keys", name="ci")
    stop, revoked = threading.Event(), threading.Event()
    late, served = [], []

    def load():
        with httpx.Client(timeout=PATIENCE) as client:
            while not stop.is_set():
                after = revoked.is_set()
                code = status(gateway, made["key"], client=client)
                (served if code == 200 else late).append((after, code))

    threads = [threading.Thread(target=load) for _ in range(8)]
    for t in threads:
        t.start()
    wait_until(lambda: len(served) > 100, "load")
    assert api.ask("POST", f"keys/{made['id']}/revoke").status_code == 200
    revoked.set()
    wait_until(lambda: len(late) > 100, "refusals")
    stop.set()
    for t in threads:
        t.join()
    assert not [s for s in served if s[0]], "a request was served that began after the answer to the revocation"
    assert {code for _, code in late} <= {401, 429}


def test_a_key_for_models_never_shows_what_others_do(make, place):
    gateway, api = gateway_with(make, place)
    sly = api.made("keys", name="sly", routes=["admin", "*", "/admin/v1/*"])["key"]
    auditor = api.ask("POST", "keys", {"name": "auditor", "kind": "admin", "role": "auditor"}).json()["key"]
    for path in ("keys", "audit", "config", "exchanges"):
        assert status(gateway, sly, path=f"/admin/v1/{path}", method="GET") == 403
        assert status(gateway, auditor, path=f"/admin/v1/{path}", method="GET") == 200
    assert status(gateway, sly) == 200


def test_tags_of_a_key_do_not_displace_those_of_its_team(make, place):
    gateway, api = gateway_with(make, place, limits=[{"for": "tag:cost=7", "rpd": 2, "burst": 2}])
    api.made("teams", name="search", tags={"cost": "7"})
    key = api.made("keys", name="ci", team="search", tags={f"t{i}": "x" for i in range(12)})["key"]
    assert [status(gateway, key) for _ in range(3)] == [200, 200, 429]


def test_what_one_gateway_makes_and_revokes_the_other_soon_knows(make, place):
    one, api = gateway_with(make, place, "a")
    two, other_api = gateway_with(make, place, "b")
    made = api.made("keys", name="ci")
    assert status(one, made["key"]) == 200
    wait_until(lambda: status(two, made["key"]) == 200, "the other gateway to know the key")
    assert other_api.ask("POST", f"keys/{made['id']}/revoke").status_code == 200
    assert status(two, made["key"]) == 401
    wait_until(lambda: status(one, made["key"]) == 401, "the other gateway to know that it is revoked")


def test_a_gateway_with_another_pepper_says_so_and_makes_no_keys(make, place):
    one, api = gateway_with(make, place, "a")
    key = api.made("keys", name="ci")["key"]
    two, other_api = gateway_with(make, place, "b", auth={"pepper": "quite-another-pepper"})
    wait_until(lambda: "another pepper" in two.stderr(), "the log to say so")
    assert status(two, key) == 401
    assert other_api.ask("POST", "keys", {"name": "x"}).status_code == 503
    assert status(one, key) == 200


def test_without_a_configured_pepper_a_file_has_it_and_keys_outlive_a_restart(make, place):
    gateway, api = gateway_with(make, place, "a", auth={"pepper": None})
    key = api.made("keys", name="ci")["key"]
    files = list(gateway.directory.rglob("pepper"))
    assert len(files) == 1 and files[0].stat().st_mode & 0o777 == 0o600
    assert files[0].read_text().strip() not in gateway.stderr()
    assert status(gateway, key) == 200


def test_keys_of_the_file_and_of_the_store_work_side_by_side(make, place):
    gateway, api = gateway_with(make, place, auth={"keys": [{"name": "file", "key": "a-key-of-the-file"}]})
    key = api.made("keys", name="ci")["key"]
    assert [status(gateway, k) for k in ("a-key-of-the-file", key, "neither-of-the-two")] == [200, 200, 401]


def test_a_key_in_the_path_or_the_query_does_not_reach_the_provider(make, place):
    gateway, api = gateway_with(make, place)
    key = api.made("keys", name="ci", routes=["*"])["key"]
    assert send(gateway, key, path=f"/v1/files/{key}", method="GET").status_code == 400


def test_a_key_of_the_file_says_where_and_until_when_it_may_be_used(make, place):
    keys = [{"name": "here", "key": "key-for-here-0123456789", "cidrs": ["127.0.0.0/8", "::1"]},
            {"name": "there", "key": "key-for-there-0123456789", "cidrs": "192.0.2.0/24"},
            {"name": "past", "key": "key-of-the-past-0123456789", "expires": "2020-01-01T00:00:00Z"},
            {"name": "future", "key": "key-of-the-future-0123456789", "expires": "2999-01-01T00:00:00Z"},
            {"name": "two", "key": "key-for-two-0123456789", "providers": "two"}]
    gateway, _ = gateway_with(make, place, auth={"keys": keys})
    assert [status(gateway, k["key"]) for k in keys] == [200, 403, 401, 200, 403]
