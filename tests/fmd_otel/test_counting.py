"""Every request is counted exactly once, under its endpoint and with its real status."""

from __future__ import annotations

from http import HTTPStatus

import pytest
from flask import Blueprint, Flask, abort, redirect, request, session
from flask.sessions import SessionInterface


def test_a_route_added_after_attaching_is_counted(app, watch):
    watched = watch(app)

    @app.route("/late")
    def late():
        return "late"

    app.test_client().get("/late")
    assert watched.sink.only.endpoint == "late"
    assert watched.sink.only.route == "/late"


def test_an_endpoint_with_many_rules_is_counted_once_per_request(app, watch):
    @app.route("/a")
    @app.route("/b")
    @app.route("/c")
    def many():
        return "x"

    watched = watch(app)
    client = app.test_client()
    client.get("/a")
    client.get("/b")
    assert [(record.endpoint, record.route) for record in watched.sink.records] == [
        ("many", "/a"),
        ("many", "/b"),
    ]


def test_blueprints_and_nested_blueprints_give_qualified_endpoints(app, watch):
    outer = Blueprint("outer", __name__, url_prefix="/outer")
    inner = Blueprint("inner", __name__, url_prefix="/inner")
    outer.add_url_rule("/", "home", lambda: "home")
    inner.add_url_rule("/", "view", lambda: "view")
    outer.register_blueprint(inner)
    app.register_blueprint(outer)
    watched = watch(app)
    client = app.test_client()
    client.get("/outer/")
    client.get("/outer/inner/")
    assert [(record.endpoint, record.blueprint) for record in watched.sink.records] == [
        ("outer.home", "outer"),
        ("outer.inner.view", "outer.inner"),
    ]
    assert watched.span().attributes["fmd.blueprint"] == "outer.inner"


def test_static_files_are_counted(tmp_path, watch):
    (tmp_path / "a.txt").write_text("text")
    app = Flask("shop", static_folder=str(tmp_path), static_url_path="/static")
    watched = watch(app)
    assert app.test_client().get("/static/a.txt").data == b"text"
    assert app.test_client().get("/static/missing.txt").status_code == 404
    assert [(record.endpoint, record.status) for record in watched.sink.records] == [
        ("static", 200),
        ("static", 404),
    ]


@pytest.mark.parametrize(
    ("value", "status"),
    [
        ("text", 200),
        (("text", {"X-A": "1"}), 200),
        (("text", 201, {"X-A": "1"}), 201),
        (("text", HTTPStatus.CREATED), 201),
        (("text", "201 CREATED"), 201),
        ({"a": 1}, 200),
        (("", 204), 204),
        (("text", 599), 599),
    ],
)
def test_the_status_is_the_one_that_was_sent(app, watch, value, status):
    app.add_url_rule("/x", "x", lambda: value)
    watched = watch(app)
    response = app.test_client().get("/x")
    assert response.status_code == status
    assert watched.sink.only.status == status


def test_an_error_handler_decides_on_the_status(app, watch):
    @app.errorhandler(ValueError)
    def handle(_error):
        return "unprocessable", 422

    @app.route("/x")
    def x():
        raise ValueError

    watched = watch(app)
    app.test_client().get("/x")
    assert watched.sink.only.status == 422


def test_abort_gives_its_own_status(app, watch):
    app.add_url_rule("/gone", "gone", lambda: abort(410))
    app.add_url_rule("/teapot", "teapot", lambda: abort(418))
    watched = watch(app)
    client = app.test_client()
    client.get("/gone")
    client.get("/teapot")
    assert [record.status for record in watched.sink.records] == [410, 418]


def test_an_unhandled_exception_is_a_500(app, watch):
    @app.route("/x")
    def x():
        raise RuntimeError("boom")

    watched = watch(app)
    assert app.test_client().get("/x").status_code == 500
    assert (watched.sink.only.endpoint, watched.sink.only.status) == ("x", 500)


def test_a_response_changed_by_after_request_counts_as_it_was_sent(app, watch):
    @app.after_request
    def change(response):
        response.status_code = 202
        return response

    watched = watch(app)
    app.test_client().get("/")
    assert watched.sink.only.status == 202


def test_head_and_options_are_counted_with_their_method(app, watch):
    watched = watch(app)
    client = app.test_client()
    client.head("/")
    client.options("/")
    assert [(record.endpoint, record.method, record.status) for record in watched.sink.records] == [
        ("index", "HEAD", 200),
        ("index", "OPTIONS", 200),
    ]


def test_a_404_without_route_is_counted_once(app, watch):
    watched = watch(app)
    for path in ("/nope", "/nope/other", "/wp-login.php"):
        app.test_client().get(path)
    assert [(r.endpoint, r.route, r.status) for r in watched.sink.records] == [
        ("unmatched:4xx", None, 404)
    ] * 3


def test_a_405_is_counted_as_unmatched(app, watch):
    watched = watch(app)
    app.test_client().post("/")
    assert (watched.sink.only.endpoint, watched.sink.only.status) == ("unmatched:4xx", 405)


def test_a_404_raised_by_a_view_stays_with_its_endpoint(app, watch):
    app.add_url_rule("/item/<int:number>", "item", lambda number: abort(404, number))
    watched = watch(app)
    app.test_client().get("/item/7")
    assert (watched.sink.only.endpoint, watched.sink.only.route) == ("item", "/item/<int:number>")


def test_a_redirect_to_the_trailing_slash_is_unmatched(app, watch):
    app.add_url_rule("/folder/", "folder", lambda: "x")
    watched = watch(app)
    app.test_client().get("/folder")
    assert watched.sink.only.endpoint == "unmatched:3xx"


def test_followed_redirects_are_requests_of_their_own(app, watch):
    app.add_url_rule("/old", "old", lambda: redirect("/"))
    watched = watch(app)
    app.test_client().get("/old", follow_redirects=True)
    assert [record.endpoint for record in watched.sink.records] == ["old", "index"]


def test_a_login_check_that_answers_before_us_has_its_span_and_its_endpoint(app, watch):
    @app.before_request
    def check():
        return "who are you?", 401

    watched = watch(app)
    app.test_client().get("/")
    assert (watched.sink.only.endpoint, watched.sink.only.status) == ("index", 401)
    assert watched.span().attributes["fmd.endpoint"] == "index"
    assert watched.sink.only.span_id == watched.span().context.span_id.to_bytes(8, "big")


def test_made_up_methods_do_not_multiply(app, watch, serve):
    watched = watch(app)
    for number in range(5):
        serve(app, "/", f"MADEUP{number}")
    assert {record.method for record in watched.sink.records} == {"_OTHER"}


def test_a_method_that_a_route_accepts_keeps_its_name(app, watch, serve):
    app.add_url_rule("/cache", "cache", lambda: "x", methods=["PURGE"])
    watched = watch(app)
    serve(app, "/cache", "PURGE")
    assert watched.sink.only.method == "PURGE"


def test_an_overridden_method_counts_as_what_the_application_saw(app, watch, serve):
    app.add_url_rule("/item", "item", lambda: request.method, methods=["DELETE"])
    inner = app.wsgi_app

    def override(environ, start_response):
        environ["REQUEST_METHOD"] = environ.get("HTTP_X_HTTP_METHOD_OVERRIDE", environ["REQUEST_METHOD"])
        return inner(environ, start_response)

    app.wsgi_app = override
    watched = watch(app)
    assert serve(app, "/item", "POST", HTTP_X_HTTP_METHOD_OVERRIDE="DELETE").body == b"DELETE"
    assert watched.sink.only.method == "DELETE"


def test_lambdas_and_decorated_callables_are_endpoints_like_others(app, watch):
    class View:
        def __call__(self):
            return "called"

    app.add_url_rule("/lambda", "short", lambda: "x")
    app.add_url_rule("/object", "object", View())
    watched = watch(app)
    app.test_client().get("/lambda")
    app.test_client().get("/object")
    assert [record.endpoint for record in watched.sink.records] == ["short", "object"]


def test_async_views_work_and_are_counted(app, watch):
    @app.route("/async")
    async def later():
        return "later", 202

    watched = watch(app)
    assert app.test_client().get("/async").data == b"later"
    assert (watched.sink.only.endpoint, watched.sink.only.status) == ("later", 202)


def test_an_async_before_request_works(app, watch):
    @app.before_request
    async def check():
        return ("no", 403) if request.args.get("deny") else None

    watched = watch(app)
    app.test_client().get("/?deny=1")
    app.test_client().get("/")
    assert [record.status for record in watched.sink.records] == [403, 200]


def test_unicode_paths_are_served_and_counted(app, watch):
    app.add_url_rule("/größe/<name>", "size", lambda name: name)
    watched = watch(app)
    assert app.test_client().get("/größe/日本").data.decode() == "日本"
    assert watched.sink.only.route == "/größe/<name>"


def test_bytes_that_are_no_text_in_the_path_are_counted(app, watch, serve):
    watched = watch(app)
    assert serve(app, "/\xff\xfe").status.startswith("404")
    assert watched.sink.only.endpoint == "unmatched:4xx"


def test_a_session_that_cannot_be_opened_is_a_counted_500(app, watch):
    class Broken(SessionInterface):
        def open_session(self, _app, _request):
            raise RuntimeError("no session store")

    app.session_interface = Broken()
    watched = watch(app)
    assert app.test_client().get("/").status_code == 500
    assert (watched.sink.only.endpoint, watched.sink.only.status) == ("unmatched:5xx", 500)


@pytest.mark.parametrize("key", ["TESTING", "PROPAGATE_EXCEPTIONS"])
def test_a_propagated_exception_is_counted_and_passed_on(app, watch, key):
    @app.route("/x")
    def x():
        raise RuntimeError("boom")

    app.config[key] = True
    watched = watch(app)
    with pytest.raises(RuntimeError, match="boom"):
        app.test_client().get("/x")
    assert (watched.sink.only.endpoint, watched.sink.only.status) == ("x", 500)
    assert watched.span().attributes["fmd.recorded"] is True


def test_a_worker_that_is_told_to_stop_inside_a_view_is_counted(app, watch):
    @app.route("/x")
    def x():
        raise SystemExit(1)

    watched = watch(app)
    with pytest.raises(SystemExit):
        app.test_client().get("/x")
    assert (watched.sink.only.endpoint, watched.sink.only.status) == ("x", 500)


def test_a_teardown_function_that_raises_does_not_lose_the_request(app, watch):
    @app.teardown_request
    def fail(_error):
        raise RuntimeError("teardown")

    watched = watch(app)
    with pytest.raises(RuntimeError, match="teardown"):
        app.test_client().get("/")
    assert watched.sink.only.endpoint == "index"


def test_the_session_stays_as_the_application_wrote_it(app, watch):
    app.secret_key = "secret"  # nothing to hide in a test

    @app.route("/count")
    def count():
        session["n"] = session.get("n", 0) + 1
        return str(session["n"])

    watch(app, group_by=lambda: session.get("n"))
    client = app.test_client()
    assert [client.get("/count").data for _ in range(3)] == [b"1", b"2", b"3"]


def test_the_record_carries_the_ids_of_its_span(app, watch):
    watched = watch(app)
    app.test_client().get("/")
    context = watched.span().context
    assert watched.sink.only.span_id == context.span_id.to_bytes(8, "big")
    assert watched.sink.only.trace_id == context.trace_id.to_bytes(16, "big")


def test_the_span_says_what_the_record_says(app, watch):
    watched = watch(app, group_by=lambda: ("User", 3), version="2.1")
    app.test_client().get("/")
    attributes = watched.span().attributes
    assert attributes["fmd.endpoint"] == "index"
    assert attributes["fmd.version"] == "2.1"
    assert attributes["fmd.group_by"] == "(User,3)"
    assert attributes["client.address"] == "127.0.0.1"
    assert attributes["fmd.recorded"] is True


def test_every_endpoint_is_announced_before_its_first_request(app, watch):
    bp = Blueprint("bp", __name__)
    bp.add_url_rule("/bp", "view", lambda: "x", methods=["POST", "GET"])
    app.register_blueprint(bp)
    watched = watch(app)
    infos = {info.endpoint: info for info in watched.sink.infos}
    assert set(infos) == {"static", "index", "bp.view"}
    assert infos["bp.view"].methods == "GET,POST"
    assert infos["bp.view"].blueprint == "bp"
    assert infos["bp.view"].route == "/bp"


def test_an_endpoint_is_announced_with_all_of_its_rules(app, watch):
    def item(number=0):
        return str(number)

    app.add_url_rule("/item/<int:number>", "item", item, methods=["GET", "PUT"])
    app.add_url_rule("/item", "item", item, methods=["POST"])
    (said,) = (info for info in watch(app).sink.infos if info.endpoint == "item")
    assert said.rules == (("GET,PUT", "/item/<int:number>"), ("POST", "/item"))
    assert (said.route, said.methods) == ("/item/<int:number>", "GET,POST,PUT")


def test_routes_added_after_attaching_are_announced_with_the_first_request(app, watch):
    watched = watch(app)
    app.add_url_rule("/late", "late", lambda: "x")
    app.test_client().get("/")
    app.test_client().get("/")
    assert [info.endpoint for info in watched.sink.infos] == ["static", "index", "late"]


def test_level_0_leaves_out_who_asked(app, watch):
    calls = []
    watched = watch(app, group_by=lambda: calls.append(1) or "user")
    watched.sink.levels["shop", "index"] = 0
    app.test_client().get("/")
    record = watched.sink.only
    assert (record.level, record.group_by, record.ip, calls) == (0, None, None, [])
    assert watched.span().attributes["fmd.recorded"] is True


def test_a_level_applies_from_the_next_request(app, watch):
    watched = watch(app)
    client = app.test_client()
    client.get("/")
    watched.sink.levels["shop", "index"] = 3
    client.get("/")
    watched.sink.levels["shop", "unmatched:4xx"] = 0
    client.get("/nope")
    assert [record.level for record in watched.sink.records] == [1, 3, 0]


def test_a_websocket_is_counted_but_has_no_latency(app, watch, serve):
    watched = watch(app)
    serve(app, "/", HTTP_UPGRADE="WebSocket", HTTP_CONNECTION="Upgrade")
    assert watched.sink.only.level == 0


def test_excluded_urls_are_neither_traced_nor_counted(app, watch, monkeypatch):
    app.add_url_rule("/health", "health", lambda: "ok")
    monkeypatch.setattr(
        "opentelemetry.instrumentation.flask._excluded_urls_from_env",
        __import__("opentelemetry.util.http", fromlist=["x"]).parse_excluded_urls("/health"),
    )
    watched = watch(app)
    assert app.test_client().get("/health").data == b"ok"
    assert not watched.sink.records
    assert not watched.spans.get_finished_spans()
    app.test_client().get("/")
    assert watched.sink.only.endpoint == "index"
