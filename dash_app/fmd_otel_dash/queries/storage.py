"""What the database holds, how fast it grows, and what goes next."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import select

from fmd_otel_dash.queries.counts import summed_together
from fmd_otel_dash.queries.daily import daily
from fmd_otel_dash.queries.look import look
from fmd_otel_dash.queries.scope import US_PER_S, Scope
from fmd_otel_dash.queries.tablesizes import measured
from fmd_otel_exporter.schema import DAY_S

if TYPE_CHECKING:
    from sqlalchemy import Column, Connection

    from fmd_otel_exporter.sizes import Sizes, TableSize
    from fmd_otel_exporter.store import Store

SHOWN_DAYS = 30
_HOUR_US = 3600 * US_PER_S
_DAY_US = DAY_S * US_PER_S
_FIRST = date(1970, 1, 1)
_WEEK = 7
_LABELS = {
    "request": "Requests",
    "hits": "Sums by the quarter of an hour",
    "lat_hist": "Latency counts by the hour",
    "hits_day": "Sums by the day",
    "lat_hist_day": "Latency counts by the day",
    "subject": "Names of users and addresses",
    "subject_pack": "Users and addresses by the day",
    "subject_day": "Users and addresses by the day, one by one",
    "batch": "Notes of what was written",
    "endpoint": "Endpoints",
    "code_line": "Lines of code",
    "stack": "Call stacks",
    "profile": "Profiles",
    "profile_day": "Profiles, summed up",
    "profile_day_n": "Profiles, counted",
    "outlier": "Outliers",
    "exception_group": "Kinds of exceptions",
    "exception_hits": "Exceptions, counted",
    "exception_occurrence": "Exceptions",
    "exception_subject": "Users who met exceptions",
    "request_trace": "Spans",
    "custom_graph": "Custom graphs",
    "custom_graph_value": "Values of custom graphs",
    "process": "Processes",
    "session": "Sessions",
    "setup_token": "Set-up links",
    "login_attempt": "Failed sign-ins",
}


@dataclass(frozen=True)
class StoredTable:
    """One table."""

    name: str
    label: str
    rows: int | None
    size_bytes: int | None
    estimated: bool


@dataclass(frozen=True)
class Oldest:
    """When the oldest of each kind is from; None where there is nothing of it."""

    raw_us: int | None
    hourly_us: int | None
    daily_us: int | None


@dataclass(frozen=True)
class Storage:
    """The database."""

    product: str
    total_bytes: int | None
    log_bytes: int
    reusable_bytes: int | None
    disk_free_bytes: int | None
    tables: tuple[StoredTable, ...]
    """Largest first."""
    measured_us: int
    """When sizes and rows were so."""
    days: tuple[date, ...]
    """The last month's UTC days, today the last."""
    requests: tuple[int, ...]
    """On each of them."""
    history: tuple[tuple[date, int], ...]
    """Bytes, as measured at the end of days."""
    raw_rows: int
    """Requests that are kept one by one."""
    rate_per_s: float
    """Requests, over the last hour."""
    oldest: Oldest

    @property
    def requests_per_day(self) -> float:
        """Over the last full days with any, a week at most."""
        full = [n for n in self.requests[:-1][-_WEEK:] if n]
        return sum(full) / len(full) if full else float(self.requests[-1] if self.requests else 0)

    @property
    def bytes_per_request(self) -> float:
        """Of all that is stored, for each request kept."""
        return (self.total_bytes or 0) / self.raw_rows if self.raw_rows else 0.0


def storage(store: Store, now_us: int) -> Storage:
    """Measure the database, without reading what is large."""
    today = now_us // _DAY_US
    with store.read() as connection:
        days = store.tables.storage_day.c
        history = connection.execute(
            select(days.day, days.size_bytes)
            .where(days.day >= (today - 3 * SHOWN_DAYS) * DAY_S)
            .order_by(days.day)
        ).all()
        oldest = _oldest(connection, store)
        found = measured(store, connection, now_us, oldest)
    sizes = found.sizes
    raw_rows = 0 if oldest.raw_us is None else _requests(store, oldest.raw_us, now_us)
    by_day = daily(store, Scope((today - SHOWN_DAYS + 1) * _DAY_US, now_us + 1))
    tables = [
        StoredTable(name, table_label(name), size.rows, size.size_bytes, size.estimated)
        for name, size in completed(sizes, raw_rows).items()
    ]
    return Storage(
        product=sizes.product,
        total_bytes=sizes.total_bytes,
        log_bytes=sizes.log_bytes,
        reusable_bytes=sizes.reusable_bytes,
        disk_free_bytes=sizes.disk_free_bytes,
        tables=tuple(sorted(tables, key=lambda table: -(table.size_bytes or 0))),
        measured_us=found.at_us,
        days=by_day.days,
        requests=tuple(
            sum(endpoint.n[number] for endpoint in by_day.endpoints) for number in range(len(by_day.days))
        ),
        history=tuple((_FIRST + timedelta(seconds=row[0]), int(row[1])) for row in history),
        raw_rows=raw_rows,
        rate_per_s=_requests(store, now_us - _HOUR_US, now_us) / 3600,
        oldest=oldest,
    )


def completed(sizes: Sizes, raw_rows: int) -> dict[str, TableSize]:
    """Return the tables, and of those not measured what follows from the number of requests."""
    tables = dict(sizes.tables)
    request, left = tables.get("request"), sizes.unmeasured_bytes
    if request is not None and request.estimated:  # servers guess; the sums know
        size = request.size_bytes
        unknown = [name for name, each in tables.items() if each.size_bytes is None and name != "request"]
        if size is None:
            size = min(raw_rows * request.row_bytes, left) if unknown else left
            left -= size
        tables["request"] = request._replace(rows=raw_rows, size_bytes=size)
        for name in unknown:
            each = tables[name]
            share = left // len(unknown)
            tables[name] = each._replace(
                rows=share // each.row_bytes if each.row_bytes else 0,
                size_bytes=share if each.row_bytes else 0,
            )
    return tables


def table_label(name: str) -> str:
    """Return what a table holds, in words."""
    return _LABELS.get(name, name.replace("_", " ").capitalize())


def _requests(store: Store, start_us: int, end_us: int) -> int:
    scope = Scope(start_us, end_us)
    with look(store, scope) as view:
        return view.ask(view.hits(scope), summed_together)[0][0] or 0


def _oldest(connection: Connection, store: Store) -> Oldest:
    t = store.tables

    def first(time: Column[int], unit: int) -> int | None:
        firsts = store.dialect.earliest(t.endpoint, time)
        found = min((row[1] for row in connection.execute(firsts) if row[1] is not None), default=None)
        return None if found is None else int(found) * unit

    return Oldest(
        raw_us=first(t.request.c.ts, 1),
        hourly_us=first(t.hits.c.bucket, US_PER_S),
        daily_us=first(t.hits_day.c.bucket, US_PER_S),
    )
