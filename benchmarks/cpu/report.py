"""From measured rounds to a table."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median, quantiles

REFERENCE = "otel"
LABELS = {
    "bare": "bare Flask",
    "otel": "stock OpenTelemetry, spans discarded",
    "otlp": "stock OpenTelemetry, OTLP/HTTP",
    "fmd-otel-0": "fmd-otel, level 0",
    "fmd-otel-1": "fmd-otel, level 1, SQLite",
    "fmd-otel-memory": "the same without the spool on disk",
    "fmd-bare": "bare Flask (FMD's environment)",
    "fmd": "Flask-MonitoringDashboard 5.1.0, level 1",
}

Rounds = dict[str, list[float]]
"""Variant -> CPU microseconds a request, one number for each round."""


@dataclass(frozen=True)
class Summary:
    """What one variant cost."""

    variant: str
    cpu_us: float
    quartiles_us: tuple[float, float]
    added_us: float | None
    """More than the bare application in the same environment, in the same round; the median of that."""
    ratio: float | None
    """Added CPU as a multiple of what stock OpenTelemetry adds."""
    ratio_quartiles: tuple[float, float] | None


def summarise(rounds: Rounds) -> list[Summary]:
    """Return one summary for each variant, in the order in which they are labelled."""
    return [_summary(variant, rounds) for variant in LABELS if rounds.get(variant)]


def _summary(variant: str, rounds: Rounds) -> Summary:
    values = rounds[variant]
    added = _added(variant, rounds)
    reference = _added(REFERENCE, rounds)
    # Both from the same round: what disturbs the machine disturbs both.
    ratios = [one / other for one, other in zip(added, reference, strict=False) if other > 0]
    return Summary(
        variant,
        cpu_us=median(values),
        quartiles_us=_quartiles(values),
        added_us=median(added) if added else None,
        ratio=median(ratios) if ratios else None,
        ratio_quartiles=_quartiles(ratios) if ratios else None,
    )


def _added(variant: str, rounds: Rounds) -> list[float]:
    bare = "fmd-bare" if variant == "fmd" else "bare"
    if variant in {"bare", "fmd-bare"}:
        return []
    return [mine - base for mine, base in zip(rounds.get(variant, []), rounds.get(bare, []), strict=False)]


def _quartiles(values: list[float]) -> tuple[float, float]:
    if len(values) == 1:
        return values[0], values[0]
    low, _, high = quantiles(values, n=4, method="inclusive")
    return low, high


def table(summaries: list[Summary], recorded: dict[str, str]) -> str:
    """Return the summaries as a Markdown table."""
    lines = [
        "| CPU time a request | µs, median (quartiles) | added µs | × added by stock OTel | recorded |",
        "|---|--:|--:|--:|--:|",
    ]
    for each in summaries:
        cells = (
            LABELS[each.variant],
            _range(each.cpu_us, each.quartiles_us, ".0f"),
            "" if each.added_us is None else f"{each.added_us:+.0f}",
            _range(each.ratio, each.ratio_quartiles, ".2f"),
            recorded.get(each.variant, ""),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _range(middle: float | None, quartiles: tuple[float, float] | None, form: str) -> str:
    if middle is None or quartiles is None:
        return ""
    return f"{middle:{form}} ({quartiles[0]:{form}}-{quartiles[1]:{form}})"


def findings(summaries: list[Summary]) -> list[str]:
    """Return the ratios that the project cares about, in words."""
    by_name = {each.variant: each for each in summaries}
    ours, old = by_name.get("fmd-otel-1"), by_name.get("fmd")
    said = []
    if ours and ours.ratio is not None:
        said.append(
            f"fmd-otel level 1 adds {ours.ratio:.2f} × what stock OpenTelemetry adds (aim: at most 1.15)."
        )
    if ours and old and ours.added_us and old.added_us:
        factor = old.added_us / ours.added_us
        said.append(f"FMD level 1 adds {factor:.1f} × what fmd-otel level 1 adds (aim: at least 10).")
    return said
