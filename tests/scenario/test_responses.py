"""OpenAI's client for Python with the Responses API, for models of every protocol."""
import json
import os
import re

import httpx
import openai
import pydantic
import pytest
from lib.script import ANTHROPIC, CALL, OLLAMA, OPENAI, Stage, cut, ok, status

WIRES = [OPENAI, ANTHROPIC, OLLAMA]
WEATHER = {"type": "function", "name": "get_weather", "description": "d", "strict": False, "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}}}


def one(make, wire, *steps, **config):
    stage = Stage(make)
    gateway = make.gateway({"providers": {"up": stage.provider("up", wire, *steps)}, **config})
    return stage, gateway, gateway.openai()


@pytest.mark.parametrize("wire", WIRES)
def test_create_gives_a_whole_answer(make, wire):
    stage, gateway, client = one(make, wire, ok("It is mild.", reasoning="Hm."))
    answer = client.responses.create(model="up/m", instructions="Be terse.", input="Weather?", max_output_tokens=300,
                                     metadata={"a": "b"}, temperature=0.5)
    assert answer.output_text == "It is mild." and answer.status == "completed" and answer.error is None
    assert [item.type for item in answer.output] == ["reasoning", "message"]
    assert answer.output[0].summary[0].text == "Hm."
    assert (answer.usage.input_tokens, answer.usage.output_tokens, answer.usage.total_tokens) == (11, 7, 18)
    assert answer.id.startswith("resp_") and answer.metadata == {"a": "b"} and answer.instructions == "Be terse."
    assert answer.max_output_tokens == 300 and answer.temperature == 0.5
    assert "Be terse." in json.dumps(stage.received("up")[0].body)
    line = gateway.last_access()
    assert line["endpoint"] == "responses" and line["tokens_input"] == 11 and line["tokens_output"] == 7


@pytest.mark.parametrize("wire", WIRES)
def test_the_stream_has_the_whole_family_of_events(make, wire):
    _, _, client = one(make, wire, ok("It is mild.", reasoning="Hm.", call=CALL, finish="call"))
    with client.responses.stream(model="up/m", input="Weather?", tools=[WEATHER]) as stream:
        events = list(stream)
        final = stream.get_final_response()
    kinds = [event.type for event in events]
    assert kinds[:2] == ["response.created", "response.in_progress"] and kinds[-1] == "response.completed"
    assert [e.sequence_number for e in events] == list(range(len(events)))
    added = [e.output_index for e in events if e.type == "response.output_item.added"]
    assert added == [e.output_index for e in events if e.type == "response.output_item.done"] == [0, 1, 2]
    ids = {}
    for event in events:
        if event.type.startswith("response.output_item"):
            ids.setdefault(event.output_index, event.item.id)
        item = getattr(event, "item_id", None)
        assert item is None or item == ids[event.output_index], event
    text = "".join(e.delta for e in events if e.type == "response.output_text.delta")
    assert text == "It is mild." == next(e.text for e in events if e.type == "response.output_text.done")
    args = "".join(e.delta for e in events if e.type == "response.function_call_arguments.delta")
    assert json.loads(args) == json.loads(CALL[1])
    assert "response.reasoning_summary_text.done" in kinds
    call = final.output[2]
    assert call.type == "function_call" and call.name == "get_weather" and json.loads(call.arguments) == json.loads(CALL[1])


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("stream", [False, True])
def test_a_loop_of_tools_keeps_its_reasoning(make, wire, stream):
    stage, _, client = one(make, wire, ok("", reasoning="Which city?", call=CALL, finish="call"), ok("Mild."))

    def ask(items):
        if not stream:
            return client.responses.create(model="up/m", input=items, tools=[WEATHER], store=False,
                                           include=["reasoning.encrypted_content"])
        with client.responses.stream(model="up/m", input=items, tools=[WEATHER], store=False,
                                     include=["reasoning.encrypted_content"]) as events:
            return events.get_final_response()
    items = [{"role": "user", "content": "Weather?"}]
    answer = ask(items)
    items += [item.model_dump(exclude_none=True) for item in answer.output]
    call = next(item for item in answer.output if item.type == "function_call")
    items.append({"type": "function_call_output", "call_id": call.call_id, "output": "mild"})
    assert ask(items).output_text == "Mild."
    second = stage.received("up")[1].body
    assert "mild" in json.dumps(second["messages"][-1])
    if wire == ANTHROPIC:
        assert second["messages"][1]["content"][0] == {
            "type": "thinking", "thinking": "Which city?", "signature": "c2ln"}


class Weather(pydantic.BaseModel):
    city: str


@pytest.mark.parametrize("wire", WIRES)
def test_parse_gives_what_the_schema_says(make, wire):
    stage, _, client = one(make, wire, ok('{"city": "Ulm"}'))
    answer = client.responses.parse(model="up/m", input="Where?", text_format=Weather)
    assert answer.output_parsed == Weather(city="Ulm")
    assert "city" in json.dumps(stage.received("up")[0].body)


@pytest.mark.parametrize("wire", WIRES)
def test_a_limit_and_an_error_are_what_the_client_expects(make, wire):
    _, _, client = one(make, wire, ok("Half", finish="length"), status(429), status(429), status(429))
    answer = client.responses.create(model="up/m", input="x")
    assert answer.status == "incomplete" and answer.incomplete_details.reason == "max_output_tokens"
    with pytest.raises(openai.RateLimitError):
        client.with_options(max_retries=0).responses.create(model="up/m", input="x")


@pytest.mark.parametrize("wire", WIRES)
def test_a_broken_stream_ends_with_a_failed_response(make, wire):
    _, _, client = one(make, wire, cut("text", after=2))
    kinds = [(e.type, e) for e in client.responses.create(model="up/m", input="x", stream=True)]
    assert [k for k, _ in kinds[-2:]] == ["error", "response.failed"]
    assert kinds[-1][1].response.status == "failed" and kinds[-1][1].response.error.message


def test_what_another_protocol_cannot_say_is_named_or_refused(make):
    _, gateway, _ = one(make, ANTHROPIC, ok())
    body = {"model": "up/m", "input": "x", "client_metadata": {"a": "b"}, "truncation": "auto",
            "tools": [WEATHER, {"type": "local_shell"}, {"type": "namespace", "name": "n", "tools": []}]}
    answer = gateway.post("/v1/responses", body)
    assert answer.status_code == 200, answer.text
    dropped = answer.headers["x-openclaw-dropped"].split(", ")
    assert {"client_metadata", "truncation", "tools.local_shell", "tools.namespace"} <= set(dropped)
    answer = gateway.post("/v1/responses", {"model": "up/m", "input": "x", "tools": [{"type": "web_search"}]})
    assert answer.status_code == 400 and "web_search" in answer.json()["error"]["message"]
    answer = gateway.post("/v1/responses", {"model": "up/m", "input": "x", "background": True})
    assert answer.status_code == 400 and "background" in answer.json()["error"]["message"]


SAME = [
    {"type": "response.created", "sequence_number": 0, "response": {"id": "resp_1", "object": "response", "created_at": 1,
     "model": "m", "status": "in_progress", "output": []}},
    {"type": "response.output_text.delta", "sequence_number": 1, "item_id": "msg_1", "output_index": 0,
     "content_index": 0, "delta": "Hi", "logprobs": []},
    {"type": "response.completed", "sequence_number": 2, "response": {
        "id": "resp_1", "object": "response", "created_at": 1, "model": "m", "status": "completed", "output": [
            {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
             "content": [{"type": "output_text", "text": "Hi", "annotations": []}]}],
        "usage": {"input_tokens": 5, "output_tokens": 3, "total_tokens": 8, "novel": {}}}},
]
STREAM = b"".join(b"event: %b\ndata: %b\n\n" % (e["type"].encode(), json.dumps(e).encode()) for e in SAME)


def test_a_provider_that_serves_it_is_relayed_byte_for_byte_and_counted(make):
    def serve(conn):
        if conn.request.json().get("stream"):
            conn.head(200, "text/event-stream")
            conn.chunk(STREAM)
            conn.end_chunks()
        else:
            conn.answer(200, json.dumps(SAME[-1]["response"]).encode())
    upstream = make.upstream(serve)
    gateway = make.gateway({"providers": {"up": upstream.provider(traits={"responses": True})}})
    sealed = gateway_sealed()
    body = {"model": "up/m", "input": [{"role": "user", "content": "x"}, sealed, {"type": "novel", "x": [1.50]}],
            "novel": {"a": 1}}
    assert gateway.post("/v1/responses", body).json() == SAME[-1]["response"]
    sent = upstream.last_request()
    assert sent.target == "/v1/responses"
    assert sent.json() == {**body, "model": "m", "input": [body["input"][0], body["input"][2]]}
    assert gateway.post("/v1/responses", {**body, "stream": True}).content == STREAM
    line = gateway.last_access(2)
    assert line["tokens_input"] == 5 and line["tokens_output"] == 3


def gateway_sealed():
    """Reasoning of another protocol's model, which no provider of this one could read."""
    return {"type": "reasoning", "id": "rs_1", "summary": [],
            "encrypted_content": "openclaw.1.anthropic.eyJ0ZXh0IjoiaG0iLCJzaWduYXR1cmUiOiJFcSJ9"}


def test_a_caller_that_closes_after_the_last_event_got_its_answer(make):
    def serve(conn):
        conn.head(200, "text/event-stream")
        conn.chunk(STREAM)
        conn.stall()
    gateway = make.gateway({"providers": {"up": make.upstream(serve).provider(traits={"responses": True})}})
    with httpx.stream("POST", f"{gateway.url}/v1/responses", headers=gateway.authorization(), trust_env=False,
                      json={"model": "up/m", "input": "x", "stream": True}) as answer:
        got = b""
        for piece in answer.iter_raw():
            got += piece
            if b"response.completed" in got and got.endswith(b"\n\n"):
                break
    line = gateway.last_access()
    assert line["status"] == 200 and line.get("error") is None, line


# --- conversations that are continued by an id ---

@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("stream", [False, True])
def test_a_conversation_goes_on_by_the_id_of_its_last_answer(make, wire, stream):
    stage, _, client = one(make, wire, ok("", reasoning="Which city?", call=CALL, finish="call"), ok("Mild."), ok("Yes."))

    def ask(**more):
        if not stream:
            return client.responses.create(model="up/m", **more)
        with client.responses.stream(model="up/m", **more) as events:
            return events.get_final_response()
    first = ask(input="Weather?", tools=[WEATHER])
    call = next(item for item in first.output if item.type == "function_call")
    second = ask(previous_response_id=first.id, tools=[WEATHER], input=[
        {"type": "function_call_output", "call_id": call.call_id, "output": "mild"}])
    third = ask(previous_response_id=second.id, input="Really?")
    assert third.output_text == "Yes."
    said = [m for m in stage.received("up")[2].body["messages"]]
    assert [m["role"] for m in said] in (["user", "assistant", "tool", "assistant", "user"],
                                         ["user", "assistant", "user", "assistant", "user"])
    assert "Weather?" in json.dumps(said[0]) and "Mild." in json.dumps(said[3]) and "Really?" in json.dumps(said[4])
    if wire == ANTHROPIC:
        assert said[1]["content"][0] == {"type": "thinking", "thinking": "Which city?", "signature": "c2ln"}
    items = client.responses.input_items.list(third.id, order="asc").data
    assert items[0].content == "Weather?" or items[0].content[0].text == "Weather?"
    assert client.responses.retrieve(second.id).output_text == "Mild."
    client.responses.delete(second.id)
    with pytest.raises(openai.APIStatusError):
        client.responses.retrieve(second.id)


def test_items_are_referred_to_by_their_ids(make):
    stage, _, client = one(make, OPENAI, ok("One."), ok("Two."))
    first = client.responses.create(model="up/m", input="Count.")
    client.responses.create(model="up/m", input=[
        {"role": "user", "content": "Count."}, {"type": "item_reference", "id": first.output[0].id},
        {"role": "user", "content": "Go on."}])
    assert [m["content"] for m in stage.received("up")[1].body["messages"]] == ["Count.", "One.", "Go on."]


@pytest.mark.skipif("OPENCLAW_SANITIZER" in os.environ, reason="sanitizers keep memory that was freed")
def test_many_references_to_a_long_answer_cost_in_proportion(make):
    """Each reference once had a copy of the answer that it leads to, and read all of it."""
    _, gateway, client = one(make, OPENAI, ok("x" * 200_000, reasoning="Hm."), ok("Two."))
    first = client.responses.create(model="up/m", input="Weather?")
    assert first.output[0].type == "reasoning"
    client.responses.create(model="up/m", input=[
        {"role": "user", "content": "Weather?"}, *[{"type": "item_reference", "id": first.output[0].id}] * 3000,
        {"role": "user", "content": "Go on."}])
    with open(f"/proc/{gateway.program.process.pid}/status", encoding="ascii") as file:
        peak = int(re.search(r"VmHWM:\s+(\d+) kB", file.read()).group(1)) * 1024
    assert peak < 200 * 1024 * 1024


def test_answers_belong_to_the_key_that_asked_and_only_if_they_are_to_be_stored(make):
    keys = [{"name": "me", "key": "key-of-mine-0123456789"}, {"name": "you", "key": "key-of-yours-0123456789"}]
    stage, gateway, _ = one(make, OPENAI, ok("One."), auth={"keys": keys})
    me, you = [gateway.openai(api_key=k["key"], max_retries=0) for k in keys]
    mine = me.responses.create(model="up/m", input="x")
    for ask in (lambda: you.responses.retrieve(mine.id), lambda: you.responses.delete(mine.id),
                lambda: you.responses.create(model="up/m", input="y", previous_response_id=mine.id)):
        with pytest.raises(openai.NotFoundError):
            ask()
    assert me.responses.retrieve(mine.id).id == mine.id
    gone = me.responses.create(model="up/m", input="x", store=False)
    with pytest.raises(openai.BadRequestError) as error:
        me.responses.create(model="up/m", input="y", previous_response_id=gone.id)
    assert "previous_response_id" in str(error.value)


def test_a_conversation_that_lost_an_early_turn_does_not_go_on_without_it(make):
    _, _, client = one(make, OPENAI, ok("One."), ok("Two."), ok("Three."))
    first = client.responses.create(model="up/m", input="x")
    second = client.responses.create(model="up/m", input="y", previous_response_id=first.id)
    client.responses.delete(first.id)
    with pytest.raises(openai.NotFoundError) as error:
        client.responses.create(model="up/m", input="z", previous_response_id=second.id)
    assert first.id in str(error.value)


def test_nothing_is_kept_where_there_is_no_room_for_it(make):
    _, gateway, client = one(make, OPENAI, ok("One."), responses={"store_bytes": "0"})
    first = client.responses.create(model="up/m", input="x")
    with pytest.raises(openai.BadRequestError):
        client.responses.create(model="up/m", input="y", previous_response_id=first.id)


def test_what_a_provider_stores_goes_on_at_that_provider(make):
    def serve(conn):
        conn.answer(200, json.dumps(SAME[-1]["response"]).encode())
    one_, two = make.upstream(serve), make.upstream(serve)
    gateway = make.gateway({
        "providers": {"one": one_.provider(traits={"responses": True}), "two": two.provider(traits={"responses": True})},
        "models": {"both": {"strategy": "round_robin", "targets": ["one/m", "two/m"]}}})
    client = gateway.openai()
    client.responses.create(model="both", input="x")
    first = (one_, two) if one_.requests else (two, one_)
    for _ in range(3):
        client.responses.create(model="both", input="y", previous_response_id="resp_1")
    assert len(first[0].requests) == 4 and not first[1].requests
    assert first[0].last_request().json()["previous_response_id"] == "resp_1"


@pytest.mark.parametrize("wire", [ANTHROPIC, OLLAMA])
@pytest.mark.parametrize("stream", [False, True])
def test_a_free_form_tool_is_a_function_of_one_text_where_there_are_no_others(make, wire, stream):
    patch = "*** Begin Patch\n\"x\"\n*** End Patch"
    stage, _, client = one(make, wire, ok("", call=("apply_patch", json.dumps({"input": patch})), finish="call"), ok("Done."))
    tools = [{"type": "custom", "name": "apply_patch", "description": "Edits files."}]

    def ask(items):
        if not stream:
            return client.responses.create(model="up/m", input=items, tools=tools)
        with client.responses.stream(model="up/m", input=items, tools=tools) as events:
            return events.get_final_response()
    call = ask("Edit.").output[0]
    assert call.type == "custom_tool_call" and call.name == "apply_patch" and call.input == patch
    answer = ask([{"role": "user", "content": "Edit."}, call.model_dump(exclude_none=True),
                  {"type": "custom_tool_call_output", "call_id": call.call_id, "output": "ok"}])
    assert answer.output_text == "Done."
    first, second = [r.body for r in stage.received("up")]
    assert "Edits files." in json.dumps(first["tools"]) and '"required": ["input"]' in json.dumps(first["tools"])
    assert patch in [b["input"]["input"] for m in second["messages"] if m["role"] == "assistant" and wire == ANTHROPIC
                     for b in m["content"]] or wire == OLLAMA
