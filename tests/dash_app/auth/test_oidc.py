"""Signing in through an OpenID Connect provider, a real one that serves beside the test."""

from __future__ import annotations

import base64
import importlib.util
import json
import logging
import re
import sys
import time
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from urllib.request import HTTPRedirectHandler, build_opener

import pytest

from fmd_otel_dash.auth import oidc, users
from fmd_otel_dash.auth.oidc import WELL_KNOWN
from fmd_otel_dash.auth_settings import AuthSettings, OidcSettings
from fmd_otel_exporter.errors import SettingsError


def neighbour(name):
    """Import a module of this folder, which is no package."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


idp = neighbour("provider")
OPS = {"groups": ["dev", "ops"], "preferred_username": "zoe"}


@pytest.fixture
def provider(monkeypatch):
    monkeypatch.setattr(oidc, "_TIMEOUT_S", 60)  # it serves from this very process, which may be busy
    made = idp.Provider()
    yield made
    made.close()


@pytest.fixture
def settings(provider):
    return AuthSettings(
        oidc=OidcSettings(provider.issuer + WELL_KNOWN, idp.CLIENT_ID, idp.CLIENT_SECRET),
        admin_groups=("ops",),
        guest_groups=("dev",),
    )


@pytest.fixture
def browser(make_dashboard, visitor, settings):
    return type(visitor)(make_dashboard(auth=settings))


class Stay(HTTPRedirectHandler):
    def redirect_request(self, *_args):
        return None


def away(address):
    """Visit the provider as a browser does, and return where it sends one."""
    try:
        build_opener(Stay).open(address, timeout=60)
    except OSError as answer:
        return str(answer.headers["Location"])
    raise AssertionError("not sent on")


def there_and_back(browser, *, change=None, wanted=""):
    started = browser.follow("/oidc/start" + (f"?next={wanted}" if wanted else ""))
    assert started.status_code == 302
    back = away(started.headers["Location"])
    parts = urlsplit(back)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    if change:
        change(query)
    return browser.get(parts.path, query_string=query)


def shown(browser):
    return str(browser.follow("/_dash-layout").json)


def test_the_groups_of_the_token_give_the_role(browser, provider, store):
    provider.claims = OPS
    answer = there_and_back(browser, wanted="/overview%3Ffrom%3Dnow-3h")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/dashboard/overview?from=now-3h")
    assert "Signed in as zoe" in shown(browser)
    assert browser.follow("/api/v1/endpoints").status_code == 200
    zoe = next(user for user in users.everyone(store) if user.name == "zoe")
    assert (zoe.role, zoe.way) == ("admin", "oidc")
    provider.claims = {**OPS, "groups": "dev"}
    assert there_and_back(browser).status_code == 303
    assert next(user for user in users.everyone(store) if user.name == "zoe").role == "guest"
    assert browser.get_cookie("fmd_oidc", path="/dashboard/oidc") is None


def test_the_request_to_the_provider_is_tied_to_the_browser(browser):
    started = browser.follow("/oidc/start")
    asked = parse_qs(urlsplit(started.headers["Location"]).query)
    assert asked["redirect_uri"] == ["http://localhost/dashboard/oidc/callback"]
    assert asked["code_challenge_method"] == ["S256"]
    assert len(asked["state"][0]) >= 40
    assert len(asked["nonce"][0]) >= 40
    assert idp.CLIENT_SECRET not in started.headers["Location"]
    cookie = started.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Path=/dashboard/oidc" in cookie


def refused(browser, caplog, status=400, **kwargs):
    caplog.set_level(logging.WARNING)
    answer = there_and_back(browser, **kwargs)
    assert answer.status_code == status
    assert "fmd_session" not in str(answer.headers)
    assert browser.follow("/_dash-layout").status_code == 401
    return caplog.text


@pytest.mark.parametrize("state", ["", "x", None])
def test_a_wrong_state_is_refused(browser, provider, caplog, state):
    provider.claims = OPS

    def change(query):
        del query["state"]
        if state is not None:
            query["state"] = state

    assert "the state is not the one" in refused(browser, caplog, change=change)
    assert "/realm/token" not in provider.calls


def test_an_answer_to_another_browser_is_refused(browser, provider, caplog, make_dashboard, settings):
    provider.claims = OPS
    back = urlsplit(away(browser.follow("/oidc/start").headers["Location"]))
    victim = type(browser)(make_dashboard(auth=settings))
    assert victim.get(back.path, query_string=back.query).status_code == 400
    assert "began no sign-in" in caplog.text
    victim.follow("/oidc/start")
    assert victim.get(back.path, query_string=back.query).status_code == 400
    assert "the state is not the one" in caplog.text


def test_an_answer_is_good_for_once(browser, provider, caplog):
    provider.claims = OPS
    back = urlsplit(away(browser.follow("/oidc/start").headers["Location"]))
    flow = browser.get_cookie("fmd_oidc", path="/dashboard/oidc").value
    assert browser.get(back.path, query_string=back.query).status_code == 303
    assert browser.get(back.path, query_string=back.query).status_code == 400
    browser.set_cookie("fmd_oidc", flow, path="/dashboard/oidc")  # whoever has kept both
    assert browser.get(back.path, query_string=back.query).status_code == 400


def test_a_sign_in_that_took_too_long_is_refused(browser, provider, caplog, monkeypatch):
    provider.claims = OPS
    monkeypatch.setattr(oidc, "FLOW_LIFETIME_S", -1)
    assert "began no sign-in" in refused(browser, caplog)


@pytest.mark.parametrize(
    ("claims", "said"),
    [
        ({"nonce": "another"}, "nonce"),
        ({"nonce": None}, "nonce"),
        ({"exp": 1}, "Expired"),
        ({"exp": None}, "exp"),
        ({"iat": int(time.time()) + 3600}, "in the future"),
        ({"iss": "https://evil.example"}, "iss"),
        ({"iss": None}, "iss"),
        ({"aud": "another client"}, "aud"),
        ({"aud": None}, "aud"),
        ({"azp": "another client"}, "azp"),
        ({"sub": None}, "sub"),
        ({"at_hash": "x"}, "at_hash"),
    ],
)
def test_a_token_that_is_not_for_this_sign_in_is_refused(browser, provider, caplog, claims, said):
    provider.claims = {**OPS, **claims}
    assert said in refused(browser, caplog)


def test_a_token_signed_by_somebody_else_is_refused(browser, provider, caplog):
    provider.claims, provider.sign_with = OPS, idp.other_key()
    assert "BadSignature" in refused(browser, caplog)


def test_a_token_signed_with_the_shared_secret_is_refused(browser, provider, caplog):
    provider.claims, provider.sign_with, provider.header = (
        OPS,
        idp.shared_key(),
        {"alg": "HS256", "kid": "one"},
    )
    assert "not accepted" in refused(browser, caplog)


@pytest.mark.parametrize("alg", ["none", "None", "HS256", "RS256"])
def test_a_token_without_a_signature_is_refused(browser, provider, caplog, alg):
    now = int(time.time())
    claims = {"iss": provider.issuer, "aud": idp.CLIENT_ID, "sub": "1", "iat": now, "exp": now + 60, **OPS}

    def part(value):
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    provider.raw = f"{part({'alg': alg, 'kid': 'one'})}.{part(claims)}."
    assert "not accepted" in refused(browser, caplog)


@pytest.mark.parametrize("groups", [None, [], ["sales"], "sales", {"ops": 1}, [["ops"]], 7])
def test_who_is_in_no_group_is_told_so_and_stays_out(browser, provider, caplog, store, groups):
    provider.claims = {**OPS, "groups": groups, "email": "ops", "name": "ops"}
    refused(browser, caplog, 403)
    assert not [user for user in users.everyone(store) if user.way == "oidc"]


def test_who_has_left_the_group_loses_the_sessions_of_before(browser, provider, make_dashboard, settings):
    provider.claims = OPS
    there_and_back(browser)
    elsewhere = type(browser)(make_dashboard(auth=settings))
    provider.claims = {**OPS, "groups": []}
    assert there_and_back(elsewhere).status_code == 403
    assert browser.follow("/_dash-layout").status_code == 401


def test_whom_an_admin_removes_is_out_at_once_and_their_sessions_are_short(browser, provider, store):
    provider.claims = OPS
    there_and_back(browser)
    with store.read() as connection:
        lasts = connection.execute(store.tables.session.select()).one()
    assert lasts.expires_ts - lasts.created_ts == users.OUTSIDER_LIFETIME_S * 1_000_000
    zoe = next(user for user in users.everyone(store) if user.way == "oidc")
    users.remove(store, zoe.id)
    assert browser.follow("/_dash-layout").status_code == 401


def test_without_the_provider_in_the_settings_its_sessions_end(browser, provider, make_dashboard):
    provider.claims = OPS
    there_and_back(browser)
    later = type(browser)(make_dashboard())
    token = browser.get_cookie("fmd_session", path="/dashboard").value
    later.set_cookie("fmd_session", token, path="/dashboard")
    assert later.follow("/_dash-layout").status_code == 401
    assert (
        later.follow("/oidc/start", headers={"Accept": "text/html"})
        .headers["Location"]
        .startswith("/dashboard/login")
    )


@pytest.mark.parametrize(
    ("claims", "role"),
    [
        ({"sub": "4711"}, "admin"),
        ({"sub": "1", "email": "zoe@example.com", "email_verified": True}, "admin"),
        ({"sub": "1", "email": "zoe@example.com"}, "guest"),
        ({"sub": "1", "email": "zoe@example.com", "email_verified": "true"}, "guest"),
        ({"sub": "1", "preferred_username": "4711", "name": "zoe@example.com"}, "guest"),
    ],
)
def test_a_name_that_people_choose_themselves_makes_no_admin(
    provider, settings, make_dashboard, visitor, store, claims, role
):
    listed = replace(settings, admins=("4711", "zoe@example.com"), admin_groups=(), guest_groups=("*",))
    provider.claims = claims
    there_and_back(type(visitor)(make_dashboard(auth=listed)))
    assert [user.role for user in users.everyone(store) if user.way == "oidc"] == [role]


def test_a_namesake_takes_over_nobodys_account(browser, provider, store, password):
    provider.claims = {**OPS, "groups": ["dev"], "preferred_username": "ada"}  # an admin with a password here
    there_and_back(browser)
    there_and_back(browser)
    found = {user.name: (user.role, user.way) for user in users.everyone(store)}
    assert found.pop("ada") == ("admin", "password")
    assert found.pop("bob") == ("guest", "password")
    ((name, what),) = found.items()
    assert re.fullmatch(r"ada \([0-9a-f]{8}\)", name)
    assert what == ("guest", "oidc")


def test_they_have_no_password_here_and_their_role_is_not_ours_to_change(browser, provider, store):
    provider.claims = OPS
    there_and_back(browser)
    assert "/dashboard/account" not in shown(browser)
    zoe = next(user for user in users.everyone(store) if user.way == "oidc")
    for change in (lambda: users.set_password(store, zoe.id, "a password of ours"),
                   lambda: users.set_role(store, zoe.id, "guest")):  # fmt: skip
        with pytest.raises(users.UserError, match="identity provider"):
            change()
    form = re.search(r'name="form_token" value="([^"]+)"', browser.follow("/logout").text)
    assert form is None
    stranger = type(browser)(browser.dashboard)
    page = stranger.follow("/login").text
    token = re.search(r'name="form_token" value="([^"]+)"', page).group(1)
    with store.read() as connection:
        kept = users.find(connection, store.tables, "zoe").password_hash
    for guess in ("", kept, kept.partition(":")[2]):
        fields = {"form_token": token, "username": "zoe", "password": guess}
        assert stranger.post("/dashboard/login", data=fields).status_code == 401


def test_signing_out_ends_the_session_and_does_not_sign_in_again(browser, provider):
    provider.claims = OPS
    there_and_back(browser)
    csrf = re.search(r'name="csrf" value="([^"]+)"', browser.follow("/logout").text).group(1)
    answer = browser.post("/dashboard/logout", data={"csrf": csrf})
    assert answer.headers["Location"] == "/dashboard/login"
    page = browser.follow("/login")
    assert page.status_code == 200
    assert 'href="/dashboard/oidc/start?next=' in page.text


def test_a_provider_that_refuses_or_is_another_is_told_in_the_log_only(browser, provider, caplog):
    provider.answer = {"error": "access_denied", "error_description": "<script>"}
    assert "access_denied" in refused(browser, caplog)
    provider.answer = {"iss": "https://evil.example"}
    assert "another provider" in refused(browser, caplog)


def test_a_provider_that_is_away_or_lies_about_itself_is_said_on_the_page(browser, provider, caplog):
    provider.issuer_said = "https://evil.example"
    for _ in range(3):
        answer = browser.follow("/oidc/start")
        assert answer.status_code == 503
        assert "cannot be reached" in answer.text
    assert "another issuer" in caplog.text
    assert len(provider.calls) == 1  # not asked by every visitor


def test_addresses_that_anybody_between_could_answer_for_are_refused():
    for address in (
        "http://sso.example.com/x",
        "ftp://sso.example.com",
        "//sso",
        "https:",
        "http://localhost.evil/",
    ):
        if address != "https:":
            with pytest.raises(oidc.OidcError):
                oidc._safe(address)
    assert oidc._safe("https://sso.example.com/x")


def test_only_single_sign_on_is_offered_where_nobody_has_a_password(make_dashboard, settings, store, visitor):
    with store.write() as connection:
        connection.execute(store.tables.user.delete())
    page = type(visitor)(make_dashboard(auth=settings)).follow("/login").text
    assert "Single sign-on" in page
    assert "<form" not in page
    assert "set-up link" not in page


def test_a_missing_extra_is_told_with_what_to_install(make_dashboard, settings, monkeypatch):
    known = oidc.find_spec
    monkeypatch.setattr(oidc, "find_spec", lambda name: None if name == "authlib" else known(name))
    with pytest.raises(SettingsError, match=r"needs authlib; install with: pip install 'fmd-otel\[oidc\]'"):
        make_dashboard(auth=settings)


def test_the_client_secret_is_in_no_repr(settings):
    assert idp.CLIENT_SECRET not in repr(settings)
