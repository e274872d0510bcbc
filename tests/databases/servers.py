"""Database servers for tests: one that is there, or one that is started for the occasion.

A server is taken from its variable, ``TEST_POSTGRESQL_URL``, ``TEST_MYSQL_URL`` or
``TEST_CLICKHOUSE_URL`` (the URL of a user who may create databases), else it is the one that runs on
this machine, else it is started from the programs that are installed, in a directory of its own, and stopped
at the end. With ``TEST_OWN_SERVERS`` one is started even where one runs: that one would lose nothing
if the power failed, for which all takes longer. ClickHouse is started from a package: its engine, behind its
own HTTP interface. Where ``TEST_MYSQLD`` names MySQL's server program (``.ci/mysql-server`` fetches one), it
takes the place of MariaDB's.
"""

from __future__ import annotations

import contextlib
import glob
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

import pytest
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from fmd_otel_exporter.store import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fmd_otel_exporter.store import Store

POSTGRESQL, MARIADB, CLICKHOUSE = "postgresql", "mariadb", "clickhouse"
_VARIABLES = {
    POSTGRESQL: "TEST_POSTGRESQL_URL",
    MARIADB: "TEST_MYSQL_URL",
    CLICKHOUSE: "TEST_CLICKHOUSE_URL",
}
_OWN = "TEST_OWN_SERVERS"
_MYSQLD = "TEST_MYSQLD"
_LOCAL = {
    POSTGRESQL: (
        "postgresql+psycopg://postgres@127.0.0.1:5432/postgres",
        "postgresql+psycopg:///postgres?host=/var/run/postgresql",
    ),
    MARIADB: (
        "mysql+pymysql://root@127.0.0.1:3306/",
        "mysql+pymysql://root@localhost/?unix_socket=/run/mysqld/mysqld.sock",
    ),
    CLICKHOUSE: ("clickhousedb://127.0.0.1:8123/default",),
}
_DRIVERS = {POSTGRESQL: "postgresql+psycopg", MARIADB: "mysql+pymysql", CLICKHOUSE: "clickhousedb"}
_SHOWN = {POSTGRESQL: "postgresql", MARIADB: "mariadb", CLICKHOUSE: "clickhousedb"}
"""How a user writes it in a URL."""
_FRONT = Path(__file__).with_name("clickhouse_front.py")
_PROGRAMS = {POSTGRESQL: ("initdb", "postgres"), MARIADB: ("mariadb-install-db", "mariadbd")}
_PACKAGES = {POSTGRESQL: "postgresql", MARIADB: "mariadb-server"}
_ELSEWHERE = ("/usr/lib/postgresql/*/bin", "/usr/sbin", "/usr/bin", "/usr/local/bin")
_START_S = 180.0
GUARDED = "guarded"
"""A user whom our own servers ask for a password."""
ODD = {
    POSTGRESQL: (
        "-c", "timezone=America/New_York", "-c", "default_transaction_isolation=serializable",
        "-c", "bytea_output=escape", "-c", "standard_conforming_strings=off", "-c", "datestyle=german",
        "-c", "escape_string_warning=off", "-c", "jit_above_cost=0", "-c", "deadlock_timeout=100ms",
        "-c", "max_connections=40",
    ),
    MARIADB: (
        "--sql-mode=ANSI,ONLY_FULL_GROUP_BY,NO_BACKSLASH_ESCAPES,NO_UNSIGNED_SUBTRACTION",
        "--transaction-isolation=SERIALIZABLE",
        "--loose-innodb-snapshot-isolation=ON", "--loose-sql-require-primary-key=ON",
        "--character-set-server=latin1", "--collation-server=latin1_swedish_ci",
        "--loose-skip-character-set-client-handshake",
        "--default-storage-engine=MyISAM", "--max-allowed-packet=16384", "--max-connections=40",
        "--lower-case-table-names=1",
    ),
}  # fmt: skip
"""What an administrator may have set; what is loose, only one of MariaDB and MySQL knows."""


_GUARD = """
import os, pathlib, shutil, signal, sys
sys.stdin.read()
folder = pathlib.Path(sys.argv[1])
for number in (folder / "running").read_text().split() if (folder / "running").exists() else ():
    try:
        os.kill(int(number), signal.SIGKILL)
    except ProcessLookupError:
        pass
shutil.rmtree(folder, ignore_errors=True)
"""
"""Outlives us: when our end of its pipe is closed, however that comes, it ends the server and clears up."""


class Server:
    """A server on which databases can be made and dropped."""

    def __init__(self, kind: str, url: str) -> None:
        self.kind = kind
        self.url = make_url(url).set(drivername=_DRIVERS[kind])
        self.finally_ = contextlib.ExitStack()
        """What has to be done before it is given up."""
        self._store: Store | None = None

    def run(self, *statements: str, database: str | None = None) -> list[Any]:
        """Run statements as the server's administrator; return the rows of the last."""
        url = self.url if database is None else self.url.set(database=database)
        engine = create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
        rows: list[Any] = []
        with engine.connect() as connection:
            for statement in statements:
                result = connection.execute(text(statement))
                rows = list(result) if result.returns_rows else []
        return rows

    def answers(self) -> bool:
        """Tell whether it is there."""
        try:
            self.run("SELECT 1")
        except SQLAlchemyError:
            return False
        return True

    @contextlib.contextmanager
    def scratch(self) -> Iterator[str]:
        """Make a database nobody else has, yield its URL as a user would write it, and drop it."""
        name = f"fmd_test_{os.getpid()}_{secrets.token_hex(4)}"
        self.run(f"CREATE DATABASE {name}")
        try:
            yield self.url_of(name)
        finally:
            self.kill(name)
            self.run(f"DROP DATABASE IF EXISTS {name}{' SYNC' if self.kind == CLICKHOUSE else ''}")

    def url_of(self, database: str, **changes: Any) -> str:
        """Return the URL of a database as a user would write it."""
        url = self.url.set(drivername=_SHOWN[self.kind], database=database, **changes)
        return url.render_as_string(hide_password=False)

    def store(self) -> Store:
        """Return a store that tests use one after the other, since making one takes a second."""
        if self._store is None:
            self._store = open_store(self.finally_.enter_context(self.scratch()))
            self.finally_.callback(self._store.dispose)
        return self._store

    def kill(self, database: str) -> int:
        """End all connections to a database; return how many there were."""
        if self.kind == CLICKHOUSE:
            place = f"http://{self.url.host}:{self.url.port}"
            with urlopen(f"{place}/kill?database={database}") as answer:  # noqa: S310 # our own server
                return int(answer.read())
        listed, kill = "SELECT id, db FROM information_schema.processlist", "KILL {}"
        if self.kind == POSTGRESQL:
            listed, kill = "SELECT pid, datname FROM pg_stat_activity", "SELECT pg_terminate_backend({})"
        killed = 0
        for number, connected in self.run(listed):
            if connected == database:
                with contextlib.suppress(SQLAlchemyError):  # it has just ended by itself
                    self.run(kill.format(number))
                    killed += 1
        return killed


class OwnServer(Server):
    """A server of this test run's own: it may be stopped, frozen and set up as strangely as a test likes."""

    def __init__(self, kind: str, command: list[str], *, port: int, folder: Path, zone: str) -> None:
        place = {
            POSTGRESQL: f"postgres@127.0.0.1:{port}/postgres",
            MARIADB: f"root@127.0.0.1:{port}/",
            CLICKHOUSE: f"127.0.0.1:{port}/default",
        }[kind]
        super().__init__(kind, f"{_DRIVERS[kind]}://{place}")
        self._command, self._folder, self._zone = command, folder, zone
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                user=_unprivileged(self.kind),
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env={**os.environ, "TZ": self._zone},
                cwd=self._folder,
            )
        (self._folder / "running").write_text(str(self._process.pid))
        deadline = time.monotonic() + _START_S
        while not self.answers():
            if time.monotonic() > deadline or self._process.poll() is not None:
                said = (self._folder / "server.log").read_text()[-2000:]
                raise RuntimeError(f"{self._command[0]} does not start:\n{said}")
            time.sleep(0.1)

    def stop(self, *, at_once: bool = False) -> None:
        """Stop it, ending all connections."""
        if self._process is None:
            return
        self.thaw()
        # PostgreSQL waits for its clients to leave at SIGTERM.
        gently = signal.SIGINT if self.kind == POSTGRESQL else signal.SIGTERM
        # ClickHouse's engine may take its time at anything it can hear.
        hard = signal.SIGKILL if self.kind == CLICKHOUSE else signal.SIGQUIT
        self._process.send_signal(hard if at_once else gently)
        try:
            self._process.wait(_START_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None
        (self._folder / "running").unlink()

    def freeze(self) -> None:
        """Make it hang: it keeps its connections and says nothing."""
        for number in self._processes():
            os.kill(number, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        for number in self._processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(number, signal.SIGCONT)

    def _processes(self) -> list[int]:
        assert self._process is not None
        number = self._process.pid
        children = Path(f"/proc/{number}/task/{number}/children")
        found = children.read_text().split() if children.exists() else []
        return [number, *map(int, found)]


def find(kind: str) -> Iterator[Server]:
    """Yield a server of a kind; skip, and say what to do, where there is none."""
    url = os.environ.get(_VARIABLES[kind])
    is_own_wanted = os.environ.get(_OWN) or (kind == MARIADB and os.environ.get(_MYSQLD))
    there = [] if is_own_wanted and _installed(kind) else _LOCAL[kind]
    for place in [url] if url else there:
        server = Server(kind, place)
        if url or server.answers():
            with server.finally_:
                yield server
            return
    with own(kind) as server:
        yield server


@contextlib.contextmanager
def own(kind: str, *, zone: str = "UTC", options: tuple[str, ...] = ()) -> Iterator[OwnServer]:
    """Start a server in a directory of its own, and stop it in the end."""
    folder = Path(tempfile.mkdtemp(prefix="fmd-otel-test-"))
    guard = subprocess.Popen(
        [sys.executable, "-c", _GUARD, folder], stdin=subprocess.PIPE, start_new_session=True
    )
    try:
        if (user := _unprivileged(kind)) is not None:
            shutil.chown(folder, user)
        port = _free_port()
        init, command = _commands(kind, folder, port, options)
        done = subprocess.run(
            init.split(), user=user, capture_output=True, text=True, cwd=folder, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{init} fails:\n{done.stdout}{done.stderr}")
        if kind == POSTGRESQL:
            rules = folder / "data" / "pg_hba.conf"
            rules.write_text(f"host all {GUARDED} 127.0.0.1/32 scram-sha-256\n{rules.read_text()}")
        server = OwnServer(kind, command.split(), port=port, folder=folder, zone=zone)
        server.start()
        try:
            with server.finally_:
                yield server
        finally:
            server.stop(at_once=True)
    finally:
        guard.communicate()


def _commands(kind: str, folder: Path, port: int, options: tuple[str, ...]) -> tuple[str, str]:
    """Return what makes a server's files, and what starts it."""
    data, odd = folder / "data", " ".join(options)
    if kind == CLICKHOUSE:
        pytest.importorskip(
            "chdb", reason=f"needs the package chdb, or {_VARIABLES[kind]} set to a server's URL"
        )
        return "true", f"{sys.executable} {_FRONT} {port} {folder}"
    mysqld = os.environ.get(_MYSQLD) if kind == MARIADB else None
    first, program = (mysqld, mysqld) if mysqld else (_program(kind, name) for name in _PROGRAMS[kind])
    if kind == POSTGRESQL:
        return (
            f"{first} -D {data} -U postgres -A trust -E UTF8 --locale=C --no-sync",
            f"{program} -D {data} -p {port} -h 127.0.0.1 -k {folder} -F {odd}",
        )
    start = (
        f"{program} --no-defaults --datadir={data} --port={port} --bind-address=127.0.0.1 "
        f"--socket={folder}/socket --pid-file={folder}/pid {odd}"
    )
    if mysqld:  # it cannot take other options for names later on, and knows root by the name of this machine
        return f"{start} --initialize-insecure", start
    return (
        f"{first} --no-defaults --datadir={data} --auth-root-authentication-method=normal",
        f"{start} --skip-name-resolve",
    )


def _installed(kind: str) -> bool:
    if kind == CLICKHOUSE:
        return find_spec("chdb") is not None
    if kind == MARIADB and os.environ.get(_MYSQLD):
        return True
    return all(_where(name) for name in _PROGRAMS[kind])


def _where(name: str) -> str | None:
    places = [place for pattern in _ELSEWHERE for place in sorted(glob.glob(pattern), reverse=True)]  # noqa: PTH207 # absolute patterns
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), *places]))


def _program(kind: str, name: str) -> str:
    found = _where(name)
    if found is None:
        pytest.skip(
            f"needs a {kind} server. The remedy, as root: apt-get install {_PACKAGES[kind]}; or set "
            f"{_VARIABLES[kind]} to the URL of a user who may create databases there"
        )
    return found


def _unprivileged(kind: str) -> str | None:
    """Return a user to run a server as, where we are root, which PostgreSQL refuses to run as."""
    if os.geteuid() != 0 or kind == CLICKHOUSE:  # whoever else may not look into our packages
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in ("postgres", "mysql", "nobody") if name in known)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
