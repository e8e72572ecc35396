"""Why a request goes where it goes: `openclaw explain`, POST /admin/v1/explain, the decision in the log, in the
answer's header field, and by the request's id; feedback."""
import json
import subprocess

import httpx
import pytest

from lib import process
from lib.process import PATIENCE, environment, wait_until

REQUEST = {"model": "smart", "messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture
def place(tmp_path_factory):
    """A folder with a short name: paths of sockets have at most 107 bytes."""
    return tmp_path_factory.mktemp("s")


def config_of(place, mock, **more):
    return {"server": {"admin_socket": str(place / "a.sock"), "workers": 2},
            "providers": {"openai": mock.provider(), "groq": mock.provider()},
            "models": {"smart": {"strategy": "cost", "targets": ["openai/gpt-4o", "groq/gpt-4o-mini", "openai/gpt-4o-mini"]},
                       "small": {"targets": ["groq/llama-3.1-8b-instant", "openai/gpt-4.1"]}},
            **more}


def run(*args, stdin=None):
    return subprocess.run([process.BIN, *args], capture_output=True, text=True, timeout=PATIENCE, input=stdin,
                          env=environment())


def admin(place):
    return httpx.Client(transport=httpx.HTTPTransport(uds=str(place / "a.sock")), base_url="http://gateway/admin/v1",
                        timeout=PATIENCE)


def write_config(tmp_path, config):
    file = tmp_path / "openclaw.yaml"
    file.write_text(json.dumps(config))    # JSON is YAML
    return str(file)


# --- dry runs ---

def test_a_dry_run_needs_no_gateway_and_sends_nothing(make, place, tmp_path):
    mock = make.mock()
    file = write_config(tmp_path, config_of(place, mock))
    done = run("explain", "-c", file, "-", stdin=json.dumps(REQUEST))
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "smart -> openai/gpt-4o-mini"
    rows = [line.split() for line in lines if line.strip()[:1].isdigit()]
    assert [row[:2] for row in rows] == [["1", "openai/gpt-4o-mini"], ["2", "openai/gpt-4o"], ["3", "groq/gpt-4o-mini"]]
    assert mock.requests() == []


def test_what_excludes_a_target_is_said_in_words(make, place, tmp_path):
    file = write_config(tmp_path, config_of(place, make.mock()))
    long = {"model": "small", "messages": [{"role": "user", "content": "word " * 400000}]}
    done = run("explain", "-c", file, "-", stdin=json.dumps(long))
    assert done.returncode == 0
    row, = [line for line in done.stdout.splitlines() if line.startswith("   -")]
    assert "groq/llama-3.1-8b-instant" in row and "excluded: the prompt has about" in row


def test_the_json_form_is_that_of_the_log_and_more(make, place, tmp_path):
    file = write_config(tmp_path, config_of(place, make.mock()))
    done = run("explain", "-c", file, "--json", "-", stdin=json.dumps(REQUEST))
    decision = json.loads(done.stdout)["decision"]
    assert decision["v"] == 1 and decision["alias"] == "smart" and decision["strategy"] == "cost"
    first = decision["candidates"][0]
    assert first["target"] == "openai/gpt-4o-mini" and first["state"] == "closed" and first["cost_nanousd"] > 0


@pytest.mark.parametrize("body, status, said", [
    ({"model": "smrt", "messages": []}, 1, "did you mean 'smart'"),
    ({"messages": []}, 1, "model"),
    ("{", 2, "not JSON"),
])
def test_a_request_that_would_be_refused_is_explained_too(make, place, tmp_path, body, status, said):
    file = write_config(tmp_path, config_of(place, make.mock()))
    done = run("explain", "-c", file, "-", stdin=body if isinstance(body, str) else json.dumps(body))
    assert done.returncode == status and said in done.stdout + done.stderr


def test_a_key_may_use_its_models_only(make, place, tmp_path):
    config = config_of(place, make.mock(), auth={"keys": [{"name": "k", "key": "key-of-k", "models": ["small"]}]})
    file = write_config(tmp_path, config)
    done = run("explain", "-c", file, "--key", "k", "-", stdin=json.dumps(REQUEST))
    assert done.returncode == 1 and "may not use the model 'smart'" in done.stdout
    done = run("explain", "-c", file, "--key", "other", "-", stdin=json.dumps(REQUEST))
    assert done.returncode == 2 and "no key is called 'other'" in done.stderr


def test_a_running_gateway_explains_with_what_it_knows_now(make, place):
    make.gateway(config_of(place, make.mock()))
    api = admin(place)
    assert api.post("/off/openai/gpt-4o-mini").status_code == 200
    answer = api.post("/explain", json={"request": REQUEST, "headers": {"x-openclaw-tags": "team=search"}})
    assert answer.status_code == 200
    decision = answer.json()["decision"]
    assert decision["tags"] == {"team": "search"}
    states = {c["target"]: c["state"] for c in decision["candidates"]}
    assert states["openai/gpt-4o-mini"] == "off" and states["openai/gpt-4o"] == "closed"
    done = run("explain", "--socket", str(place / "a.sock"), "-", stdin=json.dumps(REQUEST))
    assert done.returncode == 0 and "smart -> " in done.stdout


@pytest.mark.parametrize("body, said", [({}, "'request'"), ({"request": 1}, "'request'"),
                                        ({"request": REQUEST, "path": "/v1/models"}, "'path'"),
                                        ({"request": REQUEST, "key": "nobody"}, "'key'")])
def test_a_description_that_is_none_is_refused(make, place, body, said):
    make.gateway(config_of(place, make.mock()))
    answer = admin(place).post("/explain", json=body)
    assert answer.status_code == 400 and said in answer.text


def test_over_the_network_a_key_that_may_read_may_ask(make, place):
    config = config_of(place, make.mock(), auth={"keys": [{"name": "op", "key": "key-of-operator", "routes": ["admin"]},
                                                          {"name": "app", "key": "key-of-app"}]})
    http = make.gateway(config).http()
    operator, app = {"x-api-key": "key-of-operator"}, {"x-api-key": "key-of-app"}
    assert http.post("/admin/v1/explain", json={"request": REQUEST}, headers=operator).status_code == 200
    assert http.post("/admin/v1/explain", json={"request": REQUEST}, headers=app).status_code == 403
    assert http.post("/admin/v1/off/openai", headers=operator).status_code == 403


# --- decisions that were made ---

def test_the_answer_says_how_it_was_routed_unless_that_is_switched_off(make, place):
    config = config_of(place, make.mock(), auth={"keys": [{"name": "a", "key": "key-of-a"},
                                                          {"name": "b", "key": "key-of-b", "explain": False}]})
    gateway = make.gateway(config)
    chat = lambda key, model="smart": gateway.http().post("/v1/chat/completions", json={**REQUEST, "model": model},
                                                          headers={"x-api-key": key})
    field = chat("key-of-a").headers["x-openclaw-route"]
    assert field == "smart; strategy=cost; target=openai/gpt-4o-mini; attempts=1"
    assert "x-openclaw-route" not in chat("key-of-b").headers
    direct = chat("key-of-a", "openai/gpt-4o")
    assert direct.status_code == 200 and "x-openclaw-route" not in direct.headers
    gateway.reload({**config, "observe": {"explain": False}})
    assert "x-openclaw-route" not in chat("key-of-a").headers


def kept(place, request_id):
    """What is known of a request that has ended."""
    def look():
        answer = admin(place).get(f"/exchanges/{request_id}")
        return answer.status_code == 200 and answer.json()
    return wait_until(look, f"what is kept of {request_id}")


def test_the_decision_is_in_the_log_line_and_found_by_the_requests_id(make, place):
    gateway = make.gateway(config_of(place, make.mock()))
    assert gateway.chat("smart", headers={"x-request-id": "first"}).status_code == 200
    assert gateway.chat("openai/gpt-4o", headers={"x-request-id": "direct"}).status_code == 200
    route = kept(place, "first")["request"]["route"]
    assert route["alias"] == "smart" and route["candidates"][0]["target"] == "openai/gpt-4o-mini"
    assert gateway.access("first")["route"] == route
    assert "route" not in kept(place, "direct")["request"]
    done = run("explain", "--request", "first", "--socket", str(place / "a.sock"))
    assert done.returncode == 0 and "answered by openai/gpt-4o-mini" in done.stdout and "smart -> " in done.stdout
    assert admin(place).get("/exchanges/none").status_code == 404


def test_a_request_is_kept_whatever_the_log_looks_like(make, place):
    gateway = make.gateway(config_of(place, make.mock(), observe={"access": {"path": "off"}}))
    answer = gateway.chat("smart")
    assert kept(place, answer.headers["x-request-id"])["request"]["route"]["alias"] == "smart"
    assert kept(place, answer.json()["id"])["request"]["status"] == 200


# --- feedback ---

def test_feedback_finds_its_request_on_whichever_worker_it_was(make, place):
    gateway = make.gateway(config_of(place, make.mock()))
    one = lambda path, body, **headers: gateway.http().post(path, json=body, headers={**gateway.authorization(), **headers})
    for i in range(8):    # connections of their own are spread over the workers
        assert one("/v1/chat/completions", REQUEST, **{"x-request-id": f"r{i}"}).status_code == 200
    for i in range(8):
        kept(place, f"r{i}")
        answer = one("/v1/feedback", {"request_id": f"r{i}", "thumb": "up", "comment": "good"})
        assert answer.json() == {"request_id": f"r{i}", "feedback": {"score": 1, "comment": "good"}, "result": "taken"}
    assert kept(place, "r3")["feedback"] == {"score": 1, "comment": "good"}
    said = wait_until(lambda: [line for line in gateway.access_log() if line.get("kind") == "feedback"][7:], "all feedback")
    assert said[0]["model_requested"] == "smart" and said[0]["feedback"]["score"] == 1
    assert gateway.metrics().value("openclaw_feedback_total") == 8


def test_feedback_is_bounded(make, place):
    gateway = make.gateway(config_of(place, make.mock()))
    assert gateway.http().post("/v1/feedback", content=b" " * 70000, headers=gateway.authorization()).status_code == 413
