"""`openclaw replay`: what another configuration would have done with a log."""
import gzip
import json
import subprocess

import pytest

from lib import process
from lib.process import PATIENCE, environment, wait_until

MODELS = {
    "cheap": {"strategy": "cost", "targets": ["openai/gpt-4o", "openai/gpt-4o-mini", "groq/gpt-4o"]},
    "spread": {"strategy": "weighted", "targets": [{"model": "openai/gpt-4o", "weight": 3}, "openai/gpt-4o-mini", "cheap"]},
    "turns": {"strategy": "round_robin", "targets": ["openai/gpt-4o", "groq/llama-3.3-70b-versatile"]},
}
EXPERIMENTS = [{"name": "x", "alias": "turns", "by": "request",
                "arms": [{"name": "a", "use": "turns"}, {"name": "b", "use": "openai/gpt-4o-mini"}]}]


def run(*args, stdin=None):
    return subprocess.run([process.BIN, *args], capture_output=True, timeout=PATIENCE, input=stdin, env=environment())


@pytest.fixture(scope="module")
def log(make_shared, tmp_path_factory):
    """The configuration and the log of some traffic."""
    mock = make_shared.mock()
    config = {"providers": {"openai": mock.provider(), "groq": mock.provider()}, "models": MODELS,
              "experiments": EXPERIMENTS}
    gateway = make_shared.gateway(config)
    for i in range(40):
        for model in (*MODELS, "openai/gpt-4o"):
            assert gateway.chat(model, max_tokens=20 + i).status_code == 200
    gateway.post("/v1/feedback", {"request_id": "none", "score": 1})
    wait_until(lambda: len(gateway.access_log()) >= 161, "all lines")
    path = tmp_path_factory.mktemp("log") / "access.log"
    path.write_bytes(gateway.access_path.read_bytes())
    return config, path


def replay(tmp_path, config, path, stdin=None):
    file = tmp_path / "new.yaml"
    file.write_text(json.dumps(config))
    done = run("replay", str(path), "-c", str(file), "--json", stdin=stdin)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_same_configuration_decides_every_line_the_same(log, tmp_path):
    config, path = log
    result = replay(tmp_path, config, path)
    assert (result["requests"], result["moved"], result["undecidable"]) == (160, 0, 0)
    assert result["cost_was_nanousd"] == result["cost_is_nanousd"] > 0
    assert result["without_decision"] == result["lines"] - 160


def test_another_strategy_moves_requests_and_their_cost(log, tmp_path):
    config, path = log
    models = {**MODELS, "turns": {"targets": ["openai/gpt-4o"]}}
    result = replay(tmp_path, {**config, "models": models, "experiments": []}, path)
    turns = next(m for m in result["models"] if m["model"] == "turns")
    assert turns["requests"] == 40 and 0 < turns["moved"] < 40
    assert {m["to"] for m in result["moves"]} == {"openai/gpt-4o"}
    assert sum(m["requests"] for m in result["moves"]) == result["moved"]
    assert turns["cost_is_nanousd"] > turns["cost_was_nanousd"]


def test_what_was_not_recorded_is_undecidable_and_never_guessed(log, tmp_path):
    config, path = log
    models = {**MODELS, "openai/gpt-4o": {"strategy": "cost", "targets": ["groq/gpt-4o", "openai/gpt-4o-mini"]}}
    result = replay(tmp_path, {**config, "models": models, "experiments": []}, path)
    direct = next(m for m in result["models"] if m["model"] == "openai/gpt-4o")
    assert (direct["requests"], direct["undecidable"], direct["moved"]) == (40, 40, 0)
    assert result["undecidable_for_lack_of"][0]["what"] == "what the request needs"


def test_a_log_may_be_compressed_or_come_from_a_pipe(log, tmp_path):
    config, path = log
    packed = tmp_path / "access.log.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    plain = replay(tmp_path, config, path)
    assert replay(tmp_path, config, packed) == plain
    assert replay(tmp_path, config, "-", stdin=path.read_bytes()) == plain


def test_people_get_a_table(log, tmp_path):
    config, path = log
    file = tmp_path / "new.yaml"
    file.write_text(json.dumps({**config, "models": {**MODELS, "cheap": {"targets": ["groq/gpt-4o"]}}}))
    text = run("replay", str(path), "-c", str(file)).stdout.decode()
    assert "160 requests were routed" in text and "would go elsewhere" in text
    assert "openai/gpt-4o-mini" in text and "groq/gpt-4o" in text


@pytest.mark.parametrize("content, malformed", [(b"", 0), (b"not json\n\n{}\n[1]", 2), (b"x" * 5_000_000 + b"\n{}\n", 2)])
def test_lines_that_are_not_of_a_log_are_counted(tmp_path, content, malformed):
    path = tmp_path / "odd.log"
    path.write_bytes(content)
    result = replay(tmp_path, {"providers": {"openai": {"api_key": "k"}}}, path)
    assert result["malformed"] == malformed and result["requests"] == 0


def test_what_cannot_be_read_is_an_error(tmp_path):
    done = run("replay", str(tmp_path / "none.log"), "--set", "providers.openai.api_key=k")
    assert done.returncode == 1 and b"No such file" in done.stderr
    assert run("replay").returncode == 2
