"""Per-Version Performance: what each deployment did to one endpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dash import html

from fmd_otel_dash.components import card, graph, url_segments
from fmd_otel_dash.figures import boxes
from fmd_otel_dash.pages import versions
from fmd_otel_dash.pages.common import absent, against, caption, export, on_click
from fmd_otel_dash.pages.endpoint_head import endpoint_page
from fmd_otel_dash.pages.performance import SCALES
from fmd_otel_dash.queries.versions import Deployment, deployments
from fmd_otel_dash.router import Page
from fmd_otel_dash.tables import Table, milliseconds

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from fmd_otel_dash.registry import Registry
    from fmd_otel_dash.view import View

TITLE = "Per-Version Performance"
BOXES = "endpoint-version-boxes"
TABLE_CARD = "endpoint-version-table"
GRID = "endpoint-version-grid"
MOST = 30


def layout(view: View) -> Any:
    """Return the page without data."""
    return endpoint_page(
        card(
            BOXES,
            "Duration by version",
            hint="The box holds the middle half of a version's requests, its line the median; the whiskers "
            "end at p5 and p95, the stroke is p99. Click a version for its requests.",
            height=400,
        ),
        card(TABLE_CARD, "Versions", actions=[export(view)], kind="table", height=200),
    )


def register(registry: Registry) -> None:
    """Register what fills the page."""

    @registry.card(BOXES)
    def chart(view: View) -> Any:
        found = view.query(deployments, view.scope)
        if not found.deployments:
            return absent(view, found.last_recorded_us)
        scale = "log" if view.state.get("scale") == "log" else "linear"
        shown = tuple(reversed(found.deployments[:MOST]))
        hidden = len(found.deployments) - len(shown)
        before = versions.before_of(view)
        compared = any(one.version.id in before for one in shown)
        return [
            html.Div(url_segments("scale", "Scale", SCALES, scale), className="fmd-toolbar"),
            graph(
                boxes.versions(shown, before, log=scale == "log"),
                name=BOXES,
                height=340,
                label="Durations by version as boxes, oldest first",
                leads=True,
            ),
            caption(
                view,
                found.n,
                against(view) if compared else "",
                f"{hidden} older versions are in the table" if hidden else "",
            ),
        ]

    @registry.card(TABLE_CARD)
    def table(view: View) -> Any:
        found = view.query(deployments, view.scope)
        if not found.deployments:
            return None
        compared = versions.compared_in_table(view) if versions.before_of(view) else ""
        return [versions.deployments_grid(view, GRID, found), caption(view, found.n, compared)]

    on_click(registry, BOXES, clicked_version)


def clicked_version(view: View, point: dict[str, Any]) -> str | None:
    """Return the endpoint's requests under a version."""
    for one in view.query(deployments, view.scope).deployments:
        if one.version.id == point.get("customdata"):
            return view.href(f"/endpoint/{view.endpoint_id}/requests", v=one.version.name)
    return None


def rows(view: View) -> Iterable[Sequence[Any]]:
    """Return the boxes line by line."""
    for one in view.query(deployments, view.scope).deployments:
        yield (one.version.service, one.version.name, one.n, one.errors, one.client_errors, *_box(one))


def _box(one: Deployment) -> list[Any]:
    if one.box is None:
        return [""] * 6
    box = one.box
    return [
        milliseconds(us) for us in (box.p5_us, box.q1_us, box.median_us, box.q3_us, box.p95_us, box.p99_us)
    ]


TABLE = Table(
    "endpoint_versions",
    ("service", "version", "requests", "errors_5xx", "errors_4xx", "p5_ms", "p25_ms", "p50_ms", "p75_ms",
     "p95_ms", "p99_ms"),
    rows,
)  # fmt: skip
PAGE = Page(
    path="/endpoint/<int:endpoint_id>/versions",
    title=TITLE,
    layout=layout,
    register=register,
    section="endpoint",
    key="v",
    icon="versions",
    table=TABLE,
)
