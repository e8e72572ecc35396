"""Embeddings and rankings: the official clients of each protocol against simulated providers of every protocol, and
recorded answers. Each test prints what went from which protocol to which."""
import base64
import json
import struct

import boto3
import cohere
import httpx
import pytest
from botocore.config import Config
from google import genai
from google.genai import types

from lib.process import PATIENCE, canary
from lib.replay import cases

TEXTS = ["a red cat", "Grüße, 世界", "a \"quoted\"\nline"]
DIMENSIONS = 24

# The protocols of providers, and a model there.
TARGETS = {"openai": "e", "mistral": "e", "gemini": "e", "vertex": "e", "cohere": "e", "ollama": "e",
           "bedrock-cohere": "cohere.embed-v4:0", "bedrock-titan": "amazon.titan-embed-text-v2:0"}
ONE_TEXT = {"bedrock-titan"}


@pytest.fixture(scope="module")
def mock(make_shared):
    return make_shared.mock()


@pytest.fixture(scope="module")
def gateway(make_shared, mock):
    key = canary("client")
    google = {"wire": "gemini", "base_url": mock.url + "/v1beta", "api_key": canary("provider")}
    bedrock = mock.provider("bedrock-converse", api_key=canary("provider"))
    gateway = make_shared.gateway({
        "auth": {"keys": [{"name": "tester", "key": key}]},
        "providers": {"openai": mock.provider(), "mistral": mock.provider(traits={"mistral": True, "strict_keys": True}),
                      "gemini": google, "vertex": {**google, "traits": {"predicts": True}},
                      "cohere": {"wire": "cohere-v2", "base_url": mock.url + "/v2", "api_key": canary("provider")},
                      "ollama": mock.provider("ollama"), "bedrock-cohere": bedrock, "bedrock-titan": bedrock},
        "catalog": {"models": [*({"id": f"{p}/{m}", "mode": "embedding", "price": {"input": 0.1}} for p, m in TARGETS.items()),
                               *({"id": f"{p}/r", "mode": "rerank", "price": {"per_query": 0.002}} for p in ("openai", "cohere"))]}})
    gateway.key = key
    return gateway


# --- callers: each returns the vectors of texts ---

def by_openai(gateway, model, texts):
    with gateway.openai() as client:    # which asks for base64, and decodes it
        made = client.embeddings.create(model=model, input=texts, dimensions=DIMENSIONS)
    assert [d.index for d in made.data] == list(range(len(texts))) and made.object == "list"
    assert made.usage.prompt_tokens == made.usage.total_tokens > 0
    return [d.embedding for d in made.data]


def by_openai_floats(gateway, model, texts):
    with gateway.openai() as client:
        made = client.embeddings.create(model=model, input=texts, dimensions=DIMENSIONS, encoding_format="float")
    return [d.embedding for d in made.data]


def by_gemini(gateway, model, texts):
    client = genai.Client(api_key=gateway.key, http_options={"base_url": gateway.url})
    made = client.models.embed_content(model=model, contents=texts,
                                       config=types.EmbedContentConfig(output_dimensionality=DIMENSIONS))
    return [e.values for e in made.embeddings]


def gemini_post(gateway, method, model, body):
    model = model.replace("/", "%2F").replace(":", "%3A")
    answer = gateway.post(f"/v1beta/models/{model}:{method}", body)
    assert answer.status_code == 200, answer.text
    return answer


def by_gemini_one(gateway, model, texts):
    return [gemini_post(gateway, "embedContent", model,
                        {"content": {"parts": [{"text": t}]}, "outputDimensionality": DIMENSIONS}).json()["embedding"]["values"]
            for t in texts]


def by_vertex(gateway, model, texts):
    answer = gemini_post(gateway, "predict", model, {"instances": [{"content": t} for t in texts],
                                                     "parameters": {"outputDimensionality": DIMENSIONS}}).json()
    return [p["embeddings"]["values"] for p in answer["predictions"]]


def cohere_client(gateway, kind):
    return kind(api_key=gateway.key, base_url=gateway.url, timeout=PATIENCE, httpx_client=httpx.Client(trust_env=False))


def by_cohere(gateway, model, texts):
    made = cohere_client(gateway, cohere.ClientV2).embed(model=model, texts=texts, input_type="search_document",
                                                         embedding_types=["float", "base64"], output_dimension=DIMENSIONS)
    for text, numbers in zip(made.embeddings.base64, made.embeddings.float_):
        assert list(struct.unpack(f"<{DIMENSIONS}f", base64.b64decode(text))) == [single(n) for n in numbers]
    return made.embeddings.float_


def by_cohere_v1(gateway, model, texts):
    made = cohere_client(gateway, cohere.Client).embed(model=model, texts=texts, input_type="clustering")
    assert made.response_type == "embeddings_floats" and made.id
    return made.embeddings


def by_ollama(gateway, model, texts):
    with gateway.ollama() as client:
        return [list(v) for v in client.embed(model=model, input=texts, dimensions=DIMENSIONS).embeddings]


def by_ollama_old(gateway, model, texts):
    with gateway.ollama() as client:
        return [list(client.embeddings(model=model, prompt=t).embedding) for t in texts]


def by_bedrock(gateway, model, texts):
    config = Config(retries={"total_max_attempts": 1}, read_timeout=PATIENCE, connect_timeout=PATIENCE, proxies={})
    client = boto3.client("bedrock-runtime", endpoint_url=gateway.url, region_name="us-east-1", config=config,
                          aws_access_key_id="AKIDEXAMPLE", aws_secret_access_key="secret")
    client.meta.events.register("before-sign.bedrock-runtime.*",
                                lambda request, **_: request.headers.add_header("x-api-key", gateway.key))

    def invoke(text):
        body = json.dumps({"inputText": text, "dimensions": DIMENSIONS})
        return json.loads(client.invoke_model(modelId=model, body=body)["body"].read())["embedding"]
    return [invoke(t) for t in texts]


CALLERS = {"openai": by_openai, "openai, floats": by_openai_floats, "gemini": by_gemini, "gemini, one": by_gemini_one,
           "vertex": by_vertex, "cohere": by_cohere, "cohere v1": by_cohere_v1, "ollama": by_ollama,
           "ollama, old": by_ollama_old, "bedrock": by_bedrock}
WHOLE = {"cohere v1", "ollama, old"}    # they do not say how many dimensions


def single(number):
    return struct.unpack("<f", struct.pack("<f", number))[0]


@pytest.fixture(scope="module")
def expected(mock):
    """What the simulated provider makes of the texts, by the number of dimensions."""
    def ask(**more):
        answer = httpx.post(mock.openai_url + "/embeddings", json={"model": "e", "input": TEXTS, **more}, trust_env=False)
        return [[single(n) for n in d["embedding"]] for d in answer.json()["data"]]
    return {"whole": ask(), "short": ask(dimensions=DIMENSIONS)}


@pytest.mark.parametrize("caller", CALLERS)
def test_every_caller_gets_the_vectors_of_every_provider(gateway, expected, caller):
    row = {}
    for target, model in TARGETS.items():
        n = 1 if target in ONE_TEXT else len(TEXTS)
        vectors = CALLERS[caller](gateway, f"{target}/{model}", TEXTS[:n])
        assert [[single(x) for x in v] for v in vectors] == expected["whole" if caller in WHOLE else "short"][:n], target
        row[target] = n
    print(f"embeddings, {caller}: vectors from " + ", ".join(f"{target} {n}" for target, n in row.items()))


def test_a_model_that_takes_one_text_refuses_two(gateway):
    answer = gateway.post("/v1/embeddings", {"model": "bedrock-titan/" + TARGETS["bedrock-titan"], "input": TEXTS[:2]})
    assert answer.status_code == 400
    assert answer.json()["error"]["message"] == ("input: the model takes 1 input in a request, and this one has 2; "
                                                 "split it")


@pytest.mark.parametrize("target", [t for t in TARGETS if t not in ("openai", "mistral")])
def test_tokens_go_to_their_own_provider_only(gateway, target):
    answer = gateway.post("/v1/embeddings", {"model": f"{target}/{TARGETS[target]}", "input": [1, 2, 3]})
    assert answer.status_code == 400 and "tokens" in answer.json()["error"]["message"]


@pytest.mark.parametrize("target, body, dropped", [
    ("openai", {"input_type": "classification", "truncate": "START"}, "input_type, truncate"),
    ("ollama", {"input_type": "search_query"}, "input_type"),
    ("gemini", {"input_type": "search_query", "truncate": "END"}, "truncate"),
    ("vertex", {"input_type": "search_query", "truncate": "END"}, None),
    ("bedrock-cohere", {"input_type": "search_query", "truncate": "END"}, None),
    ("bedrock-titan", {"input_type": "search_query"}, "input_type"),
    ("gemini", {"input_type": "search_query", "embedding_types": ["float", "int8"]}, "embedding_types")])
def test_what_a_target_cannot_say_is_told(gateway, target, body, dropped):
    request = {"model": f"{target}/{TARGETS[target]}", "texts": TEXTS[:1], **body}
    answer = gateway.post("/v2/embed", request)
    assert answer.status_code == 200, answer.text
    assert answer.headers.get("x-openclaw-dropped") == dropped


def test_types_that_no_target_makes_are_refused(gateway):
    answer = gateway.post("/v2/embed", {"model": "gemini/e", "texts": ["a"], "input_type": "clustering",
                                        "embedding_types": ["int8"]})
    assert answer.status_code == 400 and "embedding_types" in answer.json()["message"]


def test_the_request_has_the_words_of_its_provider(gateway, mock):
    def asked(target, **more):
        body = {"model": f"{target}/{TARGETS[target]}", "texts": ["x"], "input_type": "search_query",
                "output_dimension": 8, "truncate": "NONE", **more}
        assert gateway.post("/v2/embed", body).status_code == 200
        sent = mock.last_request()
        return sent["target"], sent["json"]
    assert asked("openai") == ("/v1/embeddings", {"model": "e", "input": "x", "dimensions": 8})
    assert asked("mistral", embedding_types=["int8"]) == (
        "/v1/embeddings", {"model": "e", "input": "x", "output_dimension": 8, "output_dtype": "int8"})
    assert asked("gemini") == ("/v1beta/models/e:batchEmbedContents", {"requests": [
        {"model": "models/e", "content": {"parts": [{"text": "x"}]}, "taskType": "RETRIEVAL_QUERY",
         "outputDimensionality": 8}]})
    assert asked("vertex") == ("/v1beta/models/e:predict", {
        "instances": [{"content": "x", "task_type": "RETRIEVAL_QUERY"}],
        "parameters": {"outputDimensionality": 8, "autoTruncate": False}})
    assert asked("ollama") == ("/api/embed", {"model": "e", "input": ["x"], "dimensions": 8, "truncate": False})
    assert asked("bedrock-cohere") == ("/model/cohere.embed-v4%3A0/invoke", {
        "input_type": "search_query", "texts": ["x"], "embedding_types": ["float"], "output_dimension": 8,
        "truncate": "NONE"})
    assert asked("bedrock-titan") == ("/model/amazon.titan-embed-text-v2%3A0/invoke", {"inputText": "x", "dimensions": 8})


def test_input_is_what_embeddings_cost(gateway):
    for target, model in TARGETS.items():
        answer = gateway.post("/v1/embeddings", {"model": f"{target}/{model}", "input": "some words to count"})
        line = gateway.access(answer.headers["x-request-id"])
        assert (line["tokens_output"], line["cost_nanousd"]) == (0, line["tokens_input"] * 100), target
        assert line.get("tokens_estimated", False) is (target == "bedrock-cohere"), target


# --- rankings ---

DOCUMENTS = ["a blue dog", "a red cat", "a red dog", "nothing"]


@pytest.mark.parametrize("target", ["openai", "cohere"])
@pytest.mark.parametrize("kind", ["cohere v2", "cohere v1", "jina"])
def test_every_caller_gets_the_ranking_of_every_provider(gateway, target, kind):
    ask = {"model": f"{target}/r", "query": "red cat", "documents": DOCUMENTS, "top_n": 2}
    if kind == "jina":
        answer = gateway.post("/v1/rerank", ask)
        got = [(r["index"], r["relevance_score"]) for r in answer.json()["results"]]
        assert answer.json()["usage"]["search_units"] == 1 and answer.json()["model"] == "r"
    else:
        client = cohere_client(gateway, cohere.ClientV2 if kind == "cohere v2" else cohere.Client)
        made = client.rerank(**ask)
        got = [(r.index, r.relevance_score) for r in made.results]
        assert made.meta.billed_units.search_units == 1
    assert got == [(1, 0.9), (2, 0.5)]
    print(f"rankings, {kind}: {len(got)} results from {target}")


def test_a_ranking_costs_its_searches(gateway):
    for target in ("openai", "cohere"):
        answer = gateway.post("/v1/rerank", {"model": f"{target}/r", "query": "q", "documents": ["d"] * 150})
        line = gateway.access(answer.headers["x-request-id"])
        assert (line["endpoint"], line["searches"], line["cost_nanousd"]) == ("rerank", 2, 4_000_000)


def test_documents_come_back_from_a_provider_that_returns_them(gateway):
    ask = {"model": "openai/r", "query": "cat", "documents": [{"text": "cat"}, "dog"], "return_documents": True}
    results = gateway.post("/v1/rerank", ask).json()["results"]
    assert results[0] == {"index": 0, "relevance_score": pytest.approx(5 / 6), "document": {"text": "cat"}}
    answer = gateway.post("/v1/rerank", {**ask, "model": "cohere/r"})
    assert answer.headers["x-openclaw-dropped"] == "return_documents"


# --- recorded answers ---

RECORDED = {"openai-embeddings": ("openai-chat", "/v1"), "gemini-embed": ("gemini", "/v1beta"), "vertex-embed": ("gemini", "/v1"),
            "cohere-embed": ("cohere-v2", "/v2"), "bedrock-embed": ("bedrock-converse", ""), "cohere-rerank": ("cohere-v2", "/v2")}

def played(case):
    """A provider that gives the recorded answer, whatever it is asked; `asked` has what that was."""
    asked = []

    def handler(conn):
        asked.append((conn.request.target, conn.request.json()))
        kept = [(n, v) for n, v in case.headers.items() if n.startswith("x-amzn-bedrock")]
        conn.answer(case.status, case.body, "application/json", kept)
    return handler, asked


def recorded(keep):
    return [p for wire in RECORDED for p in cases(wire, keep)]


def model_of(case):
    return {"bedrock-embed": "amazon.titan-embed-text-v2:0"}.get(case.wire, "m")


@pytest.mark.parametrize("case", recorded(lambda c: c.status == 200 and c.op == "embeddings"))
def test_a_recorded_answer_reaches_every_caller(make, case):
    handler, _ = played(case)
    wire, base = RECORDED[case.wire]
    upstream = make.upstream(handler)
    traits = {"traits": {"predicts": True}} if case.wire == "vertex-embed" else {}
    gateway = make.gateway({"providers": {"rec": {"wire": wire, "base_url": upstream.url + base, "api_key": "k", **traits}}})
    n = case.expect["vectors"]
    model = "rec/" + model_of(case)
    texts = [f"text {i}" for i in range(n)]
    firsts = case.expect["first_values"]

    openai = gateway.post("/v1/embeddings", {"model": model, "input": texts, "encoding_format": "float"}).json()
    vectors = {"openai": [d["embedding"] for d in openai["data"]]}
    coherent = gateway.post("/v2/embed", {"model": model, "texts": texts, "input_type": "search_query"}).json()
    vectors["cohere"] = coherent["embeddings"]["float"]
    vectors["ollama"] = gateway.post("/api/embed", {"model": model, "input": texts}).json()["embeddings"]
    path = "/v1beta/models/" + model.replace("/", "%2F").replace(":", "%3A")
    batch = gateway.post(path + ":batchEmbedContents", {
        "requests": [{"model": "models/m", "content": {"parts": [{"text": t}]}} for t in texts]}).json()
    vectors["gemini"] = [e["values"] for e in batch["embeddings"]]
    for caller, got in vectors.items():
        assert [len(v) for v in got] == case.expect["dims"], caller
        assert [v[:len(f)] for v, f in zip(got, firsts)] == firsts, caller    # digit by digit
        assert got == vectors["openai"], caller
    usage = (case.expect["usage"] or {}).get("prompt_tokens")
    if usage is not None:
        assert openai["usage"]["prompt_tokens"] == usage
    print(f"recorded, {case.wire}: {n} vectors to {len(vectors)} callers")


@pytest.mark.parametrize("case", recorded(lambda c: c.op == "embeddings"))
def test_a_recorded_request_reaches_every_provider(gateway, mock, case):
    """Its number of inputs and dimensions is what every provider is asked for."""
    wire, base = RECORDED[case.wire]
    body = json.loads(case.request_body)
    method = case.about["request"]["path"].rpartition(":")[2]
    expect = case.expect.get("request", {})
    for target, model in TARGETS.items():
        if target in ONE_TEXT and expect["inputs"] > 1:
            continue
        model = f"{target}/{model}"
        quoted = model.replace("/", "%2F").replace(":", "%3A")
        route = {"openai-embeddings": "/v1/embeddings", "cohere-embed": "/v2/embed",
                 "bedrock-embed": f"/model/{quoted}/invoke"}.get(case.wire, f"/v1beta/models/{quoted}:{method}")
        asked = {**body, "model": model} if "model" in body else body
        answer = gateway.post(route, asked)
        assert answer.status_code == 200, (target, answer.text)
        sent = mock.last_request()["json"]
        inputs = next(sent[k] for k in ("input", "texts", "requests", "instances", "inputText") if k in sent)
        assert (1 if isinstance(inputs, str) else len(inputs)) == expect["inputs"], target
        if "dimensions" in expect and case.wire != "gemini-embed":
            assert str(expect["dimensions"]) in json.dumps(sent), target


@pytest.mark.parametrize("case", recorded(lambda c: c.status >= 400 and c.op == "embeddings"))
def test_a_recorded_failure_keeps_its_words(make, case):
    handler, _ = played(case)
    wire, base = RECORDED[case.wire]
    upstream = make.upstream(handler)
    gateway = make.gateway({"providers": {"rec": {"wire": wire, "base_url": upstream.url + base, "api_key": "k"}}})
    for route, ask in (("/v1/embeddings", {"input": "x"}), ("/v2/embed", {"texts": ["x"], "input_type": "clustering"}),
                       ("/api/embed", {"input": "x"})):
        answer = gateway.post(route, {"model": "rec/m", **ask})
        assert answer.status_code == case.status == 404, route
        assert case.expect["error"]["message"] in json.dumps(answer.json(), ensure_ascii=False), route


@pytest.mark.parametrize("case", cases("cohere-rerank"))
def test_a_recorded_ranking_reaches_every_caller(make, case):
    handler, asked = played(case)
    upstream = make.upstream(handler)
    gateway = make.gateway({"providers": {"rec": {"wire": "cohere-v2", "base_url": upstream.url + "/v2", "api_key": "k"}}})
    body = case.request("rec/m")
    for route in ("/v1/rerank", "/v2/rerank"):
        answer = gateway.post(route, body).json()
        assert [[r["index"], r["relevance_score"]] for r in answer["results"]] == case.expect["results"]
        assert asked[-1] == ("/v2/rerank", {**body, "model": "m"})
