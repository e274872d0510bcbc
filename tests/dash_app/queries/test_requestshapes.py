"""What documents say of their requests, asked for the first time and again."""

from __future__ import annotations

import pytest

from fmd_otel_dash.queries import requestshapes
from fmd_otel_dash.queries.look import look
from fmd_otel_dash.queries.requestshapes import RequestShape, shapes
from fmd_otel_dash.queries.scope import Scope
from fmd_otel_exporter.documents import encode_document

NUMBERS = [n.to_bytes(8, "big") for n in range(10)]
FULL = {"args": {"q": "x"}, "payload_bytes": 5, "worker_pid": 7, "hostname": "host"}


@pytest.fixture
def ask(store):
    """Return what rows of a table say, as a list."""

    def of(table, *documents):
        rows = [
            (span_id, each if isinstance(each, bytes) else encode_document(each))
            for span_id, each in zip(NUMBERS, documents, strict=False)
        ]
        with look(store, Scope(0, 0)) as view:
            return list(shapes(view, getattr(view.tables, table), rows))

    return of


def test_the_same_is_said_again(ask):
    expected = [RequestShape(5, "host 7", ("q",)), RequestShape(None, "", ("a", "b"))]
    for _ in range(2):
        assert ask("outlier", FULL, {"args": ["a", "b"], "payload_bytes": "?"}) == expected


def test_what_says_nothing_is_left_out(ask):
    for _ in range(2):
        assert ask("outlier", {"payload_bytes": 5}, b"damaged", FULL) == [RequestShape(5, "host 7", ("q",))]
        assert ask("request_trace", FULL, {"request": 3}, {"request": {"query_keys": ["k"]}}) == [
            RequestShape(None, "", ("k",))
        ]


def test_an_outlier_and_a_trace_of_one_request_are_told_apart(ask):
    document = {"args": ["mine"], "request": {"args": ["its"]}}
    assert [ask(table, document)[0].query_keys for table in ("outlier", "request_trace")] == [
        ("mine",),
        ("its",),
    ]


def test_no_more_is_remembered_than_may_be(ask, store, monkeypatch):
    monkeypatch.setattr(requestshapes, "MOST_REMEMBERED", 3)
    documents = [{"args": [str(n)]} for n in range(8)]
    for _ in range(2):
        assert [each.query_keys for each in ask("outlier", *documents)] == [(str(n),) for n in range(8)]
    with store.read() as connection:
        assert len(requestshapes._REMEMBERED[connection.engine]) <= 3
