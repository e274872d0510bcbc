from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import event

from fmd_otel_exporter.catalog import load_levels, register_endpoints, set_level
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
