"""Every callback has a role, exists where it says, and keeps a failure to itself."""

from __future__ import annotations

import json
import re

import pytest

from fmd_otel_dash import ids
from fmd_otel_dash.queries.look import look
from fmd_otel_dash.queries.scope import Scope
from fmd_otel_exporter.catalog import register_endpoints
from fmd_otel_exporter.errors import StorageError
from fmd_otel_exporter.records import EndpointInfo

VIEW = {"view.data": {"path": "/dashboard/overview", "search": "", "tz": "Europe/Amsterdam", "serial": 0}}


def ids_in(component):
    """Return all ids of a component tree; pattern ids by their type."""
    found = set()

    def walk(node):
        if isinstance(node, list | tuple):
            for each in node:
                walk(each)
            return
        if not hasattr(node, "_prop_names"):
            return
        name = getattr(node, "id", None)
        if name:
            found.add(json.dumps(name, sort_keys=True) if isinstance(name, dict) else name)
        for prop in node._prop_names:
            value = getattr(node, prop, None)
            if prop != "id" and (isinstance(value, list | tuple) or hasattr(value, "_prop_names")):
                walk(value)

    walk(component)
    return found


def in_layouts(dashboard):
    """Return the ids that the frame and the pages have before any data comes."""
    with dashboard.server.test_request_context("/"):
        from flask import g  # noqa: PLC0415 - the request's own

        from fmd_otel_dash.roles import User  # noqa: PLC0415

        g.user = User(1, "ada", "admin")
        found = ids_in(dashboard._layout())
        for page in (*dashboard.router.pages, dashboard.router.not_found):
            path = re.sub(r"<[^>]+>", "1", page.path)
            view = dashboard.surroundings.view({"path": f"/dashboard{path}"})
            found |= ids_in(page.layout(view))
    return found


def test_every_callback_with_code_went_through_the_registry(dashboard):
    with_code = {output for output, spec in dashboard.dash.callback_map.items() if "callback" in spec}
    assert with_code == {each.output for each in dashboard.registry.registered}
    assert {each.role for each in dashboard.registry.registered} == {"admin", "guest"}


def test_every_id_of_a_callback_is_in_some_layout(dashboard):
    known = in_layouts(dashboard)
    # These come with the data of their card, or with as many graphs as there are.
    filled_in = {"endpoints-grid"}
    filled_in |= {f"custom-graphs-{number}-{part}" for number in range(24) for part in ("body", "retry")}
    for spec in dashboard.dash._callback_list:
        named = [each["id"] for each in spec["inputs"] + spec["state"]]
        outputs = [] if spec.get("no_output") else spec["output"].strip(".").split("...")
        named += [output.rpartition(".")[0] for output in outputs]
        for name in named:
            if name.startswith("{"):
                continue
            assert name in known | filled_in, f"{name} of {spec['output']} is in no layout"


def test_dashs_global_callbacks_stay_empty(dashboard):
    from dash import _callback  # noqa: PLC0415

    assert dashboard.dash.callback_map
    assert _callback.GLOBAL_CALLBACK_MAP == {}
    assert _callback.GLOBAL_CALLBACK_LIST == []


def test_what_changes_something_is_for_admins_only(dashboard, guest):
    for each in dashboard.registry.registered:
        if each.role == "admin":
            spec = next(spec for spec in dashboard.dash._callback_list if spec["output"] == each.output)
            something = {f"{one['id']}.{one['property']}": {} for one in spec["inputs"]}
            answer = guest.call(each.output, something | VIEW)
            assert answer.status_code == 403, each
            assert "needs the role admin" in answer.json["error"]
            assert "bob" in answer.json["error"]


def test_a_page_that_opens_asks_for_no_change(dashboard, guest, admin):
    # Dash calls when an input appears; nobody has done anything yet, so nobody is refused either.
    for each in dashboard.registry.registered:
        if each.role == "admin" and each.on_demand:
            assert guest.call(each.output, VIEW).status_code == 204
            assert admin.call(each.output, VIEW).status_code == 204


def level_of(store, endpoint_id):
    with look(store, Scope(0, 0, endpoint_ids=(endpoint_id,))) as view:
        return view.endpoints[0].level


@pytest.fixture
def endpoint_id(store):
    register_endpoints(store, [EndpointInfo("shop", "cart.show", "/cart", "GET")], 1)
    with look(store, Scope(0, 0)) as view:
        return view.endpoints[0].id


def wanted(endpoint_id, level, before=1):
    return VIEW | {
        "level-wanted.data": {"id": endpoint_id, "level": level, "before": before, "name": "cart.show"}
    }


def test_an_admin_changes_a_level_and_is_told(dashboard, admin, store, endpoint_id, find_output):
    output = find_output(dashboard, "level-set.data")
    answer = admin.call(output, wanted(endpoint_id, 0))
    assert answer.status_code == 200
    assert level_of(store, endpoint_id) == 0
    response = answer.json["response"]
    assert response["level-set"]["data"] == {"id": endpoint_id, "level": 0}
    assert "cart.show is now at monitor level 0" in answer.text
    assert "Undo" in answer.text


def test_a_guest_changes_nothing(dashboard, guest, store, endpoint_id, find_output):
    answer = guest.call(find_output(dashboard, "level-set.data"), wanted(endpoint_id, 0))
    assert answer.status_code == 403
    assert level_of(store, endpoint_id) == 1


@pytest.mark.parametrize("level", [4, -1, "1", None, True, 1.5])
def test_a_level_that_does_not_exist_changes_nothing(
    dashboard, admin, store, endpoint_id, find_output, level
):
    answer = admin.call(find_output(dashboard, "level-set.data"), wanted(endpoint_id, level))
    assert answer.json["response"]["level-set"]["data"]["level"] == 1
    assert "Not changed" in answer.text
    assert level_of(store, endpoint_id) == 1


@pytest.mark.parametrize("endpoint", [999, None, "1; DROP TABLE", [1]])
def test_an_endpoint_that_does_not_exist_is_told(dashboard, admin, find_output, endpoint):
    answer = admin.call(find_output(dashboard, "level-set.data"), wanted(endpoint, 0))
    assert answer.status_code == 200
    assert "Not changed" in answer.text


def test_the_next_look_sees_the_new_level_at_once(dashboard, admin, endpoint_id, find_output):
    grid = find_output(dashboard, "overview-endpoints-body.children")

    def shown():
        return re.search(r'"level":\s*(\d)', admin.call(grid, VIEW).text).group(1)

    assert shown() == "1"
    admin.call(find_output(dashboard, "level-set.data"), wanted(endpoint_id, 3))
    assert shown() == "3"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RuntimeError("secret of the inside"), "the log of the dashboard has the details"),
        (StorageError("the database is locked; try again"), "the database is locked; try again"),
    ],
)
def test_a_failing_card_says_so_with_a_request_id_and_a_way_to_try_again(
    dashboard, guest, find_output, monkeypatch, caplog, error, said
):
    def fail(*_args, **_kwargs):
        raise error

    monkeypatch.setattr(dashboard.services.cache, "get", fail)
    answer = guest.call(find_output(dashboard, "overview-kpis-body.children"), VIEW)
    assert answer.status_code == 200
    assert said in answer.text
    assert "secret of the inside" not in answer.text
    assert "Traceback" not in answer.text
    assert "Try again" in answer.text
    request_id = re.search(r"request ([0-9a-f]{8})", caplog.text).group(1)
    assert request_id in answer.text


def test_the_browser_is_told_how_long_it_took(dashboard, guest, find_output):
    answer = guest.call(find_output(dashboard, "overview-kpis-body.children"), VIEW)
    assert re.search(r'cb;desc="overview.kpis";dur=\d', answer.headers["Server-Timing"])


@pytest.mark.parametrize(
    "data", [None, 3, "x", [], {}, {"path": 5, "search": [], "tz": {}, "serial": "x"}, {"path": "../../etc"}]
)
def test_whatever_a_browser_claims_to_look_at_gets_an_answer(dashboard, guest, find_output, data):
    answer = guest.call(find_output(dashboard, "overview-kpis-body.children"), {"view.data": data})
    assert answer.status_code == 200


def test_cards_of_a_page_ask_the_database_once(dashboard, guest, find_output, monkeypatch):
    from fmd_otel_dash.pages import overview as page  # noqa: PLC0415

    asked = []
    original = page.overview_of

    def counting(*args):
        asked.append(args)
        return original(*args)

    monkeypatch.setattr(page, "overview_of", counting)
    monkeypatch.setattr("fmd_otel_dash.surroundings.time.time_ns", lambda: 1_795_000_000_000_000_000)
    for card in ("overview-kpis-body", "overview-endpoints-body"):
        assert guest.call(find_output(dashboard, f"{card}.children"), VIEW).status_code == 200
    assert len(asked) == 1
    again = {"view.data": VIEW["view.data"] | {"serial": 1}}
    guest.call(find_output(dashboard, "overview-kpis-body.children"), again)
    assert len(asked) == 2  # a refresh is answered freshly


def test_ids_of_cards_are_told_apart():
    assert ids.body("a") != ids.retry("a") != "a"


def test_an_action_that_fails_changes_nothing_but_the_notice(dashboard, guest, find_output, monkeypatch):
    def fail(*_args):
        raise RuntimeError("secret of the inside")

    monkeypatch.setattr("fmd_otel_dash.urlstate.shifted", fail)
    values = VIEW | {"range-back.n_clicks": 1}
    answer = guest.call(find_output(dashboard, "url.search"), values, triggered="range-back.n_clicks")
    assert answer.status_code == 200
    assert answer.json["response"] == {}
    assert "the log of the dashboard has the details" in answer.json["sideUpdate"]["notice"]["children"]
    assert "secret" not in answer.text
