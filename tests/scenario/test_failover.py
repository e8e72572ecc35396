"""Failures of the first of two targets that callers never notice, with nothing configured but the targets; and those that
are told at once, as no other target would do better."""
import functools
import json
import socket
import ssl

import pytest

from lib.ask import EVERY_CALLER, ask
from lib.fault import BACKUP, PRIMARY, SHIPPED, Fault, answered, play, refused, several
from lib.process import certificate, free_port
from lib.script import (ANTHROPIC, CALL, OLLAMA, OPENAI, Stage, body, by_model, close, comments, cut, empty, error_document_in_200,
                        error_in_200, garbage, hang, html, limited, no_finish, ok, quota, redirect, reset, slow, status, too_long,
                        unending)
from lib.sdk import ASK, openai_tool

SOON = {"x-openclaw-timeout": "4s"}    # so that a silent target is not waited for as long as by default


def with_tools(caller):
    schema = {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}}
    if caller == "anthropic":
        return {"tools": [{"name": CALL[0], "input_schema": schema}]}
    return {"tools": [openai_tool(CALL[0], schema)]}


# --- places where nobody answers ---

def closed_port(make, wire):
    return {"wire": wire, "base_url": f"http://127.0.0.1:{free_port()}/v1"}


def unknown_name(make, wire):
    """Of a reserved domain that does not exist."""
    return {"wire": wire, "base_url": "http://no-such-host.invalid/v1"}


def plain_port(make, wire):
    """It speaks no TLS."""
    return {"wire": wire, "base_url": f"https://{make.mock(record=False).host}/v1"}


def deaf_port(make, wire):
    """A listener whose queue is full answers no SYN."""
    deaf = make.stack.enter_context(socket.socket())
    deaf.bind(("127.0.0.1", 0))
    deaf.listen(0)
    for _ in range(8):
        s = make.stack.enter_context(socket.socket())
        s.setblocking(False)
        s.connect_ex(deaf.getsockname())
    return {"wire": wire, "base_url": f"http://127.0.0.1:{deaf.getsockname()[1]}/v1"}


@functools.cache
def server_context(make, days):
    cert, key = certificate(make._directory("tls"), days=days)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context, cert


def with_certificate(make, wire, days, trusted):
    context, cert = server_context(make, days)
    upstream = make.upstream(lambda conn: conn.answer(200, {"never": "read"}), tls=context)
    return {"wire": wire, "base_url": f"{upstream.url}/v1", **({"ca_file": str(cert)} if trusted else {})}


def unverified(make, wire):
    """Its certificate is nobody's."""
    return with_certificate(make, wire, 2, trusted=False)


def expired(make, wire):
    """Its certificate was valid until yesterday."""
    return with_certificate(make, wire, -1, trusted=True)


HTTP = [OPENAI, ANTHROPIC]
JSON = {"whole": b'{"id": "c1", "choices": [', "list": b"[]", "text": b'"text"', "null": b"null", "nothing": b"",
        "blanks": b"\n\n", "no answer": b"{}"}

FAULTS = [
    # --- the same target once more, then the next ---
    *(Fault(f"{code} that stays", [status(code)], asked=(2, 1)) for code in (500, 502, 503, 520, 529)),
    *(Fault(f"{code} once", [status(code), ok()], answered(PRIMARY), asked=(2, 0)) for code in (500, 502, 503, 529)),
    Fault("error page of a CDN", [html(502)], asked=(2, 1)),
    Fault("error in a 200", [error_in_200()], asked=(2, 1)),
    Fault("overload in a 200", [error_in_200("overloaded_error", "Overloaded")], asked=(2, 1)),
    Fault("error document in a 200 instead of a stream", [error_document_in_200()], asked=(2, 1), streams=(True,)),

    Fault("overload without a word", [status(529, body=b"")], asked=(2, 1)),
    Fault("limited for a moment, twice", [limited([("retry-after-ms", "300")])], asked=(2, 1), gaps=(0.3, 5)),
    Fault("error whose body never ends", [unending(500)], asked=(2, 1), headers={"x-openclaw-timeout": "10s"}),
    Fault("500, then a revoked key", [status(500), status(401, "authentication_error")], asked=(2, 1)),
    Fault("500, then silence", [status(500), hang], asked=(2, 1), cancelled=True, headers=SOON),
    Fault("500, then a bad request", [status(500), status(400, "invalid_request_error")],
          refused("bad_request", 400, "false"), asked=(2, 0)),

    # --- the next target at once ---
    *(Fault(f"{code}", [status(code)]) for code in (408, 504, 522, 524)),
    Fault("429 without a hint", [limited()]),
    Fault("429 for an hour", [limited([("Retry-After", "3600")])]),
    Fault("503 for a minute", [status(503, fields=[("Retry-After", "60")])]),
    *(Fault(f"{code} of the only key", [status(code, kind)])
      for code, kind in ((401, "authentication_error"), (403, "permission_error"))),
    Fault("retired model", [status(404, "not_found_error", message="The model `m` does not exist")]),
    Fault("quota exhausted", [quota()]),
    Fault("payment required", [status(402, "billing_error")]),
    Fault("context too long", [too_long()]),
    Fault("reset", [reset]),
    Fault("closed without an answer", [close]),
    *(Fault(f"malformed JSON, {name}", [body(data)], streams=(False,)) for name, data in JSON.items()),
    Fault("malformed event", [body(b"data: {\"half\n\n")], wires=HTTP, streams=(True,)),
    Fault("unsupported parameter", [status(400, "invalid_request_error",
                                           message="Unsupported parameter: 'top_p' is not supported with this model.")]),
    Fault("unknown member", [status(422, "invalid_request_error", message="top_k: Extra inputs are not permitted")]),
    Fault("unsupported parameter of the only target", [status(400, "invalid_request_error", message="Unknown parameter: 'top_k'.")],
          refused("unsupported", 400, "false", names=("'top_k'",)), asked=(1, 0), backup=[]),
    *(Fault(f"MiniMax's {number} in a 200", [body(json.dumps({
        "id": "x", "choices": None, "base_resp": {"status_code": number, "status_msg": "no luck"}}).encode(), "application/json")],
        asked=(times, 1), wires=[OPENAI]) for number, times in ((1002, 1), (1004, 1), (1008, 1), (1000, 2), (1033, 2))),
    *(Fault(f"arguments of a call that are {name}", [ok("", call=(CALL[0], arguments), finish="call")],
            answered("", calls=[(CALL[0], json.loads(CALL[1]))]), backup=[ok("", call=CALL, finish="call")], wires=[OPENAI],
            callers=("anthropic", "ollama"), streams=(False,), request=with_tools)
      for name, arguments in (("cut off", '{"city": "Ul'), ("a list", '["Ulm"]'), ("words", "Ulm, please"))),
    Fault("malformed line", [body(b'{"half\n')], wires=[OLLAMA], streams=(True,)),
    Fault("stream of nothing", [body(b"")], streams=(True,)),
    *(Fault(f"cut within a whole answer, {how}", [cut(how=how)], streams=(False,)) for how in ("reset", "close", "end")),
    *(Fault(f"cut behind the head, {how}", [cut("head", how=how)], streams=(True,)) for how in ("reset", "close", "end")),
    *(Fault(f"cut before the first token, {how}", [cut("start", 1, how)], streams=(True,), wires=HTTP)
      for how in ("reset", "close", "end")),
    Fault("whole answer that ends too early", [no_finish()], streams=(False,)),
    Fault("empty answer", [empty()]),
    Fault("empty answer with a reason for its end", [empty("stop")]),
    Fault("web page", [html(200)]),
    Fault("redirect", [redirect("http://127.0.0.1:1/v1/chat/completions")]),
    Fault("permanent redirect", [redirect("http://127.0.0.1:1/v1/chat/completions", 308)]),
    Fault("no content", [garbage(b"HTTP/1.1 204 No Content\r\n\r\n")]),
    Fault("nothing but promises", [garbage(b"HTTP/1.1 100 Continue\r\n\r\n" * 5)]),
    Fault("no HTTP", [garbage(b"SSH-2.0-OpenSSH_9.2\r\n")]),
    Fault("two lengths", [garbage(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}")]),

    # --- nobody there ---
    Fault("connection refused", closed_port, asked=(0, 1)),
    Fault("unknown name", unknown_name, asked=(0, 1)),
    Fault("no TLS where it is expected", plain_port, asked=(0, 1)),
    Fault("unverified certificate", unverified, asked=(0, 1)),
    Fault("expired certificate", expired, asked=(0, 1)),
    Fault("SYN swallowed", deaf_port, asked=(0, 1), headers=SOON),

    # --- silent: the next target is started beside it ---
    Fault("hangs", [hang], cancelled=True, headers=SOON),
    Fault("comments only", [comments()], cancelled=True, headers=SOON, streams=(True,), wires=HTTP),
    Fault("blank lines only", [comments()], cancelled=True, headers=SOON, streams=(True,), wires=[OLLAMA]),
    Fault("blanks instead of a document", [comments()], cancelled=True, headers=SOON, streams=(False,)),
    Fault("first token too late", [ok(delay=30)], cancelled=True, headers=SOON),

    # --- returned, as it is the request's fault or an answer ---
    *(Fault(f"{code} of a bad request", [status(code, "invalid_request_error")],
            refused("bad_request", code, "false"), asked=(1, 0)) for code in (400, 422)),
    Fault("request too large", [status(413, "request_too_large")], refused("request_too_large", 413, "false"),
          asked=(1, 0)),
    Fault("content refused", [status(400, "invalid_request_error", code="content_filter",
                                     message="The response was filtered due to the prompt triggering a policy.")],
          refused("content_filter", 400, "false", names=("triggering a policy",)), asked=(1, 0), wires=[OPENAI]),
    Fault("content refused and routed around", [status(400, "invalid_request_error", code="content_filter",
                                                       message="The response was filtered due to the prompt triggering a policy")],
          alias={"on_error": {"content_filter": "move"}}, wires=[OPENAI]),
    Fault("an error that is configured to be returned", [status(503, "overloaded_error")],
          refused("upstream_overloaded", 503, "false"), asked=(1, 0), alias={"on_error": {"upstream_overloaded": "return"}},
          wires=[OPENAI], callers=("openai",)),

    # --- no failures ---
    Fault("empty answer that is meant", [ok("", usage=(11, 2))], answered(""), asked=(1, 0)),
    Fault("cut off by the output limit", [ok(finish="length")], answered(PRIMARY), asked=(1, 0)),
    Fault("a second of thought", [ok(delay=1)], answered(PRIMARY), asked=(1, 0)),
    Fault("slow tokens", [slow(0.3)], answered("one.two.three.four."), asked=(1, 0)),
]


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_of_two_targets(make, fault):
    play(make, fault)


def test_a_key_does_not_follow_a_redirect(make):
    """Whoever can make a provider redirect would get its key."""
    trap = make.upstream(lambda conn: conn.answer(200, {"never": "asked"}))
    for code in (301, 302, 303, 307, 308):
        play(make, Fault(f"redirect {code}", [redirect(f"{trap.url}/v1/chat/completions", code)],
                         callers=EVERY_CALLER[:1], wires=[OPENAI]))
    assert trap.connections == 0


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("caller", EVERY_CALLER)
def test_a_request_that_is_too_long_goes_only_where_it_may_fit(make, caller, stream):
    """The second model is known to have no more room than the one that refused it."""
    stage = Stage(make)
    gateway = make.gateway({
        **SHIPPED,
        "providers": {"openai": stage.provider("openai", OPENAI, by_model(**{"gpt-4o-mini": too_long(), "other": ok()})),
                      "anthropic": stage.provider("anthropic", ANTHROPIC, ok(BACKUP))},
        "models": {"m": {"targets": ["openai/gpt-4o-mini", "openai/gpt-4o", "anthropic/claude-sonnet-4-5"]}}})
    answered(BACKUP)(ask(gateway, caller, "m", stream), caller, stream)
    assert [r.model for r in stage.received("openai")] == ["gpt-4o-mini"] and len(stage.received("anthropic")) == 1


def test_embeddings_and_counts_of_tokens_are_retried_like_chats(make):
    vectors = body(b'{"object":"list","model":"m","data":[{"object":"embedding","index":0,"embedding":[0.5]}],'
                   b'"usage":{"prompt_tokens":1,"total_tokens":1}}')
    stage, gateway = several(make, {"primary": (OPENAI, status(500), hang), "backup": (OPENAI, vectors)})
    answer = gateway.post("/v1/embeddings", {"model": "all", "input": "x"}, SOON)
    assert answer.status_code == 200 and answer.json()["data"][0]["embedding"] == [0.5], answer.text
    assert [r.provider for r in stage.received()] == ["primary", "primary", "backup"]
    stage, gateway = several(make, {"primary": (ANTHROPIC, status(500)), "backup": (ANTHROPIC, body(b'{"input_tokens": 9}'))})
    answer = gateway.post("/v1/messages/count_tokens", {"model": "all", "messages": ASK})
    assert answer.status_code == 200 and answer.json() == {"input_tokens": 9}, answer.text


def test_routes_that_are_passed_through_are_never_retried(make):
    stage, gateway = several(make, {"primary": (OPENAI, status(500))})
    assert gateway.post("/v1/responses/compact", {"model": "all", "input": "x"}).status_code == 500
    assert len(stage.received()) == 1
