from __future__ import annotations

from fmd_otel_dash.queries.bands import bands
from fmd_otel_dash.queries.scope import Scope
from fmd_otel_dash.queries.timeline import timeline
from fmd_otel_exporter.rollups import compact_days

HOUR = 3600 * 1_000_000
DAY = 24 * HOUR


def test_bands_say_of_each_endpoint_what_its_own_timeline_says(store, at, request_at, write):
    start = at(2026, 11, 18)
    write(
        *(
            request_at(start + hour * HOUR + 5, f"shop.page_{number}", duration_us=1000 * (number + hour))
            for number in range(4)
            for hour in range(1, 71, 2)
        )
    )
    compact_days(store, now_ts_us=start + 3 * DAY)
    scope = Scope(start + HOUR // 3, start + 3 * DAY)
    everything = bands(store, scope, (1, 2, 3, 4), 24)

    assert sorted(everything) == [1, 2, 3, 4]
    for endpoint_id, found in everything.items():
        assert found == timeline(store, scope.only(endpoint_id), 24)


def test_bands_of_nobody_are_none(store):
    assert bands(store, Scope(0, DAY), ()) == {}
