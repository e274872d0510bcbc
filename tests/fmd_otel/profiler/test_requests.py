"""Requests of all kinds are profiled: whole, once, and in their own time."""

from __future__ import annotations

import functools
import gc
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Response, copy_current_request_context, request, stream_with_context
from flask.views import MethodView
from opentelemetry import context as otel_context
from opentelemetry import trace

from fmd_otel.profiler.follow import shared_follower
from fmd_otel.profiler.watcher import ProfileWatcher
from fmd_otel.request_state import STATE_KEY
from tests.fmd_otel.profiler.conftest import FLUSH_S

SLEEP_S = 0.08


def rest(seconds=SLEEP_S):
    time.sleep(seconds)
    return "rested"


def assert_whole(record):
    """Every microsecond is somewhere, once; parents come first."""
    assert abs(sum(node.self_us for node in record.nodes) - record.duration_us) <= len(record.nodes) + 1
    assert all(0 <= node.self_cpu_us <= node.self_us for node in record.nodes)
    assert all(node.parent < index for index, node in enumerate(record.nodes))
    assert all(0 <= node.line < len(record.lines) for node in record.nodes)
    assert len(set(record.lines)) == len(record.lines)


def test_a_request_is_profiled_and_named_like_its_record(app, profile, serve, tree):
    app.add_url_rule("/slow", "slow", rest)
    profiled = profile(app)
    serve(app, "/slow")
    record, request = profiled.only, profiled.watched.sink.only
    for name in ("service", "endpoint", "version", "ts_us", "span_id", "trace_id", "duration_us"):
        assert getattr(record, name) == getattr(request, name)
    assert not record.exact
    assert record.samples >= 3
    assert_whole(record)
    assert tree(record).share("rest") > 0.1


def test_the_tree_begins_where_the_request_does_and_not_in_the_server(app, profile, serve, tree):
    app.add_url_rule("/slow", "slow", rest)
    profiled = profile(app)
    serve(app, "/slow")
    path = tree(profiled.only).paths("rest")[0]
    assert path[0].endswith("_wrapped_app")
    assert path[-2] == "Flask.dispatch_request"


def test_lines_say_where_they_are_and_what_they_read(app, profile, serve):
    app.add_url_rule("/slow", "slow", rest)
    profiled = profile(app)
    serve(app, "/slow")
    line = next(line for line in profiled.only.lines if line.function == "rest")
    assert (line.file, line.source, line.in_app) == ("test_requests.py", "time.sleep(seconds)", True)
    assert line.line == rest.__code__.co_firstlineno + 1
    library = next(line for line in profiled.only.lines if line.function == "Flask.dispatch_request")
    assert (library.file, library.in_app) == ("flask/app.py", False)


def test_the_span_of_a_profiled_request_says_so(app, profile, serve):
    app.add_url_rule("/slow", "slow", rest)
    profiled = profile(app)
    serve(app, "/slow")
    found = profiled.watched.span().attributes
    assert (found["fmd.profile"], found["fmd.profile.period_ms"]) == ("sampled", 2.0)


@pytest.mark.parametrize("level", [0, 1, 2])
def test_below_level_3_nothing_is_looked_at(app, profile, serve, level):
    app.add_url_rule("/slow", "slow", rest)
    profiled = profile(app, level=level)
    serve(app, "/slow")
    assert profiled.sampler.flush(FLUSH_S)
    assert (profiled.records, profiled.sampler.in_flight, profiled.sampler._running) == ([], 0, False)
    assert "fmd.profile" not in profiled.watched.span().attributes
    assert "ensure_sync" not in app.__dict__


def test_a_request_shorter_than_a_period_leaves_no_profile(app, profile, serve):
    profiled = profile(app, period_ms=1000.0)
    for _ in range(20):
        serve(app, "/")
    assert profiled.sampler.flush(FLUSH_S)
    assert profiled.records == []
    assert profiled.sampler.in_flight == 0
    assert profiled.sampler.looks == 0


def test_no_local_outlives_its_request_for_being_profiled(app, profile, serve):
    class Large:
        pass

    seen = []

    @app.route("/slow")
    def slow():
        large = Large()
        seen.append(weakref.ref(large))
        rest()
        return "x"

    profiled = profile(app)
    gc.disable()
    try:
        serve(app, "/slow")
        assert profiled.only.samples
        assert seen[0]() is None
    finally:
        gc.enable()


def test_equal_calls_from_two_lines_stay_apart(app, profile, serve, tree):
    def inner():
        rest()

    @app.route("/slow")
    def slow():
        inner()
        rest(2 * SLEEP_S)
        inner()
        return "x"

    profiled = profile(app)
    serve(app, "/slow")
    record = profiled.only
    inner_lines = {
        record.lines[record.nodes[node.parent].line].line
        for node in record.nodes
        if record.lines[node.line].function.endswith("inner")
    }
    assert len(inner_lines) == 2
    direct = [path for path in tree(record).paths("rest") if path[-2].endswith("slow")]
    assert len(direct) == 1


def decorated(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)

    return wrapper


class Callable:
    def __call__(self):
        rest()
        return "x"


class View(MethodView):
    def get(self):
        rest()
        return "x"


def generated():
    names = {"rest": rest}
    exec("def made():\n    return rest()\n", names)  # noqa: S102 # that is the point
    return names["made"]


@pytest.mark.parametrize(
    "view",
    [
        lambda: rest() + "!",
        decorated(lambda: rest() + "!"),
        functools.partial(lambda _x: rest(), 1),
        Callable(),
        View.as_view("view"),
        generated(),
    ],
    ids=["lambda", "decorated", "partial", "callable", "class", "generated"],
)
def test_whatever_can_be_called_is_profiled(app, profile, serve, tree, view):
    app.add_url_rule("/slow", "slow", view)
    profiled = profile(app)
    serve(app, "/slow")
    assert tree(profiled.only).share("rest") > 0.1
    assert_whole(profiled.only)


def test_generated_code_is_named_though_it_has_no_source(app, profile, serve):
    app.add_url_rule("/slow", "slow", generated())
    profiled = profile(app)
    serve(app, "/slow")
    line = next(line for line in profiled.only.lines if line.function == "made")
    assert (line.file, line.line, line.source) == ("<string>", 2, None)


def test_a_request_that_fails_is_profiled_too(app, profile, serve, tree):
    @app.route("/slow")
    def slow():
        rest()
        raise RuntimeError("broken")

    profiled = profile(app)
    assert serve(app, "/slow").status.startswith("500")
    assert tree(profiled.only).share("rest") > 0.1


def test_an_async_view_is_followed_to_its_thread(app, profile, serve, tree):
    import asyncio  # noqa: PLC0415 # costly, and only here

    async def inner():
        await asyncio.sleep(SLEEP_S)

    @app.route("/slow")
    async def slow():
        await inner()
        return "x"

    profiled = profile(app)
    serve(app, "/slow")
    record = profiled.only
    assert_whole(record)
    path = tree(record).paths("inner")[0]
    assert path[path.index("Flask.dispatch_request") + 1].endswith("slow")
    assert tree(record).share("slow") > 0.1


def test_computing_in_an_async_view_is_computing(app, profile, serve, tree, busy):
    @app.route("/slow")
    async def slow():
        busy(SLEEP_S)
        return "x"

    profiled = profile(app)
    serve(app, "/slow")
    record = profiled.only
    assert tree(record).share("slow") > 0.1
    assert record.cpu_us > 0.8e6 * SLEEP_S


def test_copied_request_contexts_are_followed(app, profile, serve, tree):
    @app.route("/slow")
    def slow():
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda work: work(), [copy_current_request_context(rest) for _ in range(2)]))
        return "x"

    profiled = profile(app)
    serve(app, "/slow")
    record = profiled.only
    assert_whole(record)
    path = tree(record).paths("rest")[0]
    assert any(name.endswith("slow") for name in path)
    assert tree(record).share("rest") > 0.1


def test_a_thread_that_takes_the_otel_context_along_is_followed(app, profile, serve, tree):
    def work(context):
        token = otel_context.attach(context)
        try:
            rest()
        finally:
            otel_context.detach(token)

    @app.route("/slow")
    def slow():
        thread = threading.Thread(target=work, args=(otel_context.get_current(),))
        thread.start()
        thread.join()
        return "x"

    profiled = profile(app)
    serve(app, "/slow")
    record = profiled.only
    path = tree(record).paths("rest")[0]
    assert path[-2].endswith("work")
    assert any(name.endswith("slow") for name in path)
    assert tree(record).share("work") > 0.1


def test_a_thread_without_the_requests_context_is_not_followed(app, profile, serve, tree):
    @app.route("/slow")
    def slow():
        thread = threading.Thread(target=rest)
        thread.start()
        thread.join()
        return "x"

    profiled = profile(app)
    serve(app, "/slow")
    assert tree(profiled.only).paths("rest") == []


def test_a_request_leaves_nothing_in_the_context_of_its_thread(app, profile, serve):
    app.add_url_rule("/slow", "slow", rest)
    profile(app)
    before = otel_context.get_current()
    serve(app, "/slow")
    after = otel_context.get_current()
    assert {key: value for key, value in after.items() if value is not None} == dict(before)


def test_a_streamed_body_is_profiled_and_its_server_is_not(app, profile, tree, environ):
    @app.route("/slow")
    def slow():
        def parts():
            for _ in range(3):
                rest()
                yield "part"

        return Response(stream_with_context(parts()))

    profiled = profile(app)
    body = app(environ("/slow"), lambda *_arguments: None)
    for _part in body:
        the_server_sends()
    body.close()
    record = profiled.only
    assert_whole(record)
    found = tree(record)
    assert found.share("rest") > 0.1
    assert found.share("[sending]") > 0.1
    assert found.paths("the_server_sends") == []


def the_server_sends():
    rest()


def test_another_requests_work_on_the_thread_of_an_open_stream_is_not_the_streams(
    app, profile, tree, environ, serve
):
    app.add_url_rule("/stream", "stream", lambda: Response(iter(["a", "b"])))
    app.add_url_rule("/slow", "slow", rest)
    profiled = profile(app)
    body = app(environ("/stream"), lambda *_arguments: None)
    assert next(body) == b"a"
    serve(app, "/slow")
    assert list(body) == [b"b"]
    body.close()
    profiled.sampler.flush(FLUSH_S)
    streamed = next(record for record in profiled.records if record.endpoint == "stream")
    assert tree(streamed).paths("rest") == []
    assert tree(streamed).share("[sending]") > 0.1


def test_a_body_that_nobody_reads_is_let_go(app, profile, environ):
    app.add_url_rule("/stream", "stream", lambda: Response(iter(["a", "b"])))
    profiled = profile(app)
    body = app(environ("/stream"), lambda *_arguments: None)
    rest()
    del body
    gc.collect()
    assert profiled.sampler.flush(FLUSH_S)
    assert profiled.sampler.in_flight == 0


def test_a_deep_recursion_costs_no_more_than_the_bound(app, profile, serve):
    def down(depth):
        if depth:
            return down(depth - 1)
        rest()
        return "x"

    app.add_url_rule("/slow", "slow", lambda: down(600))
    profiled = profile(app)
    serve(app, "/slow")
    record = profiled.only
    assert record.truncated
    assert len(record.nodes) <= 1024
    roots = {record.lines[node.line].function for node in record.nodes if node.parent < 0}
    assert "[truncated]" in roots
    assert_whole(record)


def test_a_view_of_a_middleware_that_raises_ends_its_profile(app, profile, environ):
    profiled = profile(app)
    recorder = app.wsgi_app
    inner = recorder.wsgi_app

    def broken(environ, start_response):
        list(inner(environ, start_response))
        rest()
        raise RuntimeError("middleware")

    recorder.wsgi_app = broken
    with pytest.raises(RuntimeError):
        app(environ("/"), lambda *_arguments: None)
    assert profiled.only.samples
    assert profiled.sampler.in_flight == 0


def test_uninstrumenting_gives_the_application_back(app, profile, serve):
    app.add_url_rule("/slow", "slow", rest)
    profiled = profile(app)
    serve(app, "/slow")
    assert "ensure_sync" in app.__dict__
    profiled.watched.handle.uninstrument()
    assert "ensure_sync" not in app.__dict__
    assert serve(app, "/slow").body == b"rested"
    assert len(profiled.records) <= 1


def test_functions_are_called_as_flask_would(app, profile, serve):
    """Plain ones as they are; whatever else, as the application itself says."""
    app.add_url_rule("/slow", "slow", rest)
    before = app.ensure_sync

    def plain():
        return "plain"

    async def coroutine():
        return "awaited"

    @functools.wraps(coroutine)
    def decorated():
        return "decorated"

    profile(app)
    serve(app, "/slow")
    assert app.ensure_sync is not before
    assert app.ensure_sync(plain) is plain
    assert app.ensure_sync(decorated) is decorated
    assert app.ensure_sync(app.test_client) == app.test_client
    assert app.ensure_sync(coroutine)() == "awaited"


def test_an_application_that_calls_functions_in_a_way_of_its_own_is_asked_how(app, profile, serve):
    asked = []

    class Own(type(app)):
        def ensure_sync(self, function):
            asked.append(function)
            return super().ensure_sync(function)

    own = Own("own")
    own.add_url_rule("/slow", "slow", rest)
    profile(own)
    assert serve(own, "/slow").body == b"rested"
    assert rest in asked


def test_a_websocket_is_not_profiled(app, profile, serve):
    app.add_url_rule("/slow", "slow", rest)
    profiled = profile(app)
    serve(app, "/slow", HTTP_UPGRADE="websocket")
    profiled.sampler.flush(FLUSH_S)
    assert profiled.records == []
    assert profiled.watched.sink.only.level == 0


def test_a_profiler_that_fails_leaves_the_request_alone(app, profile, serve, monkeypatch):
    profiled = profile(app)

    def explode(*_arguments):
        raise RuntimeError("ours")

    for method in ("begin", "describe", "end"):
        monkeypatch.setattr(profiled.watcher, method, explode)
    assert serve(app, "/").body == b"hello"
    assert set(profiled.watched.handle.failures) == {
        "profiler (begin)",
        "profiler (describe)",
        "profiler (end)",
    }


def test_an_instrumented_thread_pool_is_followed_by_its_spans(app, profile, serve, tree, sink, sampler):
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 # beside its only use

    from fmd_otel.profiler.span_processor import StackSamplingSpanProcessor  # noqa: PLC0415 # the same

    provider = TracerProvider()
    provider.add_span_processor(StackSamplingSpanProcessor(pipeline=sink, sampler=sampler))
    tracer = trace.get_tracer("test", tracer_provider=provider)

    def work(context):
        with tracer.start_as_current_span("work", context=context):
            rest()

    @app.route("/slow")
    def slow():
        with ThreadPoolExecutor(1) as pool:
            pool.submit(work, otel_context.get_current()).result()
        return "x"

    profiled = profile(app, provider=provider)
    serve(app, "/slow")
    assert tree(profiled.only).share("work") > 0.1


def test_of_a_request_that_is_over_early_no_more_than_a_note_is_made(app, profile, serve, monkeypatch):
    made = []
    monkeypatch.setattr(ProfileWatcher, "_begin_late", lambda _self, state: made.append(state))
    profiled = profile(app, period_ms=1000.0)
    for _ in range(20):
        serve(app, "/")
    assert made == []
    assert profiled.sampler.in_flight == 0
    assert not shared_follower().homes
    assert not shared_follower()._traces


def test_a_request_that_ends_while_its_profile_is_begun_leaves_nothing(app, profile, environ):
    states = []

    @app.route("/note")
    def note():
        states.append(request.environ[STATE_KEY])
        return "x"

    profiled = profile(app, period_ms=1000.0)
    list(app(environ("/note"), lambda *_arguments: None))
    (state,) = states
    # As the sampler's thread would find it, had it come a moment earlier.
    state.profiler = profiled.watcher
    assert profiled.watcher.grow(state).ended
    assert profiled.sampler.in_flight == 0
    assert profiled.watcher.grow(state) is state.profile


def test_a_profile_is_begun_once_whoever_comes_first(app, profile, serve):
    found = []

    @app.route("/slow")
    def slow():
        state = request.environ[STATE_KEY]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: profiled.watcher.grow(state), range(50)))
        found.append((state.profile, profiled.sampler.in_flight))
        rest()
        return "x"

    profiled = profile(app)
    serve(app, "/slow")
    assert profiled.only.samples
    ((begun, in_flight),) = found
    assert begun is not None
    assert in_flight in {1, 2}  # and its note, until the next turn


def test_two_requests_of_one_trace_are_told_apart(app, profile, serve, tree):
    barrier = threading.Barrier(2)

    def first_work():
        rest()

    def second_work():
        rest()

    def with_context(context, work):
        token = otel_context.attach(context)
        try:
            work()
        finally:
            otel_context.detach(token)

    def served(work):
        def view():
            barrier.wait(60)
            thread = threading.Thread(target=with_context, args=(otel_context.get_current(), work))
            thread.start()
            thread.join()
            barrier.wait(60)
            return "x"

        return view

    app.add_url_rule("/first", "first", served(first_work))
    app.add_url_rule("/second", "second", served(second_work))
    profiled = profile(app)
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    clients = [
        threading.Thread(target=serve, args=(app, path), kwargs={"HTTP_TRACEPARENT": parent})
        for path in ("/first", "/second")
    ]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    records = {record.endpoint: record for record in profiled.all}
    assert tree(records["first"]).share("first_work") > 0.1
    assert tree(records["second"]).share("second_work") > 0.1
    assert tree(records["first"]).paths("second_work") == []
    assert tree(records["second"]).paths("first_work") == []
    assert not shared_follower()._traces
