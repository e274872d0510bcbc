"""What is kept for how long, who said so, and what goes next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dash import html

from fmd_otel_dash import formatting
from fmd_otel_dash.components import plain_table
from fmd_otel_dash.queries.scope import local_time
from fmd_otel_exporter import lease
from fmd_otel_exporter.schema import DAY_S

if TYPE_CHECKING:
    from fmd_otel_dash.queries.processes import Facts, Process
    from fmd_otel_dash.queries.storage import Storage
    from fmd_otel_dash.view import View

_DAY_US = DAY_S * 1_000_000
_KINDS = (
    ("Single requests", "RETENTION_RAW_DAYS", "raw_us"),
    ("Sums by the hour", "RETENTION_HOURLY_DAYS", "hourly_us"),
    ("Sums by the day", "RETENTION_DAILY_DAYS", "daily_us"),
)


def retention(view: View, found: Storage, facts: Facts) -> Any:
    """Return the table of what is kept."""
    days, origins = in_force(view, facts)
    rows = []
    for (what, setting, attribute), kept, origin in zip(_KINDS, days, origins, strict=True):
        oldest_us = getattr(found.oldest, attribute)
        rows.append(
            (
                html.Div([html.Div(what), html.Div(setting, className="fmd-faint fmd-mono")]),
                f"{kept} days" if kept else "for ever",
                origin,
                formatting.NONE if oldest_us is None else _day(view, oldest_us),
                _next(view, found, oldest_us, kept),
            )
        )
    return html.Div(
        [
            plain_table(("What", "Kept", "Set by", "Oldest", "Goes next"), rows),
            html.Div(
                "Once an hour one of the applications deletes what is older, a little at a time, and lets "
                "requests go first. Sums stay right when what they were made of is gone.",
                className="fmd-caption",
            ),
        ]
    )


def in_force(view: View, facts: Facts) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Return the three ages, and who said so: those of the process that deletes, where it has said them."""
    settings = view.settings
    own = (settings.retention_raw_days, settings.retention_hourly_days, settings.retention_daily_days)
    origins = tuple(settings.origins.get(setting, "default") for _, setting, _ in _KINDS)
    one = _who_deletes(facts)
    told = _ages(one.retention) if one is not None else None
    if one is None or told is None or told == own:
        return own, origins
    return told, tuple(
        origin if mine == theirs else f"the application on {one.name}"
        for mine, theirs, origin in zip(own, told, origins, strict=True)
    )


def _who_deletes(facts: Facts) -> Process | None:
    live = [one for one in facts.processes if one.writes and one.state == "live"]
    named = [one for one in live if lease.is_of(facts.maintainer, one.host, one.pid)]
    return next(iter([*named, *live]), None)


def _ages(text: str) -> tuple[int, ...] | None:
    parts = text.split(",")
    if len(parts) != len(_KINDS) or not all(part.isdecimal() for part in parts):
        return None
    return tuple(int(part) for part in parts)


def _next(view: View, found: Storage, oldest_us: int | None, kept: int) -> Any:
    if not kept or oldest_us is None:
        return html.Span("nothing", className="fmd-faint")
    due_us = oldest_us + kept * _DAY_US
    if due_us <= view.now_us:
        return "within the hour"
    in_days = -(-(due_us - view.now_us) // _DAY_US)
    n = ""
    if oldest_us == found.oldest.raw_us:
        first = local_time(oldest_us, view.scope.zone).date()
        of_day = dict(zip(found.days, found.requests, strict=True)).get(first)
        n = f", {formatting.count(of_day)} request{'' if of_day == 1 else 's'}" if of_day else ""
    return f"{_day(view, due_us)} (in {in_days} d){n}"


def _day(view: View, ts_us: int) -> str:
    day = local_time(ts_us, view.scope.zone)
    return f"{day.day} {day:%b %Y}"
