"""``fmd-otel generate``: a database full of made-up requests, to try the dashboard on or to measure with."""

from __future__ import annotations

import os
import sys
import time
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import click

from fmd_otel.cli.options import Count, on_database
from fmd_otel.cli.progress import progress
from fmd_otel.cli.prune import INTERRUPTED
from fmd_otel_exporter.errors import SettingsError, safe_url

if TYPE_CHECKING:
    from fmd_otel.settings import Settings
    from fmd_otel_exporter.store import Store

_DAY_US = 86_400_000_000
_ADDRESSES_A_USER = 4
_MOST_PROCESSES = 8


@click.command("generate")
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
@click.option("--append", is_flag=True, help="Also into a database that holds requests already.")
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
    append: bool,
) -> None:
    """Write made-up requests of a large application.

    They follow the hours of the day and the days of the week; a few endpoints get most of them; releases make
    some slower; now and then there is an incident. They cannot be told from real ones afterwards, so give
    them a database of their own.
    """
    from fmd_otel.bulk import Order, write  # noqa: PLC0415 # SQLAlchemy: not for --help
    from fmd_otel.synthetic import zipf_workload  # noqa: PLC0415
    from fmd_otel_exporter.rollups import compact_days  # noqa: PLC0415
    from fmd_otel_exporter.store import open_store  # noqa: PLC0415

    now_us = time.time_ns() // 1000
    end_us = now_us if until is None else int(until.replace(tzinfo=timezone.utc).timestamp()) * 1_000_000
    if end_us < days * _DAY_US:
        raise SettingsError(f"option --until={until}: the days before would begin before 1970")
    store = open_store(settings.database, settings.table_prefix)
    try:
        if not append:
            _require_empty(store, settings)
        workload = zipf_workload(
            endpoints=endpoints, releases=versions, users=users, ips=users * _ADDRESSES_A_USER, seed=seed
        )
        order = Order(workload, end_us - days * _DAY_US, end_us, count, seed)
        click.echo(f"Database: {safe_url(settings.database)}")
        began, done = time.monotonic(), 0
        try:
            with progress("Writing", count) as tell:
                for written in write(store, order, processes=processes):
                    done += written
                    tell(written)
            took = time.monotonic() - began
            click.echo(f"{done:,} requests of {days} days in {took:.1f} s, {done / took:,.0f} a second")
            began, summed = time.monotonic(), 0
            while some := compact_days(store, now_ts_us=now_us):
                summed += some
            click.echo(f"{summed} days summed up in {time.monotonic() - began:.1f} s")
        except KeyboardInterrupt:
            click.echo(f"\nStopped. {done:,} requests are written.", err=True)
            sys.exit(INTERRUPTED)
        _mind_retention(settings, order.start_us, now_us)
    finally:
        store.dispose()


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
