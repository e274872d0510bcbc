"""About: what runs here, in which versions, on which database, and what it costs. For admins."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from dash import html

from fmd_otel_dash import formatting
from fmd_otel_dash.components import card, page, plain_table
from fmd_otel_dash.queries.processes import facts
from fmd_otel_dash.roles import ADMIN
from fmd_otel_dash.router import Page
from fmd_otel_exporter.errors import safe_url
from fmd_otel_exporter.heartbeat import release

if TYPE_CHECKING:
    from fmd_otel_dash.queries.processes import Facts
    from fmd_otel_dash.registry import Registry
    from fmd_otel_dash.view import View
    from fmd_otel_exporter.store import Store

TITLE = "About"
VERSIONS, DATABASE, COST, MORE = "about-versions", "about-database", "about-cost", "about-more"
_PACKAGES = (
    ("OpenTelemetry SDK", "opentelemetry-sdk"),
    ("OpenTelemetry instrumentation for Flask", "opentelemetry-instrumentation-flask"),
    ("Flask", "flask"),
    ("Dash", "dash"),
    ("Plotly", "plotly"),
    ("Dash Mantine Components", "dash-mantine-components"),
    ("Dash AG Grid", "dash-ag-grid"),
    ("SQLAlchemy", "sqlalchemy"),
    ("Alembic", "alembic"),
)
_DOCS = (
    ("Getting started", "getting-started"), ("Configuration", "configuration"), ("Views", "views"),
    ("Deployment", "deployment"), ("Security", "security"), ("The tables", "schema"),
    ("How it works", "internals"), ("What it costs", "performance"),
)  # fmt: skip


def layout(_view: View) -> Any:
    """Return the page without data."""
    return page(
        TITLE,
        card(VERSIONS, "Versions", kind="table", height=320, span=6),
        html.Div(
            [
                card(DATABASE, "Database", kind="table", height=120),
                card(COST, "What it costs", kind="table", height=160),
                card(MORE, "To read", kind="text", height=80),
            ],
            className="fmd-column",
            style={"--span": 6},
        ),
        subtitle="Flask monitoring on OpenTelemetry, with SQL storage",
    )


def register(registry: Registry) -> None:
    """Register what fills the page."""

    @registry.card(VERSIONS, role=ADMIN)
    def versions(view: View) -> Any:
        return _versions(view.query(facts))

    @registry.card(DATABASE, role=ADMIN)
    def database(view: View) -> Any:
        name = view.query(server)
        found = view.query(facts)
        return plain_table(
            ("", ""),
            [
                ("Server", name),
                ("Address", html.Code(safe_url(view.store.url))),
                ("Schema revision", found.revision or "unknown"),
                ("Table prefix", html.Code(view.store.prefix)),
            ],
        )

    @registry.card(COST, role=ADMIN)
    def cost(view: View) -> Any:
        return _cost(view, view.query(facts))

    @registry.card(MORE, role=ADMIN)
    def more(_view: View) -> Any:
        return [
            html.Div(
                [
                    "The documentation comes with the package's source, in the folder ",
                    html.Code("docs"),
                    ": ",
                    *_listed(),
                ]
            ),
            html.Div(
                "Licence: MIT. The libraries above have licences of their own.", className="fmd-subtitle"
            ),
        ]


def server(store: Store) -> str:
    """Return which database it is, and its version."""
    with store.read() as connection:
        return store.dialect.version(connection)


def _versions(found: Facts) -> Any:
    rows: list[tuple[Any, ...]] = [
        ("fmd-otel", release() or "from source"),
        ("Python", platform.python_version()),
    ]
    rows += [(name, _version(package)) for name, package in _PACKAGES]
    others = sorted(
        {
            (one.fmd_otel, one.python)
            for one in found.processes
            if one.writes and one.state == "live" and (one.fmd_otel, one.python) != (release(), rows[1][1])
        }
    )
    rows += [
        ("Processes that write, elsewhere", f"fmd-otel {own or 'from source'}, Python {python}")
        for own, python in others
    ]
    return plain_table(("", "In this process"), rows)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _cost(view: View, found: Facts) -> Any:
    live = [one for one in found.processes if one.writes and one.state == "live"]
    batches = sum(one.batches for one in live)
    mean_us = sum(one.batch_us for one in live) / batches if batches else None
    written = sum(one.written for one in live)
    per_request = sum(one.batch_us for one in live) / written if written else None
    return [
        plain_table(
            ("Of the processes at work", ""),
            [
                ("Processes", f"{len(live):,}"),
                ("Requests written since their start", f"{written:,}"),
                ("Requests dropped", f"{sum(one.dropped for one in live):,}"),
                ("Details dropped", f"{sum(one.details_dropped for one in live):,}"),
                ("Waiting for the database", f"{sum(one.waiting for one in live):,}"),
                ("Time to write a batch", formatting.duration(mean_us)),
                ("The same by request, in the background", formatting.duration(per_request)),
            ],
            numeric=(1,),
        ),
        html.Div(html.A("More on the Storage page", href=view.href("/storage")), className="fmd-caption"),
    ]


def _listed() -> list[Any]:
    found: list[Any] = []
    for name, file in _DOCS:
        found += [", " if found else "", f"{name} (", html.Code(f"{file}.md"), ")"]
    return found


PAGE = Page(path="/about", title=TITLE, layout=layout, register=register, role=ADMIN, icon="list")
