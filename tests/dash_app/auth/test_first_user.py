from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import func, select

from fmd_otel_dash import setup_path
from fmd_otel_dash.auth import first_user, users
from fmd_otel_dash.services import Services
from fmd_otel_dash.settings import DashboardSettings


def token_of(path):
    return parse_qs(urlsplit(path).query)["token"][0]


def tokens_left(store):
    with store.read() as connection:
        return connection.scalar(select(func.count()).select_from(store.tables.setup_token))


@pytest.fixture
def nobody(make_dashboard, visitor):
    """A visitor of a dashboard without users."""


@pytest.fixture
def stranger(make_dashboard, dashboard, store, visitor):
    with store.write() as connection:
        connection.execute(store.tables.user.delete())
    return visitor


def fill(visitor, path, username="root", password="a fine password", again=None):
    page = visitor.get(path)
    form = re.search(r'name="form_token" value="([^"]+)"', page.text).group(1)
    fields = {
        "form_token": form, "token": token_of(path), "username": username, "password": password,
        "again": password if again is None else again,
    }  # fmt: skip
    return visitor.post("/dashboard/setup", data=fields)


def test_there_is_no_default_password(store):
    assert first_user.ensure(store, DashboardSettings()) is not None
    assert users.everyone(store) == ()


def test_the_configured_user_is_created_once_and_never_in_clear(store):
    settings = DashboardSettings(username="root", password="a fine password")
    assert first_user.ensure(store, settings) is None
    assert first_user.ensure(store, DashboardSettings(username="other", password="another one")) is None
    assert [(user.name, user.role) for user in users.everyone(store)] == [("root", "admin")]
    with store.read() as connection:
        assert "a fine password" not in str(connection.execute(store.tables.user.select()).all())
    assert "a fine password" not in repr(settings)


def test_a_password_without_a_name_belongs_to_admin(store):
    first_user.ensure(store, DashboardSettings(password="a fine password"))
    assert users.everyone(store)[0].name == "admin"


def test_a_name_without_a_password_gets_a_set_up_link(store):
    assert first_user.ensure(store, DashboardSettings(username="root")) is not None


def test_the_set_up_link_creates_an_admin_and_signs_in(stranger, store):
    path = first_user.ensure(store, DashboardSettings())
    assert stranger.get(path).status_code == 200
    answer = fill(stranger, path)
    assert answer.status_code == 303
    assert stranger.follow("/overview").status_code == 200
    assert [(user.name, user.role) for user in users.everyone(store)] == [("root", "admin")]


def test_every_workers_link_is_good_until_the_first_user_is_there(stranger, store):
    paths = [first_user.ensure(store, DashboardSettings()) for _ in range(3)]
    assert len({token_of(path) for path in paths}) == 3
    assert all(first_user.token_is_good(store, token_of(path)) for path in paths)
    assert fill(stranger, paths[1]).status_code == 303
    assert tokens_left(store) == 0
    for path in paths:
        assert stranger.get(path).status_code == 410
        assert first_user.complete(store, token_of(path), "second", "a fine password") is None


def test_the_link_holds_for_a_day(store, monkeypatch):
    path = first_user.ensure(store, DashboardSettings())
    later = first_user.time.time_ns() + (first_user.LIFETIME_S + 1) * 10**9
    monkeypatch.setattr(first_user.time, "time_ns", lambda: later)
    assert not first_user.token_is_good(store, token_of(path))


def test_only_a_digest_of_the_link_is_stored(store):
    path = first_user.ensure(store, DashboardSettings())
    with store.read() as connection:
        assert token_of(path) not in str(connection.execute(store.tables.setup_token.select()).all())


@pytest.mark.parametrize("token", ["", "x", "../..", "0" * 500])
def test_a_made_up_link_is_used_up(stranger, token):
    answer = stranger.follow("/setup", query_string={"token": token})
    assert answer.status_code == 410
    assert "more than a day old" in answer.text


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"password": "short"}, "at least 8"),
        ({"again": "something else"}, "two passwords differ"),
        ({"username": " "}, "user name is empty"),
        ({"username": "x" * 300}, "longer than 255"),
        ({"username": "a\x00b"}, "cannot be shown"),
    ],
)
def test_what_cannot_be_used_is_told_and_the_link_stays_good(stranger, store, fields, words):
    path = first_user.ensure(store, DashboardSettings())
    answer = fill(stranger, path, **fields)
    assert answer.status_code == 400
    assert words in answer.text
    assert first_user.token_is_good(store, token_of(path))


def test_the_set_up_page_tells_no_other_page_its_address(stranger, store):
    path = first_user.ensure(store, DashboardSettings())
    assert stranger.get(path).headers["Referrer-Policy"] == "no-referrer"


def test_the_sign_in_page_says_that_nobody_can_sign_in_yet(stranger):
    assert "Nobody can sign in yet" in stranger.follow("/login").text


def test_the_link_is_announced_once_when_the_database_is_first_opened(store):
    told = []
    services = Services(DashboardSettings(database=store.url), announce=told.append)
    assert told == []
    assert services.store is services.store
    assert len(told) == 1
    assert told[0].startswith("/dashboard/setup?token=")
    services.dispose()


def test_a_launcher_can_ask_for_the_link_first(store):
    path = setup_path(DashboardSettings(database=store.url))
    assert path
    assert first_user.token_is_good(store, token_of(path))
