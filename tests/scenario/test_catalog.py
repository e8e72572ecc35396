"""What is known about models: the command, files that are imported and watched, and what answers cost."""
import http.server
import json
import subprocess
import threading

import pytest

from lib import process
from lib.ask import ask
from lib.process import PATIENCE, environment, wait_until


def catalog(*args, status=0):
    done = subprocess.run([process.BIN, "catalog", *map(str, args)], env=environment(), stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == status, done.stderr
    return done.stdout if status == 0 else done.stderr


@pytest.fixture
def source(tmp_path):
    """A small catalog in LiteLLM's format."""
    path = tmp_path / "litellm.json"
    path.write_text(json.dumps({"gpt-4o": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 2e-06,
                                           "output_cost_per_token": 1e-05}}))
    return path


# --- the command ---

def test_all_models_are_listed_with_limits_and_prices():
    lines = catalog("list").splitlines()
    assert len(lines) > 250 and lines[0].split()[:3] == ["MODEL", "CONTEXT", "OUTPUT"]
    assert [line.split() for line in lines if line.startswith("openai/gpt-4o ")] == [
        ["openai/gpt-4o", "128k", "16k", "2.5", "10", "26.0", "deprecated"]]


def test_models_are_found_by_name_and_ability():
    rows = json.loads(catalog("search", "claude", "+tools", "no-prefill", "--json"))
    assert rows and all("claude" in r["id"] or "claude" in r["base"] for r in rows)
    assert all(r["capabilities"]["tools"] and not r["capabilities"]["prefill"] for r in rows)
    assert "no model matches" in catalog("search", "there-is-no-such-model", status=1)


def test_everything_about_a_model_is_shown():
    text = catalog("show", "openai/gpt-5.6")
    assert "> 272000      input $8" in text and "context       1050000" in text
    shown = json.loads(catalog("show", "openai/gpt-5.6", "--json"))
    assert shown["prices"][0]["tiers"] == [{"above": 272000, "input": 8, "cached_input": 0.8, "cache_write": 10, "output": 30}]
    assert "is not known" in catalog("show", "lab/x", status=1)


@pytest.mark.parametrize("words", [[], ["shew"], ["show"], ["import", "x"], ["refresh"]])
def test_what_is_missing_is_said(words):
    assert "openclaw catalog: " in catalog(*words, status=2)


def test_what_a_file_says_cannot_control_the_terminal(tmp_path):
    file, config = tmp_path / "catalog.json", tmp_path / "openclaw.yaml"
    evil = "\x1b]0;owned\x07\x1b[31m"
    entry = {"id": f"lab/{evil}", "base": f"b{evil}", "replacement": evil, "ends": "2030-01-01",
             "price": {"input": 1, "windows": [{"name": evil, "utc": "mon 00:00-01:00", "input": 2}]}}
    file.write_text(json.dumps({"models": [entry]}))
    config.write_text(f"catalog: {{file: {file}}}\n")
    for text in (catalog("search", "lab/", "-c", config), catalog("show", f"lab/{evil}", "-c", config)):
        assert "\x1b" not in text and "\x07" not in text and "\\x1b[31m" in text
    file.write_text(json.dumps({"models": [{**entry, "mode": evil}]}))
    text = catalog("search", "lab/", "-c", config, status=2)
    assert "\x1b" not in text and "\\x1b[31m" in text


# --- importing ---

def test_an_import_keeps_the_old_price(source, tmp_path):
    file = tmp_path / "catalog.json"
    assert "1 with another price" in catalog("import", source, "--to", file)
    row, = json.loads(file.read_text())["models"]
    assert [p["input"] for p in row["prices"]] == [2, 2.5] and "since" in row["prices"][0]
    assert "since" not in row["prices"][1]
    before = file.read_text()
    assert "0 with something new" in catalog("import", source, "--to", file)
    assert file.read_text() == before


def test_a_source_that_is_no_catalog_changes_nothing(source, tmp_path):
    file, bad = tmp_path / "catalog.json", tmp_path / "bad.json"
    catalog("import", source, "--to", file)
    before = file.read_text()
    for text in ("", "[1]", "{\"models\": 3}", "\0"):
        bad.write_text(text)
        assert "the source is not" in catalog("import", bad, "--to", file, status=1)
    assert "cannot be opened" in catalog("import", tmp_path / "none", "--to", file, status=1)
    assert file.read_text() == before and sorted(p.name for p in tmp_path.iterdir() if "new" in p.name) == []


def test_a_refresh_reads_the_url_of_the_configuration(source, tmp_path):
    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(tmp_path))

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    file, config = tmp_path / "catalog.json", tmp_path / "openclaw.yaml"
    file.write_text('{"models": []}')
    try:
        for name, status in (("litellm.json", 0), ("none.json", 1)):
            config.write_text(f"catalog: {{file: {file}, source: 'http://127.0.0.1:{server.server_port}/{name}'}}\n")
            said = catalog("refresh", "-c", config, status=status)
            assert ("1 models of LiteLLM read" if status == 0 else "status 404") in said
    finally:
        server.shutdown()
    assert json.loads(catalog("show", "openai/gpt-4o", "--json", "-c", config))["prices"][0]["input"] == 2


# --- in the gateway ---

def test_the_list_of_models_says_what_is_known_of_each(make):
    gateway = make.gateway({"providers": {"lab": make.mock().provider(models=["m", "n"])}, "models": {"fast": {"targets": ["lab/m"]}},
                            "catalog": {"models": [{"id": "lab/m", "context": 8000, "price": {"input": 2.5, "output": 10},
                                                    "capabilities": {"tools": True}}]}})
    models = {m["id"]: m for m in gateway.get("/v1/models").json()["data"]}
    assert models["lab/m"]["context_length"] == 8000 and models["lab/m"]["supported_parameters"] == ["tools"]
    assert models["lab/m"]["pricing"] == {"prompt": "0.0000025", "completion": "0.00001"}
    assert "context_length" not in models["lab/n"] and "context_length" not in models["fast"]
    assert gateway.get("/v1/models/lab/m").json() == models["lab/m"]


def test_an_alias_demands_a_region(make):
    mock = make.mock()
    gateway = make.gateway({
        "providers": {"lab": mock.provider(), "near": {**mock.provider(), "region": "eu", "data": {"retention": "none", "training": "false"}}},
        "models": {"private": {"require": {"regions": ["eu"], "retention": "none", "training": "false"}, "targets": ["lab/m", "near/m"]},
                   "none": {"require": {"regions": ["us"]}, "targets": ["lab/m", "near/m"]}}})
    assert ask(gateway, "openai", "private").status == 200
    assert gateway.last_access()["provider"] == "near"
    refused = ask(gateway, "openai", "none")
    assert refused.status == 400 and "near/m: it processes requests in 'eu'" in str(refused)


def cost_of(gateway, model, lines):
    assert ask(gateway, "openai", model).status == 200
    wait_until(lambda: len(gateway.access_log()) == lines, "the line of the log")
    return gateway.access_log()[-1]


def test_answers_cost_what_the_configuration_says(make):
    mock = make.mock()
    gateway = make.gateway({"providers": {"lab": mock.provider(), "other": mock.provider()}, "catalog": {
        "unknown_price": "estimate",
        "models": [{"id": "lab/m", "base": "ours/m", "price": {"input": 1, "output": 2}}, {"id": "other/m", "base": "ours/m"}]}})
    for n, (model, estimated) in enumerate([("lab/m", None), ("other/m", True)], 1):
        line = cost_of(gateway, model, n)
        assert line["cost_nanousd"] == 1000 * line["tokens_input"] + 2000 * line["tokens_output"]
        assert line.get("cost_estimated") == estimated


def test_a_price_that_is_not_known_is_counted_and_warned_of_once(make):
    mock = make.mock()
    gateway = make.gateway({"providers": {"lab": mock.provider()}, "server": {"workers": 1}})
    for n in range(1, 4):
        assert "cost_nanousd" not in cost_of(gateway, "lab/m", n)
    assert gateway.metrics().value("openclaw_cost_unknown_total") == 3
    assert gateway.stderr().count("had no known price") == 1 and "lab/m" in gateway.stderr()


def test_a_catalog_file_that_changes_is_read_again(make, tmp_path):
    file = tmp_path / "catalog.json"
    file.write_text('{"models": [{"id": "lab/m", "price": {"input": 1, "output": 1}}]}')
    mock = make.mock()
    gateway = make.gateway({"providers": {"lab": mock.provider()}, "catalog": {"file": str(file)}})
    line = cost_of(gateway, "lab/m", 1)
    assert line["cost_nanousd"] == 1000 * (line["tokens_input"] + line["tokens_output"])
    file.write_text('{"models": [{"id": "lab/m", "price": {"input": 3, "output": 3}}]}')
    lines = [1]

    def cost_is_new():
        lines[0] += 1
        now = cost_of(gateway, "lab/m", lines[0])
        return now["cost_nanousd"] == 3000 * (now["tokens_input"] + now["tokens_output"])
    wait_until(cost_is_new, "the new price", pause=0.2)
