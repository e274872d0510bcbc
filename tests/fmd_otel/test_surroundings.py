"""Middlewares, proxies, mounted applications, threads and clients inside of views: still once each."""

from __future__ import annotations

import threading

import pytest
from flask import Flask, copy_current_request_context, make_response, request
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix

FORWARDED = {"HTTP_X_FORWARDED_FOR": "203.0.113.7"}


def test_without_a_proxy_fix_nobody_can_choose_their_address(app, watch, serve):
    watched = watch(app)
    serve(app, "/", **FORWARDED)
    assert watched.sink.only.ip == "127.0.0.1"


def test_proxy_fix_before_attaching(app, watch, serve):
    app.wsgi_app = ProxyFix(app.wsgi_app)
    watched = watch(app)
    serve(app, "/", **FORWARDED)
    assert watched.sink.only.ip == "203.0.113.7"


def test_proxy_fix_after_attaching(app, watch, serve):
    watched = watch(app)
    app.wsgi_app = ProxyFix(app.wsgi_app)
    serve(app, "/", **FORWARDED)
    assert watched.sink.only.ip == "203.0.113.7"


def test_get_ip_decides_on_the_address(app, watch, serve):
    watched = watch(app, get_ip=lambda: request.headers["X-Real-Ip"])
    serve(app, "/", HTTP_X_REAL_IP="198.51.100.1")
    assert watched.sink.only.ip == "198.51.100.1"
    assert watched.span().attributes["client.address"] == "198.51.100.1"


def test_a_unix_socket_knows_no_address(app, watch, environ):
    watched = watch(app)
    request_environ = environ("/")
    del request_environ["REMOTE_ADDR"]
    list(app(request_environ, lambda *_: None))
    assert watched.sink.only.ip is None


def test_a_sampler_that_drops_everything_changes_no_count(app, watch, serve):
    watched = watch(app, sampler=ParentBased(ALWAYS_OFF))
    for _ in range(3):
        serve(app, "/")
    assert len(watched.sink.records) == 3
    assert len({record.span_id for record in watched.sink.records}) == 3
    assert not watched.spans.get_finished_spans()


def test_a_context_copied_to_a_thread_is_no_request(app, watch, serve):
    done = threading.Event()

    @app.route("/threads")
    def threads():
        @copy_current_request_context
        def work():
            return request.path

        worker = threading.Thread(target=lambda: (work(), done.set()))
        worker.start()
        worker.join()
        return "x", 201

    watched = watch(app)
    serve(app, "/threads")
    assert done.is_set()
    assert (watched.sink.only.endpoint, watched.sink.only.status) == ("threads", 201)


def test_a_copied_context_that_fails_says_nothing_of_its_request(app, watch):
    groups = iter(["too early", "right"])

    @app.route("/threads")
    def threads():
        @copy_current_request_context
        def work():
            raise ValueError("in the background")

        with pytest.raises(ValueError, match="in the background"):
            work()
        next(groups)
        raise RuntimeError("and in front")

    app.config["PROPAGATE_EXCEPTIONS"] = True
    watched = watch(app, group_by=lambda: next(groups))
    with pytest.raises(RuntimeError):
        app.test_client().get("/threads")
    assert watched.sink.only.group_by == "right"


def test_a_client_inside_of_a_view_makes_a_request_of_its_own(app, watch):
    @app.route("/outer")
    def outer():
        with app.test_client() as client:
            return client.get("/").data

    watched = watch(app)
    assert app.test_client().get("/outer").data == b"hello"
    assert [record.endpoint for record in watched.sink.records] == ["index", "outer"]


def test_a_client_that_preserves_its_context_counts_each_request_once(app, watch):
    watched = watch(app)
    with app.test_client() as client:
        for _ in range(3):
            client.get("/")
            assert request.path == "/"
    assert len(watched.sink.records) == 3


def test_a_propagated_exception_in_a_preserved_context_is_counted_once(app, watch):
    @app.route("/x")
    def x():
        raise RuntimeError("boom")

    app.testing = True
    watched = watch(app)
    with app.test_client() as client:
        with pytest.raises(RuntimeError):
            client.get("/x")
        client.get("/")
    assert [record.status for record in watched.sink.records] == [500, 200]


def test_a_middleware_that_answers_by_itself_is_counted(app, watch, serve):
    inner = app.wsgi_app

    def maintenance(environ, start_response):
        if environ["PATH_INFO"] == "/":
            start_response("503 Service Unavailable", [("Content-Length", "4")])
            return iter([b"wait"])
        return inner(environ, start_response)

    app.wsgi_app = maintenance
    watched = watch(app)
    serve(app, "/")
    assert (watched.sink.only.endpoint, watched.sink.only.status) == ("unmatched:5xx", 503)


def test_a_middleware_outside_of_us_that_answers_by_itself_is_its_own_affair(app, watch, serve):
    watched = watch(app)
    inner = app.wsgi_app
    app.wsgi_app = lambda _environ, start_response: (start_response("200 OK", []), [b"x"])[1]
    serve(app, "/")
    assert not watched.sink.records
    app.wsgi_app = inner


def test_a_middleware_that_holds_the_status_line_back(app, watch, serve):
    inner = app.wsgi_app

    def buffering(environ, start_response):
        held = []
        body = b"".join(inner(environ, lambda status, headers, _exc=None: held.append((status, headers))))
        start_response("418 " + held[0][0][4:], held[0][1])
        return [body]

    app.wsgi_app = buffering
    watched = watch(app, group_by=lambda: request.path)
    serve(app, "/")
    record = watched.sink.only
    assert (record.endpoint, record.status, record.group_by) == ("index", 418, "/")


def test_a_middleware_that_copies_the_environment(app, watch, serve):
    inner = app.wsgi_app
    app.wsgi_app = lambda environ, start_response: inner(dict(environ), start_response)
    watched = watch(app)
    serve(app, "/")
    assert watched.sink.only.endpoint == "index"


def test_a_middleware_that_makes_a_new_environment(app, watch, serve):
    inner = app.wsgi_app
    app.wsgi_app = lambda environ, start_response: inner(
        {key: value for key, value in environ.items() if not key.startswith("fmd_otel")}, start_response
    )
    watched = watch(app)
    serve(app, "/")
    assert watched.sink.only.endpoint == "index"


def test_applications_side_by_side_are_counted_where_they_answer(app, watch, serve):
    other = Flask("other")
    other.add_url_rule("/", "home", lambda: "other")
    watched = watch(app)
    watch(other, service="other")
    both = DispatcherMiddleware(app, {"/other": other})
    assert serve(both, "/").body == b"hello"
    assert serve(both, "/other/").body == b"other"
    assert [(record.service, record.endpoint) for record in watched.sink.records] == [
        ("shop", "index"),
        ("other", "home"),
    ]


def test_an_application_mounted_inside_another_is_counted_once(app, watch, serve):
    other = Flask("other")
    other.add_url_rule("/", "home", lambda: "other")
    watched = watch(other, service="other")
    app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/other": other})
    watch(app)
    assert serve(app, "/other/").body == b"other"
    assert (watched.sink.only.service, watched.sink.only.endpoint) == ("other", "home")
    serve(app, "/")
    assert [record.service for record in watched.sink.records] == ["other", "shop"]


def test_a_traced_but_unobserved_application_inside_is_counted_once(app, watch, serve):
    other = Flask("other")
    other.add_url_rule("/", "home", lambda: "other")
    provider = TracerProvider()
    FlaskInstrumentor.instrument_app(other, tracer_provider=provider)
    app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/other": other})
    watched = watch(app, provider=provider)
    assert serve(app, "/other/").body == b"other"
    assert watched.sink.only.endpoint == "unmatched:2xx"
    assert watched.span().attributes["fmd.recorded"] is True


def test_a_view_that_answers_with_another_application_counts_for_both(app, watch, serve):
    other = Flask("other")
    other.add_url_rule("/through", "through", lambda: "other")
    app.add_url_rule("/through", "gateway", lambda: make_response(other))
    watched = watch(app)
    watch(other, service="other")
    assert serve(app, "/through").body == b"other"
    assert sorted((record.service, record.endpoint) for record in watched.sink.records) == [
        ("other", "through"),
        ("shop", "gateway"),
    ]


def test_an_application_that_forwards_to_itself_is_counted_once(app, watch, serve):
    inner = app.wsgi_app

    def forward(environ, start_response):
        if environ["PATH_INFO"] == "/alias":
            return app.wsgi_app(dict(environ, PATH_INFO="/"), start_response)
        return inner(environ, start_response)

    app.wsgi_app = forward
    watched = watch(app)
    assert serve(app, "/alias").body == b"hello"
    assert watched.sink.only.endpoint == "index"


def test_an_environment_may_be_used_again(app, watch, environ):
    watched = watch(app)
    again = environ("/")
    for _ in range(2):
        body = app(again, lambda *_: None)
        list(body)
        body.close()
    assert len(watched.sink.records) == 2


def test_a_request_that_was_traced_by_somebody_else_before_keeps_its_trace(app, watch, serve):
    watched = watch(app)
    serve(app, "/", HTTP_TRACEPARENT="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    assert watched.sink.only.trace_id.hex() == "0af7651916cd43dd8448eb211c80319c"
