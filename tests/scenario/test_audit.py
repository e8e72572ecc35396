"""The audit record: what administrators do is in it, whoever they are and whichever way they do it."""
import json
import sqlite3
import subprocess

import pytest

from lib import process
from lib.admin import AdminApi
from lib.process import wait_until


@pytest.fixture
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("s")    # short: a socket's path has at most 107 bytes


def gateway_with(make, place, **more):
    config = {"providers": {"lab": make.mock().provider()}, "server": {"admin_socket": str(place / "a.sock")},
              "store": {"url": f"sqlite:{place / 'store.db'}"}, **more}
    return make.gateway(config), AdminApi(socket=place / "a.sock"), config


def entries(api, **query):
    return api.read("audit", **query)["data"]


def test_changes_are_recorded_with_what_was_and_what_is(make, place):
    gateway, api, _ = gateway_with(make, place)
    answer = api.ask("POST", "teams", {"name": "research", "rpm": 60})
    team = answer.json()
    api.ask("PATCH", "teams/research", {"rpm": 30})
    secret = api.ask("POST", "keys", {"name": "ci", "team": "research"}).json()["key"]
    api.ask("POST", "keys/ci/rotate")
    api.ask("POST", "keys/ci/revoke")
    api.ask("POST", "teams", {"name": "research"})      # refused: it is not done, and not in the record
    acts = [(e["action"], e["outcome"]) for e in reversed(entries(api))]
    assert acts == [("teams.create", "done"), ("teams.change", "done"), ("keys.create", "done"), ("keys.rotate", "done"),
                    ("keys.revoke", "done")], acts
    first, second = list(reversed(entries(api)))[:2]
    assert first["actor"] == "local" and first["object"] == team["id"] and "before" not in first
    assert first["request_id"] == answer.headers["x-request-id"] and first["after"]["rpm"] == 60
    assert second["before"]["rpm"] == 60 and second["after"]["rpm"] == 30
    text = api.ask("GET", "audit").text
    assert secret not in text and secret[-16:] not in text
    assert [e["action"] for e in entries(api, action="keys.rotate")] == ["keys.rotate"]
    assert len(entries(api, object=team["id"])) == 2
    page = api.read("audit", limit=2)
    assert [e["seq"] for e in page["data"]] == [5, 4] and page["next_before"] == 4
    assert [e["seq"] for e in entries(api, limit=2, before=4)] == [3, 2]
    report = api.read("audit/verify")
    assert report["good"] and report["entries"] == 5 and report["checkpoint"].startswith("5:")


def test_reloads_switches_and_rollbacks_are_recorded(make, place):
    gateway, api, config = gateway_with(make, place)
    gateway.reload({**config, "timeouts": {"connect": "3s"}})
    api.ask("POST", "off/lab")
    api.ask("POST", "on/nothing")
    api.ask("POST", "rollback")

    def recorded():
        return {(e["action"], e["object"] if e["action"].startswith("gateway.o") else "", e["outcome"]) for e in entries(api)}

    wanted = {("config.reload", "", "done"), ("gateway.off", "lab", "done"), ("gateway.on", "nothing", "failed"),
              ("gateway.rollback", "", "done"), ("config.rollback", "", "done")}
    wait_until(lambda: wanted <= recorded(), "all of them to be recorded")
    assert api.read("audit/verify")["good"]


def test_what_was_refused_is_recorded_and_bounded(make, place):
    gateway, api, _ = gateway_with(make, place)
    made = api.ask("POST", "keys", {"name": "dev", "kind": "admin", "role": "developer"})
    assert made.status_code == 201, made.text
    for i in range(80):
        answer = gateway.post("/admin/v1/teams", {"name": f"t{i}"}, headers={"Authorization": f"Bearer {made.json()['key']}"})
        assert answer.status_code == 403, answer.text
    wait_until(lambda: len(entries(api, action="teams.create")) == 60, "sixty of them")
    assert entries(api, action="teams.create")[0]["outcome"] == "refused"
    assert entries(api, action="teams.create")[0]["actor"] == made.json()["id"]


def test_a_record_that_was_changed_is_found_out(make, place):
    gateway, api, _ = gateway_with(make, place)
    for i in range(5):
        api.ask("POST", "teams", {"name": f"t{i}"})
    checkpoint = api.read("audit/verify")["checkpoint"]
    with sqlite3.connect(place / "store.db") as db:
        db.execute("UPDATE audit SET actor = 'nobody' WHERE seq = 3")
    report = api.read("audit/verify")
    assert not report["good"] and report["first_bad"] == 3 and "changed" in report["why"]
    with sqlite3.connect(place / "store.db") as db:
        db.execute("UPDATE audit SET actor = 'local' WHERE seq = 3")
    assert api.read("audit/verify", checkpoint=checkpoint)["good"]
    assert api.ask("DELETE", "audit").status_code == 405
    assert api.ask("GET", "audit?limit=0").status_code == 422


def test_the_command_lists_exports_and_verifies_with_a_gateway_and_without(make, place):
    gateway, api, _ = gateway_with(make, place)

    def run(*args, status=0):
        done = subprocess.run([process.BIN, *args], capture_output=True, text=True, env=process.environment(**{**gateway.env, "XDG_STATE_HOME": str(gateway.directory / "state")}))
        assert done.returncode == status, done
        return done.stdout

    at = ["--socket", str(place / "a.sock")]
    for i in range(12):
        api.ask("POST", "teams", {"name": f"t{i}"})
    lines = run("audit", *at).splitlines()
    assert "ACTOR" in lines[0] and len(lines) == 13 and "teams.create" in lines[1] and lines[1].endswith("done")
    assert len(run("audit", "-n", "3", *at).splitlines()) == 4
    exported = [json.loads(line) for line in run("audit", "export", *at).splitlines()]
    assert [e["seq"] for e in exported] == list(range(12, 0, -1))
    assert "12 entries, all good" in run("audit", "verify", *at)
    gateway.stop()
    offline = ["--offline", "--config", str(gateway.config_path)]
    run("teams", "create", "offline", *offline)
    report = json.loads(run("audit", "verify", "--json", *offline))
    assert report["good"] and report["entries"] >= 13
    with sqlite3.connect(place / "store.db") as db:
        db.execute("DELETE FROM audit WHERE seq = 5")
    assert "entry 5 is the first that is wrong: it is missing" in run("audit", "verify", *offline, status=1)
    assert "not 'burn'" in subprocess.run([process.BIN, "audit", "burn"], capture_output=True, text=True).stderr
