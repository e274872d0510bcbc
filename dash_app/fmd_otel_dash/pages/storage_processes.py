"""The storage page's lower half: processes, spools, versions."""

from __future__ import annotations

import platform
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from dash import html

from fmd_otel_dash import formatting
from fmd_otel_dash.components import empty, plain_table
from fmd_otel_dash.components.storage import facts_list, meter, state_dot
from fmd_otel_dash.health import why_dropped
from fmd_otel_dash.queries import spools
from fmd_otel_exporter import lease
from fmd_otel_exporter.heartbeat import release
from fmd_otel_exporter.migrations import HEAD

if TYPE_CHECKING:
    from fmd_otel_dash.queries.processes import Facts, Process
    from fmd_otel_dash.view import View

_MB = 1 << 20
_NEARLY_FULL = 0.5
_MOST = 60
_ROLES = {"worker": "web worker", "otlp": "OTLP receiver", "dashboard": "dashboard"}
_STATES = {
    "live": "heard from lately",
    "late": "not heard from for minutes: it hangs, or cannot reach the database",
    "gone": "not heard from for more than an hour",
    "ended": "has ended in good order",
    "killed": "was killed, or crashed; another process takes over what it left in its spool",
}


def processes(facts: Facts) -> Any:
    """Return the table of processes."""
    if not facts.processes:
        return empty(
            "No process has been heard from",
            "An application appears here with its first request, and stays for a day after its end.",
            symbol="user",
        )
    headings = ("", "Process", "Serves", "Up", "Heard", "Written", "Waiting", "Lost", "Batch", "Trouble")
    shown = facts.processes[:_MOST]
    table = plain_table(headings, [_process(one, facts) for one in shown], numeric=(3, 4, 5, 6, 7, 8))
    rest = len(facts.processes) - len(shown)
    more = html.Div(f"{rest} more, heard from earlier, are not shown.", className="fmd-caption")
    return html.Div([table, more if rest > 0 else None])


def _process(one: Process, facts: Facts) -> tuple[Any, ...]:
    role = _ROLES.get(one.role, one.role)
    maintains = " · maintainer" if _maintains(one, facts) else ""
    last_us = facts.now_us if one.state in {"live", "late"} else one.heard_us
    lost: Any = formatting.count(one.dropped)
    if one.dropped or one.details_dropped:
        why = [f"{n:,}: {why_dropped(reason)}" for reason, n in one.dropped_by.items()]
        if one.details_dropped:
            why.append(f"{one.details_dropped:,} profiles, outliers and other details had to give way")
        lost = html.Span(lost, className="fmd-bad" if one.dropped_hour else None, title="; ".join(why))
    return (
        state_dot(one.state, _STATES[one.state]),
        html.Div([html.Div(one.name), html.Div(role + maintains, className="fmd-faint")]),
        html.Div([html.Div(one.service or formatting.NONE), html.Div(one.version, className="fmd-faint")]),
        formatting.duration(max(last_us - one.started_us, 0)),
        formatting.ago(one.heard_us, facts.now_us),
        html.Span(formatting.count(one.written), title=_written(one)),
        html.Span(formatting.count(one.waiting), title=formatting.size(one.waiting_bytes)),
        lost,
        html.Span(
            formatting.duration(one.batch_mean_us),
            title=f"longest {formatting.duration(one.batch_max_us)}, {one.batches:,} batches",
        ),
        _trouble(one, facts.now_us),
    )


def _written(one: Process) -> str:
    parts = [f"{one.accepted:,} accepted"]
    for n, what in (
        (one.replayed, "of dead processes"),
        (one.duplicate, "were there already"),
        (one.retries, "retries"),
    ):
        if n:
            parts.append(f"{n:,} {what}")
    return "; ".join(parts)


def _trouble(one: Process, now_us: int) -> Any:
    parts: list[Any] = []
    if one.last_error:
        when = f"{formatting.ago(one.last_error_us, now_us)}: " if one.last_error_us else ""
        parts.append(html.Div([html.Span(when, className="fmd-faint"), one.last_error]))
    if one.failures:
        told = ", ".join(f"{where} failed {n:,} ×" for where, n in sorted(one.failures.items()))
        parts.append(html.Div(told))
    return (
        html.Div(parts, className="fmd-process-trouble")
        if parts
        else html.Span("none", className="fmd-faint")
    )


def _maintains(one: Process, facts: Facts) -> bool:
    return one.state == "live" and lease.is_of(facts.maintainer, one.host, one.pid)


def spool(view: View, facts: Facts) -> Any:
    """Return what waits, host by host."""
    settings = view.settings
    hosts = spools.by_host(facts.processes)
    here = spools.local(view.store.url, settings.table_prefix, settings.spool_dir)
    most = settings.spool_mb * _MB
    parts: list[Any] = []
    if hosts:
        rows = [
            (
                one.host,
                f"{one.processes}",
                formatting.count(one.waiting),
                html.Div(
                    [
                        formatting.size(one.waiting_bytes),
                        meter(
                            one.waiting_bytes / most,
                            "warn" if one.waiting_bytes > most * _NEARLY_FULL else "",
                        )
                        if most
                        else None,
                    ]
                ),
            )
            for one in hosts
        ]
        parts.append(plain_table(("Host", "Processes", "Waiting", "On disk"), rows, numeric=(1, 2, 3)))
    else:
        parts.append(
            empty("Nothing waits", "No process that writes has been heard from lately.", symbol="inbox")
        )
    if here is not None:
        left = (
            f"; {formatting.size(here.orphaned_bytes)} of it were left by processes that are gone, and are "
            "taken over by the next one"
            if here.orphaned_bytes
            else ""
        )
        parts.append(
            html.Div(
                [
                    html.Span(here.directory, className="fmd-mono"),
                    f" holds {formatting.size(here.total_bytes)}{left}.",
                ],
                className="fmd-caption",
            )
        )
    return html.Div(parts)


def versions(facts: Facts, product: str) -> Any:
    """Return what runs here and there."""
    live = [one for one in facts.processes if one.state in {"live", "late"} and one.writes]
    told = facts.revision or "none"
    return facts_list(
        [
            ("fmd-otel, here", release() or formatting.NONE),
            ("fmd-otel, applications", _distinct(one.fmd_otel for one in live)),
            ("Tables", f"revision {told}" + ("" if told == HEAD else f", and {HEAD} is needed")),
            ("Database", product),
            ("Python, here", platform.python_version()),
            ("Python, applications", _distinct(one.python for one in live)),
            ("SQLAlchemy", version("sqlalchemy")),
            ("Dash", version("dash")),
        ]
    )


def _distinct(values: Any) -> str:
    return ", ".join(sorted({value for value in values if value})) or formatting.NONE
