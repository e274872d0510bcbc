from __future__ import annotations

import re
import threading

import pytest
from sqlalchemy import func, select

from fmd_otel_dash.auth import gate, passwords, throttle, users
from fmd_otel_dash.auth.outside import Outside
from fmd_otel_dash.auth_settings import AuthSettings


def form_token(page):
    return re.search(r'name="form_token" value="([^"]+)"', page.text).group(1)


def send(visitor, username, password, *, wanted="/", **kwargs):
    token = form_token(visitor.follow("/login"))
    fields = {"form_token": token, "username": username, "password": password, "next": wanted}
    return visitor.post("/dashboard/login", data=fields, **kwargs)


def attempts(store):
    with store.read() as connection:
        return connection.scalar(select(func.count()).select_from(store.tables.login_attempt))


def test_the_right_password_opens_the_page_that_was_asked_for(visitor, password):
    answer = send(visitor, "ada", password, wanted="/hourly_load?from=now-7d&to=now")
    assert answer.status_code == 303
    assert answer.headers["Location"] == "/dashboard/hourly_load?from=now-7d&to=now"
    assert visitor.follow("/overview").status_code == 200


def test_the_cookie_is_out_of_reach_of_scripts_other_sites_and_the_rest_of_the_app(visitor, password):
    cookie = next(
        c for c in send(visitor, "ada", password).headers.getlist("Set-Cookie") if "fmd_session" in c
    )
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Path=/dashboard" in cookie
    assert "Secure" not in cookie


@pytest.mark.parametrize(
    "how", [{"base_url": "https://localhost"}, {"headers": {"X-Forwarded-Proto": "https"}}]
)
def test_over_tls_the_cookie_stays_on_tls(visitor, password, how):
    answer = send(visitor, "ada", password, **how)
    cookies = answer.headers.getlist("Set-Cookie")
    # The form's own cookie was set over plain http by the first request of this test.
    assert answer.status_code in {303, 400}
    assert all("Secure" in cookie for cookie in cookies if "fmd_session" in cookie)


@pytest.mark.parametrize(
    ("name", "secret"), [("ada", "wrong"), ("nobody", "wrong"), ("ada", ""), ("", ""), ("ada", "x" * 5000)]
)
def test_a_failure_says_so_and_not_why(visitor, name, secret):
    answer = send(visitor, name, secret)
    assert answer.status_code == 401
    assert "do not match" in answer.text
    assert "fmd_session" not in str(answer.headers)


def test_what_was_typed_comes_back_harmless(visitor):
    answer = send(visitor, '"><script>alert(1)</script>', "x", wanted='/"><script>')
    assert "<script>alert" not in answer.text


def test_a_form_without_its_token_is_refused(visitor, password):
    answer = visitor.post("/dashboard/login", data={"username": "ada", "password": password})
    assert answer.status_code == 400
    assert "send it again" in answer.text


def test_a_form_with_the_token_of_another_browser_is_refused(dashboard, visitor, password):
    other = type(visitor)(dashboard)
    token = form_token(other.follow("/login"))
    visitor.follow("/login")
    fields = {"form_token": token, "username": "ada", "password": password}
    assert visitor.post("/dashboard/login", data=fields).status_code == 400


def test_the_sixth_failure_has_to_wait(visitor, password):
    for _ in range(throttle.PER_CLIENT):
        assert send(visitor, "ada", "wrong").status_code == 401
    answer = send(visitor, "ada", password)
    assert answer.status_code == 429
    assert 0 < int(answer.headers["Retry-After"]) <= throttle.WINDOW_S
    assert "Try again in" in answer.text


def test_another_client_is_not_held_up(visitor, password):
    for _ in range(throttle.PER_CLIENT + 1):
        send(visitor, "mallory", "wrong", environ_overrides={"REMOTE_ADDR": "203.0.113.9"})
    answer = send(visitor, "ada", password, environ_overrides={"REMOTE_ADDR": "203.0.113.10"})
    assert answer.status_code == 303


def test_one_user_guessed_from_many_addresses_is_protected(visitor):
    codes = [
        send(visitor, "ada", "wrong", environ_overrides={"REMOTE_ADDR": f"203.0.113.{i}"}).status_code
        for i in range(throttle.PER_USER + 1)
    ]
    assert codes == [401] * throttle.PER_USER + [429]


def test_success_forgets_the_failures(visitor, store, password):
    for _ in range(throttle.PER_CLIENT - 1):
        send(visitor, "ada", "wrong")
    assert send(visitor, "ada", password).status_code == 303
    assert attempts(store) == 0


def test_attempts_at_the_same_moment_do_not_slip_through(dashboard, store, visitor, monkeypatch):
    started = threading.Barrier(8)
    codes = []

    def guess():
        one = type(visitor)(dashboard)
        token = form_token(one.follow("/login"))
        fields = {"form_token": token, "username": "ada", "password": "wrong"}
        started.wait(60)
        codes.append(one.post("/dashboard/login", data=fields).status_code)

    threads = [threading.Thread(target=guess) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(codes) == [401] * throttle.PER_CLIENT + [429] * 3


def test_old_attempts_are_forgotten_and_the_table_stays_small(store, monkeypatch):
    monkeypatch.setattr(throttle, "_MAX_ROWS", 20)
    for i in range(40):
        throttle.attempt(store, f"client:{i}", f"user:{i}")
    assert attempts(store) <= 22
    clock = throttle.time.time_ns() + (throttle.WINDOW_S + 1) * 10**9
    monkeypatch.setattr(throttle.time, "time_ns", lambda: clock)
    assert throttle.attempt(store, "client:new", "user:new").allowed
    assert attempts(store) == 2


def test_two_attempts_in_one_microsecond_are_two(store, monkeypatch):
    monkeypatch.setattr(throttle.time, "time_ns", lambda: 1_700_000_000_000_000_000)
    assert all(throttle.attempt(store, "client:a", "user:a").allowed for _ in range(5))
    assert not throttle.attempt(store, "client:a", "user:a").allowed


@pytest.mark.parametrize(
    ("trusted", "peer", "forwarded", "client"),
    [
        (("127.0.0.1",), "8.8.4.4", "198.51.100.1", "8.8.4.4"),  # anybody can send the header
        ((), "127.0.0.1", "198.51.100.1", "127.0.0.1"),  # also from nearby
        (("127.0.0.1",), "10.0.0.2", "198.51.100.1", "10.0.0.2"),
        (("127.0.0.1",), "127.0.0.1", "198.51.100.1", "198.51.100.1"),
        (("10.0.0.0/8",), "10.0.0.2", "6.6.6.6, 198.51.100.1", "198.51.100.1"),
        (("127.0.0.1",), "127.0.0.1", "rubbish", "127.0.0.1"),
        (("127.0.0.1",), "127.0.0.1", None, "127.0.0.1"),
        (("unix",), "", "198.51.100.1", "198.51.100.1"),
        (("127.0.0.1",), "", "198.51.100.1", "unknown"),
        ((), None, None, "unknown"),
    ],
)
def test_a_client_is_who_a_trusted_proxy_says(trusted, peer, forwarded, client):
    environ = {"REMOTE_ADDR": peer, "HTTP_X_FORWARDED_FOR": forwarded}
    assert Outside(AuthSettings(proxy_trusted=trusted)).client(environ) == client


def test_where_proxyfix_is_at_work_it_is_asked_no_second_time():
    environ = {
        "REMOTE_ADDR": "127.0.0.1",  # a client on this machine, who writes what they like
        "HTTP_X_FORWARDED_FOR": "198.51.100.1",
        "werkzeug.proxy_fix.orig": {"REMOTE_ADDR": "10.0.0.2"},
    }
    assert Outside(AuthSettings(proxy_trusted=("127.0.0.1",))).client(environ) == "127.0.0.1"


def test_a_header_that_changes_with_each_guess_changes_nothing(visitor):
    codes = [
        send(visitor, "ada", "wrong", headers={"X-Forwarded-For": f"198.51.100.{i}"}).status_code
        for i in range(throttle.PER_CLIENT + 1)
    ]
    assert codes == [401] * throttle.PER_CLIENT + [429]


def test_names_that_were_tried_are_not_kept_readable(store, visitor):
    send(visitor, "my-secret-typed-into-the-wrong-field", "x")
    with store.read() as connection:
        rows = connection.execute(store.tables.login_attempt.select()).all()
    assert not any("my-secret" in str(row) for row in rows)


@pytest.mark.parametrize(
    "wanted",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil",
        "javascript:alert(1)",
        "/\tx",
        "/x\n",
        "/login",
        "/logout",
        "x" * 3000,
        "",
        None,
    ],
)
def test_nobody_is_sent_elsewhere_after_signing_in(wanted):
    assert gate.safe_next(wanted) == "/"


def test_signing_out_ends_the_session_on_the_server(admin):
    token = admin.get_cookie("fmd_session", path="/dashboard").value
    csrf = re.search(r'name="csrf" value="([^"]+)"', admin.follow("/logout").text).group(1)
    assert admin.follow("/overview").status_code == 200  # the link alone did nothing
    assert admin.post("/dashboard/logout", data={"csrf": csrf}).status_code == 302
    admin.set_cookie("fmd_session", token, path="/dashboard")
    assert admin.follow("/_dash-layout").status_code == 401


@pytest.mark.parametrize("csrf", ["", "x", "0" * 64])
def test_signing_out_needs_the_sessions_own_form(admin, csrf):
    assert admin.post("/dashboard/logout", data={"csrf": csrf}).status_code == 403
    assert admin.follow("/overview").status_code == 200


def test_switches_shape_the_page(make_dashboard, add_user, visitor):
    made = make_dashboard(
        brand_name="Acme <APM>",
        title_name="Acme & Co",
        description="Ours",
        show_login_banner=True,
        show_login_footer=False,
    )
    page = type(visitor)(made).follow("/login").text
    assert "Acme &lt;APM&gt;" in page
    assert "<title>Sign in · Acme &amp; Co</title>" in page
    assert "Ours" in page
    assert "<footer>" not in page
    bare = make_dashboard(show_login_banner=False)
    assert "Automatically monitor" not in type(visitor)(bare).follow("/login").text


def test_a_password_that_cannot_be_used_is_told_in_words(store):
    for secret, words in (
        ("short", "at least 8"),
        ("x" * 2000, "longer than"),
        ("adalovelace", "must differ"),
    ):
        with pytest.raises(users.UserError, match=words):
            users.create(store, "adalovelace", secret, "guest")


def test_the_last_admin_can_neither_go_nor_be_demoted(store, add_user):
    ada = add_user("ada", "admin")
    with pytest.raises(users.UserError, match="last admin"):
        users.remove(store, ada.id)
    with pytest.raises(users.UserError, match="last admin"):
        users.set_role(store, ada.id, "guest")
    assert [user.name for user in users.everyone(store)] == ["ada"]


def test_a_new_password_ends_all_sessions(guest, store):
    bob = next(user for user in users.everyone(store) if user.name == "bob")
    users.set_password(store, bob.id, "another password")
    assert guest.follow("/_dash-layout").status_code == 401


def test_demotion_works_at_the_next_request(dashboard, store, add_user, sign_in, find_output):
    eve = add_user("eve", "admin")
    visitor = sign_in("eve")
    output = find_output(dashboard, "level-set.data")
    users.set_role(store, eve.id, "guest")
    assert visitor.call(output, {"level-wanted.data": {"id": 1, "level": 0}}).status_code == 403


def test_a_password_is_stored_as_a_slow_hash(store):
    user = users.create(store, "zoe", "a decent password", "guest")
    with store.read() as connection:
        found = users.find(connection, store.tables, "zoe")
    assert found.password_hash.startswith("scrypt:32768:8:1$")
    assert passwords.matches(found.password_hash, "a decent password")
    assert not passwords.matches(None, "a decent password")
    assert user.role == "guest"
