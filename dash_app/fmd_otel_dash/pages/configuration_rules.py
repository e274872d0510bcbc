"""The configuration page's monitoring rules: which level endpoints get, by the pattern of their names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dash import Input, Output, html

from fmd_otel_dash import ids
from fmd_otel_dash.components import card, foreign, icon, plain_table
from fmd_otel_dash.components.forms import segments, select_field, send_button
from fmd_otel_dash.pages.changing import NOT_CHANGED, told
from fmd_otel_dash.pages.endpoint_rows import LEVELS
from fmd_otel_dash.pages.pattern_form import PatternForm, named
from fmd_otel_dash.queries.endpoints import all_endpoints, rules
from fmd_otel_dash.roles import ADMIN
from fmd_otel_exporter.level_rules import LevelRule, edit_rules, moved, removed, rule_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fmd_otel_dash.queries.look import Endpoint
    from fmd_otel_dash.registry import Registry
    from fmd_otel_dash.settings import DashboardSettings
    from fmd_otel_dash.view import View

LIST = "rules"
WANTED = "rule-wanted"
"""Store that the list's buttons write to."""
SERVICE, LEVEL = "rule-service", "rule-level"
_FORM = PatternForm(
    "rule", "Add a rule", ": api.*, static", button="Add rule", symbol="plus", fields=(SERVICE, LEVEL)
)
_ANY_SERVICE = "*"
"""Stands for all services in the choice, which knows no empty value."""


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
        listed = _listed(view.query(rules), view.query(all_endpoints))
        return [listed, _configured(view.settings)]

    _FORM.register(registry, _preview, _add, (LIST, levels))

    @registry.callback(
        Output(ids.retry(LIST), "data", allow_duplicate=True),
        Output(ids.retry(levels), "data", allow_duplicate=True),
        Output(ids.NOTICE, "children", allow_duplicate=True),
        Input(WANTED, "data"),
        role=ADMIN,
    )
    def change(view: View, wanted: dict[str, Any]) -> Any:
        return wanted, wanted, told(view, lambda: _change(view, wanted))


def _change(view: View, wanted: dict[str, Any]) -> str:
    """Do what a button asked for."""
    place, by = wanted.get("place"), wanted.get("by")
    said = wanted.get("rule")
    if not isinstance(place, int) or not isinstance(said, list) or len(said) != len(LevelRule._fields):
        return f"{NOT_CHANGED}there is no such rule."
    rule = LevelRule(*said)
    if isinstance(by, int):
        return f"Rule moved. {_changed(_edit(view, lambda known: moved(known, place, rule, by)))}"
    return f"Rule removed. {_changed(_edit(view, lambda known: removed(known, place, rule)))}"


def _add(view: View, pattern: str, service: str | None, level: str | None) -> str:
    """Add what the form says."""
    rule = _rule(pattern, service, level)
    return f"Rule added. {_changed(_edit(view, lambda known: [*known, rule]))}"


def _rule(pattern: str, service: str | None, level: str | None) -> LevelRule:
    known = int(level) if level in {str(n) for n in LEVELS} else -1
    return LevelRule(pattern, known, "" if service in (None, _ANY_SERVICE) else str(service))


def _edit(view: View, edit: Any) -> int:
    settings = view.settings
    return edit_rules(
        view.store, edit, default_level=settings.default_level, default_rules=settings.default_rules
    )


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
        (place + 1, html.Code(foreign(rule.pattern)), rule.service or "any", rule.level,
         _count(decided[place]),
         _actions(place, rule, len(known)))
        for place, rule in enumerate(known)
    ]  # fmt: skip
    if not several:
        heads = (*heads[:2], *heads[3:])
        rows = [(*row[:2], *row[3:]) for row in rows]
    return plain_table(heads, rows)


def _configured(settings: DashboardSettings) -> Any:
    """Return the rules that the configuration has, which come after these."""
    if not settings.default_rules:
        return None
    by = settings.origins.get("MONITOR_RULES", "the configuration")
    text = f"After these, MONITOR_RULES of {by}: {', '.join(map(str, settings.default_rules))}"
    return html.Div(foreign(text), className="fmd-caption")


def _count(decided: Sequence[Endpoint]) -> str:
    by_hand = sum(each.pinned for each in decided)
    return f"{len(decided) - by_hand:,}" + (f" · {by_hand:,} set by hand" if by_hand else "")


def _actions(place: int, rule: LevelRule, n: int) -> Any:
    base = {"place": place, "rule": list(rule)}

    def button(face: Any, label: str, off: bool = False, **more: int) -> Any:  # noqa: FBT001, FBT002 # as the rows are
        return send_button(face, WANTED, base | more, label=f"{label.format(rule.pattern)}", off=off)

    return html.Div(
        [
            button("↑", "Move {} up", place == 0, by=-1),
            button("↓", "Move {} down", place == n - 1, by=1),
            button(icon("trash", size=14), "Remove {}"),
        ],
        className="fmd-row-actions fmd-row-icons",
    )


def _preview(view: View, pattern: str, service: str | None, level: str | None) -> str:
    endpoints, known = view.query(all_endpoints), view.query(rules)
    rule = _rule(pattern, service, level)
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


def _form(view: View) -> Any:
    services = list(dict.fromkeys(each.service for each in view.query(all_endpoints)))
    chosen = view.state.services[0] if len(view.state.services) == 1 else _ANY_SERVICE
    options = [(_ANY_SERVICE, "Any service"), *((each, each) for each in services)]
    return _FORM.layout(
        select_field(SERVICE, "Service", options, chosen),
        segments(LEVEL, "Level", [(str(n), str(n)) for n in LEVELS], "1"),
    )
