"""What becomes of a batch in which something cannot be written."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from sqlalchemy.exc import DataError

from fmd_otel_exporter.errors import StorageError
from fmd_otel_exporter.salvage import write_parts


def write_all_but(*bad: int, of_database: bool = True):
    def write(batch: list[int]) -> list[int]:
        if not {*batch}.isdisjoint(bad):
            raise DataError("INSERT", {}, ValueError("no such value")) if of_database else TypeError("a text")
        return batch

    return write


def salvaged(write, batch: list[int]) -> tuple[list[int], list[int]]:
    lost: list[int] = []
    written = [each for part in write_parts(write, batch, lambda each, _: lost.append(each)) for each in part]
    return written, lost


def test_what_cannot_be_written_costs_nothing_else():
    assert salvaged(write_all_but(3, 7), list(range(10))) == ([0, 1, 2, 4, 5, 6, 8, 9], [3, 7])


def test_text_beyond_what_a_database_can_hold_is_written_as_escapes():
    class Request(NamedTuple):
        user: str
        ids: tuple[bytes, ...]
        rules: tuple[tuple[str, str], ...]

    def write(batch: list[Request]) -> list[Request]:
        try:
            repr(batch).encode("latin-1")
        except UnicodeEncodeError as exc:
            raise DataError("INSERT", {}, exc) from exc
        return batch

    batch = [
        Request("Zo\xeb", (b"\xff",), ()),
        Request("\u20ac", (), (("GET", "/\u65e5"),)),
        Request("\ud800", (b"",), ()),
    ]
    assert salvaged(write, batch) == (
        [batch[0], Request("\\u20ac", (), (("GET", "/\\u65e5"),)), batch[2]],
        [],
    )
    assert salvaged(write, batch[1:2] * 2)[1] == []


def test_a_single_record_that_cannot_be_written_is_lost():
    assert salvaged(write_all_but(3), [3]) == ([], [3])


def test_a_database_that_takes_none_of_several_records_is_at_fault_itself():
    with pytest.raises(StorageError, match=r"takes none of 4 records \(.*no such value"):
        salvaged(write_all_but(*range(4)), list(range(4)))


def test_values_that_never_reach_the_database_are_at_fault_themselves():
    assert salvaged(write_all_but(1, 2, of_database=False), [1, 2]) == ([], [1, 2])
