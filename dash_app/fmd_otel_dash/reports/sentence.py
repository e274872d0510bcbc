"""What became of an endpoint, as one sentence that anybody can read, and what it rests on."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from fmd_otel_dash.formatting import Tone
    from fmd_otel_dash.queries.report import EndpointReport
    from fmd_otel_dash.stats.findings import Finding, Measure

FEW = 20
"""Requests on either side; of fewer, no difference beyond chance does not mean that there is none."""
_DOUBLE = 1.0
_QUALITY: tuple[Measure, ...] = ("latency", "p95", "errors")


class Sentence(NamedTuple):
    """A verdict."""

    told: str
    """``18 % slower since 1.7.0``."""
    basis: str
    """``95 % CI 12–24 %, n = 4,210 against 3,870``."""
    tone: Tone


def sentence(one: EndpointReport, against: str) -> Sentence:
    """Return the verdict.

    Args:
        one: the endpoint before and after.
        against: what "before" is, to end a sentence with: "since 1.7.0", "against the previous 24 hours".
    """
    after, before = one.after.counts.n, one.before.counts.n
    n = f"n = {after:,} against {before:,}"
    if not after:
        return Sentence("No requests to compare", n, "neutral")
    if not before:
        return Sentence("No earlier requests to compare with", n, "neutral")
    quality = [one.findings[name] for name in _QUALITY if name in one.findings]
    matters = [each for each in quality if each.matters]
    if any(each.measure == "latency" for each in matters):
        # Of the whole distribution and its tail, the first says more.
        matters = [each for each in matters if each.measure != "p95"]
    if matters:
        words = " and ".join(_told(each) for each in matters)
        tone: Tone = "bad" if one.worse else "good"
        return Sentence(f"{words} {against}", _basis(one, matters, n), tone)
    if min(after, before) < FEW or "latency" not in one.findings:
        return Sentence(f"Too few requests to tell {against}", n, "neutral")
    small = [each for each in quality if each.significant]
    if small:
        words = " and ".join(_told(each) for each in small)
        told = f"No change of durations or errors that matters {against}"
        return Sentence(told, f"{words}, {_basis(one, small, n)}", "neutral")
    found = _interval(one.findings["latency"], always_signed=True)
    basis = ", ".join(each for each in (f"95 % CI of durations {found}", _traffic(one), n) if each)
    return Sentence(f"No change of durations or errors beyond chance {against}", basis, "neutral")


def _basis(one: EndpointReport, findings: list[Finding], n: str) -> str:
    intervals = " and ".join(_interval(each) for each in findings)
    return ", ".join(each for each in (f"95 % CI {intervals}", _traffic(one), n) if each)


def _traffic(one: EndpointReport) -> str:
    found = one.findings.get("traffic")
    return _told(found) if found and found.matters else ""


def _told(found: Finding) -> str:
    value, up = found.effect.value, found.effect.value > 0
    size = _digits(abs(value))
    if found.measure == "errors":
        return f"{size} points {'more' if up else 'fewer'} errors"
    if found.measure == "traffic":
        return (
            f"{1 + value:.2g} times as many requests"
            if value >= _DOUBLE
            else f"{size} % {'more' if up else 'fewer'} requests"
        )
    what = "p95 " if found.measure == "p95" else ""
    return (
        f"{what}{1 + value:.2g} times as slow"
        if value >= _DOUBLE
        else f"{what}{size} % {'slower' if up else 'faster'}"
    )


def _interval(found: Finding, *, always_signed: bool = False) -> str:
    """Return the interval of an effect in the unit and the direction that its words have."""
    low, high = found.effect.low, found.effect.high
    unit = "points" if found.measure == "errors" else "%"
    if found.measure != "errors" and found.effect.value >= _DOUBLE:
        if high == inf:
            return f"at least {1 + low:.2g} times"
        return f"{1 + low:.2g}–{1 + high:.2g} times"
    if high == inf:
        return f"at least {_digits(low)} {unit}"
    if low < 0 < high or always_signed:
        return f"{_digits(low, sign='+')} to {_digits(high, sign='+')} {unit}"
    small, large = sorted((abs(low), abs(high)))
    return f"{_digits(small)}–{_digits(large)} {unit}"


def _digits(share: float, *, sign: str = "") -> str:
    """Return a share in percent, or points, with two digits: an interval's ends are no more certain."""
    value = share * 100
    return f"{value:{sign}.0f}" if abs(value) >= 10 else f"{value:{sign}.2g}"  # noqa: PLR2004 - two digits
