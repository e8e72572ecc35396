"""scenarios.py - what is measured, one function each.

Every scenario yields rows for the table of docs/performance.md. Machines drift, so the proxies
take turns within each round, and a ratio is the median of the rounds' ratios.
"""
import concurrent.futures
import json
import os
import pathlib
import random
import statistics
import subprocess
import threading
import time

import clients
from servers import LOAD_CPU, OPENCLAW, PROXY_CPU, ROOT, Bench, wrk

CONNECTIONS = 32
CHAT = "/v1/chat/completions"
MESSAGES = "/v1/messages"
ANTHROPIC = ("anthropic-version: 2023-06-01",)


def row(what, unit, target="", most=None, ratio=None, **values):
    """One line of the table; `most` is the largest ratio (or value) that meets the target."""
    measured = ratio if ratio is not None else values["openclaw"]
    return {"what": what, "unit": unit, "values": values, "ratio": ratio, "target": target,
            "met": None if most is None else measured <= most}


def chat_body(length=1024, **fields):
    """A chat request of about `length` bytes; OpenAI's and Anthropic's callers both write it so."""
    body = {"model": "bench", "max_tokens": 400, "temperature": 0.2, **fields,
            "messages": [{"role": "user", "content": ""}]}
    missing = length - len(json.dumps(body))
    body["messages"][0]["content"] = ("Why is the sky blue? " * (missing // 21 + 1))[:missing]
    return json.dumps(body)


def cost_us(server, *args, **kwargs):
    """CPU microseconds of `server` per request of one wrk run."""
    before = server.cpu_us()
    run = wrk(server, *args, **kwargs)
    return (server.cpu_us() - before) / run["requests"]


def in_turns(rounds, measures):
    """{name: [what each round measured]}; `measures` is {name: function of seconds}."""
    values = {name: [] for name in measures}
    for name, measure in measures.items():
        measure(1)    # warm up: connections, caches, branch predictors
    for _ in range(rounds):
        for name, measure in measures.items():
            values[name].append(measure(None))
    return values


def medians(values):
    return {name: statistics.median(v) for name, v in values.items()}


def median_ratio(values, name="openclaw", base="nginx"):
    return statistics.median(a / b for a, b in zip(values[name], values[base]))


def cpu(options):
    """CPU per request: 1 KB bodies, 32 keep-alive connections, one worker."""
    with Bench() as bench:
        upstream = bench.canned_upstream()
        servers = [bench.nginx_proxy(upstream), bench.haproxy(upstream), bench.openclaw(upstream)]
        body = bench.file("body.json", chat_body())
        ledger = []

        def ledger_us(seconds):
            """Of the thread that writes the ledger; what it has left to write is little in so many requests."""
            before = servers[-1].cpu_us(steward=True)
            run = wrk(servers[-1], CHAT, body, CONNECTIONS, seconds or options.seconds)
            time.sleep(1)
            ledger.append((servers[-1].cpu_us(steward=True) - before) / run["requests"])
            return ledger[-1]

        values = in_turns(options.rounds, {
            s.name: lambda seconds, s=s: cost_us(s, CHAT, body, CONNECTIONS, seconds or options.seconds)
            for s in servers})
        for _ in range(min(options.rounds, 3)):
            ledger_us(None)
    yield row("CPU per request, 1 KB bodies, 32 connections, one worker", "us", "at most 1.15 x nginx",
              1.15, median_ratio(values), **medians(values))
    yield row("The ledger, per request: another thread, which requests do not wait for", "us", "at most 5 us", 5,
              None, openclaw=statistics.median(ledger))


def latency(options):
    """The latency that each proxy adds for a single client, in its least disturbed round."""
    with Bench() as bench:
        upstream = bench.canned_upstream()
        servers = [upstream, bench.nginx_proxy(upstream), bench.haproxy(upstream),
                   bench.openclaw(upstream)]
        body = bench.file("body.json", chat_body())
        runs = in_turns(options.rounds, {
            s.name: lambda seconds, s=s: wrk(s, CHAT, body, 1, seconds or options.seconds)
            for s in servers})
    for quantile in ("p50_us", "p99_us"):
        best = {name: min(run[quantile] for run in rounds) for name, rounds in runs.items()}
        direct = best.pop("upstream")
        added = {name: max(us - direct, 1) for name, us in best.items()}
        yield row(f"Latency added at one connection, {quantile[:3]}", "us", "at most 1.3 x nginx",
                  1.3, added["openclaw"] / added["nginx"], **added)


def stream(options):
    """CPU per relayed chunk; every chunk arrives by itself, as from a model that thinks."""
    streams, chunks = 100, options.seconds * 50
    with Bench() as bench:
        upstream = bench.streaming_upstream(chunks, every_ms=20)
        servers = [bench.nginx_proxy(upstream, buffering=False), bench.haproxy(upstream),
                   bench.openclaw(upstream)]
        body = chat_body(stream=True)

        def measure(server):
            before = server.cpu_us()
            done = clients.run_streams(server.port, CHAT, body, streams)
            if done != streams:
                raise SystemExit(f"{server.name}: only {done} of {streams} streams were complete")
            return (server.cpu_us() - before) / (streams * chunks)

        values = in_turns(max(options.rounds // 2, 1), {
            s.name: lambda _, s=s: measure(s) for s in servers})
    yield row("Streaming: CPU per relayed 100-byte chunk, 100 streams", "us", "at most 1.3 x nginx",
              1.3, median_ratio(values), **medians(values))


# An alias with a second target that may be hedged and continued by it; and the same with all of that switched off.
RESILIENT = ("targets: [lab/bench, lab/spare], hedge: {share: 5}", "")
FRAGILE = ("targets: [lab/bench, lab/spare], on_stream_break: error", "retry: {budget: 0, breakers: false, slow: 0s}")


def resilience(options):
    """What breakers, clocks, hedging and keeping a stream cost while nothing fails."""
    with Bench() as bench:
        upstream = bench.canned_upstream()
        servers = [bench.openclaw(upstream, name=name, alias=alias, more=more)
                   for name, (alias, more) in (("openclaw", RESILIENT), ("fragile", FRAGILE))]
        body = bench.file("body.json", chat_body())
        values = in_turns(options.rounds, {
            s.name: lambda seconds, s=s: cost_us(s, CHAT, body, CONNECTIONS, seconds or options.seconds)
            for s in servers})
    more = statistics.median(a - b for a, b in zip(values["openclaw"], values["fragile"]))
    yield row(f"Resilience of a request that succeeds, all on against all off ({medians(values)['fragile']:.1f} us)", "us",
              "at most 1.5 us more", 1.5, openclaw=more)

    streams, chunks = 100, options.seconds * 50
    with Bench() as bench:
        upstream = bench.streaming_upstream(chunks, every_ms=20)
        servers = [bench.openclaw(upstream, name=name, alias=alias, more=more)
                   for name, (alias, more) in (("openclaw", RESILIENT), ("fragile", FRAGILE))]

        def measure(server):
            before = server.cpu_us()
            done = clients.run_streams(server.port, CHAT, chat_body(stream=True), streams)
            if done != streams:
                raise SystemExit(f"{server.name}: only {done} of {streams} streams were complete")
            return (server.cpu_us() - before) / (streams * chunks)

        values = in_turns(max(options.rounds // 2, 1), {s.name: lambda _, s=s: measure(s) for s in servers})
    yield row(f"The same for a relayed chunk of a stream that could be continued ({medians(values)['fragile']:.1f} us)", "us",
              "", openclaw=medians(values)["openclaw"])


def translate(options):
    """An Anthropic client with an OpenAI provider, compared with an OpenAI client with the same provider."""
    with Bench() as bench:
        gateway = bench.openclaw(bench.canned_upstream())
        body = bench.file("body.json", chat_body())
        values = in_turns(options.rounds, {
            "same": lambda s: cost_us(gateway, CHAT, body, CONNECTIONS, s or options.seconds),
            "translated": lambda s: cost_us(gateway, MESSAGES, body, CONNECTIONS,
                                            s or options.seconds, ANTHROPIC)})
    ratio = median_ratio(values, "translated", "same")
    yield row(f"Translated request (same protocol: {medians(values)['same']:.1f} us)", "us",
              "at most 1.25 x same protocol", 1.25, ratio, openclaw=medians(values)["translated"])

    streams, chunks = 100, options.seconds * 50
    with Bench() as bench:
        gateway = bench.openclaw(bench.streaming_upstream(chunks, every_ms=20))

        def measure(path):
            before = gateway.cpu_us()
            done = clients.run_streams(gateway.port, path, chat_body(stream=True), streams)
            if done != streams:
                raise SystemExit(f"{path}: only {done} of {streams} streams were complete")
            return (gateway.cpu_us() - before) / (streams * chunks)

        values = in_turns(max(options.rounds // 2, 1), {
            "same": lambda _: measure(CHAT), "translated": lambda _: measure(MESSAGES)})
    ratio = median_ratio(values, "translated", "same")
    yield row(f"Translated event of a stream (same protocol: {medians(values)['same']:.1f} us)", "us",
              "at most 2 x same protocol", 2.0, ratio, openclaw=medians(values)["translated"])


def idle(options):
    """Memory of streams that mostly wait."""
    with Bench() as bench:
        upstream = bench.streaming_upstream(chunks=4, every_ms=10000)
        gateway = bench.openclaw(upstream)
        at_rest = gateway.rss_mb()
        peak = []

        def watch():
            while not finished.wait(0.5):
                peak.append(gateway.rss_mb())

        finished = threading.Event()
        watcher = threading.Thread(target=watch)
        watcher.start()
        done = clients.run_streams(gateway.port, CHAT, chat_body(stream=True), options.streams)
        finished.set()
        watcher.join()
        time.sleep(10)
        after = gateway.rss_mb()
    if done != options.streams:
        raise SystemExit(f"only {done} of {options.streams} idle streams were complete")
    yield row("Memory when idle, one worker", "MB", "under 15 MB", 15, openclaw=at_rest)
    yield row(f"Memory with {options.streams} idle streams, all of which complete", "MB",
              "under 150 MB", 150, openclaw=max(peak))
    yield row("Memory ten seconds after them", "MB", "near its start", openclaw=after)


def bigbody(options):
    """Bodies of 5 MB must not make the others on the same worker wait."""
    with Bench() as bench:
        upstream = bench.canned_upstream()
        servers = [bench.nginx_proxy(upstream), bench.openclaw(upstream)]
        small = bench.file("small.json", chat_body())
        large = chat_body(5 * 1024 * 1024).encode()
        costs, alone, beside = {}, {}, {}

        def small_p99_ms(server):
            return wrk(server, CHAT, small, 1, options.seconds)["p99_us"] / 1000

        for s in servers:
            before = s.cpu_us()
            clients.post_again_and_again(s.port, CHAT, large, times=20)
            costs[s.name] = (s.cpu_us() - before) / 20 / 1000
            alone[s.name] = min(small_p99_ms(s) for _ in range(options.rounds))
            stop = threading.Event()
            with concurrent.futures.ThreadPoolExecutor() as pool:
                sender = pool.submit(clients.post_again_and_again, s.port, CHAT, large, until=stop,
                                     pause_s=0.05)
                beside[s.name] = min(small_p99_ms(s) for _ in range(options.rounds))
                stop.set()
                sender.result()
    yield row("CPU of a request with a 5 MB body", "ms", ratio=costs["openclaw"] / costs["nginx"], **costs)
    yield row("Latency p99 of small requests alone", "ms", **alone)
    yield row("Latency p99 of small requests beside 5 MB bodies", "ms",
              "a few ms more than alone", most=alone["openclaw"] + 5, **beside)


def workers(options):
    """Two workers against one, by the CPU time that a request costs.

    Callers and upstream run on the same cores, so the requests a second that are left for us say
    little; what a request costs each worker, and how evenly they share, says what two cores give.
    """
    capacity, share = {}, 0.0
    for count in (1, 2):
        with Bench() as bench:
            upstream = bench.canned_upstream()
            cpu = PROXY_CPU if count == 1 else f"{PROXY_CPU},{LOAD_CPU}"
            gateway = bench.openclaw(upstream, workers=count, cpu=cpu)
            body = bench.file("body.json", chat_body())
            wrk(gateway, CHAT, body, CONNECTIONS, 1)
            threads = gateway.threads_cpu_us()
            cost = cost_us(gateway, CHAT, body, 2 * CONNECTIONS, 2 * options.seconds)
            capacity[count] = count * 1e6 / cost
            spent = sorted((t - threads.get(id, 0) for id, t in gateway.threads_cpu_us().items()),
                           reverse=True)
            share = spent[min(count, len(spent)) - 1] / spent[0]
    yield row("Requests a second that the CPU time of one worker allows", "", openclaw=capacity[1])
    yield row(f"The same for two workers on two cores, computed from CPU time, not from throughput (the less busy worker did {share:.0%} of the busier)", "",
              "close to twice", openclaw=capacity[2])


def analysis(options):
    """What it costs to analyse a request, which only rules that want to know of it ask for."""
    program = pathlib.Path(OPENCLAW).resolve().parent / "tests" / "analyze_texts"
    if not program.exists():
        return    # it is built with the tests
    page = (ROOT / "docs" / "operations.md").read_bytes()
    hostile = b"ab1+2 @a.bc:=x 12 345 678 AB12 3456 \xc3\xa9 " * 3000
    for what, text, most in (("analysis of 1 KB of prose", page[:1024], 2), ("analysis of any text: a page of documentation", page, 50),
                             ("analysis of any text: a hostile one", hostile, 50)):
        out = subprocess.run([program, "--time"], input=b"%d\n%s" % (len(text), text), stdout=subprocess.PIPE, check=True).stdout
        yield row(what, "us", f"at most {most}", most, openclaw=float(out))


def decision(options):
    """What it costs to choose among targets: needs, rules, exclusions and the strategy."""
    program = pathlib.Path(OPENCLAW).resolve().parent / "tests" / "decide_targets"
    if not program.exists():
        return    # it is built with the tests

    def measure(*args):
        return float(subprocess.run([program, *map(str, args)], stdout=subprocess.PIPE, check=True).stdout)

    for strategy in ("priority", "latency", "score", "sticky"):
        yield row(f"A decision among 50 targets with 20 rules, strategy {strategy}", "us", "at most 5", 5,
                  openclaw=measure(strategy, 50, 20))
    yield row("A decision among 3 targets without rules, strategy latency", "us", "at most 2", 2,
              openclaw=measure("latency", 3, 0))


def tokens(options):
    """What it costs to count the tokens of texts, the worst ones included."""
    def repeated(data):
        return (data * (8_000_000 // len(data) + 1))[:8_000_000]

    letters = random.Random(1).choices(b"abcdefghijklmnopqrstuvwxyz", k=8_000_000)
    texts = (("prose", repeated((ROOT / "docs" / "operations.md").read_bytes()), 50),
             ("code", repeated(b"".join(path.read_bytes() for path in sorted((ROOT / "src" / "gateway").glob("*.c")))), 50),
             ("one word of random letters", bytes(letters), 200), ("one letter again and again", repeated(b"a"), 200), ("spaces", repeated(b" "), 200))
    with Bench() as bench:
        for what, text, most in texts:
            path = bench.dir / "text"
            path.write_bytes(text)
            times = []
            for _ in range(3):
                child = subprocess.Popen([OPENCLAW, "tokens", path], stdout=subprocess.DEVNULL)
                _, status, used = os.wait4(child.pid, 0)
                child.returncode = status
                times.append(used.ru_utime + used.ru_stime)
            yield row(f"Tokens counted by o200k, each byte: {what} ({len(text) / min(times) / 1e6:.0f} MB/s)", "ns",
                      f"at most {most} ({1000 // most} MB/s)", most, openclaw=min(times) * 1e9 / len(text))


ALL = {f.__name__: f for f in (cpu, latency, stream, resilience, translate, idle, bigbody, workers, analysis, decision, tokens)}
