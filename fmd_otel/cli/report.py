"""``fmd-otel report``: what changed, for a pull request, a mail or a machine."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fmd_otel.cli.options import on_database
from fmd_otel_exporter.errors import SettingsError, StorageError

if TYPE_CHECKING:
    from fmd_otel.settings import Settings
    from fmd_otel_dash.queries.changedlines import ChangedLines
    from fmd_otel_dash.queries.report import Report
    from fmd_otel_exporter.store import Store

REGRESSION = 1
"""Exit code when something got slower or fails more often."""
_COMPARISONS = ("prev", "day", "week", "month", "version", "pin")


class _NoReport(click.ClickException):
    """No report could be made; not to be mistaken for a regression."""

    exit_code = 2


@click.command("report")
@click.option("--from", "start", default=None, metavar="TIME",
              help="Start: now-24h, now/d, 2026-11-01, 2026-11-01T09:00 or version:1.7.0.  "
              "[default: now-24h; with --app-version, all that either version has served]")  # fmt: skip
@click.option("--to", "end", default="now", show_default=True, metavar="TIME", help="End, likewise.")
@click.option("--compare", type=click.Choice(_COMPARISONS), default=None,
              help="With the period before (the default), a day, week or month earlier (or as many as it "
              "takes not to overlap), the previous version, or the --baseline.")  # fmt: skip
@click.option("--baseline", nargs=2, metavar="FROM TO", default=None,
              help="Compare with this period; implies --compare pin.")  # fmt: skip
@click.option("--app-version", "new", metavar="NAME", help="Compare this version …")
@click.option("--against", "old", metavar="NAME", help="… with this one.")
@click.option("--service", "services", multiple=True, metavar="NAME", help="Only this service; repeatable.")
@click.option("--timezone", "tz", metavar="ZONE", help="Of the times; default: TIMEZONE, else UTC.")
@click.option("--format", "kind", type=click.Choice(["md", "html", "json"]), default="md", show_default=True)
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Write it there instead of to the standard output.")  # fmt: skip
@click.option(
    "--all", "everything", is_flag=True, help="In Markdown, also list endpoints with no change that matters."
)
@click.option("--min-change", type=click.FloatRange(0, 100), default=5.0, show_default=True,
              metavar="PERCENT", help="Smallest change of durations that matters.")  # fmt: skip
@click.option("--exit-zero", is_flag=True, help="End with 0 also where something got worse.")
@on_database
def write_report(settings: Settings, /, *, output: Path | None, exit_zero: bool, **options: Any) -> None:
    """Tell what got slower, fails more often, or changed otherwise, by more than chance.

    Ends with 1 if something got worse, so that a pipeline can stop there; with 2 if the report could not be
    made.
    """
    from fmd_otel_exporter.store import open_store  # noqa: PLC0415 # SQLAlchemy: not for --help

    try:
        store = open_store(settings.database, settings.table_prefix, migrate=False)
        try:
            found, lines = _made(store, settings, options)
        finally:
            store.dispose()
    except StorageError as error:
        raise _NoReport(str(error)) from None
    if not found.n_before or not found.n_after:
        raise _NoReport(_nothing(found))
    text = _text(found, lines, options["kind"], everything=options["everything"])
    if output is None:
        click.echo(text, nl=False)
    else:
        try:
            output.write_text(text, encoding="utf-8")
        except OSError as error:
            raise SettingsError(f"the report cannot be written to {output}: {error.strerror}") from error
        from fmd_otel_dash.reports import headline  # noqa: PLC0415 # as above

        click.echo(f"{headline(found)}\nWritten to {output}.", err=True)
    if found.regressions and not exit_zero:
        sys.exit(REGRESSION)


def _made(
    store: Store, settings: Settings, options: dict[str, Any]
) -> tuple[Report, dict[int, ChangedLines]]:
    """Return the report, and by which lines of code its endpoints changed, where profiles tell."""
    from fmd_otel_dash.queries.changedlines import changed_lines_of  # noqa: PLC0415 # not for --help

    found = _compared(store, settings, options)
    return found, changed_lines_of(store, found)


def _compared(store: Store, settings: Settings, options: dict[str, Any]) -> Report:
    from fmd_otel_dash import urlstate  # noqa: PLC0415 # with the rest, which is not for --help
    from fmd_otel_dash.comparison import (  # noqa: PLC0415
        baseline_problem,
        chosen_versions,
        compared,
        pinned,
    )
    from fmd_otel_dash.queries.report import report_of  # noqa: PLC0415
    from fmd_otel_dash.queries.scope import Scope  # noqa: PLC0415
    from fmd_otel_dash.queries.versions import first_starts, versions  # noqa: PLC0415
    from fmd_otel_dash.stats.findings import Threshold  # noqa: PLC0415

    old, new, baseline = options["old"], options["new"], options["baseline"]
    if bool(old) != bool(new):
        raise SettingsError("--app-version and --against belong together: name both versions")
    if options["compare"] == "pin" and not baseline:
        raise SettingsError("--compare pin needs --baseline FROM TO")
    known = versions(store, Scope(0, 0, services=options["services"]))
    starts = first_starts(known)
    for option, name in (("--app-version", new), ("--against", old)):
        if name and name not in starts:
            names = ", ".join(list(starts)[-8:]) or "none"
            raise SettingsError(f"{option} {name}: no such version has served a request; known: {names}")
    state = urlstate.UrlState(
        start=options["start"] or urlstate.DEFAULT_START,
        end=options["end"],
        tz=options["tz"] or "",
        compare="pin" if baseline else options["compare"] or "prev",
        baseline=pinned(*baseline) if baseline else "",
        services=options["services"],
    )
    now_us = time.time_ns() // 1000

    def started(name: str) -> int | None:
        return starts.get(name)

    window = urlstate.resolve(state, now_us=now_us, default_tz=settings.timezone, started=started)
    scope = window.scope(state)
    problem = window.problem or baseline_problem(state, now_us=now_us, scope=scope, started=started)
    if problem:
        raise SettingsError(problem.partition(" Showing")[0])
    threshold = Threshold(latency=options["min_change"] / 100)
    if new:
        lifetime = options["start"] is None and options["end"] == urlstate.DEFAULT_END
        pairs = chosen_versions(scope.until(now_us), old, new, known, lifetime=lifetime)
        if not pairs:
            raise SettingsError(f"no service has served both {old} and {new}: there is nothing to compare")
        return report_of(store, pairs, threshold, traffic=False)
    other = compared(
        state,
        scope,
        now_us=now_us,
        previous="previous period",
        versions=known,
        started=started,
    )
    if other is None:
        raise SettingsError("there is no previous version to compare with: only one has served so far")
    return report_of(store, other.pairs, threshold, traffic=not other.versions)


def _nothing(found: Report) -> str:
    from fmd_otel_dash.reports import sides  # noqa: PLC0415 # as above

    missing = "either side" if found.n_before == found.n_after else "one side"
    told = "\n".join(f"{side}: {words}" for side, words in sides(found))
    return (
        f"nothing was compared, since {missing} has no request "
        f"({found.n_before:,} before, {found.n_after:,} after).\n{told}"
    )


def _text(found: Report, lines: dict[int, ChangedLines], kind: str, *, everything: bool) -> str:
    from fmd_otel_dash.reports import rendered  # noqa: PLC0415 # as above

    return rendered(found, kind, title="What changed", everything=everything or kind != "md", lines=lines)
