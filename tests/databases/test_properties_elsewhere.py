"""What holds of any data on SQLite holds on the others, too; with fewer examples, as each takes longer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.stateful import run_state_machine_as_test

from fmd_otel_exporter.store import Store, open_store
from tests.databases.conftest import CLICKHOUSE, empty
from tests.properties import test_queries_plan as plan
from tests.properties.test_exporter_retention import Keeping

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.parametrize("kind", ["postgresql", "mariadb", "clickhouse"], indirect=True)

QUIETLY = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]
FEW = settings(max_examples=6, deadline=None, derandomize=True, suppress_health_check=QUIETLY)


@pytest.fixture
def opened(store: Store) -> Callable[[], Store]:
    """Empty the database and open it anew, so that nothing is remembered of what was in it."""

    def again() -> Store:
        empty(store)
        return open_store(store.url, store.prefix)

    return again


def here(test: Any, strategies: dict[str, Any]) -> Any:
    """Return a property's test for here."""
    return FEW(given(**strategies)(test.hypothesis.inner_test))


test_hits_and_latencies_equal_the_raw_rows = here(plan.test_hits_and_latencies_equal_the_raw_rows, plan.SUMS)
test_local_hours_equal_the_zones_clock = here(plan.test_local_hours_equal_the_zones_clock, plan.HOURS)
test_every_view_equals_the_raw_rows = here(plan.test_every_view_equals_the_raw_rows, plan.VIEWS)
test_both_sides_of_a_comparison_equal_the_raw_rows = here(
    plan.test_both_sides_of_a_comparison_equal_the_raw_rows, plan.COMPARED
)
test_users_and_addresses_equal_the_raw_rows = here(
    plan.test_users_and_addresses_equal_the_raw_rows, plan.PEOPLE
)


def test_every_day_keeps_its_sums(opened: Callable[[], Store], kind: str):
    def machine() -> Keeping:
        made = Keeping()
        made.opened = opened
        return made

    examples, steps = (3, 10) if kind == CLICKHOUSE else (6, 15)
    run_state_machine_as_test(
        machine,
        settings=settings(FEW, max_examples=examples, stateful_step_count=steps),
    )
