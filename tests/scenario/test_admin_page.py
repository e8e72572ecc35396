"""What describes the admin API: an OpenAPI document that others can read, and a page that is as the tables are."""
import json
import pathlib
import subprocess

import httpx
import jsonschema
import pytest
from openapi_spec_validator import validate

from lib import process
from lib.admin import AdminApi
from lib.process import PATIENCE, environment

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "admin-api.md"
KINDS = ["organisations", "teams", "projects", "users", "service-accounts", "memberships", "keys", "limits", "budgets"]


def printed(document):
    return subprocess.run([process.BIN, "config", document], capture_output=True, text=True, timeout=PATIENCE, check=True,
                          env=environment()).stdout


def test_the_page_is_made_from_the_tables():
    assert PAGE.read_text() == printed("admin-api"), "write it again: openclaw config admin-api > docs/admin-api.md"


def test_the_document_is_valid_openapi():
    document = json.loads(printed("openapi"))
    validate(document)
    assert document["openapi"] == "3.1.0"
    for kind in KINDS:
        assert set(document["paths"][f"/admin/v1/{kind}"]) == {"get", "post"}
        assert {"get", "patch", "delete"} < set(document["paths"][f"/admin/v1/{kind}/{{one}}"])
    names = [o["operationId"] for p in document["paths"].values() for o in p.values() if isinstance(o, dict) and "operationId" in o]
    assert len(names) == len(set(names))


@pytest.fixture(scope="module")
def served(make_shared, tmp_path_factory):
    place = tmp_path_factory.mktemp("s")
    gateway = make_shared.gateway({"providers": {"lab": make_shared.mock().provider()}, "server": {"admin_socket": str(place / "a.sock")}})
    return gateway, AdminApi(socket=place / "a.sock")


def test_it_is_served_to_everyone(served):
    gateway, api = served
    answer = httpx.get(f"{gateway.url}/openapi.json", trust_env=False)
    assert answer.status_code == 200 and answer.json() == json.loads(printed("openapi"))


def test_answers_are_as_the_document_says(served):
    gateway, api = served
    document = json.loads(printed("openapi"))
    new = {"organisations": {"name": "o"}, "teams": {"name": "t", "organisation": "o", "models": ["a/*"], "tags": {"x": "y"}},
           "projects": {"name": "p", "team": "t"}, "users": {"name": "u", "team": "t"}, "service-accounts": {"name": "s"},
           "memberships": {"user": "u", "team": "t"}, "keys": {"name": "k", "expires_at": "2099-01-01T00:00:00Z"},
           "limits": {"for": "all", "rpm": 9}, "budgets": {"for": "all", "amount": 0.5, "alerts": ["80%"]}}
    for kind in KINDS:
        made = api.made(kind, **new[kind])
        shown = api.read(f"{kind}/{made['id']}")
        page = api.read(kind)
        name = kind.replace("-", "_")
        for value, schema in [(made, {"$ref": f"#/components/schemas/{name}"}), (shown, {"$ref": f"#/components/schemas/{name}"}),
                              (new[kind], {"$ref": f"#/components/schemas/{name}_new"}),
                              (page, document["paths"][f"/admin/v1/{kind}"]["get"]["responses"]["200"]["content"]["application/json"]["schema"])]:
            jsonschema.validate(value, {**schema, "components": document["components"]})
        assert set(shown) == set(document["components"]["schemas"][name]["properties"]) - ({"key"} if kind == "keys" else set())
    problem = api.ask("POST", "teams", {"nme": 1})
    jsonschema.validate(problem.json(), {"$ref": "#/components/schemas/problem", "components": document["components"]})
