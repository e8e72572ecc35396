"""A PostgreSQL of the test's own: real, in its own folder, ended with the test.

    postgres = make.postgres()
    gateway = make.gateway({..., "store": {"url": postgres.url()}})
    postgres.kill()         # SIGKILL, all of it
    postgres.start()
    assert postgres.rows("SELECT ...") == [["a", "1"]]

It refuses to run as root; there it runs as nobody. Skips the test where there is none.
"""
import contextlib
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import tempfile

import pytest

from lib.process import PATIENCE, free_port, wait_until


def programs():
    """The folder of initdb and postgres, or None."""
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[4].split(".")[0]))
    if found:
        return found[-1].parent
    elsewhere = shutil.which("initdb")
    return pathlib.Path(elsewhere).resolve().parent if elsewhere else None


class Postgres:
    """Attributes: port, password, folder."""

    password = "canary-postgres-7f3a"

    def __init__(self):
        self.programs = programs()
        if self.programs is None:
            pytest.skip("there is no PostgreSQL here")
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="openclaw-pg-"))    # short: it holds a socket
        self.user = {}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            self.user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            os.chown(self.folder, nobody.pw_uid, nobody.pw_gid)
        (self.folder / "password").write_text(self.password)
        os.chmod(self.folder / "password", 0o644)
        subprocess.run([self.programs / "initdb", "-D", self.folder / "data", "-U", "postgres", "-N", "-E", "UTF8", "--locale=C",
                        "-A", "scram-sha-256", f"--pwfile={self.folder / 'password'}"], check=True, capture_output=True,
                       timeout=PATIENCE * 4, cwd="/", **self.user)
        self.port = free_port()
        self.databases = 0
        self.process = None
        self.start()

    def start(self):
        """Starts it, at the same port, and waits until it answers."""
        self.process = subprocess.Popen(
            [self.programs / "postgres", "-D", self.folder / "data", "-k", self.folder, "-p", str(self.port), "-F",
             "-c", "listen_addresses=127.0.0.1", "-c", "shared_buffers=32MB", "-c", "max_connections=40"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=open(self.folder / "log", "ab"), cwd="/",
            start_new_session=True, **self.user)
        wait_until(lambda: self._psql("postgres", "SELECT 1", check=False).returncode == 0, "PostgreSQL to answer", PATIENCE * 2)

    def _signal(self, number):
        """To the server and all its processes, which have sessions of their own."""
        children = subprocess.run(["pgrep", "-P", str(self.process.pid)], capture_output=True, text=True, check=False).stdout.split()
        for pid in [self.process.pid, *map(int, children)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def kill(self):
        """SIGKILL to the server and all its processes."""
        self._signal(signal.SIGKILL)
        self.process.wait()
        (self.folder / "data" / "postmaster.pid").unlink(missing_ok=True)

    def pause(self):
        """Its processes stay and answer no more."""
        self._signal(signal.SIGSTOP)

    def go_on(self):
        self._signal(signal.SIGCONT)

    def _psql(self, database, sql, check=True):
        return subprocess.run([self.programs / "psql", "-X", "-q", "-A", "-t", "-F", "\t", "-c", sql],
                              capture_output=True, text=True, check=check, timeout=PATIENCE * 2,
                              env={"PGHOST": "127.0.0.1", "PGPORT": str(self.port), "PGUSER": "postgres",
                                   "PGPASSWORD": self.password, "PGDATABASE": database, "PATH": os.environ["PATH"]})

    def rows(self, sql, database="postgres"):
        """What a query returns, as lists of texts."""
        return [line.split("\t") for line in self._psql(database, sql).stdout.splitlines()]

    def url(self, database=None):
        """The address, with password, of a new database, or of the one of that name."""
        if database is None:
            self.databases += 1
            database = f"test{self.databases}"
            self._psql("postgres", f"CREATE DATABASE {database}")
        return f"postgres://postgres:{self.password}@127.0.0.1:{self.port}/{database}"

    def close(self):
        if self.process.poll() is None:
            self.go_on()
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait(PATIENCE * 2)
        shutil.rmtree(self.folder, ignore_errors=True)
