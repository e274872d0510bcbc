"""Profiles as files for other tools: speedscope, anything that reads collapsed stacks, and pprof."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fmd_otel_dash.stats.trees import Tree


@dataclass(frozen=True)
class Part:
    """A tree with the name it has in a file."""

    name: str
    tree: Tree


@dataclass(frozen=True)
class Exported:
    """What goes into a file: one tree, or with ``before`` what it is held against."""

    name: str
    now: Part
    before: Part | None = None
    start_us: int = 0
    """When what it covers began."""

    @property
    def parts(self) -> tuple[Part, ...]:
        """What there is, the older first."""
        return (self.now,) if self.before is None else (self.before, self.now)
