from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fmd_otel_exporter.records import RequestRecord
from fmd_otel_exporter.spool.codec import KIND_REQUEST, UnknownLayoutError, decode, encode

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
    assert kind == KIND_REQUEST
    assert isinstance(record, RequestRecord)
