"""Every form of ``group_by`` that the documentation of Flask-MonitoringDashboard lists, and then some."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.local import LocalProxy

from fmd_otel.group_by import MAX_LENGTH, group_text
from fmd_otel_exporter.schema import SUBJECT_LENGTH


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3, "3"),
        (3.5, "3.5"),
        (True, "True"),
        (b"anna", "anna"),
        (b"\xff", "\\xff"),
        ("username", "username"),
        ("", ""),
        (None, None),
        (lambda: None, None),
        (lambda: 3, "3"),
        (lambda: ("User", 3), "(User,3)"),
        (lambda: lambda: 3, "3"),
        (("User", lambda: 3), "(User,3)"),
        (lambda: "username", "username"),
        (lambda: ["Username", "username"], "(Username,username)"),
        (lambda: [("User", lambda: 3), ("User-name", lambda: "username")], "((User,3),(User-name,username))"),
        ([("User", lambda: 3), ("User-name", lambda: "username")], "((User,3),(User-name,username))"),
        (("User", None), "(User,None)"),
        ((), "()"),
        (("only",), "(only)"),
        (LocalProxy(lambda: "behind a proxy"), "behind a proxy"),
        (LocalProxy(lambda: 7), "7"),
        (LocalProxy(lambda: None), None),
        ({"a": 1}, "{'a': 1}"),
        ("nul\0byte", "nul\\x00byte"),
        ("lone \ud800 surrogate", "lone \\ud800 surrogate"),
        ("größe", "größe"),
    ],
)
def test_the_forms_of_the_documentation(value, text):
    assert group_text(value) == text


def test_an_object_is_its_text():
    class User:
        def __str__(self):
            return "anna"

    assert group_text(lambda: User()) == "anna"  # noqa: PLW0108 # the form the documentation shows


def test_a_list_that_holds_itself_ends():
    endless: list[object] = []
    endless.append(endless)
    with pytest.raises(RecursionError):
        group_text(endless)


def test_the_longest_text_is_what_the_column_holds():
    assert MAX_LENGTH == SUBJECT_LENGTH


@given(st.recursive(st.none() | st.text() | st.integers() | st.binary(), st.lists, max_leaves=20))
def test_the_text_is_plain_bounded_and_storable(value):
    text = group_text(value)
    if text is not None:
        assert type(text) is str
        assert len(text) <= MAX_LENGTH
        assert "\0" not in text
        text.encode("utf-8")


@given(st.text(min_size=MAX_LENGTH), st.text(min_size=1))
def test_different_long_texts_stay_different(beginning, more):
    assert group_text(beginning) != group_text(beginning + more)
