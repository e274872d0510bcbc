"""The duration includes the body, and every body ends exactly once."""

from __future__ import annotations

import gc
import io
from wsgiref.util import FileWrapper

import pytest
from flask import Response, request, send_file, stream_with_context

from fmd_otel import request_state


class Clock:
    """A monotonic clock that only moves when it is told to."""

    def __init__(self):
        self.now_ns = 1_000_000_000

    def __call__(self):
        return self.now_ns

    def advance_ms(self, milliseconds):
        self.now_ns += milliseconds * 1_000_000


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(request_state, "perf_counter_ns", clock)
    return clock


def test_the_duration_of_a_streamed_response_includes_its_body(app, watch, serve, clock):
    @app.route("/stream")
    def stream():
        clock.advance_ms(10)

        def parts():
            for _ in range(3):
                clock.advance_ms(100)
                yield b"part"

        return Response(parts())

    watched = watch(app)
    assert serve(app, "/stream").body == b"partpartpart"
    assert watched.sink.only.duration_us == 310_000
    assert watched.sink.only.headers_us == 10_000


def test_a_plain_response_has_no_time_to_headers_of_its_own(app, watch, serve, clock):
    @app.route("/x")
    def x():
        clock.advance_ms(7)
        return "x"

    watched = watch(app)
    serve(app, "/x")
    assert watched.sink.only.duration_us == 7_000
    assert watched.sink.only.headers_us is None


def test_the_duration_survives_a_wall_clock_that_steps_back(app, watch, serve, clock, monkeypatch):
    times = iter([1_700_000_000_000_000_000, 1_600_000_000_000_000_000])
    monkeypatch.setattr(request_state, "time_ns", lambda: next(times))

    @app.route("/x")
    def x():
        clock.advance_ms(5)
        request_state.time_ns()
        return "x"

    watched = watch(app)
    serve(app, "/x")
    assert watched.sink.only.ts_us == 1_700_000_000_000_000
    assert watched.sink.only.duration_us == 5_000


def test_stream_with_context_keeps_its_context_and_is_counted_once(app, watch, serve):
    @app.route("/stream")
    def stream():
        @stream_with_context
        def parts():
            yield request.path.encode()

        return Response(parts())

    watched = watch(app)
    assert serve(app, "/stream").body == b"/stream"
    assert watched.sink.only.endpoint == "stream"


def test_a_generator_that_raises_passes_its_error_on_and_is_counted(app, watch, environ):
    @app.route("/stream")
    def stream():
        def parts():
            yield b"part"
            raise ValueError("broken")

        return Response(parts())

    watched = watch(app)
    body = app(environ("/stream"), lambda *_: None)
    assert next(body) == b"part"
    with pytest.raises(ValueError, match="broken"):
        next(body)
    body.close()
    assert (watched.sink.only.endpoint, watched.sink.only.status) == ("stream", 200)


def test_a_client_that_goes_away_ends_the_request_and_closes_the_generator(app, watch, environ):
    ended = []

    @app.route("/stream")
    def stream():
        def parts():
            try:
                while True:
                    yield b"part"
            finally:
                ended.append(True)

        return Response(parts())

    watched = watch(app)
    body = app(environ("/stream"), lambda *_: None)
    next(body)
    assert not watched.sink.records
    body.close()
    assert ended
    assert watched.sink.only.endpoint == "stream"


def test_a_body_that_is_closed_without_being_read_is_counted(app, watch, environ):
    watched = watch(app)
    app(environ("/"), lambda *_: None).close()
    assert watched.sink.only.status == 200


def test_a_body_that_is_thrown_away_is_counted(app, watch, environ):
    app.add_url_rule("/stream", "stream", lambda: Response(iter([b"a", b"b"])))
    watched = watch(app)
    app(environ("/stream"), lambda *_: None)
    gc.collect()
    assert watched.sink.only.endpoint == "stream"


def test_closing_twice_counts_once(app, watch, environ):
    watched = watch(app)
    body = app(environ("/"), lambda *_: None)
    list(body)
    body.close()
    body.close()
    del body
    assert watched.sink.only


def test_functions_called_on_close_are_called(app, watch, serve):
    closed = []

    @app.route("/x")
    def x():
        response = Response("x")
        response.call_on_close(lambda: closed.append(True))
        return response

    watched = watch(app)
    serve(app, "/x")
    assert closed
    assert watched.sink.only


def test_an_error_while_closing_reaches_the_server_and_the_request_is_counted(app, watch, environ):
    @app.route("/x")
    def x():
        response = Response(iter([b"x"]))

        @response.call_on_close
        def fail():
            raise RuntimeError("on close")

        return response

    watched = watch(app)
    body = app(environ("/x"), lambda *_: None)
    with pytest.raises(RuntimeError, match="on close"):
        body.close()
    assert watched.sink.only.endpoint == "x"


def test_a_response_that_nobody_reads_in_a_test_client_is_counted_at_once(app, watch):
    watched = watch(app)
    response = app.test_client().get("/")
    assert watched.sink.only.endpoint == "index"
    assert response.data == b"hello"


class ServerFileWrapper(FileWrapper):
    """A server's own, which it sends by sendfile() if it gets it back unwrapped."""


@pytest.fixture
def download(app, tmp_path):
    path = tmp_path / "file.bin"
    path.write_bytes(b"x" * 100_000)
    app.add_url_rule("/file", "file", lambda: send_file(path))
    return app


def test_a_file_reaches_the_server_as_its_own_wrapper(download, watch, environ):
    watched = watch(download)
    body = download(environ("/file", **{"wsgi.file_wrapper": ServerFileWrapper}), lambda *_: None)
    assert type(body) is ServerFileWrapper
    assert not watched.sink.records
    assert len(b"".join(body)) == 100_000
    body.close()
    assert (watched.sink.only.endpoint, watched.sink.only.status) == ("file", 200)


def test_a_file_that_the_server_forgets_to_close_is_counted(download, watch, environ):
    watched = watch(download)
    download(environ("/file", **{"wsgi.file_wrapper": ServerFileWrapper}), lambda *_: None)
    gc.collect()
    assert watched.sink.only.endpoint == "file"


def test_a_file_wrapper_that_takes_no_attributes_is_left_alone(download, watch, environ):
    class Sealed:
        __slots__ = ("file",)

        def __init__(self, file, _size):
            self.file = file

        def __iter__(self):
            return iter(self.file)

    watched = watch(download)
    body = download(environ("/file", **{"wsgi.file_wrapper": Sealed}), lambda *_: None)
    assert type(body) is Sealed
    assert watched.sink.only.endpoint == "file"
    body.file.close()


def test_a_file_wrapper_that_is_a_function_is_no_obstacle(download, watch, serve):
    watched = watch(download)

    def wrapper(file, size=8192):
        return iter(lambda: file.read(size), b"")

    assert len(serve(download, "/file", **{"wsgi.file_wrapper": wrapper}).body) == 100_000
    assert watched.sink.only.endpoint == "file"


def test_a_file_without_the_servers_help_is_sent_in_full(download, watch, serve):
    watched = watch(download)
    assert len(serve(download, "/file").body) == 100_000
    assert watched.sink.only


def test_a_part_of_a_file_is_counted_with_its_status(download, watch, serve):
    watched = watch(download)
    assert serve(download, "/file", HTTP_RANGE="bytes=10-19").body == b"x" * 10
    assert watched.sink.only.status == 206


def test_a_list_stays_a_list(app, watch, environ):
    inner = app.wsgi_app

    def gate(environ, start_response):
        if environ["PATH_INFO"] == "/closed":
            start_response("503 Service Unavailable", [("Content-Type", "text/plain")])
            return [b"closed"]
        return inner(environ, start_response)

    app.wsgi_app = gate
    watched = watch(app)
    assert app(environ("/closed"), lambda *_: None) == [b"closed"]
    assert (watched.sink.only.endpoint, watched.sink.only.status) == ("unmatched:5xx", 503)


def test_headers_that_make_no_sense_change_nothing(app, watch, environ):
    def odd(_environ, start_response):
        start_response("200 OK", [("content-length", "many")])
        return iter([b"a"])

    app.wsgi_app = odd
    watched = watch(app)
    assert list(app(environ("/"), lambda *_: None)) == [b"a"]
    assert watched.sink.only.status == 200


def test_an_application_that_starts_its_response_while_being_read(app, watch, serve):
    def lazy(_environ, start_response):
        start_response("203 Late", [])
        yield b"late"

    app.wsgi_app = lazy
    watched = watch(app)
    assert serve(app, "/").body == b"late"
    assert watched.sink.only.status == 203


def test_bytes_written_through_write_reach_the_server(app, watch, environ):
    def old_style(_environ, start_response):
        write = start_response("200 OK", [])
        write(b"old")
        return []

    app.wsgi_app = old_style
    watched = watch(app)
    out = io.BytesIO()
    app(environ("/"), lambda *_: out.write)
    assert out.getvalue() == b"old"
    assert watched.sink.only.status == 200
