"""What a look at the database asks again and again, as statements that are built once.

Parameters stand in double backquotes; those of some services take these as ``services``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, func, literal, literal_column, or_, select, union_all

from fmd_otel_dash.queries.sources import counted
from fmd_otel_dash.queries.statements import Statement, any_of, built_once, integer
from fmd_otel_exporter.subject_sums import SEALED

if TYPE_CHECKING:
    from sqlalchemy import Column, CompoundSelect, Subquery, Table

    from fmd_otel_exporter.dialects.base import Dialect


def _endpoint_columns(c: Any) -> Statement:
    return select(
        c.id, c.service, func.coalesce(c.alias, c.name), c.route, c.method, c.blueprint, c.level, c.first_ts,
        c.last_ts, c.level0_n, c.rules, c.name, c.pinned, c.merged_into, c.removed_ts,
    )  # fmt: skip


@built_once
def known(endpoint: Table, *, of_services: bool) -> Statement:
    """Return a query for all endpoints but removed ones."""
    c = endpoint.c
    query = _endpoint_columns(c).where(c.removed_ts == 0)
    return query.where(c.service.in_(any_of("services"))) if of_services else query


@built_once
def families(endpoint: Table) -> Statement:
    """Return a query for the endpoints of some ``ids`` and those that count under them, removed ones too."""
    c, ids = endpoint.c, any_of("ids")
    return _endpoint_columns(c).where(or_(c.id.in_(ids), c.merged_into.in_(ids)))


@built_once
def around(endpoint: Table) -> Statement:
    """Return a query for the endpoint of a ``number`` and those that count under it."""
    c, number = endpoint.c, integer("number")
    return select(c.id, c.merged_into, c.removed_ts).where(or_(c.id == number, c.merged_into == number))


@built_once
def versions(version: Table, *, of_services: bool) -> Statement:
    """Return a query for all versions, oldest first."""
    c = version.c
    query = select(c.id, c.service, c.name, c.first_ts).order_by(c.first_ts, c.id)
    return query.where(c.service.in_(any_of("services"))) if of_services else query


@built_once
def version_ids(version: Table, *, of_services: bool) -> Statement:
    """Return a query for the ids of the versions of some ``names``."""
    c = version.c
    query = select(c.id).where(c.name.in_(any_of("names")))
    return query.where(c.service.in_(any_of("services"))) if of_services else query


@built_once
def days_after(rollup_day: Table, subject_rollup: Table) -> CompoundSelect[Any]:
    """Return a query for what has become of the days ``after`` one.

    Its rows are: 0, a day whose sums are complete, and whether nothing finer is kept of it; or 1, a day whose
    raw rows retention has begun to take, and a number without meaning.
    """
    summed, pruned, after = rollup_day.c, subject_rollup.c, integer("after")
    return union_all(
        # Below 0 a day is just being summed up.
        select(literal_column("0"), summed.day, summed.sealed).where(summed.day > after, summed.sealed >= 0),
        select(literal_column("1"), pruned.day, pruned.state).where(
            pruned.day > after, pruned.state >= literal(SEALED, pruned.state.type)
        ),
    )


@built_once
def ends(dialect: Dialect, endpoint: Table, time: Column[int], *, newest: bool) -> Statement:
    """Return a query for the first or the last time that each endpoint has in a table."""
    return dialect.ends_of_each(endpoint, time, newest=newest)


@built_once
def earliest(dialect: Dialect, endpoint: Table, time: Column[int]) -> Statement:
    """Return a query of whose times the first of all is the first in a table; the others may be missing."""
    return dialect.earliest(endpoint, time)


@built_once
def raw(request: Table, home: tuple[tuple[int, int], ...], *, of_versions: bool) -> Subquery:
    """Return requests of ``endpoints``, and ``versions``, between ``start`` and ``end``, as hits rows."""
    c = request.c
    rows = select(
        counted(c.endpoint_id, dict(home)),
        c.ts,
        c.status,
        c.bkt,
        literal(1, BigInteger).label("n"),
        c.duration.label("sum_us"),
    ).where(
        c.endpoint_id.in_(any_of("endpoints")),
        c.ts >= integer("start"),
        c.ts < integer("end"),
    )
    if of_versions:
        rows = rows.where(c.version_id.in_(any_of("versions")))
    return rows.subquery("source")
