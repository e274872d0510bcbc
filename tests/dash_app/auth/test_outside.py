"""People whom the host application or a proxy has signed in."""

from __future__ import annotations

import logging
from dataclasses import replace

import flask
import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.test import Client

from fmd_otel_dash.auth.outside import Outside, peer_of
from fmd_otel_dash.auth_settings import AuthSettings
from fmd_otel_dash.services import Services

HTML = {"Accept": "text/html"}
PROXY = AuthSettings(proxy_header="X-Forwarded-User", proxy_trusted=("10.0.0.0/8", "::1"))


@pytest.fixture
def browser(make_dashboard, visitor):
    def make(auth, **settings):
        return type(visitor)(make_dashboard(auth=auth, **settings))

    return make


def from_(peer, **headers):
    return {
        "environ_overrides": {"REMOTE_ADDR": peer},
        "headers": {name.replace("_", "-"): value for name, value in headers.items()},
    }


# The host application


@pytest.mark.parametrize(
    ("answer", "shown"),
    [("admin", "admin"), ("guest", "guest"), (("Zoe", "guest"), "Zoe"), (("Zoe", "admin"), "Zoe")],
)
def test_whom_the_application_knows_is_in(browser, answer, shown):
    one = browser(AuthSettings(hook=lambda _environ: answer))
    assert one.follow("/overview", headers=HTML).status_code == 200
    assert f"Signed in as {shown}" in one.follow("/_dash-layout").text


def boom(_environ):
    raise RuntimeError("no session store")


async def later(_environ):
    return "admin"


@pytest.mark.filterwarnings("ignore:coroutine")
@pytest.mark.parametrize(
    "hook",
    [boom, later, *(lambda _environ, answer=answer: answer for answer in (
        None, False, True, "", "root", "Admin", ("zoe", None), ("", "admin"), (None, "admin"),
        ("a", "b", "c"),
        ("x" * 300, "admin"), ("a\nb", "admin"), ["zoe", "admin"], 1, ("zoe", "root"), (("zoe",), "admin"),
    ))],
)  # fmt: skip
def test_whatever_else_the_application_says_lets_nobody_in(browser, hook):
    one = browser(AuthSettings(hook=hook))
    assert one.follow("/_dash-layout").status_code == 401
    answer = one.follow("/overview", headers=HTML)
    assert answer.status_code == 401
    assert "Traceback" not in answer.text
    assert "no session store" not in answer.text


def test_a_hook_that_fails_is_told_once(browser, caplog):
    one = browser(AuthSettings(hook=boom))
    for _ in range(3):
        one.follow("/_dash-layout")
    assert [record.getMessage() for record in caplog.records if "AUTH" in record.getMessage()] == [
        "AUTH failed, and lets nobody in: RuntimeError: no session store (said once)"
    ]


def test_strangers_go_to_the_applications_own_sign_in_page_and_back(browser):
    one = browser(AuthSettings(hook=lambda _environ: None, login_url="/login?from=apm"))
    answer = one.follow("/overview?from=now-3h", headers=HTML)
    assert answer.status_code == 302
    assert answer.headers["Location"] == "/login?from=apm&next=%2Fdashboard%2Foverview%3Ffrom%3Dnow-3h"
    ended = one.follow("/login?next=%2Foverview", headers=HTML)  # where the pages go when a session ends
    assert ended.headers["Location"] == "/login?from=apm&next=%2Fdashboard%2Foverview"


def test_the_hook_decides_alone(make_dashboard, admin, password):
    known = make_dashboard(auth=AuthSettings(hook=lambda _environ: None))
    other = type(admin)(known)
    token = admin.get_cookie("fmd_session", path="/dashboard").value
    other.set_cookie("fmd_session", token, path="/dashboard")
    assert other.follow("/_dash-layout").status_code == 401
    assert other.follow("/api/v1/endpoints").status_code == 401
    assert other.follow("/oidc/start").status_code == 401
    tried = other.post("/dashboard/login", data={"username": "ada", "password": password})
    assert tried.status_code == 401
    assert "Set-Cookie" not in tried.headers
    assert other.follow("/setup?token=x").status_code == 401


def test_the_role_of_the_hook_is_checked_as_any_other(browser, find_output):
    said = ["guest"]
    one = browser(AuthSettings(hook=lambda _environ: ("zoe", said[0])))
    output = find_output(one.dashboard, "level-set.data")
    wanted = {"level-wanted.data": {"id": 1, "level": 0}}
    assert one.call(output, wanted).status_code == 403
    said[0] = "admin"
    assert one.call(output, wanted).status_code != 403
    said[0] = "nobody"
    assert one.call(output, wanted).status_code == 401  # gone there, gone here, at the next request


def test_without_a_cookie_other_sites_are_refused_all_the_same(browser, find_output):
    for one, how in (
        (browser(AuthSettings(hook=lambda _environ: "admin")), {}),
        (browser(PROXY), from_("10.0.0.2", X_Forwarded_User="ada")),
    ):
        output = find_output(one.dashboard, "level-set.data")
        for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}):
            sent = {**how, "headers": {**how.get("headers", {}), **headers}}
            assert one.call(output, **sent).status_code == 403


def test_the_hook_sees_the_request_but_neither_its_body_nor_changes_it(browser, find_output):
    def hook(environ):
        assert environ["wsgi.input"].read() == b""
        assert flask.Request(environ).get_data() == b""
        seen.append(environ["HTTP_COOKIE"])
        environ.clear()
        return "admin"

    seen = []
    one = browser(AuthSettings(hook=hook))
    one.set_cookie("session", "of-the-app", path="/")
    view = {"view.data": {"path": "/dashboard/overview", "search": "", "serial": 0}}
    assert one.call(find_output(one.dashboard, "overview-kpis-body.children"), view).status_code == 200
    assert seen == ["session=of-the-app"]


def test_the_applications_own_session_answers(browser):
    app = flask.Flask("shop")
    app.secret_key = "a secret of the application"

    @app.get("/enter")
    def enter():
        flask.session["user"] = "zoe"
        return ""

    def hook(environ):
        with app.request_context(environ):
            return (flask.session["user"], "guest") if "user" in flask.session else None

    one = browser(AuthSettings(hook=hook))
    assert one.follow("/_dash-layout").status_code == 401
    shop = Client(app)
    shop.get("/enter")
    one.set_cookie("session", shop.get_cookie("session").value, path="/")
    assert "Signed in as zoe" in one.follow("/_dash-layout").text


# A proxy


def test_the_header_of_a_trusted_proxy_opens_the_pages_and_the_api(browser):
    one = browser(PROXY)
    how = from_("10.0.0.2", X_Forwarded_User="Zoë".encode().decode("latin-1"))
    assert "Signed in as Zoë" in str(one.follow("/_dash-layout", **how).json)
    assert one.follow("/api/v1/endpoints", **how).status_code == 200
    assert one.follow("/users", **how).status_code == 200
    assert one.follow("/_dash-layout").status_code == 401


@pytest.mark.parametrize("peer", ["10.0.0.1", "::1", "::ffff:10.0.0.1", "10.0.0.1 "])
def test_trusted_peers(peer):
    environ = {"REMOTE_ADDR": peer, "HTTP_X_FORWARDED_USER": "ada"}
    assert Outside(PROXY).user(environ).role == "guest"


@pytest.mark.parametrize("peer", ["11.0.0.1", "::2", "", "localhost", "unix", None, "::ffff:11.0.0.1", "0"])
def test_the_header_of_anybody_else_is_ignored_and_told_once(peer, caplog):
    outside = Outside(PROXY)
    environ = {"REMOTE_ADDR": peer, "HTTP_X_FORWARDED_USER": "ada"}
    assert outside.user(environ) is None
    assert outside.user(environ) is None
    assert len([record for record in caplog.records if "AUTH_PROXY_TRUSTED" in record.getMessage()]) == 1


@given(st.ip_addresses(), st.text(max_size=20))
def test_no_address_outside_of_the_networks_is_ever_trusted(address, name):
    user = Outside(PROXY).user({"REMOTE_ADDR": str(address), "HTTP_X_FORWARDED_USER": name})
    mapped = getattr(address, "ipv4_mapped", None) or address
    assert user is None or str(mapped).startswith("10.") or str(mapped) == "::1"


def test_a_unix_socket_is_trusted_only_by_name():
    environ = {"REMOTE_ADDR": "", "HTTP_X_FORWARDED_USER": "ada"}
    assert Outside(PROXY).user(environ) is None
    assert Outside(replace(PROXY, proxy_trusted=("unix",))).user(environ).name == "ada"


def test_behind_proxy_fix_it_is_the_connection_that_counts():
    seen = []

    def app(environ, start_response):
        seen.append((environ["REMOTE_ADDR"], peer_of(environ), Outside(PROXY).user(environ)))
        start_response("200 OK", [])
        return [b""]

    client = Client(ProxyFix(app, x_for=1))
    headers = {"X-Forwarded-For": "10.0.0.9", "X-Forwarded-User": "ada"}
    client.get("/", headers=headers, environ_overrides={"REMOTE_ADDR": "203.0.113.7"})  # claims to be inside
    client.get("/", headers=headers, environ_overrides={"REMOTE_ADDR": "10.0.0.2"})
    assert [(address, peer, user and user.name) for address, peer, user in seen] == [
        ("10.0.0.9", "203.0.113.7", None),
        ("10.0.0.9", "10.0.0.2", "ada"),
    ]


@pytest.mark.parametrize("name", ["", " ", "ada,eve", "a\x00b", "x" * 300, "\xff\xfe", "a\tb"])
def test_a_header_that_names_nobody_lets_nobody_in(name):
    assert Outside(PROXY).user({"REMOTE_ADDR": "10.0.0.1", "HTTP_X_FORWARDED_USER": name}) is None


@pytest.mark.parametrize(
    ("settings", "name", "groups", "role"),
    [
        ({}, "ada", None, "guest"),
        ({"admins": ("ada",)}, "ada", None, "admin"),
        ({"admins": ("ada",)}, "Ada", None, "guest"),
        ({"proxy_role_header": "X-Role"}, "bob", "admin", "admin"),
        ({"proxy_role_header": "X-Role"}, "bob", "guest", "guest"),
        ({"proxy_role_header": "X-Role"}, "bob", "guest,admin", "guest"),  # one role, or none
        ({"proxy_role_header": "X-Role"}, "bob", "administrator", "guest"),
        ({"proxy_role_header": "X-Role"}, "bob", None, "guest"),
        ({"proxy_role_header": "X-Role", "admin_groups": ("ops",)}, "bob", "dev, ops", "admin"),
        ({"proxy_role_header": "X-Role", "admin_groups": ("ops",)}, "bob", "admin", "guest"),
        ({"proxy_role_header": "X-Role", "guest_groups": ("dev",)}, "bob", "dev", "guest"),
        ({"proxy_role_header": "X-Role", "guest_groups": ("dev",)}, "bob", "sales", None),
        ({"proxy_role_header": "X-Role", "guest_groups": ("dev",)}, "bob", None, None),
        ({"proxy_role_header": "X-Role", "guest_groups": ("dev",), "admins": ("bob",)}, "bob", "", "admin"),
        ({"proxy_role_header": "X-Role", "guest_groups": ("*",)}, "bob", "", "guest"),
        ({"admin_groups": ("ops",)}, "bob", "ops", "guest"),  # no header of groups was named
    ],
)
def test_roles_of_those_who_come_through_a_proxy(settings, name, groups, role):
    environ = {"REMOTE_ADDR": "10.0.0.1", "HTTP_X_FORWARDED_USER": name}
    if groups is not None:
        environ["HTTP_X_ROLE"] = groups
    user = Outside(replace(PROXY, **settings)).user(environ)
    assert (user and user.role) == role


def test_without_the_header_a_session_still_counts(make_dashboard, admin):
    other = type(admin)(make_dashboard(auth=PROXY))
    token = admin.get_cookie("fmd_session", path="/dashboard").value
    other.set_cookie("fmd_session", token, path="/dashboard")
    assert "Signed in as ada" in other.follow("/_dash-layout").text
    how = from_("10.0.0.2", X_Forwarded_User="zoe")
    assert "Signed in as zoe" in other.follow("/_dash-layout", **how).text


# Both


def test_they_have_no_password_here(browser, find_output):
    one = browser(PROXY)
    how = from_("10.0.0.2", X_Forwarded_User="ada")  # of the same name as a user of ours
    layout = str(one.follow("/_dash-layout", **how).json)
    assert "fmd-user-menu" in layout
    assert "/dashboard/account" not in layout
    assert "/dashboard/logout" not in layout
    values = {
        "account-change.n_clicks": 1,
        "account-old.value": "x",
        "account-new.value": "a new password",
        "account-again.value": "a new password",
    }
    answer = one.call(find_output(one.dashboard, "account-problem.children"), values, **how)
    assert "keeps your password" in answer.text


def test_signing_out_leads_to_whoever_signed_them_in(browser):
    how = from_("10.0.0.2", X_Forwarded_User="zoe")
    one = browser(replace(PROXY, logout_url="https://sso.example.com/logout"))
    assert "https://sso.example.com/logout" in str(one.follow("/_dash-layout", **how).json)
    answer = one.follow("/logout", **how)
    assert (answer.status_code, answer.headers["Location"]) == (302, "https://sso.example.com/logout")
    how["headers"] |= HTML
    assert "Sign out there" in browser(PROXY).follow("/logout", **how).text


def test_no_set_up_link_where_somebody_else_says_who_is_who(store, make_dashboard, caplog):
    caplog.set_level(logging.WARNING)
    settings = make_dashboard(auth=PROXY).services.settings
    told = []
    assert Services(settings, store=store, announce=told.append).store is store
    assert told == []
    assert Services(replace(settings, auth=AuthSettings()), store=store, announce=told.append).store is store
    assert len(told) == 1


def test_the_api_tells_them_apart_from_users_of_the_table(browser):
    one = browser(AuthSettings(hook=lambda _environ: ("7", "guest")))
    assert one.follow("/api/v1/endpoints").status_code == 200
