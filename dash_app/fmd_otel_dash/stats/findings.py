"""From test results to findings: corrected for their number, and large enough to matter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from fmd_otel_dash.stats.significance import adjusted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fmd_otel_dash.stats.significance import Effect

Measure = Literal["latency", "p95", "errors", "traffic", "presence"]
"""What is tested of an endpoint; presence: whether it came or went."""


@dataclass(frozen=True)
class Threshold:
    """When a difference is a finding."""

    level: float = 0.05
    """Share of findings that may be false, over all endpoints and measures together."""
    latency: float = 0.05
    """Smallest relative change of durations that matters."""
    errors: float = 0.005
    """Smallest difference of the error rate that matters: half a percentage point."""
    traffic: float = 0.2
    """Smallest relative change of traffic that matters."""

    def least(self, measure: Measure) -> float:
        """Return the smallest effect that matters."""
        return {
            "latency": self.latency,
            "p95": self.latency,
            "errors": self.errors,
            "traffic": self.traffic,
            "presence": 0.0,
        }[measure]


@dataclass(frozen=True)
class Finding:
    """One measure of one endpoint, judged."""

    measure: Measure
    effect: Effect
    q: float
    """The p-value, corrected for how many tests were made."""
    significant: bool
    """Beyond chance."""
    matters: bool
    """Beyond chance, and large enough for somebody to care."""

    @property
    def worse(self) -> bool:
        """Whether it is bad news: slower, or more errors. Traffic is neither good nor bad."""
        return self.matters and self.measure not in {"traffic", "presence"} and self.effect.value > 0


def judged(
    tests: Sequence[Mapping[Measure, Effect | None]], threshold: Threshold
) -> list[dict[Measure, Finding]]:
    """Return the findings of each endpoint, in the order given; tests that could not be made are left out.

    The correction spans all of them: who looks at forty endpoints sees two "significant" changes a day
    otherwise, where nothing has changed.
    """
    made = [
        (index, measure, effect)
        for index, each in enumerate(tests)
        for measure, effect in each.items()
        if effect is not None
    ]
    found: list[dict[Measure, Finding]] = [{} for _ in tests]
    for (index, measure, effect), q in zip(made, adjusted([effect.p for *_, effect in made]), strict=True):
        significant = q <= threshold.level
        found[index][measure] = Finding(
            measure, effect, q, significant, significant and abs(effect.value) >= threshold.least(measure)
        )
    return found
