"""Coming from LiteLLM: its configuration, and the keys of its database, made with its own migrations."""
import hashlib
import importlib.util
import json
import pathlib
import subprocess

import openai
import pytest
import yaml

from lib import process
from lib.process import canary, wait_until

HELLO = [{"role": "user", "content": "Hello"}]


def run(*args, env=None, status=0):
    done = subprocess.run([process.BIN, *map(str, args)], capture_output=True, text=True, env=process.environment(**(env or {})))
    assert done.returncode == status, done
    return done


def convert(tmp_path, config, *args, status=0):
    file, out = tmp_path / "litellm.yaml", tmp_path / "openclaw.yaml"
    file.write_text(yaml.safe_dump(config))
    done = run("import", "litellm", file, "-o", out, "--json", *args, status=status)
    report = json.loads(done.stderr[done.stderr.index("{"):])
    return yaml.safe_load(out.read_text()), {f["field"]: f["result"] for f in report["fields"]}


def deployment(name, model, **more):
    return {"model_name": name, "litellm_params": {"model": model, **more}}


def test_deployments_fallbacks_and_aliases_become_providers_and_models(tmp_path):
    config = {
        "model_list": [
            deployment("gpt-4o", "azure/eu", api_base="https://eu.openai.azure.com", api_key="os.environ/AZ", weight=3, rpm=60),
            deployment("gpt-4o", "openai/gpt-4o", api_key="os.environ/OPENAI_API_KEY", temperature=0.2, timeout=30),
            deployment("gpt-4o", "openai/gpt-4o", api_key="os.environ/SECOND"),
            deployment("claude", "anthropic/claude-sonnet-4-5", api_key="sk-ant-$1"),
            deployment("local", "openai/llama", api_base="http://127.0.0.1:9/v1", api_key="x12345678"),
            deployment("openai/*", "openai/*", api_key="os.environ/OPENAI_API_KEY"),
            deployment("gemini", "gemini/gemini-2.5-pro"), deployment("aws", "bedrock/anthropic.claude", aws_region_name="eu-west-1"),
        ],
        "litellm_settings": {"fallbacks": [{"gpt-4o": ["claude"]}], "callbacks": ["langfuse"], "drop_params": True},
        "router_settings": {"routing_strategy": "least-busy", "model_group_alias": {"gpt-4": "gpt-4o"}},
        "general_settings": {"master_key": "os.environ/MASTER", "alerting": ["slack"]},
    }
    ours, said = convert(tmp_path, config)
    assert ours["providers"]["openai"]["api_key"] == ["${OPENAI_API_KEY}", "${SECOND}"]
    assert ours["providers"]["openai-2"] == {"wire": "openai-chat", "base_url": "http://127.0.0.1:9/v1", "api_key": "x12345678"}
    assert ours["providers"]["anthropic"]["api_key"] == "sk-ant-$$1"
    assert ours["providers"]["bedrock"] == {"aws": {"region": "eu-west-1"}} and ours["providers"]["google"] == {}
    models = ours["models"]
    assert models["gpt-4o"]["targets"] == ["gpt-4o-deployments", "claude"] and "openai/*" not in models
    assert models["gpt-4o-deployments"]["strategy"] == "least_busy"
    assert models["gpt-4o-deployments"]["targets"][0] == {"model": "azure/eu", "weight": 3}
    assert models["gpt-4o-deployments"]["targets"][1]["params"] == {"temperature": 0.2}
    assert models["gpt-4"]["targets"] == ["gpt-4o"]
    assert said["model_list[0].litellm_params.rpm"] == "not possible" and said["litellm_settings.callbacks"] == "not possible"
    assert said["general_settings.alerting"] == "not possible" and said["litellm_settings.fallbacks"] == "exact"
    assert said["model_list[1].litellm_params.timeout"] == "approximated"
    keys = {name: f"{name.lower()}-0123456789abcdef" for name in ("AZ", "OPENAI_API_KEY", "SECOND", "MASTER", "GEMINI_API_KEY")}
    run("check", "-c", tmp_path / "openclaw.yaml", env={**keys, "AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "s"})


def test_what_is_no_configuration_is_refused(tmp_path):
    for text, words in (("a: [", "litellm.yaml:"), ("x: 1", "model_list"), ("model_list: 3", "model_list")):
        file = tmp_path / "litellm.yaml"
        file.write_text(text)
        assert words in run("import", "litellm", file, status=1).stderr
    run("import", "litellm", status=2)
    run("import", "portkey", "x", status=2)
    away = run("import", "litellm", "--database", "postgres://127.0.0.1:1/x", status=1, env={"XDG_STATE_HOME": str(tmp_path)})
    assert "--database" in away.stderr


@pytest.fixture
def database(make):
    """LiteLLM's schema as its own migrations make it."""
    spec = importlib.util.find_spec("litellm_proxy_extras")
    folder = pathlib.Path(spec.submodule_search_locations[0]) / "migrations"
    postgres = make.postgres()
    url = postgres.url()
    name = url.rsplit("/", 1)[1].split("?")[0]
    for migration in sorted(folder.glob("*/migration.sql")):
        postgres.rows(migration.read_text(), name)
    return postgres, url, name


def hashed(key):
    return hashlib.sha256(key.encode()).hexdigest()


def test_callers_keep_the_keys_of_a_litellm_database(make, database, tmp_path):
    postgres, url, name = database
    keys = {n: f"sk-{canary(n)}" for n in ("team", "user", "blocked", "expired", "plain")}
    sql = f"""
        INSERT INTO "LiteLLM_BudgetTable" (budget_id, max_budget, rpm_limit, budget_duration, created_by, updated_by)
            VALUES ('b1', 12.5, 100, '30d', 'x', 'x');
        INSERT INTO "LiteLLM_OrganizationTable" (organization_id, organization_alias, budget_id, models, created_by, updated_by)
            VALUES ('o1', 'Acme', 'b1', '{{}}', 'x', 'x');
        INSERT INTO "LiteLLM_TeamTable" (team_id, team_alias, organization_id, admins, members, models, max_budget, budget_duration, rpm_limit)
            VALUES ('t1', 'Research', 'o1', '{{}}', '{{}}', '{{lab/small}}', 100, '7d', 600);
        INSERT INTO "LiteLLM_UserTable" (user_id, user_email, user_role, team_id, models, spend)
            VALUES ('u1', 'ada@example.com', 'internal_user', 't1', '{{}}', 3.5);
        INSERT INTO "LiteLLM_VerificationToken" (token, key_name, key_alias, team_id, user_id, models, expires, blocked, rpm_limit, max_budget, metadata)
            VALUES ('{hashed(keys['team'])}', 'sk-...1', 'ci/cd', 't1', NULL, '{{all-team-models}}', NULL, NULL, 1000, 5, '{{}}'),
                   ('{hashed(keys['user'])}', 'sk-...2', NULL, NULL, 'u1', '{{}}', now() + interval '1 day', false, NULL, NULL, '{{}}'),
                   ('{hashed(keys['blocked'])}', 'sk-...3', 'blocked', NULL, NULL, '{{}}', NULL, true, NULL, NULL, '{{}}'),
                   ('{hashed(keys['expired'])}', 'sk-...4', 'expired', NULL, NULL, '{{}}', '2020-01-01', NULL, NULL, NULL, '{{}}'),
                   ('{hashed(keys['plain'])}', 'sk-...5', 'plain', NULL, NULL, '{{lab/m}}', NULL, NULL, NULL, NULL, '{{}}');
    """
    postgres.rows(sql, name)
    mock = make.mock()
    gateway = make.gateway({"providers": {"lab": mock.provider()}}, workers=2)
    env = {**gateway.env, "XDG_STATE_HOME": str(gateway.directory / "state")}
    done = run("import", "litellm", "--database", url, "-c", gateway.config_path, "--json", env=env)
    assert "7 made, 0 there already" in done.stderr, done.stderr
    report = json.loads(done.stderr[done.stderr.index("{"):])
    assert report["not_possible"] == 0, report
    assert not any(key in done.stderr + done.stdout for key in keys.values())

    def ask(key, model="lab/small"):
        with openai.OpenAI(api_key=keys[key], base_url=gateway.url + "/v1", max_retries=0) as client:
            try:
                return client.chat.completions.create(model=model, messages=HELLO).choices[0].finish_reason
            except openai.APIStatusError as e:
                return e.status_code

    wait_until(lambda: ask("team") == "stop", "the keys to be known")
    assert ask("user", "lab/m") == "stop" and ask("plain", "lab/m") == "stop"
    assert ask("team", "lab/large") == 403 and ask("plain") == 403
    assert ask("blocked") == 401 and ask("expired") == 401
    again = run("import", "litellm", "--database", url, "-c", gateway.config_path, env=env)
    assert "0 made, 7 there already" in again.stderr, again.stderr
    shown = json.loads(run("teams", "show", "Research", "--json", "--offline", "-c", gateway.config_path, env=env).stdout)
    assert shown["rpm"] == 600 and shown["budget"].startswith("100") and shown["budget"].endswith("/week"), shown


def test_who_may_spend_nothing_there_may_not_here(make, database, tmp_path):
    postgres, url, name = database
    keys = {n: f"sk-{canary(n)}" for n in ("broke", "of-broke", "lost", "good")}
    rows = ", ".join(f"('{hashed(keys[n])}', 'sk-...{n}', '{n}', {team}, NULL, '{{}}', {most}, '{{}}')"
                     for n, team, most in (("broke", "NULL", "0"), ("of-broke", "'t1'", "NULL"), ("lost", "'t9'", "NULL"), ("good", "NULL", "5")))
    postgres.rows(f"""
        INSERT INTO "LiteLLM_TeamTable" (team_id, team_alias, admins, members, models, max_budget) VALUES ('t1', 'Broke', '{{}}', '{{}}', '{{}}', 0);
        INSERT INTO "LiteLLM_UserTable" (user_id, user_email, user_role, models) VALUES ('u1', 'ada@example.com', 'internal_user', '{{lab/m}}');
        INSERT INTO "LiteLLM_VerificationToken" (token, key_name, key_alias, team_id, user_id, models, max_budget, metadata) VALUES {rows};
    """, name)
    gateway = make.gateway({"providers": {"lab": make.mock().provider()}})
    env = {**gateway.env, "XDG_STATE_HOME": str(gateway.directory / "state")}
    done = run("import", "litellm", "--database", url, "-c", gateway.config_path, "--json", env=env)
    report = json.loads(done.stderr[done.stderr.index("{"):])
    assert report["not_possible"] == 2, report    # the key without its team, and the models of the user

    def status(key):
        return gateway.post("/v1/chat/completions", {"model": "lab/m", "messages": HELLO},
                            headers={"Authorization": f"Bearer {keys[key]}"}).status_code

    wait_until(lambda: status("good") == 200, "the keys to be known")
    assert [status(key) for key in ("broke", "of-broke", "lost")] == [401, 401, 401]
