from __future__ import annotations

import contextlib

import pytest

from fmd_otel_exporter.spool.codec import KIND_REQUEST, UnknownLayoutError, decode, encode


def test_a_record_comes_back_as_it_was(record) -> None:
    assert decode(*encode(record())) == record()


def test_none_and_the_empty_text_stay_two_things(record) -> None:
    nothing = record(group_by=None, ip=None, headers_us=None, route=None, blueprint=None)
    empty = record(group_by="", ip="", headers_us=0, route="", blueprint="")
    assert decode(*encode(nothing)) == nothing
    assert decode(*encode(empty)) == empty


def test_text_with_the_separator_inside_comes_back(record) -> None:
    odd = record(endpoint="a\0b", group_by="\0", ip="\0\0", route=None)
    assert decode(*encode(odd)) == odd


def test_text_that_is_no_valid_unicode_comes_back(record) -> None:
    odd = record(group_by="\udcff\ud800", route="/\U0001f600")
    assert decode(*encode(odd)) == odd


@pytest.mark.parametrize("value", [-(2**63), -1, 0, 2**63 - 1])
def test_64_bits_and_a_sign_fit(record, value) -> None:
    odd = record(ts_us=value, duration_us=value, headers_us=value)
    assert decode(*encode(odd)) == odd


@pytest.mark.parametrize("status", [-(2**31), 2**31 - 1, 1000])
def test_a_status_that_no_row_holds_comes_back(record, status) -> None:
    odd = record(status=status)
    assert decode(*encode(odd)) == odd


@pytest.mark.parametrize("status", [-(2**31) - 1, 2**31, 10**400])
def test_a_status_that_is_larger_still_is_unknown(record, status) -> None:
    assert decode(*encode(record(status=status))) == record(status=0)


def test_a_kind_of_a_later_release_is_told_apart() -> None:
    with pytest.raises(UnknownLayoutError):
        decode(KIND_REQUEST + 1, b"anything")


def test_no_payload_does_more_than_raise_that_it_is_unknown(record) -> None:
    _, payload = encode(record(endpoint="with\0separator"))
    for end in range(len(payload)):
        with contextlib.suppress(UnknownLayoutError):
            decode(KIND_REQUEST, payload[:end])


def test_flags_of_a_later_release_are_not_guessed_at(record) -> None:
    _, payload = encode(record())
    with pytest.raises(UnknownLayoutError):
        decode(KIND_REQUEST, bytes([payload[0] | 64]) + payload[1:])
