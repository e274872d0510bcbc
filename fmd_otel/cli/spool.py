"""``fmd-otel spool``: what waits for the database on this machine, and how it gets there."""

from __future__ import annotations

import sys
import time
from collections import Counter
from typing import TYPE_CHECKING, TypeVar, cast

import click

from fmd_otel.cli.options import on_database
from fmd_otel.cli.problems import INTERRUPTED
from fmd_otel.cli.progress import progress
from fmd_otel.cli.spool_text import as_json, as_table, counted, ended, joined, running
from fmd_otel_exporter.errors import FmdOtelError, SettingsError, safe_url

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from fmd_otel.settings import Settings
    from fmd_otel_exporter.records import DetailRecord, RequestRecord
    from fmd_otel_exporter.spool import OwnerStatus, Progress, SpoolCounters, SpoolStatus
    from fmd_otel_exporter.spool.codec import Record
    from fmd_otel_exporter.store import Store
    from fmd_otel_exporter.writer import WriteResult

R = TypeVar("R")


def _of_spool(command: Callable[..., None]) -> Callable[..., None]:
    return click.option(
        "--spool-dir",
        metavar="DIR",
        help="Where requests wait: the setting SPOOL_DIR, or the directory of one database in it.",
    )(on_database(command))


@click.group("spool")
def spool() -> None:
    """Look at the requests that wait for the database on this machine, or write them now."""


@spool.command("status")
@click.option("--json", "json_wanted", is_flag=True, help="Print JSON for programs instead of text.")
@_of_spool
def status(settings: Settings, *, spool_dir: str | None, json_wanted: bool) -> None:
    """Show what waits, and whose it is. Nothing is changed, and the database is not asked.

    Exit code 1: the directory cannot be read. 2: a wrong option or setting.
    """
    place = _place(settings, spool_dir)
    found = _look(place)
    if json_wanted:
        click.echo(as_json(settings, found))
    else:
        click.echo(f"Database: {safe_url(settings.database)}")
        if place is None:
            click.echo("Requests for a database in memory wait in memory.")
        else:
            click.echo(f"Spool:    {place}")
            if not settings.spool_mb:
                click.echo("SPOOL_MB=0: requests wait in memory; below is what was left from before.")
            if found.owners or found.error is None:  # of what cannot be read, nothing can be said
                click.echo(as_table(found))
    if found.error is not None:
        raise FmdOtelError(f"{place} cannot be read ({found.error}); {_AS_WHO}")


@spool.command("replay")
@click.option(
    "--without-lock-file",
    is_flag=True,
    help="Also what waits without a lock file, which cannot tell whether its process lives. Stop the "
    "applications first.",
)
@_of_spool
def replay(settings: Settings, *, spool_dir: str | None, without_lock_file: bool) -> None:
    """Write what processes that have ended left behind.

    Any application that runs or starts here does the same within seconds. What the database has already is
    recognised, and counts once. What waits for a running process is left to it.

    Exit code 0: it is written, or nothing is there to be written. 1: the database cannot be used now, or
    something could not be written. 2: a wrong option or setting.
    """
    place = _place(settings, spool_dir)
    found = _look(place)
    if found.error is not None:
        raise FmdOtelError(f"{place} cannot be read ({found.error}); {_AS_WHO}")
    ours = [each for each in found.owners if _is_ours(alive=each.alive, without_lock_file=without_lock_file)]
    waiting = sum(each.records for each in ours)
    if place is None or not waiting:
        click.echo(_nothing(found, without_lock_file=without_lock_file))
        return
    click.echo(f"Database: {safe_url(settings.database)}")
    click.echo(f"Spool:    {place}")
    _replay(settings, place, found, waiting, without_lock_file=without_lock_file)


_AS_WHO = "run this as the user of the applications, on their machine"


def _place(settings: Settings, spool_dir: str | None) -> Path | None:
    """Return the directory of this database's spool; ``None`` for a database in memory.

    Raises:
        SettingsError: A directory was named, and it is not there or holds other databases' spools only.
    """
    from fmd_otel_exporter.spool import spool_directory  # noqa: PLC0415 # not for --help
    from fmd_otel_exporter.spool.owner import entries  # noqa: PLC0415

    named = spool_dir or settings.spool_dir
    place = spool_directory(settings.database, settings.table_prefix, configured=named)
    if spool_dir is None or place is None:
        return place
    parent = place.parent
    if not parent.is_dir():
        raise SettingsError(f"option --spool-dir={spool_dir!r}: there is no such directory")
    beside = spool_directory(settings.database, settings.table_prefix)
    if beside is not None and beside.parent == parent:
        return beside  # where it is anyway, with another name for each table prefix
    if place.exists():
        return place
    try:
        if entries(parent):
            return parent  # the directory of one database was named
        others = sorted(path.name for path in parent.iterdir() if path.is_dir() and entries(path))
    except OSError as error:
        raise FmdOtelError(f"{parent} cannot be read ({error.strerror}); {_AS_WHO}") from None
    if others:
        raise SettingsError(
            f"option --spool-dir={spool_dir!r}: nothing for {safe_url(settings.database)} with the tables "
            f"{settings.table_prefix}_* waits there, but {', '.join(others)} for others; name their database "
            "and table prefix, or one of these directories to bring it into this database"
        )
    return place


def _look(place: Path | None) -> SpoolStatus:
    """Return what waits there: requests, and in a directory of its own what is known beyond their rows."""
    from fmd_otel_exporter.spool import details_directory, inspect  # noqa: PLC0415 # not for --help

    found = inspect(place)
    return found if place is None else found.beside(inspect(details_directory(place)))


def _is_ours(*, alive: bool | None, without_lock_file: bool) -> bool:
    return alive is False or (alive is None and without_lock_file)


def _nothing(found: SpoolStatus, *, without_lock_file: bool) -> str:
    """Say why there is nothing to do."""
    living = [each for each in found.owners if each.alive and each.records]
    unknown = sum(each.records for each in found.owners if each.alive is None and not without_lock_file)
    said = []
    if living:
        said.append(
            f"{joined(_sum_of(living))} wait for {running(len(living))}, which "
            f"{'writes' if len(living) == 1 else 'write'} them as soon as the database takes them."
        )
    if unknown:
        said.append(
            f"{counted(unknown, 'record')} without a lock file cannot be told from those of a running "
            "process: stop the applications and add --without-lock-file."
        )
    if found.set_aside:
        said.append(f"{counted(found.set_aside, 'record')} of a newer fmd-otel wait for it.")
    if found.unreadable:
        said.append(f"{counted(found.unreadable, 'segment')} could not be read just now; run this again.")
    if not said:
        return f"Nothing waits in {found.directory}." if found.directory else "Nothing waits on disk."
    return "\n".join(["Nothing to do.", *said])


def _sum_of(owners: Sequence[OwnerStatus]) -> Counter[str]:
    kinds: Counter[str] = Counter()
    for each in owners:
        kinds.update(each.kinds)
    return kinds


def _replay(
    settings: Settings, place: Path, found: SpoolStatus, waiting: int, *, without_lock_file: bool
) -> None:
    from fmd_otel_exporter.spool import details_directory  # noqa: PLC0415 # SQLAlchemy: not for --help
    from fmd_otel_exporter.spool import replay as replay_spool  # noqa: PLC0415
    from fmd_otel_exporter.store import open_store  # noqa: PLC0415

    began = time.monotonic()
    done = before = 0
    counters: list[SpoolCounters] = []
    store: Store | None = None
    try:
        store = open_store(settings.database, settings.table_prefix)
        writing = _Writing(store, settings)
        with progress("Writing", waiting) as tell:

            def advance(now: Progress) -> None:
                nonlocal done
                tell(before + now.done - done)
                done = before + now.done

            for directory, write in (
                (place, writing.requests),
                (details_directory(place), writing.details),
            ):
                before = done
                counters.append(
                    replay_spool(directory, write, without_lock_file=without_lock_file, progress=advance)
                )
    except KeyboardInterrupt:
        click.echo(f"\nStopped. {done:,} are written; the rest waits where it was.", err=True)
        sys.exit(INTERRUPTED)
    except FmdOtelError as error:
        raise FmdOtelError(
            f"{error}. {done:,} of {waiting:,} are written; the rest waits where it was"
        ) from None
    finally:
        if store is not None:
            store.dispose()
    dead = ended(sum(1 for each in found.owners if each.alive is not True and each.records))
    click.echo(
        f"{counted(done, 'record')} of {dead} in {time.monotonic() - began:.1f} s: {writing.written:,} new, "
        f"{writing.duplicate:,} that the database had already."
    )
    _regret(counters, writing.lost)


class _Writing:
    """Writes batches, and counts what became of them."""

    def __init__(self, store: Store, settings: Settings) -> None:
        from fmd_otel_exporter.detail_writer import DetailWriter  # noqa: PLC0415 # as above
        from fmd_otel_exporter.writer import Writer  # noqa: PLC0415

        self.written = self.duplicate = 0
        self.lost: list[str] = []
        self._requests = Writer(
            store, default_level=settings.monitor_level, default_rules=settings.monitor_rules
        )
        self._details = DetailWriter(store, self._requests)

    def requests(self, batch: Sequence[Record]) -> None:
        self._write(self._requests.write, cast("Sequence[RequestRecord]", batch))

    def details(self, batch: Sequence[Record]) -> None:
        self._write(self._details.write, cast("Sequence[DetailRecord]", batch))

    def _write(self, write: Callable[[Sequence[R]], WriteResult], batch: Sequence[R]) -> None:
        from fmd_otel_exporter.salvage import write_parts  # noqa: PLC0415 # as above

        for result in write_parts(write, batch, lambda _, exc: self.lost.append(str(exc))):
            self.written += result.written
            self.duplicate += result.duplicate


def _regret(counters: Sequence[SpoolCounters], lost: Sequence[str]) -> None:
    """Tell what could not be written.

    Raises:
        FmdOtelError: The database takes some records in no way.
    """
    damaged, gone, newer, waiting = (
        sum(getattr(each, name) for each in counters)
        for name in ("damaged", "dropped_lost", "set_aside", "waiting")
    )
    if damaged or gone:
        click.echo(
            f"Lost: {counted(damaged, 'damaged stretch')}, {counted(gone, 'record')} whose file was gone.",
            err=True,
        )
    if waiting:
        click.echo(f"{counted(waiting, 'record')} could not be read just now; run this again.", err=True)
    if newer:
        click.echo(f"{counted(newer, 'record')} of a newer fmd-otel wait for it.", err=True)
    if lost:
        raise FmdOtelError(f"{counted(len(lost), 'record')} could not be written ({lost[0]})")
