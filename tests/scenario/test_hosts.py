"""Protocols at other hosts: Azure OpenAI with both kinds of URLs, and Microsoft Foundry's other models."""
import json
import re

import openai
import pytest

from lib.replay import cases

ANSWER = {"id": "chatcmpl-a", "object": "chat.completion", "created": 1, "model": "gpt-4o-2024-11-20",
          "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Grüße"},
                       "content_filter_results": {"hate": {"filtered": False, "severity": "safe"}}}],
          "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}}
CHUNKS = [
    {"id": "", "object": "", "created": 0, "model": "", "choices": [],
     "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": {}}]},
    {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o-2024-11-20",
     "choices": [{"index": 0, "delta": {"role": "assistant", "content": "Grüße"}, "finish_reason": None}]},
    {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o-2024-11-20",
     "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}]
STREAM = "".join(f"data: {json.dumps(c)}\n\n" for c in CHUNKS).encode() + b"data: [DONE]\n\n"
EMBEDDING = {"object": "list", "model": "e", "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}],
             "usage": {"prompt_tokens": 1, "total_tokens": 1}}
VERSION = "2024-10-21"
DEPLOYED = {"our-gpt.4o", "small", "embed"}


def azure(conn):
    """A resource: it knows its deployments, insists on one credential, and on a version outside its v1 API."""
    request = conn.request
    path, _, query = request.target.partition("?")
    if (request.header("api-key") is None) == (request.header("authorization") is None):
        conn.answer(401, {"error": {"code": "401", "message": "Access denied due to missing subscription key"}})
        return
    if not path.startswith("/openai/v1/") and query.split("&")[0] != f"api-version={VERSION}":
        conn.answer(404, {"error": {"code": "404", "message": "Resource not found"}})
        return
    dated = re.fullmatch(r"/openai/deployments/([^/]+)(/.*)", path)
    route = dated[2] if dated else path.removeprefix("/openai/v1")
    body = request.json() if request.body else {}
    if not dated and not path.startswith("/openai/v1/"):
        conn.answer(200, {"object": "list", "data": []})
    elif body.get("model") not in DEPLOYED or dated and dated[1] != body["model"].replace("/", "%2F"):
        conn.answer(404, {"error": {"code": "DeploymentNotFound", "message": "The API deployment does not exist"}})
    elif route == "/embeddings":
        conn.answer(200, EMBEDDING)
    elif body.get("stream"):
        conn.answer(200, STREAM, "text/event-stream; charset=utf-8")
    else:
        conn.answer(200, ANSWER)


@pytest.fixture
def resource(make):
    return make.upstream(azure)


FORMS = {
    "v1": ({"base": "/openai/v1"}, "/openai/v1{route}"),
    "v1, from the resource's address": ({"base": ""}, "/openai/v1{route}"),
    "v1, with a version": ({"base": "/openai/v1", "api_version": "preview"}, "/openai/v1{route}?api-version=preview"),
    "dated": ({"base": "", "api_version": VERSION}, "/openai/deployments/{name}{route}?api-version=" + VERSION),
}


def section(resource, form, **more):
    settings = dict(FORMS[form][0])
    return {"base_url": resource.url + settings.pop("base"), **settings, **more}


def target(form, route, name):
    return FORMS[form][1].format(route=route, name=name)


@pytest.mark.parametrize("form", FORMS)
def test_every_kind_of_client_reaches_a_deployment(make, resource, form):
    gateway = make.gateway({"providers": {"azure": section(resource, form, models=["small"])},
                            "models": {"fast": {"targets": ["azure/our-gpt.4o"]}}})
    chat = gateway.openai().chat.completions
    messages = [{"role": "user", "content": "Hello"}]

    assert chat.create(model="azure/small", messages=messages).choices[0].message.content == "Grüße"
    assert resource.last_request().target == target(form, "/chat/completions", "small")
    assert resource.last_request().header("api-key") == gateway.config["providers"]["azure"]["api_key"]
    assert chat.create(model="fast", messages=messages).usage.total_tokens == 7
    assert resource.last_request().target == target(form, "/chat/completions", "our-gpt.4o")
    pieces = chat.create(model="azure/small", messages=messages, stream=True)
    assert "".join(p.choices[0].delta.content or "" for p in pieces if p.choices) == "Grüße"
    answer = gateway.anthropic().messages.create(model="azure/small", max_tokens=9, messages=messages)
    assert answer.content[0].text == "Grüße" and answer.usage.input_tokens == 5
    assert resource.last_request().target == target(form, "/chat/completions", "small")
    vector = gateway.openai().embeddings.create(model="azure/embed", input="x", encoding_format="float")
    assert vector.data[0].embedding == [0.5]
    assert resource.last_request().target == target(form, "/embeddings", "embed")
    asked = len(resource.requests)
    assert [m.id for m in gateway.openai().models.list()] == ["fast", "azure/small"]
    assert len(resource.requests) == asked    # it is not asked for models: those it would list need not be deployed


@pytest.mark.parametrize("form", ["v1", "dated"])
def test_answers_of_azure_are_relayed_byte_for_byte(make, resource, form):
    gateway = make.gateway({"providers": {"azure": section(resource, form)}})
    body = {"model": "azure/small", "messages": [{"role": "user", "content": "Hello"}], "new_member": {"x": [1.50]}}
    assert gateway.post("/v1/chat/completions", body).content == json.dumps(ANSWER).encode()
    assert gateway.post("/v1/chat/completions", {**body, "stream": True}).content == STREAM
    assert resource.last_request().json()["new_member"] == {"x": [1.50]}


def test_a_missing_deployment_is_a_missing_model_and_the_next_target_answers(make, resource):
    gateway = make.gateway({"providers": {"azure": section(resource, "dated"),
                                          "west": section(resource, "v1", host="azure", wire="openai-chat")},
                            "models": {"fast": {"targets": ["azure/gone", "west/small"]}}})
    messages = [{"role": "user", "content": "Hello"}]
    with pytest.raises(openai.NotFoundError) as error:
        gateway.openai().chat.completions.create(model="azure/gone", messages=messages)
    assert error.value.code == "model_not_found"
    answer = gateway.chat("fast")
    assert answer.status_code == 200 and answer.headers["x-openclaw-provider"] == "west"


def test_routes_that_are_passed_through_belong_to_the_resource_or_to_a_deployment(make, resource):
    gateway = make.gateway({"providers": {"azure": section(resource, "dated")}, "default_provider": "azure"})
    assert gateway.get("/v1/files?purpose=batch&api-version=2020-01-01").status_code == 200
    assert resource.last_request().target == f"/openai/files?api-version={VERSION}&purpose=batch"
    gateway.post("/v1/responses", {"model": "azure/small", "input": "x"})
    assert resource.last_request().target == f"/openai/responses?api-version={VERSION}"
    assert resource.last_request().json()["model"] == "small"
    assert gateway.post("/v1/audio/speech?x=y", {"model": "azure/small", "input": "x"}).status_code == 200
    assert resource.last_request().target == f"/openai/deployments/small/audio/speech?api-version={VERSION}&x=y"


def test_a_token_of_entra_takes_the_place_of_the_key(make, resource):
    gateway = make.gateway({"providers": {"azure": section(
        resource, "v1", headers={"Authorization": "Bearer token-of-entra"})}}, plant=False)
    assert gateway.chat("azure/small").status_code == 200
    assert resource.last_request().header("authorization") == "Bearer token-of-entra"
    assert resource.last_request().header("api-key") is None


def test_foundry_s_models_of_other_makers(make):
    upstream = make.upstream(lambda conn: conn.answer(200, ANSWER))
    gateway = make.gateway({"providers": {"azure-ai": {"base_url": upstream.url + "/models"}}})
    assert gateway.chat("azure-ai/Mistral-Large-3").status_code == 200
    assert upstream.last_request().target == "/models/chat/completions?api-version=2024-05-01-preview"
    assert upstream.last_request().header("api-key") == gateway.config["providers"]["azure-ai"]["api_key"]


@pytest.mark.parametrize("case", cases("openai-chat", lambda c: c.provider.startswith("azure")))
def test_recorded_traffic_of_azure_through_its_host(make, case):
    server = make.fixture_server()
    gateway = make.gateway({"providers": {"azure": {"base_url": server.url, "api_version": VERSION}}})
    name = server.model(case)
    answer = gateway.post("/v1/chat/completions", case.request("azure/" + name, stream=case.stream))
    assert answer.status_code == case.status
    assert server.request(name).target == f"/openai/deployments/{name}/chat/completions?api-version={VERSION}"
    if case.status == 200:
        assert answer.content == case.body
