"""The settings in force, and levels of many endpoints at once."""

from __future__ import annotations

import json

import pytest

from fmd_otel_dash.auth import sessions
from fmd_otel_dash.auth.gate import COOKIE
from fmd_otel_exporter.catalog import load_levels
from tests.dash_app.conftest import PREFIX, Visitor

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
