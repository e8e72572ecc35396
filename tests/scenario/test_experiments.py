"""Experiments: sticky arms, what is kept of them over reloads, and how they are compared."""
import json
import subprocess

import httpx
import pytest

from lib import process
from lib.process import PATIENCE, environment, wait_until


@pytest.fixture
def place(tmp_path_factory):
    """A folder with a short name: paths of sockets have at most 107 bytes."""
    return tmp_path_factory.mktemp("s")


def config_of(place, mock, by="caller", **more):
    return {"server": {"admin_socket": str(place / "a.sock")},
            "providers": {"openai": mock.provider()},
            "models": {"fast": {"targets": ["openai/gpt-4o"]}},
            "experiments": [{"name": "cheaper", "alias": "fast", "by": by,
                             "arms": [{"name": "now", "use": "fast"}, {"name": "mini", "use": "openai/gpt-4o-mini"}]}],
            **more}


def results(place):
    """The arms by name."""
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(place / "a.sock")), timeout=PATIENCE) as api:
        only, = api.get("http://gateway/admin/v1/experiments").json()["experiments"]
    assert only["name"] == "cheaper" and only["alias"] == "fast"
    return {arm["name"]: arm for arm in only["arms"]}


def arm_of(answer):
    return answer.headers["x-openclaw-route"].split("arm=")[1].split(";")[0]


def test_whoever_asks_keeps_the_arm(make, place):
    mock = make.mock()
    gateway = make.gateway(config_of(place, mock, by="tag:team"))
    arms = {}
    for i in range(30):
        for _ in range(2):
            answer = gateway.chat("fast", headers={"x-openclaw-tags": f"team=t{i}"})
            assert answer.status_code == 200
            assert arms.setdefault(i, arm_of(answer)) == arm_of(answer)
            assert answer.json()["model"].startswith("gpt-4o-mini") == (arm_of(answer) == "mini")
    assert set(arms.values()) == {"now", "mini"}
    plain = gateway.chat("fast")    # without the tag it does not take part
    assert "arm=" not in plain.headers["x-openclaw-route"]


def test_results_are_compared_and_go_on_over_reloads(make, place):
    config = config_of(place, make.mock(), by="request")
    gateway = make.gateway(config)
    ids = {}
    for _ in range(40):
        answer = gateway.chat("fast")
        ids.setdefault(arm_of(answer), []).append(answer.headers["x-request-id"])
    wait_until(lambda: sum(a["requests"] for a in results(place).values()) == 40, "40 results")
    for request_id in ids["mini"]:
        gateway.access(request_id)
        assert gateway.post("/v1/feedback", {"request_id": request_id, "thumb": "up"}).status_code == 200
    before = results(place)
    now, mini = before["now"], before["mini"]
    assert (now["requests"], mini["requests"]) == (len(ids["now"]), len(ids["mini"]))
    assert now["error_share"]["value"] == 0 and 0 < now["error_share"]["high"] < 1
    assert mini["score"]["mean"]["value"] == 1 and now["score"]["count"] == 0
    assert "against_first" not in now
    cost = mini["against_first"]["cost_usd"]
    assert cost["low"] <= cost["value"] <= cost["high"] < 0    # the mini model is cheaper, beyond doubt
    line = gateway.access(ids["mini"][0])
    assert line["route"]["experiment"] == {"name": "cheaper", "arm": "mini"}
    metrics = gateway.metrics()
    assert metrics.value("openclaw_experiment_requests_total", experiment="cheaper", arm="mini") == len(ids["mini"])
    gateway.reload({**config, "retry": {"budget": 1}})
    assert results(place) == before


def test_errors_of_an_arm_are_counted(make, place):
    config = config_of(place, make.mock(), by="request")
    config["experiments"][0]["arms"][1]["use"] = "openai/gpt-4o;status=500"
    gateway = make.gateway(config)
    failed = sum(gateway.chat("fast").status_code != 200 for _ in range(30))
    wait_until(lambda: sum(a["requests"] for a in results(place).values()) == 30, "30 results")
    arms = results(place)
    assert failed > 0 and arms["mini"]["errors"] == arms["mini"]["requests"] == failed and arms["now"]["errors"] == 0


def test_the_command_shows_arms_and_differences(make, place):
    gateway = make.gateway(config_of(place, make.mock(), by="request"))
    for _ in range(20):
        gateway.chat("fast")
    wait_until(lambda: sum(a["requests"] for a in results(place).values()) == 20, "20 results")
    done = subprocess.run([process.BIN, "experiments", "--socket", str(place / "a.sock")], capture_output=True, text=True,
                          timeout=PATIENCE, env=environment())
    assert done.returncode == 0 and done.stdout.startswith("cheaper")
    assert "openai/gpt-4o-mini" in done.stdout and "against the first (95%:" in done.stdout


@pytest.mark.parametrize("change, said", [
    ({"alias": "none"}, "there is no alias 'none'"),
    ({"arms": [{"name": "a", "use": "fast"}]}, "2 to 16"),
    ({"arms": [{"name": "a", "use": "fast"}, {"name": "b", "use": "opnai/x"}]}, "did you mean"),
    ({"by": "weather"}, "tag:NAME"),
])
def test_check_says_what_is_wrong(tmp_path, change, said):
    config = {"providers": {"openai": {"api_key": "k"}}, "models": {"fast": {"targets": ["openai/gpt-4o"]}},
              "experiments": [{"name": "x", "alias": "fast", "arms": [{"name": "a", "use": "fast"},
                                                                      {"name": "b", "use": "openai/b"}], **change}]}
    file = tmp_path / "x.yaml"
    file.write_text(json.dumps(config))
    done = subprocess.run([process.BIN, "check", str(file)], capture_output=True, text=True, timeout=PATIENCE,
                          env=environment())
    assert done.returncode == 2 and said in done.stderr
