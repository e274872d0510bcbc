"""Stacks and tracebacks as documents keep them, with the lines around each call."""

from __future__ import annotations

import linecache
from typing import TYPE_CHECKING

from fmd_otel.profiler.lines import function_name, line_number

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import CodeType, TracebackType

    from fmd_otel.profiler.lines import LineResolver
    from fmd_otel.profiler.walker import Stack
    from fmd_otel_exporter.documents import Frame

CONTEXT_LINES = 3
_LINE_LENGTH = 400


def frame_dicts(stack: Stack, resolver: LineResolver, context: int = CONTEXT_LINES) -> list[Frame]:
    """Return the frames of a stack, outermost first."""
    calls = zip(reversed(stack.codes), reversed(stack.positions), strict=True)
    return [_frame(code, line_number(code, position), resolver, context) for code, position in calls]


def frame_dicts_of_traceback(
    calls: Iterable[TracebackType], resolver: LineResolver, context: int = CONTEXT_LINES
) -> list[Frame]:
    """Return the frames of a traceback, in its order: outermost first, where it was raised last."""
    return [_frame(each.tb_frame.f_code, _line_of(each), resolver, context) for each in calls]


def _line_of(call: TracebackType) -> int:
    # None where the compiler left no line, whatever the stubs say.
    return call.tb_lineno or call.tb_frame.f_code.co_firstlineno


def _frame(code: CodeType, number: int, resolver: LineResolver, context: int) -> Frame:
    file, in_app = resolver.place(code.co_filename)
    lines = linecache.getlines(code.co_filename)
    index = number - 1
    known = 0 <= index < len(lines)
    frame: Frame = {
        "file": file,
        "function": function_name(code),
        "line": number,
        "source": _cut(lines[index]).strip() if known else None,
        "in_app": in_app,
    }
    if known and context:
        frame["context_before"] = [_cut(line) for line in lines[max(index - context, 0) : index]]
        frame["context_after"] = [_cut(line) for line in lines[index + 1 : index + 1 + context]]
    return frame


def _cut(line: str) -> str:
    return line.rstrip("\r\n")[:_LINE_LENGTH]
