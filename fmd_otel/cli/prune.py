"""``fmd-otel prune`` and ``fmd-otel vacuum``: make old requests go now, and the file smaller."""

from __future__ import annotations

import sys
import time
from collections import Counter
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

import click

from fmd_otel.cli.options import Age, on_database
from fmd_otel.cli.problems import INTERRUPTED
from fmd_otel.cli.progress import progress
from fmd_otel_exporter.errors import FmdOtelError, SettingsError, safe_url

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fmd_otel.settings import Settings
    from fmd_otel_exporter.retention import Cutoffs
    from fmd_otel_exporter.store import Store

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_US = 1_000_000
_DAY_S = 86_400
_NAMES = {
    "request": "requests",
    "hits": "sums by the quarter of an hour",
    "lat_hist": "latency counts by the hour",
    "subject_pack": "sums of users and addresses by the day",
    "subject_day": "sums of single users and addresses by the day",
    "hits_day": "sums by the day",
    "lat_hist_day": "latency counts by the day",
    "profile": "profiles",
    "outlier": "outliers",
    "exception_occurrence": "details of exceptions",
    "exception_subject": "users who met exceptions, by the day",
    "request_trace": "traces",
    "profile_day": "sums of profiles by the day",
    "profile_day_n": "numbers of profiles by the day",
    "exception_hits": "numbers of exceptions by the hour",
    "exception_group": "groups of exceptions",
    "stack": "call paths",
    "code_line": "lines of code",
    "custom_graph_value": "values of custom graphs",
    "subject": "users and addresses",
    "batch": "notes of what was written",
    "session": "sessions that have expired",
    "setup_token": "set-up links that have expired",
    "login_attempt": "failed sign-ins",
    "process": "processes not heard from for a day",
}


@click.command("prune")
@click.option(
    "--older-than",
    type=Age(),
    metavar="AGE",
    help="Delete requests and their sums by the hour that are older, such as 14d (h, d, w, y); none of a day "
    "(UTC) that is not over. Default: the ages in the settings RETENTION_*_DAYS.",
)
@click.option(
    "--daily",
    is_flag=True,
    help="With --older-than: delete the sums by the day as well, after which nothing tells of that time.",
)
@click.option("--dry-run", is_flag=True, help="Count what would go, and delete nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@on_database
def prune_database(
    settings: Settings, *, older_than: int | None, daily: bool, dry_run: bool, yes: bool
) -> None:
    """Delete old requests now; applications go on writing meanwhile.

    They do the same by themselves once an hour, by the settings RETENTION_*_DAYS. Sums by the day stay,
    unless a setting or --daily says otherwise, so that charts of whole days stay right.
    """
    from fmd_otel_exporter.clock import database_now_us  # noqa: PLC0415 # SQLAlchemy: not for --help
    from fmd_otel_exporter.retention import count_old  # noqa: PLC0415
    from fmd_otel_exporter.store import open_store  # noqa: PLC0415

    if daily and older_than is None:
        raise SettingsError("--daily needs --older-than, which says what goes")
    store = open_store(settings.database, settings.table_prefix, migrate=False)
    try:
        if not store.current:
            raise FmdOtelError(
                f"the tables of {safe_url(settings.database)} are newer than this fmd-otel, which does not "
                "know what has to be kept for them; prune them with the newer one"
            )
        cutoffs = _cutoffs(settings, database_now_us(store), older_than, daily=daily)
        counts = {table: rows for table, rows in count_old(store, cutoffs).items() if rows}
        _describe(settings, cutoffs, counts)
        if counts and dry_run:
            click.echo("Nothing was deleted.")
        elif counts:
            if not yes:
                _confirm()
            _prune(store, cutoffs, sum(counts.values()))
    finally:
        store.dispose()


@click.command("vacuum")
@on_database
def vacuum_database(settings: Settings) -> None:
    """Give the space of deleted rows back to the disk.

    A SQLite file is written anew, which takes as much space again for a moment; those who want to write wait
    until it is done. Database servers do most of this by themselves; for them it says what else there is to
    do.
    """
    from fmd_otel_exporter.store import open_store  # noqa: PLC0415 # SQLAlchemy: not for --help

    store = open_store(settings.database, settings.table_prefix, migrate=False)
    try:
        click.echo(store.dialect.vacuum(settings.table_prefix))
    finally:
        store.dispose()


def _cutoffs(settings: Settings, now_us: int, age_us: int | None, *, daily: bool) -> Cutoffs:
    from fmd_otel_exporter.retention import Retention, older_than  # noqa: PLC0415 # as above

    if age_us is not None:
        return older_than(age_us, now_us, daily=daily)
    return Retention(
        settings.retention_raw_days, settings.retention_hourly_days, settings.retention_daily_days
    ).cutoffs(now_us)


def _describe(settings: Settings, cutoffs: Cutoffs, counts: Mapping[str, int]) -> None:
    click.echo(f"Database: {safe_url(settings.database)}")
    for what, since_us in (
        ("requests", cutoffs.raw_us),
        ("sums by the hour", None if cutoffs.hourly_s is None else cutoffs.hourly_s * _US),
        ("sums by the day", None if cutoffs.daily_s is None else cutoffs.daily_s * _US),
    ):
        click.echo(f"Keeps {what} {'for ever' if since_us is None else f'since {_when(since_us)}'}.")
    if cutoffs.spares_open_day:
        click.echo("No day (UTC) is cut before it is over: what its users did is added up from its requests.")
    if not counts:
        click.echo("Nothing is older.")
        return
    click.echo("Older:")
    width = max(len(f"{rows:,}") for rows in counts.values())
    for table, rows in counts.items():
        click.echo(f"  {rows:{width},}  {_NAMES[table]}")


def _when(ts_us: int) -> str:
    return f"{_EPOCH + timedelta(microseconds=ts_us):%Y-%m-%d %H:%M} UTC"


def _confirm() -> None:
    if not _somebody_watches():
        raise SettingsError("nobody is there to be asked; add --yes to delete this")
    click.confirm("Delete this?", abort=True)


def _somebody_watches() -> bool:
    return sys.stdin.isatty()


def _prune(store: Store, cutoffs: Cutoffs, total: int) -> None:
    from fmd_otel_exporter.maintainer import at_leisure  # noqa: PLC0415 # as above
    from fmd_otel_exporter.retention import prune  # noqa: PLC0415
    from fmd_otel_exporter.rollups import compact_days  # noqa: PLC0415

    began = time.monotonic()
    deleted: Counter[str] = Counter()
    try:
        # The sums of a day are what stays of it.
        while compact_days(store, now_ts_us=cutoffs.now_us):
            pass
        with progress("Deleting", total) as done:
            for step in at_leisure(prune(store, cutoffs)):
                deleted[step.table] += step.rows
                done(step.rows)
    except KeyboardInterrupt:
        click.echo(f"\nStopped. {deleted.total():,} rows are gone; the rest can go another time.", err=True)
        sys.exit(INTERRUPTED)
    rows = deleted.total()
    click.echo(f"Deleted {rows:,} row{'' if rows == 1 else 's'} in {time.monotonic() - began:.1f} s.")
    click.echo("Their space is used again; `fmd-otel vacuum` gives it back to the disk.")
