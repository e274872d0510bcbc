from __future__ import annotations

import errno
import sqlite3
import threading
import time
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.exc import IntegrityError

from fmd_otel_exporter.errors import StorageError
from fmd_otel_exporter.schema import build_tables
from fmd_otel_exporter.store import Store, open_store
from fmd_otel_exporter.writer import Writer, WriteResult

if TYPE_CHECKING:
    from pathlib import Path


def test_the_database_is_created_with_a_write_ahead_log(store: Store):
    with store.write() as connection:
        assert connection.scalar(text("PRAGMA journal_mode")) == "wal"
        assert connection.scalar(text("PRAGMA synchronous")) == 1
        assert connection.scalar(text("PRAGMA busy_timeout")) == 10_000


def test_a_database_of_another_journal_mode_is_switched_when_opened(url: str, tmp_path: Path):
    open_store(url).dispose()
    with sqlite3.connect(tmp_path / "fmd.db") as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    connection.close()
    store = open_store(url)
    with store.read() as connection:
        assert connection.scalar(text("PRAGMA journal_mode")) == "wal"
    store.dispose()


def test_readers_cannot_write(store: Store):
    with pytest.raises(StorageError, match="cannot be written"), store.read() as connection:
        connection.execute(insert(store.tables.batch).values(id=b"x" * 16, ts=1))


def test_a_reader_sees_one_moment_and_holds_up_no_writer(store: Store):
    count = select(text("count(*)")).select_from(store.tables.batch)
    with store.read() as reader:
        assert reader.scalar(count) == 0
        with store.write() as writer:
            writer.execute(insert(store.tables.batch).values(id=b"x" * 16, ts=1))
        assert reader.scalar(count) == 0
    with store.read() as reader:
        assert reader.scalar(count) == 1


def test_a_failed_write_leaves_nothing_behind_and_faults_of_data_stay_what_they_are(store: Store):
    def write_twice() -> None:
        with store.write() as connection:
            for ts in (1, 2):
                connection.execute(insert(store.tables.batch).values(id=b"x" * 16, ts=ts))

    with pytest.raises(IntegrityError):
        write_twice()
    with store.read() as connection:
        assert connection.execute(select(store.tables.batch)).all() == []


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:"])
def test_a_database_in_memory_serves_reads_writes_and_threads(url: str, record):
    store = open_store(url)
    assert Writer(store).write([record()]) == WriteResult(1, 0)
    found: list[int] = []

    def read() -> None:
        with store.read() as connection:
            found.append(len(connection.execute(select(store.tables.request)).all()))

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [1] * 8


@pytest.mark.parametrize("name", ["with space.db", "percent%20.db", "hash#1.db", "at@host:1.db", "ünï.db"])
def test_odd_file_names_work(tmp_path: Path, name: str, record):
    path = tmp_path / name
    store = open_store(f"sqlite:///{path}")
    Writer(store).write([record()])
    store.dispose()
    assert path.stat().st_size > 0


def test_a_relative_path_is_taken_from_the_working_directory(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = open_store("sqlite:///here.db")
    monkeypatch.chdir("/")
    with store.read() as connection:
        connection.execute(select(store.tables.request))
    assert (tmp_path / "here.db").exists()
    store.dispose()


def test_a_missing_directory_is_named_and_not_created(tmp_path: Path):
    with pytest.raises(StorageError, match=rf"no directory {tmp_path}/gone; create it, or point"):
        open_store(f"sqlite:///{tmp_path}/gone/fmd.db")
    assert not (tmp_path / "gone").exists()


def test_a_directory_in_place_of_the_file_is_told(tmp_path: Path):
    with pytest.raises(StorageError, match="is a directory; name a file in it"):
        open_store(f"sqlite:///{tmp_path}")


def test_something_that_is_no_database_is_told_and_left_alone(tmp_path: Path):
    path = tmp_path / "notes.txt"
    path.write_text("dear diary " * 500)
    with pytest.raises(StorageError, match=r"notes\.txt is not a sound SQLite database"):
        open_store(f"sqlite:///{path}")
    assert path.read_text() == "dear diary " * 500


def test_a_damaged_database_is_told(url: str, tmp_path: Path):
    open_store(url).dispose()
    path = tmp_path / "fmd.db"
    data = bytearray(path.read_bytes())
    data[100:] = b"\xff" * (len(data) - 100)
    path.write_bytes(data)
    with pytest.raises(StorageError, match="not a sound SQLite database"):
        open_store(url)


def test_a_read_only_database_can_be_read_and_says_why_it_cannot_be_written(url: str, tmp_path: Path, record):
    store = open_store(url)
    Writer(store).write([record()])
    store.dispose()
    read_only = open_store(f"sqlite:///file:{tmp_path}/fmd.db?mode=ro&uri=true")
    with read_only.read() as connection:
        assert len(connection.execute(select(read_only.tables.request)).all()) == 1
    with pytest.raises(StorageError, match=r"cannot be written .* write access"):
        Writer(read_only).write([record()])
    read_only.dispose()


def test_a_directory_without_write_access_is_told(run):
    # Root may write everywhere, so the process becomes somebody else where it is root.
    code = """
import os, shutil, tempfile
import alembic.command, sqlalchemy.dialects.sqlite, fmd_otel_exporter.dialects.sqlite
from fmd_otel_exporter.store import open_store
place = tempfile.mkdtemp()
os.chmod(place, 0o555)
if os.geteuid() == 0:
    os.seteuid(65534)
try:
    open_store(f"sqlite:///{place}/fmd.db")
except Exception as exc:
    print(type(exc).__name__, exc)
"""
    output = run(code)
    assert output.startswith("StorageError no file can be written beside the SQLite database /")
    assert "give this user write access" in output


def test_a_file_system_without_locks_is_told_at_once(url: str, monkeypatch):
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    began = time.monotonic()
    with pytest.raises(StorageError, match=r"no file can be locked .*No locks available") as caught:
        open_store(url)
    assert not caught.value.busy
    assert time.monotonic() - began < 30  # others are waited for twice as long


def test_looking_without_migrating_creates_nothing(url: str, tmp_path: Path):
    with pytest.raises(StorageError, match="there is no SQLite database"):
        open_store(url, migrate=False)
    assert list(tmp_path.iterdir()) == []
    sqlite3.connect(tmp_path / "fmd.db").close()
    with pytest.raises(StorageError, match=r"tables fmd_\* of .* are missing"):
        open_store(url, migrate=False)


def test_a_file_that_disappears_is_not_created_anew_by_a_connection(store: Store, tmp_path: Path):
    store.dispose()
    assert not store.replaced()
    for path in tmp_path.glob("fmd.db*"):
        path.unlink()
    assert store.replaced()
    with pytest.raises(StorageError, match="is gone"), store.read() as connection:
        connection.execute(select(store.tables.request))
    assert not (tmp_path / "fmd.db").exists()


def test_an_unknown_database_is_refused_with_what_is_supported_and_without_the_password():
    with pytest.raises(StorageError, match=r"oracle.*supported are .*sqlite") as caught:
        open_store("oracle://me:s3cret@host/db")
    assert "s3cret" not in str(caught.value)


def test_a_busy_database_is_told_from_a_broken_one(store: Store, tmp_path: Path, monkeypatch):
    store.dispose()
    monkeypatch.setattr("fmd_otel_exporter.dialects.sqlite.BUSY_TIMEOUT_S", 0.05)
    other = sqlite3.connect(tmp_path / "fmd.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageError) as caught, store.write():
        pass
    assert caught.value.busy
    other.close()


def test_a_forked_child_opens_connections_of_its_own(store: Store, run):
    code = """
import os, sys
from sqlalchemy import text
from fmd_otel_exporter.store import open_store
store = open_store(sys.argv[1])
def ids():
    with store.write() as a, store.read() as b:
        return {id(a.connection.dbapi_connection), id(b.connection.dbapi_connection)}
before = ids()
pid = os.fork()
if pid == 0:
    os._exit(0 if not before & ids() else 1)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
assert before == ids()
print("ok")
"""
    assert run(code, store.url) == "ok"


def test_whoever_waits_for_new_tables_sees_each_of_them_made(url: str):
    made: list[None] = []
    open_store(url, on_step=lambda: made.append(None)).dispose()
    assert len(made) > len(build_tables().metadata.sorted_tables)
    made.clear()
    open_store(url, on_step=lambda: made.append(None)).dispose()
    assert not made
