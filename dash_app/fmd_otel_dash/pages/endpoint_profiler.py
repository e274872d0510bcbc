"""Profiler of one endpoint: its profiled requests, newest first, and a way to order one more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dash import Input, Output, html, set_props
from dash.exceptions import PreventUpdate

from fmd_otel_dash import formatting, ids, urlstate
from fmd_otel_dash.components import card, column, data_grid, link, number
from fmd_otel_dash.components.attributes import attributes
from fmd_otel_dash.components.forms import send_button
from fmd_otel_dash.pages import profile_price
from fmd_otel_dash.pages.endpoint_head import HEAD, endpoint_page, read
from fmd_otel_dash.pages.profile_parts import kept, no_profiles
from fmd_otel_dash.queries.profilerange import newest_exact, ordered, profiles_listed
from fmd_otel_dash.queries.profiles import ProfileRow, profiles
from fmd_otel_dash.queries.scope import local_time
from fmd_otel_dash.roles import ADMIN
from fmd_otel_dash.router import Page
from fmd_otel_dash.tables import Table, milliseconds
from fmd_otel_exporter.catalog import order_profile

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from fmd_otel_dash.queries.look import Endpoint
    from fmd_otel_dash.registry import Registry
    from fmd_otel_dash.view import View

TITLE = "Profiler"
LIST = "endpoint-profiles"
GRID = "endpoint-profiles-grid"
ORDER = "profile-order"
"""Store that the buttons write to: how many of the next requests of which endpoint to profile."""
PAGE_SIZE = 100
MOST_EXPORTED = 10_000
_FAR_US = 1 << 62


def layout(_view: View) -> Any:
    """Return the page without data."""
    return endpoint_page(
        card(
            LIST,
            "Profiled requests",
            hint="Requests at monitor level 3 that took longer than a sample, and those asked for",
            kind="table",
            height=420,
            stores=[ORDER],
        )
    )


def register(registry: Registry) -> None:
    """Register what fills the page."""

    @registry.card(LIST, Input(ids.retry(HEAD), "data"))
    def listed(view: View, _level_changed: Any) -> Any:
        endpoint = endpoint_of(view)
        if endpoint is None:
            return None  # the page's head says so
        arrived = _arrived(view)
        if arrived is not None:
            # What was waited for is there: on to it.
            set_props(ids.URL, {"href": profile_href(view, arrived)})
        return [_order(view), profile_price.note(view, endpoint), *_profiles(view, endpoint)]

    @registry.callback(
        Output(ids.URL, "search", allow_duplicate=True),
        Output(ids.NOTICE, "children", allow_duplicate=True),
        Input(ORDER, "data"),
        role=ADMIN,
    )
    def order(view: View, wanted: dict[str, Any] | None) -> Any:
        if not wanted:
            raise PreventUpdate  # the page has only just opened
        return _ordered(view, wanted)


def endpoint_of(view: View) -> Endpoint | None:
    """Return the endpoint of the page; None if there is none of that number."""
    rows = read(view).endpoints
    return rows[0].endpoint if rows else None


def profile_href(view: View, row: ProfileRow) -> str:
    """Return the address of a profile."""
    return view.href(f"/endpoint/{view.endpoint_id}/profiler/{key_of(row)}", **kept(view))


def key_of(row: ProfileRow) -> str:
    """Return what finds a profile again: the key of its request."""
    return f"{row.ts_us}-{row.endpoint_id}-{row.span_id.hex()}"


def _profiles(view: View, endpoint: Endpoint) -> list[Any]:
    rows = read_rows(view, before_us(view), PAGE_SIZE + 1)
    if not rows:
        newest = view.query(profiles, endpoint.id, (0, _FAR_US), limit=1)
        return [no_profiles(view, newest[0].ts_us if newest else None, endpoint.level)]
    shown, older = rows[:PAGE_SIZE], rows[PAGE_SIZE:]
    longest = max(row.duration_us for row in shown) or 1
    return [
        data_grid(GRID, columns(), [_row(view, row, longest) for row in shown]),
        html.Div(
            [
                html.Div(
                    " · ".join(
                        (
                            f"{len(shown):,} profiled requests, newest first",
                            urlstate.label(view.state, view.window),
                            view.scope.tz,
                        )
                    ),
                    className="fmd-caption",
                ),
                html.Div(_pager(view, shown, older), className="fmd-pager"),
            ],
            className="fmd-foot",
        ),
    ]


def read_rows(view: View, until_us: int, limit: int) -> list[ProfileRow]:
    """Return profiles of the range, newest first."""
    return view.query(profiles_listed, view.scope, until_us, limit)


def before_us(view: View) -> int:
    """Return where the page of the list begins."""
    text = view.state.get("before")
    return int(text) if text.isdecimal() and len(text) < 19 else _FAR_US  # noqa: PLR2004 - digits of 63 bits


def columns() -> list[dict[str, Any]]:
    """Return the columns of the list."""
    narrow = {"narrow": True}
    return [
        link("time", "Time", width=190, minWidth=150, context=narrow),
        number("duration", "Duration", cellRenderer="FmdTook", flex=1, minWidth=120, context=narrow,
               headerTooltip="As long as the bar; orange on the CPU, blue waiting"),
        number("cpu", "On CPU", shown="cpuText", width=84),
        number("samples", "Samples", width=88),
        column("kind", "How", width=120, headerTooltip="Sampled at level 3, or asked for"),
        column("version", "Version", width=110),
    ]  # fmt: skip


def _row(view: View, row: ProfileRow, longest: int) -> dict[str, Any]:
    local = local_time(row.ts_us, view.scope.zone)
    cpu = min(1.0, row.cpu_us / row.duration_us) if row.duration_us else 0.0
    return {
        "id": key_of(row),
        "time": f"{local:%Y-%m-%d %H:%M:%S}.{local.microsecond // 1000:03d}",
        "href": profile_href(view, row),
        "duration": row.duration_us,
        "durationText": formatting.duration(row.duration_us),
        "share": round(row.duration_us / longest, 4),
        "cpu": round(cpu, 4),
        "cpuText": formatting.percent(round(cpu, 2)),
        "samples": row.samples,
        "kind": "asked for" if row.exact else "sampled",
        "version": row.version,
    }


def _pager(view: View, shown: list[ProfileRow], older: list[ProfileRow]) -> list[Any]:
    links = []
    if view.state.get("before"):
        links.append(html.A("Newest", href=_page_href(view, ""), className="fmd-button"))
    if older:
        # Of the same microsecond there may be another: better one twice than one missing.
        following = str(shown[-1].ts_us + (shown[-1].ts_us == older[0].ts_us))
        links.append(html.A("Older", href=_page_href(view, following), className="fmd-button"))
    return links


def _page_href(view: View, before: str) -> str:
    state = view.state.with_extra("before", *([before] if before else []))
    return view.settings.url(view.path) + urlstate.format_search(state)


def _order(view: View) -> Any:
    """Return the button that orders a profile, or that one is being waited for."""
    if view.endpoint_id is not None and view.query(ordered, view.endpoint_id):
        return html.Div(
            [
                html.Span(className="fmd-pulse"),
                html.Span(
                    "Waiting for the next request to this endpoint. It is looked at much closer than at "
                    "level 3, which makes that one request slower. This page then opens it."
                ),
                _send(view, "Cancel", 0),
            ],
            className="fmd-waiting",
            role="status",
            **attributes(data_waiting="true"),
        )
    return html.Div(_ask(view), className="fmd-toolbar")


def _ask(view: View) -> Any:
    return _send(view, "Profile the next request", 1)


def _send(view: View, text: str, requests: int) -> Any:
    """Return a button for who may press it."""
    if not view.user.may(ADMIN):
        return None
    return send_button(text, ORDER, {"endpoint": view.endpoint_id, "requests": requests})


def _ordered(view: View, wanted: dict[str, Any]) -> tuple[Any, Any]:
    """Order a profile, or take an order back; the address remembers from when on one is waited for."""
    requests: Any = wanted.get("requests")
    endpoint = endpoint_of(view)
    if endpoint is None or wanted.get("endpoint") != endpoint.id or requests not in {0, 1}:
        raise PreventUpdate
    newest = newest_exact(view.store, endpoint.id)
    order_profile(view.store, endpoint.id, requests)
    view.services.cache.clear()
    state = view.state.with_extra("wait", *([str(newest.ts_us if newest else 0)] if requests else []))
    return (
        urlstate.format_search(state),
        f"The next request to {endpoint.name} will be profiled." if requests else "Taken back.",
    )


def _arrived(view: View) -> ProfileRow | None:
    """Return the profile that the address waits for, once it is there."""
    since = view.state.get("wait")
    if not since.isdecimal() or view.endpoint_id is None:
        return None
    newest = newest_exact(view.store, view.endpoint_id)
    return newest if newest and newest.ts_us > int(since) else None


def rows(view: View) -> Iterable[Sequence[Any]]:
    """Return the list line by line."""
    for row in read_rows(view, _FAR_US, MOST_EXPORTED):
        yield (
            local_time(row.ts_us, view.scope.zone).isoformat(timespec="milliseconds"),
            milliseconds(row.duration_us), milliseconds(row.cpu_us), row.samples,
            "asked for" if row.exact else "sampled", row.version, row.span_id.hex(),
        )  # fmt: skip


TABLE = Table("profiles", ("time", "duration_ms", "cpu_ms", "samples", "how", "version", "span_id"), rows)
PAGE = Page(
    path="/endpoint/<int:endpoint_id>/profiler",
    title=TITLE,
    layout=layout,
    register=register,
    section="endpoint",
    key="p",
    icon="flame",
    table=TABLE,
)
