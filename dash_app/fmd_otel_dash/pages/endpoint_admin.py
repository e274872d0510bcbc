"""Endpoints, for admins: what they are called, what counts together, who has set their levels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dash import Input, Output, State, html, no_update

from fmd_otel_dash import formatting, ids, upkeep
from fmd_otel_dash.components import card, foreign, icon, page, plain_table, url_text
from fmd_otel_dash.components.attributes import attributes
from fmd_otel_dash.components.forms import select_field, send_button, text_field
from fmd_otel_dash.pages.changing import NOT_CHANGED, told
from fmd_otel_dash.pages.paging import offset_of, pager
from fmd_otel_dash.queries.endpoints import all_endpoints, level_origin, rules
from fmd_otel_dash.roles import ADMIN
from fmd_otel_dash.router import Page
from fmd_otel_exporter import endpoint_changes
from fmd_otel_exporter.catalog import unpin_level

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fmd_otel_dash.queries.look import Endpoint
    from fmd_otel_dash.registry import Registry
    from fmd_otel_dash.view import View
    from fmd_otel_exporter.level_rules import LevelRule

TITLE = "Endpoints"
PATH = "/endpoints"
LIST, EDIT, MERGE, DELETE = "endpoints-list", "endpoint-edit", "endpoint-merge", "endpoint-delete"
WANTED = "endpoint-row-wanted"
"""Store that the list's buttons write to."""
FORM_WANTED = "endpoint-form-wanted"
"""The same, for those of the form: what they need is there only then."""
NAME, INTO = "endpoint-new-name", "endpoint-into"
SHOWN = 30


def layout(view: View) -> Any:
    """Return the page without data."""
    return page(
        TITLE,
        card(LIST, kind="table", height=320, span=8, stores=[WANTED]),
        _form(),
        subtitle="Names, levels, and what counts together",
        actions=[url_text("q", "Find an endpoint", view.state.get("q"))],
    )


def register(registry: Registry) -> None:
    """Register what fills the page, and what changes endpoints."""

    @registry.card(LIST, role=ADMIN)
    def listed(view: View) -> Any:
        return _listed(view, _chosen(view), view.query(rules))

    @registry.card(EDIT, role=ADMIN)
    def edit(view: View) -> Any:
        endpoint = _selected(view)
        if endpoint is None:
            return html.Div(
                "Choose Edit in a row to rename an endpoint, merge it into another one, or delete it.",
                className="fmd-subtitle",
            )
        return _heading(endpoint)

    @registry.card(MERGE, Input(INTO, "value"), role=ADMIN)
    def merge(view: View, into: str | None) -> Any:
        endpoint = _selected(view)
        return None if endpoint is None else _merge(endpoint, _numbered(view, into))

    @registry.card(DELETE, role=ADMIN)
    def delete(view: View) -> Any:
        endpoint = _selected(view)
        return None if endpoint is None else _delete(endpoint)

    @registry.callback(
        Output(NAME, "value"),
        Output(INTO, "data"),
        Output(INTO, "value"),
        Input(ids.VIEW, "data"),
        role=ADMIN,
        prevent_initial_call=False,
    )
    def fields(view: View, _changed: Any) -> Any:
        endpoint = _selected(view)
        if endpoint is None:
            return "", [], None
        others = [
            {"value": str(each.id), "label": each.name}
            for each in view.query(all_endpoints)
            if each.service == endpoint.service and each.id != endpoint.id
        ]
        return ("" if endpoint.name == endpoint.own_name else endpoint.name), others, None

    @registry.callback(
        Output(ids.retry(LIST), "data", allow_duplicate=True),
        Output(ids.retry(EDIT), "data", allow_duplicate=True),
        Output(ids.NOTICE, "children", allow_duplicate=True),
        Input(WANTED, "data"),
        role=ADMIN,
    )
    def change(view: View, wanted: dict[str, Any]) -> Any:
        return wanted, wanted, told(view, lambda: _change_row(view, wanted))

    @registry.callback(
        Output(ids.retry(LIST), "data", allow_duplicate=True),
        Output(ids.retry(EDIT), "data", allow_duplicate=True),
        Output(ids.NOTICE, "children", allow_duplicate=True),
        Input(FORM_WANTED, "data"),
        State(NAME, "value"),
        State(INTO, "value"),
        role=ADMIN,
    )
    def change_one(view: View, wanted: dict[str, Any], name: str | None, into: str | None) -> Any:
        said = told(view, lambda: _change_one(view, wanted, name or "", into))
        return wanted, (no_update if str(said).startswith(NOT_CHANGED) else wanted), said


def _change_row(view: View, wanted: dict[str, Any]) -> str:
    own: Any = wanted.get("id")
    if wanted.get("do") == "separate":
        endpoint_changes.separate(view.store, own)
        return "It counts for itself again, with all that it counted before."
    level = unpin_level(view.store, own, view.settings.default_level, view.settings.default_rules)
    return f"Rules decide on it again: it is at level {level}; every worker follows within two seconds."


def _change_one(view: View, wanted: dict[str, Any], name: str, into: str | None) -> Any:
    own: Any = wanted.get("id")
    if own is None:
        endpoint = _selected(view)
        if endpoint is None:
            return f"{NOT_CHANGED}choose an endpoint first."
        own = endpoint.id
    match wanted.get("do"):
        case "rename":
            endpoint_changes.rename(view.store, own, name)
            return "Renamed." if name.strip() else "It is called as the application calls it."
        case "merge":
            if not (into or "").isdecimal():
                return f"{NOT_CHANGED}choose what to merge it into."
            endpoint_changes.merge(view.store, own, int(into or 0))
            return "Merged: past and future requests count together. Separate takes it back."
        case "delete":
            gone = upkeep.start_remove(view.store, own, view.user.name)
            return [
                html.Span(f"{gone} is deleted; its rows go in the background. "),
                html.A("How far that is", href=view.href("/storage")),
            ]
    return f"{NOT_CHANGED}there is no such button."


def _chosen(view: View) -> list[Endpoint]:
    """Return the endpoints of the services that the page is about, whose text matches the filter."""
    words = view.state.get("q").casefold().split()
    services = view.state.services
    return [
        each
        for each in view.query(all_endpoints)
        if (not services or each.service in services)
        and all(word in f"{each.name} {each.own_name} {each.route or ''}".casefold() for word in words)
    ]


def _selected(view: View) -> Endpoint | None:
    return _numbered(view, view.state.get("endpoint"))


def _numbered(view: View, number: str | None) -> Endpoint | None:
    return next((each for each in view.query(all_endpoints) if str(each.id) == number), None)


def _listed(view: View, found: Sequence[Endpoint], known: Sequence[LevelRule]) -> Any:
    if not found:
        return html.Div("No endpoint matches.", className="fmd-subtitle")
    several = len({each.service for each in view.query(all_endpoints)}) > 1
    offset = offset_of(view, len(found))
    shown = found[offset : offset + SHOWN]
    table = plain_table(
        ("Endpoint", "Level", "Last requested", ""), [_row(view, each, known, several) for each in shown]
    )
    said = html.Div(f"{len(found):,} endpoints", className="fmd-caption")
    return [table, html.Div([said, pager(view, SHOWN, len(found))], className="fmd-foot")]


def _row(view: View, each: Endpoint, known: Sequence[LevelRule], several: bool) -> tuple[Any, ...]:  # noqa: FBT001 # as the table is
    about = [each.service] if several else []
    if each.name != each.own_name:
        about.append(f"in the application: {each.own_name}")
    name = [
        html.A(foreign(each.name), href=view.href(f"/endpoint/{each.id}")),
        html.Div(foreign(" · ".join(about)), className="fmd-faint") if about else None,
        *(_member(own, called) for own, called in each.merged),
    ]
    level = [
        html.Span(f"{each.level} ", className="fmd-number"),
        html.Span(foreign(level_origin(each, known, view.settings.default_rules)), className="fmd-faint"),
    ]
    if each.pinned:
        level.append(_button("Unpin", {"do": "unpin", "id": each.id}, f"let rules decide on {each.name}"))
    edit = html.A(
        "Edit",
        href=view.href(PATH, endpoint=str(each.id), **({"q": q} if (q := view.state.get("q")) else {})),
        className="fmd-button",
        **attributes(aria_label=f"Edit {each.name}"),
    )
    return html.Div(name), html.Div(level), formatting.ago(each.last_us, view.now_us), edit


def _member(own: int, name: str) -> Any:
    return html.Div(
        [
            html.Span(["+ ", foreign(name), " "], className="fmd-faint"),
            _button("Separate", {"do": "separate", "id": own}, f"let {name} count for itself again"),
        ]
    )


def _button(text: str, wanted: dict[str, Any], what: str) -> Any:
    return send_button(text, WANTED, wanted, label=f"{text}: {what}", look="fmd-link-button")


def _heading(endpoint: Endpoint) -> Any:
    n = len(endpoint.merged)
    facts = [f"in the application: {endpoint.own_name}", f"service {endpoint.service}"]
    if n:
        facts.append(f"{n} count{'s' if n == 1 else ''} under it")
    return html.Div(
        [html.H2(foreign(endpoint.name)), html.Div(foreign(" · ".join(facts)), className="fmd-subtitle")],
        className="fmd-chosen",
    )


def _merge(endpoint: Endpoint, into: Endpoint | None) -> Any:
    """Return the button; before something is chosen there is nothing to ask about, and it says so itself."""
    question = into and (
        f"Merge {endpoint.name} into {into.name}? All its requests, past and future, count under that one, "
        "whose level it gets. It can be separated again."
    )
    return _act("layers", "Merge", {"do": "merge"}, confirm=question or "")


def _delete(endpoint: Endpoint) -> Any:
    n = len(endpoint.merged)
    with_it = f", with {n} that count{'s' if n == 1 else ''} under it," if n else ""
    return _act(
        "trash",
        "Delete",
        {"do": "delete", "id": endpoint.id},
        confirm=f"Delete {endpoint.name}{with_it} and all that is recorded? It cannot be undone.",
    )


def _form() -> Any:
    """Return the form; what is to be filled in shows once an endpoint is chosen."""
    fields = html.Div(
        [
            text_field(NAME, "Name in the dashboard"),
            html.Div("Empty: as the application calls it", className="fmd-subtitle"),
            _act("check", "Rename", {"do": "rename"}),
            html.Hr(),
            select_field(INTO, "Merge into", (), None),
            html.Div(
                "Its requests, past and future, count under that one. It can be separated again.",
                className="fmd-subtitle",
            ),
            card(MERGE, kind="text", height=34, plain=True),
            html.Hr(),
            html.Div(
                "Deleting takes everything recorded for it. If it is asked for again, it is a new endpoint.",
                className="fmd-subtitle",
            ),
            card(DELETE, kind="text", height=34, plain=True),
        ],
        className="fmd-form fmd-when-chosen",
    )
    return html.Section(
        [card(EDIT, kind="text", height=44, plain=True, stores=[FORM_WANTED]), fields],
        className="fmd-card fmd-form fmd-chosen-form",
        style={"--span": 4},
    )


def _act(symbol: str, text: str, wanted: dict[str, Any], confirm: str = "") -> Any:
    look = "fmd-button fmd-danger" if symbol == "trash" else "fmd-button"
    return send_button([icon(symbol, size=15), text], FORM_WANTED, wanted, confirm=confirm, look=look)


PAGE = Page(path=PATH, title=TITLE, layout=layout, register=register, role=ADMIN, icon="layers")
