"""Pages as somebody sees them who has signed in, at a moment that the test chooses."""

from __future__ import annotations

import itertools
from datetime import datetime, timezone
from typing import Any
from urllib.parse import urlsplit

import pytest

from fmd_otel_dash import surroundings, urlstate
from fmd_otel_dash.pages.requests import read
from fmd_otel_dash.roles import User
from fmd_otel_dash.view import View
from fmd_otel_exporter.detail_writer import DetailWriter
from fmd_otel_exporter.graphs import add_value, register_graph
from fmd_otel_exporter.records import RequestRecord
from fmd_otel_exporter.writer import Writer
from tests import made_details, made_profiles

_numbers = itertools.count(1)
US = 1_000_000


class Shown:
    """What a card shows: the components as they travel, and what a person reads in them."""

    def __init__(self, children: Any) -> None:
        self.children = children
        self.parts = list(_walk(children))
        self.text = " ".join(_texts(children))

    @property
    def figures(self) -> list[dict[str, Any]]:
        return [part["props"]["figure"] for part in self.parts if part["type"] == "Graph"]

    @property
    def grid_rows(self) -> list[dict[str, Any]]:
        return next(part["props"]["rowData"] for part in self.parts if part["type"] == "AgGrid")

    @property
    def links(self) -> list[str]:
        return [part["props"]["href"] for part in self.parts if "href" in part["props"]]


def _walk(node: Any):
    if isinstance(node, list):
        for each in node:
            yield from _walk(each)
    elif isinstance(node, dict) and "props" in node:
        yield node
        yield from _walk(node["props"].get("children"))


def _texts(node: Any):
    if isinstance(node, list):
        for each in node:
            yield from _texts(each)
    elif isinstance(node, dict) and "props" in node:
        yield from _texts(node["props"].get("children"))
    elif node is not None:
        yield str(node)


@pytest.fixture
def clock(monkeypatch):
    """Set what time it is: ``clock(2026, 11, 22, 12)``, in UTC; returns it in microseconds."""

    def set_to(*parts: int) -> int:
        now_s = int(datetime(*parts, tzinfo=timezone.utc).timestamp())
        monkeypatch.setattr(surroundings.time, "time_ns", lambda: now_s * 1_000_000_000)
        return now_s * US

    return set_to


@pytest.fixture
def now(clock):
    return clock(2026, 11, 22, 12)


@pytest.fixture
def write(store):
    """Write requests: ``write(ts_us, "shop.cart", status=500)``, or several moments at once."""
    writer = Writer(store)

    def into(moments: int | list[int], endpoint: str = "shop.cart", **fields: Any) -> list[RequestRecord]:
        records = []
        for ts_us in [moments] if isinstance(moments, int) else moments:
            number = next(_numbers)
            given = {
                "service": "shop", "endpoint": endpoint, "ts_us": ts_us, "span_id": number.to_bytes(8, "big"),
                "trace_id": number.to_bytes(16, "big"), "duration_us": 25_000, "status": 200, "method": "GET",
                "version": "1.0", "route": f"/{endpoint}", "blueprint": "shop",
            }  # fmt: skip
            records.append(RequestRecord(**(given | fields)))
        writer.write(records)
        return records

    return into


@pytest.fixture
def detail_writer(store):
    return DetailWriter(store)


@pytest.fixture
def write_profile(detail_writer):
    """Write profiles of requests: ``write_profile(ts_us, "shop.cart", version="1.7.0")``."""

    def into(moments: int | list[int], endpoint: str = "shop.cart", **fields: Any) -> list[Any]:
        version = fields.pop("version", made_profiles.OLD)
        records = [
            made_profiles.profile(next(_numbers), ts_us, version, endpoint, **fields)
            for ts_us in ([moments] if isinstance(moments, int) else moments)
        ]
        detail_writer.write(records)
        return records

    return into


@pytest.fixture
def write_outlier(detail_writer):
    """Write outliers with their steps: ``write_outlier(ts_us, "shop.cart", duration_us=900_000)``."""

    def into(moments: int | list[int], endpoint: str = "shop.cart", **fields: Any) -> list[Any]:
        records: list[Any] = []
        for ts_us in [moments] if isinstance(moments, int) else moments:
            number = next(_numbers)
            records.append(made_details.outlier(number, ts_us, endpoint, **fields))
            records.append(made_details.trace(number, ts_us, endpoint))
        detail_writer.write(records)
        return records

    return into


@pytest.fixture
def write_exception(detail_writer):
    """Write exceptions: ``write_exception(ts_us, "shop.cart", message="no price")``."""

    def into(moments: int | list[int], endpoint: str = "shop.cart", **fields: Any) -> list[Any]:
        records = [
            made_details.exception(next(_numbers), ts_us, endpoint, **fields)
            for ts_us in ([moments] if isinstance(moments, int) else moments)
        ]
        detail_writer.write(records)
        return records

    return into


@pytest.fixture
def write_values(store):
    """Write values of a custom graph: ``write_values("Open orders", [(ts_us, 7.0)])``; returns its number."""

    def into(title: str, found: list[tuple[int, float]], service: str = "shop") -> int:
        number = register_graph(store, service, title, "interval[0:05:00]", now_us=1)
        for ts_us, value in found:
            add_value(store, number, ts_us, value)
        return number

    return into


@pytest.fixture
def card(admin):
    """Return what a card of a page shows: ``card("hourly-map", "/hourly_load", "?from=now-7d")``."""

    def ask(card_id: str, path: str, search: str = "", tz: str = "UTC") -> Shown:
        data = {"path": f"/dashboard{path}", "search": search, "tz": tz, "serial": next(_numbers)}
        answer = admin.call(f"{card_id}-body.children", {"view.data": data})
        assert answer.status_code == 200
        return Shown(answer.json["response"][f"{card_id}-body"]["children"])

    return ask


@pytest.fixture
def cards_of(admin, dashboard):
    """Return the ids of a page's cards, as its layout names them."""
    output = next(each for each in dashboard.dash.callback_map if "page.children" in each)

    def ask(path: str) -> list[str]:
        data = {"path": f"/dashboard{path}", "search": "", "tz": "UTC", "serial": 0}
        answer = admin.call(output, {"route.data": data, "view.data": data}, triggered="route.data")
        shown = Shown(answer.json["response"]["page"]["children"])
        ids = [part["props"].get("id") for part in shown.parts]
        return [
            each.removesuffix("-body") for each in ids if isinstance(each, str) and each.endswith("-body")
        ]

    return ask


@pytest.fixture
def view_of(dashboard, now):
    """Return the view of an address, for the functions that pages are made of."""

    def make(path: str, search: str = "", tz: str = "UTC") -> View:
        state = urlstate.parse(search)
        match = dashboard.router.resolve(path)
        window = urlstate.resolve(state, now_us=now, browser_tz=tz)
        return View(dashboard.services, User(1, "ada", "admin"), path, match.params, state, window, now)

    return make


@pytest.fixture
def listed(view_of):
    """Return the requests that a link to a list of them shows."""

    def ask(href):
        path = urlsplit(href).path.removeprefix("/dashboard")
        return read(view_of(path, "?" + urlsplit(href).query)).rows

    return ask
