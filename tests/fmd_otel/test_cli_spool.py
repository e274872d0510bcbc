"""``fmd-otel spool``: what it says of requests that wait, and how it gets them into the database."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from fmd_otel.cli import main
from fmd_otel_exporter.spool import spool_directory
from fmd_otel_exporter.spool.segment import FILE_HEADER, frame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SERVE = """
import os, sys, time
from fmd_otel_exporter.pipeline import Pipeline
from fmd_otel_exporter.records import RequestRecord
from fmd_otel_exporter.settings import ExporterSettings
pipeline = Pipeline(ExporterSettings.from_env())
for n in range(int(sys.argv[1])):
    pipeline.offer(
        RequestRecord("s", "e", time.time_ns() // 1000, os.urandom(8), os.urandom(16), 5, 200, "GET", "1")
    )
print("served", flush=True)
time.sleep(1000)
"""
UNREACHABLE = "postgresql://me:hunter2@127.0.0.1:1/shop"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "fmd.db"


@pytest.fixture
def url(path: Path) -> str:
    return f"sqlite:///{path}"


@pytest.fixture
def serve(url: str, path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Serve requests in a process of its own while the database cannot be used, until it is killed."""
    path.mkdir()  # no database can be opened there
    processes = []

    def start(requests: int, database: str = url, **environ: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", SERVE, str(requests)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "FMD_OTEL_DATABASE": database, "FMD_OTEL_BATCH_SIZE": "100", **environ},
        )
        processes.append(process)
        assert process.stdout.readline() == "served\n"
        return process

    yield start
    for process in processes:
        kill(process)


def kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()


@pytest.fixture
def run(url: str):
    return lambda *arguments, database=url: CliRunner().invoke(
        main, ["spool", *arguments, "--database", database]
    )


def counts(path: Path) -> tuple[int, int]:
    with closing(sqlite3.connect(path)) as connection:
        return tuple(
            connection.execute(query).fetchone()[0]
            for query in ("SELECT count(*) FROM fmd_request", "SELECT sum(n) FROM fmd_hits")
        )


def test_nothing_waits_where_nobody_has_recorded_anything(run, path: Path):
    done = run("status")
    assert done.exit_code == 0
    assert "Nothing waits" in done.stdout
    done = run("replay")
    assert (done.exit_code, done.stdout) == (0, f"Nothing waits in {path}.spool/fmd.\n")
    assert not list(path.parent.iterdir())


def test_what_waits_for_a_running_process_is_shown_and_left_to_it(run, serve, path: Path):
    process = serve(350)
    done = run("status")
    assert done.exit_code == 0
    assert re.search(
        rf"^{process.pid} +\S+ +running +\d+ +\S+ KB +350 requests +\d+ s +-$", done.stdout, re.MULTILINE
    )
    assert "350 requests waiting" in done.stdout
    assert "fmd-otel spool replay" not in done.stdout
    path.rmdir()
    path.touch()  # and now it could be written
    process.send_signal(signal.SIGSTOP)
    path.unlink()
    done = run("replay")
    assert done.exit_code == 0
    assert "350 requests wait for a running process, which writes them" in done.stdout
    assert not path.exists()


def test_what_a_killed_process_left_is_written_once(run, serve, path: Path):
    for _ in range(2):
        kill(serve(350))
    assert "700 requests waiting" in run("status").stdout
    assert run("status").stdout.rstrip().endswith("fmd-otel spool replay")
    path.rmdir()
    done = run("replay")
    assert done.exit_code == 0, done.output
    assert "700 records of 2 processes that have ended" in done.stdout
    assert "700 new, 0 that the database had already" in done.stdout
    assert "Writing: 700 of 700 (100 %)" in done.stderr
    assert counts(path) == (700, 700)
    assert run("replay").stdout.startswith("Nothing waits")
    assert not [file for file in path.parent.glob("fmd.db.spool/**/*") if file.is_file()]


def test_what_the_database_has_already_is_recognised(run, serve, path: Path):
    kill(serve(250))
    path.rmdir()
    shutil.copytree(f"{path}.spool/fmd", path.parent / "copy")
    assert run("replay").exit_code == 0
    done = run("replay", "--spool-dir", str(path.parent / "copy"))
    assert done.exit_code == 0
    assert "0 new, 250 that the database had already" in done.stdout
    assert counts(path) == (250, 250)


def test_a_database_that_cannot_be_used_costs_nothing_and_exits_with_1(run, serve, path: Path):
    kill(serve(120))
    done = run("replay")  # there is a directory in its place
    assert done.exit_code == 1
    assert "is a directory" in done.stderr
    assert "0 of 120 are written; the rest waits where it was" in done.stderr
    assert "120 requests waiting" in run("status").stdout


def test_a_server_that_is_away_is_told_without_the_password(run, serve, tmp_path: Path):
    kill(serve(30, database=UNREACHABLE))
    done = run("replay", database=UNREACHABLE)
    assert done.exit_code == 1
    assert "cannot be reached" in done.stderr
    assert "30 requests waiting" in run("status", database=UNREACHABLE).stdout
    assert "hunter2" not in done.output + run("status", "--json", database=UNREACHABLE).output


def test_json_says_the_same_to_programs(run, serve, path: Path):
    kill(serve(130))
    done = run("status", "--json")
    assert done.exit_code == 0
    told = json.loads(done.stdout)
    (process,) = told.pop("processes")
    assert told.pop("oldest_age_s") == process["oldest_age_s"] >= 0
    assert told.pop("bytes") == process["bytes"] > 130 * 50
    assert told == {
        "database": f"sqlite:///{path}",
        "directory": f"{path}.spool/fmd",
        "error": None,
        "segments": process["segments"],
        "records": 130,
        "kinds": {"requests": 130},
        "set_aside": 0,
        "unreadable": 0,
        "dropped": 0,
    }
    assert (process["alive"], process["records"]) == (False, 130)


def test_dropped_requests_are_told(run, serve):
    serve(40_000, FMD_OTEL_SPOOL_MB="1", FMD_OTEL_DELAY_MS="10")
    deadline = time.monotonic() + 300
    while not (dropped := json.loads(run("status", "--json").stdout)["dropped"]):
        assert time.monotonic() < deadline
    assert 1000 < dropped < 40_000
    assert "dropped: lost since the process started" in run("status").stdout


def test_what_has_no_lock_file_needs_a_person_s_word(run, serve, path: Path):
    kill(serve(50))
    path.rmdir()
    for lock in path.parent.glob("fmd.db.spool/fmd/*.lock"):
        lock.unlink()
    assert "unknown: the lock file is gone" in run("status").stdout
    done = run("replay")
    assert done.exit_code == 0
    assert "stop the applications and add --without-lock-file" in done.stdout
    done = run("replay", "--without-lock-file")
    assert (done.exit_code, counts(path)) == (0, (50, 50))


def test_records_of_a_newer_release_are_kept_for_it(run, serve, path: Path):
    kill(serve(10))
    path.rmdir()
    (segment, *_) = path.parent.glob("fmd.db.spool/fmd/*.seg")
    with segment.open("ab") as file:
        file.write(frame(200, b"from tomorrow"))
    assert "1 kind 200" in run("status").stdout
    done = run("replay")
    assert done.exit_code == 0
    assert "1 record of a newer fmd-otel" in done.stderr
    assert counts(path) == (10, 10)
    assert "1 record of a newer fmd-otel wait" in run("status").stdout


def test_a_record_that_cannot_be_written_is_told_and_costs_no_other(run, serve, path: Path, monkeypatch):
    kill(serve(20))
    path.rmdir()
    from fmd_otel_exporter.writer import Writer  # noqa: PLC0415

    write, seen = Writer.write, []

    def refuse_one(self, records):
        seen[:0] = [] if seen else [records[7].span_id]
        if any(record.span_id == seen[0] for record in records):
            raise ValueError("no row can hold this")
        return write(self, records)

    monkeypatch.setattr(Writer, "write", refuse_one)
    done = run("replay")
    assert done.exit_code == 1
    assert "1 record could not be written (no row can hold this)" in done.stderr
    assert counts(path) == (19, 19)


def test_ctrl_c_leaves_the_rest_where_it_was(run, serve, path: Path, monkeypatch):
    kill(serve(350))
    path.rmdir()
    from fmd_otel_exporter.writer import Writer  # noqa: PLC0415

    write, calls = Writer.write, []

    def interrupted(self, records):
        calls.append(len(records))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return write(self, records)

    with monkeypatch.context() as patch:
        patch.setattr(Writer, "write", interrupted)
        done = run("replay")
    assert done.exit_code == 130
    written = sum(calls[:2])
    assert f"Stopped. {written} are written; the rest waits" in done.stderr
    assert f"{350 - written} requests waiting" in run("status").stdout
    assert run("replay").exit_code == 0
    assert counts(path) == (350, 350)


# The wrong place


def test_a_directory_that_is_not_there_exits_with_2(run, tmp_path: Path):
    done = run("status", "--spool-dir", str(tmp_path / "nowhere"))
    assert done.exit_code == 2
    assert "there is no such directory" in done.stderr


def test_a_directory_with_other_databases_requests_names_them(run, serve, tmp_path: Path):
    chosen = str(tmp_path / "spools")
    kill(serve(10, FMD_OTEL_SPOOL_DIR=chosen))
    assert "10 requests waiting" in run("status", "--spool-dir", chosen).stdout
    other = run("replay", "--spool-dir", chosen, database="sqlite:////elsewhere.db")
    assert other.exit_code == 2
    name = next((tmp_path / "spools").iterdir()).name
    assert name in other.stderr
    assert "for others" in other.stderr


def test_the_directory_beside_the_database_may_be_named_in_any_way(run, serve, path: Path):
    kill(serve(10))
    for named in (f"{path}.spool", f"{path}.spool/fmd"):
        assert "10 requests waiting" in run("status", "--spool-dir", named).stdout


def test_a_directory_that_cannot_be_read_exits_with_1(run, path: Path):
    place = spool_directory(f"sqlite:///{path}", "fmd")
    place.parent.mkdir()
    place.write_text("a file is in the way")
    for command in ("status", "replay"):
        done = run(command)
        assert done.exit_code == 1
        assert f"{place} cannot be read (Not a directory)" in done.stderr
        assert "Nothing waits" not in done.output


def test_a_damaged_segment_is_told_and_the_rest_written(run, serve, path: Path):
    kill(serve(20))
    path.rmdir()
    segment = max(path.parent.glob("fmd.db.spool/fmd/*.seg"), key=lambda each: each.stat().st_size)
    data = bytearray(segment.read_bytes())
    data[len(FILE_HEADER) + 5] ^= 0xFF
    segment.write_bytes(data)
    done = run("replay")
    assert done.exit_code == 0
    assert "Lost: 1 damaged stretch" in done.stderr
    assert counts(path) == (19, 19)


def test_what_cannot_be_read_just_now_is_told_and_left_for_another_time(run, serve, path: Path, monkeypatch):
    kill(serve(20))
    path.rmdir()

    def read(_path: Path) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patched:
        patched.setattr("fmd_otel_exporter.spool.delivery.read_segment", read)
        done = run("replay")
    assert done.exit_code == 0
    assert "20 records could not be read just now; run this again." in done.stderr
    assert run("replay").exit_code == 0
    assert counts(path) == (20, 20)


def test_a_database_in_memory_has_no_spool(run):
    done = run("status", database="sqlite://")
    assert done.exit_code == 0
    assert "wait in memory" in done.stdout
    assert run("replay", database="sqlite://").stdout == "Nothing waits on disk.\n"


DETAILS = """
import os, sys, time
from fmd_otel_exporter.pipeline import Pipeline
from fmd_otel_exporter.records import ExceptionRecord, RequestRecord
from fmd_otel_exporter.settings import ExporterSettings
pipeline = Pipeline(ExporterSettings.from_env())
for n in range(int(sys.argv[1])):
    now_us, span, trace = time.time_ns() // 1000, os.urandom(8), os.urandom(16)
    pipeline.offer(RequestRecord("s", "e", now_us, span, trace, 5, 500, "GET", "1"))
    if n % 2:
        pipeline.offer_detail(ExceptionRecord("s", "e", "1", now_us, span, trace, 7, 1, "T", "m", None, b"x"))
print("served", flush=True)
time.sleep(1000)
"""


def test_details_of_requests_are_told_and_written_too(run, serve, path: Path, monkeypatch):
    monkeypatch.setattr(f"{__name__}.SERVE", DETAILS)
    kill(serve(60))
    told = json.loads(run("status", "--json").stdout)
    assert told["kinds"] == {"requests": 60, "exceptions": 30}
    assert len(told["processes"]) == 1
    assert "60 requests, 30 exceptions waiting" in run("status").stdout
    path.rmdir()
    done = run("replay")
    assert done.exit_code == 0, done.output
    assert "90 records of a process that has ended" in done.stdout
    assert "Writing: 90 of 90 (100 %)" in done.stderr
    assert counts(path) == (60, 60)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT sum(n) FROM fmd_exception_hits").fetchone() == (30,)
    assert run("replay").stdout.startswith("Nothing waits")
