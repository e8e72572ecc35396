"""`openclaw serve` with the test's configuration, checked from its start to its exit.

    gateway = gateway_factory({"providers": {"lab": {"wire": "openai-chat", "base_url": mock.url}}})
    gateway.openai().chat.completions.create(model="lab/x", ...)
    assert gateway.access(request_id)["status"] == 200

Unless the configuration says otherwise, callers must present a key (gateway.key), providers get a key,
both recognisable canaries; logs go to files. close() asserts that it ended with status 0, said nothing of
a sanitizer or a failed check, and that no canary stands in its logs, metrics or answers' fields.
"""
import copy
import json
import os
import pathlib
import re
import signal
import ssl

import httpx
import yaml

from lib import process, raw
from lib.metrics import Metrics
from lib.process import CANARY, PATIENCE, PROMPT, Program, canary, wait_until


class Gateway:
    """Attributes: url ("http://127.0.0.1:PORT"), address (host, port), key, config, directory, program."""

    def __init__(self, config, directory, env=None, args=(), plant=True, workers=2, wait=True):
        self.directory = pathlib.Path(directory)
        self.config_path = self.directory / "openclaw.yaml"
        self.access_path = self.directory / "access.log"
        self.plant = plant
        self.workers = workers
        self.key = canary("client") if plant else None
        self.env = dict(env or {})
        self.heads = []                      # fields of every answer that our HTTP clients saw
        self.clients = []
        self._kept = None
        self._read_bytes = 0                 # of the access log, into _lines
        self._lines = []
        self.expect_status = 0
        self.checks = True
        command = [process.BIN, "serve"]
        if config is not None:
            self.write(config)
            command += ["-c", self.config_path]
        else:
            self.config = None
            command += ["--listen", "127.0.0.1:0", "--set", f"observe.access.path={self.access_path}",
                        "--set", "server.drain_grace=0s"]
        self.program = Program([*command, *args], self.directory, "gateway", self.env)
        if wait:
            self.wait()

    # --- configuration ---

    def _complete(self, config):
        """The configuration with what every test wants and none writes."""
        config = copy.deepcopy(config)
        server = config.setdefault("server", {})
        server.setdefault("listen", "127.0.0.1:0")
        server.setdefault("workers", self.workers)
        server.setdefault("drain_grace", "0s")
        server.setdefault("drain_deadline", "5s")
        # one test's faults must not decide what another one's targets are asked
        config.setdefault("retry", {"budget": 0, "breakers": False})
        config.setdefault("observe", {}).setdefault("access", {"path": str(self.access_path)})
        if self.plant:
            if "auth" not in config:
                config["auth"] = {"keys": [{"name": "tester", "key": "${GATEWAY_TEST_SECRET}"}]}
                self.env["GATEWAY_TEST_SECRET"] = self.key
            for provider in (config.get("providers") or {}).values():
                provider.setdefault("api_key", canary("provider"))
        return {k: v for k, v in config.items() if v is not None}

    def write(self, config):
        """Puts a configuration (dict, or text taken as it is) into the file, in one step."""
        self.config = self._complete(config) if isinstance(config, dict) else config
        text = yaml.safe_dump(self.config, sort_keys=False) if isinstance(config, dict) else config
        aside = self.config_path.with_suffix(".new")
        aside.write_text(text)
        os.replace(aside, self.config_path)

    def reload(self, config=None, accepted=True, seconds=PATIENCE):
        """Changes the file (or, without a configuration, sends SIGHUP) and waits until it was taken or refused."""
        name = "openclaw_reloads_total" if accepted else "openclaw_reload_failures_total"
        before = self.metrics().value(name)
        if config is not None:
            self.write(config)
        else:
            self.program.send_signal(signal.SIGHUP)
        wait_until(lambda: self.metrics().value(name) > before, f"{name} to grow", seconds)

    # --- talking to it ---

    def wait(self):
        self.url = self.program.wait_for(r"listens on (\S+)").group(1)
        if self.url.startswith("unix:"):
            self.address = self.url.split("unix:", 1)[1]
            return
        host, port = re.fullmatch(r"https?://(.+):(\d+)", self.url).groups()
        self.address = (host.strip("[]"), int(port))
        wait_until(lambda: self._keeping().get("/readyz").status_code == 200, "/readyz")

    def _note_head(self, response):
        self.heads.append(str(response.headers.raw))

    async def _note_head_async(self, response):
        self._note_head(response)

    def _verify(self):
        """What clients verify the listener's certificate with; ours are self-signed."""
        if not self.url.startswith("https"):
            return False       # nothing to verify; spares each client the reading of the system's list
        context = ssl.create_default_context(cafile=self.config["server"]["tls"]["cert"])
        return context

    def http(self, **options):
        """An httpx client with the base URL; it does not send a key by itself."""
        options.setdefault("base_url", self.url)
        options.setdefault("timeout", PATIENCE)
        client = httpx.Client(verify=self._verify(), trust_env=False,
                              event_hooks={"response": [self._note_head]}, **options)
        self.clients.append(client)
        return client

    def http_async(self, **options):
        options.setdefault("timeout", PATIENCE)
        return httpx.AsyncClient(verify=self._verify(), trust_env=False,
                                 event_hooks={"response": [self._note_head_async]}, **options)

    def _keeping(self):
        """The client behind get() and post(), whose connections are kept."""
        if self._kept is None:
            self._kept = self.http()
        return self._kept

    def authorization(self):
        return {"Authorization": f"Bearer {self.key}"} if self.key else {}

    def post(self, path, body, headers=None, **options):
        """An httpx answer to a POST of JSON with our key."""
        return self._keeping().post(path, json=body, headers={**self.authorization(), **(headers or {})}, **options)

    def chat(self, model, stream=False, headers=None, **more):
        """The httpx answer to a short chat."""
        body = {"model": model, "messages": [{"role": "user", "content": PROMPT}], **more}
        if stream:
            body["stream"] = True
        return self.post("/v1/chat/completions", body, headers)

    def get(self, path, headers=None, **options):
        """An httpx answer to a GET with our key."""
        return self._keeping().get(path, headers={**self.authorization(), **(headers or {})}, **options)

    def raw(self, **options):
        """A RawClient on a new connection."""
        return raw.RawClient(self.address, **options)

    def openai(self, **options):
        """An official OpenAI client; no retries unless asked for."""
        import openai
        options.setdefault("max_retries", 0)
        options.setdefault("api_key", self.key or "anything")
        options.setdefault("timeout", PATIENCE)
        return openai.OpenAI(base_url=f"{self.url}/v1", http_client=self._sdk_http(openai, options), **options)

    def openai_async(self, **options):
        import openai
        options.setdefault("max_retries", 0)
        options.setdefault("api_key", self.key or "anything")
        options.setdefault("timeout", PATIENCE)
        return openai.AsyncOpenAI(base_url=f"{self.url}/v1",
                                  http_client=self._sdk_http_async(openai, options), **options)

    def anthropic(self, **options):
        """An official Anthropic client; no retries unless asked for."""
        import anthropic
        options.setdefault("max_retries", 0)
        options.setdefault("api_key", self.key or "anything")
        options.setdefault("timeout", PATIENCE)
        return anthropic.Anthropic(base_url=self.url, http_client=self._sdk_http(anthropic, options), **options)

    def anthropic_async(self, **options):
        import anthropic
        options.setdefault("max_retries", 0)
        options.setdefault("api_key", self.key or "anything")
        options.setdefault("timeout", PATIENCE)
        return anthropic.AsyncAnthropic(base_url=self.url,
                                        http_client=self._sdk_http_async(anthropic, options), **options)

    def ollama(self, **options):
        """An official Ollama client."""
        import ollama
        client = ollama.Client(**self._ollama_options(self._note_head, options))
        self.clients.append(client)
        return client

    def ollama_async(self, **options):
        import ollama
        return ollama.AsyncClient(**self._ollama_options(self._note_head_async, options))

    def _ollama_options(self, note, options):
        return {"host": self.url, "timeout": PATIENCE, "headers": self.authorization(), "verify": self._verify(),
                "trust_env": False, "event_hooks": {"response": [note]}, **options}

    def _sdk_http(self, sdk, options):
        client = sdk.DefaultHttpxClient(verify=self._verify(), trust_env=False, timeout=options["timeout"],
                                        event_hooks={"response": [self._note_head]})
        self.clients.append(client)
        return client

    def _sdk_http_async(self, sdk, options):
        return sdk.DefaultAsyncHttpxClient(verify=self._verify(), trust_env=False, timeout=options["timeout"],
                                           event_hooks={"response": [self._note_head_async]})

    # --- watching it ---

    def metrics(self):
        answer = self._keeping().get("/metrics")
        assert answer.status_code == 200, answer.text
        return Metrics(answer.text)

    def stderr(self):
        return self.program.stderr()

    def access_log(self):
        """Every line of the access log so far, parsed strictly."""
        if self.access_path.exists():
            with open(self.access_path, "rb") as log:
                log.seek(self._read_bytes)
                news = log.read()
            news = news[:news.rfind(b"\n") + 1]
            self._read_bytes += len(news)
            self._lines += [json.loads(line) for line in news.splitlines()]
        return self._lines

    def access(self, request_id, seconds=PATIENCE):
        """The one access line of this request, as soon as it is there."""
        def look():
            found = [line for line in self.access_log() if line["request_id"] == request_id and "kind" not in line]
            assert len(found) <= 1, found
            return found and found[0]
        return wait_until(look, f"the access line of {request_id}", seconds)

    def access_of(self, response):
        """The access line of an httpx answer or an SDK's raw response."""
        return self.access(response.headers["x-request-id"])

    def last_access(self, count=1, seconds=PATIENCE):
        """The last of at least `count` access lines."""
        return wait_until(lambda: len(self.access_log()) >= count and self.access_log()[-1],
                          f"{count} access lines", seconds)

    def idle(self, seconds=PATIENCE):
        """Waits until nothing is under way."""
        wait_until(lambda: self.metrics().value("openclaw_exchanges_in_flight") == 0
                   and self.metrics().value("openclaw_upstream_calls_open") == 0, "no exchange under way", seconds)

    # --- its end ---

    def stop(self, number=signal.SIGTERM):
        """Ends it and returns the exit status."""
        for client in self.clients:
            client.close()
        self.clients, self._kept = [], None
        return self.program.end(number)

    def _leaks(self, metrics_text):
        places = {"metrics": metrics_text, "answers' fields": "\n".join(self.heads)}
        for path in self.directory.iterdir():
            if path.suffix in (".log", ".stdout", ".stderr"):
                places[path.name] = path.read_text(errors="replace")
        for place, text in places.items():
            for secret in (CANARY, PROMPT):
                at = text.find(secret)
                assert at < 0, f"a secret stands in {place}: ...{text[max(0, at - 300):at + 60]}..."

    def close(self):
        """The end of every test: a clean exit, no report, no leak."""
        metrics_text = ""
        if self.program.running() and self.checks:
            try:
                metrics_text = self.metrics().text
            except (httpx.HTTPError, AssertionError):
                pass        # switched off, on its own listener, or the test broke it on purpose
        status = self.stop() if self.program.running() else self.program.process.wait()
        if not self.checks:
            return
        self.program.assert_healthy_words()
        assert status == self.expect_status, f"gateway ended with {status}:\n{self.stderr()[-4000:]}"
        self._leaks(metrics_text)
