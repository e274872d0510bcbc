"""Changing passwords: one's own, and as an admin anybody's."""

from __future__ import annotations

import pytest

from fmd_otel_dash.auth import users

ACCOUNT = {"view.data": {"path": "/dashboard/account", "search": ""}}
USERS = {"view.data": {"path": "/dashboard/users", "search": ""}}


@pytest.fixture
def change(dashboard, find_output):
    """Send the form of one's own account."""
    output = find_output(dashboard, "account-problem.children")

    def send(person, old, new, again=None):
        values = {"account-old.value": old, "account-new.value": new, "account-again.value": again or new}
        return person.call(output, ACCOUNT | values | {"account-change.n_clicks": 1})

    return send


@pytest.fixture
def id_of(store):
    return lambda name: next(user.id for user in users.everyone(store) if user.name == name)


def test_a_guest_changes_their_own_and_stays_signed_in_here_only(
    guest, sign_in, change, store, password, id_of
):
    elsewhere = sign_in("bob")
    assert "The password is changed" in change(guest, password, "another decent one").text
    assert users.has_password(store, id_of("bob"), "another decent one")
    assert guest.follow("/overview").status_code == 200
    assert elsewhere.follow("/overview").status_code == 401


@pytest.mark.parametrize(
    ("old", "new", "again", "told"),
    [
        ("wrong", "another decent one", None, "not this one"),
        (None, "short", None, "at least 8"),
        (None, "another decent one", "yet another one", "not the same both times"),
        (None, "bob", None, "at least 8"),
        (None, "", None, "at least 8"),
    ],
)
def test_what_cannot_be_changed_is_told(guest, change, store, password, id_of, old, new, again, told):
    assert told in change(guest, old or password, new, again).text
    assert users.has_password(store, id_of("bob"), password)


def test_guessing_the_present_password_gets_slow(guest, change):
    answers = [change(guest, f"guess {number}", "another decent one").text for number in range(8)]
    assert "Too many attempts" in answers[-1]


@pytest.fixture
def set_password(dashboard, find_output):
    """Send the admins' form."""
    output = find_output(dashboard, "user-reset-problem.children")

    def send(person, number, password):
        """As somebody does who has chosen Password in a row."""
        view = {"view.data": {"path": "/dashboard/users", "search": f"?user={number}"}}
        values = {"user-new-password.value": password, "user-set-password.n_clicks": 1}
        return person.call(output, view | values)

    return send


def test_an_admin_sets_anybodys_and_signs_them_out(admin, guest, set_password, store, id_of):
    assert "bob has a new password" in set_password(admin, id_of("bob"), "another decent one").text
    assert users.has_password(store, id_of("bob"), "another decent one")
    assert guest.follow("/overview").status_code == 401
    assert "no longer there" in set_password(admin, 99, "another decent one").text
    assert "at least 8" in set_password(admin, id_of("bob"), "short").text


def test_a_guest_sets_nobodys(guest, set_password, store, password, id_of):
    assert set_password(guest, id_of("ada"), "another decent one").status_code == 403
    assert users.has_password(store, id_of("ada"), password)
