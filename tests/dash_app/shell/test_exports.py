from __future__ import annotations

import csv
import io
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmd_otel_dash.exports import safe
from fmd_otel_exporter.records import RequestRecord
from fmd_otel_exporter.writer import Writer


def record(endpoint, i, **values):
    now_us = time.time_ns() // 1000
    return RequestRecord(
        "shop", endpoint, now_us - 60_000_000 + i, i.to_bytes(8, "big"), i.to_bytes(16, "big"), 20_000, 200,
        "GET", "1.0", **values,
    )  # fmt: skip


def rows(answer):
    return list(csv.DictReader(io.StringIO(answer.data.decode("utf-8-sig"))))


@pytest.fixture
def filled(store):
    records = [record("cart.show", i, route="/cart") for i in range(1, 31)]
    records += [record('=HYPERLINK("http://evil","x")', i) for i in range(31, 36)]
    Writer(store).write(records)


def test_all_endpoints_are_in_the_file(filled, guest):
    answer = guest.follow("/export/endpoints.csv")
    assert answer.status_code == 200
    assert answer.mimetype == "text/csv"
    found = {row["endpoint"]: row for row in rows(answer)}
    assert found["cart.show"]["hits"] == "30"
    assert found["cart.show"]["route"] == "/cart"
    assert float(found["cart.show"]["p95_ms"]) == pytest.approx(20, rel=0.011)


def test_a_name_that_is_a_formula_is_text(filled, guest):
    names = [row["endpoint"] for row in rows(guest.follow("/export/endpoints.csv"))]
    assert any(name.startswith("'=HYPERLINK") for name in names)


def test_the_file_has_the_range_and_the_filter_of_the_page(filled, guest):
    only = rows(guest.follow("/export/endpoints.csv?q=CART"))
    assert [row["endpoint"] for row in only] == ["cart.show"]
    before = rows(guest.follow("/export/endpoints.csv?from=2026-01-01&to=2026-01-02"))
    assert {row["hits"] for row in before} == {"0"}
    name = guest.follow("/export/endpoints.csv?from=2026-01-01&to=2026-01-02&tz=UTC").headers[
        "Content-Disposition"
    ]
    assert 'filename="endpoints_20260101T0000Z_20260103T0000Z.csv"' in name


@pytest.mark.parametrize(
    "path", ["/export/none.csv", "/export/endpoint/x/requests.csv", "/export/../overview.csv"]
)
def test_a_table_that_does_not_exist(guest, path):
    assert guest.follow(path).status_code in {200, 404}
    assert "text/csv" not in guest.follow(path).mimetype


def test_every_table_that_a_page_offers_can_be_downloaded_empty_and_full(dashboard, filled, guest):
    import re  # noqa: PLC0415

    offered = [page for page in dashboard.router.pages if page.table]
    assert offered
    for page in offered:
        path = re.sub(r"<[^>]+>", "1", page.path)
        answer = guest.follow(f"/export{path}.csv?from=now-1h&to=now")
        assert answer.status_code == 200, path
        assert answer.data.decode("utf-8-sig").split("\r\n")[0] == ",".join(page.table.columns)


@given(st.text())
def test_no_cell_begins_like_a_formula(text):
    cell = safe(text)
    assert not cell.lstrip().startswith(("=", "+", "-", "@", "|", "%"))
    assert cell in {text, "'" + text}


@pytest.mark.parametrize("number", [-1, -0.5, 0, 3.2])
def test_numbers_stay_numbers(number):
    assert safe(number) == number
