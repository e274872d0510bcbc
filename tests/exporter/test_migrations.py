from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Column, MetaData, String, Table, create_engine, inspect, text, update

from fmd_otel_exporter.dialects import dialect_for
from fmd_otel_exporter.errors import StorageError
from fmd_otel_exporter.migrations import (
    HEAD,
    NOT_ADDITIVE,
    REVISIONS,
    Schema,
    oldest_writer,
    version_table,
)
from fmd_otel_exporter.migrations.run import alembic_config
from fmd_otel_exporter.schema import build_tables
from fmd_otel_exporter.store import Store, open_store, read_revision, read_schema
from fmd_otel_exporter.writer import Writer

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine


def _described(engine: Engine) -> dict[str, object]:
    inspector = inspect(engine)
    with engine.connect() as connection:
        clustered = dict(
            tuple(row) for row in connection.execute(text("SELECT name, wr FROM pragma_table_list"))
        )
    return {
        table: {
            "columns": [
                (c["name"], str(c["type"]), c["nullable"], c["default"], c["primary_key"])
                for c in inspector.get_columns(table)
            ],
            "key": inspector.get_pk_constraint(table)["constrained_columns"],
            "unique": sorted(
                (u["name"], tuple(u["column_names"])) for u in inspector.get_unique_constraints(table)
            ),
            "indexes": inspector.get_indexes(table),
            "clustered": clustered[table],
        }
        for table in inspector.get_table_names()
        if not table.endswith("_schema_version")
    }


@pytest.mark.usefixtures("store")
def test_the_revisions_lead_exactly_to_the_tables_of_the_schema(tmp_path):
    direct = create_engine(f"sqlite:///{tmp_path}/direct.db")
    build_tables("fmd").metadata.create_all(direct)
    migrated = create_engine(f"sqlite:///{tmp_path}/fmd.db")
    assert _described(migrated) == _described(direct)
    with migrated.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": version_table("fmd")})
        assert compare_metadata(context, build_tables("fmd").metadata) == []


def test_the_list_of_revisions_is_that_of_the_files():
    script = ScriptDirectory.from_config(alembic_config("fmd"))
    assert tuple(revision.revision for revision in reversed(list(script.walk_revisions()))) == REVISIONS
    assert script.get_current_head() == HEAD


def test_opening_again_does_not_import_alembic(store: Store, run):
    code = """
import sys
from fmd_otel_exporter.store import open_store
open_store(sys.argv[1])
print(sorted(name for name in sys.modules if name.partition(".")[0] in ("alembic", "mako")))
"""
    assert run(code, store.url) == "[]"


def test_two_prefixes_share_a_database_in_peace(url: str):
    first, second = open_store(url, "one"), open_store(url, "two")
    with first.read() as connection:
        names = set(inspect(connection).get_table_names())
    assert {"one_request", "two_request", "one_schema_version", "two_schema_version"} <= names
    assert not {name for name in names if not name.startswith(("one_", "two_"))}
    first.dispose()
    second.dispose()


def test_a_newer_schema_is_left_alone_and_says_what_to_do(store: Store, newer):
    newer(store, oldest_writer="9999")
    for migrate in (True, False):
        with pytest.raises(
            StorageError, match=rf"'9999', newer than this fmd-otel knows \('{HEAD}'\); upgrade fmd"
        ):
            open_store(store.url, migrate=migrate)


@pytest.fixture
def newer():
    """Make a database one of a release to come."""

    def change(store: Store, oldest_writer: str | None) -> None:
        with store._together() as connection:  # write() would want a table to take turns on
            names = Table(
                "fmd_schema_version",
                MetaData(),
                Column("version_num", String(32), primary_key=True),
                Column("oldest_writer", String(32)),
            )
            connection.execute(update(names).values(version_num="9999", oldest_writer=oldest_writer))

    return change


def test_who_may_write_to_tables_to_come_is_noted_beside_their_revision(store: Store):
    assert read_schema(store) == Schema(HEAD, oldest_writer())


@pytest.mark.parametrize("oldest", [REVISIONS[0], HEAD])
def test_a_newer_schema_that_only_adds_is_written_to(store: Store, newer, oldest: str, record, sums):
    newer(store, oldest)
    for migrate in (True, False):
        again = open_store(store.url, migrate=migrate)
        assert again.schema == Schema("9999", oldest)
        assert not again.current
        again.dispose()
    again = open_store(store.url)
    Writer(again).write([record()])
    assert set(sums(again).values()) == {1}
    again.dispose()
    assert read_revision(store) == "9999"


@pytest.mark.parametrize("oldest", ["9998", None])
def test_a_newer_schema_that_changed_what_was_there_is_not(store: Store, newer, oldest: str | None):
    newer(store, oldest)
    with pytest.raises(StorageError, match="upgrade fmd-otel here"):
        open_store(store.url)


def test_databases_that_are_made_at_once_each_get_their_own_tables(tmp_path):
    """As of two applications in one process."""
    urls = [f"sqlite:///{tmp_path}/{n}.db" for n in range(6)]
    at_once = threading.Barrier(len(urls))

    def make(url: str) -> str | None:
        at_once.wait()
        store = open_store(url)
        try:
            return read_revision(store)
        finally:
            store.dispose()

    with ThreadPoolExecutor(len(urls)) as pool:
        assert list(pool.map(make, urls)) == [HEAD] * len(urls)


def test_a_database_of_before_this_was_noted_is_noted_with_its_next_upgrade(url: str):
    old = Store(url, "fmd", dialect_for(url))
    old.dialect.prepare(create=True)
    old.run(lambda connection: command.upgrade(alembic_config("fmd", connection), "0001"))
    assert read_schema(old) == Schema("0001", None)
    old.dispose()
    open_store(url).dispose()
    assert read_schema(old) == Schema(HEAD, oldest_writer())
    old.dispose()


def test_what_older_processes_could_not_write_to_is_not_applied_at_start(url: str, monkeypatch):
    monkeypatch.setattr("fmd_otel_exporter.migrations.NOT_ADDITIVE", frozenset({HEAD}))
    old = Store(url, "fmd", dialect_for(url))
    old.dialect.prepare(create=True)
    old.run(lambda connection: command.upgrade(alembic_config("fmd", connection), REVISIONS[-2]))
    with pytest.raises(StorageError, match=f"revision '{HEAD}' changes what is there.*fmd-otel db upgrade"):
        open_store(url)
    assert read_revision(old) == REVISIONS[-2]
    open_store(url, by_hand=True).dispose()
    assert read_schema(old) == Schema(HEAD, HEAD)
    old.dispose()


def test_a_new_database_gets_all_revisions_at_once(url: str, monkeypatch):
    monkeypatch.setattr("fmd_otel_exporter.migrations.NOT_ADDITIVE", frozenset({HEAD}))
    store = open_store(url)
    assert read_schema(store) == Schema(HEAD, HEAD)
    store.dispose()


def test_the_list_of_those_that_change_what_is_there_names_revisions():
    assert frozenset(REVISIONS[1:]) >= NOT_ADDITIVE


def test_an_upgrade_that_was_interrupted_is_taken_up_again(store: Store):
    # As on a database without transactional DDL: some tables are there, the revision is not noted.
    with store.write() as connection:
        connection.execute(text("DELETE FROM fmd_schema_version WHERE version_num <> ''"))
        connection.execute(text("DROP TABLE fmd_lease"))
    again = open_store(store.url)
    with again.read() as connection:
        assert connection.execute(text("SELECT * FROM fmd_lease")).all() == []
    again.dispose()


def test_an_older_database_is_upgraded_and_keeps_what_it_holds(url: str, rows):
    old = Store(url, "fmd", dialect_for(url))
    old.dialect.prepare(create=True)

    def fill(connection: Connection) -> None:
        command.upgrade(alembic_config("fmd", connection), "0001")
        connection.execute(text("INSERT INTO fmd_rollup_day (day) VALUES (86400)"))
        connection.execute(text("INSERT INTO fmd_subject (id, kind, value) VALUES (1, 1, 'me')"))

    old.run(fill)  # write() would want a table to take turns on
    old.dispose()
    store = open_store(url)
    assert rows(store, "rollup_day") == [{"day": 86400, "sealed": 0}]
    assert rows(store, "subject") == [{"id": 1, "kind": 1, "value": "me", "seen_day": None}]
    store.dispose()


def test_racing_starts_on_an_empty_database_all_succeed(tmp_path, start):
    code = """
import os, sys
from fmd_otel_exporter.store import open_store
from fmd_otel_exporter.writer import Writer
from fmd_otel_exporter.records import RequestRecord
print("ready", flush=True)
for url in sys.stdin:
    store = open_store(url.strip())
    r = RequestRecord("s", "e", 1_790_000_000_000_000, os.urandom(8), os.urandom(16), 5, 200, "GET", "1")
    print(Writer(store).write([r]).written, flush=True)
    store.dispose()
"""
    racers = [start(code) for _ in range(6)]
    for racer in racers:
        assert racer.stdout.readline() == "ready\n"
    succeeded = 0
    for turn in range(4):
        url = f"sqlite:///{tmp_path}/race{turn}.db"
        for racer in racers:
            racer.stdin.write(f"{url}\n")
            racer.stdin.flush()
        succeeded += sum(racer.stdout.readline() == "1\n" for racer in racers)
        store = open_store(url)
        with store.read() as connection:
            assert connection.scalar(text("SELECT sum(n) FROM fmd_hits")) == 6
        store.dispose()
    assert succeeded == 24
    for racer in racers:
        assert racer.communicate(timeout=300) == ("", "")
