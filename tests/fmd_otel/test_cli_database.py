"""``fmd-otel db`` and ``fmd-otel vacuum``: what they say of a database, do to it and exit with."""

from __future__ import annotations

import time
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import pytest
from alembic import command
from click.testing import CliRunner
from sqlalchemy import text

from fmd_otel.cli import main
from fmd_otel_exporter.dialects import dialect_for
from fmd_otel_exporter.errors import StorageError
from fmd_otel_exporter.migrations import HEAD, REVISIONS
from fmd_otel_exporter.migrations.run import alembic_config
from fmd_otel_exporter.records import RequestRecord
from fmd_otel_exporter.store import Store, open_store
from fmd_otel_exporter.writer import Writer

if TYPE_CHECKING:
    from pathlib import Path

UNREACHABLE = "postgresql://me:hunter2@127.0.0.1:1/shop"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "fmd.db"


@pytest.fixture
def run(path: Path):
    """Run a command on the database."""
    return lambda *arguments: CliRunner().invoke(main, [*arguments, "--database", f"sqlite:///{path}"])


def older(path: Path, revision: str = "0001") -> None:
    store = Store(f"sqlite:///{path}", "fmd", dialect_for(f"sqlite:///{path}"))
    store.dialect.prepare(create=True)
    with store.write() as connection:
        command.upgrade(alembic_config("fmd", connection), revision)
    store.dispose()


def newer(path: Path, oldest_writer: str | None = "9999") -> None:
    store = open_store(f"sqlite:///{path}")
    with store.write() as connection:
        connection.execute(
            text("UPDATE fmd_schema_version SET version_num = '9999', oldest_writer = :oldest"),
            {"oldest": oldest_writer},
        )
    store.dispose()


def newer_and_alike(path: Path) -> None:
    newer(path, oldest_writer="0001")


def empty(path: Path) -> None:
    path.touch()


def up_to_date(path: Path) -> None:
    open_store(f"sqlite:///{path}").dispose()


def missing(path: Path) -> None:
    assert not path.exists()


@pytest.mark.parametrize(
    ("state", "said", "checked"),
    [
        (missing, "no database yet", 1),
        (empty, "no tables yet", 1),
        (older, f"0001, and {HEAD} is the newest", 1),
        (up_to_date, f"{HEAD}, the newest", 0),
        (newer, f"9999, newer than this fmd-otel knows ({HEAD}), which must not write to it", 2),
        (newer_and_alike, f"9999, newer than this fmd-otel knows ({HEAD}), which may write to it", 0),
    ],
)
def test_the_state_of_the_tables_is_told_and_looking_changes_nothing(run, path, state, said, checked):
    state(path)
    before = path.read_bytes() if path.exists() else None
    current = run("db", "current")
    assert (current.exit_code, current.stdout.splitlines()) == (
        0,
        [f"Database: sqlite:///{path}", "Tables:   fmd_*", f"Revision: {said}"],
    )
    check = run("db", "check")
    assert check.exit_code == checked
    assert ("fmd-otel db upgrade" in check.stderr) == (checked == 1)
    assert (path.read_bytes() if path.exists() else None) == before


@pytest.mark.parametrize(("name", "code"), [("current", 1), ("check", 2)])
def test_a_directory_that_is_not_there_is_named(tmp_path, name, code):
    done = CliRunner().invoke(main, ["db", name, "--database", f"sqlite:///{tmp_path}/nowhere/fmd.db"])
    assert done.exit_code == code
    assert f"there is no directory {tmp_path}/nowhere" in done.stderr
    assert "db upgrade" not in done.output


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (missing, f"Created the tables fmd_*, of revision {HEAD}"),
        (empty, f"Created the tables fmd_*, of revision {HEAD}"),
        (older, f"Upgraded from revision 0001 to {HEAD}"),
        (up_to_date, f"Nothing to do: the tables are of revision {HEAD}, the newest"),
    ],
)
def test_an_upgrade_leads_to_the_newest(run, path, state, said):
    state(path)
    done = run("db", "upgrade")
    assert (done.exit_code, done.stdout) == (0, f"{said}\n")
    assert run("db", "check").exit_code == 0


def test_a_newer_database_is_left_alone(run, path):
    newer(path)
    done = run("db", "upgrade")
    assert done.exit_code == 1
    assert "upgrade fmd-otel here" in done.stderr
    assert run("db", "current").stdout.count("9999") == 1


def test_a_newer_database_that_we_may_write_to_is_left_as_it_is(run, path):
    newer_and_alike(path)
    done = run("db", "upgrade")
    assert done.exit_code == 0
    assert done.stdout.startswith("Nothing to do: the tables are of revision 9999")
    assert run("db", "current").stdout.count("9999") == 1
    done = run("prune", "--older-than", "1d", "--yes")
    assert done.exit_code == 1
    assert "prune them with the newer one" in done.stderr


def test_what_applications_do_not_apply_by_themselves_is_told_and_applied_on_request(run, path, monkeypatch):
    older(path, REVISIONS[-2])
    monkeypatch.setattr("fmd_otel_exporter.migrations.NOT_ADDITIVE", frozenset({HEAD}))
    done = run("db", "check")
    assert done.exit_code == 1
    assert f"Revision {HEAD} changes what is there: applications do not apply it by themselves" in done.stderr
    with pytest.raises(StorageError):
        open_store(f"sqlite:///{path}")
    assert run("db", "upgrade").stdout == f"Upgraded from revision {REVISIONS[-2]} to {HEAD}\n"
    assert run("db", "check").exit_code == 0


@pytest.mark.parametrize(("command", "code"), [("current", 1), ("check", 2), ("upgrade", 1)])
def test_a_server_that_is_away_is_told_without_the_password(command, code):
    done = CliRunner().invoke(main, ["db", command, "--database", UNREACHABLE])
    assert done.exit_code == code
    assert "cannot be reached" in done.stderr
    assert "hunter2" not in done.output


@pytest.mark.parametrize("command", ["current", "check", "upgrade"])
def test_a_wrong_option_exits_with_2(command):
    done = CliRunner().invoke(main, ["db", command, "--table-prefix", "no good"])
    assert done.exit_code == 2
    assert "option --table-prefix='no good'" in done.stderr


def test_prefix_and_file_say_which_tables_are_meant(run, path, tmp_path):
    assert run("db", "upgrade", "--table-prefix", "shop").exit_code == 0
    file = tmp_path / "config.cfg"
    file.write_text(f"[database]\nDATABASE=sqlite:///{path}\nTABLE_PREFIX=shop\n")
    done = CliRunner().invoke(main, ["db", "check", "--config", str(file)])
    assert (done.exit_code, done.stdout) == (0, f"Up to date: revision {HEAD}\n")
    assert run("db", "check").exit_code == 1


# vacuum


def test_a_vacuumed_file_is_smaller_and_holds_the_same(run, path):
    store = open_store(f"sqlite:///{path}")
    Writer(store).write(
        [
            RequestRecord("s", "e", n, n.to_bytes(8, "big"), bytes(16), 1, 200, "GET", "1", f"user {n}")
            for n in range(20_000)
        ]
    )
    with store.write() as connection:
        connection.execute(text("DELETE FROM fmd_request WHERE ts > 10"))
    store.dispose()
    before = path.stat().st_size
    done = run("vacuum")
    assert done.exit_code == 0
    assert f"{path} had {before / 1e6:.1f} MB and has {path.stat().st_size / 1e6:.1f} MB now" in done.stdout
    assert path.stat().st_size < before - 1_000_000
    store = open_store(f"sqlite:///{path}")
    with store.read() as connection:
        assert connection.scalar(text("SELECT count(*) FROM fmd_request")) == 11
        assert connection.scalar(text("PRAGMA integrity_check")) == "ok"
    store.dispose()


def test_a_disk_that_is_too_full_to_vacuum_is_told(run, path, monkeypatch):
    up_to_date(path)
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    done = run("vacuum")
    assert done.exit_code == 1
    assert "make room there first" in done.stderr


def test_there_is_nothing_to_vacuum_where_there_is_no_database(run, path):
    done = run("vacuum")
    assert done.exit_code == 1
    assert "there is no SQLite database" in done.stderr
    assert not path.exists()


def test_wrong_sums_are_made_anew(run, path):
    store = open_store(f"sqlite:///{path}")
    hour_us = 3_600_000_000
    then_us = (time.time_ns() // 1000 // hour_us - 30) * hour_us
    Writer(store).write(
        [
            RequestRecord("s", "e", then_us + n * hour_us, bytes([n] * 8), bytes(16), 5, 200, "GET", "1")
            for n in range(1, 4)
        ]
    )
    assert run("db", "rebuild").stdout.endswith("made 0 anew.\n")
    with store.write() as connection:
        connection.execute(store.tables.hits.delete())
    since = datetime.fromtimestamp((then_us + 3 * hour_us) / 1e6, timezone.utc).strftime("%Y-%m-%d %H:%M")
    assert run("db", "rebuild", "--to", since).stdout == "Compared 2 hours; made 2 anew.\n"
    done = run("db", "rebuild", "--from", since)
    assert done.stdout.endswith("made 1 anew.\n")
    assert "100 %" in done.stderr
    with store.read() as connection:
        assert connection.scalar(text("SELECT sum(n) FROM fmd_hits")) == 3
    assert run("db", "rebuild", "--from", "2026-02-01", "--to", "2026-01-01").exit_code == 2
    store.dispose()


@pytest.mark.parametrize(
    ("url", "statement"),
    [("postgresql://h/d", "VACUUM (FULL"), ("mysql://h/d", "OPTIMIZE TABLE shop_request")],
)
def test_on_a_server_it_says_what_its_owner_can_do(url, statement):
    assert statement in dialect_for(url).vacuum("shop")
