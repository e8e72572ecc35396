"""`openclaw keys`, `teams` and the others: with a gateway, over the network with a role, and in the store alone."""
import json
import subprocess

import httpx
import pytest

from lib import process
from lib.admin import AdminApi
from lib.process import PATIENCE, environment, wait_until


@pytest.fixture
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("s")    # short: a socket's path has at most 107 bytes


class Commands:
    """openclaw with the same last arguments each time."""

    def __init__(self, *more, **env):
        self.more, self.env = more, environment(**env)

    def __call__(self, *args, fails=None):
        done = subprocess.run([process.BIN, *args, *self.more], capture_output=True, text=True, timeout=PATIENCE,
                              stdin=subprocess.DEVNULL, env=self.env)
        if fails is not None:
            assert done.returncode in (1, 2) and fails in done.stderr, done
            return None
        assert done.returncode == 0, done
        return json.loads(done.stdout) if "--json" in args else done.stdout


@pytest.fixture
def with_gateway(make, place):
    gateway = make.gateway({"providers": {"lab": make.mock().provider()},
                            "server": {"admin_socket": str(place / "a.sock")}})
    return gateway, Commands("--socket", str(place / "a.sock"))


def model_status(gateway, key):
    return httpx.post(f"{gateway.url}/v1/chat/completions", headers={"Authorization": f"Bearer {key}"}, timeout=PATIENCE,
                      json={"model": "lab/m", "messages": [{"role": "user", "content": "hi"}]}, trust_env=False).status_code


def test_a_key_is_made_used_rotated_and_revoked(with_gateway):
    gateway, openclaw = with_gateway
    openclaw("teams", "create", "research", "--rpm", "600")
    made = openclaw("keys", "create", "--team", "research", "--name", "ci", "--rpm", "60", "--budget", "10/month", "--json")
    assert (made["name"], made["rpm"], made["budget"]) == ("ci", 60, "10/month") and made["team"].startswith("team_")
    assert model_status(gateway, made["key"]) == 200
    assert model_status(gateway, made["key"][:-1] + "x") == 401
    assert made["key"] not in openclaw("keys", "show", "ci") + openclaw("keys")
    turned = openclaw("keys", "rotate", "ci", "--overlap", "1h", "--json")
    assert turned["key"] != made["key"]
    assert (model_status(gateway, made["key"]), model_status(gateway, turned["key"])) == (200, 200)
    openclaw("keys", "revoke", "ci")
    assert (model_status(gateway, made["key"]), model_status(gateway, turned["key"])) == (401, 401)
    openclaw("keys", "delete", "ci")
    openclaw("keys", "show", "ci", fails="there is no key 'ci'")


def test_a_disabled_team_has_no_keys_that_work(with_gateway):
    gateway, openclaw = with_gateway
    openclaw("teams", "create", "a")
    key = openclaw("keys", "create", "k", "--team", "a", "--json")["key"]
    assert model_status(gateway, key) == 200
    openclaw("teams", "set", "a", "--disabled")
    assert model_status(gateway, key) == 401
    openclaw("teams", "set", "a", "--unset", "disabled")
    assert model_status(gateway, key) == 200


def test_keys_of_elsewhere_work(with_gateway):
    import hashlib
    gateway, openclaw = with_gateway
    own = process.canary("client")
    openclaw("keys", "create", "own", "--key", own)
    assert model_status(gateway, own) == 200
    other = process.canary("client")
    openclaw("keys", "create", "hash", "--sha256", hashlib.sha256(other.encode()).hexdigest())
    assert model_status(gateway, other) == 200


def test_lists_are_tables_and_documents(with_gateway):
    gateway, openclaw = with_gateway
    for name in ("a", "b", "c"):
        openclaw("users", "create", name, "--email", f"{name}@example.com", "--role", "auditor")
    table = openclaw("users", "list").splitlines()
    assert table[0].split()[:3] == ["ID", "NAME", "EMAIL"] and len(table) == 4
    assert [u["name"] for u in openclaw("users", "list", "--email", "b@example.com", "--json")["data"]] == ["b"]
    page = openclaw("users", "list", "--limit", "2", "--json")
    rest = openclaw("users", "list", "--cursor", page["next_cursor"], "--json")
    assert [u["name"] for u in page["data"] + rest["data"]] == ["a", "b", "c"]


@pytest.mark.parametrize("args, said", [
    (["teams", "create"], "name: is required"),
    (["teams", "create", "a", "--budget", "10"], "10/month"),
    (["teams", "create", "a", "--rpm", "many"], "rpm: must be a whole number"),
    (["users", "create", "a", "--role", "admni"], "did you mean 'admin'?"),
    (["users", "create", "a", "--team", "none"], "there is no team 'none'"),
    (["teams", "creat", "a"], "'creat' is none of list, show, create"),
    (["teams", "show"], "which?"), (["teams", "list", "a"], "openclaw teams show a"),
    (["teams", "rotate", "a"], "is none of"), (["teams", "set", "a", "--unset", "rmp"], "did you mean 'rpm'?"),
    (["teams", "list", "--rpm", "3"], "cannot be narrowed"), (["keys", "create", "k", "--tags", "x"], "NAME=TEXT"),
    (["keys", "create", "k", "--expires-at", "soon"], "RFC 3339"), (["teams", "show", "none"], "there is no team 'none'"),
])
def test_mistakes_are_told_with_what_to_write(with_gateway, args, said):
    with_gateway[1](*args, fails=said)


def test_over_the_network_a_role_decides(make, place):
    gateway = make.gateway({"providers": {"lab": make.mock().provider()},
                            "server": {"admin_socket": str(place / "a.sock")}})
    openclaw = Commands("--socket", str(place / "a.sock"))
    openclaw("teams", "create", "own")
    openclaw("teams", "create", "other")

    def key_of(role, *more):
        return openclaw("keys", "create", f"admin-{role}", "--kind", "admin", "--role", role, *more, "--json")["key"]

    admin = AdminApi(url=gateway.url, key=key_of("admin"))
    auditor = AdminApi(url=gateway.url, key=key_of("auditor"))
    lead = AdminApi(url=gateway.url, key=key_of("team-admin", "--team", "own"))
    plain = AdminApi(url=gateway.url, key=openclaw("keys", "create", "app", "--team", "own", "--json")["key"])
    assert admin.ask("POST", "teams", {"name": "third"}).status_code == 201
    assert [a.ask("POST", "teams", {"name": "x"}).status_code for a in (auditor, lead, plain)] == [403] * 3
    assert [len(a.read("teams")["data"]) for a in (admin, auditor, lead)] == [3, 3, 1]
    assert lead.ask("GET", "teams/other").status_code == 404
    made = lead.made("keys", name="mine")
    assert made["team"] == lead.read("teams")["data"][0]["id"] and model_status(gateway, made["key"]) == 200
    assert lead.ask("POST", "keys", {"name": "x", "kind": "admin", "role": "owner"}).status_code == 403
    assert [a.ask("GET", "status").status_code for a in (admin, auditor, lead, plain)] == [200, 200, 403, 403]
    assert [a.ask("POST", "off/lab").status_code for a in (auditor, lead)] == [403, 403]
    assert admin.ask("POST", "off/lab").status_code == 200 and admin.ask("POST", "on/lab").status_code == 200
    assert AdminApi(url=gateway.url).ask("GET", "teams").status_code == 401
    # a key for the admin API is not one for models
    over = Commands("--url", gateway.url, OPENCLAW_API_KEY=key_of("developer", "--team", "own"))
    over("teams", "create", "y", fails="may not create teams")
    assert "own" in over("teams", "list")


def test_without_a_gateway_the_store_is_changed_and_the_gateway_knows(make, place, tmp_path):
    config = tmp_path / "c.yaml"
    config.write_text(json.dumps({"store": {"url": f"sqlite:{place}/s.db"}, "auth": {"mode": "keys", "pepper": "p" * 32}}))
    offline = Commands("--offline", "--config", str(config))
    made = offline("keys", "create", "first", "--json")
    gateway = make.gateway({"providers": {"lab": make.mock().provider()}, "store": {"url": f"sqlite:{place}/s.db"},
                            "auth": {"mode": "keys", "pepper": "p" * 32}})
    assert model_status(gateway, made["key"]) == 200
    second = offline("keys", "create", "second", "--json")
    wait_until(lambda: model_status(gateway, second["key"]) == 200, "the gateway learns of a key made in its store")
    offline("keys", "revoke", "first")
    wait_until(lambda: model_status(gateway, made["key"]) == 401, "the gateway learns that a key was revoked")
    assert made["key"].encode() not in (place / "s.db").read_bytes()


def test_a_key_made_at_one_gateway_works_at_the_other(make, place):
    config = {"providers": {"lab": make.mock().provider()}, "store": {"url": f"sqlite:{place}/s.db"}, "auth": {"mode": "keys", "pepper": "p" * 32}}
    one = make.gateway({**config, "server": {"admin_socket": str(place / "a.sock")}})
    two = make.gateway({**config, "server": {"admin_socket": str(place / "b.sock")}})
    made = AdminApi(socket=place / "a.sock").made("keys", name="k")
    assert model_status(one, made["key"]) == 200
    wait_until(lambda: model_status(two, made["key"]) == 200, "the other gateway learns of the key")
    AdminApi(socket=place / "b.sock").ask("POST", f"keys/{made['id']}/revoke")
    assert model_status(two, made["key"]) == 401
    wait_until(lambda: model_status(one, made["key"]) == 401, "the other gateway learns that it is revoked")
