"""Why did this request fail? The logs have the answer: a sentence for the request and for each attempt, the provider's
status and code, the key that was used by its name; and never a word of the conversation, or a secret."""
import json

import pytest

from lib import process
from lib.ask import CALLERS, PATHS, ask, body_of
from lib.process import PROMPT, canary, wait_until


def reason_of(gateway, got):
    """The access line, and the error log's lines about the same request."""
    line = gateway.access(got.id)
    wait_until(lambda: got.id in gateway.stderr(), "the error log's line")
    told = [json.loads(said) for said in gateway.stderr().splitlines() if got.id in said]
    return line, told


def refusing(status, error):
    return lambda conn: conn.answer(status, {"error": error})


@pytest.mark.parametrize("caller", CALLERS)
def test_a_provider_s_error_is_logged_with_status_code_and_parameter(make, caller):
    upstream = make.upstream(refusing(422, {"message": f"bad: {PROMPT}", "type": "invalid_request_error",
                                            "code": "invalid_value", "param": "messages[0].content"}))
    gateway = make.gateway({"providers": {"lab": upstream.provider()}, "models": {"fast": {"targets": ["lab/m"]}}})
    for stream in (False, True):
        got = ask(gateway, caller, "fast", stream)
        assert PROMPT in got.error["message"], "the caller may read its own words"
        line, told = reason_of(gateway, got)
        why = "the request is not valid (lab, status 422, code invalid_value): messages[0].content"
        assert line["error_message"] == why and line["attempts"][0]["message"] == why, line
        assert line["attempts"][0]["status"] == 422 and line["attempts"][0]["credential"] == "lab#1", line
        assert [t["msg"] for t in told] == [f"attempt failed: {why}"], told
        both = ("request_id", "provider", "model", "model_requested", "error")
        assert [told[0][n] for n in both] == [line[n] for n in both] == \
            [got.id, "lab", "m", "fast", "bad_request"], (told, line)


@pytest.mark.parametrize("word", [PROMPT, PROMPT.replace("-", "_"), "two words", "<b>", "x" * 65, "é", canary("code")],
                         ids=["prompt", "underscores", "blank", "markup", "long", "accent", "key"])
def test_free_text_is_not_logged_as_an_error_code(make, word):
    upstream = make.upstream(refusing(400, {"message": "no", "type": word, "code": word, "param": word.replace("_", "-")}))
    gateway = make.gateway({"providers": {"lab": upstream.provider()}})
    for caller in CALLERS:
        got = ask(gateway, caller, "lab/m", user=word)
        line, told = reason_of(gateway, got)
        assert line["error_message"] == "the request is not valid (lab, status 400)", line
        assert word not in json.dumps([line, told], ensure_ascii=False)


def test_the_credential_used_is_logged_by_name(make):
    upstream = make.upstream(refusing(401, {"message": "no"}))
    gateway = make.gateway({"providers": {
        "lab": upstream.provider(api_key=[canary("one"), canary("two")]),
        "openai": {"base_url": upstream.openai_url, "api_key": None}, "bare": upstream.provider(api_key=canary("three"))}},
        env={"OPENAI_API_KEY": canary("four")})
    for _ in range(3):    # a key that is refused is followed by the other one
        used = [a["credential"] for a in gateway.access(ask(gateway, "openai", "lab/m").id)["attempts"]]
        assert sorted(used) == ["lab#1", "lab#2"], used
    line = gateway.access(ask(gateway, "openai", "bare/m").id)
    assert line["attempts"][0]["credential"] == "bare#1"
    assert line["error_message"].startswith("the provider refused the gateway's credentials (bare, status 401"), line


def test_each_attempt_has_its_own_reason(make):
    bad = make.upstream(refusing(503, {"message": "later", "code": "busy"}))
    good = make.mock()
    gateway = make.gateway({"providers": {
        "dead": {"wire": "openai-chat", "base_url": "http://127.0.0.1:1/v1"}, "bad": bad.provider(), "good": good.provider()},
        "models": {"all": {"targets": ["dead/m", "bad/m", "good/m"]}}})
    got = ask(gateway, "openai", "all")
    line, told = reason_of(gateway, got)
    assert got.complete and "error" not in line and "error_message" not in line
    dead, busy, fine = line["attempts"]
    assert "could not be reached" in dead["message"] and "127.0.0.1:1" in dead["message"], dead
    assert busy["message"] == "the provider is overloaded (bad, status 503, code busy)" and "message" not in fine
    told = [t for t in told if "attempt failed" in t["msg"]]    # not that the price is not known
    assert [t["provider"] for t in told] == ["dead", "bad"] and [t["attempt"] for t in told] == [1, 2], told


def test_one_provider_s_failures_do_not_hide_another_s(make):
    gateway = make.gateway({"providers": {n: make.upstream(refusing(500, {"message": "no"})).provider() for n in "ab"}})
    for _ in range(20):
        ask(gateway, "openai", "a/m")
    got = ask(gateway, "openai", "b/m")
    wait_until(lambda: got.id in gateway.stderr(), "the other provider's line")
    assert gateway.stderr().count('"provider":"a"') == 5


WRONG = {
    "redirect": (308, b"", "text/plain", "was redirected with status 308 to https://other.test/v2"),
    "redirect with a page": (301, b"<html><body>Moved</body></html>", "text/html", "was redirected with status 301"),
    "page": (200, b"<!DOCTYPE html>\n<html><title>Welcome</title></html>", "text/html", "answered with status 200 and an HTML page"),
    "page without a type": (200, b"\n <HTML>hi</HTML>", "", "answered with status 200 and an HTML page"),
    "missing page": (404, b"<html>404</html>", "text/html", "answered with status 404 and an HTML page"),
    "missing text": (404, b"404 page not found\n", "text/plain", "answered with status 404 and no JSON"),
    "missing, nothing": (404, b"", "", "answered with status 404 and no JSON"),
    "wrong method": (405, b"Method Not Allowed", "text/plain", "answered with status 405 and no JSON"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_an_answer_from_a_wrong_address_names_the_url(make, wrong):
    status, body, kind, what = WRONG[wrong]
    upstream = make.upstream(lambda conn: conn.answer(status, body, kind, fields=[
        ("Location", "https://other.test/v2?key=canary-location#x")]))
    gateway = make.gateway({"providers": {"lab": {"wire": "openai-chat", "base_url": f"{upstream.url}/wrong"}}})
    for caller in CALLERS:
        for stream in (False, True):
            got = ask(gateway, caller, "lab/m", stream)
            line, told = reason_of(gateway, got)
            if status == 404:
                assert got.status == 404 and got.headers["x-openclaw-error"] == "upstream_model_not_found", got
            else:
                assert got.status == 502 and got.code == "upstream_protocol", got
            assert got.headers["x-should-retry"] == "false", got.headers
            for text in (got.error["message"], line["error_message"], line["attempts"][0]["message"], told[0]["msg"]):
                assert f"{upstream.url}/wrong/chat/completions" in text and what in text, text
                assert "the base_url of 'lab' may be wrong" in text and "canary" not in text and "moved" not in text, text


def test_an_error_page_of_a_proxy_is_not_a_wrong_address(make):
    upstream = make.upstream(lambda conn: conn.answer(502, b"<html>Bad Gateway</html>", "text/html"))
    gateway = make.gateway({"providers": {"lab": upstream.provider()}})
    got = ask(gateway, "openai", "lab/m")
    line, _ = reason_of(gateway, got)
    assert got.code == "upstream_error" and "base_url" not in line["error_message"], line
    assert "status 502 and an HTML page" in line["error_message"], line


@pytest.mark.parametrize("head, body, said", [
    (b"200 OK\r\nContent-Type: application/json", b"{}", "is malformed (lab: status 200, application/json)"),
    (b"200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip", b"abcd",
     "is malformed (lab: status 200, application/json, with a Content-Encoding)"),
    (b"200 OK", b"{}", "is malformed (lab: status 200, no content type)"),
    (b"204 No Content", b"", "ended before it was complete (lab: status 204, no content type)"),
    (b"407 Proxy Authentication Required", b"", "refused the gateway's credentials (lab, status 407)"),
], ids=["empty object", "compressed", "no type", "no content", "no words"])
def test_a_malformed_or_incomplete_answer_is_described(make, head, body, said):
    length = b"" if head.startswith(b"204") else b"\r\nContent-Length: %d" % len(body)
    upstream = make.upstream(lambda conn: conn.send(b"HTTP/1.1 " + head + length + b"\r\n\r\n" + body))
    gateway = make.gateway({"providers": {"lab": upstream.provider()}, "models": {"fast": {"targets": ["lab/m"]}}})
    got = ask(gateway, "openai", "fast")
    line, _ = reason_of(gateway, got)
    assert said in line["error_message"] and said in line["attempts"][0]["message"], line
    assert got.error["message"].count("credentials") <= 1, got.error


def test_credentials_in_a_redirect_are_not_logged(make):
    upstream = make.upstream(lambda conn: conn.answer(307, b"", fields=[("Location", "https://user:canary-pw@other.test/")]))
    gateway = make.gateway({"providers": {"lab": upstream.provider()}})
    got = ask(gateway, "openai", "lab/m")
    line, _ = reason_of(gateway, got)
    assert "to another place" in got.error["message"] and "other.test" not in line["error_message"], line


def test_a_passed_through_error_is_explained_in_the_log(make):
    upstream = make.upstream(lambda conn: conn.answer(404, b"no such page\n", "text/plain"))
    gateway = make.gateway({"providers": {"lab": upstream.provider()}})
    with gateway.raw() as client:
        answer, _ = client.ask("GET", "/v1/files/f-1?after=canary-query", b"", gateway.authorization())
    assert answer.status == 404 and answer.body == b"no such page\n"
    line = gateway.access(answer.header("x-request-id"))
    assert f"{upstream.openai_url}/files/f-1 answered with status 404 and no JSON" in line["error_message"], line


@pytest.mark.parametrize("caller", CALLERS)
def test_an_invalid_request_is_logged_with_its_parameter(make, caller):
    mock = make.mock()
    gateway = make.gateway({"providers": {"lab": mock.provider(), "ant": mock.provider("anthropic-messages")}})
    with gateway.raw() as client:
        answer, _ = client.ask("POST", PATHS[caller], {**body_of("lab/m"), "messages": [{"role": process.PROMPT}]},
                               gateway.authorization())
    line = gateway.access(answer.header("x-request-id"))
    assert answer.status == 400 and "message" in line["error_message"] and PROMPT not in json.dumps(line), line


def test_the_start_and_each_reload_log_the_configuration(make):
    mock = make.mock()
    gateway = make.gateway({"providers": {"lab": mock.provider(), "ant": mock.provider("anthropic-messages")}})
    said = f"openclaw [0-9.]+, 2 workers on {gateway.address[0]}:{gateway.address[1]}; " \
        f"configuration {gateway.config_path}, generation %d; providers: lab ant"
    gateway.program.wait_for("started: " + said % 1)
    gateway.reload()
    gateway.program.wait_for("reloaded: " + said % 2)


@pytest.mark.parametrize("level", ["debug", "info"])
def test_debug_logs_the_stages_of_a_request_and_other_levels_do_not(make, level):
    mock = make.mock()
    gateway = make.gateway({"providers": {"lab": mock.provider()}, "observe": {"log": {"level": level}}}, workers=1)
    first, second = (ask(gateway, "openai", "lab/m", True) for _ in range(2))
    if level == "info":
        assert second.id not in gateway.stderr() and '"debug"' not in gateway.stderr()
        return

    def told(got):
        return [json.loads(s)["msg"] for s in gateway.stderr().splitlines() if got.id in s]
    wait_until(lambda: any(m.startswith("request ended: POST ") for m in told(second)), "the end of the request")
    stages = [m.split()[1] for m in told(first) if m.startswith("stage ") and m.endswith("done")]
    assert [s.rstrip(":") for s in stages][:4] == ["match", "authenticate", "admit", "receive"], told(first)
    assert any(m.startswith("connected in ") for m in told(first)), told(first)
    assert "a connection of the pool is used again" in told(second), told(second)
    assert any("/v1/chat/completions: POST, " in m and m.endswith("key lab#1") for m in told(second)), told(second)
    assert "status 200" in told(second)[-1] and any(m.startswith("attempt ended: ok") for m in told(second)), told(second)


def test_an_error_names_the_targets_whose_providers_are_disabled(make):
    busy = make.upstream(refusing(503, {"message": "later", "type": "server_error"}))
    strict = make.upstream(refusing(400, {"message": "no", "type": "invalid_request_error"}))
    gateway = make.gateway({"providers": {"busy": busy.provider(), "strict": strict.provider(),
                                          "off": strict.provider(disabled=True)},
                            "models": {"fast": {"targets": ["off/a", "busy/m", "off/b"]},
                                       "exact": {"targets": ["strict/m", "off/a"]}}})
    failed = gateway.chat("fast").json()["error"]["message"]
    assert failed.endswith(" (tried busy/m: upstream_overloaded; off/a: disabled; off/b: disabled)"), failed
    refused = gateway.chat("exact").json()["error"]["message"]
    assert "disabled" not in refused    # no other target would have been asked
