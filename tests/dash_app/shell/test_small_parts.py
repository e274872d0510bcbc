"""Cache, numbers, colours: what the rest leans on."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmd_otel_dash import formatting
from fmd_otel_dash.cache import TtlCache
from fmd_otel_dash.colors import PALETTE, endpoint_color
from fmd_otel_dash.components.deploys import with_deploys
from fmd_otel_dash.formatting import Delta
from fmd_otel_dash.stats.percentiles import Change
from fmd_otel_dash.stats.significance import Effect, share_change


def test_a_question_is_asked_once_per_lifetime():
    clock = [0.0]
    asked = []
    cache = TtlCache(ttl_s=3, clock=lambda: clock[0])
    for _ in range(3):
        assert cache.get("k", lambda: asked.append(1) or len(asked)) == 1
    clock[0] = 3.1
    assert cache.get("k", lambda: asked.append(1) or len(asked)) == 2


def test_those_who_ask_while_it_is_answered_wait_for_the_same_answer():
    cache, asked, answers = TtlCache(clock=lambda: 0.0), [], []
    go, begun = threading.Event(), threading.Event()

    def slow():
        asked.append(1)
        begun.set()
        go.wait(60)
        return "answer"

    threads = [threading.Thread(target=lambda: answers.append(cache.get("k", slow))) for _ in range(5)]
    for thread in threads:
        thread.start()
    begun.wait(60)
    go.set()
    for thread in threads:
        thread.join(60)
    assert answers == ["answer"] * 5
    assert asked == [1]


def test_an_error_is_told_and_forgotten():
    cache = TtlCache()

    def fail():
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        cache.get("k", fail)
    assert cache.get("k", lambda: "yes") == "yes"


def test_the_cache_stays_small():
    cache = TtlCache(size=10)
    for i in range(100):
        cache.get(i, lambda i=i: i)
    assert len(cache._entries) == 10


@pytest.mark.parametrize(
    ("us", "text"),
    [
        (None, "–"), (0, "0 µs"), (840, "840 µs"), (999.4, "999 µs"), (1000, "1.00 ms"), (12_440, "12.4 ms"),
        (282_000, "282 ms"), (999_600, "1.00 s"), (1_240_000, "1.24 s"), (59_000_000, "59.0 s"),
        (61_000_000, "1.02 min"), (7_200_000_000, "2.00 h"), (200_000_000_000, "2.31 d"),
    ],
)  # fmt: skip
def test_durations_have_three_digits_and_a_unit_that_fits(us, text):
    assert formatting.duration(us) == text


@pytest.mark.parametrize(
    ("n", "text"),
    [
        (0, "0"),
        (999, "999"),
        (3677, "3,677"),
        (9999, "9,999"),
        (36_600, "36.6 k"),
        (1_240_000, "1.24 M"),
        (5e9, "5.00 G"),
    ],
)
def test_counts_are_exact_as_long_as_they_are_short(n, text):
    assert formatting.count(n) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (None, "–"),
        (0, "0 %"),
        (0.0042, "0.42 %"),
        (0.123, "12.3 %"),
        (1, "100 %"),
        (0.000001, "< 0.01 %"),
        (0.99999, "> 99.99 %"),
    ],
)
def test_a_share_never_rounds_to_all_or_nothing(share, text):
    assert formatting.percent(share) == text


@given(st.floats(min_value=0, max_value=1e12))
def test_any_duration_is_short(us):
    assert len(formatting.duration(us)) <= 12


@pytest.mark.parametrize(
    ("ts_s", "text"),
    [
        (None, "never"),
        (100, "just now"),
        (105, "just now"),
        (70, "30 s ago"),
        (-200, "5 min ago"),
        (-7100, "2 h ago"),
        (-999_999, "11 d ago"),
    ],
)
def test_how_long_ago(ts_s, text):
    assert formatting.ago(None if ts_s is None else ts_s * 1_000_000, 100 * 1_000_000) == text


def change(before, after, n=1000, *, significant=True):
    return Change(before, after, n, n, after / before - 1, significant)


def scored(before: float, after: float, *, p: float) -> Effect:
    return Effect(after - before, 0.0, 0.0, p, 500, 500)


@pytest.mark.parametrize(
    ("delta", "expected"),
    [
        (formatting.measured_change(change(100, 146)), Delta("46 %", "bad", "▲")),
        (formatting.measured_change(change(100, 80)), Delta("20 %", "good", "▼")),
        (formatting.measured_change(change(100, 102)), Delta("2.0 %", "neutral", "▲")),
        (formatting.measured_change(change(100, 146, significant=False)), Delta("46 %", "neutral", "▲")),
        (formatting.measured_change(change(100, 1500)), Delta("15.0×", "bad", "▲")),
        (formatting.measured_change(change(100, 146, n=19)), Delta("+46 %", "neutral", "")),
        (formatting.relative_change(120, 100, better="none"), Delta("20 %", "neutral", "▲")),
        (formatting.relative_change(120, 0), None),
        (formatting.relative_change(None, 100), None),
        (formatting.point_change(share_change(50, 5000, 100, 5000)), Delta("1.00 pt", "bad", "▲")),
        (formatting.point_change(share_change(50, 1000, 150, 1000)), Delta("10.00 pt", "bad", "▲")),
        (formatting.point_change(share_change(150, 1000, 50, 1000)), Delta("10.00 pt", "good", "▼")),
        (formatting.point_change(share_change(10, 100, 16, 100)), Delta("6.00 pt", "neutral", "▲")),
        (formatting.point_change(share_change(5, 500, 5, 500)), Delta("no change", "neutral", "")),
        (formatting.point_change(share_change(50, 500, 3, 6)), Delta("+40.00 pt", "neutral", "")),
        (formatting.score_change(scored(0.90, 0.97, p=0.01)), Delta("0.07", "good", "▲")),
        (formatting.score_change(scored(0.97, 0.90, p=0.01)), Delta("0.07", "bad", "▼")),
        (formatting.score_change(scored(0.97, 0.90, p=0.2)), Delta("0.07", "neutral", "▼")),
    ],
)
def test_a_change_has_an_arrow_only_where_enough_requests_tell_and_a_colour_only_beyond_chance(
    delta, expected
):
    assert delta == expected


@pytest.mark.parametrize(
    ("setting", "color"),
    [("#12aB9f", "#12aB9f"), ("#abc", "#abc"), ("[10,20,30]", "#0a141e"), ("(10, 20, 255)", "#0a14ff")],
)
def test_a_colour_from_the_settings_is_used(setting, color):
    assert endpoint_color("a", {"a": setting}) == color


@pytest.mark.parametrize(
    "setting", ["", "red;background:url(x)", "#12345", "[1,2]", "[300,0,0]", "expression(1)"]
)
def test_what_is_no_colour_counts_as_none(setting):
    assert endpoint_color("a", {"a": setting}) == endpoint_color("a", {})


@given(st.text())
def test_an_endpoint_keeps_its_colour(name):
    assert endpoint_color(name, {}) == endpoint_color(name, {})
    assert endpoint_color(name, {}) in PALETTE


def test_the_name_of_a_version_is_no_markup_and_not_too_long():
    hostile = "<b>x</b><a href='https://evil.example'>1.0</a>" + "y" * 200
    marked = with_deploys({"layout": {}}, [(hostile, 1_767_355_200_000_000)], "UTC")
    [note] = marked["layout"]["annotations"]
    assert "<" not in note["text"]
    assert len(note["text"]) < 40


def test_the_name_of_a_late_version_is_written_to_the_left_of_its_line():
    early_us, late_us = 1_767_355_200_000_000, 1_768_046_400_000_000  # 2 and 10 January 2026, 12:00 UTC
    figure = {"layout": {"xaxis": {"range": ["2026-01-01 00:00:00", "2026-01-11 00:00:00"]}}}
    marked = with_deploys(figure, [("1.0", early_us), ("1.1", late_us)], "UTC")
    assert [each["xanchor"] for each in marked["layout"]["annotations"]] == ["left", "right"]


def test_of_names_that_would_lie_upon_each_other_the_latest_is_written():
    day_us = 86_400_000_000
    first_us = 1_767_355_200_000_000  # 2 January 2026, 12:00 UTC
    close = [(f"1.{i}", first_us + i * day_us // 20) for i in range(6)]
    figure = {"layout": {"xaxis": {"range": ["2026-01-01 00:00:00", "2026-01-11 00:00:00"]}}}
    marked = with_deploys(figure, [("1.0", first_us - day_us), *close], "UTC")
    assert len(marked["layout"]["shapes"]) == 7
    assert [each["text"] for each in marked["layout"]["annotations"]] == ["1.0", "1.5"]
    near = {"layout": {"xaxis": {"range": ["2026-01-02 00:00:00", "2026-01-03 00:00:00"]}}}
    assert len(with_deploys(near, close, "UTC")["layout"]["annotations"]) > 2
