from __future__ import annotations

import json
import re

import pytest

from fmd_otel_dash.pages.profile_price import price_text
from fmd_otel_dash.queries.profilerange import ordered
from fmd_otel_dash.queries.profiles import price
from fmd_otel_exporter.catalog import order_profile, set_level
from tests.made_profiles import NEW, OLD

HOUR = 3600 * 1_000_000
DAY = 24 * HOUR
ORDER = "profile-order.data"


@pytest.fixture
def profiled(now, write, write_profile):
    """Requests and profiles of one endpoint, of two versions: three old, two new."""
    write([now - HOUR, now - 30 * HOUR])
    return [
        *write_profile([now - 30 * HOUR, now - 31 * HOUR, now - 32 * HOUR], version=OLD),
        *write_profile([now - 2 * HOUR, now - HOUR], version=NEW),
    ]


def key(record):
    return f"{record.ts_us}-1-{record.span_id.hex()}"


def payload(shown):
    return next(
        part["props"]["data"]
        for part in shown.parts
        if part["type"] == "Store" and isinstance(part["props"].get("data"), dict)
    )


def view(path, search="", serial=1):
    return {"view.data": {"path": f"/dashboard{path}", "search": search, "tz": "UTC", "serial": serial}}


@pytest.fixture
def order(dashboard):
    """Press the button that orders a profile, or takes an order back."""
    (output,) = (
        spec["output"]
        for spec in dashboard.dash._callback_list
        if any(each["id"] == "profile-order" for each in spec["inputs"])
    )

    def press(visitor, **wanted):
        return visitor.call(output, view("/endpoint/1/profiler") | {ORDER: wanted}, triggered=ORDER)

    return press


def test_profiles_are_listed_newest_first_with_bars_against_the_longest(profiled, card):
    found = card("endpoint-profiles", "/endpoint/1/profiler", "?from=now-7d&to=now").grid_rows
    assert [row["version"] for row in found] == [NEW, NEW, OLD, OLD, OLD]
    assert max(row["share"] for row in found) == 1
    assert all(0 <= row["cpu"] <= 1 for row in found)
    assert found[0]["href"].startswith(f"/dashboard/endpoint/1/profiler/{key(profiled[-1])}")


def test_a_version_narrows_the_list(profiled, card):
    found = card("endpoint-profiles", "/endpoint/1/profiler", f"?from=now-7d&to=now&v={NEW}").grid_rows
    assert len(found) == 2


def test_a_profile_has_its_lines_and_says_what_it_is(profiled, card):
    shown = card("endpoint-profile", f"/endpoint/1/profiler/{key(profiled[-1])}")
    data = payload(shown)
    assert data["kind"] == "profile"
    assert sum(data["self"]) == profiled[-1].duration_us
    assert "samples, every 10 ms" in shown.text
    assert f"version {NEW}" in shown.text


@pytest.mark.parametrize(("period_us", "said"), [(0, "as it calls and returns"), (1000, "asked for: ")])
def test_a_profile_that_was_asked_for_says_how_it_was_made(now, write_profile, store, card, period_us, said):
    write_profile(now - 2 * HOUR)
    order_profile(store, 1)
    (record,) = write_profile(now - HOUR, exact=True, period_us=period_us)
    text = card("endpoint-profile", f"/endpoint/1/profiler/{key(record)}").text
    assert said in text
    assert ("every 1 ms" in text) == bool(period_us)


@pytest.mark.parametrize("bad", ["x", "1-1-0000000000000000", "1-2-0000000000000001", "9" * 40])
def test_a_profile_that_does_not_exist(profiled, card, admin, bad):
    shown = card("endpoint-profile", f"/endpoint/1/profiler/{bad}")
    assert "There is no such profile" in shown.text
    assert admin.follow(f"/export/endpoint/1/profiler/{bad}.speedscope.json").status_code == 404


@pytest.mark.parametrize("path", ["/endpoint/1/grouped-profiler", "/endpoint/1/grouped_profiler"])
def test_the_grouped_profiler_says_what_it_covers(profiled, card, path):
    shown = card("endpoint-grouped", path, "?from=now-7d&to=now")
    assert "5 profiles of 2 versions, last 7 days" in shown.text
    data = payload(shown)
    assert data["nodeN"][0] == 5
    assert len(data["sd"]) == len(data["self"])
    # Lines that moved between the versions are one line each.
    places = [tuple(frame[:2] + frame[3:4]) for frame in data["frames"]]
    assert len(places) == len(set(places))


def test_whole_days_are_named_where_they_stand_in(profiled, card, store):
    with store.write() as connection:
        connection.execute(store.tables.profile.delete())
    shown = card("endpoint-grouped", "/endpoint/1/grouped-profiler", "?from=now-33h&to=now-90m")
    assert "5 profiles of 2 versions, whole days 21–22 Nov 2026 (UTC)" in shown.text


def test_a_comparison_of_versions_names_the_line(profiled, card):
    shown = card(
        "endpoint-grouped", "/endpoint/1/grouped-profiler", f"?from=now-7d&to=now&v={NEW}&against=v:{OLD}"
    )
    assert payload(shown)["kind"] == "diff"
    assert re.search(r"takes [\d.]+ ms on average in version 1\.7\.0, [\d.]+ ms more", shown.text)
    assert "JSONDecoder.raw_decode" in shown.text
    assert "2 against 3 profiles" in shown.text
    assert "So few profiles may differ by chance alone" in shown.text


def test_a_comparison_of_periods_follows_the_range_picker(profiled, card):
    shown = card("endpoint-grouped", "/endpoint/1/grouped-profiler", "?from=now-24h&to=now&against=cmp")
    assert payload(shown)["kind"] == "diff"
    assert "than in the previous 24 hours" in shown.text


def test_a_comparison_with_nothing_says_so(profiled, card):
    shown = card("endpoint-grouped", "/endpoint/1/grouped-profiler", "?from=now-7d&to=now&against=v:9.9")
    assert "There are no profiles in version 9.9" in shown.text
    assert payload(shown)["kind"] == "grouped"


def test_libraries_are_folded_and_functions_joined_as_the_address_says(profiled, card):
    path = "/endpoint/1/grouped-profiler"
    data = payload(card("endpoint-grouped", path, "?from=now-7d&to=now&code=app&by=function"))
    assert not any("sqlalchemy" in frame[1] for frame in data["frames"])
    assert [frame[0] for frame in data["frames"]].count("show_cart") == 1
    whole = payload(card("endpoint-grouped", path, "?from=now-7d&to=now"))
    assert sum(data["self"]) == sum(whole["self"])


def test_all_endpoints_are_side_by_side(profiled, now, write, write_profile, card):
    write(now - HOUR, "shop.home")
    write_profile(now - HOUR, "shop.home")
    data = payload(card("profiles-all", "/profiles", "?from=now-7d&to=now"))
    frames = zip(data["frame"], data["depth"], strict=True)
    roots = [data["frames"][frame][0] for frame, depth in frames if not depth]
    assert roots == ["shop.cart", "shop.home"]


def test_nothing_yet_says_how_to_come_by_a_profile(now, write, card, store):
    write(now - HOUR)
    shown = card("endpoint-profiles", "/endpoint/1/profiler")
    assert "Monitor level 3 samples" in shown.text
    assert "Profile the next request" in shown.text
    set_level(store, 1, 3)
    assert "This endpoint is at level 3" in card("endpoint-profiles", "/endpoint/1/profiler").text


@pytest.mark.parametrize("kind", ["speedscope.json", "collapsed.txt", "pprof.pb.gz"])
@pytest.mark.parametrize(
    "path", ["/endpoint/1/grouped-profiler", "/endpoint/1/grouped_profiler", "/profiles", "profile"]
)
def test_what_is_shown_can_be_exported(profiled, guest, visitor, kind, path):
    path = f"/endpoint/1/profiler/{key(profiled[0])}" if path == "profile" else path
    address = f"/export{path}.{kind}?from=now-7d&to=now&against=v:{OLD}"
    answer = guest.follow(address)
    assert answer.status_code == 200
    assert answer.data
    assert f'.{kind}"' in answer.headers["Content-Disposition"]
    assert visitor.follow(address).status_code in (302, 401)


def test_an_export_has_the_filters_of_the_page(profiled, guest):
    path = "/export/endpoint/1/grouped-profiler.speedscope.json?from=now-7d&to=now"
    whole = json.loads(guest.follow(path).data)
    folded = json.loads(guest.follow(f"{path}&code=app&v={NEW}").data)
    assert any("sqlalchemy" in frame.get("file", "") for frame in whole["shared"]["frames"])
    assert not any("sqlalchemy" in frame.get("file", "") for frame in folded["shared"]["frames"])
    assert folded["profiles"][0]["endValue"] == sum(record.duration_us for record in profiled[3:])


@pytest.mark.parametrize("path", ["/overview", "/endpoint/1", "/endpoint/9/grouped-profiler", "/nothing"])
def test_where_there_is_no_profile_there_is_no_file(profiled, guest, path):
    assert guest.follow(f"/export{path}.speedscope.json").status_code == 404


def test_an_admin_orders_a_profile_and_takes_it_back(profiled, admin, order, store, card):
    answer = order(admin, endpoint=1, requests=1)
    assert answer.status_code == 200
    assert ordered(store, 1) == 1
    assert "wait=0" in answer.json["response"]["url"]["search"]
    assert "Waiting for the next request" in card("endpoint-profiles", "/endpoint/1/profiler").text
    order(admin, endpoint=1, requests=0)
    assert ordered(store, 1) == 0


@pytest.mark.parametrize(
    "wanted",
    [{}, {"endpoint": 2, "requests": 1}, {"endpoint": 1, "requests": 99}, {"endpoint": "1", "requests": "1"}],
)
def test_an_order_that_makes_no_sense_changes_nothing(profiled, admin, order, store, wanted):
    order(admin, **wanted)
    assert ordered(store, 1) == 0


def test_a_guest_orders_nothing(profiled, guest, order, store):
    assert order(guest, endpoint=1, requests=1).status_code == 403
    assert ordered(store, 1) == 0


def test_the_page_goes_on_to_what_was_waited_for(profiled, admin, now, store, write_profile):
    output = "endpoint-profiles-body.children"
    search = "?from=2026-01-01&to=2026-01-02&wait=0"
    waiting = admin.call(output, view("/endpoint/1/profiler", search))
    assert "sideUpdate" not in waiting.json
    order_profile(store, 1)
    (record,) = write_profile(now - 1_000_000, exact=True)
    arrived = admin.call(output, view("/endpoint/1/profiler", search, serial=2))
    assert key(record) in arrived.json["sideUpdate"]["url"]["href"]


def test_the_price_is_what_the_newest_profiles_took(now, write, write_profile, store, card):
    write(now - HOUR)
    path = "/endpoint/1/profiler"
    write_profile(now - 3 * HOUR, price_us=9_000, exact=True)
    write_profile(now - 3 * HOUR)
    text = card("endpoint-profiles", path).text
    assert "measured here once it has been tried" in text
    assert "in the benchmark (docs/performance.md)" in text
    write_profile([now - HOUR], price_us=300, duration_us=20_000, samples=2)
    write_profile([now - 2 * HOUR], price_us=500, duration_us=24_000, samples=3)
    found = price(store, 1)
    assert (found.n, found.price_us, found.duration_us, found.looks) == (2, 400, 22_000, 2.5)
    assert "Level 3 costs 400 µs of 22.0 ms here" in price_text(found)
    assert "2.5 looks" in price_text(found)
