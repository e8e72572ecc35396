"""servers.py - starts the servers, reads their CPU time and memory, and stops them.

The proxies run on one CPU, everything else (upstream, load generator) on the other, so that
their costs can be separated. All files live in a temporary folder.
"""
import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
OPENCLAW = os.environ.get("OPENCLAW_BIN", str(ROOT / "build" / "openclaw"))
KEY = "sk-bench-0123456789abcdef0123456789abcdef"

CPUS = sorted(os.sched_getaffinity(0))
PROXY_CPU = str(CPUS[0])
LOAD_CPU = str(CPUS[-1])

# A typical answer of 1 KB.
ANSWER = (
    '{"id":"chatcmpl-bench","object":"chat.completion","created":1700000000,"model":"bench",'
    '"choices":[{"index":0,"message":{"role":"assistant","content":"%s"},"logprobs":null,'
    '"finish_reason":"stop"}],"usage":{"prompt_tokens":180,"completion_tokens":140,'
    '"total_tokens":320}}'
) % ("All work and no play makes a dull proxy. " * 17)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    """One process (with its children) that listens on a port."""

    def __init__(self, name, command, port, log, cpu):
        self.name, self.port, self.log = name, port, log
        with open(log, "ab") as out:
            state = {"XDG_STATE_HOME": str(pathlib.Path(log).parent / f"state-{port}")}    # a store of its own
            self.process = subprocess.Popen(["taskset", "-c", cpu, *command], env={**os.environ, **state},
                                            stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        self.wait_until_listening()

    def wait_until_listening(self):
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        raise SystemExit(f"{self.name} did not start:\n{pathlib.Path(self.log).read_text()[-3000:]}")

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def pids(self):
        """The process and its children."""
        found = [self.process.pid]
        for pid in found:
            for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
                found += map(int, (task / "children").read_text().split())
        return found

    def threads_cpu_us(self, steward=False):
        """CPU time so far of each thread, by its id: of those that serve, or of the one that writes the ledger."""
        times = {}
        for pid in self.pids():
            for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
                if ((task / "comm").read_text().strip() == "steward") == steward:
                    times[int(task.name)] = task_cpu_us(task)
        return times

    def cpu_us(self, steward=False):
        return sum(self.threads_cpu_us(steward).values())

    def rss_mb(self):
        total = 0
        for pid in self.pids():
            for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
                if line.startswith("VmRSS:"):
                    total += int(line.split()[1])
        return total / 1024

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def task_cpu_us(task):
    """User and system time of one thread: in nanoseconds where the kernel has it."""
    with contextlib.suppress(OSError):
        return int((task / "schedstat").read_text().split()[0]) / 1e3
    fields = (task / "stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * 1e6 / os.sysconf("SC_CLK_TCK")


class Bench:
    """The servers of one scenario; a context manager that cleans up."""

    def __init__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="openclaw-bench-"))
        self.dir.chmod(0o755)
        self.servers = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for server in reversed(self.servers):
            server.stop()
        shutil.rmtree(self.dir, ignore_errors=True)

    def file(self, name, text):
        path = self.dir / name
        path.write_text(text)
        return str(path)

    def start(self, name, command, port, cpu):
        log = str(self.dir / f"{name}-{port}.out")
        server = Server(name, command, port, log, cpu)
        self.servers.append(server)
        return server

    # --- upstreams ---

    def canned_upstream(self):
        """The cheapest upstream: nginx with a canned answer."""
        port = free_port()
        answer = ANSWER.replace("'", "\\'")
        return self.nginx("upstream", port, LOAD_CPU, access_log="off", location=f"""
            default_type application/json;
            return 200 '{answer}';""")

    def streaming_upstream(self, chunks, every_ms):
        port = free_port()
        script = str(ROOT / "bench" / "upstream.py")
        return self.start("upstream", [sys.executable, script, str(port), str(chunks), str(every_ms)],
                          port, LOAD_CPU)

    # --- proxies ---

    def nginx(self, name, port, cpu, location, access_log, upstream=""):
        prefix = self.dir / f"nginx-{port}"
        prefix.mkdir()
        temp_paths = "".join(
            f"{kind}_temp_path {prefix}/{kind};\n"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        path = self.file(f"nginx-{port}.conf", f"""
            daemon off;
            worker_processes 1;
            pid {prefix}/pid;
            error_log {prefix}/error.log;
            {"user root;" if os.geteuid() == 0 else ""}
            worker_rlimit_nofile 20000;
            events {{ worker_connections 9900; }}
            http {{
                {temp_paths}
                access_log {access_log};
                keepalive_requests 100000000;
                tcp_nodelay on;
                client_max_body_size 64m;
                client_body_buffer_size 64k;
                {upstream}
                server {{
                    listen 127.0.0.1:{port} backlog=4096;
                    location / {{ {location} }}
                }}
            }}""")
        return self.start(name, ["nginx", "-p", str(prefix), "-c", path], port, cpu)

    def nginx_proxy(self, upstream, buffering=True):
        log = self.dir / "nginx-access.log"
        return self.nginx(
            "nginx", free_port(), PROXY_CPU, access_log=f"{log} combined buffer=64k flush=1s",
            upstream=f"""upstream provider {{
                server 127.0.0.1:{upstream.port};
                keepalive 256;
                keepalive_requests 100000000;
            }}""",
            location=f"""
                proxy_pass http://provider;
                proxy_http_version 1.1;
                proxy_set_header Connection "";
                proxy_buffering {"on" if buffering else "off"};
                proxy_read_timeout 300s;""")

    def haproxy(self, upstream):
        port = free_port()
        path = self.file("haproxy.cfg", f"""
global
    nbthread 1
    maxconn 9000
    log stdout format raw local0
defaults
    mode http
    log global
    option httplog
    http-reuse always
    timeout connect 5s
    timeout client 300s
    timeout server 300s
    timeout http-keep-alive 300s
frontend callers
    bind 127.0.0.1:{port}
    default_backend provider
backend provider
    server upstream 127.0.0.1:{upstream.port}
""")
        return self.start("haproxy", ["haproxy", "-db", "-f", path], port, PROXY_CPU)

    def openclaw(self, upstream, workers=1, cpu=PROXY_CPU, name="openclaw", alias="targets: [lab/bench]", more=""):
        """A gateway with a realistic configuration: static keys, metrics and the access log on. `more`: further sections."""
        port, admin_port = free_port(), free_port()
        path = self.file(f"openclaw-{port}.yaml", f"""
server:
  listen: 127.0.0.1:{port}
  admin_listen: 127.0.0.1:{admin_port}
  workers: {workers}
auth:
  mode: keys
  keys:
    - {{name: bench, key: "{KEY}"}}
providers:
  lab: {{wire: openai-chat, base_url: "{upstream.url}/v1", api_key: sk-upstream}}
models:
  bench: {{{alias}}}
observe:
  access: {{path: "{self.dir}/openclaw-access-{port}.log"}}
  metrics: true
{more}
""")
        return self.start(name, [OPENCLAW, "serve", "-c", path], port, cpu)


def wrk(server, path, body_file, connections, seconds, headers=()):
    """Runs wrk and returns its report. Fails if any answer was an error."""
    command = ["taskset", "-c", LOAD_CPU, "wrk", "-t1", f"-c{connections}", f"-d{seconds}s",
               "--timeout", "60s", "-s", str(ROOT / "bench" / "post.lua"), server.url + path,
               "--", body_file, f"Authorization: Bearer {KEY}", *headers]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    result = next(line for line in text.splitlines() if line.startswith("RESULT "))
    result = json.loads(result[len("RESULT "):])
    if result["errors"] or not result["requests"]:
        raise SystemExit(f"{server.name}: {result['errors']} errors in {result['requests']} requests")
    return result
