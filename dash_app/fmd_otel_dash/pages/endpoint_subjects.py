"""Per-User Performance, and user- and IP-focused performance by version, of one endpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dash import html

from fmd_otel_dash import formatting
from fmd_otel_dash.components import (
    card,
    data_grid,
    empty,
    graph,
    link,
    number,
    url_segments,
    url_text,
)
from fmd_otel_dash.figures import boxes as box_figures
from fmd_otel_dash.figures import subjects as figures
from fmd_otel_dash.pages.common import (
    absent,
    against,
    caption,
    compared_with,
    earlier_time,
    export,
    on_click,
    versus,
)
from fmd_otel_dash.pages.endpoint_head import endpoint_page
from fmd_otel_dash.pages.paging import offset_of, pager
from fmd_otel_dash.pages.performance import SCALES
from fmd_otel_dash.queries.subjects import (
    Busiest,
    BySubjectAndVersion,
    LatencyBySubject,
    SubjectCounts,
    SubjectLatency,
    SubjectVersions,
    boxes_of,
    busiest,
    counts_of,
    latency_by_subject,
    subject_by_version,
)
from fmd_otel_dash.router import Page
from fmd_otel_dash.tables import Table, milliseconds
from fmd_otel_exporter.schema import SUBJECT_IP, SUBJECT_USER

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from fmd_otel_dash.registry import Registry
    from fmd_otel_dash.stats.percentiles import BoxStats
    from fmd_otel_dash.view import View

BOXES = "endpoint-subject-boxes"
VERSIONS = "endpoint-subject-versions"
LIST = "endpoint-subject-list"
GRID = "subjects-grid"
VIEWS = (("circles", "Circles"), ("boxes", "Boxes"))
LISTED = 100
SHOWN = 20
"""Users drawn at once; the others by searching, or page by page."""
SHOWN_AS_BOXES = 8
MOST_EXPORTED = 100_000
_WORDS = {SUBJECT_USER: ("user", "users"), SUBJECT_IP: ("address", "addresses")}
_FILTERS = {SUBJECT_USER: "user", SUBJECT_IP: "ip"}


def users_layout(view: View) -> Any:
    """Return the page of users without data."""
    return endpoint_page(
        card(
            BOXES,
            "Duration by user",
            hint="The box holds the middle half of a user's requests, its line the median; the whiskers end "
            "at p5 and p95, the stroke is p99. Busiest first. Click one for the requests.",
            height=560,
        ),
        card(LIST, "Users", actions=[export(view)], kind="table", height=320),
    )


def versions_layout(view: View) -> Any:
    """Return a page of users, or addresses, by version without data."""
    one = _WORDS[kind_of(view)][0]
    return endpoint_page(
        card(
            VERSIONS,
            f"Duration by {one} and version",
            hint=f"A circle is a {one} under a version: the larger and redder, the slower its median. "
            "Click one for the requests.",
            height=560,
        ),
        card(LIST, _WORDS[kind_of(view)][1].capitalize(), actions=[export(view)], kind="table", height=320),
    )


def register(registry: Registry) -> None:
    """Register what fills the pages."""

    @registry.card(BOXES)
    def chart(view: View) -> Any:
        found = _latencies(view)
        if not found.rows:
            return _nobody(view, found.busiest)
        log_scale = view.state.get("scale", "log") != "linear"
        before = {name: whole for name, (whole, _) in _boxes_before(view, found.rows).items()}
        return [
            html.Div(
                [_search(view), url_segments("scale", "Scale", SCALES, "log" if log_scale else "linear")],
                className="fmd-toolbar",
            ),
            graph(
                figures.boxes(found.rows, before, log_scale=log_scale),
                name=BOXES,
                height=52 + box_figures.ROW_HEIGHT * len(found.rows),
                label="Durations by user as boxes, busiest first",
                leads=True,
            ),
            _below(view, found.busiest, len(found.rows), against(view) if before else ""),
        ]

    @registry.card(VERSIONS)
    def by_version(view: View) -> Any:
        as_boxes, found = view.state.get("as") == "boxes", _versions(view)
        if not found.rows:
            return _nobody(view, found.busiest)
        before: dict[str, dict[int, BoxStats]] = {}
        if not as_boxes:
            before = {name: each for name, (_, each) in _boxes_before(view, found.rows).items()}
        figure = (
            figures.boxes_by_version(found, log_scale=True) if as_boxes else figures.circles(found, before)
        )
        per_row = max(
            box_figures.ROW_HEIGHT + 4, 13 * min(len(found.versions), figures.MAX_BOXES) if as_boxes else 0
        )
        return [
            html.Div(
                [_search(view), url_segments("as", "Drawn as", VIEWS, "boxes" if as_boxes else "circles")],
                className="fmd-toolbar",
            ),
            graph(
                figure,
                name=VERSIONS,
                height=70 + (0 if as_boxes else figures.BELOW_PX) + per_row * len(found.rows),
                least_width=0 if as_boxes else figures.least_width(found),
                label=f"Durations by {_WORDS[kind_of(view)][0]} and version",
                leads=True,
            ),
            _below(
                view,
                found.busiest,
                len(found.rows),
                _left_out(found, as_boxes=as_boxes),
                f"rings: {compared_with(view)}" if before else "",
            ),
        ]

    @registry.card(LIST)
    def listed(view: View) -> Any:
        kind = kind_of(view)
        found = view.query(busiest, view.scope, kind, LISTED, view.state.get("q"), offset_of(view))
        if not found.rows:
            return None
        names, earlier = tuple(each.value for each in found.rows), earlier_time(view)
        before = view.query(counts_of, earlier, kind, names) if earlier else {}
        lines = [row(view, each, before.get(each.value)) for each in found.rows]
        return [
            data_grid(GRID, _columns(kind, compare=bool(before)), lines),
            html.Div(f"Changes: {versus(view)}", className="fmd-caption") if before else None,
        ]

    on_click(registry, BOXES, clicked_user)
    on_click(registry, VERSIONS, clicked_cell)


def kind_of(view: View) -> int:
    """Return whom the page is about."""
    return SUBJECT_IP if view.path.rstrip("/").endswith("version_ip") else SUBJECT_USER


def clicked_user(view: View, point: dict[str, Any]) -> str | None:
    """Return the requests of the user whose box it is."""
    place = point.get("customdata")
    rows = _latencies(view).rows
    if not isinstance(place, int) or not 0 <= place < len(rows):
        return None
    return _requests(view, rows[place].counts.value)


def clicked_cell(view: View, point: dict[str, Any]) -> str | None:
    """Return the requests of a user, or an address, under a version."""
    found = _versions(view)
    match point.get("customdata"):
        case [int(place), int(column)] if 0 <= place < len(found.rows) and 0 <= column < len(found.versions):
            return _requests(view, found.rows[place].counts.value, v=found.versions[column].name)
    return None


def _requests(view: View, name: str, **extra: str) -> str:
    path = f"/endpoint/{view.endpoint_id}/requests"
    return view.href(path, **{_FILTERS[kind_of(view)]: name}, **extra)


def _latencies(view: View) -> LatencyBySubject:
    return view.query(
        latency_by_subject, view.scope, kind_of(view), SHOWN, view.state.get("q"), offset_of(view)
    )


def _versions(view: View) -> BySubjectAndVersion:
    shown = SHOWN_AS_BOXES if view.state.get("as") == "boxes" else SHOWN
    return view.query(
        subject_by_version, view.scope, kind_of(view), shown, view.state.get("q"), offset_of(view)
    )


def _boxes_before(
    view: View, rows: Sequence[SubjectLatency | SubjectVersions]
) -> dict[str, tuple[BoxStats, dict[int, BoxStats]]]:
    """Return how long the requests of those who are shown took in the comparison."""
    earlier = earlier_time(view)
    names = tuple(row.counts.value for row in rows)
    return view.query(boxes_of, earlier, kind_of(view), names) if earlier else {}


def _search(view: View) -> Any:
    one = _WORDS[kind_of(view)][0]
    return url_text("q", f"Search {'an' if one == 'address' else 'a'} {one}", view.state.get("q"), w=220)


def _nobody(view: View, found: Busiest) -> Any:
    one, many = _WORDS[found.kind]
    if view.state.get("q"):
        return [
            html.Div(_search(view), className="fmd-toolbar"),
            empty(f"No {one} by that name", "Nobody in this range has it as a part of theirs."),
        ]
    last_us = found.last_recorded_us
    if last_us is None or not view.scope.start_us <= last_us < view.scope.end_us:
        return absent(view, last_us)
    if found.kind == SUBJECT_USER:
        return empty(
            "Users are not told apart",
            html.Span(
                ["Set ", html.Code("fmd_otel.config.group_by"), " to a function that returns the user."]
            ),
            symbol="users",
        )
    return empty(f"No {many} recorded", "The addresses of requests in this range are not known.")


def _left_out(found: BySubjectAndVersion, *, as_boxes: bool) -> str:
    most = figures.MAX_BOXES if as_boxes else figures.MAX_VERSIONS
    return f"the newest {most} of {len(found.versions)} versions" if len(found.versions) > most else ""


def _below(view: View, found: Busiest, shown: int, *more: str) -> Any:
    many = _WORDS[found.kind][1]
    parts = [
        caption(view, found.n, f"{found.found:,} {many}", *more),
        pager(view, shown, found.found, back="Busier"),
    ]
    return html.Div(parts, className="fmd-foot")


def row(view: View, each: SubjectCounts, before: SubjectCounts | None = None) -> dict[str, Any]:
    """Return one line of the list; ``before`` is the same user, or address, in the comparison."""
    name = _FILTERS[kind_of(view)]
    n_before = before.n if before else 0
    slower = formatting.relative_change(
        each.mean_us, before.mean_us if before else None, n_now=each.n, n_before=n_before
    )
    return {
        "id": each.value,
        "value": each.value,
        "href": view.href(f"/endpoint/{view.endpoint_id}/requests", **{name: each.value}),
        "n": each.n,
        "errors": each.error_rate,
        "errorsText": formatting.percent(each.error_rate),
        "mean": each.mean_us,
        "meanText": formatting.duration(each.mean_us),
        "more": each.n - n_before,
        "moreText": f"{each.n - n_before:+,}" if each.n != n_before else "0",
        "changeText": f"{slower.arrow} {slower.text}".strip() if slower else formatting.NONE,
        "changeTone": slower.tone if slower else "neutral",
        "change": each.mean_us / before.mean_us - 1 if before and before.mean_us else None,
        "changeHint": f"n = {each.n:,} / {n_before:,}"
        + (f", mean {formatting.duration(before.mean_us)} then" if before else ""),
        "time": each.sum_us,
        "timeText": formatting.duration(each.sum_us),
    }


def _columns(kind: int, *, compare: bool) -> list[dict[str, Any]]:
    narrow = {"narrow": True}
    only = {"hide": not compare, "context": {} if compare else {"off": True}, "tooltipField": "changeHint"}
    return [
        link("value", _WORDS[kind][0].capitalize(), flex=1, minWidth=140, context=narrow),
        number("n", "Requests", width=100, sort="desc", context=narrow),
        number("more", "Change", shown="moreText", width=96, **only,
               headerTooltip="How many more requests, or fewer, than in the comparison"),
        number("errors", "Errors", shown="errorsText", width=86, cellRenderer="FmdErrors"),
        number("mean", "Mean", shown="meanText", width=96, context=narrow),
        number("change", "Mean change", shown="changeText", width=112, cellRenderer="FmdChange", **only,
               headerTooltip="How the mean differs from the comparison; plain where requests are few"),
        number("time", "Time spent", shown="timeText", width=110),
    ]  # fmt: skip


def rows(view: View) -> Iterable[Sequence[Any]]:
    """Return everybody line by line, busiest first."""
    found = view.query(busiest, view.scope, kind_of(view), MOST_EXPORTED, view.state.get("q"))
    for each in found.rows:
        yield each.value, each.n, each.errors, milliseconds(each.mean_us), milliseconds(each.sum_us)


TABLE = Table("subjects", ("subject", "requests", "errors_5xx", "mean_ms", "time_spent_ms"), rows)
USERS_PAGE = Page(
    path="/endpoint/<int:endpoint_id>/users",
    title="Per-User Performance",
    layout=users_layout,
    register=register,
    section="endpoint",
    key="u",
    icon="user",
    table=TABLE,
)
VERSION_USER_PAGE = Page(
    path="/endpoint/<int:endpoint_id>/version_user",
    title="User-Focused Multi-Version Performance",
    layout=versions_layout,
    section="endpoint",
    key="m",
    icon="users",
    table=TABLE,
)
VERSION_IP_PAGE = Page(
    path="/endpoint/<int:endpoint_id>/version_ip",
    title="IP-Focused Multi-Version Performance",
    layout=versions_layout,
    section="endpoint",
    key="i",
    icon="versions",
    table=TABLE,
)
