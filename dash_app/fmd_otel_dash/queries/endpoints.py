"""All endpoints there are, and the rules that give them their levels: what admins look at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fmd_otel_dash.queries.look import look
from fmd_otel_dash.queries.scope import Scope
from fmd_otel_exporter.level_rules import LevelRule, load_rules, rule_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fmd_otel_dash.queries.look import Endpoint
    from fmd_otel_exporter.store import Store


def all_endpoints(store: Store) -> tuple[Endpoint, ...]:
    """Return the endpoints of all services, those that count under others with these."""
    with look(store, Scope(0, 0)) as found:
        return found.endpoints


def rules(store: Store) -> tuple[LevelRule, ...]:
    """Return the rules for levels, in their order."""
    return load_rules(store)


def level_origin(endpoint: Endpoint, known: Sequence[LevelRule], configured: Sequence[LevelRule] = ()) -> str:
    """Say who has set the level of an endpoint; rules of the configuration come after the known ones."""
    if endpoint.pinned:
        return "by hand"
    if rule := rule_for(known, endpoint.service, endpoint.own_name):
        return f"by rule {rule.pattern}"
    rule = rule_for(configured, endpoint.service, endpoint.own_name)
    return "default" if rule is None else f"by MONITOR_RULES {rule.pattern}"
