"""Levels by rule: for endpoints to come, for those there are, and never against a level set by hand."""

from __future__ import annotations

from threading import Thread
from typing import TYPE_CHECKING

import pytest

from fmd_otel_exporter.catalog import load_levels, pin_levels, register_endpoints, set_level, unpin_level
from fmd_otel_exporter.errors import SettingsError, StorageError
from fmd_otel_exporter.level_rules import (
    LevelRule,
    apply_default_rules,
    edit_rules,
    load_rules,
    moved,
    removed,
    save_rules,
)
from fmd_otel_exporter.pipeline import Pipeline
from fmd_otel_exporter.records import EndpointInfo
from fmd_otel_exporter.settings import ExporterSettings
from fmd_otel_exporter.store import open_store
from fmd_otel_exporter.writer import Writer

if TYPE_CHECKING:
    from fmd_otel_exporter.store import Store

STATIC, API = LevelRule("static", 0), LevelRule("api.*", 3)


def _register(store: Store, *names: str, service: str = "shop") -> None:
    register_endpoints(store, [EndpointInfo(service, name) for name in names], default_level=1)


def _levels(store: Store, service: str = "shop") -> dict[str, int]:
    return {name: level for (of, name), level in load_levels(store).items() if of == service}


def _id(see, name: str) -> int:
    return next(row["id"] for row in see.rows("endpoint") if row["name"] == name)


def test_rules_are_kept_in_their_order(store: Store):
    save_rules(store, [STATIC, API])
    assert load_rules(store) == (STATIC, API)
    save_rules(store, [API])
    assert load_rules(store) == (API,)
    save_rules(store, [])
    assert load_rules(store) == ()


def test_an_announced_endpoint_begins_at_the_level_of_its_rule(store: Store):
    save_rules(store, [STATIC, API])
    _register(store, "static", "api.list", "home")
    assert _levels(store) == {"static": 0, "api.list": 3, "home": 1}


def test_so_does_one_that_is_known_by_its_first_request(store: Store, record):
    save_rules(store, [STATIC, API])
    Writer(store).write([record(endpoint=name) for name in ("static", "api.list", "home")])
    assert _levels(store) == {"static": 0, "api.list": 3, "home": 1}


def test_saved_rules_change_endpoints_there_are(store: Store):
    _register(store, "static", "api.list", "home")
    assert save_rules(store, [STATIC, API]) == 2
    assert _levels(store) == {"static": 0, "api.list": 3, "home": 1}
    assert save_rules(store, [STATIC, API]) == 0


def test_the_first_rule_that_matches_decides(store: Store):
    _register(store, "api.list", "api.health")
    save_rules(store, [LevelRule("*.health, ping", 0), API])
    assert _levels(store) == {"api.list": 3, "api.health": 0}
    save_rules(store, [API, LevelRule("*.health, ping", 0)])
    assert _levels(store) == {"api.list": 3, "api.health": 3}


def test_a_rule_may_be_for_one_service(store: Store):
    _register(store, "static")
    _register(store, "static", service="billing")
    save_rules(store, [STATIC._replace(service="shop")])
    assert (_levels(store), _levels(store, "billing")) == ({"static": 0}, {"static": 1})


def test_a_level_set_by_hand_is_left_alone(store: Store, see):
    _register(store, "api.list", "api.item")
    set_level(store, _id(see, "api.item"), 2)
    save_rules(store, [API])
    assert _levels(store) == {"api.list": 3, "api.item": 2}
    save_rules(store, [])
    assert _levels(store) == {"api.list": 1, "api.item": 2}


def test_an_endpoint_may_be_given_back_to_the_rules(store: Store, see):
    _register(store, "api.item", "home")
    save_rules(store, [API])
    for name, level in (("api.item", 3), ("home", 1)):
        set_level(store, _id(see, name), 2)
        assert unpin_level(store, _id(see, name), default_level=1) == level
    assert _levels(store) == {"api.item": 3, "home": 1}
    save_rules(store, [API._replace(level=0)])
    assert _levels(store) == {"api.item": 0, "home": 1}


def test_without_its_rule_an_endpoint_returns_to_the_default_and_others_keep_theirs(store: Store):
    _register(store, "static", "home")
    save_rules(store, [STATIC])
    save_rules(store, [], default_level=2)
    assert _levels(store) == {"static": 2, "home": 1}


def test_a_rule_is_removed_or_moved_by_what_it_says(store: Store):
    third = LevelRule("home", 2)
    save_rules(store, [STATIC, API, third])
    edit_rules(store, lambda rules: moved(rules, 2, third, -1))
    assert load_rules(store) == (STATIC, third, API)
    edit_rules(store, lambda rules: moved(rules, 0, STATIC, -1))
    edit_rules(store, lambda rules: removed(rules, 1, third))
    assert load_rules(store) == (STATIC, API)
    with pytest.raises(SettingsError, match="changed meanwhile"):
        edit_rules(store, lambda rules: removed(rules, 1, third))
    assert load_rules(store) == (STATIC, API)


@pytest.mark.parametrize(
    "rule", [LevelRule("", 1), LevelRule(" , ", 1), LevelRule("a" * 256, 1), LevelRule("a", 4)]
)
def test_what_is_no_rule_is_refused_and_changes_nothing(store: Store, rule: LevelRule):
    _register(store, "static")
    with pytest.raises(SettingsError):
        save_rules(store, [STATIC, rule])
    assert (load_rules(store), _levels(store)) == ((), {"static": 1})


def test_two_who_add_a_rule_at_once_both_have_it(store: Store):
    def add(number: int) -> None:
        edit_rules(store, lambda rules: [*rules, LevelRule(f"rule{number}", 1)])

    threads = [Thread(target=add, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(rule.pattern for rule in load_rules(store)) == [f"rule{number}" for number in range(6)]


def test_levels_of_many_are_set_together_or_not_at_all(store: Store, see):
    _register(store, "a", "b")
    with pytest.raises(StorageError, match="no endpoint 99"):
        pin_levels(store, {_id(see, "a"): 3, 99: 3})
    assert _levels(store) == {"a": 1, "b": 1}
    pin_levels(store, {_id(see, "a"): 3, _id(see, "b"): 0})
    assert _levels(store) == {"a": 3, "b": 0}
    assert {row["pinned"] for row in see.rows("endpoint")} == {1}


def test_a_worker_at_work_follows(store: Store, pipeline, record, eventually):
    pipeline.offer(record(endpoint="static"))
    assert pipeline.force_flush()
    assert pipeline.level_of("shop", "static") == 1
    save_rules(store, [STATIC])
    assert eventually(lambda: pipeline.level_of("shop", "static") == 0)


# Those of a configuration: after the rules above, before the default


def test_rules_of_the_configuration_decide_where_no_other_rule_does(store: Store, record):
    save_rules(store, [LevelRule("api.health", 0)])
    names = ["static", "api.list", "api.health", "home"]
    register_endpoints(store, [EndpointInfo("shop", name) for name in names[:3]], 1, [STATIC, API])
    Writer(store, default_rules=[STATIC, API]).write([record(endpoint=name) for name in (*names, "api.new")])
    assert _levels(store) == {"static": 0, "api.list": 3, "api.health": 0, "home": 1, "api.new": 3}


def test_at_a_start_they_change_endpoints_there_are_and_write_nothing_where_all_is_well(
    store: Store, see, monkeypatch
):
    _register(store, "static", "api.list", "api.item", "api.health", "home")
    _register(store, "static", service="billing")
    set_level(store, _id(see, "api.item"), 2)
    save_rules(store, [LevelRule("api.health", 2)])
    assert apply_default_rules(store, ["shop"], [STATIC, API]) == 2
    assert _levels(store) == {"static": 0, "api.list": 3, "api.item": 2, "api.health": 2, "home": 1}
    assert _levels(store, "billing") == {"static": 1}
    monkeypatch.setattr(type(store), "run", None)
    assert apply_default_rules(store, ["shop"], [STATIC, API]) == 0


def test_without_its_rule_or_its_pin_an_endpoint_returns_to_the_configuration(store: Store, see):
    _register(store, "static", "api.list", "home")
    save_rules(store, [LevelRule("*", 2)])
    save_rules(store, [], default_rules=[STATIC, API])
    assert _levels(store) == {"static": 0, "api.list": 3, "home": 1}
    set_level(store, _id(see, "static"), 3)
    assert unpin_level(store, _id(see, "static"), 1, [STATIC, API]) == 0


def test_a_process_obeys_the_rules_of_its_configuration_from_the_first_request_on(
    url: str, record, eventually
):
    known = open_store(url)
    _register(known, "static")
    pipeline = Pipeline(ExporterSettings(database=url, delay_ms=10, default_rules=(STATIC, API)))
    try:
        assert pipeline.level_of("shop", "api.list") == 3
        assert pipeline.highest_level() == 3
        pipeline.announce([EndpointInfo("shop", "static"), EndpointInfo("shop", "api.list")])
        pipeline.offer(record(endpoint="api.list"))
        assert eventually(lambda: _levels(known) == {"static": 0, "api.list": 3})
    finally:
        pipeline.shutdown()
        known.dispose()
