"""From what was read of an exception to what is stored of it.

This happens on the background thread, where files may be read.
"""

from __future__ import annotations

import linecache
from typing import TYPE_CHECKING, Any, cast

from fmd_otel.exceptions.codepath import qualified_name
from fmd_otel_exporter.documents import ChainLink, Frame
from fmd_otel_exporter.records import TRUNCATED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fmd_otel.exceptions.draft import DraftFrame, DraftLink
    from fmd_otel.places import Places
    from fmd_otel.scrubbing import Scrubbed
    from fmd_otel_exporter.documents import ExceptionDocument

CONTEXT_LINES = 5
_LONGEST_LINE = 300


def exception_document(
    links: Sequence[DraftLink], record: Scrubbed, places: Places, **of_the_request: Any
) -> ExceptionDocument:
    """Return the document of an exception.

    Args:
        links: What was read of it.
        record: Scrubs it.
        places: Tells whose code is whose.
        of_the_request: More keys of the document, scrubbed already.
    """
    chain = [
        ChainLink(
            type=link.type,
            message=record.value(link.message, f"chain[{number}].message"),
            relation=link.relation,
            parent=link.parent,
            frames=[_frame(frame, record, places) for frame in link.frames],
        )
        for number, link in enumerate(links)
    ]
    return cast("ExceptionDocument", {"chain": chain, "scrubbed": record.scrubbed, **of_the_request})


def _frame(draft: DraftFrame, record: Scrubbed, places: Places) -> Frame:
    code, line = draft.code, draft.line
    if code is None:
        left_out = f"{line} more calls"
        return Frame(file="", function=TRUNCATED, line=0, source=left_out, in_app=False)
    place = places.of(code.co_filename)
    frame = Frame(file=place.file, function=qualified_name(code), line=line, source=None, in_app=place.in_app)
    # After a deployment the file may be newer than the code that runs; it is looked at again to not be
    # older than the disk, and there is no way to know more.
    linecache.checkcache(code.co_filename)
    lines = linecache.getlines(code.co_filename)
    if 0 < line <= len(lines):
        around = CONTEXT_LINES if place.in_app else 0
        frame["source"] = _shown(lines[line - 1])
        frame["context_before"] = [_shown(text) for text in lines[max(line - 1 - around, 0) : line - 1]]
        frame["context_after"] = [_shown(text) for text in lines[line : line + around]]
    if draft.variables:
        kept = record.mapping(draft.variables, f"locals.{frame['function']}")
        frame["locals"] = {
            name: value if isinstance(value, str) else repr(value) for name, value in kept.items()
        }
    return frame


def _shown(text: str) -> str:
    return text.rstrip("\r\n")[:_LONGEST_LINE]
