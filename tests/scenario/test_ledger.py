"""The journal and the ledger: each request that a provider saw has one row, whatever happens to the gateway.

OPENCLAW_KILLS sets how often the gateway is killed; 10 otherwise.
"""
import contextlib
import csv
import io
import json
import os
import random
import sqlite3
import subprocess
import threading
import time
import uuid

import httpx

from lib import process
from lib.process import wait_until

KILLS = int(os.environ.get("OPENCLAW_KILLS", "10"))
PRICES = {"input": 1000, "output": 3000}    # dollars for a million tokens: sums are not tiny


class Books:
    """The store of a state folder, read from beside the gateway."""

    def __init__(self, state):
        self.path = state / "openclaw" / "openclaw.db"

    def rows(self, sql, *args):
        with contextlib.closing(sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, timeout=process.PATIENCE)) as db:
            db.row_factory = sqlite3.Row
            return [dict(row) for row in db.execute(sql, args)]

    def ledger(self):
        return self.rows("SELECT * FROM ledger_rows ORDER BY ended_ms, number")

    def wait(self, count):
        """The ledger, once it has so many rows."""
        wait_until(lambda: self.rows("SELECT count(*) AS n FROM ledger")[0]["n"] >= count, f"{count} rows in the ledger")
        return self.ledger()

    def journals(self):
        return [f for folder in self.path.parent.glob("journal-*") for f in folder.iterdir()]


def config(mock, **more):
    return {"providers": {"lab": mock.provider()},
            "catalog": {"models": [{"id": "lab/m", "price": PRICES}]}, **more}


def chat(gateway, client, stream=False, model="lab/m", **fields):
    """The provider sees the request's id as what is said."""
    name = f"t-{uuid.uuid4().hex}"
    headers = {"Authorization": f"Bearer {gateway.key}", "x-request-id": name, **fields}
    return client.post("/v1/chat/completions", headers=headers,
                       json={"model": model, "stream": stream, "max_tokens": 50,
                             "messages": [{"role": "user", "content": name}]})


def seen_by(mock):
    return {json.loads(one["body"])["messages"][-1]["content"] for one in mock.requests()}


def test_a_request_is_a_row_with_all_that_is_known_of_it(make, tmp_path):
    mock = make.mock()
    gateway = make.gateway(config(mock), env={"XDG_STATE_HOME": str(tmp_path)})
    answer = chat(gateway, gateway.http(), **{"x-openclaw-session": "s-1", "x-openclaw-tags": "team=search, beta"})
    assert answer.status_code == 200
    row, = Books(tmp_path).wait(1)
    usage = answer.json()["usage"]
    assert row["request_id"] == answer.headers["x-request-id"]
    assert (row["key_id"], row["model"], row["provider"], row["asked"]) == ("file:tester", "m", "lab", "lab/m")
    assert (row["session"], row["tags"], row["status"], row["error"]) == ("s-1", "team=search,beta", 200, None)
    assert (row["input"], row["output"]) == (usage["prompt_tokens"], usage["completion_tokens"])
    cost = usage["prompt_tokens"] * 1_000_000 + usage["completion_tokens"] * 3_000_000
    assert row["cost_nanousd"] == cost
    assert round(float(answer.headers["x-openclaw-cost-usd"]) * 1e9) == cost
    assert row["reserved_nanousd"] >= cost
    assert row["flags"] == 0 and row["kind"] == 0


def test_nothing_is_left_in_the_journal_of_a_gateway_that_ended(make, tmp_path):
    mock = make.mock()
    gateway = make.gateway(config(mock), env={"XDG_STATE_HOME": str(tmp_path)})
    client = gateway.http()
    for i in range(20):
        assert chat(gateway, client, stream=i % 2 == 0).status_code == 200
    assert gateway.program.end() == 0
    books = Books(tmp_path)
    assert len(books.ledger()) == 20
    assert books.journals() == []


def test_metrics_tell_how_full_the_journals_are_and_what_was_written(make, tmp_path):
    mock = make.mock()
    gateway = make.gateway(config(mock), env={"XDG_STATE_HOME": str(tmp_path)})
    assert chat(gateway, gateway.http()).status_code == 200
    wait_until(lambda: gateway.metrics().value("openclaw_ledger_rows_total") == 1, "a row")
    assert gateway.metrics().value("openclaw_journal_slots") > 1000
    assert gateway.metrics().value("openclaw_journal_used") == 0


def sums_agree(books):
    """Each roll-up adds up to what the rows do, to the nano-dollar."""
    of_rows = books.rows("SELECT sum(kind = 0) AS requests, sum(coalesce(cost_nanousd, 0)) AS cost,"
                         " sum(outrun_nanousd) AS outrun, coalesce(sum(input), 0) AS input FROM ledger")[0]
    for table, where in [("usage_cube", ""), *(("usage_values", f"AND kind = {kind}") for kind in (0, 1, 6, 7, 11))]:
        for span in (0, 1):
            found = books.rows(f"SELECT sum(requests) AS requests, sum(cost_nanousd) AS cost, sum(outrun_nanousd) AS outrun,"
                               f" sum(input) AS input FROM {table} WHERE span = {span} {where}")[0]
            assert found == of_rows, (table, where, span)


class Load:
    """Callers that ask until they are stopped; what they got does not matter."""

    def __init__(self, gateway, callers=8):
        self.gateway = gateway
        self.ended = threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(i,), daemon=True) for i in range(callers)]
        for thread in self.threads:
            thread.start()

    def run(self, number):
        with httpx.Client(base_url=self.gateway.url, trust_env=False, timeout=5) as client:
            while not self.ended.is_set():
                try:
                    chat(self.gateway, client, stream=number % 2 == 0)
                except httpx.HTTPError:
                    if not self.gateway.program.running():
                        return

    def stop(self):
        self.ended.set()
        for thread in self.threads:
            thread.join()


def test_a_gateway_that_is_killed_again_and_again_loses_no_request_and_books_none_twice(make, tmp_path):
    mock = make.mock("--ttft", "5ms", "--tokens", "20")
    books = Books(tmp_path)
    for _ in range(KILLS):
        gateway = make.gateway(config(mock), env={"XDG_STATE_HOME": str(tmp_path)})
        load = Load(gateway)
        time.sleep(random.uniform(0.05, 0.6))
        gateway.checks = False
        gateway.program.kill()
        load.stop()
    gateway = make.gateway(config(mock), env={"XDG_STATE_HOME": str(tmp_path)})
    gateway.program.wait_for("listens on")
    wait_until(lambda: len(books.journals()) <= 2, "the journals of the dead to be taken")
    assert gateway.program.end() == 0
    ids = [row["request_id"] for row in books.ledger()]
    assert len(set(ids)) == len(ids)
    seen = seen_by(mock)
    assert len(seen) > KILLS
    assert seen <= set(ids)
    recovered = [row for row in books.ledger() if row["flags"] & 32]
    assert recovered
    for row in recovered:
        assert row["flags"] & 1 == 0 or row["cost_nanousd"] == row["reserved_nanousd"] or row["input"] is not None
    sums_agree(books)
    assert books.journals() == []


def openclaw(*args, status=0, **env):
    done = subprocess.run([process.BIN, *map(str, args)], capture_output=True, text=True, timeout=process.PATIENCE,
                          env=process.environment(**env), check=False)
    assert done.returncode == status, done.stderr
    return done.stdout


def test_usage_is_what_the_ledger_says_on_the_terminal_as_csv_and_as_json(make, tmp_path, tmp_path_factory):
    mock = make.mock()
    socket = tmp_path_factory.mktemp("s") / "a.sock"      # its path has at most 107 bytes
    gateway = make.gateway(config(mock, server={"admin_socket": str(socket)}), env={"XDG_STATE_HOME": str(tmp_path)})
    client = gateway.http()
    for i in range(6):
        chat(gateway, client, model=f"lab/{'m' if i % 3 else 'other'}", **{"x-openclaw-session": f"s{i % 2}", "x-openclaw-tags": "a, b=1"})
    books = Books(tmp_path)
    books.wait(6)
    at = ["--socket", socket]
    said = json.loads(openclaw("usage", "--by", "key,model,day", "--json", *at))
    spent = books.rows("SELECT sum(coalesce(cost_nanousd, 0) + outrun_nanousd + judge_nanousd) AS n FROM ledger")[0]["n"]
    assert spent > 0 and said["total"]["spent_nanousd"] == spent
    assert sum(row["spent_nanousd"] for row in said["data"]) == spent
    assert {(row["key"], row["model"], row["requests"]) for row in said["data"]} == {("file:tester", "m", 4), ("file:tester", "other", 2)}
    other = next(row for row in said["data"] if row["model"] == "other")
    assert other["unpriced"] == 2 and other["cost_nanousd"] == 0
    for row in said["data"]:
        assert row["starts"].endswith("T00:00:00+00:00")

    rows = list(csv.DictReader(io.StringIO(openclaw("usage", "--by", "session", "--csv", *at))))
    assert {row["session"]: row["requests"] for row in rows} == {"s0": "3", "s1": "3"}
    assert sum(round(float(row["spent_usd"]) * 1e9) for row in rows) == spent

    table = openclaw("usage", "--by", "tag", "--zone", "Asia/Kolkata", *at).splitlines()
    assert table[0].split() == ["TAG", "REQUESTS", "FAILED", "INPUT", "CACHED", "OUTPUT", "SPENT", "(USD)"]
    assert [line.split()[:2] for line in sorted(table[1:])] == [["a", "6"], ["b=1", "6"], ["total", "6"]]
    assert "separated by commas" in subprocess.run([process.BIN, "usage", "--by", "colour", *map(str, at)], capture_output=True,
                                                   text=True, timeout=process.PATIENCE, check=False).stderr
    assert openclaw("usage", "--since", "2001-01-01", "--until", "2001-01-02", *at).splitlines()[-1].split()[0] == "0"

    assert gateway.program.end() == 0
    offline = openclaw("usage", "--by", "key,model,day", "--json", "--offline", XDG_STATE_HOME=str(tmp_path))
    assert json.loads(offline)["data"] == said["data"]


def test_a_full_disk_of_the_store_is_waited_for_and_a_full_journal_refuses_if_it_should(make, tmp_path):
    mock = make.mock()
    gateway = make.gateway(config(mock, store={"journal": {"size": 65536, "full": "refuse"}}, server={"workers": 1}),
                           env={"XDG_STATE_HOME": str(tmp_path)})
    client = gateway.http()
    assert chat(gateway, client).status_code == 200
    books = Books(tmp_path)
    books.wait(1)
    with contextlib.closing(sqlite3.connect(books.path, timeout=process.PATIENCE, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")      # nobody else can write
        answers = []
        wait_until(lambda: answers.append(chat(gateway, client)) or answers[-1].status_code == 503, "the journal to be full")
        assert answers[-1].headers["x-openclaw-error"] == "overloaded"
        gateway.program.wait_for("the journal is full")
        db.execute("ROLLBACK")
    served = {a.headers["x-request-id"] for a in answers if a.status_code == 200}
    assert len(served) > 30
    wait_until(lambda: served <= {row["request_id"] for row in books.ledger()}, "all that was served to be in the ledger")
    wait_until(lambda: chat(gateway, client).status_code == 200, "room in the journal")
    assert gateway.metrics().value("openclaw_journal_refused_total") > 0


def test_postgres_that_is_killed_under_load_loses_nothing(make, tmp_path):
    postgres = make.postgres()
    mock = make.mock("--tokens", "5")
    gateway = make.gateway(config(mock, store={"url": postgres.url()}), env={"XDG_STATE_HOME": str(tmp_path)})
    load = Load(gateway, 4)
    for _ in range(2):
        time.sleep(random.uniform(0.2, 0.6))
        postgres.kill()
        time.sleep(random.uniform(0.1, 0.4))
        postgres.start()
    load.stop()
    seen = seen_by(mock)

    def ids():
        return [row[0] for row in postgres.rows("SELECT request_id FROM ledger", "test1")]
    wait_until(lambda: seen <= set(ids()), "all that the provider saw to be in the ledger")
    assert len(ids()) == len(set(ids()))
    sums = postgres.rows("SELECT sum(coalesce(cost_nanousd, 0)) FROM ledger UNION ALL SELECT sum(cost_nanousd) FROM usage_cube"
                         " WHERE span = 0 UNION ALL SELECT sum(cost_nanousd) FROM usage_values WHERE span = 1 AND kind = 1", "test1")
    assert sums[0] == sums[1] == sums[2]
