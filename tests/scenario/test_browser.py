"""A real browser: pages of allowed origins may call and read answers, other pages may not.

A small server of ours gives out the page (browser/), which calls the gateway and sends its results home.
"""
import functools
import http.server
import json
import os
import pathlib
import shutil
import subprocess
import threading
import urllib.parse

import pytest

from lib.process import PATIENCE, SLOW, ROOT, environment, wait_until

PAGES = pathlib.Path(__file__).parent / "browser"
NODE_DIR = pathlib.Path(os.environ.get("OPENCLAW_NODE_DIR", ROOT / "build" / "node"))
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
         "--disable-background-networking", "--disable-component-update", "--disable-sync"]

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here; Ubuntu 24.04 has it as a snap only")


class PageServer(http.server.ThreadingHTTPServer):
    """Serves the pages and the SDKs' modules; `results` is what the page reported."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), functools.partial(PageHandler, directory=str(PAGES)))
        self.results = None
        threading.Thread(target=self.serve_forever, daemon=True).start()


class PageHandler(http.server.SimpleHTTPRequestHandler):
    extensions_map = {".html": "text/html", ".mjs": "text/javascript", ".js": "text/javascript"}

    def translate_path(self, path):
        if path.startswith("/modules/"):
            return str(NODE_DIR / "node_modules" / path.removeprefix("/modules/"))
        return super().translate_path(path)

    def do_POST(self):
        self.server.results = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def pages():
    with PageServer() as server:
        yield server
        server.shutdown()


@pytest.fixture(scope="module")
def gateway(make_shared, pages):
    mock = make_shared.mock()
    return make_shared.gateway({
        "server": {"cors_origins": [f"http://127.0.0.1:{pages.server_port}"], "limits": {"body": "1MB"}},
        "providers": {"lab": mock.provider(), "ant": mock.provider("anthropic-messages")}})


def visit(pages, gateway, directory, host, parts):
    """What the page of this host finds out: {part: result}."""
    query = urllib.parse.urlencode({"gateway": gateway.url, "key": gateway.key, "parts": ",".join(parts)})
    pages.results = None
    with open(directory / "chromium.log", "wb") as log:
        browser = subprocess.Popen(
            [CHROMIUM, *FLAGS, f"--user-data-dir={directory / 'profile'}", "--enable-logging=stderr",
             f"http://{host}:{pages.server_port}/page.html?{query}"],
            stdout=log, stderr=log, env=environment(HOME=str(directory)), start_new_session=True)
    try:
        def done():
            assert browser.poll() is None, (directory / "chromium.log").read_text()[-3000:]
            return pages.results
        return wait_until(done, "the page's results", 60 * SLOW)
    except AssertionError as e:
        raise AssertionError(f"{e}\n{(directory / 'chromium.log').read_text()[-5000:]}") from None
    finally:
        os.killpg(browser.pid, 9)
        browser.wait(PATIENCE)


@pytest.fixture(scope="module")
def allowed(pages, gateway, tmp_path_factory):
    parts = ["whole", "stream", "cancel", "wrong_key", "no_model", "provider_fails", "no_route", "too_large", "models",
             "not_json"]
    if (NODE_DIR / "node_modules").is_dir():
        parts += ["openai", "anthropic"]
    return visit(pages, gateway, tmp_path_factory.mktemp("allowed"), "127.0.0.1", parts)


def test_an_allowed_page_reads_answers_and_their_fields(gateway, allowed):
    got = allowed["whole"]
    assert got["status"] == 200, got
    assert json.loads(got["body"])["choices"][0]["message"]["content"]
    assert got["headers"]["x-request-id"] == "from-the-page"
    assert got["headers"]["x-openclaw-provider"] == "lab" and got["headers"]["x-openclaw-attempts"] == "1"
    assert {"x-openclaw-model", "traceparent"} <= set(got["headers"])
    listed = {model["id"] for model in json.loads(allowed["models"]["body"])["data"]}
    assert allowed["models"]["status"] == 200 and any(name.startswith("lab/") for name in listed), listed


def test_it_reads_a_stream_as_it_arrives(allowed):
    got = allowed["stream"]
    assert got["status"] == 200 and got["body"].endswith("data: [DONE]\n\n"), got
    assert got["pieces"] >= 5 and got["spread_ms"] > 200, got


def test_it_cancels_a_stream_and_the_gateway_notices(gateway, allowed):
    line = wait_until(lambda: [a for a in gateway.access_log() if a.get("client_abort")], "the line of who left")[0]
    assert line["model"] == "m;tokens=100000;tps=20" and line["stream"]


@pytest.mark.parametrize("part, status, code", [
    ("wrong_key", 401, "invalid_api_key"), ("no_model", 404, "model_not_found"), ("no_route", 404, "no_route"),
    ("provider_fails", 503, "upstream_overloaded"), ("too_large", 413, "request_too_large"),
    ("not_json", 400, "bad_json"),
])
def test_it_reads_errors_like_answers(allowed, part, status, code):
    got = allowed[part]
    assert got.get("status") == status, got
    assert got["headers"]["x-openclaw-error"] == code and json.loads(got["body"])["error"]["message"]


@pytest.mark.parametrize("sdk", ["openai", "anthropic"])
def test_the_official_sdks_work_in_it(allowed, sdk):
    if sdk not in allowed:
        pytest.skip(f"no node_modules in {NODE_DIR}; ./dev test installs them")
    got = allowed[sdk]
    assert "thrown" not in got, got
    assert got["text"] and got["streamed"] and got["request_id"], got
    assert got["error"] == "NotFoundError", got


def test_a_page_of_another_origin_cannot_use_a_gateway_without_keys(make, pages, tmp_path):
    """A simple request needs no preflight: the browser sends it and only hides the answer."""
    mock = make.mock()
    gateway = make.gateway({"providers": {"lab": mock.provider()}, "auth": {"mode": "none"}})
    got = visit(pages, gateway, tmp_path, "localhost", ["blind"])
    assert "TypeError" in got["blind"]["thrown"]
    assert gateway.last_access()["error"] == "forbidden" and mock.stats()["requests"] == 0


def test_a_page_of_another_origin_sees_nothing(pages, gateway, tmp_path):
    before = len(gateway.access_log())
    got = visit(pages, gateway, tmp_path, "localhost", ["whole", "stream", "models", "simple", "wrong_key"])
    assert all("TypeError: Failed to fetch" in result["thrown"] for result in got.values()), got
    assert not [a for a in gateway.access_log()[before:] if a["method"] == "POST"], "the preflight stops it"
