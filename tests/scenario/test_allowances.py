"""Limits and budgets of the store: written over the admin API, in force at once, without a restart."""
import httpx
import pytest

from lib import process, raw
from lib.process import wait_until

ASK = {"model": "lab/m;tokens=60", "messages": [{"role": "user", "content": "May I?"}], "max_tokens": 60}


@pytest.fixture
def control(make, tmp_path_factory):
    """A gateway with teams, and its admin API."""
    path = tmp_path_factory.mktemp("s") / "a.sock"
    mock = make.mock()
    gateway = make.gateway({
        "server": {"admin_socket": str(path)}, "providers": {"lab": mock.provider()},
        "catalog": {"models": [{"id": "lab/m;tokens=60", "price": {"input": 1, "output": 100}}]}})
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), base_url="http://gateway/admin/v1", timeout=process.PATIENCE) as api:
        yield gateway, api


def made(answer):
    assert answer.status_code == 201, answer.text
    return answer.json()


def status(gateway, key):
    return gateway.http().post("/v1/chat/completions", json=ASK, headers={"Authorization": f"Bearer {key}"}).status_code


def becomes(gateway, key, expected):
    wait_until(lambda: status(gateway, key) == expected, f"the answer is {expected}")


def test_a_limit_of_the_store_holds_until_it_is_deleted(control):
    gateway, api = control
    assert status(gateway, gateway.key) == 200
    limit = made(api.post("/limits", json={"for": "key:tester", "rpd": 3, "burst": 3}))
    becomes(gateway, gateway.key, 429)
    assert api.patch(f"/limits/{limit['id']}", json={"rpd": 100000, "burst": 10000}).status_code == 200
    becomes(gateway, gateway.key, 200)
    assert api.delete(f"/limits/{limit['id']}").status_code in (200, 204)
    wait_until(lambda: "ratelimit" not in gateway.post("/v1/chat/completions", ASK).headers, "nothing is limited")


def test_a_team_is_limited_by_its_id_and_by_its_name(control):
    gateway, api = control
    team = made(api.post("/teams", json={"name": "search", "budget": "0.0061/day"}))
    one = made(api.post("/keys", json={"name": "one", "team": team["id"]}))["key"]
    two = made(api.post("/keys", json={"name": "two", "team": team["id"]}))["key"]
    becomes(gateway, one, 200)
    becomes(gateway, two, 429)    # the team's, of which the other key spent
    refused = gateway.http().post("/v1/chat/completions", json=ASK, headers={"Authorization": f"Bearer {two}"})
    assert refused.json()["error"]["code"] == "insufficient_quota"
    assert api.patch(f"/teams/{team['id']}", json={"budget": "10/day"}).status_code == 200
    becomes(gateway, two, 200)
    made(api.post("/budgets", json={"for": "team:search", "amount": "0.0001", "period": "total"}))
    becomes(gateway, one, 429)


def test_the_admin_api_says_how_limits_and_budgets_stand(control):
    gateway, api = control
    made(api.post("/budgets", json={"for": "key:*", "amount": "1", "period": "day"}))
    made(api.post("/limits", json={"for": "key:tester", "rpm": 60, "tpm": 60000}))
    wait_until(lambda: "ratelimit" in gateway.post("/v1/chat/completions", ASK).headers, "it is limited")
    gateway.post("/v1/chat/completions", ASK)
    gateway.idle()
    scopes = api.get("/spending", params={"scope": "key:tester"}).json()["scopes"]
    assert len(scopes) == 1 and scopes[0]["kind"] == "key" and scopes[0]["name"] == "tester"
    rates = {r["rate"]: r for r in scopes[0]["limits"]}
    assert rates["rpm"]["limit"] == 60 and rates["rpm"]["burst"] == 10 and rates["rpm"]["left"] < 10
    assert rates["tpm"]["left"] < 10000 and scopes[0]["concurrent"] == 0
    budget = scopes[0]["budgets"][0]
    assert budget["amount_usd"] == 1 and budget["reserved_usd"] == 0 and 0.006 < budget["spent_usd"] < 0.1
    assert budget["begins"].endswith("T00:00:00.000Z") and "forecast" in budget
    assert api.get("/spending", params={"scope": "key:none"}).json() == {"scopes": [], "more": False}
    assert api.get("/spending", params={"scope": "nothing"}).status_code == 400


def test_copies_for_a_shadow_and_answers_that_nobody_got_are_paid_by_the_same_budget(make, tmp_path_factory):
    path = tmp_path_factory.mktemp("s") / "a.sock"
    mock = make.mock()
    gateway = make.gateway({
        "server": {"admin_socket": str(path)}, "providers": {"lab": mock.provider()},
        "catalog": {"models": [{"id": f"lab/{m};tokens=60", "price": {"input": 1, "output": 100}} for m in ("m", "copy")]},
        "models": {"shadowed": {"targets": ["lab/m;tokens=60"], "shadow": {"target": "lab/copy;tokens=60"}}},
        "budgets": [{"for": "key:tester", "amount": "10"}]})
    for _ in range(5):
        assert gateway.post("/v1/chat/completions", {**ASK, "model": "shadowed"}).status_code == 200
    with gateway.raw() as client:    # it leaves in the middle of the answer
        client.send(raw.request("POST", "/v1/chat/completions", {**ASK, "model": "lab/m;tokens=60", "stream": True},
                                {"Authorization": f"Bearer {gateway.key}"}))
        client.read_head()
    wait_until(lambda: mock.stats()["requests"] == 11 and mock.stats()["open"] == 0, "copies are sent")
    gateway.idle()
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), base_url="http://gateway/admin/v1", timeout=process.PATIENCE) as api:
        budget = api.get("/spending", params={"scope": "key:tester"}).json()["scopes"][0]["budgets"][0]
    assert budget["reserved_usd"] == 0
    assert 0.06 <= budget["spent_usd"] <= 0.08
