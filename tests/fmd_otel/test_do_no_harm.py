"""Whatever fails on our side, the response stays as it was, and the failure is counted and told once."""

from __future__ import annotations

import logging

import pytest
from flask import request
from opentelemetry.sdk.trace import TracerProvider

from fmd_otel.request_state import RequestState


class ExplosionError(Exception):
    pass


def explode(*_args, **_kwargs):
    raise ExplosionError("ours")


class HostileText(str):
    """A string that raises whenever it is looked at."""

    __slots__ = ()

    __str__ = __repr__ = __len__ = __format__ = __eq__ = __hash__ = encode = isascii = replace = explode


class HostileObject:
    __str__ = __repr__ = explode


def assert_served(app, serve):
    for _ in range(3):
        answer = serve(app, "/")
        assert (answer.status, answer.body) == ("200 OK", b"hello")


def test_group_by_that_raises(app, watch, serve, caplog):
    watched = watch(app, group_by=explode)
    assert_served(app, serve)
    assert [record.group_by for record in watched.sink.records] == [None] * 3
    assert watched.handle.failures == {"group_by": 3}
    told = [record for record in caplog.records if record.name == "fmd_otel"]
    assert len(told) == 1
    assert told[0].exc_info[0] is ExplosionError


@pytest.mark.parametrize("value", [HostileObject(), (1, HostileObject()), HostileObject])
def test_group_by_whose_text_raises(app, watch, serve, value):
    watched = watch(app, group_by=lambda: value)
    assert_served(app, serve)
    assert watched.handle.failures == {"group_by": 3}


def test_group_by_that_returns_a_string_of_its_own_kind(app, watch, serve):
    watched = watch(app, group_by=lambda: HostileText("user"))
    assert_served(app, serve)
    assert [type(record.group_by) for record in watched.sink.records] == [str] * 3
    assert watched.sink.records[0].group_by == "user"


def test_group_by_that_never_ends(app, watch, serve):
    def endless():
        return endless

    watched = watch(app, group_by=endless)
    assert_served(app, serve)
    assert watched.handle.failures == {"group_by": 3}


def test_group_by_that_is_async(app, watch, serve, recwarn):
    async def group():
        return "user"

    watched = watch(app, group_by=group)
    assert_served(app, serve)
    assert watched.handle.failures == {"group_by": 3}
    assert not [warning for warning in recwarn if "never awaited" in str(warning.message)]


def test_get_ip_that_raises_falls_back_to_the_servers_word(app, watch, serve):
    watched = watch(app, get_ip=explode)
    assert_served(app, serve)
    assert [record.ip for record in watched.sink.records] == ["127.0.0.1"] * 3
    assert watched.handle.failures == {"get_ip": 3}


def test_get_ip_that_returns_a_hostile_object(app, watch, serve):
    watched = watch(app, get_ip=HostileObject)
    assert_served(app, serve)
    assert watched.handle.failures == {"get_ip": 3}


@pytest.mark.parametrize("method", ["offer", "level_of"])
def test_a_pipeline_that_raises(app, watch, serve, method):
    watched = watch(app)
    setattr(watched.sink, method, explode)
    assert_served(app, serve)
    assert sum(watched.handle.failures.values()) >= 3


@pytest.mark.parametrize("method", ["describe", "finish", "_record"])
def test_a_state_that_raises(app, watch, serve, method, monkeypatch):
    watched = watch(app)
    if method == "finish":
        # finish() guards itself; what it calls may raise.
        monkeypatch.setattr(RequestState, "_record", explode)
    else:
        monkeypatch.setattr(RequestState, method, explode)
    assert_served(app, serve)
    assert sum(watched.handle.failures.values()) >= 3


def test_a_recorder_that_cannot_even_begin(app, watch, serve, monkeypatch):
    watched = watch(app)
    monkeypatch.setattr(RequestState, "__init__", explode)
    assert_served(app, serve)
    assert watched.handle.failures == {"recorder": 3}


def test_a_description_that_raises_still_counts_the_request_once(app, watch, serve, monkeypatch):
    watched = watch(app)
    monkeypatch.setattr(watched.monitor, "_learn", explode)
    assert_served(app, serve)
    assert len(watched.sink.records) == 3
    assert watched.span().attributes["fmd.recorded"] is True


def test_a_span_that_raises(app, watch, serve, monkeypatch):
    watched = watch(app)
    monkeypatch.setattr("opentelemetry.sdk.trace.Span.set_attributes", explode)
    assert_served(app, serve)
    assert [record.endpoint for record in watched.sink.records] == ["index"] * 3


def test_a_teardown_that_raises(app, watch, monkeypatch):
    @app.route("/x")
    def x():
        raise ValueError("theirs")

    app.testing = True
    watched = watch(app)
    monkeypatch.setattr(RequestState, "tear_down", explode)
    with pytest.raises(ValueError, match="theirs"):
        app.test_client().get("/x")
    assert watched.handle.failures == {"teardown": 1}
    assert watched.sink.only.status == 500


def test_a_body_that_cannot_be_wrapped_is_sent_as_it_is(app, watch, serve, monkeypatch):
    watched = watch(app)
    monkeypatch.setattr("fmd_otel.request_state.Body", explode)
    assert_served(app, serve)
    assert len(watched.sink.records) == 3
    assert watched.handle.failures == {"body": 3}


def test_a_log_that_raises(app, watch, serve, monkeypatch):
    watched = watch(app, group_by=explode)
    monkeypatch.setattr(logging.getLogger("fmd_otel"), "warning", explode)
    assert_served(app, serve)
    assert watched.handle.failures == {"group_by": 3}


def test_the_users_own_errors_keep_their_traceback(app, watch):
    @app.route("/x")
    def x():
        raise ExplosionError("theirs")

    app.testing = True
    watch(app)
    with pytest.raises(ExplosionError, match="theirs") as caught:
        app.test_client().get("/x")
    assert caught.traceback[-1].name == "x"


def test_a_timeout_raised_inside_of_group_by_belongs_to_the_server(app, watch, serve):
    def abandoned():
        raise SystemExit(1)

    watched = watch(app, group_by=abandoned)
    with pytest.raises(SystemExit):
        serve(app, "/")
    assert len(watched.sink.records) == 1


def test_very_long_values_are_cut_and_stay_different(app, watch, serve):
    watched = watch(app, group_by=lambda: request.headers["X-User"])
    serve(app, "/", HTTP_X_USER="u" * 10_000 + "1")
    serve(app, "/", HTTP_X_USER="u" * 10_000 + "2")
    one, two = (record.group_by for record in watched.sink.records)
    assert len(one) == len(two) == 512
    assert one != two


def test_a_provider_that_drops_and_a_processor_that_raises_are_not_our_affair(app, watch, serve):
    provider = TracerProvider()
    watched = watch(app, provider=provider)
    provider.shutdown()
    assert_served(app, serve)
    assert len(watched.sink.records) == 3
