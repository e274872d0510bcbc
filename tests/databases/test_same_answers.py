"""Every query of the dashboard gives on every database what it gives on SQLite: same values, same types."""

from __future__ import annotations

import dataclasses
import pkgutil
from importlib import import_module
from inspect import isfunction, isgeneratorfunction, signature, unwrap
from typing import TYPE_CHECKING, Any

import pytest

import fmd_otel_dash.queries
from fmd_otel.synthetic import requests as made_up
from fmd_otel.synthetic import zipf_workload
from fmd_otel_dash.queries.requests import request_detail, requests
from fmd_otel_dash.queries.scope import Pair, Scope
from fmd_otel_exporter.rollups import compact_days
from fmd_otel_exporter.schema import SUBJECT_USER
from fmd_otel_exporter.store import open_store
from fmd_otel_exporter.subject_sums import sum_up_subjects
from fmd_otel_exporter.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from fmd_otel_exporter.store import Store

pytestmark = pytest.mark.parametrize(
    "kind", ["postgresql", "mariadb", "clickhouse", "odd_postgresql", "odd_mariadb"], indirect=True
)

HOUR_US = 3_600_000_000
END_US = 1_790_164_800_000_000 + 17 * 60_000_000
START_US = END_US - 9 * 24 * HOUR_US


def queries() -> dict[str, Callable[..., Any]]:
    """Return all functions that ask a store about a scope, whatever page they are for."""
    found = {}
    for module in pkgutil.iter_modules(fmd_otel_dash.queries.__path__, "fmd_otel_dash.queries."):
        for name, value in vars(import_module(module.name)).items():
            if not isfunction(value) or value.__module__ != module.name or name.startswith("_"):
                continue
            asks = list(signature(value).parameters)[:2] == ["store", "scope"]
            if asks and not isgeneratorfunction(unwrap(value)):  # one of them opens a transaction
                found[f"{module.name}.{name}"] = value
    return found


def scopes() -> Iterator[Scope]:
    ragged = Scope(START_US + 5 * HOUR_US + 7, END_US - 3 * HOUR_US, "Europe/Amsterdam")
    yield ragged
    yield dataclasses.replace(ragged, tz="Asia/Kolkata", versions=("1.1.0", "1.3.0"))
    yield dataclasses.replace(ragged, endpoint_ids=(2, 5))
    yield Scope(END_US - HOUR_US, END_US)
    yield Scope(0, 1)


def asked(query: Callable[..., Any], store: Store, scope: Scope) -> Any:
    values = {
        "store": store,
        "scope": scope,
        "compare": scope.previous(),
        "now_us": END_US,
        "kind": SUBJECT_USER,
        "group_id": 1,  # of exceptions
        "endpoint_ids": (1, 2, 5),
        "names": ("user-1", "user-3", "nobody"),
        "pairs": (Pair(scope, scope.previous()),),
        "until_us": END_US,
        "limit": 10,
    }
    needed = {name for name, each in signature(query).parameters.items() if each.default is each.empty}
    return query(**{name: values[name] for name in needed})


def plain(value: Any) -> Any:
    """Return a value with the type of everything in it, to compare and to read."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {plain(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return tuple(plain(item) for item in value)
    return type(value).__name__, value


def fill(store: Store) -> None:
    workload = zipf_workload(endpoints=9, releases=4, users=20, ips=40)
    writer = Writer(store)
    traffic = list(made_up(workload, start_us=START_US, end_us=END_US, count=4000, seed=3))
    for start in range(0, len(traffic), 500):
        writer.write(traffic[start : start + 500])
    compact_days(store, now_ts_us=END_US)
    for _ in sum_up_subjects(store):
        pass


@pytest.fixture(scope="module")
def sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    folder: Path = tmp_path_factory.mktemp("same")
    store = open_store(f"sqlite:///{folder / 'fmd.db'}")
    fill(store)
    yield store
    store.dispose()


def test_every_query_answers_as_on_sqlite(url: str, sqlite: Store):
    store = open_store(url)
    fill(store)
    known = queries()
    assert len(known) >= 9
    for scope in scopes():
        for name, query in known.items():
            if name.endswith(".profiles_listed") and not scope.endpoint_ids:
                continue  # it is about one endpoint
            assert plain(asked(query, store, scope)) == plain(asked(query, sqlite, scope)), (name, scope)
    scope = next(scopes())
    keys = [row.key for row in requests(sqlite, scope).rows]
    assert keys
    for key in keys[:3]:
        assert plain(request_detail(store, key)) == plain(request_detail(sqlite, key))
    store.dispose()
