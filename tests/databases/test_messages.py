"""Each trouble with a server is told in one sentence: what, where, and what to do. Never with a password."""

from __future__ import annotations

import secrets
import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from fmd_otel_exporter.dialects import dialect_for
from fmd_otel_exporter.errors import StorageError
from fmd_otel_exporter.store import Store, open_store
from tests.databases.servers import GUARDED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.databases.servers import Server

SECRET = "s3cr3t-" + secrets.token_hex(4)
SERVERS = pytest.mark.parametrize("kind", ["postgresql", "mariadb", "clickhouse"], indirect=True)
OWN = pytest.mark.parametrize("kind", ["odd_postgresql", "odd_mariadb"], indirect=True)


def told(url: str, **options: bool) -> str:
    """Return the one sentence that opening this database ends in."""
    with pytest.raises(StorageError) as caught:
        open_store(url, **options)
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@contextmanager
def user(server: Server, *rights: str) -> Iterator[str]:
    """Make a user with a password on a server of our own."""
    if server.kind == "postgresql":
        server.run(f"CREATE ROLE {GUARDED} LOGIN PASSWORD '{SECRET}'", *rights)
        drop = [f"DROP OWNED BY {GUARDED}", f"DROP ROLE {GUARDED}"]
    else:
        server.run(f"CREATE USER {GUARDED} IDENTIFIED BY '{SECRET}'", *rights)
        drop = [f"DROP USER {GUARDED}"]
    try:
        yield GUARDED
    finally:
        server.run(*drop)


@SERVERS
def test_a_server_that_is_not_there(server: Server, kind: str):
    message = told(server.url_of("fmd", port=1, host="127.0.0.1", password=SECRET))
    product = {"postgresql": "PostgreSQL", "mariadb": "MariaDB", "clickhouse": "ClickHouse"}[kind]
    assert message.startswith(f"the {product} server at 127.0.0.1:1 cannot be reached (")
    assert "check that it runs" in message
    assert "DATABASE (FMD_OTEL_DATABASE)" in message


@SERVERS
def test_a_host_that_is_not_there(server: Server):
    assert "server at no-such-host.invalid:" in told(server.url_of("fmd", host="no-such-host.invalid"))


@SERVERS
def test_a_database_that_is_not_there(server: Server):
    for migrate in (True, False):
        message = told(server.url_of("fmd_no_such_database"), migrate=migrate)
        assert "has no database 'fmd_no_such_database'" in message
        assert "CREATE DATABASE fmd_no_such_database" in message


@OWN
def test_a_wrong_password(server: Server):
    with user(server):
        for password in (SECRET + "x", ""):
            message = told(server.url_of("fmd", username=GUARDED, password=password))
            assert f"does not let user '{GUARDED}' in" in message
            assert "correct user and password" in message


@OWN
def test_a_user_who_is_not_there(server: Server):
    message = told(server.url_of("fmd", username="nobody-knows", password=SECRET))
    assert "does not let user 'nobody-knows' in" in message


@OWN
def test_a_user_without_rights(server: Server, url: str):
    with user(server):
        theirs = server.url_of(url.rpartition("/")[2], username=GUARDED, password=SECRET)
        message = told(theirs)
        assert f"user '{GUARDED}' lacks rights in the" in message
        assert "GRANT" in message


@OWN
def test_a_user_who_may_only_read_can_look_and_is_told_why_nothing_is_written(server: Server, store: Store):
    database = store.url.rpartition("/")[2]
    grant = f"GRANT SELECT ON {database}.* TO {GUARDED}"
    with user(server):
        if server.kind == "postgresql":
            server.run(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {GUARDED}", database=database)
        else:
            server.run(grant)
        theirs = open_store(server.url_of(database, username=GUARDED, password=SECRET))
        with theirs.read() as connection:
            assert connection.execute(theirs.tables.endpoint.select()).all() == []
        with pytest.raises(StorageError, match=r"lacks rights in .*GRANT"), theirs.write() as connection:
            connection.execute(theirs.tables.endpoint.delete())
        theirs.dispose()
        if server.kind == "postgresql":
            server.run(f"DROP OWNED BY {GUARDED}", database=database)


@OWN
def test_a_server_with_no_connection_left(server: Server, store: Store):
    with user(server):
        database = store.url.rpartition("/")[2]
        theirs = server.url_of(database, username=GUARDED, password=SECRET)
        if server.kind == "postgresql":
            server.run(f"ALTER ROLE {GUARDED} CONNECTION LIMIT 0")
            assert "takes no more connections" in told(theirs)
            return
        server.run(
            f"GRANT ALL ON {database}.* TO {GUARDED}", f"ALTER USER {GUARDED} WITH MAX_USER_CONNECTIONS 1"
        )
        first = open_store(theirs)
        with first.read():
            assert "takes no more connections" in told(theirs)
        first.dispose()


@SERVERS
def test_an_option_nobody_knows(server: Server):
    url = server.url_of(str(server.url.database or "mysql"))
    message = told(f"{url}{'&' if '?' in url else '?'}colour=blue&password={SECRET}")
    assert "colour" in message


@pytest.mark.parametrize(
    ("url", "instead"),
    [
        ("postgresql+psycopg2://me:{}@host/fmd", "postgresql://…"),
        ("postgresql+asyncpg://me:{}@host/fmd", "postgresql://…"),
        ("mysql+mysqldb://me:{}@host/fmd", "mysql://…"),
        ("mariadb+mariadbconnector://me:{}@host/fmd", "mariadb://…"),
    ],
)
def test_another_driver_is_refused_with_what_to_write(url: str, instead: str):
    message = told(url.format(SECRET))
    assert instead in message
    assert "+".join(url.partition("://")[0].split("+")) in message


@pytest.mark.parametrize(
    "url",
    ["postgresql://me:{}@host:port/fmd", "mysql://me:{}@host:99x/fmd", "clickhousedb://me:{}@host:x/fmd"],
)
def test_a_port_that_is_no_number(url: str):
    assert "is no database URL" in told(url.format(SECRET))


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("postgres://me@db/fmd", "db:5432"),
        ("postgresql://me@db:6000/fmd", "db:6000"),
        ("postgresql+psycopg:///fmd?host=/run/postgresql", "/run/postgresql"),
        ("mysql://me@db/fmd", "db:3306"),
        ("mariadb://me@[::1]/fmd", "::1:3306"),
        ("clickhousedb://me@db/fmd", "db:8123"),
        ("mysql+pymysql://me@localhost/fmd?unix_socket=/run/mysqld/mysqld.sock", "/run/mysqld/mysqld.sock"),
    ],
)
def test_a_url_without_a_driver_picks_ours(url: str, place: str):
    dialect = dialect_for(url)
    assert dialect._server.place == place
    assert dialect.write_engine().dialect.driver in ("psycopg", "pymysql", "connect")


@pytest.mark.parametrize(
    ("package", "url", "extra"),
    [("psycopg", "postgresql://db/fmd", "postgresql"), ("pymysql", "mysql://db/fmd", "mysql")],
)
def test_a_missing_driver_names_the_extra_to_install(run, package: str, url: str, extra: str):
    code = f"""
import sys
sys.modules[{package!r}] = None
from fmd_otel_exporter.store import open_store
try:
    open_store({url!r})
except Exception as exc:
    print(type(exc).__name__, exc)
"""
    said = run(code)
    assert said.startswith("StorageError this database needs the package " + package)
    assert said.endswith(f"pip install 'fmd-otel[{extra}]'")


def test_passwords_stay_out_of_what_a_server_says():
    dialect = dialect_for(f"postgresql://me:{SECRET}@db/fmd")
    assert dialect._server.said(f'FATAL:\n password "{SECRET}" is wrong') == 'FATAL: password "***" is wrong'
    assert SECRET not in repr(dialect._server)
