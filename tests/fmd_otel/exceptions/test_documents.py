"""What is kept of an exception: scrubbed, bounded, and nothing that outlives its request."""

from __future__ import annotations

import gc
import json
import weakref
from functools import partial

import pytest

import fmd_otel
from fmd_otel.exceptions import collector
from fmd_otel.exceptions.variables import MOST_VARIABLES
from fmd_otel.settings import Settings
from tests.fmd_otel.exceptions.made import Kept, OutOfStockError, code, document, met, only, raising


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
