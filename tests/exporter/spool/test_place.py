from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from fmd_otel_exporter.spool import spool_directory

HOME = {"HOME": tempfile.gettempdir()}


def place(url: str, prefix: str = "fmd", **options: object) -> Path | None:
    return spool_directory(url, prefix, **{"environ": HOME, **options})


def test_a_sqlite_database_keeps_its_spool_beside_itself(tmp_path) -> None:
    assert place(f"sqlite:///{tmp_path}/a.db") == tmp_path / "a.db.spool" / "fmd"
    assert place(f"sqlite+pysqlite:///{tmp_path}/a.db?timeout=3") == tmp_path / "a.db.spool" / "fmd"


def test_a_relative_database_is_found_from_the_working_directory(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert place("sqlite:///a.db") == tmp_path / "a.db.spool" / "fmd"


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "sqlite:///file:x?mode=memory&uri=true"])
def test_a_database_in_memory_has_no_spool(url) -> None:
    assert place(url) is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("postgresql://u:old@h/d", "postgresql://u:new@h/d"),
        ("postgresql://u@h/d", "postgresql+psycopg://u@h/d"),
        ("postgresql://u@H/d", "postgresql://u@h/d"),
        ("postgresql://u@h/d?a=1&b=2", "postgresql://u@h/d?b=2&a=1"),
        ("postgresql://h/d?password=x", "postgresql://h/d"),
        ("postgresql://u:p@ss:word@h/d", "postgresql://u:other@h/d"),
        ("postgresql://u:s3#cret@h/d", "postgresql://u:other@h/d"),
        ("postgresql://u:s3?cr/e[t@h/d?a=1", "postgresql://u:other@h/d?a=1"),
    ],
)
def test_what_changes_without_changing_the_database_keeps_the_spool(one, other) -> None:
    assert place(one) == place(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("postgresql://u@h/d", "fmd"), ("postgresql://u@h/d", "fmd2")),
        (("postgresql://u@h/d", "fmd"), ("postgresql://u@h/e", "fmd")),
        (("postgresql://u@h/d", "fmd"), ("postgresql://u@h2/d", "fmd")),
        (("postgresql://u@h:5432/d", "fmd"), ("postgresql://u@h:5433/d", "fmd")),
        (("postgresql://u@h/d", "fmd"), ("mysql://u@h/d", "fmd")),
        (("postgresql://u:s3#cret@h/d", "fmd"), ("postgresql://u:s3#cret@h/e", "fmd")),
        (("postgresql://u:s3?cret@h/d", "fmd"), ("postgresql://u:s3?cret@h2/d", "fmd")),
        (("postgresql://u@h/d#1", "fmd"), ("postgresql://u@h/d#2", "fmd")),
        (("sqlite:////b.db", "fmd"), ("sqlite:////c.db", "fmd")),
        (("sqlite:////b#1.db", "fmd"), ("sqlite:////b#2.db", "fmd")),
        (("sqlite:////b.db", "fmd"), ("sqlite:////b.db", "fmd2")),
    ],
)
@pytest.mark.parametrize("configured", [None, "/var/spool/fmd"])
def test_two_databases_or_prefixes_never_share_a_spool(one, other, configured) -> None:
    assert place(*one, configured=configured) != place(*other, configured=configured)


def test_no_part_of_the_url_is_shown_in_the_path() -> None:
    assert "secret" not in str(place("postgresql://u:secret@h/d"))


def test_the_state_directory_is_taken_where_there_is_one(tmp_path) -> None:
    url = "postgresql://u@h/d"
    state = place(url, environ={"XDG_STATE_HOME": str(tmp_path / "state"), "HOME": str(tmp_path)})
    assert state is not None
    assert state.is_relative_to(tmp_path / "state" / "fmd-otel" / "spool")
    home = place(url, environ={"HOME": str(tmp_path)})
    assert home is not None
    assert home.is_relative_to(tmp_path / ".local" / "state" / "fmd-otel" / "spool")


@pytest.mark.parametrize("environ", [{}, {"HOME": "/"}, {"HOME": "/nonexistent"}, {"HOME": "relative"}])
def test_without_a_home_the_temporary_directory_is_taken(environ) -> None:
    found = place("postgresql://u@h/d", environ=environ)
    assert found is not None
    assert found.parent == Path(tempfile.gettempdir())


def test_a_configured_directory_wins(tmp_path) -> None:
    found = place(f"sqlite:///{tmp_path}/a.db", configured=str(tmp_path / "here"))
    assert found is not None
    assert found.parent == tmp_path / "here"
