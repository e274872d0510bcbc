"""How large answers are: what the browser is sent for each card of each page, of a large application.

The budgets are of the JSON as it is before it is compressed: the browser has to read all of it. On the wire
it is a fifth to a tenth of that.
"""

from __future__ import annotations

import shutil
from datetime import datetime, timezone

import pytest
from sqlalchemy import func, select

from fmd_otel.bulk import Order, write
from fmd_otel.synthetic import zipf_workload
from fmd_otel.synthetic_details import SyntheticDetails
from fmd_otel_dash.pages import PAGES
from fmd_otel_exporter.graphs import add_values, register_graph
from fmd_otel_exporter.rollups import compact_days
from fmd_otel_exporter.store import open_store
from fmd_otel_exporter.subject_sums import sum_up_subjects
from tests.dash_app.conftest import PREFIX

KB = 1000
MOST = 50 * KB
MOST_OF_PROFILE = 400 * KB
DAY_US = 86_400_000_000
NOW_US = int(datetime(2026, 11, 22, 12, tzinfo=timezone.utc).timestamp()) * 1_000_000
PROFILES = {"profiles-all", "endpoint-grouped", "endpoint-profile"}
RANGES = ("", "?from=now-7d&to=now", "?from=now-30d&to=now")


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """Make the database of an application with much of everything, once."""
    path = tmp_path_factory.mktemp("large") / "fmd.db"
    store = open_store(f"sqlite:///{path}")
    workload = zipf_workload(endpoints=45, releases=40, users=1000)
    details = SyntheticDetails.of(workload, profiled=0.05, outliers=1.0)
    order = Order(workload, NOW_US - 30 * DAY_US, NOW_US, 20_000, 0, (details,))
    for _ in write(store, order, processes=1):
        pass
    while compact_days(store, now_ts_us=NOW_US):
        pass
    for _ in sum_up_subjects(store):
        pass
    for number in range(30):
        graph = register_graph(
            store, "shop", f"Orders of the shop in town {number}", "interval[0:05:00]", now_us=1
        )
        add_values(store, graph, [(NOW_US - i * 300_000_000, 1e6 / (i + 3)) for i in range(8640)])
    store.dispose()
    return path


@pytest.fixture
def store(large, tmp_path):
    path = tmp_path / "fmd.db"
    shutil.copy(large, path)
    opened = open_store(f"sqlite:///{path}")
    yield opened
    opened.dispose()


@pytest.fixture
def address(store):
    """Return the address of a page: of the busiest endpoint, or of the newest of what the page shows."""
    tables = store.tables
    hits = tables.hits.c
    busiest = select(hits.endpoint_id).group_by(hits.endpoint_id).order_by(func.sum(hits.n).desc()).limit(1)
    shown = {"outlier": tables.outlier, "request": tables.outlier, "exception": tables.exception_occurrence}

    def fill_in(path):
        table = shown.get(path.split("/")[1], tables.profile)
        with store.read() as connection:
            newest = connection.execute(select(table).order_by(table.c.ts.desc()).limit(1)).mappings().one()
            graph = connection.scalar(select(tables.custom_graph.c.id))
            endpoint_id = connection.scalar(busiest)
        if "<key>" in path:
            endpoint_id = newest["endpoint_id"]
            path = path.replace("<key>", f"{newest['ts']}-{endpoint_id}-{newest['span_id'].hex()}")
        path = path.replace("<int:endpoint_id>", str(endpoint_id)).replace("<graph_id>", str(graph))
        return path.replace("<group_id>", str(newest.get("group_id")))

    return fill_in


@pytest.mark.parametrize("path", [page.path for page in PAGES])
def test_no_answer_is_larger_than_its_budget(path, clock, address, admin, cards_of):
    clock(2026, 11, 22, 12)
    path = address(path)
    over = {}
    searches = (*RANGES, "?from=now-30d&to=now&as=boxes") if "version_" in path else RANGES
    for card in cards_of(path):
        for search in searches:
            data = {"path": f"{PREFIX}{path}", "search": search, "tz": "UTC", "serial": 1}
            answer = admin.call(f"{card}-body.children", {"view.data": data})
            assert "fmd-failure" not in answer.text
            size = len(answer.get_data())
            if size > (MOST_OF_PROFILE if card in PROFILES else MOST):
                over[card + search] = size
    assert not over
