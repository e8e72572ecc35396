"""AWS's SDK for Python (boto3, `bedrock-runtime`) against simulated providers of its own protocol and of others, and
the official OpenAI client against a simulated Bedrock."""
import base64
import json

import boto3
import botocore.exceptions
import pytest
from botocore.config import Config

from lib.process import PATIENCE, canary, certificate
from lib.sdk import ASK, NO_INPUT, PIXEL, WEATHER_INPUT, newest_request, openai_tool

FOREIGN = ("anthropic", "openai", "ollama")
CLAUDE = "anthropic.claude-sonnet-4-5-20250929-v1:0"


def tool(name, schema):
    return {"toolSpec": {"name": name, "description": "d", "inputSchema": {"json": schema}}}


TOOLS = {"tools": [tool("get_weather", WEATHER_INPUT), tool("get_time", NO_INPUT)]}


@pytest.fixture(scope="module")
def mock(make_shared):
    return make_shared.mock()


@pytest.fixture(scope="module")
def gateway(make_shared, mock):
    key = canary("client")
    gateway = make_shared.gateway({
        "auth": {"keys": [{"name": "tester", "key": key}]},
        "providers": {"bedrock": mock.provider("bedrock-converse", api_key=canary("provider")),
                      "openai": mock.provider(),
                      "anthropic": mock.provider("anthropic-messages"),
                      "ollama": mock.provider("ollama")},
        "models": {"quick": {"targets": [f"bedrock/{CLAUDE}"]}}})
    gateway.key = key
    return gateway


def make_client(gateway, key):
    """boto3 sends bearer tokens over https only; over http the key goes in another field."""
    config = Config(retries={"total_max_attempts": 1}, read_timeout=PATIENCE, connect_timeout=PATIENCE, proxies={})
    client = boto3.client("bedrock-runtime", endpoint_url=gateway.url, region_name="us-east-1", config=config,
                          aws_access_key_id="AKIDEXAMPLE", aws_secret_access_key="secret")
    if key is not None:
        client.meta.events.register("before-sign.bedrock-runtime.*",
                                    lambda request, **_: request.headers.add_header("x-api-key", key))
    return client


@pytest.fixture
def client(gateway):
    return make_client(gateway, gateway.key)


@pytest.fixture(params=["bedrock", *FOREIGN])
def provider(request):
    """The provider's protocol; the client's is the same in all of these tests."""
    return request.param


def said(mark):
    return [{"role": "user", "content": [{"text": mark}]}]


def fold(stream):
    """The blocks of a stream by their number, the reason to end and the counts."""
    blocks, reason, usage, order = {}, None, None, []
    for event in stream["stream"]:
        (name, body), = event.items()
        order.append(name)
        if name == "contentBlockStart":
            blocks[body["contentBlockIndex"]] = {"toolUse": {**body["start"]["toolUse"], "input": ""}}
        elif name == "contentBlockDelta":
            delta = body["delta"]
            block = blocks.setdefault(body["contentBlockIndex"], {})
            if "text" in delta:
                block["text"] = block.get("text", "") + delta["text"]
            elif "toolUse" in delta:
                block["toolUse"]["input"] += delta["toolUse"]["input"]
            else:
                thoughts = block.setdefault("reasoningContent", {})
                for key, value in delta["reasoningContent"].items():
                    thoughts[key] = thoughts.get(key, type(value)()) + value
        elif name == "messageStop":
            reason = body["stopReason"]
        elif name == "metadata":
            usage = body["usage"]
    assert order[0] == "messageStart" and order[-2:] == ["messageStop", "metadata"]
    assert list(blocks) == list(range(len(blocks)))
    return list(blocks.values()), reason, usage


def text_of(blocks):
    return "".join(b.get("text", "") for b in blocks)


# --- answers ---

def test_an_answer_has_its_text_and_counts(client, gateway, provider):
    answer = client.converse(modelId=f"{provider}/mock;tokens=12", messages=said("hello"))
    assert answer["output"]["message"]["role"] == "assistant" and text_of(answer["output"]["message"]["content"])
    usage = answer["usage"]
    assert (answer["stopReason"], usage["outputTokens"]) == ("end_turn", 12)
    assert usage["totalTokens"] == usage["inputTokens"] + 12 and answer["metrics"]["latencyMs"] >= 0
    line = gateway.access(answer["ResponseMetadata"]["RequestId"])
    assert (line["endpoint"], line["provider"], line["status"]) == ("converse", provider, 200)


def test_a_stream_equals_a_whole_answer(client, provider):
    asking = {"modelId": f"{provider}/mock;tokens=30", "messages": said("hello")}
    whole = client.converse(**asking)
    blocks, reason, usage = fold(client.converse_stream(**asking))
    assert text_of(blocks) == text_of(whole["output"]["message"]["content"])
    assert reason == "end_turn" and usage == whole["usage"]


def test_emoji_and_all_scripts_arrive_unchanged(client, provider):
    text = "Ünïcode 🍓 日本語 \\u0041 \"quoted\" \t end\nnext \U0001f469\u200d\U0001f680"
    asking = {"modelId": f"{provider}/mock;echo", "messages": said(text)}
    assert text_of(client.converse(**asking)["output"]["message"]["content"]) == text
    assert text_of(fold(client.converse_stream(**asking))[0]) == text


def test_a_limit_is_the_reason_of_the_end(client, provider):
    asking = {"modelId": f"{provider}/mock;tokens=50", "messages": said("x"), "inferenceConfig": {"maxTokens": 7}}
    answer = client.converse(**asking)
    assert (answer["stopReason"], answer["usage"]["outputTokens"]) == ("max_tokens", 7)
    assert fold(client.converse_stream(**asking))[1] == "max_tokens"


@pytest.mark.parametrize("model", ["quick", f"bedrock/{CLAUDE}",
                                   "bedrock/arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.x.y-v1:0"])
def test_a_model_s_name_is_one_segment_of_the_path(client, mock, model):
    client.converse(modelId=model, messages=said(f"path-{model}"))
    sent = mock.last_request()
    name = CLAUDE if model == "quick" else model.removeprefix("bedrock/")
    assert sent["target"] == f"/model/{name.replace(':', '%3A').replace('/', '%2F')}/converse"
    assert sent["headers"]["authorization"].startswith("Bearer ")
    list(client.converse_stream(modelId=model, messages=said("x"))["stream"])
    assert mock.last_request()["target"].endswith("/converse-stream")


# --- requests ---

def test_a_request_reaches_its_own_protocol_unchanged(client, mock):
    asking = {"messages": said("own"), "system": [{"text": "Be terse."}, {"cachePoint": {"type": "default"}}],
              "inferenceConfig": {"maxTokens": 99, "temperature": 0.25, "stopSequences": ["END"]},
              "guardrailConfig": {"guardrailIdentifier": "abc", "guardrailVersion": "1"},
              "additionalModelRequestFields": {"top_k": 5}, "performanceConfig": {"latency": "optimized"}}
    client.converse(modelId=f"bedrock/{CLAUDE}", **asking)
    assert mock.last_request()["json"] == asking


def test_a_picture_and_a_limit_arrive(client, mock, provider):
    mark = f"picture-{provider}"
    content = [{"text": mark}, {"image": {"format": "png", "source": {"bytes": base64.b64decode(PIXEL)}}}]
    client.converse(modelId=f"{provider}/mock", messages=[{"role": "user", "content": content}],
                    system=[{"text": "Be terse."}], inferenceConfig={"maxTokens": 99})
    text = json.dumps(newest_request(mock, mark))
    assert PIXEL in text and "Be terse." in text and "99" in text


@pytest.mark.parametrize("stream", [False, True])
def test_a_tool_loop_goes_round(client, mock, provider, stream):
    mark = f"loop-{provider}-{stream}"
    asking = {"modelId": f"{provider}/mock;tools=2", "messages": said(mark), "toolConfig": TOOLS}
    if stream:
        blocks, reason, _ = fold(client.converse_stream(**asking))
        for block in blocks:
            if "toolUse" in block:
                block["toolUse"]["input"] = json.loads(block["toolUse"]["input"])
    else:
        answer = client.converse(**asking)
        blocks, reason = answer["output"]["message"]["content"], answer["stopReason"]
    calls = [b["toolUse"] for b in blocks if "toolUse" in b]
    assert reason == "tool_use" and [c["name"] for c in calls] == ["get_weather", "get_time"]
    assert set(calls[0]["input"]) == {"city", "days"} and calls[1]["input"] == {}
    results = [{"toolResult": {"toolUseId": c["toolUseId"], "content": [{"text": f"{mark}-result"}]}} for c in calls]
    history = [*said(mark), {"role": "assistant", "content": blocks}, {"role": "user", "content": results}]
    again = client.converse(modelId=f"{provider}/mock", messages=history, toolConfig=TOOLS)
    assert text_of(again["output"]["message"]["content"])
    assert json.dumps(newest_request(mock, f"{mark}-result")).count(f"{mark}-result") == 2


@pytest.mark.parametrize("name", ["bedrock", "anthropic"])
def test_thinking_and_its_proof_come_and_go_back(client, mock, name):
    model = f"{name}/{CLAUDE};reasoning=9;tokens=6"
    asking = {"modelId": model, "messages": said("think"), "inferenceConfig": {"maxTokens": 4000},
              "additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 1024}}}
    content = client.converse(**asking)["output"]["message"]["content"]
    thoughts = content[0]["reasoningContent"]["reasoningText"]
    assert thoughts["text"] and thoughts["signature"] and content[1]["text"]
    streamed = fold(client.converse_stream(**asking))[0][0]["reasoningContent"]
    assert streamed["text"] and streamed["signature"]
    history = [*said("think"), {"role": "assistant", "content": content}, *said(f"back-{name}")]
    client.converse(**{**asking, "messages": history})
    assert thoughts["signature"] in json.dumps(newest_request(mock, f"back-{name}"))


def test_tokens_are_counted(client, provider):
    counted = client.count_tokens(modelId=f"{provider}/mock", input={"converse": {"messages": said("a b c d e f")}})
    assert counted["inputTokens"] > 0


# --- errors ---

@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("fault, code, status", [
    (400, "ValidationException", 400), (404, "ResourceNotFoundException", 404), (429, "ThrottlingException", 429),
    (500, "InternalServerException", 502), (503, "ServiceUnavailableException", 503)])
def test_a_provider_s_error_keeps_its_kind(client, provider, fault, code, status, stream):
    ask = client.converse_stream if stream else client.converse
    with pytest.raises(botocore.exceptions.ClientError) as e:
        ask(modelId=f"{provider}/fault-{fault}", messages=said("x"))
    assert e.value.response["Error"]["Code"] == code and e.value.response["Error"]["Message"]
    assert e.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert e.value.response["ResponseMetadata"]["HTTPHeaders"]["x-amzn-errortype"] == code


def test_a_stream_that_breaks_ends_with_an_exception(client, provider):
    answer = client.converse_stream(modelId=f"{provider}/mock;tokens=20;fault=truncated", messages=said("x"))
    with pytest.raises(botocore.exceptions.EventStreamError) as e:
        list(answer["stream"])
    assert e.value.response["Error"]["Code"] == "modelStreamErrorException"


@pytest.mark.parametrize("key, code, words", [
    ("wrong", "UnrecognizedClientException", "auth.keys"),
    (None, "UnrecognizedClientException", "AWS_BEARER_TOKEN_BEDROCK")])
def test_wrong_keys_and_signatures_are_refused(gateway, key, code, words):
    client = make_client(gateway, key)
    with pytest.raises(botocore.exceptions.ClientError) as e:
        client.converse(modelId="quick", messages=said("x"))
    assert e.value.response["Error"]["Code"] == code and words in e.value.response["Error"]["Message"]


def test_a_bearer_token_is_a_key(make, mock, tmp_path, monkeypatch):
    cert, key = certificate(tmp_path, "bedrock")
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", token := canary("client"))
    gateway = make.gateway({"providers": {"openai": mock.provider()}, "auth": {"keys": [{"name": "tester", "key": token}]},
                            "server": {"tls": {"cert": str(cert), "key": str(key)}}})
    client = boto3.client("bedrock-runtime", endpoint_url=gateway.url, region_name="us-east-1", verify=str(cert),
                          config=Config(proxies={}))
    assert text_of(client.converse(modelId="openai/mock", messages=said("x"))["output"]["message"]["content"])


# --- others' callers ---

@pytest.mark.parametrize("stream", [False, True])
def test_openai_s_client_talks_to_bedrock(gateway, mock, stream):
    mark = f"openai-to-bedrock-{stream}"
    tools = [openai_tool("get_weather", WEATHER_INPUT), openai_tool("get_time", NO_INPUT)]
    asking = {"model": f"bedrock/{CLAUDE};tools=2", "tools": tools, "messages": [*ASK, {"role": "user", "content": mark}]}
    with gateway.openai() as client:
        if stream:
            parts = list(client.chat.completions.create(**asking, stream=True, stream_options={"include_usage": True}))
            names = [c.function.name for p in parts if p.choices for c in p.choices[0].delta.tool_calls or []
                     if c.function.name]
            assert parts[-1].usage.completion_tokens > 0
        else:
            answer = client.chat.completions.create(**asking)
            names = [c.function.name for c in answer.choices[0].message.tool_calls]
            assert answer.choices[0].finish_reason == "tool_calls"
    assert names == ["get_weather", "get_time"]
    sent = newest_request(mock, mark)
    assert [t["toolSpec"]["name"] for t in sent["toolConfig"]["tools"]] == ["get_weather", "get_time"]
    assert sent["messages"][0]["content"][-1] == {"text": mark}
