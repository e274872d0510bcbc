"""``fmd-otel db``: which revision the tables are of, and how they get to the newest."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NamedTuple

import click

from fmd_otel.cli.options import on_database
from fmd_otel_exporter.errors import FmdOtelError, safe_url
from fmd_otel_exporter.migrations import HEAD, Schema, by_hand_after

if TYPE_CHECKING:
    from fmd_otel.settings import Settings

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
    """Look at the tables in the database, or upgrade them."""


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
