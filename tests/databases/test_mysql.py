"""What is particular to MariaDB and MySQL."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection, event, func, insert, select, text
from sqlalchemy.exc import IntegrityError

from fmd_otel_exporter.dialects.mysql_rows import chunks
from fmd_otel_exporter.errors import StorageError
from fmd_otel_exporter.rollups import compact_days
from fmd_otel_exporter.store import Store, open_store
from fmd_otel_exporter.writer import Writer


@pytest.fixture
def kind() -> str:
    return "odd_mariadb"


def test_tables_are_of_the_engine_and_encoding_they_need(store: Store, server):
    found = server.run(
        "SELECT table_name, engine, table_collation FROM information_schema.tables "
        "WHERE table_schema LIKE 'fmd_test_%' AND table_name LIKE 'fmd_%' AND table_name NOT LIKE '%version'"
    )
    assert {row[0] for row in found} >= set(store.tables.metadata.tables) - {"fmd_version"}
    assert {(row[1], row[2]) for row in found} == {("InnoDB", "utf8mb4_bin")}


def test_the_server_warns_of_nothing_that_is_written(store: Store, record):
    warned: list[str] = []

    def look(_connection, cursor, statement: str, *_) -> None:
        if cursor.warning_count:
            warned.append(statement)

    engine = store._engine("write")
    event.listen(engine, "after_cursor_execute", look)
    try:
        for _ in range(2):  # as new rows, and as more of the same
            Writer(store).write([record(ts_us=1), record(ts_us=2)])
    finally:
        event.remove(engine, "after_cursor_execute", look)
    assert not warned


def test_an_error_shows_no_values(store: Store):
    user = store.tables.user
    with pytest.raises(Exception, match="Data too long") as caught, store.write() as connection:
        connection.execute(
            insert(user).values(username="x" * 300, password_hash="s3cret", role="admin", created_ts=1)
        )
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("lengths", "room", "expected"),
    [
        ([], 10, []),
        ([3, 3, 3], 12, [3]),
        ([3, 3, 3], 8, [2, 1]),
        ([3, 3, 3], 7, [1, 1, 1]),
        ([50, 1, 50], 8, [1, 1, 1]),
    ],
)
def test_rows_are_cut_so_that_a_statement_fits(lengths: list[int], room: int, expected: list[int]):
    texts = ["x" * length for length in lengths]
    cut = list(chunks(texts, room))
    assert [len(part) for part in cut] == expected
    assert [text for part in cut for text in part] == texts


def test_letters_of_several_bytes_count_as_several():
    assert [len(part) for part in chunks(["üü", "üü"], 9)] == [1, 1]


@pytest.mark.parametrize(
    "option", ["ssl_ca=/nowhere", "ssl=true", "connect_timeout=soon", "sslmode=require", "cursorclass=x"]
)
def test_an_option_that_leads_to_nothing_is_named(url: str, option: str):
    with pytest.raises(StorageError, match="with the options of the setting DATABASE") as caught:
        open_store(f"{url}?{option}")
    assert option.partition("=")[0] in str(caught.value)


@pytest.mark.parametrize("option", ["autocommit=true", "autocommit=false", "use_unicode=0"])
def test_no_option_makes_half_batches_or_other_texts(url: str, option: str, record):
    """PyMySQL takes any text for true, and would keep each statement of a batch that ends early."""
    store = open_store(f"{url}?{option}")
    batch, records = store.tables.batch, [record(group_by="Zoë")]

    def insert_twice(connection: Connection) -> None:
        for _ in range(2):
            connection.execute(insert(batch).values(id=b"x" * 16, ts=1))

    with pytest.raises(IntegrityError):
        store.run(insert_twice)
    with store.read() as connection:
        assert connection.execute(select(batch)).first() is None
    assert Writer(store).write(records) == (1, 0)
    assert Writer(store).write(records) == (0, 1)
    store.dispose()


def test_a_url_has_to_name_the_database():
    with pytest.raises(StorageError, match="which database of the server"):
        open_store("mysql://root@127.0.0.1")


def test_the_end_of_each_endpoint_is_looked_up_and_not_looked_for(store: Store, record):
    """Their optimizers differ in what they find their way by."""
    Writer(store).write([record(endpoint=f"e{n % 3}") for n in range(3000)])
    request = store.tables.request
    with store.write() as connection:
        connection.execute(text(f"ANALYZE TABLE {request.name}"))  # the server does so by itself, some time
    for newest in (False, True):
        ends = store.dialect.ends_of_each(store.tables.endpoint, request.c.ts, newest=newest)
        with store.read() as connection:
            connection.execute(text("FLUSH STATUS"))
            assert len(connection.execute(ends).all()) == 3
            read = connection.execute(text("SHOW SESSION STATUS LIKE 'Handler_read%'"))
            assert sum(int(row[1]) for row in read) < 50


def test_a_day_is_summed_up_without_reading_the_others(store: Store, record, noon_us):
    """As they would for a subquery of endpoints."""
    day_us = 86_400_000_000
    Writer(store).write(
        [
            record(endpoint=f"e{n % 2}", ts_us=noon_us - day * day_us, duration_us=1000 * n)
            for n in range(1, 150)
            for day in range(10)
        ]
    )
    compact_days(store, now_ts_us=noon_us + 2 * day_us)
    Writer(store).write([record(endpoint="e0", ts_us=noon_us)])
    with store.write() as connection:
        connection.execute(text(f"ANALYZE TABLE {store.tables.lat_hist.name}"))
    read: list[int] = []
    replace = store.dialect.replace_sums

    def counted(connection, *arguments):
        connection.execute(text("FLUSH STATUS"))
        replace(connection, *arguments)
        found = connection.execute(text("SHOW SESSION STATUS LIKE 'Handler_read%'"))
        read.append(sum(int(row[1]) for row in found if row[0] != "Handler_read_rnd_next"))

    store.dialect.replace_sums = counted
    assert compact_days(store, now_ts_us=noon_us + 2 * day_us) == 1
    assert 0 < sum(read) < 1000  # of 2980 rows of ten days


def test_sizes_are_of_now(store: Store, record):
    """MySQL would tell again what it told a moment ago, for a day."""
    told = []
    for _ in range(2):
        Writer(store).write([record() for _ in range(400)])
        with store.read() as connection:
            told.append(store.dialect.sizes(connection, store.prefix).tables["request"].rows)
    assert told[1] > told[0]


@pytest.mark.parametrize(
    ("charset", "option"),
    [("latin1", ""), ("utf8mb3", "?charset=latin1"), ("ascii", "?init_command=SET+NAMES+latin1")],
)
def test_whatever_encoding_a_database_has_ours_holds_every_text(
    server, url: str, charset: str, option: str, record
):
    server.run(f"ALTER DATABASE {url.rpartition('/')[2]} CHARACTER SET {charset}")
    store = open_store(f"{url}{option}")
    names = {"Zoë", "\N{GRINNING FACE}", "日本", "\N{EURO SIGN}"}
    written = [record(endpoint=name, version=name, group_by=name, method=name) for name in names]
    assert Writer(store).write(written) == (4, 0)
    with store.read() as connection:
        for column in (store.tables.endpoint.c.name, store.tables.version.c.name):
            kept = connection.execute(select(column, func.char_length(column)))
            assert {(row[0], row[1]) for row in kept} == {(name, len(name)) for name in names}
        of_columns = text(
            "SELECT table_name, character_set_name FROM information_schema.columns "
            "WHERE table_schema = DATABASE() AND character_set_name IS NOT NULL"
        )
        charsets = {row[1] for row in connection.execute(of_columns) if not row[0].endswith("version")}
    assert charsets == {"utf8mb4"}
    store.dispose()
