"""Exceptions are met wherever they come from: streams, teardown, middleware, async views, extensions."""

from __future__ import annotations

import sys
from functools import partial

import pytest
from flask import (
    Response,
    got_request_exception,
    request,
)

import fmd_otel
from fmd_otel_exporter.records import CAPTURED, HANDLED, UNHANDLED
from tests.fmd_otel.exceptions.made import OutOfStockError, met, only, quietly, raising


def test_an_exception_in_the_middle_of_a_streamed_body(view, watch, environ):
    def body():
        yield b"one"
        raising()

    watched = watch(view(lambda: Response(body())))
    parts = watched.app(environ("/x"), lambda *_args: None)
    with pytest.raises(OutOfStockError):
        list(parts)
    assert only(watched).kind == UNHANDLED


def test_a_client_that_goes_away_is_no_failure(view, watch, environ):
    watched = watch(view(lambda: Response(iter([b"one", b"two"]))))
    parts = watched.app(environ("/x"), lambda *_args: None)
    next(iter(parts))
    parts.close()
    assert met(watched) == []


def test_an_exception_after_the_view(view, watch, serve):
    app = view(lambda: "fine")
    app.after_request(lambda _response: raising())
    watched = watch(app)
    serve(app, "/x")
    assert only(watched).kind == UNHANDLED


def test_an_exception_at_teardown_and_in_a_middleware(view, watch, serve):
    app = view(lambda: "fine")
    app.teardown_request(lambda _error: raising(ValueError))
    inner = app.wsgi_app

    def middleware(environ, start_response):
        if environ["PATH_INFO"] == "/":
            raise OutOfStockError
        return inner(environ, start_response)

    app.wsgi_app = middleware
    watched = watch(app)
    assert isinstance(quietly(app, serve), ValueError)
    assert isinstance(quietly(app, serve, "/"), OutOfStockError)
    assert [(record.kind, record.type.split(".")[-1]) for record in met(watched)] == [
        (UNHANDLED, "ValueError"),
        (UNHANDLED, "OutOfStockError"),
    ]


def test_a_view_that_exits(view, watch, serve):
    watched = watch(view(lambda: sys.exit(3)))
    with pytest.raises(SystemExit):
        serve(watched.app, "/x")
    assert only(watched).type == "SystemExit"


def test_an_async_view(view, watch, serve):
    async def x():
        try:
            raising(ValueError)
        except ValueError as error:
            fmd_otel.capture(error)
        raising()

    watched = watch(view(x))
    serve(watched.app, "/x")
    assert sorted(record.kind for record in met(watched)) == [UNHANDLED, CAPTURED]
    assert {record.endpoint for record in met(watched)} == {"x"}


def test_an_extension_that_has_its_own_error_handling(view, watch, serve):
    """The way of Flask-RESTful: announces the exception as unhandled, then answers by itself."""
    app = view(raising)

    def routed(original, error):
        if request.path == "/x":
            got_request_exception.send(app, exception=error)
            return "handled", 418
        return original(error)

    app.handle_user_exception = partial(routed, app.handle_user_exception)
    watched = watch(app)
    assert serve(app, "/x").status.startswith("418")
    assert only(watched).kind == HANDLED


def test_everything_is_given_back(app, watch):
    before = app.handle_user_exception
    watched = watch(app)
    assert app.handle_user_exception != before
    watched.handle.uninstrument()
    assert app.handle_user_exception == before
    assert "handle_user_exception" not in app.__dict__


def test_what_others_have_wrapped_since_stays_and_does_nothing(view, watch, serve):
    app = view(raising)
    app.register_error_handler(OutOfStockError, lambda _error: "fine")
    watched = watch(app)
    ours = app.handle_user_exception
    app.handle_user_exception = partial(ours)
    watched.handle.uninstrument()
    assert serve(app, "/x").body == b"fine"
    assert met(watched) == []
