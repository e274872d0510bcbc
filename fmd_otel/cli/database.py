"""``fmd-otel db``: which revision the tables are of, how they get to the newest, and sums made anew."""

from __future__ import annotations

import sys
from datetime import datetime, timezone
from typing import TYPE_CHECKING, NamedTuple

import click

from fmd_otel.cli.options import on_database
from fmd_otel.cli.progress import progress
from fmd_otel_exporter.errors import FmdOtelError, SettingsError, safe_url
from fmd_otel_exporter.migrations import HEAD, Schema, by_hand_after

if TYPE_CHECKING:
    from fmd_otel.settings import Settings

_DATES = ("%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M")
_UPGRADE = "upgrade with: fmd-otel db upgrade"


class _State(NamedTuple):
    schema: Schema | None
    exists: bool
    """Whether there is a database at all."""

    @property
    def found(self) -> str | None:
        return None if self.schema is None else self.schema.revision

    @property
    def current(self) -> bool:
        return self.found == HEAD

    @property
    def newer(self) -> bool:
        return self.schema is not None and not self.schema.known

    @property
    def too_new(self) -> bool:
        return self.schema is not None and not self.schema.writable

    @property
    def by_hand(self) -> str | None:
        """The first revision on the way to the newest that applications do not apply by themselves."""
        return None if self.found is None else by_hand_after(self.found)

    def text(self) -> str:
        if not self.exists:
            return "no database yet"
        if self.found is None:
            return "no tables yet"
        if self.current:
            return f"{self.found}, the newest"
        if self.newer:
            may = "must not" if self.too_new else "may"
            return f"{self.found}, newer than this fmd-otel knows ({HEAD}), which {may} write to it"
        return f"{self.found}, and {HEAD} is the newest"


@click.group("db")
def database() -> None:
    """Look at the tables in the database, upgrade them, or repair their sums."""


@database.command("current")
@on_database
def current(settings: Settings) -> None:
    """Print which revision the tables are of.

    Exit code 1: the database cannot be reached. 2: a wrong option or setting.
    """
    state = _state(settings)
    click.echo(f"Database: {safe_url(settings.database)}")
    click.echo(f"Tables:   {settings.table_prefix}_*")
    click.echo(f"Revision: {state.text()}")


@database.command("check")
@on_database
def check(settings: Settings) -> None:
    """Tell by the exit code whether the tables are up to date.

    0: they are, or they are newer and this fmd-otel may write to them all the same. 1: they are missing or
    behind, and `fmd-otel db upgrade` is the remedy. 2: something else is wrong; the database cannot be
    reached, only a newer fmd-otel may write to its tables (until this one is upgraded its requests wait on
    disk), or an option is wrong.
    """
    try:
        state = _state(settings)
    except FmdOtelError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(2)
    if state.too_new:
        click.echo(f"Error: the tables are of revision {state.text()}; upgrade fmd-otel here", err=True)
        sys.exit(2)
    if state.newer:
        click.echo(f"Revision {state.text()}; upgrade fmd-otel here when you can")
        return
    if not state.current:
        click.echo(f"{state.text().capitalize()}; {_UPGRADE}", err=True)
        if state.by_hand is not None:
            click.echo(
                f"Revision {state.by_hand} changes what is there: applications do not apply it by "
                "themselves, and those of an older fmd-otel cannot write afterwards",
                err=True,
            )
        sys.exit(1)
    click.echo(f"Up to date: revision {state.found}")


@database.command("upgrade")
@on_database
def upgrade(settings: Settings) -> None:
    """Create the tables, or bring them to the newest revision; safe to run while applications write.

    Applications do the same when they start, except for revisions after which an older fmd-otel could not
    write: its requests would wait on disk until it is upgraded. Exit code 1: it cannot be done now. 2: a
    wrong option or setting.
    """
    from fmd_otel_exporter.store import open_store  # noqa: PLC0415 # SQLAlchemy: not for --help

    before = _state(settings)
    open_store(settings.database, settings.table_prefix, by_hand=True).dispose()
    if before.newer:
        click.echo(f"Nothing to do: the tables are of revision {before.text()}")
    elif before.current:
        click.echo(f"Nothing to do: the tables are of revision {HEAD}, the newest")
    elif before.found is None:
        click.echo(f"Created the tables {settings.table_prefix}_*, of revision {HEAD}")
    else:
        click.echo(f"Upgraded from revision {before.found} to {HEAD}")


@database.command("rebuild")
@click.option(
    "--from", "start", type=click.DateTime(_DATES), metavar="DATE", help="First day or minute, UTC."
)
@click.option(
    "--to", "end", type=click.DateTime(_DATES), metavar="DATE", help="Day or minute to end before, UTC."
)
@on_database
def rebuild_sums(settings: Settings, *, start: datetime | None, end: datetime | None) -> None:
    """Compare sums by the hour with the requests they are made of, and make those anew that differ.

    Nothing differs unless somebody has changed or restored part of the database by hand; safe to run while
    applications write. Hours whose requests retention has deleted are left alone, since their sums are all
    there is; so is the present day on ClickHouse, which cannot make applications wait. Exit code 1: it cannot
    be done now. 2: a wrong option or setting.
    """
    from fmd_otel_exporter.clock import database_now_us  # noqa: PLC0415 # SQLAlchemy: not for --help
    from fmd_otel_exporter.rebuilding import hours_to_compare, rebuild  # noqa: PLC0415
    from fmd_otel_exporter.rollups import compact_days  # noqa: PLC0415
    from fmd_otel_exporter.store import open_store  # noqa: PLC0415

    if start is not None and end is not None and start >= end:
        raise SettingsError("--from has to be before --to")
    store = open_store(settings.database, settings.table_prefix, migrate=False)
    try:
        if not store.current:
            raise FmdOtelError(
                f"the tables of {safe_url(settings.database)} are newer than this fmd-otel, which does not "
                "know what depends on sums; rebuild them with the newer one"
            )
        hours = hours_to_compare(store, _seconds(start), _seconds(end))
        rebuilt = 0
        with progress("Comparing hours", len(hours)) as done:
            for hour in rebuild(store, hours):
                rebuilt += hour.rebuilt
                done(1)
        if rebuilt:  # their days are to be summed up again
            while compact_days(store, now_ts_us=database_now_us(store)):
                pass
    finally:
        store.dispose()
    click.echo(f"Compared {len(hours):,} hour{'' if len(hours) == 1 else 's'}; made {rebuilt:,} anew.")


def _seconds(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.replace(tzinfo=timezone.utc).timestamp())


def _state(settings: Settings) -> _State:
    from fmd_otel_exporter.dialects import dialect_for  # noqa: PLC0415 # SQLAlchemy: not for --help
    from fmd_otel_exporter.settings import absolute_url  # noqa: PLC0415
    from fmd_otel_exporter.store import Store, read_schema  # noqa: PLC0415

    url = absolute_url(settings.database)
    dialect = dialect_for(url)
    if dialect.identity() == "missing":
        return _State(None, exists=False)
    dialect.prepare(create=False)
    store = Store(url, settings.table_prefix, dialect)
    try:
        return _State(read_schema(store), exists=True)
    finally:
        store.dispose()
