from __future__ import annotations

import json
import struct

from hypothesis import given
from hypothesis import strategies as st

from fmd_otel_exporter.records import (
    CodeLine,
    DetailRecord,
    ExceptionRecord,
    OutlierRecord,
    ProfileNode,
    ProfileRecord,
    RequestRecord,
    TraceRecord,
)
from fmd_otel_exporter.spool.codec import KIND_NAMES, KIND_REQUEST, UnknownLayoutError, decode, encode

TEXT = st.text(alphabet=st.characters(), max_size=40) | st.text(alphabet="\0a\udc80", max_size=6)
WIDE = st.integers(min_value=-(2**63), max_value=2**63 - 1)

REQUESTS = st.builds(
    RequestRecord,
    service=TEXT,
    endpoint=TEXT,
    ts_us=WIDE,
    span_id=st.binary(max_size=255),
    trace_id=st.binary(max_size=255),
    duration_us=WIDE,
    status=st.integers(min_value=-(2**31), max_value=2**31 - 1),
    method=TEXT,
    version=TEXT,
    group_by=st.none() | TEXT,
    ip=st.none() | TEXT,
    headers_us=st.none() | WIDE,
    level=st.integers(min_value=-(2**15), max_value=2**15 - 1),
    route=st.none() | TEXT,
    blueprint=st.none() | TEXT,
)

LINES = st.builds(CodeLine, TEXT, TEXT, WIDE, st.none() | TEXT, st.booleans())
NAMES = {
    "service": TEXT,
    "endpoint": TEXT,
    "version": TEXT,
    "ts_us": WIDE,
    "span_id": st.binary(max_size=32),
    "trace_id": st.binary(max_size=32),
}
DETAILS = st.one_of(
    st.builds(
        ProfileRecord,
        **NAMES,
        duration_us=WIDE,
        cpu_us=WIDE,
        samples=WIDE,
        period_us=WIDE,
        exact=st.booleans(),
        truncated=st.booleans(),
        lines=st.lists(
            st.builds(CodeLine, TEXT, TEXT, WIDE, st.none() | TEXT, st.booleans()), max_size=3
        ).map(tuple),
        nodes=st.lists(st.builds(ProfileNode, WIDE, WIDE, WIDE, WIDE, WIDE), max_size=3).map(tuple),
        price_us=WIDE,
    ),
    st.builds(
        OutlierRecord,
        **NAMES,
        duration_us=WIDE,
        average_us=WIDE,
        threshold_us=WIDE,
        status=WIDE,
        group_by=st.none() | TEXT,
        ip=st.none() | TEXT,
        cpu_percent=st.none() | st.floats(allow_nan=False, allow_infinity=False),
        process_memory_bytes=st.none() | WIDE,
        document=st.binary(max_size=50),
    ),
    st.builds(
        ExceptionRecord,
        **NAMES,
        group_id=WIDE,
        kind=WIDE,
        type=TEXT,
        message=TEXT,
        group_by=st.none() | TEXT,
        document=st.none() | st.binary(max_size=50),
        place=TEXT,
        n=WIDE,
    ),
    st.builds(TraceRecord, **NAMES, document=st.binary(max_size=50)),
)


@given(DETAILS)
def test_every_detail_comes_back_equal_and_of_the_same_types(detail: DetailRecord) -> None:
    back = decode(*encode(detail))
    assert back == detail
    assert type(back) is type(detail)
    assert [type(field) for field in back] == [type(field) for field in detail]
    if isinstance(back, ProfileRecord):
        assert all(isinstance(line, CodeLine) for line in back.lines)
        assert all(isinstance(node, ProfileNode) for node in back.nodes)


@given(DETAILS.filter(lambda each: isinstance(each, ProfileRecord)))
def test_a_profile_of_an_older_release_comes_back_without_its_price(detail: ProfileRecord) -> None:
    _, payload = encode(detail)
    [length] = struct.unpack_from("<I", payload)
    assert length == 0xFFFFFFFF
    older = payload[:4] + json.dumps(json.loads(payload[4:])[:-1]).encode()
    assert decode(2, older) == detail._replace(price_us=0)


@given(DETAILS, st.data())
def test_a_detail_cut_off_is_unknown_or_lacks_some_of_its_document(
    detail: DetailRecord, data: st.DataObject
) -> None:
    kind, payload = encode(detail)
    try:
        back = decode(kind, payload[: data.draw(st.integers(min_value=0, max_value=len(payload)))])
    except UnknownLayoutError:
        return
    assert type(back) is type(detail)
    assert back[:6] == detail[:6]


@given(REQUESTS)
def test_every_request_comes_back_equal_and_of_the_same_types(request: RequestRecord) -> None:
    back = decode(*encode(request))
    assert back == request
    assert [type(field) for field in back] == [type(field) for field in request]


@given(st.integers(min_value=0, max_value=255), st.binary(max_size=200))
def test_no_bytes_do_more_than_raise_that_they_are_unknown(kind: int, payload: bytes) -> None:
    try:
        record = decode(kind, payload)
    except UnknownLayoutError:
        return
    assert kind in KIND_NAMES
    assert (kind == KIND_REQUEST) == isinstance(record, RequestRecord)
