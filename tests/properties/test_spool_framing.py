from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fmd_otel_exporter.spool.segment import FILE_HEADER, FRAME_OVERHEAD, frame, scan

PAYLOADS = st.binary(max_size=60) | st.sampled_from([b"", b"\xf5", b"\xf5\xd1", b"\xf5\xd1" * 9, bytes(11)])
FRAMES = st.lists(st.tuples(st.integers(min_value=0, max_value=255), PAYLOADS), max_size=8)


def whole(frames: list[tuple[int, bytes]]) -> bytes:
    return FILE_HEADER + b"".join(frame(*each) for each in frames)


@given(FRAMES)
def test_frames_come_back_whatever_is_in_them(frames: list[tuple[int, bytes]]) -> None:
    contents = scan(whole(frames))
    assert contents.frames == frames
    assert (contents.damaged, contents.torn) == (0, False)


@given(FRAMES, st.data())
def test_a_file_cut_anywhere_keeps_every_frame_that_is_complete(
    frames: list[tuple[int, bytes]], data: st.DataObject
) -> None:
    full = whole(frames)
    end = data.draw(st.integers(min_value=0, max_value=len(full)))
    complete = []
    position = len(FILE_HEADER)
    for each in frames:
        position += FRAME_OVERHEAD + len(each[1])
        if position <= end:
            complete.append(each)
    contents = scan(full[:end])
    assert contents.frames == complete
    assert contents.damaged == 0
    boundaries = [len(whole(frames[:n])) for n in range(len(frames) + 1)]
    assert contents.torn is (end > len(FILE_HEADER) and end not in boundaries)


@given(FRAMES, st.binary(max_size=30), st.data())
def test_damage_costs_only_the_frames_that_it_touches(
    frames: list[tuple[int, bytes]], rubbish: bytes, data: st.DataObject
) -> None:
    full = whole(frames)
    start = data.draw(st.integers(min_value=len(FILE_HEADER), max_value=len(full)))
    end = data.draw(st.integers(min_value=start, max_value=len(full)))
    untouched = []
    position = len(FILE_HEADER)
    for each in frames:
        following = position + FRAME_OVERHEAD + len(each[1])
        if following <= start or position >= end:
            untouched.append(each)
        position = following
    found = iter(scan(full[:start] + rubbish + full[end:]).frames)
    assert all(each in found for each in untouched)  # all of them, in this order


@given(st.binary(max_size=300), st.booleans())
def test_no_bytes_at_all_are_too_strange(data: bytes, headed: bool) -> None:  # noqa: FBT001 # drawn, not passed
    contents = scan(FILE_HEADER + data if headed else data)
    assert contents.damaged >= 0
