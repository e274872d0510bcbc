from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fmd_otel_exporter.names import storable
from fmd_otel_exporter.writer import Writer, WriteResult

if TYPE_CHECKING:
    from fmd_otel_exporter.store import Store

HOSTILE = [
    "",
    " ",
    "naïve ☃ \U0001d518 👩‍👩‍👧",
    "Robert'); DROP TABLE fmd_request;--",
    '"quoted" `ticks` [brackets] %s %(x)s :bind ? {0}',
    "<script>alert(1)</script>",
    "line\nbreak\ttab\r",
    "nul\0inside",
    "lone \udcff surrogate",
    "x" * 5_000,
    "ü" * 5_000,
    "../../etc/passwd",
    "\u202eright to left",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_any_name_can_be_stored_and_found_again(store: Store, record, name: str, see):
    fields = {
        "service": name,
        "endpoint": name,
        "version": name,
        "group_by": name,
        "ip": name,
        "method": name,
    }
    for level in (1, 0, 1):
        assert Writer(store).write(
            [record(level=level, route=name, blueprint=name, **fields)]
        ) == WriteResult(1, 0)
    assert len(see.rows("endpoint")) == len(see.rows("version")) == 1
    assert len(see.rows("subject")) == 2
    assert see.rows("endpoint")[0]["name"] == storable(name, 255)
    assert set(see.sums().values()) == {2}


def test_long_names_are_cut_and_stay_two(store: Store, record, see):
    Writer(store).write([record(endpoint="e" * 300 + tail, group_by="g" * 600 + tail) for tail in "ab"])
    assert [len(row["name"]) for row in see.rows("endpoint")] == [255, 255]
    assert [len(row["value"]) for row in see.rows("subject")] == [512, 512]
    assert len({row["value"] for row in see.rows("subject")}) == 2


def test_names_that_become_the_same_share_an_endpoint(store: Store, record, noon_us: int, see):
    Writer(store).write(
        [record(endpoint="a\0", ts_us=noon_us), record(endpoint="a\ufffd", ts_us=noon_us + 5, level=0)]
    )
    (endpoint,) = see.rows("endpoint")
    assert (endpoint["first_ts"], endpoint["last_ts"], endpoint["level0_n"]) == (noon_us, noon_us + 5, 1)


def test_a_name_keeps_what_it_is_when_it_fits():
    assert storable("shop.cart", 255) == "shop.cart"
    assert storable("ü" * 255, 255) == "ü" * 255
    assert storable(3, 255) == "3"


@pytest.mark.parametrize("length", [4, 16, 255])
def test_no_name_is_longer_than_its_column(length: int):
    names = {storable(name, length) for name in ("x" * 300 + "1", "x" * 300 + "2")}
    assert {len(name) for name in names} == {length}
    assert len(names) == 2


def test_spaces_at_the_end_make_no_other_name():
    assert storable("ada  ", 255) == storable("ada", 255) == "ada"
    assert storable(" ada\t", 255) == " ada\t"
