"""Recorded requests of clients of one protocol to providers of the other: nothing is lost or changed."""
import json

import pytest

from lib.asked import SAID_BY_ALL, asked, assert_lawful, meaning
from lib.replay import cases

OPENAI, ANTHROPIC = "openai-chat", "anthropic-messages"
PATHS = {OPENAI: "/v1/chat/completions", ANTHROPIC: "/v1/messages"}


@pytest.fixture(scope="module")
def mock(make_shared):
    return make_shared.mock()


@pytest.fixture(scope="module")
def gateway(make_shared, mock):
    return make_shared.gateway({"providers": {wire: mock.provider(wire) for wire in PATHS}})


def with_requests(wire, keep=None):
    return cases(wire, lambda c: c.op == "chat" and c.request_body is not None and (keep is None or keep(c)))


def ask(gateway, case, provider, model="mock-1;strict"):
    """The answer to the recorded request, sent as it was recorded but for the model's name."""
    fields = {"x-api-key": gateway.key, "authorization": ""} if case.wire == ANTHROPIC else {}
    return gateway.post(PATHS[case.wire], case.request(f"{provider}/{model}"), fields)


def translated(gateway, mock, case, provider):
    """(the upstream request, the client's answer)"""
    answer = ask(gateway, case, provider)
    assert answer.status_code == 200, answer.text
    return mock.last_request()["json"], answer


def dropped(answer):
    return set(filter(None, answer.headers.get("x-openclaw-dropped", "").split(", ")))


def closed(schema):
    """The schema with every object in it closed, as Anthropic wants response schemas."""
    if isinstance(schema, list):
        return [closed(s) for s in schema]
    if not isinstance(schema, dict):
        return schema
    result = {k: closed(v) for k, v in schema.items()}
    if result.get("type") == "object":
        result.setdefault("additionalProperties", False)
    return result


def loses_all_tools(case):
    """All that the model may call is run by the provider itself."""
    body, want = json.loads(case.request_body), case.expect["request"]
    own = want.get("server_tools") or [name for name in ("web_search_options", "mcp_servers") if body.get(name) is not None]
    return bool(own) and not want.get("tools")


def plain(case):
    """Without free-form tools, which become functions of one text: test_wires.py has them."""
    return not refusable(case) and not any(t.get("custom") for t in case.expect["request"].get("tools", []))


def refusable(case):
    """Requests that an Anthropic provider does not support, and the parameter that the error names."""
    want = case.expect["request"]
    if want.get("n", 1) > 1:
        return "n"
    if loses_all_tools(case):
        return "tools"
    if "docx" in case.name:
        return "messages"
    return None


# --- the readers ---

@pytest.mark.parametrize("case", [*with_requests(OPENAI), *with_requests(ANTHROPIC)])
def test_the_recorded_requests_are_read_right(case):
    """Else the rest would only show that two readers make the same mistake."""
    mine, want = asked(case.wire, json.loads(case.request_body)), case.expect["request"]
    for name in ("system", "tools", "tool_choice", "parallel_tool_calls", "response_format", "json_schema",
                 "max_tokens", "temperature", "top_p", "stop", "seed", "n", "thinking", "thinking_budget"):
        assert mine.get(name) == want.get(name), name
    assert mine["items"] == want["items"]


# --- from OpenAI to Anthropic ---

@pytest.mark.parametrize("case", with_requests(OPENAI, plain))
def test_an_openai_request_reaches_anthropic_whole(gateway, mock, case):
    body, answer = translated(gateway, mock, case, ANTHROPIC)
    got, want = asked(ANTHROPIC, body), case.expect["request"]
    assert_lawful(body)
    assert meaning(got["items"]) == meaning(want["items"])
    # Asked for JSON without a schema, Anthropic's models have to be told in words.
    extra = "\nAnswer with a single JSON object." if want.get("response_format") == "json_object" else ""
    assert got.get("system", "") == want.get("system", "") + extra
    assert [(t["name"], t["has_description"]) for t in got.get("tools", [])] == \
        [(t["name"], t["has_description"]) for t in want.get("tools", [])]
    for mine, theirs in zip(got.get("tools", []), want.get("tools", [])):
        assert mine["parameters"] == {"type": "object", **(theirs["parameters"] or {})}
    for name in ("tool_choice", "parallel_tool_calls", "stop"):
        assert got.get(name) == want.get(name), name
    assert got.get("thinking") == ("enabled" if "reasoning_effort" in want else None)
    assert got["max_tokens"] == want.get("max_tokens", 4096 + got.get("thinking_budget", 0))
    assert got.get("json_schema") == closed(want.get("json_schema"))
    if "temperature" in want:
        assert got["temperature"] == min(want["temperature"], 1)
    assert body.get("stream", False) == bool(json.loads(case.request_body).get("stream"))
    lost = {name for name in ("seed", "top_p", "presence_penalty", "frequency_penalty") if want.get(name)}
    assert lost <= dropped(answer)


@pytest.mark.parametrize("case", with_requests(OPENAI, refusable))
def test_what_anthropic_does_not_support_is_refused_by_name(gateway, mock, case):
    before = mock.stats()["requests"]
    answer = ask(gateway, case, ANTHROPIC)
    error = answer.json()["error"]
    assert (answer.status_code, error["type"]) == (400, "invalid_request_error")
    assert error["param"] == refusable(case) and error["message"].startswith(refusable(case))
    assert mock.stats()["requests"] == before


@pytest.mark.parametrize("case", with_requests(OPENAI, lambda c: b"anthropic-claude-v1" in c.request_body))
def test_signed_thinking_is_sent_back(gateway, mock, case):
    detail = next(d for m in json.loads(case.request_body)["messages"] for d in m.get("reasoning_details", []))
    body, _ = translated(gateway, mock, case, ANTHROPIC)
    blocks = [b for m in body["messages"] if isinstance(m["content"], list) for b in m["content"]]
    assert {"type": "thinking", "thinking": detail["text"], "signature": detail["signature"]} in blocks


# --- from Anthropic to OpenAI ---

@pytest.mark.parametrize("case", with_requests(ANTHROPIC, loses_all_tools))
def test_a_request_for_tools_that_openai_cannot_run_is_refused(gateway, mock, case):
    before = mock.stats()["requests"]
    answer = ask(gateway, case, OPENAI)
    error = answer.json()["error"]
    assert (answer.status_code, error["type"]) == (400, "invalid_request_error")
    assert error["message"].startswith("tools: only providers of the protocol anthropic-messages have ")
    assert mock.stats()["requests"] == before


@pytest.mark.parametrize("case", with_requests(ANTHROPIC, lambda c: not loses_all_tools(c)))
def test_an_anthropic_request_reaches_openai_whole(gateway, mock, case):
    body, answer = translated(gateway, mock, case, OPENAI)
    got, want = asked(OPENAI, body), case.expect["request"]
    lost = {i["kind"] for i in want["items"]} - set(SAID_BY_ALL) - {"reasoning"}
    assert meaning(got["items"]) == meaning(want["items"], media_after_results=True)
    assert got.get("tools", []) == want.get("tools", [])
    for name in ("system", "parallel_tool_calls", "stop", "json_schema", "response_format", "max_tokens",
                 "temperature", "top_p"):
        assert got.get(name) == want.get(name), name
    if want.get("tools"):
        assert got.get("tool_choice") == want.get("tool_choice")
    assert {f"messages.{kind}" for kind in lost} <= dropped(answer)
    for tool in want.get("server_tools", []):
        assert any(name.startswith("tools") for name in dropped(answer)), tool
    assert b"cache_control" not in json.dumps(body).encode()


# --- from Anthropic to Anthropic ---

@pytest.mark.parametrize("case", with_requests(ANTHROPIC))
def test_an_anthropic_request_is_forwarded_unchanged(gateway, mock, case):
    """Byte for byte but for the model's name."""
    sent = json.dumps(case.request(f"{ANTHROPIC}/mock-1"), ensure_ascii=False, indent=1)
    with gateway.raw() as client:
        answer, _ = client.ask("POST", "/v1/messages?beta=true", sent.encode(), {
            "x-api-key": gateway.key, "content-type": "application/json", "anthropic-version": "2023-06-01",
            "anthropic-beta": "some-beta"})
    assert answer.status == 200, answer.body
    got = mock.last_request()
    assert got["body"] == sent.replace(f'"{ANTHROPIC}/mock-1"', '"mock-1"')
    assert got["headers"]["anthropic-beta"] == "some-beta"


# --- one scenario in both protocols ---

def scenarios():
    """Pairs of recorded requests that say the same."""
    both = [{p.values[0].scenario: p.values[0] for p in with_requests(w) if p.values[0] and p.values[0].scenario}
            for w in PATHS]
    return [pytest.param(both[0][s], both[1][s], id=s) for s in sorted(set(both[0]) & set(both[1]))]


@pytest.mark.parametrize("openai_case, anthropic_case", scenarios())
def test_a_translated_request_equals_a_recorded_native_one(gateway, mock, openai_case, anthropic_case):
    """The same test of another project, recorded against both providers: each translation equals the other's original."""
    for case, other in ((openai_case, anthropic_case), (anthropic_case, openai_case)):
        body, _ = translated(gateway, mock, case, other.wire)
        got, want = asked(other.wire, body), other.expect["request"]
        if "context_length" in case.name:
            continue      # as many messages as the model's context needed
        assert meaning(got["items"]) == meaning(want["items"])
        for name in ("system", "tools", "tool_choice"):
            assert got.get(name) == want.get(name), name
