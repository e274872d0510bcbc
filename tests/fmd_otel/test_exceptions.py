"""Every exception is counted once, belongs to its group whatever its message, and leaves nothing behind."""

from __future__ import annotations

import builtins
import gc
import json
import os
import pickle
import sys
import textwrap
import threading
import traceback
import weakref
from functools import partial

import pytest
from flask import (
    Flask,
    Response,
    abort,
    copy_current_request_context,
    got_request_exception,
    jsonify,
    redirect,
    request,
)
from opentelemetry.sdk.trace import TracerProvider
from werkzeug.exceptions import ServiceUnavailable

import fmd_otel
from fmd_otel.attach import attach
from fmd_otel.backstage import backstage
from fmd_otel.exceptions import collector
from fmd_otel.exceptions.variables import MOST_VARIABLES
from fmd_otel.monitor import Monitor
from fmd_otel.settings import Settings
from fmd_otel.traces.steps import StepProcessor
from fmd_otel_exporter.documents import decode_document
from fmd_otel_exporter.records import CAPTURED, HANDLED, UNHANDLED


class OutOfStockError(Exception):
    pass


class Kept:
    """Something whose end can be seen."""


def met(watched):
    """All exceptions that were recorded, with their documents."""
    assert backstage().drain(5)
    return watched.sink.details


def only(watched):
    found = met(watched)
    assert len(found) == 1, found
    return found[0]


def document(record):
    return decode_document(record.document)


def raising(error=OutOfStockError, *args):
    raise error(*args)


def quietly(app, serve, path="/x", **more):
    """Serve a request whose exception may come all the way through."""
    try:
        return serve(app, path, **more)
    except Exception as error:  # noqa: BLE001 # that is what is looked at
        return error


@pytest.fixture
def view(app):
    """Add a view at /x."""

    def add(function, **options):
        app.add_url_rule("/x", "x", function, **options)
        return app

    return add


def test_an_unhandled_exception(view, watch, serve):
    watched = watch(view(lambda: raising(OutOfStockError, "3 left")), group_by="anna")
    assert serve(watched.app, "/x", QUERY_STRING="q=1&token=abc").status.startswith("500")
    found = only(watched)
    record = watched.sink.only
    assert (found.kind, found.message, found.group_by) == (UNHANDLED, "3 left", "anna")
    assert found.type.endswith("OutOfStockError")
    assert (found.service, found.endpoint, found.version) == ("shop", "x", "1.0")
    assert (found.span_id, found.trace_id) == (record.span_id, record.trace_id)
    assert found.ts_us >= record.ts_us
    assert found.place.endswith("test_exceptions.py in raising")
    kept = document(found)
    assert (kept["method"], kept["status"]) == ("GET", 500)
    assert kept["url"] == "http://localhost/x?q=1&token=[scrubbed]"
    assert kept["scrubbed"] == ["url"]
    (link,) = kept["chain"]
    assert (link["message"], link["relation"], link["parent"]) == ("3 left", None, None)
    frame = link["frames"][-1]
    assert (frame["function"], frame["in_app"], frame["source"]) == (
        "raising",
        True,
        "    raise error(*args)",
    )
    assert frame["context_before"][-1] == "def raising(error=OutOfStockError, *args):"
    assert not any("locals" in frame for frame in link["frames"])
    assert {frame["file"].split("/")[0] for frame in link["frames"] if not frame["in_app"]} >= {"flask"}


def test_the_application_sees_its_traceback_without_us(view, watch, serve, caplog):
    watched = watch(view(raising))
    serve(watched.app, "/x")
    (logged,) = [record for record in caplog.records if record.name == "shop"]
    functions = [entry.name for entry in traceback.extract_tb(logged.exc_info[2])]
    assert functions[-2:] == ["dispatch_request", "raising"]
    assert functions.count("handle_user_exception") <= 1
    files = [entry.filename for entry in traceback.extract_tb(logged.exc_info[2])]
    assert not [file for file in files if "fmd_otel/exceptions" in file]
    event = watched.span().events[0]
    assert "fmd_otel/exceptions" not in event.attributes["exception.stacktrace"]


def test_the_traceback_is_not_written_on_a_span_that_only_we_read(view, serve, sink):
    """It takes OpenTelemetry many times as long as all that we do."""
    ended = []

    class Ours(StepProcessor):
        def on_end(self, span):
            ended.append(span)

    Ours.__module__ = StepProcessor.__module__
    provider = TracerProvider()
    provider.add_span_processor(Ours())
    app = view(raising)
    monitor = Monitor(app, service="shop", version="1.0", pipeline=sink)
    attach(app, Settings(include_dashboard=False), monitor, sink, None, tracer_provider=provider)
    serve(app, "/x")
    (span,) = ended
    assert span.events == ()
    assert span.attributes["http.status_code"] == 500
    assert not span.status.is_ok
    assert monitor.guard.counts == {}


@pytest.mark.parametrize("propagate", [True, False])
def test_an_exception_that_comes_through_to_the_server_counts_once(view, watch, serve, propagate):
    watched = watch(view(raising))
    watched.app.config["PROPAGATE_EXCEPTIONS"] = propagate
    quietly(watched.app, serve)
    assert only(watched).kind == UNHANDLED


def test_an_exception_that_an_error_handler_takes(view, watch, serve):
    app = view(raising)
    app.register_error_handler(OutOfStockError, lambda _error: ("sold out", 409))
    watched = watch(app)
    assert serve(app, "/x").status.startswith("409")
    found = only(watched)
    assert (found.kind, document(found)["status"]) == (HANDLED, 409)


def test_an_error_handler_that_fails_itself(view, watch, serve):
    app = view(raising)
    app.register_error_handler(OutOfStockError, lambda _error: raising(ValueError, "second"))
    watched = watch(app)
    serve(app, "/x")
    found = only(watched)
    assert (found.kind, found.type) == (UNHANDLED, "ValueError")
    assert [
        (link["type"].split(".")[-1], link["relation"], link["parent"]) for link in document(found)["chain"]
    ] == [
        ("ValueError", None, None),
        ("OutOfStockError", "context", 0),
    ]


@pytest.mark.parametrize(
    "answer",
    [lambda: abort(404), lambda: redirect("/"), lambda: abort(409), lambda: request.form["no"]],
)
def test_answers_that_are_exceptions_only_in_form(view, watch, serve, answer):
    watched = watch(view(answer))
    quietly(watched.app, serve)
    quietly(watched.app, serve, "/nowhere")
    assert met(watched) == []


def test_http_exceptions_of_the_server_are_failures(view, watch, serve):
    watched = watch(view(lambda: raising(ServiceUnavailable)))
    assert serve(watched.app, "/x").status.startswith("503")
    assert only(watched).kind == HANDLED


def test_a_captured_exception(view, watch, serve):
    taken = []

    def x():
        try:
            raising()
        except OutOfStockError as error:
            taken.append(fmd_otel.capture(error))
        return "fine"

    watched = watch(view(x))
    assert serve(watched.app, "/x").body == b"fine"
    assert taken == [True]
    found = only(watched)
    assert (found.kind, found.endpoint, found.span_id) == (CAPTURED, "x", watched.sink.only.span_id)
    assert document(found)["status"] == 200


def test_capture_takes_the_exception_that_is_being_handled(view, watch, serve):
    def x():
        try:
            raising(KeyError, "k")
        except KeyError:
            assert fmd_otel.capture()
        assert not fmd_otel.capture()
        return "fine"

    watched = watch(view(x))
    serve(watched.app, "/x")
    assert only(watched).type == "KeyError"


@pytest.mark.parametrize("error", [OutOfStockError, KeyError])
@pytest.mark.parametrize(("handled", "kind"), [(False, UNHANDLED), (True, HANDLED)])
def test_captured_and_raised_again_counts_once(view, watch, serve, error, handled, kind):
    def x():
        try:
            raising(error, "x")
        except error as found:
            fmd_otel.capture(found)
            fmd_otel.capture(found)
            raise

    app = view(x)
    if handled:
        app.register_error_handler(error, lambda _error: "fine")
    watched = watch(app)
    serve(app, "/x")
    assert only(watched).kind == kind


@pytest.mark.parametrize("error", [OutOfStockError, KeyError])
def test_exceptions_that_follow_each_other_at_one_address_are_several(view, watch, serve, error):
    def x():
        for _ in range(20):
            caught()
        return "fine"

    def caught():
        try:
            raising(error, "x")
        except error as found:
            fmd_otel.capture(found)

    watched = watch(view(x))
    serve(watched.app, "/x")
    assert len(met(watched)) == 20
    assert len({record.group_id for record in met(watched)}) == 1


@pytest.mark.parametrize("single", [OutOfStockError("the one"), KeyError("the one")])
def test_one_object_raised_in_every_request_counts_each_time(view, watch, serve, single):
    def x():
        raise single

    watched = watch(view(x))
    for _ in range(3):
        serve(watched.app, "/x")
    assert len(met(watched)) == 3


def test_the_applications_own_exceptions_carry_nothing_of_ours(view, watch, serve):
    def x():
        error = OutOfStockError("3")
        error.code = 7
        fmd_otel.capture(error)
        return jsonify(vars(error))

    watched = watch(view(x))
    assert json.loads(serve(watched.app, "/x").body) == {"code": 7}


def test_pythons_own_exceptions_can_still_be_pickled(app, watch):
    watch(app)
    error = KeyError("k")
    with app.test_request_context("/"):
        fmd_otel.capture(error)
    assert pickle.loads(pickle.dumps(error)).args == ("k",)  # noqa: S301 # our own


def test_an_exception_outside_of_any_request(app, watch):
    watched = watch(app)
    with pytest.raises(OutOfStockError) as caught:
        raising()
    assert fmd_otel.capture(caught.value)
    (found,) = watched.sink.details  # at once: the process may end now
    assert (found.endpoint, found.span_id, found.trace_id) == ("", bytes(8), bytes(16))
    assert document(found)["chain"][0]["frames"][-1]["function"] == "raising"


def test_an_exception_that_was_never_raised_stands_where_it_was_captured(app, watch):
    watched = watch(app)

    def somewhere():
        fmd_otel.capture(OutOfStockError())

    somewhere()
    (found,) = watched.sink.details
    assert "somewhere" in found.place
    assert document(found)["chain"][0]["frames"][-1]["function"].endswith("somewhere")


def test_a_thread_that_outlives_its_request(view, watch, serve):
    go_on, done = threading.Event(), threading.Event()

    def x():
        @copy_current_request_context
        def later():
            go_on.wait(5)
            fmd_otel.capture(OutOfStockError())
            done.set()

        threading.Thread(target=later).start()
        return "fine"

    watched = watch(view(x))
    serve(watched.app, "/x")
    go_on.set()
    assert done.wait(5)
    found = only(watched)
    assert (found.endpoint, found.span_id) == ("x", watched.sink.only.span_id)


def test_capture_never_raises_and_does_nothing_where_nothing_is_monitored(app, watch):
    assert not fmd_otel.capture(OutOfStockError())
    watched = watch(app)
    assert not fmd_otel.capture("no exception")
    watched.handle.uninstrument()
    assert not fmd_otel.capture(OutOfStockError())
    assert watched.sink.details == []


def test_capture_survives_our_own_failure(app, watch, monkeypatch):
    watched = watch(app)
    monkeypatch.setattr(watched.monitor.exceptions, "saw", partial(raising, RuntimeError))
    assert not fmd_otel.capture(OutOfStockError())
    assert watched.handle.failures == {"capture": 1}


def test_nothing_is_kept_at_level_0_or_of_urls_that_are_left_out(view, watch, serve):
    watched = watch(view(raising))
    watched.sink.levels["shop", "x"] = 0
    serve(watched.app, "/x")
    assert met(watched) == []


# Where exceptions come from


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


# Groups


def code(text, name="shop/cart.py"):
    found = {"__name__": "shop.cart"}
    exec(compile(textwrap.dedent(text), name, "exec"), found)  # noqa: S102 # code of our own, with a name of its own
    return found


def group_of(watched, function, *args):
    before = len(watched.sink.details)
    with pytest.raises(Exception) as caught:  # noqa: PT011 # of any kind
        function(*args)
    assert fmd_otel.capture(caught.value)
    assert len(watched.sink.details) == before + 1
    return watched.sink.details[-1].group_id


SOURCE = """
def price(order):
    return total(order)

def total(order):
    raise ValueError(f"order {order} has no price")
"""


def test_the_message_makes_no_group(app, watch):
    watched = watch(app)
    price = code(SOURCE)["price"]
    groups = {group_of(watched, price, number) for number in range(20)}
    assert len(groups) == 1
    assert 0 < groups.pop() < 1 << 63


def test_lines_that_move_make_no_group(app, watch):
    watched = watch(app)
    moved = "\n\n# a comment\nunrelated = 1\n" + SOURCE.replace("return total", "x = 1\n    return total")
    assert group_of(watched, code(SOURCE)["price"], 1) == group_of(watched, code(moved)["price"], 1)


def test_type_path_and_service_make_groups(app, watch):
    watched = watch(app)
    price = code(SOURCE)["price"]
    other_type = code(SOURCE.replace("ValueError", "KeyError"))["price"]
    other_way = code(SOURCE + "\n\ndef gift(order):\n    return total(order)\n")["gift"]
    groups = {group_of(watched, function, 1) for function in (price, other_type, other_way)}
    assert len(groups) == 3
    other = watch(Flask("other"), service="other")
    assert group_of(other, price, 1) not in groups


def test_recursion_of_any_depth_is_one_group(app, watch):
    watched = watch(app)
    walk = code(
        """
        def walk(depth):
            if depth:
                return turn(depth - 1)
            raise ValueError(depth)

        def turn(depth):
            return walk(depth)
        """
    )["walk"]
    assert len({group_of(watched, walk, depth) for depth in (1, 2, 50, 300)}) == 1


def test_generated_names_make_no_group(app, watch):
    watched = watch(app)
    source = "def handler_{0}():\n    raise type('Error_{0}', (Exception,), {{}})\n"
    groups = {
        group_of(watched, code(source.format(name))[f"handler_{name}"])
        for name in ("140234", "982134", "0x7f3a")
    }
    assert len(groups) == 1


def test_comprehensions_are_no_step_of_the_way(app, watch):
    watched = watch(app)
    plain = "def f(n):\n    return g(n)\n\ndef g(n):\n    raise ValueError(n)\n"
    comprehension = plain.replace("return g(n)", "return [g(n) for n in range(3)]")
    assert group_of(watched, code(plain)["f"], 1) == group_of(watched, code(comprehension)["f"], 1)


def test_code_without_a_file(app, watch):
    watched = watch(app)
    group_of(watched, code(SOURCE, "<string>")["price"], 1)
    frames = document(watched.sink.details[0])["chain"][0]["frames"]
    assert [frame["source"] for frame in frames if frame["file"] == "<string>"] == [None, None]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="needs exception groups: Python 3.11")
def test_an_exception_group(view, watch, serve):
    def x():
        groups = builtins.ExceptionGroup
        raise groups("several", [*map(ValueError, range(3)), groups("inner", [KeyError("k")])])

    watched = watch(view(x))
    serve(watched.app, "/x")
    found = only(watched)
    assert found.type == "ExceptionGroup"
    links = document(found)["chain"]
    assert [(link["type"], link["relation"], link["parent"]) for link in links] == [
        ("ExceptionGroup", None, None),
        ("ValueError", "group", 0),
        ("ValueError", "group", 0),
        ("ValueError", "group", 0),
        ("ExceptionGroup", "group", 0),
        ("KeyError", "group", 4),
    ]


def test_a_chain_that_bites_its_tail_and_one_without_end(app, watch):
    watched = watch(app)
    first, second = ValueError("first"), KeyError("second")
    first.__cause__, second.__cause__ = second, first
    fmd_otel.capture(first)
    assert [link["relation"] for link in document(watched.sink.details[0])["chain"]] == [None, "cause"]
    error = ValueError(0)
    for number in range(1, 100):
        outer = ValueError(number)
        outer.__context__ = error
        error = outer
    fmd_otel.capture(error)
    assert len(document(watched.sink.details[1])["chain"]) == 10


def test_a_recursion_without_end(view, watch, serve):
    def x():
        return x()

    watched = watch(view(x))
    serve(watched.app, "/x")
    found = only(watched)
    assert found.type == "RecursionError"
    (link,) = document(found)["chain"]
    assert len(link["frames"]) == 61
    assert [frame["function"] for frame in link["frames"]].count("[truncated]") == 1
    assert len(found.document) < 20_000


# What is kept


def test_a_storm_is_counted_and_a_few_of_it_are_kept(view, watch, serve):
    watched = watch(view(raising))
    for _ in range(300):
        serve(watched.app, "/x")
    found = met(watched)
    assert sum(record.n for record in found) == 300
    kept = [record for record in found if record.document is not None]
    assert len(kept) == collector.KEPT_AT_ONCE
    assert {record.message for record in found if record.document is None} == {""}


def test_a_storm_is_added_up_by_what_it_is(app, watch, serve, monkeypatch):
    monkeypatch.setattr(collector, "AT_ONCE", 1)
    users = iter("ab" * 1000)
    app.add_url_rule("/x", "x", raising)
    app.add_url_rule("/y", "y", partial(raising, KeyError))
    watched = watch(app, group_by=lambda: next(users))
    for _ in range(100):
        serve(app, "/x")
        serve(app, "/x")
        serve(app, "/y")
    found = met(watched)
    sums = {}
    for record in found:
        key = record.endpoint, record.group_by, record.type.split(".")[-1]
        sums[key] = sums.get(key, 0) + record.n
    assert sums == {
        ("x", "a", "OutOfStockError"): 100, ("x", "b", "OutOfStockError"): 100,
        ("y", "a", "KeyError"): 50, ("y", "b", "KeyError"): 50,
    }  # fmt: skip
    assert len(found) < 2 * collector.KEPT_AT_ONCE + 4 + 100


def test_a_storm_in_many_threads_loses_no_count(app, watch, monkeypatch):
    monkeypatch.setattr(collector, "AT_ONCE", 1)
    monkeypatch.setattr(collector, "MOST_HELD", 500)
    watched = watch(app)

    def storm():
        for _ in range(500):
            fmd_otel.capture(OutOfStockError())

    threads = [threading.Thread(target=storm) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(record.n for record in met(watched)) == 2000


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_fork_in_the_middle_of_a_storm_loses_no_count_and_doubles_none(app, watch):
    watched = watch(app)

    def storm():
        for _ in range(200):
            fmd_otel.capture(OutOfStockError())

    storm()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover # another process
        try:
            watched.sink.details.clear()
            storm()
            os.write(writer, str(sum(record.n for record in met(watched))).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reader, 100) == b"200"
    assert sum(record.n for record in met(watched)) == 200


def test_a_storm_of_many_kinds_is_bounded_too(app, watch):
    watched = watch(app)
    for number in range(300):
        fmd_otel.capture(type(f"Kind{chr(97 + number % 26)}{chr(97 + number // 26)}", (Exception,), {})())
    assert len({record.group_id for record in met(watched)}) == 300
    kept = [record for record in watched.sink.details if record.document is not None]
    assert len(kept) <= collector.ALL_KEPT_AT_ONCE + 5


def test_one_request_cannot_meet_more_than_a_bound(view, watch, serve, monkeypatch):
    monkeypatch.setattr(collector, "MOST_OF_ONE_REQUEST", 10)

    def x():
        for _ in range(30):
            fmd_otel.capture(OutOfStockError())
        return "fine"

    watched = watch(view(x))
    serve(watched.app, "/x")
    assert len(met(watched)) == 10
    assert watched.handle.failures == {"exceptions of one request": 20}


@pytest.mark.parametrize("error", [OutOfStockError, KeyError])
def test_no_frame_outlives_the_request(view, watch, serve, error):
    locals_ = []

    def x():
        kept = Kept()
        locals_.append(weakref.ref(kept))
        raising(error)

    app = view(x)
    app.register_error_handler(error, lambda _error: "fine")
    watched = watch(app, settings=Settings(exception_locals=True), exception_locals=True)
    gc.collect()
    gc.disable()
    try:
        serve(app, "/x")
        assert met(watched)
        gc.collect()  # the interpreter's own cycles: exception, frame, handler
        assert locals_[0]() is None
    finally:
        gc.enable()


def test_secrets_in_messages_are_scrubbed(app, watch):
    watched = watch(app)
    fmd_otel.capture(ValueError("cannot connect to postgresql://shop:hunter2@db/shop"))
    (found,) = watched.sink.details
    assert found.message == "cannot connect to postgresql://[scrubbed]@db/shop"
    kept = document(found)
    assert "hunter2" not in kept["chain"][0]["message"]
    assert kept["scrubbed"] == ["chain[0].message", "message"]


def test_messages_that_cannot_be_read(app, watch):
    class HostileError(Exception):
        def __str__(self):
            raise RuntimeError

    class LongError(Exception):
        def __str__(self):
            return "x" * 100_000

    watched = watch(app)
    fmd_otel.capture(HostileError())
    fmd_otel.capture(LongError())
    assert [record.message for record in watched.sink.details] == [
        "(the message could not be read)",
        "x" * 1000,
    ]


def test_local_variables_only_when_asked_for_and_scrubbed(view, watch, serve):
    class HostileObject:
        def __repr__(self):
            raise RuntimeError

    def x():
        password = "hunter2"  # noqa: F841 # looked at by the monitor
        order = {"id": 7, "token": "hunter2", "lines": list(range(100))}  # noqa: F841 # the same
        thing = HostileObject()  # noqa: F841 # the same
        note = "x" * 10_000  # noqa: F841 # the same
        raising()

    watched = watch(view(x), exception_locals=True)
    serve(watched.app, "/x")
    kept = document(only(watched))
    assert "hunter2" not in json.dumps([frame.get("locals") for frame in kept["chain"][0]["frames"]])
    frames = {frame["function"].rpartition(".")[2]: frame for frame in kept["chain"][0]["frames"]}
    found = frames["x"]["locals"]
    assert found["password"] == "[scrubbed]"
    assert found["order"] == "{'id': 7, 'token': '[scrubbed]', 'lines': [0, 1, 2, 3, 4, 5]}"
    assert found["thing"].endswith("HostileObject>")
    assert len(found["note"]) < 300
    assert "locals" not in frames["full_dispatch_request"]
    assert any(path.endswith("x.password") for path in kept["scrubbed"])


def test_local_variables_are_bounded(view, watch, serve):
    source = "def x():\n" + "".join(f"    v{n} = {n}\n" for n in range(100)) + "    raise ValueError\n"
    watched = watch(view(code(source)["x"]), exception_locals=True)
    serve(watched.app, "/x")
    frames = document(only(watched))["chain"][0]["frames"]
    assert len(frames[-1]["locals"]) == MOST_VARIABLES


def test_a_document_that_cannot_be_made_still_counts(view, watch, serve, monkeypatch):
    monkeypatch.setattr(collector, "exception_document", partial(raising, RuntimeError))
    watched = watch(view(raising))
    serve(watched.app, "/x")
    found = only(watched)
    assert found.document is None
    assert watched.handle.failures == {"exception's document": 1}


@pytest.mark.parametrize("where", ["saw", "end"])
def test_our_own_failure_reaches_nobody(view, watch, serve, monkeypatch, where):
    watched = watch(view(raising))
    monkeypatch.setattr(watched.monitor.exceptions, where, partial(raising, RuntimeError))
    assert serve(watched.app, "/x").status.startswith("500")
    assert len(watched.sink.records) == 1
    assert sum(watched.handle.failures.values()) == 1
