"""The settings in force, and levels of many endpoints at once."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import select

from fmd_otel.composition import load_settings
from fmd_otel_dash.auth import sessions
from fmd_otel_dash.auth.gate import COOKIE
from fmd_otel_exporter.catalog import load_levels, set_level
from fmd_otel_exporter.counters import NOTHING
from fmd_otel_exporter.heartbeat import About, Heartbeat
from fmd_otel_exporter.level_rule import LevelRule
from tests.dash_app.conftest import PREFIX, Visitor
from tests.dash_app.pages.conftest import Shown

HOUR = 3_600_000_000
VIEW = {"view.data": {"path": "/dashboard/configuration", "search": ""}}


@pytest.fixture
def send(dashboard, find_output):
    """Send the form."""
    output = find_output(dashboard, "levels-problem.children")

    def to(person, pattern, level):
        values = {"levels-pattern.value": pattern, "levels-level.value": level, "levels-apply.n_clicks": 1}
        return person.call(output, VIEW | values)

    return to


@pytest.fixture
def four(now, write):
    for name in ("api.list", "api.item", "static", "home"):
        write(now - HOUR, name)


@pytest.mark.usefixtures("four")
def test_levels_are_set_by_pattern(admin, store, send, card):
    assert "3 endpoints at level 3" in send(admin, "api.*, static", "3").text
    assert {name: level for (_, name), level in load_levels(store).items()} == {
        "api.list": 3, "api.item": 3, "static": 3, "home": 1,
    }  # fmt: skip
    assert "3" in card("configuration-levels", "/configuration").text


@pytest.mark.usefixtures("four")
def test_what_a_pattern_matches_is_shown_before(admin):
    answer = admin.call("levels-matches.children", VIEW | {"levels-pattern.value": "api.*"})
    assert "Matches 2: api.item, api.list" in answer.text or "Matches 2: api.list, api.item" in answer.text
    assert (
        "Matches no endpoint"
        in admin.call("levels-matches.children", VIEW | {"levels-pattern.value": "x"}).text
    )


@pytest.mark.usefixtures("four")
@pytest.mark.parametrize(
    ("pattern", "level", "told"),
    [
        ("nothing*", "1", "No endpoint matches"),
        ("", "1", "No endpoint matches"),
        ("api.*", "7", "must be one of"),
    ],
)
def test_what_cannot_be_done_is_told(admin, store, send, pattern, level, told):
    assert told in send(admin, pattern, level).text
    assert set(load_levels(store).values()) == {1}


@pytest.mark.usefixtures("four")
def test_a_guest_changes_nothing_and_sees_nothing(guest, store, send):
    assert send(guest, "*", "0").status_code == 403
    assert guest.call("configuration-settings-body.children", VIEW).status_code == 403
    assert set(load_levels(store).values()) == {1}


@pytest.fixture
def dashboard_with(make_dashboard, add_user, store):
    """A visitor, signed in as an admin, of a dashboard with these settings."""

    def make(**settings):
        user = add_user("eve", "admin")
        with store.write() as connection:
            token = sessions.start(connection, store.tables, user.id)
        visitor = Visitor(make_dashboard(**settings))
        visitor.set_cookie(COOKIE, token, path=PREFIX)
        return visitor

    return make


def test_settings_are_shown_with_who_set_them_and_without_secrets(dashboard_with):
    visitor = dashboard_with(
        password="hunter2hunter2", security_token="s3cret", timezone="Asia/Kolkata",
        origins={"TIMEZONE": "environment variable FMD_OTEL_TIMEZONE"},
    )  # fmt: skip
    text = json.dumps(visitor.call("configuration-settings-body.children", VIEW).json)
    assert "Asia/Kolkata" in text
    assert "environment variable FMD_OTEL_TIMEZONE" in text
    assert "hunter2" not in text
    assert "s3cret" not in text


def test_every_key_is_shown_as_it_is_called_with_its_own_origin(dashboard_with):
    environ = {
        "FMD_OTEL_DATABASE": "postgresql://shop:hunter2@db/shop", "FMD_OTEL_SAMPLING_PERIOD": "5",
        "FMD_OTEL_OIDC_DISCOVERY_URL": "https://id.example.com/.well-known/openid-configuration",
        "FMD_OTEL_OIDC_CLIENT_ID": "fmd",
        "FMD_OTEL_OIDC_CLIENT_SECRET": "s3cret", "FMD_OTEL_AUTH_ADMINS": "ada,eve",
    }  # fmt: skip
    composed = load_settings(environ=environ).dashboard()
    visitor = dashboard_with(effective=composed.effective)
    shown = Shown(_children(visitor.call("configuration-settings-body.children", VIEW)))
    rows = [part for part in shown.parts if part["type"] == "Tr"]
    told = {
        cells[0]: cells[1:] for row in rows if (cells := [_text(each) for each in row["props"]["children"]])
    }
    assert told["SAMPLING_PERIOD"] == ["5.0", "FMD_OTEL_SAMPLING_PERIOD"]
    assert told["OIDC_CLIENT_ID"] == ["fmd", "FMD_OTEL_OIDC_CLIENT_ID"]
    assert told["OIDC_CLIENT_SECRET"] == ["***", "FMD_OTEL_OIDC_CLIENT_SECRET"]
    assert told["AUTH_ADMINS"] == ["ada, eve", "FMD_OTEL_AUTH_ADMINS"]
    assert told["OUTLIER_MIN_REQUESTS"] == ["20", "default"]
    assert told["DATABASE"] == ["postgresql://shop:***@db/shop", "FMD_OTEL_DATABASE"]
    assert "hunter2" not in shown.text
    assert "s3cret" not in shown.text


def test_what_each_service_runs_with_is_shown_as_its_processes_report_it(store, card):
    for number, period in enumerate(("5", "5", "20")):
        reported = (
            load_settings(
                environ={
                    "FMD_OTEL_SAMPLING_PERIOD": period,
                    "FMD_OTEL_PASSWORD": "x" * 9,
                    "FMD_OTEL_USERNAME": "u",
                }
            )
            .exporter()
            .reported
        )
        beat = Heartbeat(About("worker", settings=reported), lambda: NOTHING)
        beat.serves = ("billing" if number == 2 else "shop", "1.0")
        beat.work(store)
    text = card("configuration-services", "/configuration").text
    assert "shop  2 processes" in text
    assert "SAMPLING_PERIOD 5.0 FMD_OTEL_SAMPLING_PERIOD" in text
    assert "billing  1 process" in text
    assert "SAMPLING_PERIOD 20.0" in text
    assert "PASSWORD" not in text


def _children(answer):
    (found,) = answer.json["response"].values()
    return found["children"]


def _text(node):
    return Shown(node).text


# Rules


def test_rules_of_the_configuration_are_shown_after_those_of_the_page(dashboard_with, now, write):
    write(now - HOUR, "static")
    visitor = dashboard_with(
        default_rules=(LevelRule("static", 0), LevelRule("api.*", 3)),
        origins={"MONITOR_RULES": "FMD_OTEL_MONITOR_RULES"},
    )
    text = Shown(_children(visitor.call("rules-body.children", VIEW))).text
    assert "After these, MONITOR_RULES of FMD_OTEL_MONITOR_RULES: static: 0, api.*: 3" in text
    text = Shown(_children(visitor.call("configuration-settings-body.children", VIEW))).text
    assert "MONITOR_RULES static: 0, api.*: 3 FMD_OTEL_MONITOR_RULES" in text
    listed = visitor.call("endpoints-list-body.children", {"view.data": {"path": "/dashboard/endpoints"}})
    assert "by MONITOR_RULES static" in Shown(_children(listed)).text


@pytest.fixture
def browser(admin, dashboard):
    """Ask as a browser does that has the page open: the same view, and so the same memory, all the time."""

    class Browser:
        def __init__(self):
            where = {"path": "/dashboard/configuration", "search": "", "tz": "UTC", "serial": 7}
            self.view = {"view.data": where}

        def card(self, name):
            return Shown(_children(admin.call(f"{name}-body.children", self.view)))

        def send(self, part, values):
            output = next(each for each in dashboard.dash.callback_map if part in each)
            return admin.call(output, self.view | values).json["response"]

        def row(self, values):
            specs = dashboard.dash._callback_list
            output = next(each["output"] for each in specs if each["inputs"][0]["id"] == "rule-wanted")
            return admin.call(output, self.view | values).json["response"]

    return Browser()


def _rule(pattern, level, service="*"):
    return {
        "rule-pattern.value": pattern, "rule-service.value": service, "rule-level.value": str(level),
        "rule-apply.n_clicks": 1,
    }  # fmt: skip


@pytest.mark.usefixtures("four")
def test_a_rule_is_added_shown_and_obeyed_at_once(store, browser):
    assert "No rules" in browser.card("rules").text
    answer = browser.send("rule-problem.children", _rule("api.*", 3))
    assert "2 endpoints changed" in answer["notice"]["children"]
    assert {name: level for (_, name), level in load_levels(store).items()} == {
        "api.list": 3, "api.item": 3, "static": 1, "home": 1,
    }  # fmt: skip
    assert "api.* 3 2" in browser.card("rules").text
    (level_3,) = (
        _text(row) for row in browser.card("configuration-levels").parts
        if row["type"] == "Tr" and _text(row).startswith("3 ")
    )  # fmt: skip
    assert level_3.startswith("3 2 ")


@pytest.mark.usefixtures("four")
def test_rules_are_moved_and_removed_as_they_were_shown(store, browser):
    for pattern, level in (("api.*", 3), ("*.list", 0)):
        browser.send("rule-problem.children", _rule(pattern, level))
    wanted = {"rule-wanted.data": {"place": 1, "rule": ["*.list", 0, ""], "by": -1}}
    assert "Rule moved. 1 endpoint changed" in str(browser.row(wanted))
    assert browser.card("rules").text.index("*.list") < browser.card("rules").text.index("api.*")
    assert "changed meanwhile" in str(browser.row(wanted))
    assert "Rule removed" in str(browser.row({"rule-wanted.data": {"place": 0, "rule": ["*.list", 0, ""]}}))
    assert load_levels(store)["shop", "api.list"] == 3
    assert "Not changed" in str(browser.row({"rule-wanted.data": {"place": "x", "rule": 3}}))


@pytest.mark.usefixtures("four")
def test_what_a_rule_would_match_is_shown_with_those_it_leaves_alone(store, admin, see_id, browser):
    set_level(store, see_id("api.item"), 2)
    answer = browser.send("rule-matches.children", _rule("api.*", 3))
    text = answer["rule-matches"]["children"]
    assert "Matches 2: api.item, api.list. 1 set by hand, which stay." in text


def test_a_rule_that_is_none_is_told(browser):
    answer = browser.send("rule-problem.children", _rule(" ", 3))
    assert answer["rule-problem"]["children"].startswith("A rule needs the name of an endpoint")


@pytest.fixture
def see_id(store):
    def of(name):
        with store.read() as connection:
            c = store.tables.endpoint.c
            return connection.scalar(select(c.id).where(c.name == name))

    return of


# Services


@pytest.fixture
def two_services(now, write):
    for service in ("shop", "billing"):
        write(now - HOUR, "static", service=service)


@pytest.mark.usefixtures("two_services")
def test_levels_are_set_in_the_chosen_service_only(store, admin, find_output, dashboard):
    view = {"view.data": {"path": "/dashboard/configuration", "search": "?svc=shop"}}
    values = {"levels-pattern.value": "static", "levels-level.value": "3", "levels-apply.n_clicks": 1}
    assert "of shop" in admin.call("levels-matches.children", view | values).text
    assert (
        "1 endpoint of shop"
        in admin.call(find_output(dashboard, "levels-problem.children"), view | values).text
    )
    assert load_levels(store) == {("shop", "static"): 3, ("billing", "static"): 1}


@pytest.mark.usefixtures("two_services")
def test_the_service_is_named_where_there_are_several(admin):
    answer = admin.call("levels-matches.children", VIEW | {"levels-pattern.value": "static"})
    assert "static (billing), static (shop)" in answer.text


@pytest.mark.usefixtures("four")
def test_the_table_of_levels_is_fresh_after_they_were_set(browser):
    before = browser.card("configuration-levels").text
    values = {"levels-pattern.value": "api.*", "levels-level.value": "3", "levels-apply.n_clicks": 1}
    browser.send("levels-problem.children", values)
    after = browser.card("configuration-levels").text
    assert (before.count("by hand"), after.count("2 of them set by hand")) == (0, 1)
