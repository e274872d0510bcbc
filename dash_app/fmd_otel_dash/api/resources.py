"""What the API offers: one table, from which requests are answered and the OpenAPI document is written."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from fmd_otel_dash.api.parameters import (
    FORMAT,
    RANGE,
    SERVICE,
    BadRequestError,
    Parameter,
    choice,
    integer,
    percents,
    text,
)
from fmd_otel_dash.queries.counts import Counts, summed
from fmd_otel_dash.queries.latency import by_endpoint, by_version, grouped
from fmd_otel_dash.queries.look import look
from fmd_otel_dash.queries.profiles import profiles
from fmd_otel_dash.queries.requestfilter import RequestFilter
from fmd_otel_dash.queries.requests import parse_key, requests
from fmd_otel_dash.queries.scope import Scope, local_time
from fmd_otel_dash.stats.percentiles import count, percentiles

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import ColumnElement

    from fmd_otel_exporter.store import Store

MOST_ROWS = 1000
_HITS_BY = ("endpoint", "version", "status", "hour", "day")
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
Row = dict[str, Any]


@dataclass(frozen=True)
class Field:
    """One field of an answer."""

    name: str
    type: str
    description: str
    nullable: bool = False


@dataclass(frozen=True)
class Answer:
    """Rows, and where the next ones are."""

    rows: Sequence[Row]
    following: str | None = None


@dataclass(frozen=True)
class Resource:
    """One kind of numbers."""

    name: str
    summary: str
    parameters: tuple[Parameter, ...]
    fields: tuple[Field, ...]
    answer: Callable[[Store, Scope, Mapping[str, Any]], Answer]

    @property
    def ranged(self) -> bool:
        """Whether it is about a range of time."""
        return RANGE[0] in self.parameters


def _text(name: str, description: str, *, nullable: bool = False) -> Field:
    return Field(name, "string", description, nullable)


def _whole(name: str, description: str, *, nullable: bool = False) -> Field:
    return Field(name, "integer", description, nullable)


def _number(name: str, description: str, *, nullable: bool = False) -> Field:
    return Field(name, "number", description, nullable)


def _moment(us: int | None) -> str | None:
    return None if us is None else (_EPOCH + timedelta(microseconds=us)).isoformat()


def _endpoints(store: Store, scope: Scope, _given: Mapping[str, Any]) -> Answer:
    with look(store, scope) as view:
        found = view.endpoints
    return Answer(
        [
            {
                "id": each.id,
                "service": each.service,
                "endpoint": each.name,
                "route": each.route,
                "methods": each.methods,
                "blueprint": each.blueprint,
                "level": each.level,
                "first_requested": _moment(each.first_us),
                "last_requested": _moment(each.last_us),
            }
            for each in found
        ]
    )


def _requests(store: Store, scope: Scope, given: Mapping[str, Any]) -> Answer:
    cursor = given["cursor"] or ""
    if cursor and parse_key(cursor) is None:
        raise BadRequestError(f"cursor={cursor!r}: not one of ours; take `next` of the answer before")
    wanted = RequestFilter(
        status=given["status"], user=given["user"] or "", ip=given["ip"] or "", trace_id=given["trace"] or "",
        min_us=(given["min_ms"] or 0) * 1000,
    )  # fmt: skip
    found = requests(store, scope, wanted, cursor=cursor, limit=given["limit"])
    return Answer(
        [
            {
                "key": row.key,
                "time": local_time(row.ts_us, scope.zone).isoformat(),
                "endpoint_id": row.endpoint.id,
                "service": row.endpoint.service,
                "endpoint": row.endpoint.name,
                "method": row.method,
                "status": row.status,
                "duration_us": row.duration_us,
                "version": row.version,
                "group_by": row.user,
                "ip": row.ip,
                "trace_id": row.trace_id,
                "span_id": row.span_id,
            }
            for row in found.rows
        ],
        found.next_cursor or None,
    )


def _hits(store: Store, scope: Scope, given: Mapping[str, Any]) -> Answer:
    by = given["by"]
    with look(store, scope) as view:
        names = {each.id: each for each in view.endpoints}
        versions = {each.id: each.name for each in view.versions(scope)}
        source = view.local_hits(scope, days=by == "day") if by in {"hour", "day"} else view.hits(scope)
        c = source.rows.c
        width = {"hour": 3600, "day": 86_400}.get(by, 0)
        local: ColumnElement[int] = c.local_s - c.local_s % width if width else c.endpoint_id
        keys: dict[str, Any] = {"endpoint": c.endpoint_id, "version": c.version_id, "status": c.status}
        key = keys.get(by, local)
        sums = select(key, *summed(c)).group_by(key).order_by(key)
        found = view.conn.execute(sums, source.values).all()

    def named(value: int) -> str:
        if by == "endpoint":
            return names[value].name if value in names else str(value)
        if by == "version":
            return versions.get(value, str(value))
        if by == "status":
            return str(value)
        moment = _EPOCH + timedelta(seconds=value)
        return f"{moment:%Y-%m-%dT%H:00}" if by == "hour" else f"{moment:%Y-%m-%d}"

    return Answer([_counted(named(int(key)), Counts(*counts)) for key, *counts in found])


def _counted(key: str, counts: Counts) -> Row:
    return {
        "key": key,
        "requests": counts.n,
        "errors": counts.errors,
        "client_errors": counts.client_errors,
        "mean_us": counts.mean_us,
    }


def _percentiles(store: Store, scope: Scope, given: Mapping[str, Any]) -> Answer:
    by, qs = given["by"], given["q"]
    with look(store, scope) as view:
        names = {each.id: each.name for each in view.endpoints}
        if by == "version":
            names = {each.id: each.name for each in view.versions(scope)}
        samples = grouped(view, view.latency(scope), by_endpoint if by == "endpoint" else by_version)
    rows: list[Row] = []
    for key, sample in sorted(samples.items()):
        for q, value in zip(qs, percentiles(sample, [q / 100 for q in qs]), strict=True):
            rows.append(  # two loops in one expression are harder to read
                {
                    "id": key,
                    "key": names.get(key, str(key)),
                    "requests": count(sample),
                    "percent": q,
                    "duration_us": value,
                }
            )
    return Answer(rows)


def _profiles(store: Store, scope: Scope, given: Mapping[str, Any]) -> Answer:
    with look(store, scope) as view:
        ids = view.version_ids(scope)
        known = {each.id: each.name for each in view.endpoints}
    rows: list[Row] = []
    for endpoint_id, name in known.items():
        for each in profiles(
            store, endpoint_id, (scope.start_us, scope.end_us), version_ids=ids, limit=given["limit"]
        ):
            rows.append(  # noqa: PERF401 # as above
                {
                    "key": f"{each.ts_us}-{each.endpoint_id}-{each.span_id.hex()}",
                    "time": local_time(each.ts_us, scope.zone).isoformat(),
                    "endpoint_id": endpoint_id,
                    "endpoint": name,
                    "version": each.version,
                    "duration_us": each.duration_us,
                    "cpu_us": each.cpu_us,
                    "samples": each.samples,
                    "exact": each.exact,
                }
            )
    rows.sort(key=lambda row: row["time"], reverse=True)
    return Answer(rows[: given["limit"]])


LIMIT = integer("limit", "Rows at most.", least=1, most=MOST_ROWS, default=100)
RESOURCES = (
    Resource(
        "endpoints",
        "Endpoints that are known, requested or not",
        (SERVICE, FORMAT),
        (
            _whole("id", "Its number, for the parameter `endpoint`"),
            _text("service", "The application"),
            _text("endpoint", "Blueprint-qualified name"),
            _text("route", "Its first rule", nullable=True),
            _text("methods", "Of all its rules, separated by commas", nullable=True),
            _text("blueprint", "Its blueprint", nullable=True),
            _whole("level", "Monitor level, 0 to 3"),
            _text("first_requested", "ISO 8601, UTC", nullable=True),
            _text("last_requested", "ISO 8601, UTC", nullable=True),
        ),
        _endpoints,
    ),
    Resource(
        "requests",
        "Single requests, newest first",
        (
            *RANGE,
            LIMIT,
            text("cursor", "`next` of the answer before."),
            integer("status", "Code (404), or class by its first digit (4).", least=1, most=999),
            text("user", "Only of this user: what `group_by` returned."),
            text("ip", "Only from this address."),
            text("trace", "Trace id, or the first digits of it."),
            integer("min_ms", "Only those that took this many milliseconds or more.", least=1, most=10**9),
        ),
        (
            _text("key", "Names the request, also in addresses of the dashboard"),
            _text("time", "ISO 8601, in the zone of the request for it"),
            _whole("endpoint_id", "Number of the endpoint"),
            _text("service", "The application"),
            _text("endpoint", "Name of the endpoint"),
            _text("method", "HTTP method"),
            _whole("status", "HTTP status code"),
            _whole("duration_us", "From the WSGI entry to the last byte, microseconds"),
            _text("version", "Version of the application"),
            _text("group_by", "What `group_by` returned; usually the user", nullable=True),
            _text("ip", "Address of the client", nullable=True),
            _text("trace_id", "32 hexadecimal digits"),
            _text("span_id", "16 hexadecimal digits"),
        ),
        _requests,
    ),
    Resource(
        "hits",
        "Requests, errors and mean durations, added up",
        (
            *RANGE,
            choice("by", "What to add up by.", ("endpoint", "version", "status", "hour", "day"), "endpoint"),
        ),
        (
            _text("key", "Endpoint, version, status, or local hour or day"),
            _whole("requests", "How many"),
            _whole("errors", "Answers of 500 and above"),
            _whole("client_errors", "Answers of 400 to 499"),
            _number("mean_us", "Mean duration, microseconds", nullable=True),
        ),
        _hits,
    ),
    Resource(
        "percentiles",
        "Percentiles of durations, each less than 1.1 % off",
        (
            *RANGE,
            choice("by", "Of what.", ("endpoint", "version"), "endpoint"),
            percents("q", "Which percentiles, separated by commas.", (50.0, 95.0, 99.0)),
        ),
        (
            _whole("id", "Number of the endpoint or version"),
            _text("key", "Its name"),
            _whole("requests", "How many it rests on"),
            _number("percent", "Which percentile"),
            _number("duration_us", "Microseconds", nullable=True),
        ),
        _percentiles,
    ),
    Resource(
        "profiles",
        "Profiles that are kept, newest first; the dashboard exports each for speedscope and pprof",
        (*RANGE, LIMIT),
        (
            _text("key", "Names the request"),
            _text("time", "ISO 8601, in the zone of the request for it"),
            _whole("endpoint_id", "Number of the endpoint"),
            _text("endpoint", "Its name"),
            _text("version", "Version of the application"),
            _whole("duration_us", "Of the request, microseconds"),
            _whole("cpu_us", "Of that, on a processor"),
            _whole("samples", "How often it was looked at"),
            Field("exact", "boolean", "Whether it is of events rather than of samples"),
        ),
        _profiles,
    ),
)
