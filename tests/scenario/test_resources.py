"""Teams, users, limits and the others: the admin API of the store, over the local socket and between gateways."""
import concurrent.futures

import pytest

from lib.admin import AdminApi


@pytest.fixture
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("s")    # short: a socket's path has at most 107 bytes


def gateway_with(make, place, name="a", store="store.db", **more):
    provider = make.mock().provider()
    config = {"providers": {"lab": provider}, "server": {"admin_socket": str(place / f"{name}.sock")},
              "store": {"url": f"sqlite:{place / store}"}, **more}
    gateway = make.gateway(config)
    return gateway, AdminApi(socket=place / f"{name}.sock")


def test_a_team_lives_from_its_making_to_its_end(make, place):
    gateway, api = gateway_with(make, place)
    answer = api.ask("POST", "teams", {"name": "research", "rpm": 60, "tags": {"cost": "r"}})
    team = answer.json()
    assert answer.status_code == 201 and answer.headers["location"] == f"/admin/v1/teams/{team['id']}"
    read = api.ask("GET", "teams/research")
    assert read.json() == team and read.headers["etag"] == answer.headers["etag"]
    assert api.ask("HEAD", f"teams/{team['id']}").headers["etag"] == read.headers["etag"]
    changed = api.ask("PATCH", f"teams/{team['id']}", {"rpm": None, "description": "x"}, If_Match=read.headers["etag"])
    assert changed.status_code == 200 and changed.json()["rpm"] is None
    stale = api.ask("PATCH", f"teams/{team['id']}", {"rpm": 1}, If_Match=read.headers["etag"])
    assert stale.status_code == 412 and stale.headers["content-type"] == "application/problem+json"
    gone = api.ask("DELETE", f"teams/{team['id']}")
    assert (gone.status_code, gone.content) == (204, b"")
    assert api.ask("GET", f"teams/{team['id']}").status_code == 404
    assert api.read("teams")["data"] == []


def test_refusals_are_problem_documents(make, place):
    gateway, api = gateway_with(make, place)
    for method, path, body, status, said in [
            ("POST", "teams", {"name": "a", "rmp": 1}, 422, "did you mean 'rpm'?"),
            ("POST", "teams", {}, 422, "is required"),
            ("GET", "teams?limt=3", None, 422, "did you mean 'limit'?"),
            ("GET", "teams/none", None, 404, "there is no team"),
            ("PUT", "teams", {}, 405, "GET, POST"),
            ("GET", "nothing", None, 404, "has no route"),
            ("POST", "keys/none/rotate", None, 404, "there is no key"),
    ]:
        answer = api.ask(method, path, body)
        problem = answer.json()
        assert (answer.status_code, problem["status"]) == (status, status), (path, answer.text)
        assert answer.headers["content-type"] == "application/problem+json" and said in answer.text
        assert problem["type"].startswith("urn:openclaw:problem:") and problem["title"] and problem["detail"]
        assert problem["request_id"] == answer.headers["x-request-id"]
    answer = api.client.post("/teams", content=b'{"name": "a", "name": "b"}')
    assert answer.status_code == 400 and "duplicate" in answer.json()["detail"]
    answer = api.client.post("/teams", content=b"x" * 300_000)
    assert answer.status_code == 413 and answer.headers["content-type"] == "application/problem+json"


def test_of_two_changes_at_once_one_wins(make, place):
    gateway, api = gateway_with(make, place)
    for turn in range(5):
        team = api.ask("POST", "teams", {"name": f"t{turn}"})
        etag = team.headers["etag"]

        def change(n):
            return api.ask("PATCH", f"teams/t{turn}", {"rpm": n}, If_Match=etag).status_code

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            statuses = sorted(pool.map(change, range(1, 9)))
        assert statuses == [200] + [412] * 7


def test_a_repeated_request_makes_one(make, place):
    gateway, api = gateway_with(make, place)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: api.ask("POST", "teams", {"name": "once"}, Idempotency_Key="k1"), range(8)))
    assert {a.status_code for a in answers} == {201} and len({a.json()["id"] for a in answers}) == 1
    assert sum("idempotency-replayed" in a.headers for a in answers) == 7
    assert api.ask("POST", "teams", {"name": "other"}, Idempotency_Key="k1").status_code == 422
    assert len(api.read("teams")["data"]) == 1


def test_pages_are_stable_while_others_are_made(make, place):
    gateway, api = gateway_with(make, place)
    for i in range(25):
        api.made("teams", name=f"t{i:02}")
    seen, cursor = [], None
    while True:
        page = api.read("teams", limit=7, **({"cursor": cursor} if cursor else {}))
        seen += [t["name"] for t in page["data"]]
        cursor = page["next_cursor"]
        assert page["has_more"] == (cursor is not None)
        if cursor is None:
            break
        api.made("teams", name=f"n{len(seen):02}")
    assert seen == [f"t{i:02}" for i in range(25)] + ["n07", "n14", "n21", "n28"][:len(seen) - 25]
    assert len(seen) == len(set(seen)) >= 28


def test_what_one_gateway_is_told_the_other_knows(make, place):
    """Two processes on one store."""
    _, one = gateway_with(make, place, "a")
    _, two = gateway_with(make, place, "b")
    team = one.made("teams", name="research")
    assert two.read("teams")["data"] == [team]
    two.changed("teams/research", rpm=5)
    assert one.read("teams/research")["rpm"] == 5
    assert two.ask("POST", "teams", {"name": "research"}).status_code == 409


def test_what_was_made_is_there_after_a_restart(make, place):
    gateway, api = gateway_with(make, place)
    made = [api.made("teams", name="a"), api.made("users", name="ada", team="a"), api.made("limits", **{"for": "team:a", "rpm": 3})]
    gateway.close()
    _, api = gateway_with(make, place, "b")
    assert [api.read(p)["data"][0] for p in ("teams", "users", "limits")] == made


def test_without_a_store_it_says_so(make, place):
    provider = make.mock().provider()
    make.gateway({"providers": {"lab": provider}, "server": {"admin_socket": str(place / "a.sock")}, "store": {"url": "off"}})
    answer = AdminApi(socket=place / "a.sock").ask("GET", "teams")
    assert answer.status_code == 503 and "store" in answer.json()["detail"]
