"""What a report says, in words."""

from __future__ import annotations

from math import isinf
from typing import TYPE_CHECKING

from fmd_otel_dash import formatting

if TYPE_CHECKING:
    from fmd_otel_dash.formatting import Tone
    from fmd_otel_dash.queries.report import EndpointReport, Report
    from fmd_otel_dash.stats.findings import Finding, Measure
    from fmd_otel_dash.stats.significance import Effect

_DOUBLE = 1.0


def headline(report: Report) -> str:
    """Return the one sentence to read: how many endpoints got worse, better, or are requested otherwise."""
    total = len(report.endpoints)
    if not total:
        return "Neither has a request: there is nothing to compare."
    if not report.n_before or not report.n_after:
        return f"Nothing was compared: {'before' if report.n_after else 'after'}, there is no request."
    worse = len(report.regressions)
    better = sum(got_better(one) for one in report.endpoints)
    came, went = sum(one.came for one in report.endpoints), sum(one.went for one in report.endpoints)
    parts = []
    if worse:
        parts.append(f"{_of(worse, total)} got slower or {'fails' if worse == 1 else 'fail'} more often")
    if better:
        parts.append(f"{_of(better, total)} got faster or {'fails' if better == 1 else 'fail'} less often")
    if came:
        parts.append(f"{_of(came, total)} {'is' if came == 1 else 'are'} new")
    if went:
        parts.append(f"{_of(went, total)} {'is' if went == 1 else 'are'} no longer requested")
    parts += [
        f"{_of(n, total)} got {which} requests"
        for which, n in (("more", _of_traffic(report, 1)), ("fewer", _of_traffic(report, -1)))
        if n
    ]
    if not parts:
        return f"None of {total} endpoints changed by more than chance and by enough to matter."
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}."


def verdict(one: EndpointReport) -> tuple[str, Tone]:
    """Return what became of an endpoint, in a few words, and whether that is good."""
    if one.came:
        return "new", "neutral"
    if one.went:
        return "no longer requested", "neutral"
    if not measured(one):
        return "too few requests to tell", "neutral"
    told = [(_told(each), each.worse) for each in one.findings.values() if each.matters]
    if "latency" in one.findings and one.findings["latency"].matters:
        # Of the whole distribution and its tail, the first says more.
        told = [each for each in told if not each[0].startswith("p95")] or told
    if not told:
        return "no change", "neutral"
    tone: Tone = "bad" if one.worse else "good" if got_better(one) else "neutral"
    return ", ".join(text for text, _ in told), tone


def summary(one: EndpointReport) -> str:
    """Return what is behind the verdict: each effect with its interval, and how many requests it rests on."""
    n = f"n = {one.after.counts.n:,} against {one.before.counts.n:,}"
    told = [f"{_told(each)} ({interval(each)})" for each in measured(one).values() if each.significant]
    return "; ".join([*told, n]) if told else n


def measured(one: EndpointReport) -> dict[Measure, Finding]:
    """Return the findings that have a size: all but that an endpoint came or went."""
    return {measure: found for measure, found in one.findings.items() if measure != "presence"}


def interval(found: Finding) -> str:
    """Return the 95 % interval of an effect."""
    effect = found.effect
    if found.measure == "errors":
        return f"95 % CI {effect.low * 100:+.2f} to {effect.high * 100:+.2f} points"
    return f"95 % CI {_signed(effect.low)} to {_signed(effect.high)}"


def size(effect: Effect) -> str:
    """Return a relative change without its sign: 18 %, or 3.2 times where a percentage is hard to grasp."""
    if effect.value >= _DOUBLE:
        return f"{1 + effect.value:.1f} times"
    return f"{abs(effect.value) * 100:.3g} %"


def _told(found: Finding) -> str:
    effect, up = found.effect, found.effect.value > 0
    if found.measure == "errors":
        return f"{abs(effect.value) * 100:.2g} points {'more' if up else 'fewer'} errors"
    if found.measure == "traffic":
        return (
            f"{size(effect)} {'as many' if effect.value >= _DOUBLE else 'more' if up else 'fewer'} requests"
        )
    what = "" if found.measure == "latency" else "p95 "
    if effect.value >= _DOUBLE:
        return f"{what}{size(effect)} as slow"
    return f"{what}{size(effect)} {'slower' if up else 'faster'}"


def got_better(one: EndpointReport) -> bool:
    """Return whether it got faster or fails less often, and nothing about it got worse."""
    return not one.worse and any(
        each.matters and each.measure != "traffic" and each.effect.value < 0 for each in one.findings.values()
    )


def _of_traffic(report: Report, sign: int) -> int:
    """Return how many endpoints there are more requests of, or fewer; those that came or went are apart."""
    found = (one.findings.get("traffic") for one in report.endpoints if not one.came and not one.went)
    return sum(each.matters and each.effect.value * sign > 0 for each in found if each is not None)


def _signed(value: float) -> str:
    if isinf(value):
        return formatting.NONE
    return f"{value * 100:+.3g} %"


def _of(n: int, total: int) -> str:
    return f"{n} of {total} endpoints" if total > 1 else "the only endpoint"
