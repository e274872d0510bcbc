"""The configuration page's monitoring rules: which level endpoints get, by the pattern of their names."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from dash import Input, Output, State, html, no_update

from fmd_otel_dash import ids
from fmd_otel_dash.components import card, icon, plain_table
from fmd_otel_dash.components.attributes import attributes
from fmd_otel_dash.components.forms import segments, select_field, text_field
from fmd_otel_dash.pages.endpoint_rows import LEVELS
from fmd_otel_dash.queries.endpoints import all_endpoints, rules
from fmd_otel_dash.roles import ADMIN
from fmd_otel_exporter.errors import FmdOtelError
from fmd_otel_exporter.level_rules import LevelRule, edit_rules, moved, removed, rule_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fmd_otel_dash.queries.look import Endpoint
    from fmd_otel_dash.registry import Registry
    from fmd_otel_dash.view import View

LIST = "rules"
WANTED = "rule-wanted"
"""Store that the list's buttons write to."""
PATTERN, SERVICE, LEVEL, ADD = "rule-pattern", "rule-service", "rule-level", "rule-add"
MATCHES, PROBLEM = "rule-matches", "rule-problem"
ANY = ""
_ANY_SERVICE = "*"
"""Stands for all services in the choice, which knows no empty value."""
_MOST_NAMED = 12


def layout(view: View) -> Any:
    """Return the list and the form."""
    return html.Div(
        [
            card(
                LIST,
                "Monitoring rules",
                subtitle="The first one that matches gives an endpoint its level, also those to come. "
                "A level set by hand stays.",
                kind="table",
                height=120,
                stores=[WANTED],
            ),
            _form(view),
        ],
        className="fmd-column",
        style={"--span": 7},
    )


def register(registry: Registry, levels: str) -> None:
    """Register what fills the list and what changes it; the card of levels follows."""

    @registry.card(LIST, role=ADMIN)
    def listed(view: View) -> Any:
        return _listed(view.query(rules), view.query(all_endpoints))

    @registry.callback(
        Output(MATCHES, "children"),
        Input(PATTERN, "value"),
        Input(SERVICE, "value"),
        Input(LEVEL, "value"),
        role=ADMIN,
        prevent_initial_call=True,
    )
    def preview(view: View, pattern: str | None, service: str | None, level: str | None) -> Any:
        if not (pattern or "").strip():
            return ""
        rule = LevelRule(pattern or "", _level(level), _service(service))
        return _preview(view.query(all_endpoints), view.query(rules), rule)

    @registry.callback(
        Output(PROBLEM, "children"),
        Output(PATTERN, "value"),
        Output(ids.retry(LIST), "data", allow_duplicate=True),
        Output(ids.retry(levels), "data", allow_duplicate=True),
        Output(ids.NOTICE, "children", allow_duplicate=True),
        Input(ADD, "n_clicks"),
        State(PATTERN, "value"),
        State(SERVICE, "value"),
        State(LEVEL, "value"),
        role=ADMIN,
    )
    def add(view: View, clicks: int, pattern: str | None, service: str | None, level: str | None) -> Any:
        rule = LevelRule(pattern or "", _level(level), _service(service))
        try:
            n = _edit(view, lambda known: [*known, rule])
        except FmdOtelError as error:
            return _sentence(error), no_update, no_update, no_update, no_update
        done = f"added {clicks}"
        return "", "", done, done, f"Rule added. {_changed(n)}"

    @registry.callback(
        Output(ids.retry(LIST), "data", allow_duplicate=True),
        Output(ids.retry(levels), "data", allow_duplicate=True),
        Output(ids.NOTICE, "children", allow_duplicate=True),
        Input(WANTED, "data"),
        role=ADMIN,
    )
    def change(view: View, wanted: dict[str, Any]) -> Any:
        return wanted, wanted, _change(view, wanted)


def _change(view: View, wanted: dict[str, Any]) -> str:
    """Do what a button asked for, and return what was done, or why not."""
    place, by = wanted.get("place"), wanted.get("by")
    said = wanted.get("rule")
    if not isinstance(place, int) or not isinstance(said, list) or len(said) != len(LevelRule._fields):
        return "Not changed: there is no such rule."
    rule = LevelRule(*said)
    try:
        if isinstance(by, int):
            return f"Rule moved. {_changed(_edit(view, lambda known: moved(known, place, rule, by)))}"
        return f"Rule removed. {_changed(_edit(view, lambda known: removed(known, place, rule)))}"
    except FmdOtelError as error:
        return f"Not changed: {error}."


def _edit(view: View, edit: Any) -> int:
    try:
        return edit_rules(view.store, edit, default_level=view.settings.default_level)
    finally:
        view.services.cache.clear()


def _changed(n: int) -> str:
    if not n:
        return "No endpoint has another level by it."
    return f"{n:,} endpoint{'' if n == 1 else 's'} changed; every worker follows within two seconds."


def _listed(known: Sequence[LevelRule], endpoints: Sequence[Endpoint]) -> Any:
    if not known:
        return html.Div(
            "No rules. Add one below: level 0 for “static”, say, or 3 for “api.*”.", className="fmd-subtitle"
        )
    decided: list[list[Endpoint]] = [[] for _ in known]
    for endpoint in endpoints:
        rule = rule_for(known, endpoint.service, endpoint.own_name)
        if rule is not None:
            decided[known.index(rule)].append(endpoint)
    several = any(rule.service for rule in known) or len({each.service for each in endpoints}) > 1
    heads: tuple[str, ...] = ("", "Endpoints", "Service", "Level", "Decides on", "")
    rows: list[tuple[Any, ...]] = [
        (place + 1, html.Code(rule.pattern), rule.service or "any", rule.level, _count(decided[place]),
         _actions(place, rule, len(known)))
        for place, rule in enumerate(known)
    ]  # fmt: skip
    if not several:
        heads = (*heads[:2], *heads[3:])
        rows = [(*row[:2], *row[3:]) for row in rows]
    return plain_table(heads, rows)


def _count(decided: Sequence[Endpoint]) -> str:
    by_hand = sum(each.pinned for each in decided)
    return f"{len(decided) - by_hand:,}" + (f" · {by_hand:,} set by hand" if by_hand else "")


def _actions(place: int, rule: LevelRule, n: int) -> Any:
    base = {"place": place, "rule": list(rule)}
    return html.Div(
        [
            _button("↑", f"Move {rule.pattern} up", {**base, "by": -1}, off=place == 0),
            _button("↓", f"Move {rule.pattern} down", {**base, "by": 1}, off=place == n - 1),
            _button(icon("trash", size=14), f"Remove {rule.pattern}", base),
        ],
        className="fmd-row-actions fmd-row-icons",
    )


def _button(face: Any, label: str, wanted: dict[str, Any], *, off: bool = False) -> Any:
    return html.Button(
        face,
        className="fmd-button",
        title=label,
        disabled=off,
        **attributes(aria_label=label, data_store=WANTED, data_send=json.dumps(wanted)),
    )


def _preview(endpoints: Sequence[Endpoint], known: Sequence[LevelRule], rule: LevelRule) -> str:
    found = [each for each in endpoints if rule.matches(each.service, each.own_name)]
    if not found:
        return "Matches no endpoint there is; those to come may match."
    several = len({each.service for each in endpoints}) > 1
    pinned = sum(each.pinned for each in found)
    earlier = sum(
        not each.pinned and rule_for(known, each.service, each.own_name) is not None for each in found
    )
    text = f"Matches {len(found):,}: {named(found, with_service=several)}."
    if pinned:
        text += f" {pinned:,} set by hand, which stay."
    if earlier:
        text += f" {earlier:,} decided by a rule above."
    return text


def named(found: Sequence[Endpoint], *, with_service: bool) -> str:
    """Return names of endpoints, in a line of bearable length; with their service where there are several."""
    names = [
        f"{each.own_name} ({each.service})" if with_service else each.own_name for each in found[:_MOST_NAMED]
    ]
    more = len(found) - _MOST_NAMED
    return ", ".join(names) + (f" and {more:,} more" if more > 0 else "")


def _level(level: str | None) -> int:
    return int(level) if level in {str(n) for n in LEVELS} else -1


def _service(service: str | None) -> str:
    return "" if service in (None, _ANY_SERVICE) else str(service)


def _sentence(error: FmdOtelError) -> str:
    text = str(error)
    return f"{text[:1].upper()}{text[1:]}."


def _form(view: View) -> Any:
    services = list(dict.fromkeys(each.service for each in view.query(all_endpoints)))
    chosen = view.state.services[0] if len(view.state.services) == 1 else _ANY_SERVICE
    options = [(_ANY_SERVICE, "Any service"), *((each, each) for each in services)]
    return html.Section(
        [
            html.H2("Add a rule"),
            text_field(PATTERN, "Endpoints"),
            html.Div("Names with * and ?, separated by commas: api.*, static", className="fmd-subtitle"),
            select_field(SERVICE, "Service", options, chosen),
            segments(LEVEL, "Level", [(str(n), str(n)) for n in LEVELS], "1"),
            html.Div(id=MATCHES, className="fmd-hint", role="status"),
            html.Div(id=PROBLEM, className="fmd-problem", role="alert"),
            html.Button([icon("plus", size=15), "Add rule"], id=ADD, className="fmd-button fmd-primary"),
        ],
        className="fmd-card fmd-form",
    )
