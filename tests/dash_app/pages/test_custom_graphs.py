"""Custom graphs, all on a page and one by one."""

from __future__ import annotations

import json

import pytest

from fmd_otel_dash.queries.graphs import custom_graphs, graph_values
from fmd_otel_dash.queries.scope import Scope
from fmd_otel_exporter.graphs import add_values, note_failure

MINUTE = 60_000_000
HOUR = 60 * MINUTE


def test_several_graphs_share_a_page(now, write_values, card, cards_of):
    write_values("Open orders", [(now - HOUR, 3), (now - 30 * MINUTE, 5)])
    write_values("Baskets", [(now - HOUR, 1)])
    assert cards_of("/custom_graphs") == ["custom-graphs-0", "custom-graphs-1", "custom-graphs"]
    shown = [card(f"custom-graphs-{number}", "/custom_graphs") for number in range(2)]
    assert [each.figures[0]["data"][-1]["y"] for each in shown] == [[1], [3, 5]]
    assert "2 values · Last 24 hours" in shown[1].text
    assert "interval[0:05:00]" in shown[1].text


def test_more_than_fit_have_a_link_each(now, write_values, card, cards_of):
    for number in range(26):
        write_values(f"Graph {number:02}", [(now - HOUR, number)])
    assert len(cards_of("/custom_graphs")) == 25
    assert card("custom-graphs-23", "/custom_graphs").figures[0]["data"][-1]["y"] == [23]
    assert card("custom-graphs", "/custom_graphs").text == "Graph 24 Graph 25"


def test_many_values_are_drawn_as_steps_with_their_extremes(now, store, write_values):
    number = write_values("Busy", [])
    add_values(store, number, [(now - HOUR + i * 1_000_000, float(i % 10)) for i in range(3000)])
    found = graph_values(store, number, Scope(now - HOUR, now), 100)
    assert found.step_s == 36
    assert len(found.steps) <= 100
    assert sum(step.n for step in found.steps) == found.n == 3000
    assert {step.least for step in found.steps} == {0.0}
    assert {step.greatest for step in found.steps} == {9.0}


def test_a_failure_stands_on_the_graphs_page(now, store, write_values, card):
    number = write_values("Open orders", [(now - HOUR, 3)])
    note_failure(store, number, now - MINUTE, "ValueError: no such table")
    text = card("custom-graph", f"/custom_graph/{number}").text
    assert "The last run gave no value" in text
    assert "no such table" in text
    assert "1 of 2 runs gave none" in text


def test_without_any_it_says_how_to_add_one(card):
    assert "fmd_otel.add_graph(" in card("custom-graphs", "/custom_graphs").text


@pytest.fixture
def delete(dashboard, find_output):
    """The callback that deletes a graph."""
    return find_output(dashboard, "custom-graph-retry.data")


def test_only_an_admin_deletes_one(now, store, write_values, admin, guest, delete):
    number = write_values("Open orders", [(now - HOUR, 3)])
    data = {"path": f"/dashboard/custom_graph/{number}", "search": "", "tz": "UTC", "serial": 1}

    def send(person):
        values = {"custom-graph-wanted.data": {"id": number}, "view.data": data}
        return person.call(delete, values, triggered="custom-graph-wanted.data")

    assert send(guest).status_code == 403
    assert len(custom_graphs(store)) == 1
    assert "is deleted" in send(admin).text
    assert custom_graphs(store) == ()
    assert graph_values(store, number, Scope(0, now)).n == 0


def test_after_a_deletion_the_card_says_so_at_once(now, write_values, admin, delete):
    number = write_values("Open orders", [(now - HOUR, 3)])
    values = {
        "view.data": {"path": f"/dashboard/custom_graph/{number}", "search": "", "tz": "UTC", "serial": 1}
    }

    def shown():
        return admin.call("custom-graph-body.children", values).text

    assert "Open orders" in shown()
    admin.call(
        delete, values | {"custom-graph-wanted.data": {"id": number}}, triggered="custom-graph-wanted.data"
    )
    assert "There is no such graph" in shown()


def test_a_graph_can_be_zoomed_into_and_each_on_its_own(now, write_values, card):
    number = write_values("Open orders", [(now - 5 * HOUR, 3), (now - HOUR, 5)])
    (figure,) = card("custom-graph", f"/custom_graph/{number}").figures
    assert figure["layout"]["dragmode"] == "zoom"
    assert figure["layout"]["yaxis"]["fixedrange"]
    search = "?from=2026-11-22T10:30&to=2026-11-22T11:30&tz=UTC"  # as dragging over it makes it
    near = card("custom-graph", f"/custom_graph/{number}", search)
    assert [trace["y"] for trace in near.figures[0]["data"]] == [[5]]
    assert "1 value · " in near.text


def test_a_hostile_title_stays_text(now, write_values, card):
    write_values("<script>alert(1)</script>", [(now - HOUR, 1)])
    assert "<script>" not in json.dumps(card("custom-graphs-0", "/custom_graphs").figures)
