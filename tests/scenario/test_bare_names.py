"""Names of models that clients send by themselves, without a provider: they reach the one whose models are named so."""
import pytest


@pytest.fixture(scope="module")
def upstreams(make_shared):
    def refuse(conn):
        conn.answer(404, {"error": {"message": "asked here", "type": "invalid_request_error"}})
    return {name: make_shared.upstream(refuse) for name in ("openai", "anthropic", "groq")}


def gateway_for(make_shared, upstreams, *names):
    return make_shared.gateway({"providers": {n: {"base_url": upstreams[n].openai_url} for n in names}})


@pytest.fixture(scope="module")
def gateway(make_shared, upstreams):
    return gateway_for(make_shared, upstreams, "groq", "openai", "anthropic")


@pytest.mark.parametrize("path, model, provider", [
    *[("chat/completions", m, "openai") for m in ("gpt-4", "gpt-3.5-turbo", "o1", "o3-mini", "chatgpt-4o-latest", "gpt-9")],
    *[("chat/completions", m, "anthropic") for m in ("claude-3-5-haiku-20241022", "claude-3-7-sonnet-latest", "claude-9")],
    ("messages", "claude-opus-4-1-20250805", "anthropic"),
    ("messages", "gpt-4", "openai"),
    ("audio/speech", "tts-1", "openai"),
    ("images/generations", "gpt-image-1", "openai"),
    ("moderations", "omni-moderation-latest", "openai"),
    ("embeddings", "text-embedding-ada-002", "openai"),
])
def test_a_bare_name_reaches_the_provider_of_its_family(gateway, upstreams, path, model, provider):
    before = {n: len(u.requests) for n, u in upstreams.items()}
    gateway.post(f"/v1/{path}", {"model": model, "max_tokens": 9, "input": "hi", "prompt": "hi", "voice": "alloy",
                                 "messages": [{"role": "user", "content": "hi"}]})
    asked = [n for n, u in upstreams.items() if len(u.requests) > before[n]]
    assert asked == [provider]
    assert upstreams[provider].last_request().json()["model"] == model


def test_a_form_s_bare_name_reaches_it_too(gateway, upstreams):
    gateway.http().post("/v1/audio/transcriptions", files={"file": ("a.wav", b"RIFF", "audio/wav")},
                        data={"model": "whisper-1"}, headers=gateway.authorization())
    assert b"whisper-1" in upstreams["openai"].last_request().body


def test_the_error_says_which_provider_is_missing(make_shared, upstreams):
    gateway = gateway_for(make_shared, upstreams, "groq", "anthropic")
    error = gateway.chat("gpt-4").json()["error"]
    assert error["code"] == "model_not_found"
    assert "'gpt-4'" in error["message"] and "OPENAI_API_KEY" in error["message"]
    assert "groq" not in error["message"]


def test_a_name_of_no_family_says_what_may_be_asked_for(gateway):
    assert "name one of GET /v1/models" in gateway.chat("frobnicator-1").json()["error"]["message"]
