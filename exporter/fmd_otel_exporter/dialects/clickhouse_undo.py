"""Takes changes of ``meta`` rows back: each gets its old values again, as its newest version."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, Column, SmallInteger

from fmd_otel_exporter.dialects.clickhouse_block import Block
from fmd_otel_exporter.dialects.clickhouse_tables import GONE, VERSION, identity_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Table

MOST = 1000
"""Rows of one change that are remembered."""
_UNDONE = 1_000_000
"""How much newer a row is that undoes a change: newer than any change of that transaction."""
_OWN = (Column(VERSION, BigInteger, nullable=False), Column(GONE, SmallInteger, nullable=False))


class Undo:
    """What rows were like before a transaction changed them."""

    def __init__(self) -> None:
        """Know of no change."""
        self._before: dict[tuple[str, tuple[Any, ...]], tuple[Table, Sequence[Any], int, int]] = {}

    def remember(self, table: Table, row: Sequence[Any], version: int, *, gone: int) -> None:
        """Keep what a row is like; what it was like at first counts."""
        places = [list(table.columns).index(column) for column in identity_of(table)]
        key = table.name, tuple(row[place] for place in places)
        self._before.setdefault(key, (table, row, version, gone))

    def forget(self) -> None:
        """Let what was done stay."""
        self._before.clear()

    def blocks(self) -> Iterator[tuple[Table, bytes, list[str]]]:
        """Yield what to insert to have it all back: tables, blocks, and names of their columns."""
        for table, row, version, gone in list(self._before.values()):
            yield table, *versions_block(table, [row], [version + _UNDONE], gone)


def versions_block(
    table: Table, rows: Sequence[Sequence[Any]], versions: Sequence[int], gone: int
) -> tuple[bytes, list[str]]:
    """Return versions of rows as a block, and the names of its columns."""
    block = Block([*table.columns, *_OWN])
    return block.write(
        [[*row, version, gone] for row, version in zip(rows, versions, strict=True)]
    ), block.names
