"""Passed-through routes: ranges and conditional requests, redirects, the client's query."""
import httpx
import pytest

CONTENT = b"0123456789"


def files(conn):
    """A file with an ETag, in parts when asked for them; /v1/files/moved/... leads elsewhere."""
    request = conn.request
    tagged = [("ETag", '"v1"'), ("Last-Modified", "Wed, 21 Oct 2015 07:28:00 GMT"), ("Accept-Ranges", "bytes")]
    if "/moved/" in request.target:
        where = {"within": f"{conn.upstream.url}/v1/files/f?x=y", "path": "/v1/files/f",
                 "beside": f"{conn.upstream.url}/private/f", "elsewhere": "https://storage.example/f?signature=s",
                 "relative": "f"}[request.target.rsplit("/", 1)[1]]
        conn.answer(307, b"", fields=[("Location", where)])
    elif request.header("if-none-match") == '"v1"':
        conn.send(b"HTTP/1.1 304 Not Modified\r\n" + "".join(f"{n}: {v}\r\n" for n, v in tagged).encode() + b"\r\n")
    elif request.header("range") == "bytes=2-4" and request.header("if-range") in (None, '"v1"'):
        conn.answer(206, CONTENT[2:5], "application/octet-stream",
                    [*tagged, ("Content-Range", "bytes 2-4/10")])
    elif request.header("range"):
        conn.answer(416, b'{"error": {"message": "no such part"}}', fields=[("Content-Range", "bytes */10")])
    else:
        conn.answer(200, CONTENT, "application/octet-stream", tagged)


@pytest.fixture
def upstream(make):
    return make.upstream(files)


@pytest.fixture
def gateway(make, upstream):
    return make.gateway({"providers": {"lab": upstream.provider()}, "default_provider": "lab"}, workers=1)


def test_a_range_request_returns_part_of_a_file(gateway):
    whole = gateway.get("/v1/files/f/content")
    assert (whole.status_code, whole.content) == (200, CONTENT)
    assert whole.headers["accept-ranges"] == "bytes" and whole.headers["etag"] == '"v1"'
    assert whole.headers["last-modified"] == "Wed, 21 Oct 2015 07:28:00 GMT"
    part = gateway.get("/v1/files/f/content", {"Range": "bytes=2-4", "If-Range": '"v1"'})
    assert (part.status_code, part.content) == (206, CONTENT[2:5])
    assert part.headers["content-range"] == "bytes 2-4/10"
    beyond = gateway.get("/v1/files/f/content", {"Range": "bytes=20-"})
    assert beyond.status_code == 416 and beyond.headers["content-range"] == "bytes */10"


def test_conditional_requests_are_forwarded(gateway):
    known = gateway.get("/v1/files/f/content", {"If-None-Match": '"v1"'})
    assert known.status_code == 304 and known.content == b"" and known.headers["etag"] == '"v1"'
    assert gateway.get("/v1/files/f/content", {"If-None-Match": '"v0"'}).content == CONTENT


@pytest.mark.parametrize("where, location", [
    ("within", "/v1/files/f?x=y"), ("path", "/v1/files/f"), ("beside", None), ("relative", "f"),
    ("elsewhere", "https://storage.example/f?signature=s")])
def test_following_a_redirect_does_not_leak_the_gateway_s_key(gateway, where, location):
    answer = gateway.get(f"/v1/files/moved/{where}", follow_redirects=False)
    assert answer.status_code == 307 and answer.headers.get("location") == location


def test_a_redirect_can_be_followed_through_the_gateway(gateway, upstream):
    answer = gateway.get("/v1/files/moved/within", follow_redirects=True)
    assert (answer.status_code, answer.content) == (200, CONTENT)
    assert [r.target for r in upstream.requests] == ["/v1/files/moved/within", "/v1/files/f?x=y"]


def test_the_query_is_forwarded(gateway, upstream):
    gateway.get("/v1/files?purpose=batch&after=a%20b&limit=2")
    assert upstream.last_request().target == "/v1/files?purpose=batch&after=a%20b&limit=2"


def test_the_query_of_a_model_call_is_forwarded_within_a_protocol(make):
    mock = make.mock()
    gateway = make.gateway({"providers": {"oai": mock.provider(), "ant": mock.provider("anthropic-messages")}})
    body = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "Hi"}]}

    def asked(query, path, model):
        assert gateway.post(path + query, {**body, "model": model}).status_code == 200
        return mock.last_request()["target"]
    assert asked("?beta=true", "/v1/messages", "ant/m") == "/v1/messages?beta=true"
    assert asked("?api-version=1", "/v1/chat/completions", "oai/m") == "/v1/chat/completions?api-version=1"
    assert asked("?beta=true", "/v1/messages", "oai/m") == "/v1/chat/completions"
    for query in ("?model=large", "?Mod%65l=large", "?x=1&model%3dlarge"):
        assert asked(query, "/v1/chat/completions", "oai/m") == "/v1/chat/completions"


@pytest.mark.parametrize("path", ["/v1/responses/compact", "/v1/moderations", "/v1/images/edits"])
def test_the_query_cannot_name_another_model_than_the_body(gateway, upstream, path):
    for query in ("?model=large", "?MODEL=large", "?x=1&mod%65l=large", "?model[]=large", "?model%5B%5D=large"):
        assert gateway.post(path + query, {"model": "lab/small"}).status_code == 200
        assert upstream.last_request().target == path
    assert gateway.post(path + "?include=a&x=1", {"model": "lab/small"}).status_code == 200
    assert upstream.last_request().target == path + "?include=a&x=1"


@pytest.mark.parametrize("query", [
    "model=lab/a&model[]=b", "model=lab/a&model%5B0%5D=b", "+model=b&model=lab/a", "model=lab/a&%20model=b",
    "model=lab/a&model%00=b", "model=lab/a;MODEL+=b"])
def test_a_query_names_one_model_however_it_is_spelled(gateway, upstream, query):
    assert gateway.get(f"/v1/realtime?{query}").status_code == 400
    assert not upstream.requests


@pytest.mark.parametrize("content_type", ["application/json", "multipart/form-data; boundary=x", "text/plain", None])
def test_where_the_query_names_the_model_a_body_cannot_name_another(gateway, upstream, content_type):
    headers = gateway.authorization() | ({"Content-Type": content_type} if content_type else {})
    for method in ("POST", "GET", "DELETE"):
        answer = gateway.http().request(method, "/v1/realtime?model=lab/small", headers=headers,
                                        content=b'{"model": "large"}')
        assert answer.status_code == 400 and "application/sdp" in answer.json()["error"]["message"]
    assert not upstream.requests
    answer = gateway.http().post("/v1/realtime?model=lab/small", content=b"v=0\r\n",
                                 headers=gateway.authorization() | {"Content-Type": "application/sdp"})
    assert answer.status_code == 200 and upstream.last_request().target == "/v1/realtime?model=small"


def failing(how):
    def handler(conn):
        if how.isdigit():
            conn.answer(int(how), {"error": {"message": "no"}})
        elif how == "cut":
            conn.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
            conn.close()
        else:
            conn.reset()
    return handler


@pytest.mark.parametrize("path, body", [
    ("/v1/batches", {"input_file_id": "f"}), ("/v1/fine_tuning", {"model": "both"}), ("/v1/files", {"model": "both"}),
    ("/v1/responses/compact", {"model": "both", "input": "x"}), ("/v1/moderations", {"model": "both", "input": "x"}),
    ("/v1/images/generations", {"model": "both", "prompt": "x"})], ids=lambda v: v if isinstance(v, str) else "")
@pytest.mark.parametrize("how", ["reset", "500", "503", "429", "cut"])
def test_what_is_passed_through_is_never_sent_to_a_second_provider(make, how, path, body):
    """A batch, a stored response or an image that the first provider may have accepted must not be made twice."""
    first, second = make.upstream(failing(how)), make.upstream(files)
    gateway = make.gateway({
        "providers": {"one": first.provider(), "two": second.provider()}, "default_provider": "one",
        "models": {"both": {"targets": ["one/m", "two/m"]}}, "retry": {"attempts": 6}})
    try:
        answer = gateway.post(path, body)
        assert answer.status_code >= (200 if how == "cut" else 400)
        assert how == "cut" or answer.headers["x-openclaw-attempts"] == "1"
    except httpx.TransportError:
        assert how == "cut"
    assert len(first.requests) == 1 and not second.requests


@pytest.mark.parametrize("path", ["/v1/fine_tuning", "/v1/responses/compact", "/v1/moderations"])
def test_what_is_passed_through_goes_to_the_next_provider_while_nothing_was_sent(make, path):
    second = make.upstream(files)
    gateway = make.gateway({
        "providers": {"one": {"wire": "openai-chat", "base_url": "http://127.0.0.1:1/v1"}, "two": second.provider()},
        "models": {"both": {"targets": ["one/m", "two/m"]}}})
    assert gateway.post(path, {"model": "both", "input": "x"}).status_code == 200
    assert len(second.requests) == 1


@pytest.mark.parametrize("status, retry", [(500, "true"), (501, "false"), (505, "false"), (503, "true")])
def test_what_a_provider_cannot_do_is_not_worth_a_retry(make, status, retry):
    upstream = make.upstream(lambda conn: conn.answer(status, b'{"error": {"message": "no"}}'))
    gateway = make.gateway({"providers": {"lab": upstream.provider()}, "default_provider": "lab"})
    assert gateway.get("/v1/files").headers["x-should-retry"] == retry
    assert gateway.chat("lab/m").headers["x-should-retry"] == "false", "the gateway itself tries model calls again"


@pytest.mark.parametrize("body", [b'{"error": {"message": "No such file: f", "type": "invalid_request_error"}}',
                                  b'{"detail": {"what": 5}}'], ids=["with a message", "unknown"])
def test_a_404_on_a_route_without_a_model_is_not_about_a_model(make, body):
    upstream = make.upstream(lambda conn: conn.answer(404, body))
    gateway = make.gateway({"providers": {"lab": upstream.provider()}, "default_provider": "lab"})
    answer = gateway.get("/v1/files/f")
    assert answer.status_code == 404 and answer.content == body
    line = gateway.access_of(answer)
    assert line["error"] == "bad_request"
    assert line["error_message"].startswith("the provider does not have what the request asks for (lab, status 404")
    assert gateway.chat("lab/m").headers["x-openclaw-error"] == "upstream_model_not_found"


def test_the_last_cause_is_told_of_what_could_be_sent(make):
    last = make.upstream(lambda conn: conn.answer(500, {"error": {"message": "no"}}))
    gateway = make.gateway({
        "providers": {"one": {"wire": "openai-chat", "base_url": "http://127.0.0.1:1/v1"}, "two": last.provider()},
        "models": {"both": {"targets": ["one/m", "two/m"]}}})
    for path in ("/v1/responses/compact", "/v1/moderations"):
        answer = gateway.post(path, {"model": "both", "input": "x"})
        assert answer.status_code == 500 and answer.json() == {"error": {"message": "no"}}, answer.text
        assert answer.headers["x-openclaw-attempts"] == "2"
