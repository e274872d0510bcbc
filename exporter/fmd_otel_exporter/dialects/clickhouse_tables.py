"""What becomes of our tables in ClickHouse: engines, types, and sums that are made of raw rows.

A table says by its ``kind`` what it is for:

* ``raw`` rows are only ever added: a MergeTree in the order of the key, a partition a month.
* ``sum`` rows are added up by their key, in the background and by whoever reads (the setting ``final``).
* ``meta`` rows are few and change: the newest version of each counts, and a version may say that the row is
  gone. ClickHouse's own UPDATE and DELETE are heavy work in the background that others wait for.

Of ``meta`` tables, one has columns that every batch changes. There a change is a row in which only those
columns are filled in, and rows of one key are laid over each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import String, Table, UniqueConstraint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Column

VERSION = "fmd_version"
GONE = "fmd_gone"
OWN_COLUMNS = (VERSION, GONE)
"""Columns of ``meta`` tables that only ClickHouse has."""
WINDOW = 100_000
"""Inserts of a table after which one that is sent again is no longer recognised by ClickHouse itself."""
_DAY_S = 86_400
_TALLIES = {"endpoint": {"first_ts": "min", "last_ts": "max", "level0_n": "sum"}}
"""Columns that every batch changes, and how their values go together."""
_PARTITIONS = {
    "ts": "toYYYYMM(fromUnixTimestamp64Micro({}))",
    "bucket": "toYYYYMM(fromUnixTimestamp64Micro({} * 1000000))",
    "day": "toYYYYMM(fromUnixTimestamp64Micro({} * 1000000))",
}
_SUMMED = {"hits": 900, "lat_hist": 3600}
_SMALL_STEPS = "index_granularity = 1024, min_compress_block_size = 8192, max_compress_block_size = 65536"
"""Requests are read by the quarter of an hour of each endpoint: of the usual 8,192 rows at a time, and blocks
as large, nearly all would be read and unpacked for nothing. It takes one per cent more space."""
_COUNT = "toInt64(count()) AS n"
_TIMES = "sum(duration) AS sum_us, min(duration) AS min_us, max(duration) AS max_us"


def kind_of(table: Table) -> str:
    """Return what a table is for."""
    return str(getattr(table, "info", {}).get("kind", "meta"))


def tallies_of(table: Table) -> dict[str, str]:
    """Return the columns of a table that every batch changes; there are none in most."""
    for name, columns in _TALLIES.items():
        if table.name.endswith(f"_{name}"):
            return columns
    return {}


def is_laid_over(table: Table) -> bool:
    """Tell whether rows of one key are laid over each other, column by column."""
    return kind_of(table) == "meta" and bool(tallies_of(table))


def is_filled_by_database(table: Table) -> bool:
    """Tell whether rows of this table come from raw rows, without anybody sending them."""
    return "of" in table.info


def identity_of(table: Table) -> list[Column[object]]:
    """Return the columns by which rows are told apart, and stored."""
    if not isinstance(table, Table):
        return []  # a name only, of which nothing is known
    unique = [each for each in table.constraints if isinstance(each, UniqueConstraint)]
    if kind_of(table) == "meta" and len(unique) == 1 and not is_laid_over(table):
        return list(unique[0].columns)
    return list(table.primary_key) or list(table.columns)


def merge_of(table: Table, column: Column[object]) -> str | None:
    """Return the function by which values of a column go together where rows of one key meet."""
    if column.primary_key:
        return None
    if is_laid_over(table):
        return tallies_of(table).get(column.name, "anyLast")
    if kind_of(table) != "sum":
        return None
    start = column.name.partition("_")[0]
    return {"min": "min", "max": "max", "first": "min", "last": "max"}.get(start, "sum")


def type_of(table: Table, column: Column[object], plain: str) -> str:
    """Return the type of a column, given the one its values have."""
    if isinstance(column.type, String) and kind_of(table) == "raw" and (column.type.length or 99) <= 16:  # noqa: PLR2004 # methods
        plain = f"LowCardinality({plain})"
    merge = merge_of(table, column)
    laid_over = is_laid_over(table) and merge is not None
    if (column.nullable or laid_over) and not column.primary_key:
        plain = f"Nullable({plain})"
    return plain if merge is None else f"SimpleAggregateFunction({merge}, {plain})"


def engine_of(table: Table) -> str:
    """Return what follows the columns in ``CREATE TABLE``."""
    kind, order = kind_of(table), ", ".join(f"`{column.name}`" for column in identity_of(table))
    engine, partition = "MergeTree", ""
    if kind == "meta":
        engine = "AggregatingMergeTree" if is_laid_over(table) else f"ReplacingMergeTree({VERSION}, {GONE})"
    elif kind == "sum":
        merges = [merge_of(table, column) for column in table.columns]
        engine = "SummingMergeTree" if {*merges} <= {None, "sum"} else "AggregatingMergeTree"
    if kind != "meta":
        by = next((column.name for column in table.columns if column.name in _PARTITIONS), None)
        partition = "" if by is None else f"PARTITION BY {_PARTITIONS[by].format(f'`{by}`')} "
    settings = f"non_replicated_deduplication_window = {WINDOW}"
    if views_of(table):
        settings += f", {_SMALL_STEPS}"
    return f"ENGINE = {engine} {partition}ORDER BY ({order}) SETTINGS {settings}"


def views_of(table: Table) -> Sequence[str]:
    """Return what has to be made besides a table: the sums that follow from its rows."""
    if not table.name.endswith("_request"):
        return ()
    prefix = table.name.removesuffix("_request")
    start = "intDiv(ts, {width} * 1000000) * {width} AS bucket"
    return [
        f"CREATE MATERIALIZED VIEW IF NOT EXISTS `{prefix}_{name}_of_request` TO `{prefix}_{name}` AS "  # noqa: S608 # our own names
        f"SELECT endpoint_id, {start.format(width=width)}, version_id, {columns} FROM `{table.name}` "
        f"GROUP BY endpoint_id, bucket, version_id, {column}"
        for (name, width), column, columns in zip(
            _SUMMED.items(),
            ("status", "bkt"),
            (f"status, {_COUNT}, {_TIMES}", f"bkt, {_COUNT}"),
            strict=True,
        )
    ]
