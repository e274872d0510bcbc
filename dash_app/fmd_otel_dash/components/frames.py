"""A stack of calls: the application's own open, libraries folded, with the source around each line."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

from dash import html

from fmd_otel_dash.components.attributes import attributes
from fmd_otel_dash.components.foreign import foreign

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST = 200


def frames(stack: Sequence[Any], *, with_values: bool = False, editor: str = "") -> Any:
    """Return a stack, innermost call first.

    Args:
        stack: Frames of a document, outermost first, any of whose keys may be missing.
        with_values: Show what local variables held, where that is known: not everybody may see it.
        editor: Address that opens a line in an editor, as the settings have it; a person may have their own.
    """
    whole = [_without_values(each, keep=with_values) for each in stack if isinstance(each, dict)]
    shown = [each | {"editor": editor} for each in whole[-MOST:]]
    parts: list[Any] = []
    is_first = True
    for in_app, run in groupby(reversed(shown), key=lambda frame: bool(frame.get("in_app"))):
        calls = list(run)
        if in_app:
            parts += [_frame(call, is_open=is_first or i == 0) for i, call in enumerate(calls)]
        elif is_first and len(calls) == 1:
            parts.append(_frame(calls[0], is_open=True))
        else:
            parts.append(_library(calls))
        is_first = False
    if len(whole) > len(shown):
        parts.append(html.Div(f"{len(whole) - len(shown)} calls further out", className="fmd-frame-more"))
    if any(_link(each) for each in shown):
        parts.append(_editor_choice(editor))
    return html.Div(parts, className="fmd-frames")


def _without_values(frame: dict[str, Any], *, keep: bool) -> dict[str, Any]:
    return frame if keep else {name: value for name, value in frame.items() if name != "locals"}


def _library(calls: Sequence[dict[str, Any]]) -> Any:
    outer, inner = calls[-1], calls[0]
    names = list(dict.fromkeys(_package(call) for call in calls))
    text = f"{len(calls)} call{'' if len(calls) == 1 else 's'} in {', '.join(names[:3])}"
    if len(names) > 3:  # noqa: PLR2004 - more than were named
        text += f" and {len(names) - 3} more"
    return html.Details(
        [
            html.Summary(text, title=f"{_place(outer)} to {_place(inner)}"),
            *(_frame(call, is_open=False) for call in calls),
        ],
        className="fmd-frame-library",
    )


def _frame(frame: dict[str, Any], *, is_open: bool) -> Any:
    head = html.Summary(
        [
            html.Span(foreign(str(frame.get("function") or "?")), className="fmd-frame-function"),
            html.Span(foreign(_place(frame)), className="fmd-frame-place"),
        ]
    )
    link, inside = _link(frame), [_source(frame), _locals(frame)]
    if not any(inside):
        return html.Div([*head.children, link], className="fmd-frame fmd-frame-plain")
    return html.Details(
        [head, link, *inside],
        className="fmd-frame" + ("" if frame.get("in_app") else " fmd-frame-foreign"),
        open=is_open,
    )


def _link(frame: dict[str, Any]) -> Any:
    """Return the way into an editor, of the application's own code; the browser knows where it leads."""
    file, line = frame.get("file"), frame.get("line")
    if not frame.get("in_app") or not isinstance(file, str) or not isinstance(line, int):
        return None
    return html.A(
        "Open in editor",
        className="fmd-open-editor fmd-frame-editor",
        target="_self",
        hidden=True,
        **attributes(
            data_edit_file=file,
            data_edit_line=str(line),
            data_edit_with=frame["editor"],
            aria_label=f"Open in editor: {_place(frame)}",
        ),
    )


def _editor_choice(editor: str) -> Any:
    """Return where a person chooses an editor of their own; the browser makes the form."""
    return html.Details(
        [html.Summary("Change the editor" if editor else "Open lines in your editor …"), html.Div()],
        className="fmd-editor",
        **attributes(data_edit_choice=editor),
    )


def _source(frame: dict[str, Any]) -> Any:
    source, number = frame.get("source"), frame.get("line")
    if not source or not isinstance(number, int):
        return None
    before, after = _lines(frame.get("context_before")), _lines(frame.get("context_after"))
    first = number - len(before)
    lines = [*before, str(source), *after]
    return html.Pre(
        [
            html.Code(
                [html.Span(f"{first + i}", className="fmd-line-number"), text.rstrip() or " "],
                className="fmd-line" + (" fmd-line-here" if i == len(before) else ""),
            )
            for i, text in enumerate(lines)
        ],
        className="fmd-source",
        tabIndex=0,
    )


def _locals(frame: dict[str, Any]) -> Any:
    found = frame.get("locals")
    if not isinstance(found, dict) or not found:
        return None
    rows = [html.Tr([html.Td(html.Code(str(name))), html.Td(str(value))]) for name, value in found.items()]
    return html.Table(html.Tbody(rows), className="fmd-plain-table fmd-locals")


def _lines(found: Any) -> list[str]:
    return [str(each) for each in found] if isinstance(found, list) else []


def _place(frame: dict[str, Any]) -> str:
    return f"{frame.get('file') or '?'}:{frame.get('line') or '?'}"


def _package(frame: dict[str, Any]) -> str:
    return str(frame.get("file") or "?").replace("\\", "/").split("/")[0].removesuffix(".py")
