"""Multi Version API Utilization: what each deployed version serves, and how well."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fmd_otel_dash import formatting
from fmd_otel_dash.components import card, column, data_grid, graph, link, number, page
from fmd_otel_dash.figures import boxes, heatmap
from fmd_otel_dash.pages.common import absent, caption, compared_with, earlier_time, export, on_click
from fmd_otel_dash.pages.version_choice import choice
from fmd_otel_dash.queries.scope import local_time
from fmd_otel_dash.queries.versions import Deployment, Deployments, Utilization, deployments, utilization
from fmd_otel_dash.router import Page
from fmd_otel_dash.stats.percentiles import change
from fmd_otel_dash.tables import Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from fmd_otel_dash.registry import Registry
    from fmd_otel_dash.view import View

TITLE = "Multi Version API Utilization"
SHARES = "versions-shares"
DEPLOYMENTS = "versions-deployments"
GRID = "deployments-grid"
_ROW_HEIGHT = 26
_MOST_ENDPOINTS = 25


def layout(view: View) -> Any:
    """Return the page without data."""
    return page(
        TITLE,
        card(
            DEPLOYMENTS,
            "Deployments",
            hint="Every version that served in the range, and how its p95 differs from the one before.",
            actions=[export(view)],
            kind="table",
            height=180,
        ),
        card(
            SHARES,
            "What each version is asked for",
            hint="Share of a version's requests that went to an endpoint: a column adds up to 100 %. "
            "Click a cell for its requests.",
            height=420,
        ),
        subtitle="What each deployed version serves, and how well",
    )


def register(registry: Registry) -> None:
    """Register what fills the page."""

    @registry.card(DEPLOYMENTS)
    def table(view: View) -> Any:
        found = view.query(deployments, view.scope)
        if not found.deployments:
            return absent(view, found.last_recorded_us)
        before = before_of(view)
        return [
            choice(view, found),
            deployments_grid(view, GRID, found),
            caption(view, found.n, compared_in_table(view) if before else ""),
        ]

    @registry.card(SHARES)
    def shares(view: View) -> Any:
        found = view.query(utilization, view.scope)
        if not found.endpoints:
            return None
        shown = min(len(found.endpoints), _MOST_ENDPOINTS)
        hidden = len(found.endpoints) - shown
        return [
            graph(
                heatmap.utilization(found, _shares_before(view), max_endpoints=_MOST_ENDPOINTS),
                name=SHARES,
                height=70 + _ROW_HEIGHT * shown,
                label="Share of each version's requests by endpoint",
                leads=True,
            ),
            caption(
                view,
                sum(found.totals),
                "percent of a version's requests",
                f"{hidden} quieter endpoints are in the CSV" if hidden else "",
            ),
        ]

    on_click(registry, SHARES, clicked_share)


def before_of(view: View) -> dict[int, Deployment]:
    """Return how each version did in the comparison, where that is one of times."""
    earlier = earlier_time(view)
    found = view.query(deployments, earlier).deployments if earlier else ()
    return {one.version.id: one for one in found}


def compared_in_table(view: View) -> str:
    """Return what the column of differences is against, in a caption."""
    return f"“then”: the same version in {compared_with(view)}"


def deployments_grid(view: View, grid_id: str, found: Deployments) -> Any:
    """Return the table of deployments; also that of an endpoint."""
    before = before_of(view)
    several = len({one.version.service for one in found.deployments}) > 1
    lines = [row(view, one, before.get(one.version.id)) for one in found.deployments]
    return data_grid(grid_id, columns(several=several, compare=bool(before)), lines)


def _shares_before(view: View) -> Utilization | None:
    earlier = earlier_time(view)
    return view.query(utilization, earlier) if earlier else None


def clicked_share(view: View, point: dict[str, Any]) -> str | None:
    """Return the requests of an endpoint under a version."""
    found = view.query(utilization, view.scope)
    first = max(0, len(found.versions) - heatmap.MAX_VERSIONS)
    try:
        endpoint, version = found.endpoints[int(point["y"])], found.versions[first + int(point["x"])]
    except (KeyError, ValueError, IndexError):
        return None
    return view.href(f"/endpoint/{endpoint.id}/requests", v=version.name)


def row(view: View, one: Deployment, before: Deployment | None = None) -> dict[str, Any]:
    """Return one line of the table of deployments; ``before`` is the same version in the comparison."""
    moved = one.change
    then = change(before.latency, one.latency, 0.95) if before else None
    since = formatting.measured_change(then) if then else None
    delta = formatting.measured_change(moved) if moved else None
    path = "/requests" if view.endpoint_id is None else f"/endpoint/{view.endpoint_id}/requests"
    return {
        "id": one.version.id,
        "service": one.version.service,
        "version": one.version.name,
        "href": view.href(path, v=one.version.name),
        "first": one.version.first_us,
        "firstText": f"{local_time(one.version.first_us, view.scope.zone):%Y-%m-%d %H:%M}",
        "n": one.n,
        "errors": one.error_rate,
        "errorsText": formatting.percent(one.error_rate),
        "clientErrors": one.client_errors,
        "p50": one.p50_us,
        "p50Text": formatting.duration(one.p50_us),
        "p95": one.p95_us,
        "p95Text": formatting.duration(one.p95_us),
        "change": moved.ratio if moved else None,
        "changeText": f"{delta.arrow} {delta.text}".strip() if delta else formatting.NONE,
        "changeTone": delta.tone if delta else "neutral",
        "changeHint": boxes.change_text(moved, one.predecessor),
        "then": then.ratio if then else None,
        "thenText": f"{since.arrow} {since.text}".strip() if since else formatting.NONE,
        "thenHint": boxes.change_text(then, "then"),
    }


def columns(*, several: bool, compare: bool = False) -> list[dict[str, Any]]:
    """Return the columns of a table of deployments."""
    narrow = {"narrow": True}
    return [
        link("version", "Version", width=104, minWidth=80, context=narrow),
        column("service", "Service", width=130, hide=not several, context={} if several else {"off": True}),
        number("first", "First seen", shown="firstText", width=150, sort="desc"),
        number("n", "Requests", width=82, context=narrow),
        number("errors", "Errors", shown="errorsText", width=84, cellRenderer="FmdErrors"),
        number("p50", "p50", shown="p50Text", width=88),
        number("p95", "p95", shown="p95Text", width=76, context=narrow),
        number("change", "p95 change", shown="changeText", width=94, cellRenderer="FmdChange", context=narrow,
               headerTooltip="Of p95, against the version before"),
        number("then", "vs then", shown="thenText", width=84, hide=not compare, tooltipField="thenHint",
               context={} if compare else {"off": True},
               headerTooltip="How p95 of the same version differs from the comparison"),
        column("changeHint", "Against the version before", flex=1, minWidth=160, sortable=False,
               cellClass="fmd-faint fmd-after", headerClass="fmd-after"),
    ]  # fmt: skip


def rows(view: View) -> Iterable[Sequence[Any]]:
    """Return which version served what, line by line."""
    found = view.query(utilization, view.scope)
    for endpoint, counts, shares in zip(found.endpoints, found.n, found.shares, strict=True):
        for version, n, share in zip(found.versions, counts, shares, strict=True):
            first = local_time(version.first_us, view.scope.zone).isoformat()
            yield version.service, version.name, first, endpoint.name, n, round(share, 6)


TABLE = Table(
    "versions", ("service", "version", "first_seen", "endpoint", "requests", "share_of_version"), rows
)
PAGE = Page(
    path="/multi_version",
    title=TITLE,
    layout=layout,
    register=register,
    section="dashboard",
    key="v",
    icon="versions",
    table=TABLE,
)
