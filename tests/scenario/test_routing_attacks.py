"""What callers may try in order to get past rules and past the models of their key."""
import json

import pytest

from lib.process import canary

ASK = [{"role": "user", "content": "moss-grown-prompt-7391"}]
LARGE = [{"role": "user", "content": "word " * 60000}]    # its JSON is looked at by a helper thread


@pytest.fixture
def mock(make):
    return make.mock()


def config_of(mock, rules, keys=None, **more):
    return {"providers": {"lab": mock.provider(), "ant": mock.provider("anthropic-messages"), "groq": mock.provider(),
                          "openai": mock.provider()},
            "models": {"fast": {"targets": ["lab/small"]}, "smart": {"targets": ["lab/large"]}},
            "rules": rules, **({"auth": {"keys": keys}} if keys else {}), **more}


def post(gateway, path, headers=None, **body):
    content = body.pop("raw", None)
    head = {"Authorization": f"Bearer {gateway.key}", "Content-Type": "application/json", **(headers or {})}
    with gateway.http() as http:
        return http.post(path, headers=head, content=content if content is not None else json.dumps(body).encode())


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/api/v1/chat/completions"])
@pytest.mark.parametrize("messages", [ASK, LARGE], ids=["small", "large"])
def test_rules_and_a_list_of_models_for_requests_of_any_size(make, mock, path, messages):
    gateway = make.gateway(config_of(mock, [{"name": "all", "tag": "seen", "continue": True}]))
    answer = post(gateway, path, model="fast", models=["lab/small"], messages=messages)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/api/v1/chat/completions"])
@pytest.mark.parametrize("field", [
    '"models":["lab/secret"]', '"models":["smart","lab/secret"]', '"mod\\u0065ls":["lab/secret"]',
    '"models":["lab/small"],"models":["lab/secret"]'])
def test_a_rule_that_rejects_a_model_rejects_it_among_those_that_are_tried_next(make, mock, path, field):
    gateway = make.gateway(config_of(mock, [{"name": "closed", "when": 'model == "lab/secret"', "reject": "It is closed."}]))
    answer = post(gateway, path, raw=(f'{{"model":"fast",{field},"messages":{json.dumps(ASK)}}}').encode())
    assert answer.status_code in (400, 403), answer.text
    assert not [r for r in mock.requests() if (r.get("json") or {}).get("model") == "secret"]


def test_a_tag_of_a_rule_counts_more_than_one_that_the_caller_sends(make, mock):
    gateway = make.gateway(config_of(mock, [
        {"when": "true", "tag": "team=guests", "continue": True},
        {"when": 'tags.team == "guests"', "reject": "Guests may not."}]))
    for tags in ("", "team=search", "a, team, team=x"):
        answer = post(gateway, "/v1/chat/completions", {"x-openclaw-tags": tags}, model="fast", messages=ASK)
        assert answer.status_code == 403, (tags, answer.text)


def test_a_key_for_a_provider_reaches_no_other_host_of_its_models(make, mock):
    key, other = canary("client"), canary("client")
    config = config_of(mock, [], [{"name": "limited", "key": key, "models": ["groq/*"]}, {"name": "all", "key": other}])
    config["providers"]["deepinfra"] = mock.provider()
    gateway = make.gateway(config)
    fields = {"model": "groq/llama-3.3-70b-versatile", "messages": ASK, "provider": {"ignore": ["groq"]}}
    gateway.key = other
    assert post(gateway, "/api/v1/chat/completions", **fields).headers["x-openclaw-provider"] == "deepinfra"
    gateway.key = key
    answer = post(gateway, "/api/v1/chat/completions", **fields)
    assert answer.status_code == 404 and "deepinfra" not in answer.text, answer.text
    del fields["provider"]
    assert post(gateway, "/api/v1/chat/completions", **fields).headers["x-openclaw-provider"] == "groq"


def test_a_rule_that_says_where_requests_go_leaves_no_other_models(make, mock):
    gateway = make.gateway(config_of(mock, [{"when": 'model ~= "lab/large"', "use": "fast"}]))
    for more in ({}, {"provider": {"ignore": ["lab"]}}, {"provider": {"sort": {"by": "latency", "partition": "none"}}}):
        answer = post(gateway, "/v1/chat/completions", model="x", models=["groq/large"], messages=ASK, **more)
        assert answer.headers.get("x-openclaw-provider") != "groq", answer.text


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/api/v1/messages", "/v1/responses", "/api/chat"])
def test_a_body_has_a_limited_number_of_members(make, mock, path):
    gateway = make.gateway(config_of(mock, []))
    body = {"model": "lab/small", "max_tokens": 5, "messages": ASK, "input": "hi"}
    for count, refused in ((3000, False), (5000, True)):
        answer = post(gateway, path, **body, **{f"x{i}": 0 for i in range(count)})
        assert (answer.status_code == 413) == refused, answer.text


IMAGE = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


@pytest.mark.parametrize("path,body", [
    ("/v1/responses", {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": IMAGE}]}]}),
    ("/responses", {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": IMAGE}]}]}),
    ("/api/v1/responses", {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": IMAGE}]}]}),
    ("/v1/responses/input_tokens", {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": IMAGE}]}]}),
    ("/v1/chat/completions", {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": IMAGE}}]}]}),
    ("/v1/messages/count_tokens", {"messages": [{"role": "user", "content": [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": IMAGE[22:]}}]}]}),
    ("/api/chat", {"messages": [{"role": "user", "content": "x", "images": [IMAGE[22:]]}]}),
    ("/api/generate", {"prompt": "x", "images": [IMAGE[22:]]}),
])
def test_a_rule_against_images_sees_them_on_every_route(make, mock, path, body):
    gateway = make.gateway(config_of(mock, [{"when": "images", "reject": "No pictures."}]))
    answer = post(gateway, path, model="lab/small", **body)
    assert answer.status_code == 403 and "No pictures" in answer.text
