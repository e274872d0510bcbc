"""What is read from an exception at once, on the request's own thread: no more than is gone afterwards.

No frame and no exception is kept: they hold every local variable of the request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from fmd_otel.exceptions.codepath import members_of, type_name
from fmd_otel.exceptions.variables import shown_variables

if TYPE_CHECKING:
    from types import CodeType, FrameType, TracebackType

    from fmd_otel.places import Places

MOST_LINKS = 10
"""Exceptions of one chain that are kept, members of groups included."""
MOST_FRAMES = 60
"""Frames of one exception that are kept: the outermost few, and the innermost."""
OUTERMOST = 10
MESSAGE_LENGTH = 1000
_FRAMES_WITH_LOCALS = 10


class DraftFrame(NamedTuple):
    """A call that an exception came through."""

    code: CodeType | None
    """None where frames were left out, ``line`` of them."""
    line: int
    variables: dict[str, str] | None


class DraftLink(NamedTuple):
    """One exception of a chain."""

    type: str
    message: str
    relation: str | None
    parent: int | None
    frames: list[DraftFrame]


def draft(
    error: BaseException, calls: list[DraftFrame] | None = None, places: Places | None = None
) -> list[DraftLink]:
    """Read an exception and what led to it.

    Args:
        error: The exception.
        calls: Where it stands, for one that was never raised.
        places: Given where local variables are wanted: those of the application's own frames.
    """
    links: list[DraftLink] = []
    seen: set[int] = set()
    waiting: list[tuple[BaseException, str | None, int | None]] = [(error, None, None)]
    while waiting and len(links) < MOST_LINKS:
        one, relation, parent = waiting.pop(0)
        if id(one) in seen:
            continue
        seen.add(id(one))
        here = len(links)
        frames = _frames(one.__traceback__, places)
        if not here and not frames and calls:
            frames = calls
        links.append(DraftLink(type_name(type(one)), message_of(one), relation, parent, frames))
        if one.__cause__ is not None:
            waiting.append((one.__cause__, "cause", here))
        elif one.__context__ is not None and not one.__suppress_context__:
            waiting.append((one.__context__, "context", here))
        waiting.extend((member, "group", here) for member in members_of(one)[:MOST_LINKS])
    return links


def message_of(error: BaseException) -> str:
    """Return an exception's message and notes; whatever its own code does, some text."""
    try:
        text = str(error)
        notes = getattr(error, "__notes__", None)
        if isinstance(notes, list):
            text = "\n".join([text, *(note for note in notes if isinstance(note, str))])
        # A subclass of str may do anything in its methods; the base class's own slicing gives a true str.
        return str.__getitem__(text, slice(0, MESSAGE_LENGTH))
    except Exception:  # noqa: BLE001 # the application's own code
        return "(the message could not be read)"


def calls_at(frame: FrameType | None) -> list[DraftFrame]:
    """Return the calls that led to a frame, outermost first, as an exception raised there would have them."""
    calls: list[DraftFrame] = []
    while frame is not None and len(calls) < MOST_FRAMES:
        calls.append(DraftFrame(frame.f_code, frame.f_lineno, None))
        frame = frame.f_back
    calls.reverse()
    return calls


def _frames(traceback: TracebackType | None, places: Places | None) -> list[DraftFrame]:
    entries: list[TracebackType] = []
    while traceback is not None:
        entries.append(traceback)
        traceback = traceback.tb_next
    left_out = len(entries) - MOST_FRAMES
    if left_out <= 0:
        return [_frame(entry, places, number) for number, entry in enumerate(reversed(entries))][::-1]
    innermost = entries[OUTERMOST + left_out :]
    return [
        *(DraftFrame(entry.tb_frame.f_code, entry.tb_lineno, None) for entry in entries[:OUTERMOST]),
        DraftFrame(None, left_out, None),
        *[_frame(entry, places, number) for number, entry in enumerate(reversed(innermost))][::-1],
    ]


def _frame(entry: TracebackType, places: Places | None, distance: int) -> DraftFrame:
    code = entry.tb_frame.f_code
    variables = None
    if places is not None and distance < _FRAMES_WITH_LOCALS and places.of(code.co_filename).in_app:
        variables = shown_variables(entry.tb_frame)
    return DraftFrame(code, entry.tb_lineno, variables)
