"""OpenRouter's API at /api/v1 with the official `openai` client: each field of `extra_body`, checked at fake providers.

Three providers have the same open model, under names of their own and at other prices (the catalog's, dollars per
million tokens): groq 0.59 and 0.79, deepinfra 0.1 and 0.32, nebius in between. docs/openrouter.md has a row for each
field that is tested here.
"""
import json
import re

import openai
import pytest

from lib.process import PATIENCE, ROOT, canary, wait_until

LLAMA = "meta-llama/llama-3.3-70b-instruct"
NAMES = {"groq": "llama-3.3-70b-versatile", "deepinfra": "meta-llama/Llama-3.3-70B-Instruct-Turbo",
         "nebius": "meta-llama/Llama-3.3-70B-Instruct", "openai": "gpt-4o-mini"}
ASK = [{"role": "user", "content": "moss-grown-prompt-7391"}]
ROUTING = {"models", "provider", "route", "fallbacks", "transforms", "plugins", "usage", "reasoning", "include_reasoning",
           "session_id"}


class Fake:
    """A provider of OpenAI's protocol that keeps the bodies that it gets, and can be told to fail."""

    def __init__(self, make, name):
        self.name = name
        self.bodies = []
        self.status = 200
        self.upstream = make.upstream(self)

    def __call__(self, conn):
        body = json.loads(conn.request.body) if conn.request.body else {}
        if not body:
            conn.answer(404, {"error": {"message": "there is no list here"}})    # the catalog's is used
            return
        self.bodies.append(body)
        if self.status != 200:
            conn.answer(self.status, {"error": {"message": "out of order", "type": "server_error"}})
        elif body.get("stream"):
            chunks = [{"id": "c", "object": "chat.completion.chunk", "created": 1, "model": body["model"], "choices": [
                {"index": 0, "delta": {"role": "assistant", "content": self.name}, "finish_reason": "stop"}]},
                {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": body["model"], "choices": [],
                 "usage": {"prompt_tokens": 1000, "completion_tokens": 1000, "total_tokens": 2000}}]
            conn.answer(200, "".join(f"data: {json.dumps(c)}\n\n" for c in chunks).encode() + b"data: [DONE]\n\n",
                        "text/event-stream")
        else:
            conn.answer(200, {"id": "a", "object": "chat.completion", "created": 1, "model": body["model"],
                              "choices": [{"index": 0, "finish_reason": "stop",
                                           "message": {"role": "assistant", "content": self.name}}],
                              "usage": {"prompt_tokens": 1000, "completion_tokens": 1000, "total_tokens": 2000}})


@pytest.fixture(scope="module")
def fakes(make_shared):
    return {name: Fake(make_shared, name) for name in (*NAMES, "openrouter", "lab")}


@pytest.fixture(scope="module")
def limited_key():
    return canary("client")


def configuration(fakes, key, limited, *names):
    return {"auth": {"keys": [{"name": "tester", "key": key},
                              {"name": "limited", "key": limited, "models": [LLAMA, "openai/*"]}]},
            "providers": {n: {"base_url": fakes[n].upstream.url, "api_key": canary("provider"),
                              **({"wire": "openai-chat"} if n == "lab" else {})} for n in names},
            "models": {"auto": {"targets": ["openai/gpt-4o-mini"]}, "own": {"targets": ["lab/x", "groq/other"]}}}


@pytest.fixture(scope="module")
def gateway(make_shared, fakes, limited_key):
    key = canary("client")
    gateway = make_shared.gateway(configuration(fakes, key, limited_key, *NAMES, "lab"))
    gateway.key = key
    return gateway


@pytest.fixture
def ask(gateway, fakes):
    """Asks, and returns who was asked, in order, with the answer or the error."""
    for fake in fakes.values():
        fake.bodies.clear()
        fake.status = 200
    client = openai.OpenAI(base_url=f"{gateway.url}/api/v1", api_key=gateway.key, max_retries=0, timeout=PATIENCE)

    def run(model=LLAMA, failing=(), client=client, **extra):
        for name in failing:
            fakes[name].status = 503
        try:
            answer = client.chat.completions.create(model=model, messages=ASK, extra_body=extra)
        except openai.APIStatusError as error:
            answer = error
        return answer
    with client:
        yield run


def with_key(gateway):
    return gateway.http(headers={"Authorization": f"Bearer {gateway.key}"})


def who(answer):
    return answer.choices[0].message.content


def provider(**fields):
    return {"provider": fields}


# --- the order ---

def test_the_cheapest_host_of_a_model_answers_under_its_own_name(ask, fakes):
    assert who(ask()) == "deepinfra"
    assert fakes["deepinfra"].bodies[0]["model"] == NAMES["deepinfra"]


def test_the_others_follow_when_it_fails(ask):
    assert who(ask(failing=["deepinfra"])) == "nebius"
    assert who(ask(failing=["deepinfra", "nebius"])) == "groq"


def test_the_directly_named_provider_goes_before_other_hosts(ask):
    assert who(ask(model="groq/" + NAMES["groq"])) == "groq"
    assert who(ask(model="groq/" + NAMES["groq"], failing=["groq"])) == "deepinfra"


def test_order_is_tried_first_and_then_the_rest(ask):
    assert who(ask(**provider(order=["openai", "groq", "nebius"]))) == "groq"
    assert who(ask(failing=["groq"], **provider(order=["groq", "nebius"]))) == "nebius"
    assert who(ask(failing=["groq", "nebius"], **provider(order=["groq", "nebius"]))) == "deepinfra"


def test_without_fallbacks_only_those_of_the_order_are_asked(ask, fakes):
    error = ask(failing=["groq"], **provider(order=["groq"], allow_fallbacks=False))
    assert error.status_code == 503 and fakes["groq"].bodies and not fakes["deepinfra"].bodies


def test_without_fallbacks_and_order_only_the_best_one_is_asked(ask, fakes):
    error = ask(failing=["deepinfra"], **provider(allow_fallbacks=False))
    assert error.status_code == 503 and not fakes["nebius"].bodies and not fakes["groq"].bodies


def test_sort_by_price_goes_before_the_named_provider(ask):
    assert who(ask(model="groq/" + NAMES["groq"], **provider(sort="price"))) == "deepinfra"
    assert who(ask(model="groq/" + NAMES["groq"] + ":floor")) == "deepinfra"
    assert who(ask(**provider(sort={"by": "price", "partition": "model"}))) == "deepinfra"


def test_sort_across_models(ask):
    assert who(ask(model="openai/gpt-4o-mini", models=[LLAMA], **provider(sort="price"))) == "openai"
    assert who(ask(model="openai/gpt-4o-mini", models=["deepinfra/" + NAMES["deepinfra"]],
                   **provider(sort={"by": "price", "partition": "none"}))) == "deepinfra"


def test_other_sorts_and_thresholds_keep_all_hosts(ask):
    for sort in ("throughput", "latency"):
        assert who(ask(**provider(sort=sort))) in NAMES
    assert who(ask(model=LLAMA + ":nitro")) in NAMES
    assert who(ask(**provider(preferred_min_throughput=1e9, preferred_max_latency={"p90": 1e-9}))) in NAMES


# --- demands ---

def test_only_and_ignore_exclude_providers(ask, fakes):
    assert who(ask(**provider(only=["groq"]))) == "groq"
    assert who(ask(**provider(only=["Nebius", "groq"]))) == "nebius"
    assert who(ask(**provider(ignore=["deepinfra"]))) == "nebius"
    error = ask(**provider(only=["azure"]))
    assert error.status_code == 404
    assert "groq/" in error.body["message"] and "excludes the provider" in error.body["message"]


def test_a_variant_is_not_the_whole_provider(ask):
    assert who(ask(**provider(order=["groq/turbo", "nebius"]))) == "nebius"
    assert ask(**provider(only=["groq/turbo"])).status_code == 404


def test_a_price_that_is_too_high_excludes(ask):
    assert who(ask(failing=["deepinfra", "nebius"], **provider(max_price={"prompt": 1, "completion": "2"}))) == "groq"
    error = ask(failing=["deepinfra", "nebius"], **provider(max_price={"prompt": 0.5}))
    assert error.status_code == 503
    error = ask(**provider(max_price={"completion": 0.01}))
    assert error.status_code == 404 and "costs more" in error.body["message"]


def test_a_price_that_is_not_known_excludes_under_a_limit(ask):
    assert who(ask(model="lab/unheard-of")) == "lab"
    error = ask(model="lab/unheard-of", **provider(max_price={"prompt": 100}))
    assert error.status_code == 404 and "price is not known" in error.body["message"]


@pytest.mark.parametrize("demand, says", [
    ({"zdr": True}, "not known what it does with prompts"),
    ({"quantizations": ["fp8"]}, "quantization is not known"),
    ({"enforce_distillable_text": True}, "may be distilled"),
])
def test_what_is_not_known_excludes_under_a_demand(ask, demand, says):
    error = ask(model="lab/unheard-of", **provider(**demand))
    assert error.status_code == 404 and says in error.body["message"]


def test_demands_that_are_no_demands(ask):
    assert who(ask(**provider(zdr=False, data_collection="allow", require_parameters=False, quantizations=[]))) in NAMES


def test_required_parameters_exclude_models_that_lack_them(ask):
    schema = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}
    assert who(ask(response_format=schema, **provider(require_parameters=True))) == "nebius"
    error = ask(model="lab/unheard-of", response_format=schema, **provider(require_parameters=True))
    assert error.status_code == 404 and "json_schema" in error.body["message"]


# --- models ---

def test_models_are_tried_after_the_one_that_is_asked_for(ask, fakes):
    answer = ask(model="openai/gpt-4o-mini", models=["lab/second", "groq/third"], route="fallback", failing=["openai"])
    assert who(answer) == "lab" and answer.model == "second"
    assert who(ask(model="openai/gpt-4o-mini", models=["lab/second", "groq/third"],
                   failing=["openai", "lab"])) == "groq"


def test_models_that_nobody_has_are_left_out(ask):
    assert who(ask(model="anthropic/claude-sonnet-4.5", models=["openai/gpt-4o-mini"])) == "openai"
    error = ask(model="anthropic/claude-sonnet-4.5")
    assert error.status_code == 404


def test_the_first_of_models_is_asked_for_if_model_is_missing(gateway, fakes, ask):
    with with_key(gateway) as http:
        answer = http.post("/api/v1/chat/completions", json={"models": ["lab/first", "openai/gpt-4o-mini"],
                                                             "messages": ASK})
    assert answer.status_code == 200 and fakes["lab"].bodies[-1]["model"] == "first"


def test_aliases_are_models(ask):
    assert who(ask(model="own")) == "lab"
    assert who(ask(model="own", **provider(order=["groq"]))) == "groq"
    assert who(ask(model="own:nitro")) in ("lab", "groq")       # whichever was faster so far
    assert who(ask(model="openrouter/auto")) == "openai"


def test_a_limited_key_may_use_all_models_that_a_request_names(gateway, limited_key, ask):
    with openai.OpenAI(base_url=f"{gateway.url}/api/v1", api_key=limited_key, max_retries=0) as client:
        assert who(ask(client=client, models=["openai/gpt-4o-mini"])) in NAMES
        assert who(ask(client=client, model="openai/gpt-4o-mini:floor")) == "openai"
        error = ask(client=client, models=["lab/x"])
        assert error.status_code == 403 and "lab/x" in error.body["message"]


# --- what providers get ---

def test_no_other_provider_gets_the_fields(ask, fakes):
    answer = ask(models=["openai/gpt-4o-mini"], route="fallback", provider={"order": ["groq"]}, transforms=["middle-out"],
                 plugins=[{"id": "web"}], usage={"include": True}, reasoning={"effort": "low"}, top_k=5, session_id="s")
    body = fakes["groq"].bodies[0]
    assert who(answer) == "groq" and not ROUTING & body.keys()
    assert body["reasoning_effort"] == "low" and body["top_k"] == 5 and body["messages"] == ASK


def test_openrouter_gets_them_as_they_are(make, fakes, ask):
    key = canary("client")
    gateway = make.gateway(configuration(fakes, key, canary("client"), "openrouter", "openai", "lab", "groq"))
    wishes = {"models": ["openai/gpt-4o-mini"], "route": "fallback", "provider": {"order": ["deepinfra"], "zdr": True},
              "transforms": ["middle-out"], "plugins": [{"id": "web"}], "usage": {"include": True},
              "reasoning": {"effort": "low"}}
    with openai.OpenAI(base_url=f"{gateway.url}/api/v1", api_key=key, max_retries=0) as client:
        assert who(ask(client=client, model="openrouter/mistralai/mistral-nemo", **wishes)) == "openrouter"
        body = fakes["openrouter"].bodies[0]
        assert {k: body[k] for k in wishes} == wishes and body["model"] == "mistralai/mistral-nemo"
        assert who(ask(client=client, model="openrouter/auto")) == "openrouter"


def test_what_is_not_honoured_is_told(gateway, ask):
    with with_key(gateway) as http:
        answer = http.post("/api/v1/chat/completions", json={
            "model": LLAMA, "messages": ASK, "plugins": [{"id": "web"}], "transforms": ["middle-out"]})
    assert set(re.split(", ?", answer.headers["x-openclaw-dropped"])) == {"plugins", "transforms"}


def test_under_v1_a_name_is_a_provider_and_its_model(gateway, fakes, ask):
    with gateway.openai() as client:
        assert who(ask(client=client, model="groq/" + NAMES["groq"], **provider(sort="price"))) == "groq"
        assert "provider" not in fakes["groq"].bodies[0]
        error = ask(client=client, model="groq/x", **provider(only=["deepinfra"]))
        assert error.status_code == 404
        assert who(ask(client=client, model="openai/gpt-4o-mini", models=["lab/x"], failing=["openai"])) == "lab"


# --- what callers get ---

def test_answers_say_who_gave_them_and_what_they_cost(ask):
    answer = ask(**provider(only=["groq"])).model_dump()
    assert answer["provider"] == "Groq"
    assert answer["usage"]["cost"] == pytest.approx(0.00059 + 0.00079)


def test_streams_do_so_with_their_usage(gateway, ask):
    with openai.OpenAI(base_url=f"{gateway.url}/api/v1", api_key=gateway.key, max_retries=0) as client:
        chunks = list(client.chat.completions.create(model=LLAMA, messages=ASK, stream=True,
                                                     extra_body=provider(only=["groq"])))
    last = chunks[-1].model_dump()
    assert last["usage"]["cost"] == pytest.approx(0.00138) and last["provider"] == "Groq"


def test_an_unknown_cost_is_not_told(ask):
    assert "cost" not in ask(model="lab/unheard-of").model_dump()["usage"]


def test_errors_have_openrouters_form(gateway, ask):
    with with_key(gateway) as http:
        answer = http.post("/api/v1/chat/completions", json={"model": LLAMA, "messages": ASK, "provider": {"sort": "x"}})
    error = answer.json()["error"]
    assert answer.status_code == 400 and error["code"] == 400
    assert error["message"].startswith("provider.sort: ") and error["metadata"]["param"] == "provider.sort"


# --- other routes ---

def test_the_list_of_models_has_prices_and_limits(gateway):
    with with_key(gateway) as http:
        models = {m["id"]: m for m in http.get("/api/v1/models").json()["data"]}
        count = http.get("/api/v1/models/count").json()["data"]["count"]
    groq = models["groq/" + NAMES["groq"]]
    assert count == len(models)
    assert groq["pricing"] == {"prompt": "0.00000059", "completion": "0.00000079"}
    assert groq["context_length"] == 131072 and groq["top_provider"]["max_completion_tokens"] == 32768
    assert "tools" in groq["supported_parameters"] and groq["architecture"]["input_modalities"] == ["text"]
    assert models["own"]["pricing"] == {} and models["own"]["context_length"] is None


def test_the_key_and_credits(gateway):
    with with_key(gateway) as http:
        key = http.get("/api/v1/key").json()["data"]
        assert key["label"] == "tester" and key["limit"] is None
        assert http.get("/api/v1/auth/key").json()["data"] == key
        answer = http.get("/api/v1/credits")
    assert answer.status_code == 404 and "credits" in answer.json()["error"]["message"]


def test_a_generation_is_found_by_the_id_of_its_answer(gateway, ask):
    with with_key(gateway) as http:
        answer = http.post("/api/v1/chat/completions", json={"model": LLAMA, "messages": ASK,
                                                             "provider": {"only": ["groq"]}})
        request = answer.headers["x-request-id"]
        found = wait_until(lambda: (r := http.get("/api/v1/generation", params={"id": request})).status_code == 200
                           and r.json()["data"], "the generation")
        missing = http.get("/api/v1/generation", params={"id": "nothing"})
    assert found["finish_reason"] == "stop" and found["generation_time"] > 0 and found["created_at"]
    assert found["provider_name"] == "groq" and found["tokens_completion"] == 1000
    assert found["total_cost"] == pytest.approx(0.00138)
    assert missing.status_code == 404


def test_anthropics_callers_name_fallbacks(gateway, fakes, ask):
    with with_key(gateway) as http:
        answer = http.post("/api/v1/messages", json={
            "model": "openai/gpt-4o-mini", "max_tokens": 5, "messages": ASK, "fallbacks": [{"model": "lab/x"}],
            "provider": {"ignore": ["openai"]}})
    assert answer.status_code == 200 and answer.json()["content"][0]["text"] == "lab"


# --- the page ---

def test_each_field_of_the_page_is_one_that_is_read():
    page = (ROOT / "docs" / "openrouter.md").read_text()
    source = (ROOT / "src" / "llm" / "wishes.c").read_text()
    fields = re.findall(r"^\| `(?:provider\.)?([a-z_]+)[^`]*`", page, flags=re.M)
    assert len(fields) > 20
    for field in fields:
        assert f'"{field}"' in source or f'S_INIT("{field}")' in source, field
    start = source.index("read_provider(struct wish_reading")
    listed = re.findall(r'"([a-z_]+)"', source[start:source.index("NULL };", start)])
    assert {f"provider.{f}" for f in listed} <= set(re.findall(r"`(provider\.[a-z_]+)", page))
