"""One append-only file of checksummed frames.

A frame is ``marker, kind, length, crc32, payload``. The checksum covers kind and length too. The marker's
first byte occurs in no UTF-8 text, which is what most of a payload is, so that behind a damaged stretch the
next whole frame is found by looking for it. Nothing marks the end of a segment: its writer, or nobody,
appends to it, and the lock of :mod:`.owner` says which.
"""

from __future__ import annotations

import contextlib
import os
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from zlib import crc32

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

FILE_MAGIC = b"FMDSPOOL"
FILE_FORMAT = 1
FILE_HEADER = FILE_MAGIC + struct.pack("<HHI", FILE_FORMAT, 0, 0)
_HEADER_SIZE = len(FILE_HEADER)

MARKER = b"\xf5\xd1"
_FRAME = struct.Struct("<2sBII")
FRAME_OVERHEAD = _FRAME.size
MAX_PAYLOAD = 16 * 1024 * 1024
"""More than any record can sensibly be: a larger length in a file is damage, a larger record is refused."""
_PROBE_SIZE = 65_536
_KIND_SHIFT = 24  # above any length, so that kind and length share one seed of the checksum


def frame(kind: int, payload: bytes) -> bytes:
    """Return the bytes to append for one record.

    Raises:
        ValueError: The payload is larger than a reader would believe.
    """
    length = len(payload)
    if length > MAX_PAYLOAD:
        raise ValueError(f"a record of {length} bytes; at most {MAX_PAYLOAD} can be spooled")
    return _FRAME.pack(MARKER, kind, length, crc32(payload, (kind << _KIND_SHIFT) ^ length)) + payload


@dataclass
class Contents:
    """What could be read out of a segment."""

    frames: list[tuple[int, bytes]] = field(default_factory=list)
    damaged: int = 0
    """Stretches of bytes that are no frame although frames follow, or that no interrupted write explains."""
    torn: bool = False
    """The last frame is incomplete: its writer was killed before it could acknowledge the record."""
    newer: bool = False
    """The file says that a newer release wrote it in another format; nothing was read."""


def scan(data: bytes) -> Contents:
    """Read every whole frame of a segment's bytes, whatever surrounds them."""
    contents = Contents()
    end = len(data)
    if end < _HEADER_SIZE and FILE_HEADER.startswith(data):
        return contents  # killed between creating the file and completing its header: empty, nothing lost
    position = 0
    if data.startswith(FILE_MAGIC):
        if data[len(FILE_MAGIC) : _HEADER_SIZE] != FILE_HEADER[len(FILE_MAGIC) :]:
            contents.newer = True
            return contents
        position = _HEADER_SIZE
    frames = contents.frames
    while position < end:
        payload_at = position + FRAME_OVERHEAD
        if payload_at <= end:
            marker, kind, length, checksum = _FRAME.unpack_from(data, position)
            if marker == MARKER:
                payload = data[payload_at : payload_at + length]
                if len(payload) == length and crc32(payload, (kind << _KIND_SHIFT) ^ length) == checksum:
                    frames.append((kind, payload))
                    position = payload_at + length
                    continue
        following = _next_frame(data, position + 1)
        if following < 0:
            if _is_torn(data, position):
                contents.torn = True
            else:
                contents.damaged += 1
            break
        contents.damaged += 1
        position = following
    return contents


def _next_frame(data: bytes, position: int) -> int:
    """Return where the next whole frame begins, or -1."""
    end = len(data)
    while (position := data.find(MARKER, position)) >= 0:
        payload_at = position + FRAME_OVERHEAD
        if payload_at > end:
            return -1
        _, kind, length, checksum = _FRAME.unpack_from(data, position)
        if length <= min(MAX_PAYLOAD, end - payload_at):
            payload = data[payload_at : payload_at + length]
            if crc32(payload, (kind << _KIND_SHIFT) ^ length) == checksum:
                return position
        position += 1
    return -1


def _is_torn(data: bytes, position: int) -> bool:
    """Tell whether the rest looks like the beginning of a frame, as an interrupted write leaves it."""
    rest = len(data) - position
    if rest < FRAME_OVERHEAD:
        return data[position : position + len(MARKER)] == MARKER[:rest]
    marker, _, length, _ = _FRAME.unpack_from(data, position)
    if marker == MARKER:
        return bool(length > rest - FRAME_OVERHEAD)
    return not any(
        data[position:]
    )  # after a power cut the size may be on disk, but zeros instead of the content


def read_segment(path: Path) -> Contents:
    """Read a segment file.

    Raises:
        OSError: It is not there, or cannot be read.
    """
    return scan(path.read_bytes())


def write_segment(path: Path, frames: Iterable[bytes]) -> int:
    """Write a whole segment at once, under its name only when complete; return its size in bytes.

    Raises:
        OSError: It cannot be written; no trace of it is left.
    """
    data = FILE_HEADER + b"".join(frames)
    temporary = path.with_suffix(".tmp")
    try:
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:  # noqa: PTH123 # Path.open cannot set the mode that a new file gets
            file.write(data)
        temporary.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    return len(data)


class SegmentFile:
    """The end of a segment that is still written."""

    __slots__ = ("fd", "path", "size")

    def __init__(self, path: Path) -> None:
        """Create the file, readable by its user alone.

        Raises:
            OSError: It cannot be created.
        """
        self.path = path
        self.fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        self.size = 0
        try:
            self.append(FILE_HEADER)
        except OSError:
            self.discard()
            raise

    def append(self, data: bytes) -> None:
        """Hand bytes to the kernel, which keeps them whatever happens to this process.

        Raises:
            OSError: They did not fit; the file ends where it ended before.
        """
        try:
            written = os.write(self.fd, data)
            while written != len(data):  # the disk took only part: it takes the rest too, or says why not
                written += os.write(self.fd, data[written:])
        except OSError:
            # What is appended when there is space again must not follow half a frame, and a whole one must
            # not stay: it is kept elsewhere now.
            with contextlib.suppress(OSError):
                os.ftruncate(self.fd, self.size)
            raise
        self.size += len(data)

    def is_whole(self) -> bool:
        """Tell whether the file holds exactly what :meth:`append` reported as written.

        An exception that another thread or a signal throws into the middle of an append leaves a frame in the
        file that its caller never heard about.
        """
        with contextlib.suppress(OSError):
            return os.fstat(self.fd).st_size == self.size
        return False

    def probe(self) -> None:
        """Find out whether there is room for more than an empty file.

        Raises:
            OSError: There is not.
        """
        size = self.size
        self.append(bytes(_PROBE_SIZE))
        os.ftruncate(self.fd, size)
        self.size = size

    def close(self) -> None:
        """Close the file, at most once."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            with contextlib.suppress(OSError):
                os.close(fd)

    def discard(self) -> None:
        """Close and remove the file."""
        self.close()
        with contextlib.suppress(OSError):
            self.path.unlink()
