"""Collapsed stacks: a line for each stack, outermost frame first, then microseconds.

What FlameGraph, inferno, speedscope and many others read. A difference has two numbers a line, before and
after, as ``difffolded.pl`` writes them.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from fmd_otel_dash.stats.trees import place

if TYPE_CHECKING:
    from fmd_otel_dash.formats import Exported, Part
    from fmd_otel_exporter.records import CodeLine


def collapsed(exported: Exported) -> bytes:
    """Return the file."""
    now = _stacks(exported.now)
    if exported.before is None:
        lines = [f"{stack} {us}" for stack, us in now.items()]
    else:
        before = _stacks(exported.before)
        lines = [f"{stack} {before[stack]} {now[stack]}" for stack in dict.fromkeys([*now, *before])]
    return "".join(f"{line}\n" for line in lines).encode()


def _stacks(part: Part) -> Counter[str]:
    found: Counter[str] = Counter()
    names = [_name(line) for line in part.tree.lines]
    stacks: list[str] = []
    for node in part.tree.nodes:
        above = f"{stacks[node.parent]};" if node.parent >= 0 else ""
        stacks.append(above + names[node.line])
        us = round(node.self_us)
        if us > 0:
            found[stacks[-1]] += us
    return found


def _name(line: CodeLine) -> str:
    """Return a frame's name, without what separates frames and lines."""
    where = place(line)
    text = f"{line.function} ({where})" if where else line.function
    return "".join(c if c.isprintable() else "�" for c in text).replace(";", ":")
