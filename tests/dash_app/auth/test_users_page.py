from __future__ import annotations

import pytest

from fmd_otel_dash.auth import users

VIEW = {"view.data": {"path": "/dashboard/users", "search": ""}}
ROUTE = {"route.data": {"path": "/dashboard/users", "search": ""}}


def everyone(store):
    return {user.name: user.role for user in users.everyone(store)}


def new(name, password="a decent password", role="guest"):
    return VIEW | {
        "user-add.n_clicks": 1,
        "user-name.value": name,
        "user-password.value": password,
        "user-role.value": role,
    }


def test_an_admin_adds_a_guest(dashboard, admin, store, find_output):
    answer = admin.call(find_output(dashboard, "user-problem.children"), new("eve"))
    assert "eve can sign in now, as guest" in answer.text
    assert everyone(store) == {"ada": "admin", "bob": "guest", "eve": "guest"}
    listed = admin.call("users-list-body.children", VIEW)
    assert "eve" in listed.text
    assert "scrypt" not in listed.text


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (new("bob"), "There is a user named “bob” already"),
        (new(""), "user name is empty"),
        (new("eve", "short"), "at least 8"),
        (new("eve", role="root"), "must be admin or guest"),
        (new("eve", role=None), "must be admin or guest"),
    ],
)
def test_what_cannot_be_added_is_told(dashboard, admin, store, find_output, values, words):
    answer = admin.call(find_output(dashboard, "user-problem.children"), values)
    assert words in answer.json["response"]["user-problem"]["children"]
    assert everyone(store) == {"ada": "admin", "bob": "guest"}


@pytest.mark.parametrize(
    ("wanted", "words", "after"),
    [
        ({"name": "bob", "role": "admin"}, "bob is admin now", {"ada": "admin", "bob": "admin"}),
        ({"name": "bob", "remove": True}, "bob can no longer sign in", {"ada": "admin"}),
        ({"name": "ada", "remove": True}, "This is the last admin", {"ada": "admin", "bob": "guest"}),
        ({"name": "ada", "role": "guest"}, "This is the last admin", {"ada": "admin", "bob": "guest"}),
        ({"name": "bob", "role": "root"}, "must be admin or guest", {"ada": "admin", "bob": "guest"}),
        ({"id": 99, "remove": True}, "no longer there", {"ada": "admin", "bob": "guest"}),
        ({"id": {"x": 1}}, "no longer there", {"ada": "admin", "bob": "guest"}),
    ],
)
def test_an_admin_changes_users(dashboard, admin, store, find_output, wanted, words, after):
    ids = {user.name: user.id for user in users.everyone(store)}
    data = {"id": ids.get(wanted.get("name")), **wanted}
    output = next(
        each for each in dashboard.dash.callback_map if "users-list-retry" in each and "user-" not in each
    )
    answer = admin.call(output, VIEW | {"user-wanted.data": data})
    assert words in answer.text
    assert everyone(store) == after


def test_a_guest_finds_no_such_page_and_reads_no_names(dashboard, guest, find_output):
    shown = guest.call(find_output(dashboard, "page.children"), VIEW | ROUTE)
    assert "Page not found" in shown.text
    assert guest.call("users-list-body.children", VIEW).status_code == 403
