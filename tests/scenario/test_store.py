"""The store: SQLite and PostgreSQL behind a gateway, away, full, damaged, newer."""
import contextlib
import os
import pathlib
import pwd
import sqlite3
import subprocess
import tempfile

import pytest

from lib import process
from lib.process import wait_until


def db_path(gateway):
    return gateway.directory / "state" / "openclaw" / "openclaw.db"


def test_without_any_setting_the_store_is_a_file_for_the_user_alone(make):
    gateway = make.gateway({})
    assert db_path(gateway).stat().st_mode & 0o777 == 0o600
    assert db_path(gateway).parent.stat().st_mode & 0o777 == 0o700


def test_a_postgres_that_is_killed_is_found_again(make):
    postgres = make.postgres()
    gateway = make.gateway({"store": {"url": postgres.url()}})
    assert postgres.rows("SELECT name FROM migrations WHERE number = 1", "test1") == [["facts"]]
    postgres.kill()
    gateway.program.wait_for(r"the store is away: [^\"]*postgres://127\.0\.0\.1:\d+/test1")
    ready = gateway.get("/readyz?verbose")
    assert ready.status_code == 200
    assert ready.json()["store"]["state"] == "away" and "postgres://127.0.0.1" in ready.json()["store"]["why"]
    assert gateway.metrics().value("openclaw_store_up") == 0
    postgres.start()
    gateway.program.wait_for(r"the store is back after")
    store = gateway.get("/readyz?verbose").json()["store"]
    assert (store["state"], store["why"], store["outages"]) == ("up", None, 1)
    assert gateway.metrics().value("openclaw_store_up") == 1
    assert postgres.password not in gateway.program.stderr()


def test_a_postgres_that_comes_after_the_gateway_is_used(make):
    postgres = make.postgres()
    url = postgres.url()
    postgres.kill()
    gateway = make.gateway({"store": {"url": url}})
    gateway.program.wait_for("is not there yet")
    postgres.start()
    wait_until(lambda: postgres.rows("SELECT count(*) FROM pg_tables WHERE tablename = 'migrations'", "test1") == [["1"]],
               "the migrations")


def test_three_replicas_that_start_at_once_migrate_once(make):
    postgres = make.postgres()
    url = postgres.url()
    for gateway in [make.gateway({"store": {"url": url}}, wait=False) for _ in range(3)]:
        gateway.wait()
    assert postgres.rows("SELECT count(*) FROM migrations WHERE number = 1", "test1") == [["1"]]


def test_a_store_of_a_newer_program_is_refused_in_words(make, tmp_path):
    gateway = make.gateway({})
    gateway.close()
    with sqlite3.connect(db_path(gateway)) as db:
        db.execute("INSERT INTO migrations VALUES (99999, 'time travel', 0)")
    db.close()
    done = subprocess.run([process.BIN, "serve", "--listen", "127.0.0.1:0", "--set", f"store.url=sqlite:{db_path(gateway)}"],
                          capture_output=True, text=True, timeout=process.PATIENCE, env=process.environment(), check=False)
    assert done.returncode == 1
    assert "was made by a newer openclaw" in done.stderr and "99999 (time travel)" in done.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_without_a_folder_that_can_be_written_the_gateway_serves_and_warns(make, tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    gateway = make.gateway({}, env={"XDG_STATE_HOME": str(closed)})
    gateway.program.wait_for("there is no place for the store")


def test_without_a_place_the_gateway_serves_and_warns(make):
    gateway = make.gateway({}, env={"XDG_STATE_HOME": "/proc/none"})
    gateway.program.wait_for("there is no place for the store: /proc/none")
    assert gateway.get("/readyz").status_code == 200


@pytest.fixture
def small_disk(tmp_path):
    """A small file system; only root can make it."""
    where = tmp_path / "disk"
    where.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", where], capture_output=True, check=False).returncode != 0:
        pytest.skip("a file system cannot be mounted here")
    yield where
    subprocess.run(["umount", "-l", where], check=True)


def test_a_full_disk_is_said_and_the_gateway_serves_on(make, small_disk):
    gateway = make.gateway({"store": {"url": f"sqlite:{small_disk}/openclaw.db", "journal": {"size": "4MB"}}})
    with contextlib.closing(sqlite3.connect(small_disk / "openclaw.db", timeout=30)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")    # it has room of its own
    ballast = small_disk / "ballast"
    with open(ballast, "wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 4096)
    assert gateway.chat("openclaw/simulated").status_code == 200    # which the ledger is to have
    wait_until(lambda: gateway.get("/readyz?verbose").json()["store"]["state"] == "full", "the state")
    assert gateway.chat("openclaw/simulated").status_code == 200
    assert gateway.get("/readyz").status_code == 200
    ballast.unlink()
    wait_until(lambda: gateway.get("/readyz?verbose").json()["store"]["state"] == "up", "the store to be up")
    wait_until(lambda: store("export", "ledger", "--url", f"sqlite:{small_disk}/openclaw.db").count("\n") == 2, "the ledger")


def test_a_postgres_that_is_killed_again_and_again_loses_no_row_of_the_ledger(make):
    postgres = make.postgres()
    url = postgres.url()
    gateway = make.gateway({"store": {"url": url}})
    sent = 0
    for _ in range(4):
        for _ in range(15):
            assert gateway.chat("openclaw/simulated").status_code == 200
            sent += 1
        postgres.kill()
        assert gateway.chat("openclaw/simulated").status_code == 200
        sent += 1
        postgres.start()
    wait_until(lambda: postgres.rows("SELECT count(*), count(DISTINCT request_id) FROM ledger", "test1") == [[str(sent)] * 2],
               "all rows", process.PATIENCE * 2)
    assert "sound" in store("check", "--url", url)


def test_a_postgres_that_is_silent_is_noticed_while_requests_are_served(make):
    postgres = make.postgres()
    gateway = make.gateway({"store": {"url": postgres.url()}})
    postgres.pause()
    wait_until(lambda: gateway.get("/readyz?verbose").json()["store"]["state"] == "away", "the silence to be noticed")
    assert "has not answered" in gateway.get("/readyz?verbose").json()["store"]["why"]
    assert gateway.chat("openclaw/simulated").status_code == 200
    postgres.go_on()
    wait_until(lambda: gateway.get("/readyz?verbose").json()["store"]["state"] == "up", "the store to be up")


# --- openclaw store ---

def store(*args, status=0, env=None):
    """What `openclaw store ...` prints; it must end with that status."""
    done = subprocess.run([process.BIN, "store", *map(str, args)], capture_output=True, text=True, timeout=process.PATIENCE * 2,
                          env=process.environment(**(env or {})), check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_a_running_gateways_store_is_backed_up_and_restored_into_the_other_kind(make, tmp_path):
    gateway = make.gateway({})
    url = f"sqlite:{db_path(gateway)}"
    with sqlite3.connect(db_path(gateway)) as db:
        db.execute("INSERT INTO facts VALUES ('proof', 'äöü')")
    db.close()
    assert "backed up" in store("backup", tmp_path / "one.db", "--url", url)
    assert (tmp_path / "one.db").stat().st_mode & 0o777 == 0o600
    assert "is there already" in store("backup", tmp_path / "one.db", "--url", url, status=1)
    assert "sound" in store("check", "--url", f"sqlite:{tmp_path}/one.db")

    postgres = make.postgres()
    other = postgres.url()
    assert "restored" in store("restore", tmp_path / "one.db", "--url", other)
    assert postgres.rows("SELECT value FROM facts WHERE name = 'proof'", "test1") == [["äöü"]]
    said = store("restore", tmp_path / "one.db", "--url", other, status=1)
    assert "--replace" in said and postgres.password not in said
    assert "sound" in store("check", "--url", other)
    assert "backed up" in store("backup", tmp_path / "two.db", "--url", other)
    assert "restored" in store("restore", tmp_path / "two.db", "--url", url, "--replace")
    assert '"äöü"' in store("export", "facts", "--csv", "--url", url)
    assert gateway.get("/readyz?verbose").json()["store"]["state"] == "up"


def test_check_finds_a_damaged_file(make, tmp_path):
    path = tmp_path / "store.db"
    store("migrate", "--url", f"sqlite:{path}")
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA journal_mode=DELETE")
        db.executemany("INSERT INTO facts VALUES (?, 'x')", [(f"name {i}" * 20,) for i in range(2000)])
    db.close()
    assert "sound" in store("check", "--url", f"sqlite:{path}")
    size = path.stat().st_size
    with open(path, "r+b") as file:
        for at in range(size // 2, size - 4096, 4096):
            file.seek(at)
            file.write(os.urandom(512))
    said = store("check", "--url", f"sqlite:{path}", status=1)
    assert "FAULT" in said or "damaged" in said


def test_the_store_of_the_configuration_is_meant_unless_another_is_named(tmp_path):
    env = {"XDG_STATE_HOME": str(tmp_path)}
    assert "migrations applied" in store("migrate", env=env)
    assert (tmp_path / "openclaw" / "openclaw.db").exists()
    assert "nothing is left" in store("prune", env=env)
    assert "there is no store" in store("check", "--set", "store.url=off", status=1)
    assert "write one of" in store("export", "nonsense", status=2, env=env)
    assert "what?" in store(status=2)
    assert "postgres://" in store("check", "--url", "mysql://x", status=2)
    assert "hunter2" not in store("check", "--url", "postgres://u:hunter2@127.0.0.1:1/x", status=1)
    assert "hunter2" not in store("check", "--url", "postgres://u:hunter2@[/x", status=2)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_gateway_that_becomes_another_user_can_write_its_store(make):
    with tempfile.TemporaryDirectory(prefix="openclaw-state-") as where:
        os.chmod(where, 0o755)
        state = pathlib.Path(where) / "state"
        gateway = make.gateway({"server": {"user": "nobody"}}, env={"STATE_DIRECTORY": str(state)})
        assert gateway.get("/readyz?verbose").json()["store"]["state"] == "up"
        nobody = pwd.getpwnam("nobody").pw_uid
        assert {path.stat().st_uid for path in [state, *state.glob("openclaw.db*")]} == {nobody}
        assert gateway.chat("openclaw/simulated").status_code == 200
        wait_until(lambda: store("export", "ledger", "--url", f"sqlite:{state}/openclaw.db").count("\n") == 1, "the ledger")
        assert gateway.get("/readyz?verbose").json()["store"]["state"] == "up"    # root looked at it
        gateway.close()


def test_of_several_hosts_the_one_that_can_be_written_is_used(make):
    replica, primary = make.postgres(), make.postgres()
    replica.url()    # a database of that name
    replica.rows("ALTER SYSTEM SET default_transaction_read_only = on")
    replica.rows("SELECT pg_reload_conf()")
    url = primary.url().replace("@", f"@127.0.0.1:{process.free_port()},127.0.0.1:{replica.port},")
    gateway = make.gateway({"store": {"url": url}})
    assert gateway.get("/readyz?verbose").json()["store"]["state"] == "up"
    assert primary.rows("SELECT name FROM migrations WHERE number = 1", "test1") == [["facts"]]
