"""Whether the monitoring itself is well: one judgement, from a few facts, with its reasons in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from fmd_otel_dash import formatting
from fmd_otel_exporter.migrations import HEAD

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fmd_otel_dash.queries.processes import Facts, Process

Level = Literal["good", "warn", "bad"]

RECENT_US = 600_000_000
"""What happened so lately is happening still, for all we know."""
SKEW_US = 30_000_000
MANY_WAITING = 1000
"""Fewer are no sign of trouble, only of traffic."""
GROWTH = 1.2
MAINTAINER_GRACE_US = 600_000_000
_HOUR_US = 3_600_000_000
_NAMED = 3
_REASONS = {
    "spool_full": "the spool was full",
    "memory_full": "too many waited in memory",
    "file_lost": "their file was lost",
    "unwritable": "no row could hold them",
    "refused": "they were no requests",
}
"""Why requests are lost, in words; the keys are the counters' own."""


@dataclass(frozen=True)
class Reason:
    """One thing that is not as it should be."""

    level: Level
    general: str
    """For everybody: names no host, no version, no number that is nobody's business."""
    detail: str = ""
    """For admins: who, how much, and what to do."""


@dataclass(frozen=True)
class Health:
    """The judgement."""

    level: Level
    reasons: tuple[Reason, ...]
    """Worst first; none if all is well."""
    summary: str
    """One line for everybody."""


def judge(facts: Facts, trouble_here: str | None = None) -> Health:
    """Weigh what is known.

    Args:
        facts: What processes have written of themselves.
        trouble_here: What keeps this very process from writing, of which nobody can read before it is over.
    """
    order = ("bad", "warn")
    reasons = tuple(sorted(_reasons(facts, trouble_here), key=lambda reason: order.index(reason.level)))
    if not reasons:
        return Health("good", (), _all_well(facts))
    more = f", and {len(reasons) - 1} more" if len(reasons) > 1 else ""
    return Health(reasons[0].level, reasons, reasons[0].general + more)


def unusable(message: str) -> Health:
    """Return the judgement where the database cannot even be asked."""
    reason = Reason("bad", "The database cannot be used", message)
    return Health("bad", (reason,), reason.general)


def why_dropped(reason: str) -> str:
    """Return in words why requests were lost."""
    return _REASONS.get(reason, reason)


def _reasons(facts: Facts, trouble_here: str | None) -> Iterator[Reason]:
    yield from _schema(facts)
    if trouble_here is not None:
        yield Reason(
            "warn",
            "Requests wait to be written",
            f"In the application that shows this: {trouble_here}. They are written as soon as that is over.",
        )
    yield from _losses(facts)
    yield from _absent(facts)
    yield from _troubled(facts)
    yield from _growing(facts)
    yield from _unkept(facts)
    yield from _clocks(facts)


def _schema(facts: Facts) -> Iterator[Reason]:
    found = facts.schema
    if found is not None and found.revision == HEAD:
        return
    if found is None:
        yield Reason("bad", "The tables are gone", "The database has no tables of fmd-otel any more.")
    elif found.known:
        yield Reason(
            "bad",
            "The tables are older than this dashboard",
            f"They are of revision {found.revision}, and {HEAD} is needed. Run: fmd-otel db upgrade",
        )
    else:
        yield Reason(
            "warn" if found.writable else "bad",
            "The tables are newer than this dashboard",
            f"They are of revision {found.revision}, and this dashboard knows {HEAD}. Upgrade fmd-otel here"
            + (" before long; what it knows of still works." if found.writable else "."),
        )


def _losses(facts: Facts) -> Iterator[Reason]:
    losers = [
        one for one in facts.processes if one.dropped_hour > 0 and facts.now_us - one.heard_us < _HOUR_US
    ]
    if not losers:
        return
    lost = sum(one.dropped_hour for one in losers)
    why = dict.fromkeys(why_dropped(reason) for one in losers for reason in one.dropped_by)
    yield Reason(
        "bad",
        "Requests were lost in the last hour",
        f"{_n(lost, 'request')} on {_names(losers)}" + (f": {', '.join(why)}." if why else "."),
    )


def _absent(facts: Facts) -> Iterator[Reason]:
    writers = [one for one in facts.processes if one.writes]
    live = [one for one in writers if one.state == "live"]
    late = [one for one in writers if one.state == "late"]
    if late:
        last_us = max(one.heard_us for one in late)
        heard = f"{_names(late)}: last heard from {formatting.ago(last_us, facts.now_us)}."
        if live:
            yield Reason("warn", "A process has not been heard from", heard)
        else:
            hint = " They hang, or cannot reach the database; requests wait in their spools meanwhile."
            yield Reason("bad", "No application has been heard from for minutes", heard + hint)
    elif not live and not _is_recent(facts.last_request_us, facts.now_us):
        before_us = max((one.heard_us for one in writers), default=None)
        last = "None has ever been."
        if before_us is not None:
            last = f"The last was {formatting.ago(before_us, facts.now_us)}."
        yield Reason(
            "warn",
            "No application writes to this database",
            f"{last} Applications are heard from their first request on. Check that they run, and that their "
            "setting DATABASE names this database.",
        )


def _troubled(facts: Facts) -> Iterator[Reason]:
    troubled = [
        one for one in facts.processes
        if one.state == "live" and one.last_error and _is_recent(one.last_error_us, facts.now_us)
    ]  # fmt: skip
    if troubled:
        newest = max(troubled, key=lambda one: one.last_error_us or 0)
        yield Reason("warn", "A process had trouble writing", f"{_names(troubled)}: {newest.last_error}")


def _growing(facts: Facts) -> Iterator[Reason]:
    growing = [
        one for one in facts.processes
        if one.state == "live" and one.waiting >= MANY_WAITING and one.waiting > GROWTH * one.waiting_before
    ]  # fmt: skip
    if growing:
        waiting = sum(one.waiting for one in growing)
        yield Reason(
            "warn",
            "More requests wait than are written",
            f"{_n(waiting, 'request')} wait on {_names(growing)}, more than five minutes ago. The database "
            "is slower than the traffic; what exceeds SPOOL_MB will be lost.",
        )


def _unkept(facts: Facts) -> Iterator[Reason]:
    """Tell when nobody deletes what is old though somebody could have for a while."""
    able = [
        one for one in facts.processes
        if one.writes and one.state == "live" and one.heard_us - one.started_us > MAINTAINER_GRACE_US
    ]  # fmt: skip
    until_us = facts.maintained_until_us
    if able and (until_us is None or facts.now_us - until_us > MAINTAINER_GRACE_US):
        since = "never" if until_us is None else f"not since {formatting.ago(until_us, facts.now_us)}"
        yield Reason(
            "warn",
            "Nobody deletes what is old",
            f"One of the processes that write should, once an hour; {since} has one done so. "
            "Their logs say why.",
        )


def _clocks(facts: Facts) -> Iterator[Reason]:
    wrong = [one for one in facts.processes if one.state == "live" and abs(one.clock_us) >= SKEW_US]
    if wrong:
        worst = max(wrong, key=lambda one: abs(one.clock_us))
        yield Reason(
            "warn",
            "Clocks differ",
            f"The clock of {_names(wrong)} is {_apart(worst.clock_us)} the database's: requests stand at "
            "wrong times. Keep clocks in step by NTP.",
        )
    if abs(facts.clock_us) >= SKEW_US:
        yield Reason(
            "warn",
            "This dashboard's clock is wrong",
            f"It is {_apart(facts.clock_us)} the database's: ranges such as “last hour” show another hour.",
        )


def _all_well(facts: Facts) -> str:
    n = sum(1 for one in facts.processes if one.writes and one.state == "live")
    last = formatting.ago(facts.last_request_us, facts.now_us)
    writers = f"{n} process{'' if n == 1 else 'es'} write{'s' if n == 1 else ''}" if n else "Requests arrive"
    return f"{writers}; last request {last}"


def _is_recent(ts_us: int | None, now_us: int) -> bool:
    return ts_us is not None and now_us - ts_us < RECENT_US


def _apart(us: int) -> str:
    return f"{formatting.duration(abs(us))} {'ahead of' if us > 0 else 'behind'}"


def _n(n: int, what: str) -> str:
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def _names(processes: Sequence[Process]) -> str:
    shown = ", ".join(one.name for one in processes[:_NAMED])
    rest = len(processes) - _NAMED
    return f"{shown} and {rest} more" if rest > 0 else shown
