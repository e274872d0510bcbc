from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from fmd_otel_exporter.spool.segment import (
    FILE_HEADER,
    FILE_MAGIC,
    MAX_PAYLOAD,
    SegmentFile,
    frame,
    scan,
    write_segment,
)

if TYPE_CHECKING:
    from pathlib import Path

FRAMES = [(1, b"first"), (2, b""), (1, b"third \xf5\xd1 with a marker inside")]
WHOLE = FILE_HEADER + b"".join(frame(*each) for each in FRAMES)


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_all_frames_come_back_in_order() -> None:
    contents = scan(WHOLE)
    assert contents.frames == FRAMES
    assert (contents.damaged, contents.torn, contents.newer) == (0, False, False)


def test_a_last_frame_torn_at_any_byte_is_cut_and_the_rest_kept() -> None:
    last = len(frame(*FRAMES[-1]))
    for missing in range(1, last + 1):
        contents = scan(WHOLE[:-missing])
        assert contents.frames == FRAMES[:-1]
        assert contents.damaged == 0
        assert contents.torn is (missing < last)


def test_a_file_torn_within_its_header_is_empty() -> None:
    for length in range(len(FILE_HEADER) + 1):
        contents = scan(FILE_HEADER[:length])
        assert (contents.frames, contents.damaged, contents.torn) == ([], 0, False)


def test_a_damaged_byte_anywhere_costs_its_own_frame_only() -> None:
    middle = len(FILE_HEADER) + len(frame(*FRAMES[0]))
    for position in range(middle, middle + len(frame(*FRAMES[1]))):
        damaged = bytearray(WHOLE)
        damaged[position] ^= 0x41
        contents = scan(bytes(damaged))
        assert contents.frames == [FRAMES[0], FRAMES[2]]
        assert contents.damaged == 1


def test_zeros_at_the_end_are_what_a_power_cut_leaves() -> None:
    contents = scan(WHOLE + bytes(4096))
    assert contents.frames == FRAMES
    assert (contents.damaged, contents.torn) == (0, True)


def test_rubbish_at_the_end_is_counted() -> None:
    contents = scan(WHOLE + b"rubbish of more than eleven bytes")
    assert contents.frames == FRAMES
    assert contents.damaged == 1


def test_a_damaged_header_costs_no_frame() -> None:
    contents = scan(b"X" + WHOLE[1:])
    assert contents.frames == FRAMES
    assert contents.damaged == 1


def test_another_file_format_is_left_alone() -> None:
    contents = scan(FILE_MAGIC + b"\x02\x00" + WHOLE[len(FILE_MAGIC) + 2 :])
    assert contents.newer
    assert contents.frames == []


def test_a_frame_no_reader_would_believe_is_not_written() -> None:
    with pytest.raises(ValueError, match="at most"):
        frame(1, bytes(MAX_PAYLOAD + 1))


def test_a_segment_is_readable_by_its_user_alone(tmp_path) -> None:
    before = os.umask(0)
    try:
        segment = SegmentFile(tmp_path / "a.seg")
        segment.close()
        write_segment(tmp_path / "b.seg", [frame(1, b"x")])
    finally:
        os.umask(before)
    for name in ("a.seg", "b.seg"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    assert names(tmp_path) == ["a.seg", "b.seg"]


def test_a_segment_that_exists_is_never_written_into(tmp_path) -> None:
    SegmentFile(tmp_path / "a.seg").close()
    with pytest.raises(FileExistsError):
        SegmentFile(tmp_path / "a.seg")


def test_what_was_written_behind_its_back_is_noticed(tmp_path) -> None:
    segment = SegmentFile(tmp_path / "a.seg")
    assert segment.is_whole()
    os.write(segment.fd, b"?")
    assert not segment.is_whole()
    segment.discard()
    assert names(tmp_path) == []
