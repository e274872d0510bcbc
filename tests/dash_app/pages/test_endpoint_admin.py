"""Endpoints renamed, merged, given back to the rules and deleted, as an admin's browser does it."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from fmd_otel_dash.pages.endpoint_admin import LIST, SHOWN
from fmd_otel_exporter import jobs
from fmd_otel_exporter.catalog import load_levels, set_level
from fmd_otel_exporter.level_rules import LevelRule, save_rules
from tests.dash_app.pages.conftest import Shown

HOUR = 3_600_000_000


@pytest.fixture
def three(now, write):
    for name in ("cart", "basket", "home"):
        write(now - HOUR, name)


@pytest.fixture
def number_of(store):
    def of(name):
        with store.read() as connection:
            c = store.tables.endpoint.c
            return connection.scalar(select(c.id).where(c.name == name))

    return of


@pytest.fixture
def browser(dashboard):
    """Somebody who has the page open all the time: one view, and so one memory."""

    class Browser:
        def __init__(self, person, endpoint=""):
            search = f"?endpoint={endpoint}" if endpoint else ""
            self.person = person
            self.view = {
                "view.data": {"path": "/dashboard/endpoints", "search": search, "tz": "UTC", "serial": 7}
            }

        def card(self, name, **values):
            answer = self.person.call(f"{name}-body.children", self.view | values)
            return Shown(answer.json["response"][f"{name}-body"]["children"])

        def send(self, store_id, data, **values):
            specs = dashboard.dash._callback_list
            output = next(each["output"] for each in specs if each["inputs"][0]["id"] == store_id)
            fields = {f"{name.replace('_', '-')}.value": value for name, value in values.items()}
            return self.person.call(output, self.view | {f"{store_id}.data": data} | fields)

    return Browser


@pytest.mark.usefixtures("three")
def test_an_endpoint_is_renamed_and_shown_so_at_once(admin, browser, number_of, card):
    page = browser(admin, number_of("cart"))
    assert "cart" in page.card("endpoints-list").text
    answer = page.send("endpoint-form-wanted", {"do": "rename"}, endpoint_new_name="The cart")
    assert "Renamed" in answer.text
    assert "The cart in the application: cart" in page.card("endpoints-list").text
    assert "The cart" in {row["name"] for row in card("overview-endpoints", "/overview").grid_rows}


@pytest.mark.usefixtures("three")
def test_one_is_merged_and_separated_again(admin, browser, number_of, card):
    page = browser(admin, number_of("basket"))
    answer = page.send(
        "endpoint-form-wanted", {"do": "merge"}, endpoint_into=str(number_of("cart")), endpoint_new_name=""
    )
    assert "Merged" in answer.text
    shown = {row["name"]: row["n"] for row in card("overview-endpoints", "/overview").grid_rows}
    assert shown == {"cart": 2, "home": 1}
    assert "Separate" in page.card("endpoints-list").text
    assert "together with  basket" in card("endpoint-head", f"/endpoint/{number_of('cart')}").text
    page.send("endpoint-row-wanted", {"do": "separate", "id": number_of("basket")})
    assert "Separate" not in page.card("endpoints-list").text


@pytest.mark.usefixtures("three")
def test_merging_asks_first_and_names_both(admin, browser, number_of):
    page = browser(admin, number_of("basket"))

    def asked(into):
        (button,) = (
            part["props"]
            for part in page.card("endpoint-merge", **{"endpoint-into.value": into}).parts
            if part["type"] == "Button"
        )
        return button["data-confirm"]

    assert asked(str(number_of("cart"))).startswith("Merge basket into cart?")
    assert not asked(None)


@pytest.mark.usefixtures("three")
def test_a_deleted_one_is_gone_at_once_and_the_job_tells_of_its_rows(
    admin, browser, number_of, card, store, monkeypatch
):
    started = []
    monkeypatch.setattr("fmd_otel_dash.upkeep.start_thread", lambda run, _name: started.append(run))
    number = number_of("basket")
    page = browser(admin, number)
    assert "all that is recorded" in str(page.card("endpoint-delete").children)
    assert "basket is deleted" in page.send("endpoint-form-wanted", {"do": "delete", "id": number}).text
    assert set(load_levels(store)) == {("shop", "cart"), ("shop", "home")}
    assert {row["name"] for row in card("overview-endpoints", "/overview").grid_rows} == {"cart", "home"}
    assert jobs.latest(store)["remove"].state == jobs.RUNNING
    again = page.send("endpoint-form-wanted", {"do": "delete", "id": number_of("home")})
    assert "a job is running already" in again.text
    started.pop()()
    done = jobs.latest(store)["remove"]
    assert (done.state, done.asked["endpoint"], done.done == done.total > 0) == (jobs.DONE, "basket", True)
    assert "Deleting the endpoint basket" in card("storage-jobs", "/storage").text


@pytest.mark.usefixtures("three")
def test_who_set_a_level_is_shown_and_taken_back(admin, browser, number_of, store, card):
    page = browser(admin)
    set_level(store, number_of("cart"), 2)
    save_rules(store, [LevelRule("ca*, ho*", 3)])
    text = page.card("endpoints-list").text
    assert "cart 2  by hand Unpin" in text
    assert "level by rule ca*, ho*" in card("endpoint-head", f"/endpoint/{number_of('home')}").text
    assert "home 3  by rule ca*, ho*" in text
    assert "basket 1  default" in text
    assert "level 3" in page.send("endpoint-row-wanted", {"do": "unpin", "id": number_of("cart")}).text
    assert "cart 3  by rule" in page.card("endpoints-list").text


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({"do": "merge"}, "choose what to merge"),
        ({"do": "delete", "id": 99}, "no endpoint 99"),
        ({"do": "dance"}, "no such button"),
    ],
)
def test_what_cannot_be_done_is_told(admin, browser, number_of, data, told):
    answer = browser(admin, number_of("cart")).send("endpoint-form-wanted", data, endpoint_new_name="")
    assert "Not changed" in answer.text
    assert told in answer.text


@pytest.mark.usefixtures("three")
def test_a_guest_changes_nothing(guest, browser, number_of, store):
    page = browser(guest, number_of("cart"))
    for store_id, data in (
        ("endpoint-form-wanted", {"do": "delete"}),
        ("endpoint-row-wanted", {"do": "unpin", "id": 1}),
    ):
        assert page.send(store_id, data).status_code == 403
    assert len(load_levels(store)) == 3


def test_about_tells_versions_and_the_database(card, store):
    versions = card("about-versions", "/about").text
    for name in ("fmd-otel", "Python", "OpenTelemetry SDK", "Dash", "SQLAlchemy"):
        assert name in versions
    database = card("about-database", "/about").text
    assert "SQLite 3." in database
    assert "Schema revision 00" in database
    assert "Requests dropped 0" in card("about-cost", "/about").text
    assert "MIT" in card("about-more", "/about").text


def test_the_password_form_is_opened_from_a_row(admin):
    view = {"view.data": {"path": "/dashboard/users", "search": ""}}
    assert "user=" in str(admin.call("users-list-body.children", view).json)
    assert "choose Password beside" in admin.call("user-reset-body.children", view).text
    chosen = {"view.data": {"path": "/dashboard/users", "search": "?user=2"}}
    assert "bob" in admin.call("user-reset-body.children", chosen).text


def test_a_long_list_is_shown_a_page_at_a_time(now, write, card):
    for number in range(SHOWN + 5):
        write(now - number, f"shop.view{number:02}")
    first, second = card(LIST, "/endpoints"), card(LIST, "/endpoints", f"?skip={SHOWN}")
    assert f"1 to {SHOWN}" in first.text
    assert f"{SHOWN + 5} endpoints" in first.text
    assert any(f"skip={SHOWN}" in link for link in first.links)
    assert "shop.view34" in second.text
    assert "shop.view00" not in second.text
    assert "Previous" in second.text
    assert "Next" not in second.text
    assert "shop.view00" in card(LIST, "/endpoints", "?skip=1000").text
