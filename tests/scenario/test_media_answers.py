"""Pictures and sound in answers: callers of protocols that have a place for them get them, whoever made them, and others
are told in x-openclaw-dropped."""
import json

import pytest

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
WAV = "UklGRiQAAABXQVZFZm10IBAAAAABAAEA"
SAID = "Here it is."

USAGE = {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}
# What a provider of each protocol answers: (wire, medium) -> document.
ANSWERS = {
    ("gemini", "image"): {
        "candidates": [{"content": {"role": "model", "parts": [
            {"text": SAID}, {"inlineData": {"mimeType": "image/png", "data": PNG}}]}, "finishReason": "STOP", "index": 0}],
        "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 7, "totalTokenCount": 12}},
    ("gemini", "audio"): {
        "candidates": [{"content": {"role": "model", "parts": [
            {"text": SAID}, {"inlineData": {"mimeType": "audio/wav", "data": WAV}}]}, "finishReason": "STOP", "index": 0}],
        "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 7, "totalTokenCount": 12}},
    ("openai-chat", "image"): {
        "id": "c1", "object": "chat.completion", "created": 1, "model": "m", "usage": USAGE,
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": SAID, "images": [
            {"type": "image_url", "image_url": {"url": "data:image/png;base64," + PNG}}]}}]},
    ("openai-chat", "audio"): {
        "id": "c1", "object": "chat.completion", "created": 1, "model": "m", "usage": USAGE,
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": None, "audio": {
            "id": "audio_1", "data": WAV, "expires_at": 2, "transcript": SAID}}}]},
    ("openai-responses", "image"): {
        "id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": "m", "error": None,
        "incomplete_details": None, "usage": {"input_tokens": 5, "output_tokens": 7, "total_tokens": 12},
        "output": [{"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [
            {"type": "output_text", "text": SAID, "annotations": []}]},
            {"id": "ig_1", "type": "image_generation_call", "status": "completed", "result": PNG, "output_format": "png"}]},
    ("bedrock-converse", "image"): {
        "output": {"message": {"role": "assistant", "content": [
            {"text": SAID}, {"image": {"format": "png", "source": {"bytes": PNG}}}]}}, "stopReason": "end_turn",
        "usage": {"inputTokens": 5, "outputTokens": 7, "totalTokens": 12}, "metrics": {"latencyMs": 1}},
}
TURN = [{"role": "user", "content": "Draw."}]
# Each caller: path, path of a stream, body.
CALLERS = {
    "openai-chat": ("/v1/chat/completions", None, {"messages": TURN}),
    "openai-responses": ("/v1/responses", None, {"input": "Draw."}),
    "anthropic-messages": ("/v1/messages", None, {"messages": TURN, "max_tokens": 99}),
    "ollama": ("/api/chat", None, {"messages": TURN}),
    "cohere-v2": ("/v2/chat", None, {"messages": TURN}),
    "gemini": ("/v1beta/models/painter:generateContent", "/v1beta/models/painter:streamGenerateContent?alt=sse",
               {"contents": [{"role": "user", "parts": [{"text": "Draw."}]}]}),
    "bedrock-converse": ("/model/painter/converse", "/model/painter/converse-stream",
                         {"messages": [{"role": "user", "content": [{"text": "Draw."}]}]}),
}
HAVE = {"image": ("openai-chat", "openai-responses", "ollama", "gemini", "bedrock-converse"),
        "audio": ("openai-chat", "gemini", "bedrock-converse")}
STREAM_TOO = {"image": HAVE["image"], "audio": ("openai-chat", "gemini")}


def documents(body):
    """Of a whole answer, or of a stream of events or lines."""
    text = body.decode()
    lines = [line.removeprefix("data:").strip() for line in text.splitlines() if line.startswith(("data:", "{"))]
    return [json.loads(line) for line in lines if line not in ("", "[DONE]")]


def media_of_openai(docs):
    for choice in (c for d in docs for c in d.get("choices", [])):
        message = choice.get("message") or choice.get("delta") or {}
        yield from (i["image_url"]["url"].removeprefix("data:image/png;base64,") for i in message.get("images") or [])
        if (message.get("audio") or {}).get("data"):
            yield message["audio"]["data"]


def media_of_responses(docs):
    last = docs[-1].get("response", docs[-1])
    yield from (i["result"] for i in last["output"] if i["type"] == "image_generation_call")


def media_of_gemini(docs):
    parts = (p for d in docs for c in d.get("candidates", []) for p in c["content"]["parts"])
    yield from (p["inlineData"]["data"] for p in parts if "inlineData" in p)


def media_of_bedrock(docs):
    for block in docs[0]["output"]["message"]["content"]:
        yield from (block[kind]["source"]["bytes"] for kind in ("image", "audio") if kind in block)


MEDIA = {"openai-chat": media_of_openai, "openai-responses": media_of_responses, "gemini": media_of_gemini,
         "bedrock-converse": media_of_bedrock,
         "ollama": lambda docs: (i for d in docs for i in d["message"].get("images", []))}


@pytest.fixture(scope="module", params=sorted(ANSWERS), ids="-".join)
def painter(request, make_shared):
    wire, medium = request.param
    upstream = make_shared.upstream(lambda conn: conn.answer(200, ANSWERS[wire, medium]))
    base = upstream.url if wire == "bedrock-converse" else upstream.openai_url
    gateway = make_shared.gateway({"providers": {"painter": {"wire": wire, "base_url": base, "api_key": "any"}},
                                   "models": {"painter": {"targets": ["painter/m"]}}})
    return gateway, wire, medium


def ask(gateway, caller, stream):
    path, stream_path, body = CALLERS[caller]
    if stream_path is None:
        body = {"model": "painter", "stream": stream, **body}
    answer = gateway.post(stream_path if stream and stream_path else path, body)
    assert answer.status_code == 200, answer.text
    return answer


@pytest.mark.parametrize("caller", CALLERS)
def test_media_reach_callers_that_have_a_place_for_them_and_others_are_told(painter, caller):
    gateway, wire, medium = painter
    data = PNG if medium == "image" else WAV
    whole, stream = ask(gateway, caller, False), ask(gateway, caller, True)
    assert SAID.encode() in whole.content
    if caller == wire:       # as it came
        assert whole.json() == ANSWERS[wire, medium]
        return
    assert SAID in stream.content.decode(errors="replace")
    if caller in HAVE[medium]:
        assert list(MEDIA[caller](documents(whole.content))) == [data]
        assert "answer." not in whole.headers.get("x-openclaw-dropped", "")
    else:
        assert data.encode() not in whole.content
        assert f"answer.{medium}" in whole.headers["x-openclaw-dropped"].split(", ")
    if caller in STREAM_TOO[medium] and caller != "bedrock-converse":
        assert list(MEDIA[caller](documents(stream.content))) == [data]
    else:
        assert (data.encode() in stream.content) == (caller in STREAM_TOO[medium])
