"""What is particular to PostgreSQL."""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from fmd_otel_exporter.dialects.postgresql import PostgresqlDialect
from fmd_otel_exporter.dialects.postgresql_connection import bounded
from fmd_otel_exporter.dialects.postgresql_errors import NoAnswerError
from fmd_otel_exporter.errors import StorageError
from fmd_otel_exporter.level_rule import LevelRule
from fmd_otel_exporter.pipeline import Pipeline
from fmd_otel_exporter.records import EndpointInfo
from fmd_otel_exporter.settings import ExporterSettings
from fmd_otel_exporter.store import open_store
from fmd_otel_exporter.writer import Writer
from tests.ending import end
from tests.exporter.details import exception

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator


def conversation() -> Generator[str, int, str]:
    heard = [(yield "first"), (yield "second")]
    return f"heard {heard}"


def test_news_are_passed_on_and_the_result_is_kept():
    waiting = bounded(conversation(), 5, clock=lambda: 0.0)
    assert next(waiting) == "first"
    assert waiting.send(1) == "second"
    with pytest.raises(StopIteration) as end:
        waiting.send(2)
    assert end.value.value == "heard [1, 2]"


def test_silence_is_ended_and_news_begin_the_wait_anew():
    clock = [0.0]

    def endless() -> Generator[str, int, None]:
        while True:
            yield "more"

    waiting: Generator[Any, Any, Any] = bounded(endless(), 5, clock=lambda: clock[0])
    next(waiting)
    for now, news in ((4.0, 0), (5.0, 1), (9.0, 0), (10.0, 0)):
        clock[0] = now
        assert waiting.send(news) == "more"
    clock[0] = 10.1
    with pytest.raises(NoAnswerError, match="silent for 5 s"):
        waiting.send(0)


@pytest.fixture
def kind() -> str:
    return "postgresql"


@pytest.mark.parametrize("option", ["autocommit=true", "prepare_threshold=5", "prepare_threshold=None"])
def test_what_an_option_says_of_transactions_and_statements_is_up_to_us(url: str, option: str, record):
    store = open_store(f"{url}?{option}")
    assert Writer(store).write([record()]) == (1, 0)
    with store.read() as connection:
        driver = connection.connection.driver_connection
        assert (driver.autocommit, driver.prepare_threshold) == (False, None)
    store.dispose()


@pytest.fixture(params=["LATIN1", "SQL_ASCII"])
def other_encoding(request, server) -> Iterator[tuple[str, str]]:
    """A database of an encoding that does not hold all texts, and which."""
    name = f"fmd_test_{os.getpid()}_{secrets.token_hex(4)}"
    server.run(
        f"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{request.param}' LC_COLLATE 'C' LC_CTYPE 'C'"
    )
    yield server.url_of(name), request.param
    server.kill(name)
    server.run(f"DROP DATABASE {name}")


def test_a_database_that_cannot_hold_all_texts_gets_no_tables(other_encoding):
    url, encoding = other_encoding
    name = url.rpartition("/")[2]
    with pytest.raises(StorageError, match=f"{name}.* has the encoding {encoding}, .*CREATE DATABASE .*UTF8"):
        open_store(url)
    with pytest.raises(StorageError, match="are missing"):
        open_store(url, migrate=False)


def test_one_that_is_in_use_counts_requests_whose_texts_it_cannot_hold(
    other_encoding, record, rows, monkeypatch
):
    url, encoding = other_encoding
    with monkeypatch.context() as patched:
        patched.setattr(PostgresqlDialect, "require_text", lambda *_: None)
        store = open_store(url)
    names = ["Zo\xeb", "\u20ac", "\u65e5" * 200, "\u65e6" * 200]
    pipeline = Pipeline(ExporterSettings(database=url, delay_ms=10, batch_size=62))
    pipeline.announce([EndpointInfo("shop", name, f"/{name}", "GET") for name in names])
    for name in names:
        pipeline.offer(record(endpoint=name, version=name, group_by=name))
        pipeline.offer_detail(exception(endpoint=name, message=name, group_by=name))
    assert pipeline.force_flush(60_000)
    counters = pipeline.counters()
    assert (counters.accepted, counters.written, counters.duplicate, counters.dropped) == (4, 4, 0, {})
    assert (counters.details_written, counters.details_dropped) == (4, 0)
    end(pipeline)
    kept = {row["name"] for row in rows(store, "endpoint")}
    assert len(kept) == 4
    assert "Zo\xeb" in kept
    assert ("\\u20ac" if encoding == "LATIN1" else "\u20ac") in kept
    store.dispose()


def test_rules_of_a_service_that_it_cannot_name_hold_up_no_requests(other_encoding, record, monkeypatch):
    url, _ = other_encoding
    with monkeypatch.context() as patched:
        patched.setattr(PostgresqlDialect, "require_text", lambda *_: None)
        open_store(url).dispose()
    rules = (LevelRule("cart", 2),)
    pipeline = Pipeline(ExporterSettings(database=url, delay_ms=10, default_rules=rules))
    pipeline.announce([EndpointInfo("\u5e97", "cart", "/cart", "GET")])
    pipeline.offer(record(service="\u5e97", endpoint="cart"))
    assert pipeline.force_flush(60_000)
    counters = pipeline.counters()
    assert (counters.written, counters.dropped) == (1, {})
    end(pipeline)


def test_a_session_is_the_same_on_every_server(store):
    with store.read() as connection:
        shown = {
            name: connection.exec_driver_sql(f"SHOW {name}").scalar()
            for name in ("transaction_isolation", "transaction_read_only", "jit", "statement_timeout")
        }
    assert shown == {
        "transaction_isolation": "repeatable read",
        "transaction_read_only": "on",
        "jit": "off",
        "statement_timeout": "30s",
    }
    with store.write() as connection:
        assert connection.exec_driver_sql("SHOW transaction_isolation").scalar() == "read committed"


def test_nothing_stays_behind_in_a_session_that_a_pooler_gives_to_others(store, record):
    """PgBouncer, for one, may run each transaction in another session, which is somebody else's by then."""
    writer = Writer(store)
    asked = text("SELECT count(*) FROM pg_prepared_statements")
    for n in range(12):  # psycopg prepares what comes for the sixth time
        writer.write([record(endpoint=f"e{each}", version=f"{n}") for each in range(3)])
        with store.read() as connection:
            assert connection.scalar(asked) == 0
    with store.write() as connection:
        assert connection.scalar(asked) == 0
    with store.dialect.migration_lock(), store.read() as connection:
        begun = (
            "SELECT a.xact_start FROM pg_locks l JOIN pg_stat_activity a USING (pid) "
            "WHERE l.locktype = 'advisory' AND a.datname = current_database()"
        )
        assert None not in connection.scalars(text(begun)).all()
        assert connection.scalars(text(begun)).all()
