"""``fmd-otel generate``: a database full of made-up requests, to try the dashboard on or to measure with."""

from __future__ import annotations

import os
import sys
import time
from contextlib import ExitStack, contextmanager
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import click

from fmd_otel.cli.options import Count, on_database
from fmd_otel.cli.problems import INTERRUPTED
from fmd_otel.cli.progress import progress
from fmd_otel_exporter.errors import SettingsError, safe_url

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fmd_otel.bulk import Order
    from fmd_otel.settings import Settings
    from fmd_otel.synthetic import Slot
    from fmd_otel_exporter.store import Store

_S_US = 1_000_000
_DAY_US = 86_400 * _S_US
_ADDRESSES_A_USER = 4
_EXAMPLES = """\b
Examples:
  fmd-otel generate --database sqlite:///trial.db
  fmd-otel generate --database sqlite:///large.db --requests 10M --days 30
"""
_MOST_PROCESSES = 8


@click.command("generate", epilog=_EXAMPLES)
@click.option(
    "--requests",
    "count",
    type=Count(1_000_000_000),
    metavar="N",
    default="100k",
    show_default=True,
    help="How many; 250000, 250k and 1.5M are numbers, too.",
)
@click.option(
    "--days", type=click.IntRange(1, 3650), default=30, show_default=True, help="Over how many days."
)
@click.option(
    "--until",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]),
    help="When these days end, UTC; the same seed and end make the same requests. Default: now.",
)
@click.option("--endpoints", type=click.IntRange(1, 10_000), default=40, show_default=True)
@click.option("--versions", type=click.IntRange(1, 1000), default=12, show_default=True)
@click.option(
    "--users",
    type=click.IntRange(1, 1_000_000),
    default=5000,
    show_default=True,
    help="Each has four addresses.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Another seed makes other requests.")
@click.option(
    "--processes",
    type=click.IntRange(1, 64),
    default=lambda: min(os.cpu_count() or 1, _MOST_PROCESSES),
    show_default="one a CPU",
    help="How many make requests, while one writes them.",
)
@click.option(
    "--details/--no-details",
    default=True,
    show_default=True,
    help="Profiles, outliers and exceptions of some of them, too.",
)
@click.option("--append", is_flag=True, help="Also into a database that holds requests already.")
@click.option(
    "--resume",
    is_flag=True,
    help="Go on where the same command was interrupted; it needs the same options, --until among them.",
)
@on_database
def generate(  # noqa: PLR0913 # one argument for each option
    settings: Settings,
    *,
    count: int,
    days: int,
    until: datetime | None,
    endpoints: int,
    versions: int,
    users: int,
    seed: int,
    processes: int,
    details: bool,
    append: bool,
    resume: bool,
) -> None:
    """Write made-up requests of a large application.

    They follow the hours of the day and the days of the week; a few endpoints get most of them; releases make
    some slower and break others; now and then there is an incident. Some come with a profile, and those that
    take too long or fail with what is kept of such requests. Afterwards the database is as months of running
    would have left it: sums of hours and days, and of users and addresses, are there as well.

    They cannot be told from real ones afterwards, so give them a database of their own. Ctrl-C stops it at
    any time and leaves what is written in order; --resume goes on from there.
    """
    if resume and until is None:
        raise SettingsError("--resume needs --until: as the interrupted command has told it")
    until = until or datetime.now(timezone.utc)
    end_us, now_us = int(until.replace(tzinfo=timezone.utc).timestamp()) * _S_US, time.time_ns() // 1000
    if end_us < days * _DAY_US:
        raise SettingsError(f"option --until={until}: the days before would begin before 1970")
    batches: list[int] = [] if resume else [0]
    with _told_when_stopped(until, batches), ExitStack() as open_:
        from fmd_otel.bulk import Order, write  # noqa: PLC0415 # SQLAlchemy: not for --help
        from fmd_otel.synthetic import zipf_workload  # noqa: PLC0415
        from fmd_otel.synthetic_details import SyntheticDetails  # noqa: PLC0415
        from fmd_otel_exporter.store import open_store  # noqa: PLC0415

        store = open_store(settings.database, settings.table_prefix)
        open_.callback(store.dispose)
        if not append and not resume:
            _require_empty(store, settings)
        workload = zipf_workload(
            endpoints=endpoints, releases=versions, users=users, ips=users * _ADDRESSES_A_USER, seed=seed
        )
        more = (SyntheticDetails.of(workload),) if details else ()
        order = Order(workload, end_us - days * _DAY_US, end_us, count, seed, more)
        click.echo(f"Database: {safe_url(settings.database)}")
        there, parts = _there_already(store, order) if resume else (0, None)
        batches.append(there)
        began = time.monotonic()
        with progress("Writing", count) as tell:
            tell(there)
            for written in write(store, order, processes=processes, parts=parts):
                batches.append(written)
                tell(written)
        took, done = time.monotonic() - began, sum(batches) - there
        click.echo(f"{done:,} requests of {days} days in {took:.1f} s, {done / took:,.0f} a second")
        _sum_up(store, now_us)
        _mind_retention(settings, order.start_us, now_us)


@contextmanager
def _told_when_stopped(until: datetime, batches: list[int]) -> Iterator[None]:
    """Say on Ctrl-C how many requests are written, where that is known, and how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        known = f" {sum(batches):,} requests are written." if batches else ""
        click.echo(
            f"\nStopped.{known} To go on, give the same options again, with "
            f"--resume --until {until:%Y-%m-%dT%H:%M:%S}",
            err=True,
        )
        sys.exit(INTERRUPTED)


def _there_already(store: Store, order: Order) -> tuple[int, list[list[Slot]]]:
    """Return how many requests of an order are written, and its parts that are not."""
    from sqlalchemy import func, select  # noqa: PLC0415 # as above

    hits, request = store.tables.hits.c, store.tables.request.c
    with store.read() as connection:
        stored = int(connection.scalar(select(func.coalesce(func.sum(hits.n), 0))) or 0)
        last_us = connection.scalar(select(func.max(request.ts)))
    expected, rest = (0, list(order.parts())) if last_us is None else order.rest(last_us)
    if stored != expected:
        raise SettingsError(
            f"--resume: the database holds {stored:,} requests, and the same options would have written "
            f"{expected:,} by then; give all options as they were, or another database"
        )
    return stored, rest


def _sum_up(store: Store, now_us: int) -> None:
    from fmd_otel_exporter.rollups import compact_days  # noqa: PLC0415 # as above
    from fmd_otel_exporter.subject_sums import days_to_sum_up, sum_up_subjects  # noqa: PLC0415

    began, summed = time.monotonic(), 0
    while some := compact_days(store, now_ts_us=now_us):
        summed += some
    days = len(days_to_sum_up(store))
    if days:
        with progress("Adding up users", days) as tell:
            for completed in sum_up_subjects(store):
                tell(completed)
    click.echo(f"{summed} days summed up in {time.monotonic() - began:.1f} s")


def _require_empty(store: Store, settings: Settings) -> None:
    from sqlalchemy import select  # noqa: PLC0415 # as above

    tables = store.tables
    with store.read() as connection:
        for table in (tables.request, tables.hits, tables.hits_day):
            if connection.execute(select(table.c.endpoint_id).limit(1)).first() is not None:
                raise SettingsError(
                    f"the tables {settings.table_prefix}_* of {safe_url(settings.database)} hold requests "
                    "already, and made-up ones could not be told from them; name another database with "
                    "--database or other tables with --table-prefix, or add --append"
                )


def _mind_retention(settings: Settings, start_us: int, now_us: int) -> None:
    days = settings.retention_raw_days
    if days and start_us < now_us - (days + 1) * _DAY_US:
        click.echo(
            f"Note: an application that writes here deletes requests that are older than {days} days "
            "(RETENTION_RAW_DAYS); their sums stay."
        )
