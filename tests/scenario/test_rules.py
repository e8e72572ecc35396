"""Rules: which requests they catch, what they change in what providers get, and what callers are told."""
import subprocess
import time

import pytest
import yaml

from lib import process
from lib.ask import EVERY_CALLER, ask
from lib.pages import Page
from lib.process import PATIENCE, environment, wait_until

PAGE = Page("docs/rules.md")


@pytest.fixture
def mock(make):
    return make.mock()


def config_of(mock, rules, **more):
    return {"providers": {"lab": mock.provider(), "ant": mock.provider("anthropic-messages"),
                          "oll": mock.provider("ollama")},
            "models": {"fast": {"targets": ["lab/small"]}, "smart": {"targets": ["lab/large"]}},
            "rules": rules, **more}


def check(file):
    return subprocess.run([process.BIN, "check", "-c", file], capture_output=True, text=True, timeout=PATIENCE,
                          env=environment())


def model_asked(mock):
    return mock.last_request()["json"]["model"]


def went_to(gateway, mock, model="fast", headers=None, **more):
    """The model that the provider was asked for."""
    answer = gateway.chat(model, headers=headers, **more)
    assert answer.status_code == 200, answer.text
    return model_asked(mock)


def test_a_rule_by_the_key_decides_for_that_key_alone(make, mock):
    keys = [{"name": "ci", "key": "key-of-the-ci-" + 20 * "x"}, {"name": "app", "key": "key-of-the-app-" + 20 * "x"}]
    gateway = make.gateway(config_of(mock, [{"when": 'key == "ci"', "use": "smart"}], auth={"keys": keys}))
    for key, wanted in zip(keys, ("large", "small")):
        gateway.key = key["key"]
        assert went_to(gateway, mock) == wanted


def test_rules_by_tags_header_fields_tokens_and_the_stream(make, mock):
    gateway = make.gateway(config_of(mock, [
        {"when": 'tags.team == "search"', "use": "lab/for-search"},
        {"when": 'headers["x-tier"] == "gold"', "use": "lab/for-gold"},
        {"when": "tokens > 1000", "use": "lab/for-long"},
        {"when": "tools", "use": "lab/for-tools"},
        {"when": "stream", "use": "lab/for-streams"},
        {"when": 'starts(model, "fa") and max_tokens == 77', "targets": ["lab/for-77"]},
    ]))
    assert went_to(gateway, mock) == "small"
    assert went_to(gateway, mock, headers={"x-openclaw-tags": "beta, team=search"}) == "for-search"
    assert went_to(gateway, mock, headers={"X-Tier": "gold"}) == "for-gold"
    assert went_to(gateway, mock, headers={"X-Tier": "silver"}) == "small"
    assert went_to(gateway, mock, messages=[{"role": "user", "content": 2000 * "word "}]) == "for-long"
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
    assert went_to(gateway, mock, tools=[tool]) == "for-tools"
    assert went_to(gateway, mock, stream=True) == "for-streams"
    assert went_to(gateway, mock, max_tokens=77) == "for-77"


def test_rules_by_what_a_request_is_about(make, mock):
    gateway = make.gateway(config_of(mock, [
        {"when": "secrets", "reject": "Do not send secrets."},
        {"when": 'task == "code"', "use": "lab/for-code"},
        {"when": 'language == "de"', "use": "lab/for-german"}]))

    def goes(text):
        return went_to(gateway, mock, messages=[{"role": "user", "content": text}])
    assert goes("Hi, how are you today?") == "small"
    assert goes("Fix the bug in this function:\n\ndef add(a, b):\n    return a - b\n") == "for-code"
    assert goes("Der Hund schläft im Garten und die Katze sitzt daneben auf der Mauer.") == "for-german"
    text = "My key is AKIA" + "IOSFODNN7EXAMPLE and sk-" + "proj-" + 40 * "a1B2"
    answer = gateway.chat("fast", messages=[{"role": "user", "content": text}])
    assert (answer.status_code, answer.json()["error"]["message"]) == (403, "Do not send secrets.")


def test_a_rule_by_the_time(make, mock):
    now = time.gmtime()
    if now.tm_min == 59:
        time.sleep(60 - now.tm_sec + 1)    # the hour must not end in between
        now = time.gmtime()
    day = now.tm_wday + 1
    gateway = make.gateway(config_of(mock, [
        {"when": f"hour == {now.tm_hour} and weekday == {day}", "use": "smart"}]))
    assert went_to(gateway, mock) == "large"
    gateway.reload(config_of(mock, [{"when": f"hour ~= {now.tm_hour}", "use": "smart"}]))
    assert went_to(gateway, mock) == "small"


@pytest.mark.parametrize("caller", EVERY_CALLER)
@pytest.mark.parametrize("status", [400, 403, 429])
def test_a_rejection_says_its_sentence_in_every_protocol(make, mock, caller, status):
    sentence = "This model is closed on Sundays. Ask \"fast\" instead."
    gateway = make.gateway(config_of(mock, [
        {"name": "closed", "when": 'model == "smart" or model == "lab/large"', "reject": sentence, "status": str(status)}]))
    for model in ("smart", "lab/large"):
        for stream in (False, True):
            result = ask(gateway, caller, model, stream)
            assert result.status == status
            assert result.error["message"] == sentence, result.body
    assert ask(gateway, caller, "fast").complete
    assert mock.stats()["requests"] == 1


def test_the_first_rule_that_holds_ends_the_search_unless_it_continues(make, mock):
    gateway = make.gateway(config_of(mock, [
        {"when": "true", "params": {"temperature": 0.25}, "tag": "seen=yes", "continue": True},
        {"when": 'tags.seen == "yes" and model == "fast"', "use": "lab/a", "params": {"temperature": 1, "seed": 7}},
        {"use": "lab/b"}]))
    assert went_to(gateway, mock, temperature=2) == "a"
    sent = mock.last_request()["json"]
    assert (sent["temperature"], sent["seed"]) == (0.25, 7)
    assert went_to(gateway, mock, "smart") == "b"


@pytest.mark.parametrize("caller", EVERY_CALLER)
@pytest.mark.parametrize("target, read", [
    ("lab/m", lambda b: (b.get("max_tokens", b.get("max_completion_tokens")), b["temperature"])),
    ("ant/m", lambda b: (b["max_tokens"], b["temperature"])),
    ("oll/m", lambda b: (b["options"]["num_predict"], b["options"]["temperature"])),
])
def test_parameters_are_set_and_capped_between_all_protocols(make, mock, caller, target, read):
    gateway = make.gateway(config_of(mock, [
        {"when": f'model == "{target}"', "cap": {"max_tokens": 150}, "params": {"temperature": 0.125}}]))
    assert ask(gateway, caller, target).complete
    assert read(mock.last_request()["json"]) == (150, 0.125)


def test_a_cap_limits_an_answer_that_has_no_limit(make, mock):
    gateway = make.gateway(config_of(mock, [{"cap": {"max_tokens": 150}}]))
    assert gateway.chat("fast").status_code == 200
    sent = mock.last_request()["json"]
    assert sent.get("max_completion_tokens", sent.get("max_tokens")) == 150
    assert gateway.chat("fast", max_tokens=20).status_code == 200
    assert mock.last_request()["json"]["max_tokens"] == 20


def test_a_rule_that_fails_is_counted_and_told_and_does_not_apply(make, mock):
    gateway = make.gateway(config_of(mock, [
        {"name": "broken", "when": "user > 3", "use": "smart"},
        {"name": "endless", "when": "(function() while true do end end)()", "use": "smart"},
        {"name": "greedy", "when": '(function() local s = "x" while true do s = s .. s end end)()', "use": "smart"}],
        auth={"keys": [{"name": "ops", "key": "${OPS_TEST_KEY}", "routes": ["admin"]}]}),
        env={"OPS_TEST_KEY": process.CANARY + "client-operator"})
    gateway.key = process.CANARY + "client-operator"
    for _ in range(20):
        assert went_to(gateway, mock) == "small"
    assert gateway.metrics().value("openclaw_rule_failures_total") == 60
    told = gateway.get("/admin/v1/rules").json()["rules"]
    assert [(r["name"], r["matched"], r["failed"]) for r in told] == \
        [("broken", 0, 20), ("endless", 0, 20), ("greedy", 0, 20)]
    assert told[0]["last_failure"] == "line 1: attempt to compare number with nil"
    page = subprocess.run([process.BIN, "status", "--url", gateway.url], capture_output=True, text=True, timeout=PATIENCE,
                          env=environment(OPENCLAW_API_KEY=gateway.key))
    assert "RULE broken FAILED for 20 requests: line 1: attempt to compare number with nil\n" in page.stdout
    wait_until(lambda: "the condition of the rule 'broken' failed: line 1: attempt to compare number with nil"
               in gateway.stderr(), "the log")
    assert "it takes more than 10000 instructions" in gateway.stderr()
    assert "it makes more than 128KB" in gateway.stderr()
    assert gateway.stderr().count("rule 'broken' failed") < 20    # repeats are summed up


def test_a_rule_that_rejects_and_fails_refuses(make, mock):
    gateway = make.gateway(config_of(mock, [{"name": "guard", "when": "user > 3", "reject": "No."}]))
    answer = gateway.chat("fast")
    assert answer.status_code == 403
    assert answer.json()["error"]["message"] == \
        "the condition of the rule 'guard', which rejects requests, failed for this one"
    assert mock.stats()["requests"] == 0


def test_a_reload_changes_the_rules_and_a_mistake_keeps_the_old_ones(make, mock):
    gateway = make.gateway(config_of(mock, [{"when": "true", "use": "smart"}]))
    assert went_to(gateway, mock) == "large"
    gateway.reload(config_of(mock, [{"when": "tokens >", "use": "fast"}]), accepted=False)
    assert went_to(gateway, mock) == "large"
    gateway.reload(config_of(mock, []))
    assert went_to(gateway, mock) == "small"
    gateway.reload(config_of(mock, [{"when": 'model == "fast"', "use": "lab/third"}]))
    assert went_to(gateway, mock) == "third"


def test_check_tells_mistakes_with_their_places_and_tries_conditions(tmp_path):
    file = tmp_path / "o.yaml"
    file.write_text("""\
providers: {lab: {wire: openai-chat, base_url: "http://127.0.0.1:1/v1", api_key: k}}
rules:
  - {when: 'tokens > > 3', use: lab/a}
  - when: |
      stream and
        taks == "x"
    use: lab/a
  - {when: 'user > 3', use: lab/a}
""")
    done = check(file)
    assert done.returncode == 2
    assert f"{file}:3:22: rules[0].when is not a Lua expression: unexpected symbol near '>'" in done.stderr
    file.write_text(file.read_text().replace("> >", ">"))
    done = check(file)
    assert done.returncode == 0
    assert f"{file}:6:9: warning: rules[1].when: there is no 'taks'; did you mean 'task'?" in done.stderr or \
        f"{file}:6:9: warning: rules[1].when: there is no 'taks'" in done.stderr
    assert f"{file}:8:13: warning: rules[2].when fails for a short chat: line 1: attempt to compare number with nil" \
        in done.stderr


def test_the_examples_of_the_page_are_valid(tmp_path):
    for i, block in enumerate(PAGE.blocks("yaml")):
        config = {"providers": {"groq": {"api_key": "k"}, "openai": {"api_key": "k"}},
                  "models": {"large": {"targets": ["openai/gpt-4o"]}}, **yaml.safe_load(block)}
        file = tmp_path / f"{i}.yaml"
        file.write_text(yaml.safe_dump(config))
        done = check(file)
        assert done.returncode == 0 and "warning" not in done.stderr, done.stderr
    assert PAGE.blocks("yaml")


def test_rules_by_what_the_request_is_about(make, mock):
    gateway = make.gateway(config_of(mock, [
        {"when": "secrets or personal", "use": "lab/kept-inside"},
        {"when": 'task == "translate" and language == "de"', "use": "lab/for-german"},
        {"when": 'task == "code" and code > 0.3', "use": "lab/for-code"},
        {"when": "complexity > 0.6", "use": "smart"},
    ]))

    def about(text):
        return went_to(gateway, mock, messages=[{"role": "user", "content": text}])

    assert about("My password: hunter2-and-more, please remember it") == "kept-inside"
    assert about("Write to anna.berg@example.com") == "kept-inside"
    assert about("Bitte übersetze diesen Satz ins Englische: Der Hund schläft heute im Garten.") == "for-german"
    assert about("Fix the bug in this function:\n```\ndef add(a, b):\n    return a - b\n```\n") == "for-code"
    assert about("Hello, how are you today?") == "small"


def test_a_rule_copies_requests_to_a_shadow(make, mock):
    other = make.mock()
    config = config_of(mock, [{"when": 'tags.copy', "shadow": "other/copied", "shadow_usd_per_day": "0"}])
    config["providers"]["other"] = other.provider()
    gateway = make.gateway(config)
    for model in ("fast", "lab/direct"):
        assert went_to(gateway, mock, model) != "copied"
        assert other.stats()["requests"] == 0
    for model in ("fast", "lab/direct"):
        other.reset()
        assert went_to(gateway, mock, model, headers={"x-openclaw-tags": "copy"}) != "copied"
        wait_until(lambda: other.stats()["completed"] == 1, "the copy")
        assert model_asked(other) == "copied"
