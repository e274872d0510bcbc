"""The file format of speedscope (https://www.speedscope.app), version 0.0.1."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fmd_otel_dash.formats import Exported, Part
    from fmd_otel_exporter.records import CodeLine

SCHEMA = "https://www.speedscope.app/file-format-schema.json"


def speedscope(exported: Exported) -> bytes:
    """Return the file; a difference becomes two profiles in it."""
    frames: dict[CodeLine, int] = {}
    profiles = [_profile(part, frames) for part in exported.parts]
    document = {
        "$schema": SCHEMA,
        "shared": {"frames": [_frame(line) for line in frames]},
        "profiles": profiles,
        "name": exported.name,
        "activeProfileIndex": len(profiles) - 1,
        "exporter": "fmd-otel",
    }
    return json.dumps(document, separators=(",", ":")).encode()


def _profile(part: Part, frames: dict[CodeLine, int]) -> dict[str, Any]:
    samples, weights = [], []
    stacks: list[list[int]] = []
    for node in part.tree.nodes:
        line = part.tree.lines[node.line]
        above = stacks[node.parent] if node.parent >= 0 else []
        stacks.append([*above, frames.setdefault(line, len(frames))])
        if node.self_us > 0:
            samples.append(stacks[-1])
            weights.append(round(node.self_us, 3))
    return {
        "type": "sampled",
        "name": part.name,
        "unit": "microseconds",
        "startValue": 0,
        "endValue": sum(weights),
        "samples": samples,
        "weights": weights,
    }


def _frame(line: CodeLine) -> dict[str, Any]:
    frame: dict[str, Any] = {"name": line.function}
    if line.file:
        frame["file"] = line.file
    if line.line > 0:
        frame["line"] = line.line
    return frame
