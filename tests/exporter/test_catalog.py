from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import event

from fmd_otel_exporter.catalog import load_levels, register_endpoints, set_level
from fmd_otel_exporter.endpoint_rules import Rules, read, written
from fmd_otel_exporter.errors import SettingsError, StorageError
from fmd_otel_exporter.records import EndpointInfo
from fmd_otel_exporter.writer import Writer

if TYPE_CHECKING:
    from fmd_otel_exporter.store import Store

CART = EndpointInfo("shop", "shop.cart", "/cart", "GET,POST", "shop")


def test_an_announced_endpoint_is_known_before_its_first_request(store: Store, see):
    assert register_endpoints(store, [CART], default_level=3) == 1
    (endpoint,) = see.rows("endpoint")
    assert {**endpoint, "id": 0} == {
        "id": 0,
        "service": "shop",
        "name": "shop.cart",
        "route": "/cart",
        "method": "GET,POST",
        "blueprint": "shop",
        "level": 3,
        "first_ts": None,
        "last_ts": None,
        "level0_n": 0,
        "profile_next": 0,
        "rules": None,
        "alias": None,
        "pinned": 0,
        "merged_into": 0,
        "removed_ts": 0,
    }


def test_requests_of_an_announced_endpoint_belong_to_it(store: Store, record, noon_us: int, see):
    register_endpoints(store, [CART], default_level=1)
    Writer(store).write([record(ts_us=noon_us)])
    (endpoint,) = see.rows("endpoint")
    assert (endpoint["first_ts"], endpoint["last_ts"], endpoint["method"]) == (noon_us, noon_us, "GET,POST")


def test_announcing_again_writes_nothing_and_leaves_the_level_alone(store: Store, see):
    register_endpoints(store, [CART], default_level=1)
    set_level(store, see.rows("endpoint")[0]["id"], 0)
    begun: list[str] = []
    with store.write() as connection:
        engine = connection.engine
    event.listen(engine, "begin", lambda _: begun.append("write"))
    assert register_endpoints(store, [CART], default_level=1) == 0
    assert begun == []
    assert see.rows("endpoint")[0]["level"] == 0


def test_a_changed_rule_is_updated(store: Store, see):
    register_endpoints(store, [CART], default_level=1)
    set_level(store, see.rows("endpoint")[0]["id"], 2)
    assert register_endpoints(store, [CART._replace(route="/basket", methods=None)], default_level=1) == 1
    (endpoint,) = see.rows("endpoint")
    assert (endpoint["route"], endpoint["method"], endpoint["level"]) == ("/basket", None, 2)


def test_all_rules_of_an_endpoint_are_kept_with_their_methods(store: Store, see):
    rules = (("GET", "/cart"), ("GET,POST", "/cart/<int:id>"))
    register_endpoints(store, [CART._replace(rules=rules)], default_level=1)
    assert see.rows("endpoint")[0]["rules"] == "GET /cart\nGET,POST /cart/<int:id>"
    assert register_endpoints(store, [CART._replace(rules=rules)], default_level=1) == 0
    assert register_endpoints(store, [CART._replace(rules=rules[:1])], default_level=1) == 1
    assert read(see.rows("endpoint")[0]["rules"]) == Rules(rules[:1])


def test_rules_that_do_not_fit_are_counted():
    rules = tuple(("GET", f"/{number}/{'x' * 400}") for number in range(100))
    found = read(written(rules))
    assert found.known == rules[: len(found.known)]
    assert found.more == 100 - len(found.known) > 0


def test_a_rule_with_a_line_break_stays_one_rule():
    assert read(written([("GET", "/a\nb /c")])) == Rules((("GET", "/a b /c"),))


def test_the_same_name_in_two_services_is_two_endpoints(store: Store):
    register_endpoints(store, [CART, CART._replace(service="admin")], default_level=1)
    assert load_levels(store) == {("shop", "shop.cart"): 1, ("admin", "shop.cart"): 1}


def test_levels_are_read_as_they_were_set(store: Store, see):
    register_endpoints(store, [CART], default_level=1)
    for level in (0, 3, 1):
        set_level(store, see.rows("endpoint")[0]["id"], level)
        assert load_levels(store) == {("shop", "shop.cart"): level}


@pytest.mark.parametrize("level", [-1, 4, "2", None, True, 1.0])
def test_a_level_that_does_not_exist_is_refused(store: Store, level: object):
    register_endpoints(store, [CART], default_level=1)
    with pytest.raises(SettingsError, match="from 0 to 3"):
        set_level(store, 1, level)
    assert load_levels(store) == {("shop", "shop.cart"): 1}


def test_the_level_of_no_endpoint_cannot_be_set(store: Store):
    with pytest.raises(StorageError, match="no endpoint 77"):
        set_level(store, 77, 1)
